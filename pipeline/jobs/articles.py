"""The article behind each teaser (``full_text``): fetched once, politely, read apart, and kept when the listing changes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import Any

from pipeline.collect.decide import every_key
from pipeline.collect.likeness import unlike
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
from pipeline.store import articles as stored
from pipeline.store import items
from pipeline.store.articles import FAILED, READ, WAITING, Outcome
from pipeline.store.sources import SourceRecord

AT_ONCE = 10
"""Articles fetched in one collect, each after a breath (``spacing``); the others follow at the next ones."""
_ATTEMPTS = 3
_PAUSE = timedelta(hours=1)
_MEASURED = 5


def of_new(
    site: Site, source: SourceRecord, wanted: SourceSettings, order: Order, reading: Reading, now: datetime
) -> dict[str, Outcome]:
    """By their strongest key, what became of the articles of items that are new: of the newest few at once, the others wait."""
    if not wanted.full_text and reading.parsed.kind is not SourceKind.SITEMAP:
        return {}
    with site.store.read() as tx:
        keys = every_key(reading.taken)
        known = items.known(tx, source.id, keys)
        known = known | items.known_elsewhere(tx, source.id, keys - known.keys())
    lacking = [one for one in reading.taken if one.url and known.keys().isdisjoint(one.keys) and _is_wanted(one, wanted)]
    newest = sorted(lacking, key=lambda one: one.published.at if one.published else now, reverse=True)
    told = {one.keys[0]: fetch_article(site, wanted, order, one.url, one.summary, 0, now) for one in newest[:AT_ONCE]}
    return told | {one.keys[0]: Outcome(WAITING) for one in newest[AT_ONCE:]}


def _is_wanted(candidate: CandidateItem, wanted: SourceSettings) -> bool:
    """Always where the source gives no title, as a sitemap does."""
    return wanted.full_text or candidate.title == candidate.url


def known_by(site: Site, source: SourceRecord, reading: Reading, told: Mapping[str, Outcome]) -> Reading:
    """The items of the source, each also by the addresses of its article that are a known item's and tell the same story.

    So a new address that leads to where an item is known to be is that item. One to which several lead is no item's own.
    """
    read = {one.keys[0]: _addresses(told[one.keys[0]].content) for one in reading.taken if one.keys[0] in told}
    claims = Counter(key for keys in read.values() for key in keys)
    with site.store.read() as tx:
        known = items.known(tx, source.id, [key for key, number in claims.items() if number == 1])
    taken = tuple(_led_to(one, {key: known[key] for key in read.get(one.keys[0], ()) if key in known}) for one in reading.taken)
    return replace(reading, passed=taken) if known else reading


def _led_to(candidate: CandidateItem, found: Mapping[str, KnownItem]) -> CandidateItem:
    same = [key for key, item in found.items() if not unlike(candidate.title, candidate.summary, item.title, item.summary)]
    return replace(candidate, former_keys=(*candidate.former_keys, *same)) if same else candidate


def _addresses(content: dict[str, Any] | None) -> tuple[str, ...]:
    """As keys: where the article was found after redirects, and where it says that it belongs."""
    found = (content["url"], content["found_at"]) if content else ()
    return tuple(dict.fromkeys(filter(None, map(url_key, found))))


def catch_up(
    site: Site, source: SourceRecord, order: Order, wanted: SourceSettings, now: datetime, *, fetched: int = 0
) -> list[Outcome]:
    """Fetch some of the articles that wait, and give their items what they tell; returns what became of each.

    ``fetched``: so many were fetched in this collect already.
    """
    if fetched >= AT_ONCE:
        return []
    with site.store.read() as tx:
        waiting = stored.waiting(tx, source.id, now, AT_ONCE - fetched)
    outcomes = []
    for one in waiting:
        outcome = fetch_article(site, wanted, order, one.url, one.summary, one.attempts, now)
        outcomes.append(outcome)
        with site.store.write() as tx:
            stored.settle(tx, one.item_id, outcome, now)
            if outcome.content is not None and (candidate := items.as_candidate(tx, one.item_id)) is not None:
                told = overlaid(candidate, outcome.content)
                items.enrich(tx, one.item_id, told)
                for key in told.keys:
                    items.learn_address(tx, source.id, one.item_id, key)
    return outcomes


def given_up(outcomes: Iterable[Outcome]) -> tuple[str, ...]:
    """A line for each reason for which articles are not fetched again; their items keep the teaser."""
    reasons = Counter(one.reason for one in outcomes if one.state == FAILED)
    return tuple(f"without the article of {number}: {reason}" for reason, number in reasons.items())


def fetch_article(site: Site, wanted: SourceSettings, order: Order, url: str, teaser: str, attempts: int, now: datetime) -> Outcome:
    """One article. What may pass is tried again an hour later, then two; what will not is given up, with the reason."""
    permit = site.robots.check if wanted.robots else None
    try:
        fetched = site.fetcher.fetch(url, accept=Accept.PAGE, permit=permit)
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
    attachments = [_measured(site, one, permit, number) for number, one in enumerate(article.attachments)]
    return Outcome(READ, attempts + 1, content=_as_json(article, attachments, fetched.final_url), reason="; ".join(article.remarks))


def _measured(site: Site, attachment: Attachment, permit: Permit | None, number: int) -> Attachment:
    """With its type and length as its server says; a download that is not there keeps what its link says."""
    if number >= _MEASURED or attachment.length:
        return attachment
    try:
        media_type, length = site.fetcher.measure(attachment.url, permit=permit)
    except FetchError:
        return attachment
    return replace(attachment, media_type=attachment.media_type or media_type, length=length)


def _as_json(article: Article, attachments: Sequence[Attachment], found_at: str) -> dict[str, Any]:
    date = article.published
    return {
        "url": article.url,
        "found_at": found_at,
        "title": article.title,
        "content_html": article.content_html,
        "image": asdict(article.image) if article.image else None,
        "authors": list(article.authors),
        "published": None if date is None else [date.at.isoformat(), date.precision, date.text, date.rule, date.confidence],
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
