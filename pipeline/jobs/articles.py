"""The article behind each teaser (``full_text``): fetched once, politely, read apart, and kept when the listing changes."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import Any

from pipeline.collect.decide import every_key, is_apart, theirs
from pipeline.collect.likeness import unlike
from pipeline.collect.naming import is_untitled, named_by_address, unnamed
from pipeline.collect.normalise import url_key
from pipeline.config import SourceSettings
from pipeline.errors import FetchError, ReadError
from pipeline.http import Accept, Permit
from pipeline.jobs.apart_names import READ_ARTICLE
from pipeline.jobs.site import Site
from pipeline.models import (
    Article,
    Attachment,
    CandidateItem,
    Confidence,
    Image,
    KnownItem,
    Order,
    Precision,
    ReadDate,
    Reading,
    SourceKind,
)
from pipeline.store import Tx, feed_items, items, sources
from pipeline.store import articles as stored
from pipeline.store.articles import FAILED, READ, WAITING, Outcome
from pipeline.store.sources import SourceRecord

AT_ONCE = 10
"""Articles fetched in one collect, each after a breath (``spacing``); the others follow at the next ones."""
_PATIENCE = 15.0
"""Seconds after which no further article is begun, before the items are stored and after: a site may ask for long breaths
(Crawl-delay), and what was found is to be in this hour's digest."""
_ATTEMPTS = 3
_PAUSE = timedelta(hours=1)
_MEASURED = 5
_ASTRAY = "it leads to a place that is not this article's alone"


def of_new(
    site: Site, source: SourceRecord, wanted: SourceSettings, order: Order, reading: Reading, now: datetime
) -> tuple[Reading, dict[str, Outcome]]:
    """What became of the articles of items that are new, by their strongest key: of the newest few at once, the others wait.

    The items come back as ``_compared`` knows them.
    """
    if not are_fetched(wanted, reading):
        return reading, {}
    with site.store.read() as tx:
        keys = every_key(reading.taken)
        known = items.known(tx, source.id, keys)
        known = known | theirs(reading.taken, items.known_elsewhere(tx, source.id, keys - known.keys()))
    lacking = [one for one in reading.taken if one.url and not _is_known(one, known) and is_wanted(one, wanted)]
    newest = sorted(lacking, key=lambda one: one.published.at if one.published else now, reverse=True)
    told, ends = {one.keys[0]: Outcome(WAITING) for one in newest}, time.monotonic() + _PATIENCE
    for one in newest[:AT_ONCE]:
        if time.monotonic() < ends:
            told[one.keys[0]] = fetch_article(site, wanted, order, one.url, one.summary, 0, now)
    return _compared(site, source, reading, told) if told else (reading, told)


def are_fetched(wanted: SourceSettings, reading: Reading) -> bool:
    """Whether articles of this source are fetched at all."""
    return wanted.full_text or reading.parsed.kind is SourceKind.SITEMAP


def _is_known(candidate: CandidateItem, known: Mapping[str, KnownItem]) -> bool:
    found = [known[key] for key in candidate.keys if key in known]
    return any(not item.elsewhere or not is_apart(candidate, item) for item in found)


def is_wanted(candidate: CandidateItem, wanted: SourceSettings) -> bool:
    """Always where the source gives no title, as a sitemap does."""
    return wanted.full_text or is_untitled(candidate)


