"""Feeds and their sources as rows: what the settings name, what was collected, what is published."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import and_, select, update

from pipeline.models import SourceState
from pipeline.store import upsert
from pipeline.store.database import Tx
from pipeline.store.schema import FeedRow, FeedSourceRow, SiteRow, SourceRow

_LONGEST_WAIT = timedelta(days=8)
"""No poll is ever put off for longer (``every`` and Retry-After end at a week): such a row is of a clock that was ahead."""


@dataclass(frozen=True, slots=True)
class FeedState:
    """What the store knows of a feed; ``next_seq`` is the number the next released item gets."""

    slug: str
    next_seq: int
    paused: bool
    input_hash: str
    written_hash: str
    changed_at: datetime | None


@dataclass(frozen=True, slots=True)
class SourceRecord:
    """What the store knows of a source; ``feeds`` are the slugs that read it now."""

    id: int
    url: str
    state: SourceState
    reason: str
    rule: str
    etag: str
    last_modified: str
    settings_hash: str
    failures: int
    collected_at: datetime | None
    next_poll_at: datetime | None
    hold_next: bool
    feeds: tuple[str, ...]


def name_in_settings(tx: Tx, sources_by_feed: dict[str, tuple[str, ...]]) -> None:
    """Make the rows that the settings imply, and mark which (feed, source) pairs are in force. Deletes nothing."""
    upsert.ignore(tx, SiteRow, [{"id": 1, "paused": False}])
    upsert.ignore(tx, FeedRow, [{"slug": slug} for slug in sources_by_feed])
    urls = {url for listed in sources_by_feed.values() for url in listed}
    upsert.ignore(tx, SourceRow, [{"url": url} for url in sorted(urls)])
    ids = {url: source_id for source_id, url in tx.execute(select(SourceRow.id, SourceRow.url).where(SourceRow.url.in_(urls)))}
    wanted = {(slug, ids[url]) for slug, listed in sources_by_feed.items() for url in listed}
    upsert.ignore(tx, FeedSourceRow, [{"feed": slug, "source_id": source_id} for slug, source_id in sorted(wanted)])
    for slug, source_id, active in tx.execute(select(FeedSourceRow.feed, FeedSourceRow.source_id, FeedSourceRow.active)).all():
        if active is not ((slug, source_id) in wanted):
            pair = and_(FeedSourceRow.feed == slug, FeedSourceRow.source_id == source_id)
            tx.execute(update(FeedSourceRow).where(pair).values(active=not active))
            # A feed that comes back needs the whole document: a 304 would hide what another feed has collected meanwhile.
            tx.execute(update(SourceRow).where(SourceRow.id == source_id).values(settings_hash=""))


def exists(tx: Tx, slug: str) -> bool:
    """Whether the feed has a row: it gets one at the first run after its file appeared."""
    return tx.execute(select(FeedRow.slug).where(FeedRow.slug == slug)).first() is not None


def state(tx: Tx, slug: str) -> FeedState:
    """The feed's row."""
    return _feed_state(tx, slug, lock=False)


def lock(tx: Tx, slug: str) -> FeedState:
    """The feed's row, locked until the transaction ends: its numbers and its editions are given out under it."""
    return _feed_state(tx, slug, lock=True)


def _feed_state(tx: Tx, slug: str, *, lock: bool) -> FeedState:
    columns = (FeedRow.slug, FeedRow.next_seq, FeedRow.paused, FeedRow.input_hash, FeedRow.written_hash, FeedRow.changed_at)
    query = select(*columns).where(FeedRow.slug == slug)
    return FeedState(*tx.execute(query.with_for_update() if lock else query).one())


def set_next_seq(tx: Tx, slug: str, next_seq: int) -> None:
    """Only under ``lock``."""
    tx.execute(update(FeedRow).where(FeedRow.slug == slug).values(next_seq=next_seq))


def set_input(tx: Tx, slug: str, input_hash: str, changed_at: datetime) -> None:
    """Commit what is going to be published before a file is written (promise 5)."""
    tx.execute(update(FeedRow).where(FeedRow.slug == slug).values(input_hash=input_hash, changed_at=changed_at))


def set_written(tx: Tx, slug: str, written_hash: str) -> None:
    """Remember which files are on disk now."""
    tx.execute(update(FeedRow).where(FeedRow.slug == slug).values(written_hash=written_hash))


def intro_hash(tx: Tx, slug: str) -> str:
    """Which intro a digest of this feed began with last; empty for none."""
    return tx.execute(select(FeedRow.intro_hash).where(FeedRow.slug == slug)).scalar() or ""


def set_intro(tx: Tx, slug: str, intro_hash: str) -> None:
    """A digest begins with this intro: it is never used again."""
    tx.execute(update(FeedRow).where(FeedRow.slug == slug).values(intro_hash=intro_hash))


def set_paused(tx: Tx, slug: str, paused: bool) -> None:
    """A paused feed is neither collected, published nor mailed; what is already being sent goes on."""
    tx.execute(update(FeedRow).where(FeedRow.slug == slug).values(paused=paused))


