"""Collect one source: reach (fetch, read) │ articles │ decide │ watch │ apply."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from pipeline.collect import polling, watch
from pipeline.collect.naming import is_untitled, title_of_address
from pipeline.collect.polling import Move, PollHistory
from pipeline.collect.watch import Glance, Past
from pipeline.config import FeedSettings, SourceSettings
from pipeline.errors import FetchError, GazetError, ReadError, StoreError
from pipeline.jobs import articles, identity
from pipeline.jobs.reach import Reached, known_of, order_for, reach
from pipeline.jobs.site import Site
from pipeline.models import CandidateItem, CollectPlan, ItemStatus, PollHints, Reading, SourceKind, SourceState
from pipeline.shown import one_line, shorten
from pipeline.store import Tx, feed_items, items, merges, runs, sources
from pipeline.store import articles as stored_articles
from pipeline.store.articles import Outcome
from pipeline.store.sources import Answer, PollRecord, SourceRecord

_GAVE_UP = 3
_LONGEST_TITLE = 200
"""After so many failures of a way that was found, one is looked for again; before that it may be back any moment."""


@dataclass(frozen=True, slots=True)
class Collected:
    """What one collect did. ``problem`` is one line for a person, empty when all went well."""

    url: str
    feeds: tuple[str, ...]
    new: int = 0
    updated: int = 0
    unchanged: int = 0
    not_modified: bool = False
    rule: str = ""
    remarks: tuple[str, ...] = ()
    problem: str = ""


def collect_source(site: Site, source: SourceRecord, now: datetime) -> Collected:
    """Bring the store up to date with one source. Never raises for what the source does: it is recorded instead."""
    feed, wanted = settings_of(site, source.url)
    order = order_for(site.settings, feed, wanted, now)
    try:
        reached = reach(site, source, wanted, order, now)
    except (FetchError, ReadError) as error:
        return _record_failure(site, source, error, now, wanted.every)
    told: dict[str, Outcome] = {}
    if reached.reading is None:
        done = _stored(source, lambda: _keep(site, source, reached, now, wanted))
    else:
        reading, told = articles.of_new(site, source, wanted, order, reached.reading, now)
        done = _stored(source, lambda: _apply(site, source, wanted, reached, reading, told, now))
    late: tuple[str, ...] = ()
    if wanted.full_text or _is_sitemap(source, wanted, reached):
        late = articles.catch_up(site, source, order, wanted, now, fetched=sum(one.attempts > 0 for one in told.values()))
    return replace(done, remarks=(*done.remarks, *late))


def _stored(source: SourceRecord, write: Callable[[], Collected]) -> Collected:
    """Which source it was that could not be stored. Raises StoreError."""
    try:
        return write()
    except StoreError as error:
        named = StoreError(f"source {source.url}: what it brought could not be stored. {error.what}", fix=error.fix)
        named.retryable = error.retryable
        raise named from error


def _is_sitemap(source: SourceRecord, wanted: SourceSettings, reached: Reached) -> bool:
    """Then the titles come from the articles."""
    way = reached.way or source.way
    return wanted.kind is SourceKind.SITEMAP or (way is not None and way.kind is SourceKind.SITEMAP)


def settings_of(site: Site, url: str) -> tuple[FeedSettings, SourceSettings]:
    """The settings of a source and of the first feed that reads it (all feeds agree, ``config`` sees to that)."""
    return site.settings.by_url[url]


def _keep(site: Site, source: SourceRecord, reached: Reached, now: datetime, wanted: SourceSettings) -> Collected:
    """Nothing has changed, which is odd after months."""
    answer = _answer(source, reached, _hints(source.hints), now, wanted)
    done = Collected(source.url, source.feeds, not_modified=True, rule=source.rule)
    if source.state is SourceState.OK and not source.failures and reached.asked.conditional:
        site.store.write_together((source, answer, now), _note_unchanged)
        return done
    with site.store.write() as tx:
        sources.answered(tx, source.id, answer)
        if sources.recovered(tx, source):
            _mended(tx, source, now)
        if source.state is SourceState.OK and (silent := watch.silence(_past(tx, source), now)):
            sources.odd(tx, source.id, source.rule, silent)
            _report_oddity(tx, source, silent, now)
    return done


def _note_unchanged(tx: Tx, noted: list[tuple[SourceRecord, Answer, datetime]]) -> None:
    """By far the most polls end here, so those of a moment share a transaction."""
    sources.unchanged(tx, [(source.id, answer) for source, answer, _ in noted])
    runs.mended_all(tx, [f"collect:{source.url}" for source, _, _ in noted], noted[-1][2])


def _answer(source: SourceRecord, reached: Reached, hints: PollHints, now: datetime, wanted: SourceSettings) -> Answer:
    """What is remembered of this answer, and when the next one is asked for."""
    fetched, asked = reached.fetched, reached.asked
    poll = polling.next_poll(PollHistory(wanted.every, status=fetched.status, seed=source.url), fetched.headers, hints, now)
    same = reached.reading is None and not fetched.not_modified
    # A 304 need not repeat the validators (RFC 9110 15.4.5); those that it does send are the new ones.
    kept = (source.etag, source.last_modified) if fetched.not_modified else ("", "")
    known = known_of(source)
    move = polling.move_after(Move(source.moved_to, source.moved_at), reached.address, fetched.moved_to, now)
    if reached.way is not None and reached.way.url != reached.address:  # the next request is to another address
        move = Move()
    return Answer(
        collected_at=now,
        next_poll_at=poll.when,
        why=poll.why,
        etag=fetched.etag or kept[0],
        last_modified=fetched.last_modified or kept[1],
        body_hash=reached.body_hash or source.body_hash,
        repeats=polling.repeats_after(known, asked, not_modified=fetched.not_modified, same_bytes=same),
        whole_at=source.whole_at if asked.conditional else now,
        given_by=fetched.final_url,
        moved_to=move.to,
        moved_at=move.since,
        hints=_as_json(hints) if reached.reading is not None else None,
    )


def _hints(stored: dict[str, Any] | None) -> PollHints:
    """As ``_as_json`` has stored them."""
    if not stored:
        return PollHints()
    seconds = stored.get("at_least")
    at_least = timedelta(seconds=seconds) if seconds is not None else None
    return PollHints(at_least, frozenset(stored.get("skip_hours", ())), frozenset(stored.get("skip_days", ())))


def _as_json(hints: PollHints) -> dict[str, Any]:
    seconds = hints.at_least.total_seconds() if hints.at_least is not None else None
    return {"at_least": seconds, "skip_hours": sorted(hints.skip_hours), "skip_days": sorted(hints.skip_days)}


def _record_failure(site: Site, source: SourceRecord, error: GazetError, now: datetime, every: timedelta) -> Collected:
    """The source needs attention. A way that was found and leads nowhere any more is looked for anew from its own address."""
    status = getattr(error, "status", None) or 0
    reason = getattr(error, "reason", str(error))
    elsewhere_found = source.way is not None and source.way.url != source.url
    changed = isinstance(error, ReadError) and source.way is not None  # it answers, and is not what it was
    astray = (elsewhere_found and status == 410) or (source.way is not None and source.failures + 1 >= _GAVE_UP) or changed
    elsewhere = polling.settled_move(source.moved_to, source.moved_at, now) != ""
    gone = status == 410 and not astray and not elsewhere  # where it had moved to: its own address is asked once more
    history = PollHistory(every, source.failures + 1, status, getattr(error, "retry_after", None) or 0, source.url)
    poll = polling.next_poll(history, {}, PollHints(), now)
    with site.store.write() as tx:
        sources.failed(tx, source, reason=reason, gone=gone, next_poll_at=poll.when, why=poll.why)
        if astray:
            sources.forget_way(tx, source.id)
        if gone:
            articles.give_up(site, tx, source, "its source is gone", now)
        fix = error.fix or f'See what it answers with "gazet check {source.url}".'
        runs.problem(tx, f"source:{source.url}", f"source {source.url}: {reason}", fix, now)
    return Collected(source.url, source.feeds, problem=f"{reason}. {error.fix}".strip())


def _past(tx: Tx, source: SourceRecord) -> Past:
    """What the source did before. ``read_at`` None: every feed that reads it does so for the first time."""
    if source.collected_at is None:
        return Past()
    readings, arrivals = sources.polls(tx, source.id)
    glances = [Glance(one.at, one.found, one.dated, one.titles) for one in readings if one.outcome == "read"]
    arrived = [one.at for one in arrivals if one.outcome == "read" for _ in range(one.new)]
    first = len(source.new_feeds) == len(source.feeds)
    return Past(glances, arrived, None if first else source.collected_at)


def _report_oddity(tx: Tx, source: SourceRecord, reason: str, now: datetime) -> None:
    fix = f'Look at it in a browser; "gazet check {source.url}" shows how it reads. Its items stay as they are.'
    runs.problem(tx, f"source:{source.url}", f"source {source.url}: {reason}", fix, now)


def _mended(tx: Tx, source: SourceRecord, now: datetime) -> None:
    runs.mended_all(tx, [f"source:{source.url}", f"collect:{source.url}"], now)


def _apply(
    site: Site,
    source: SourceRecord,
    wanted: SourceSettings,
    reached: Reached,
    reading: Reading,
    told: Mapping[str, Outcome],
    now: datetime,
) -> Collected:
    """Write everything one collect found in one transaction: items, numbers, validators, state."""
    with site.store.write() as tx:
        source = sources.locked(tx, source)
        past = _past(tx, source)
        neighbours = merges.has_neighbours(tx, source.id)
        plan = identity.compare(tx, source, reading.taken, now, neighbours=neighbours)
        flood = _flood(source, wanted, reached, plan, past, len(reading.taken), now)
        changed, restless = identity.change_items(tx, source, plan, now)
        status = ItemStatus.HELD if source.hold_next or flood else ItemStatus.RELEASED
        outcomes = [_outcome(one, wanted, reading, told) for one in plan.new]
        new = [articles.told_by(one, outcome) for one, outcome in zip(plan.new, outcomes, strict=True)]
        added = list(zip(items.add_all(tx, source.id, source.url, new, status=status, now=now), new, strict=True))
        asked = {item_id: outcome for (item_id, _), outcome in zip(added, outcomes, strict=True) if outcome is not None}
        stored_articles.add_all(tx, source.id, asked, now)
        stored_articles.adopt(tx, source.id, {one.item_id for one in plan.merges})
        identity.add_likenesses(tx, added, neighbours=neighbours)
        newer_than = _reread_since(source, reached)
        # Always in this order, so that two collects cannot lock each other out.
        released = added if status is ItemStatus.RELEASED else []
        lines = [_release(site, tx, source, slug, plan.seen, released, newer_than, now) for slug in sorted(source.feeds)]
        sources.mark_collected(tx, source, now)
        ended = "its source is read without its articles now"
        rest = () if articles.are_fetched(wanted, reading) else articles.give_up(site, tx, source, ended, now)
        oddity = _judge(tx, source, reached, reading, past, flood, now)
        answer = _answer(source, reached, reading.parsed.hints, now, wanted)
        rule = _rule(source, reached, reading)
        title = shorten(one_line(reading.parsed.title), _LONGEST_TITLE)
        sources.read(tx, source.id, answer, settings_hash=reached.how, rule=rule, oddity=oddity, way=reached.way, title=title)
        sources.add_poll(tx, source.id, _poll(reading, reached, len(added), now, held=bool(flood)))
    odd = (f"odd: {oddity}",) if oddity and not flood else ()
    made = [
        one for one, listed in zip(new, plan.new, strict=True) if is_untitled(listed) and one.title == title_of_address(one.url)
    ]
    titles = articles.of_titles(made, sum(not one.title for one in new))
    spoken = (*odd, *reading.remarks, *reached.remarks, *articles.remarks(reading, told), *titles, *rest)
    remarks = (*spoken, *plan.remarks, *restless, *_held(source, len(added)), *filter(None, lines))
    same = len(plan.seen) - changed
    problem = f"{flood}; they are held. {_flood_fix(source)}" if flood else ""
    return Collected(source.url, source.feeds, len(added), changed, same, rule=rule, remarks=remarks, problem=problem)


def _rule(source: SourceRecord, reached: Reached, reading: Reading) -> str:
    """How it was read, and where, when that is not at its own address."""
    way = reached.way or source.way
    where = f" at {way.url}" if way is not None and way.url != source.url else ""
    return f"{reading.parsed.rule}{where}"


def _outcome(one: CandidateItem, wanted: SourceSettings, reading: Reading, told: Mapping[str, Outcome]) -> Outcome | None:
    """What became of a new item's article, None without one; what turned out to be new only when compared waits for its own."""
    if one.keys[0] in told:
        return told[one.keys[0]]
    waits = one.url and articles.are_fetched(wanted, reading) and articles.is_wanted(one, wanted)
    return Outcome(stored_articles.WAITING) if waits else None