def _compared(
    site: Site, source: SourceRecord, reading: Reading, told: Mapping[str, Outcome]
) -> tuple[Reading, dict[str, Outcome]]:
    """The items of the source and their articles, once it is known where these led.

    An item is also known by the addresses of its article that are a known item's and tell the same story: so a new address
    that leads to where an item is known to be is that item. An article that several lead to, or that is another story's, is
    not taken: a wall, or a move that went wrong.
    """
    read = {one.keys[0]: _addresses(told[one.keys[0]].content) for one in reading.taken if one.keys[0] in told}
    claims = Counter(key for keys in read.values() for key in keys)
    with site.store.read() as tx:
        known = items.known(tx, source.id, claims)
    outcomes = dict(told)
    for one in reading.taken:
        content = told[one.keys[0]].content if one.keys[0] in told else None
        if content and _is_of_another(one, content, known, claims):
            outcomes[one.keys[0]] = Outcome(FAILED, told[one.keys[0]].attempts, reason=_ASTRAY)
    mine = {key: item for key, item in known.items() if claims[key] == 1}
    taken = tuple(_led_to(one, {key: mine[key] for key in read.get(one.keys[0], ()) if key in mine}) for one in reading.taken)
    return replace(reading, passed=taken), outcomes


def _is_of_another(
    one: CandidateItem, content: Mapping[str, Any], known: Mapping[str, KnownItem], claims: Mapping[str, int]
) -> bool:
    """Whether redirects led to a place that is not this item's alone."""
    place = url_key(content["found_at"])
    if place in (url_key(one.url), ""):
        return False
    return claims.get(place, 0) > 1 or (place in known and _is_unlike(one, known[place]))


def _is_unlike(one: CandidateItem, item: KnownItem) -> bool:
    """What has no title of its own tells no other story than the item that its address leads to."""
    return not is_untitled(one) and unlike(one.title, one.summary, item.title, item.summary)


def remarks(reading: Reading, told: Mapping[str, Outcome]) -> tuple[str, ...]:
    """Which articles of new items could not be read, and why; one line for all of them."""
    return _unread([(one.url, told[one.keys[0]]) for one in reading.taken if one.keys[0] in told])


def _given_up(late: Iterable[tuple[str, Outcome]]) -> tuple[str, ...]:
    """The same for those that had waited, when they are not asked for again."""
    return _unread([(url, outcome) for url, outcome in late if outcome.state == FAILED])


def of_titles(named: Sequence[CandidateItem], waiting: int = 0) -> tuple[str, ...]:
    """Which new items got their title from their address, and how many are not published before their article was read."""
    made = f'"{named[0].title}" is made from the address of its article, which tells no title' if named else ""
    more = f" (and {len(named) - 1} more titles)" if len(named) > 1 else ""
    some = "1 new item waits for its title" if waiting == 1 else f"{waiting} new items wait for their titles"
    waits = f"{some}: an article tells it, and {AT_ONCE} are read in a collect" if waiting else ""
    return tuple(filter(None, (made and made + more, waits)))


def _unread(told: Sequence[tuple[str, Outcome]]) -> tuple[str, ...]:
    failed = [(url, outcome) for url, outcome in told if outcome.reason and outcome.content is None]
    if not failed:
        return ()
    (url, outcome), more = failed[0], f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
    again = "" if outcome.next_at is None else "; it is asked for again later"
    return (f"the article {url} was not read: {outcome.reason}{again}{more}",)


def _led_to(candidate: CandidateItem, found: Mapping[str, KnownItem]) -> CandidateItem:
    same = [key for key, item in found.items() if not _is_unlike(candidate, item)]
    return replace(candidate, former_keys=(*candidate.former_keys, *same)) if same else candidate


def _addresses(content: dict[str, Any] | None) -> tuple[str, ...]:
    """As keys: where the article was found after redirects, and where it says that it belongs."""
    found = (content["url"], content["found_at"]) if content else ()
    return tuple(dict.fromkeys(filter(None, map(url_key, found))))