def paused(tx: Tx) -> set[str]:
    """The slugs that are paused."""
    return set(tx.execute(select(FeedRow.slug).where(FeedRow.paused)).scalars())


def site_paused(tx: Tx) -> bool:
    """Whether the whole site rests."""
    return bool(tx.execute(select(SiteRow.paused)).scalar())


def set_site_paused(tx: Tx, paused: bool) -> None:
    """Stop or go on with everything."""
    tx.execute(update(SiteRow).values(paused=paused))


def sources(tx: Tx, slug: str | None = None) -> list[SourceRecord]:
    """The sources in force, of one feed or of all, by id."""
    query = select(FeedSourceRow.source_id, FeedSourceRow.feed).where(FeedSourceRow.active)
    readers: dict[int, list[str]] = {}
    for source_id, feed in tx.execute(query.order_by(FeedSourceRow.feed)):
        readers.setdefault(source_id, []).append(feed)
    columns = [getattr(SourceRow, name) for name in SourceRecord.__dataclass_fields__ if name != "feeds"]
    rows = tx.execute(select(*columns).where(SourceRow.id.in_(readers)).order_by(SourceRow.id))
    records = [_record(row, readers[row.id]) for row in rows]
    return [record for record in records if slug is None or slug in record.feeds]


def _record(row: object, feeds: Iterable[str]) -> SourceRecord:
    values = {name: getattr(row, name) for name in SourceRecord.__dataclass_fields__ if name != "feeds"}
    values["state"] = SourceState(values["state"])
    return SourceRecord(**values, feeds=tuple(feeds))


def due_sources(tx: Tx, now: datetime) -> list[SourceRecord]:
    """Sources to be polled now: neither paused nor gone, and not only read by paused feeds."""
    resting = paused(tx)
    return [
        record
        for record in sources(tx)
        if record.state in (SourceState.OK, SourceState.ATTENTION)
        and (record.next_poll_at is None or not now < record.next_poll_at <= now + _LONGEST_WAIT)
        and not resting.issuperset(record.feeds)
    ]


def record_answer(
    tx: Tx, source_id: int, *, now: datetime, next_poll_at: datetime, etag: str, last_modified: str, settings_hash: str = ""
) -> None:
    """The source answered and could be read (or had not changed: then ``settings_hash`` stays)."""
    values = {"etag": etag, "last_modified": last_modified, "collected_at": now, "next_poll_at": next_poll_at}
    if settings_hash:
        values["settings_hash"] = settings_hash
    tx.execute(update(SourceRow).where(SourceRow.id == source_id).values(values))


def set_rule(tx: Tx, source_id: int, rule: str) -> None:
    """How the source was read the last time, for ``gazet status``."""
    tx.execute(update(SourceRow).where(SourceRow.id == source_id).values(rule=rule, state=SourceState.OK, reason="", failures=0))


def recovered(tx: Tx, source_id: int) -> None:
    """A source that failed answers again, with what it said the last time."""
    query = update(SourceRow).where(SourceRow.id == source_id, SourceRow.failures > 0)
    tx.execute(query.values(state=SourceState.OK, reason="", failures=0))


def record_failure(tx: Tx, source: SourceRecord, *, reason: str, gone: bool, now: datetime, again: timedelta) -> None:
    """The source needs attention; its items stay as they are."""
    state = SourceState.GONE if gone else SourceState.ATTENTION
    values = {"state": state, "reason": reason, "failures": source.failures + 1, "next_poll_at": now + again}
    tx.execute(update(SourceRow).where(SourceRow.id == source.id).values(values))


def lock_source(tx: Tx, source_id: int) -> None:
    """Two processes that collect the same source write one after the other, and the second knows what the first found."""
    tx.execute(select(SourceRow.id).where(SourceRow.id == source_id).with_for_update())


def orphans(tx: Tx, slugs: Iterable[str]) -> list[str]:
    """Feeds that have run but are not among these: their file is gone."""
    return list(tx.execute(select(FeedRow.slug).where(FeedRow.slug.not_in(list(slugs))).order_by(FeedRow.slug)).scalars())


def first_collect(tx: Tx, slug: str, source_id: int) -> bool:
    """Whether this feed has never read this source with success."""
    query = select(FeedSourceRow.collected_at).where(FeedSourceRow.feed == slug, FeedSourceRow.source_id == source_id)
    return tx.execute(query).scalar_one() is None


def mark_collected(tx: Tx, source_id: int, now: datetime) -> None:
    """Every feed that reads this source has had its first collect."""
    pairs = update(FeedSourceRow).where(FeedSourceRow.source_id == source_id, FeedSourceRow.collected_at.is_(None))
    tx.execute(pairs.where(FeedSourceRow.active).values(collected_at=now))
    tx.execute(update(SourceRow).where(SourceRow.id == source_id, SourceRow.hold_next).values(hold_next=False))