def _flood(
    source: SourceRecord, wanted: SourceSettings, reached: Reached, plan: CollectPlan, past: Past, found: int, now: datetime
) -> str:
    """Why what is new is held, empty where it is not. A source that is read in another way shows other items by right."""
    if not wanted.guard:
        return ""
    judge = watch.is_burst if _is_reread(source, reached) else watch.is_flood
    return judge(plan.new, found, past, now)


def _is_reread(source: SourceRecord, reached: Reached) -> bool:
    """Whether a known source is read at another place than before; until it had a way, that was its own address."""
    before = source.way_url or source.url
    return source.collected_at is not None and reached.way is not None and reached.way.url != before


def _flood_fix(source: SourceRecord) -> str:
    return (
        f'"gazet items list --status held" shows them; "gazet items release --source {source.url}" publishes and mails them '
        f'(with --no-mail only publishes), "gazet items discard --source {source.url}" drops them.'
    )


def _reread_since(source: SourceRecord, reached: Reached) -> datetime | None:
    """Where a known source is read in another way, only what is newer than its last reading is mailed; None: all is."""
    return source.collected_at if _is_reread(source, reached) else None


def _poll(reading: Reading, reached: Reached, new: int, now: datetime, *, held: bool) -> PollRecord:
    glance = watch.summary(reading.candidates, now)
    dates = [one.published.at for one in reading.candidates if one.published is not None]
    keys = "\n".join(sorted(one.keys[0] for one in reading.candidates))
    return PollRecord(
        at=now,
        outcome="held" if held else "read",
        status=reached.fetched.status,
        found=glance.found,
        new=new,
        dated=glance.dated,
        titles=glance.titles,
        newest_at=max(dates, default=None),
        fingerprint=sha256(keys.encode("utf-8", "replace")).hexdigest(),
    )