def catch_up(
    site: Site, source: SourceRecord, order: Order, wanted: SourceSettings, now: datetime, *, fetched: int = 0
) -> tuple[str, ...]:
    """Fetch some of the articles that wait, and give their items what they tell; returns remarks on those that failed for good.

    ``fetched``: so many were fetched in this collect already.
    """
    if fetched >= AT_ONCE:
        return ()
    with site.store.read() as tx:
        waiting = stored.waiting(tx, source.id, now, AT_ONCE - fetched)
    outcomes: dict[int, tuple[str, Outcome]] = {}
    ends = time.monotonic() + _PATIENCE
    for one in waiting:
        if time.monotonic() >= ends:
            break
        outcomes[one.item_id] = one.url, fetch_article(site, wanted, order, one.url, one.summary, one.attempts, now)
    if not outcomes:
        return ()
    with site.store.write() as tx:
        sources.lock(tx, source.id)
        late = sorted(outcomes.items())  # oldest first, so that numbers follow time
        named = [made for item_id, (_, outcome) in late if (made := _settle(site, tx, source, item_id, outcome, now)) is not None]
    return (*_given_up(outcomes.values()), *of_titles(named))


def give_up(site: Site, tx: Tx, source: SourceRecord, reason: str, now: datetime) -> tuple[str, ...]:
    """Whatever still waits for its title is published with one made from its address: nobody is going to read its article."""
    waiting = [one.item_id for one in stored.unnamed(tx, source.id)]
    failed = Outcome(FAILED, reason=reason)
    return of_titles([made for one in waiting if (made := _settle(site, tx, source, one, failed, now)) is not None])


def _settle(site: Site, tx: Tx, source: SourceRecord, item_id: int, outcome: Outcome, now: datetime) -> CandidateItem | None:
    """Keep what became of an article that was waited for; returns the item where its title had to be made from its address."""
    before = items.as_candidate(tx, item_id)
    if before is None:
        return None
    if outcome.content is not None:
        known = items.known(tx, source.id, _addresses(outcome.content))
        if _leads_astray(item_id, before, outcome.content, known):
            outcome = Outcome(FAILED, outcome.attempts, reason=_ASTRAY)
    stored.settle(tx, item_id, outcome, now)
    told = overlaid(before, outcome.content)
    made = outcome.state != WAITING and not before.title and is_untitled(told)
    if made:
        told = named_by_address(told)
    if outcome.content is not None or made:
        items.enrich(tx, item_id, _as_updated(told, outcome.content))
        for key in told.keys:
            items.learn_address(tx, source.id, item_id, key)
    if not before.title and told.title:
        _place(site, tx, item_id, told, now)
    return told if made else None


def _leads_astray(item_id: int, item: CandidateItem, content: Mapping[str, Any], known: Mapping[str, KnownItem]) -> bool:
    """As ``_is_of_another``, for an item that is stored already: without a title, it is not made another item's double."""
    place = url_key(content["found_at"])
    taken = place in known and known[place].item_id != item_id
    return _is_of_another(item, content, known, {}) or (taken and is_untitled(item))


def _place(site: Site, tx: Tx, item_id: int, item: CandidateItem, now: datetime) -> None:
    """An item that has its title now gets the numbers that it was not given before: in feeds whose digests are to show it."""
    for slug, first_seen_at in items.unplaced(tx, item_id, site.settings.feeds):
        oldest = first_seen_at - site.feed(slug).digest.max_age
        young = item.published is None or item.published.at >= oldest
        feed_items.release(tx, slug, [item_id], {item_id} if young else set(), now)


def fetch_article(site: Site, wanted: SourceSettings, order: Order, url: str, teaser: str, attempts: int, now: datetime) -> Outcome:
    """One article. What may pass is tried again an hour later, then two; what will not is given up, with the reason."""
    permit = site.robots.check if wanted.robots else None
    try:
        fetched = site.fetcher.fetch(url, accept=Accept.PAGE, permit=permit, source=wanted.url)
        article: Article = site.reading.call(
            READ_ARTICLE,
            fetched.body,
            url=fetched.final_url,
            content_type=fetched.content_type,
            language=order.language,
            zone=order.zone,
            now=now,
            teaser=teaser,
        )
    except (FetchError, ReadError) as error:
        again = isinstance(error, FetchError) and error.retryable and attempts + 1 < _ATTEMPTS
        next_at = now + _PAUSE * 2**attempts if again else None
        # What a FetchError advises is meant for a source, not for one page of many.
        reason = f"{error.reason}. {error.fix}" if isinstance(error, ReadError) and error.fix else error.reason
        return Outcome(WAITING if again else FAILED, attempts + 1, next_at=next_at, reason=reason[:300])
    attachments = [_measured(site, one, permit, number, wanted.url) for number, one in enumerate(article.attachments)]
    return Outcome(READ, attempts + 1, content=_as_json(article, attachments, fetched.final_url), reason="; ".join(article.remarks))


