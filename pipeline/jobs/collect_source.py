"""Collect one source: fetch │ read │ normalise │ decide │ apply."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from pipeline.collect.normalise import normalise
from pipeline.collect.read import read
from pipeline.config import FeedSettings, Settings, SourceSettings
from pipeline.errors import FetchError, GazetError, ReadError
from pipeline.http import Fetched
from pipeline.jobs import identity
from pipeline.jobs.site import Site
from pipeline.models import CandidateItem, ItemStatus, ParsedSource
from pipeline.store import Tx, feeds, items, runs
from pipeline.store.sources import SourceRecord

_LONGEST_WAIT = timedelta(hours=24)


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


@dataclass(frozen=True, slots=True)
class Reading:
    """What a source yields now, before anything is compared or stored."""

    parsed: ParsedSource
    candidates: tuple[CandidateItem, ...]
    remarks: tuple[str, ...]


def collect_source(site: Site, source: SourceRecord, now: datetime) -> Collected:
    """Bring the store up to date with one source. Never raises for what the source does: it is recorded instead."""
    feed, wanted = settings_of(site, source.url)
    how = _settings_hash(site, feed, wanted)
    try:
        same = how == source.settings_hash and not source.hold_next
        fetched = _fetch(site, source, conditional=same and not _new_to_a_feed(site, source))
        if fetched.not_modified:
            return _keep(site, source, fetched, now, wanted.every)
        reading = read_source(site.settings, feed, wanted, fetched, now)
    except (FetchError, ReadError) as error:
        return _record_failure(site, source, error, now, wanted.every)
    return _apply(site, source, fetched, reading, now, wanted.every, how)


def settings_of(site: Site, url: str) -> tuple[FeedSettings, SourceSettings]:
    """The settings of a source and of the first feed that reads it (all feeds agree, ``config`` sees to that)."""
    for feed in site.settings.feeds.values():
        for source in feed.source:
            if source.url == url:
                return feed, source
    raise KeyError(url)


def read_source(settings: Settings, feed: FeedSettings, source: SourceSettings, fetched: Fetched, now: datetime) -> Reading:
    """Read fetched bytes as the settings say. Raises ReadError. Stores nothing: ``gazet check`` uses it too."""
    language = source.language or feed.language
    zone = settings.zone_of(source)
    parsed = read(
        fetched.body,
        url=fetched.final_url,
        content_type=fetched.content_type,
        kind=source.kind,
        page=source.page,
        language=language,
        zone=zone,
        now=now,
        max_items=settings.collect.max_items,
    )
    candidates, remarks = normalise(parsed, base_url=fetched.final_url, language=language, now=now)
    return Reading(parsed, candidates, (*parsed.skipped, *remarks))


def _settings_hash(site: Site, feed: FeedSettings, source: SourceSettings) -> str:
    """Changed when the same bytes would be read differently: then a 304 must not be asked for."""
    how = {
        "page": source.page.model_dump(),
        "kind": source.kind,
        "language": source.language or feed.language,
        "zone": site.settings.zone_of(source),
    }
    return sha256(json.dumps(how, sort_keys=True).encode()).hexdigest()


def _fetch(site: Site, source: SourceRecord, *, conditional: bool) -> Fetched:
    if not conditional:
        return site.fetcher.fetch(source.url)
    return site.fetcher.fetch(source.url, etag=source.etag, last_modified=source.last_modified)


def _new_to_a_feed(site: Site, source: SourceRecord) -> bool:
    """A feed that has never read this source needs its document, not a 304."""
    with site.store.read() as tx:
        return any(feeds.first_collect(tx, slug, source.id) for slug in source.feeds)


def _keep(site: Site, source: SourceRecord, fetched: Fetched, now: datetime, every: timedelta) -> Collected:
    with site.store.write() as tx:
        feeds.recovered(tx, source.id)
        _record_answer(tx, source, fetched, now, every)
        runs.mended(tx, f"source:{source.url}", now)
    return Collected(source.url, source.feeds, not_modified=True, rule=source.rule)


def _record_answer(tx: Tx, source: SourceRecord, fetched: Fetched, now: datetime, every: timedelta, how: str = "") -> None:
    # A 304 need not repeat the validators (RFC 9110 15.4.5); those that it does send are the new ones.
    kept = (source.etag, source.last_modified) if fetched.not_modified else ("", "")
    feeds.record_answer(
        tx,
        source.id,
        now=now,
        next_poll_at=now + every,
        etag=fetched.etag or kept[0],
        last_modified=fetched.last_modified or kept[1],
        settings_hash=how,
    )


def _record_failure(site: Site, source: SourceRecord, error: GazetError, now: datetime, every: timedelta) -> Collected:
    gone = isinstance(error, FetchError) and error.status == 410
    asked = timedelta(seconds=getattr(error, "retry_after", None) or 0)
    again = max(min(every * 2 ** min(source.failures, 10), _LONGEST_WAIT), min(asked, timedelta(days=7)))
    reason = getattr(error, "reason", str(error))
    with site.store.write() as tx:
        feeds.record_failure(tx, source, reason=reason, gone=gone, now=now, again=again)
        fix = error.fix or f'See what it answers with "gazet check {source.url}".'
        runs.problem(tx, f"source:{source.url}", f"source {source.url}: {reason}", fix, now)
    return Collected(source.url, source.feeds, problem=f"{reason}. {error.fix}".strip())


def _apply(
    site: Site, source: SourceRecord, fetched: Fetched, reading: Reading, now: datetime, every: timedelta, how: str
) -> Collected:
    """Write everything one collect found in one transaction: items, numbers, validators, state."""
    with site.store.write() as tx:
        feeds.lock_source(tx, source.id)
        plan = identity.compare(tx, source, reading.candidates, now)
        changed, restless = identity.change_items(tx, source, plan, now)
        status = ItemStatus.HELD if source.hold_next else ItemStatus.RELEASED
        ids = items.add_all(tx, source.id, source.url, plan.new, status=status, now=now)
        added = list(zip(ids, plan.new, strict=True))
        identity.add_likenesses(tx, source, added)
        # Always in this order, so that two collects cannot lock each other out.
        told = [_release(site, tx, source, slug, [*plan.seen, *added], now) for slug in sorted(source.feeds)]
        feeds.mark_collected(tx, source.id, now)
        feeds.set_rule(tx, source.id, reading.parsed.rule)
        _record_answer(tx, source, fetched, now, every, how)
        runs.mended(tx, f"source:{source.url}", now)
    remarks = (*reading.remarks, *plan.remarks, *restless, *_held(source, len(added)), *filter(None, told))
    same = len(plan.seen) - changed
    return Collected(source.url, source.feeds, len(added), changed, same, rule=reading.parsed.rule, remarks=remarks)


def _held(source: SourceRecord, new: int) -> tuple[str, ...]:
    """After a restore without a record: what is new here may have been mailed by the store that was lost."""
    if not source.hold_next or not new:
        return ()
    how = '"gazet items list" shows them, "gazet items release ID --no-mail" only publishes one'
    return (f"{new} new held: they may have been mailed before the restore ({how})",)


def _release(site: Site, tx: Tx, source: SourceRecord, slug: str, found: list[tuple[int, CandidateItem]], now: datetime) -> str:
    """Number what has no number in this feed yet: new items, and known ones when the feed is new to the source.

    Returns a line about those that no digest is going to show, empty where there are none.
    """
    unnumbered = items.unnumbered(tx, slug, [item_id for item_id, _ in found])
    fresh = [(item_id, candidate) for item_id, candidate in found if item_id in unnumbered]
    first = feeds.first_collect(tx, slug, source.id)
    mailed = _mailable(site.feed(slug), fresh, first=first, now=now)
    items.release(tx, slug, [item_id for item_id, _ in fresh], mailed, now)
    if len(mailed) == len(fresh):
        return ""
    some = f"{len(fresh) - len(mailed)} of {len(fresh)}"
    why = "a first collect mails the newest few (first_items)" if first else "too old for a digest (max_age)"
    return f'{some} only published in {slug}, not mailed: {why}; "gazet items omit --undo ID" mails one'


def _mailable(feed: FeedSettings, added: list[tuple[int, CandidateItem]], *, first: bool, now: datetime) -> set[int]:
    """Which new items a digest may show: none older than ``max_age``, and of a first collect the newest few (promise 4)."""
    oldest = now - feed.digest.max_age
    young = [item_id for item_id, new in added if new.published is None or new.published.at >= oldest]
    if first:
        young = young[len(young) - min(feed.digest.first_items, len(young)) :]
    return set(young)