def _judge(tx: Tx, source: SourceRecord, reached: Reached, reading: Reading, past: Past, flood: str, now: datetime) -> str:
    """What is odd about a source after a reading, so that a person should look at it; its items are taken nevertheless."""
    if flood:
        runs.problem(tx, f"flood:{source.url}", f"source {source.url}: {flood}; they are held", _flood_fix(source), now)
        return f"{flood}; they are held"
    if reached.fetched.status == 226:  # only what is new came
        return ""
    asked = reached.way.url if reached.way is not None else reached.address
    oddity = watch.judge(reading.candidates, past, now, asked=asked, answered=reached.fetched.final_url)
    if oddity:
        _report_oddity(tx, source, oddity, now)
    else:
        _mended(tx, source, now)
    return oddity


def _held(source: SourceRecord, new: int) -> tuple[str, ...]:
    """After a restore without a record: what is new here may have been mailed by the store that was lost."""
    if not source.hold_next or not new:
        return ()
    how = '"gazet items list" shows them, "gazet items release ID --no-mail" only publishes one'
    return (f"{new} new held: they may have been mailed before the restore ({how})",)


def _release(
    site: Site,
    tx: Tx,
    source: SourceRecord,
    slug: str,
    seen: Sequence[tuple[int, CandidateItem]],
    added: Sequence[tuple[int, CandidateItem]],
    newer_than: datetime | None,
    now: datetime,
) -> str:
    """Number what has no number in this feed yet: new items, and known ones when the feed is new to the source.

    What waits for its title is shown nowhere. Where no digest is to show it either, its number keeps its place among the others;
    where one is, it gets its number with its title (``articles.catch_up``), for no reader's cursor may pass it before.

    Returns a line about those that no digest is going to show, empty where there are none.
    """
    first = slug in source.new_feeds
    unnumbered = items.unnumbered(tx, slug, [item_id for item_id, _ in seen])
    waiting = items.unnamed(tx, unnumbered) | {item_id for item_id, one in added if not one.title}
    known = unnumbered if first else unnumbered - waiting  # what waits was to be mailed when it was new, and still is
    fresh = [*((item_id, candidate) for item_id, candidate in seen if item_id in known), *added]
    mailed = _mailable(site.feed(slug), fresh, first=first, newer_than=newer_than, now=now)
    feed_items.release(tx, slug, [item_id for item_id, _ in fresh if item_id not in waiting & mailed], mailed, now)
    if len(mailed) == len(fresh):
        return ""
    some = f"{len(fresh) - len(mailed)} of {len(fresh)}"
    why = "a first collect mails the newest few (first_items)" if first else "too old for a digest (max_age)"
    if newer_than is not None and not first:
        why = "the source is read in another way now, and they are older than its last reading, or undated"
    return f'{some} only published in {slug}, not mailed: {why}; "gazet items omit --undo ID" mails one'


def _mailable(
    feed: FeedSettings, added: list[tuple[int, CandidateItem]], *, first: bool, newer_than: datetime | None, now: datetime
) -> set[int]:
    """Which new items a digest may show: none older than ``max_age``, and of a first collect the newest few (promise 4)."""
    oldest = now - feed.digest.max_age
    young = [item_id for item_id, new in added if new.published is None or new.published.at >= oldest]
    if newer_than is not None and not first:
        since = newer_than - timedelta(days=1)  # dates without a time
        young = [item_id for item_id, new in added if new.published is not None and new.published.at >= max(oldest, since)]
    if first:
        young = young[len(young) - min(feed.digest.first_items, len(young)) :]
    return set(young)