def _measured(site: Site, attachment: Attachment, permit: Permit | None, number: int, source: str) -> Attachment:
    """With its type and length as its server says; a download that is not there keeps what its link says."""
    if number >= _MEASURED or attachment.length:
        return attachment
    try:
        media_type, length = site.fetcher.measure(attachment.url, permit=permit, source=source)
    except FetchError:
        return attachment
    return replace(attachment, media_type=attachment.media_type or media_type, length=length)


def _as_json(article: Article, attachments: Sequence[Attachment], found_at: str) -> dict[str, Any]:
    return {
        "url": article.url,
        "found_at": found_at,
        "title": article.title,
        "content_html": article.content_html,
        "image": asdict(article.image) if article.image else None,
        "authors": list(article.authors),
        "published": _stored_date(article.published),
        "modified": _stored_date(article.modified),
        "attachments": [asdict(one) for one in attachments],
    }


def overlaid(candidate: CandidateItem, content: dict[str, Any] | None) -> CandidateItem:
    """The item with what its article tells. Its hash stays the listing's, so that only a change there is a change.

    Where the article was found after redirects, and where it says that it belongs, name the item, too.
    """
    if not content:
        return candidate
    image = Image(**content["image"]) if content["image"] else None
    files = {one.url: one for one in (*candidate.attachments, *(Attachment(**values) for values in content["attachments"]))}
    unnamed = candidate.title in ("", candidate.url)
    return replace(
        candidate,
        title=content["title"] if unnamed and content["title"] else candidate.title,
        content_html=content["content_html"] or candidate.content_html,
        image=candidate.image or image,
        authors=candidate.authors or tuple(content["authors"]),
        published=_better_date(candidate.published, _date(content["published"])),
        attachments=tuple(files.values()),
        keys=tuple(dict.fromkeys((*candidate.keys, *_addresses(content)))),
    )


def told_by(candidate: CandidateItem, outcome: Outcome | None) -> CandidateItem:
    """A new item as it is to be stored: with what its article tells, without a title while that may still tell one."""
    if outcome is None:
        return candidate
    if outcome.state == WAITING:
        return unnamed(candidate)
    return named_by_address(_as_updated(overlaid(candidate, outcome.content), outcome.content))


def _as_updated(candidate: CandidateItem, content: Mapping[str, Any] | None) -> CandidateItem:
    """With when its article was last changed, when it was read; what its listing changes later is newer than that."""
    return replace(candidate, updated=candidate.updated or _date((content or {}).get("modified")))


def _stored_date(date: ReadDate | None) -> list[str] | None:
    return None if date is None else [date.at.isoformat(), date.precision, date.text, date.rule, date.confidence]


def _date(stored: list[str] | None) -> ReadDate | None:
    if stored is None:
        return None
    at, precision, text, rule, confidence = stored
    return ReadDate(datetime.fromisoformat(at), Precision(precision), text, rule, Confidence(confidence))


def _better_date(listed: ReadDate | None, told: ReadDate | None) -> ReadDate | None:
    """The listing's date, unless it has none, only guessed, or names the same day without the hour."""
    if told is None or listed is None:
        return listed or told
    if listed.confidence is Confidence.GUESSED and told.confidence is not Confidence.GUESSED:
        return told
    hour = listed.precision is Precision.DAY and told.precision is Precision.TIME
    return told if hour and abs(told.at - listed.at) < timedelta(hours=14) else listed
