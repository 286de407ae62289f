"""Sources as rows: what was asked and answered, how each is best read, when it is asked again and why, what it showed before."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, delete, insert, or_, select, update

from pipeline.models import SourceKind, SourceState, Way
from pipeline.store import feeds
from pipeline.store.database import Tx
from pipeline.store.schema import FeedSourceRow, PollRow, SourceRow

_LONGEST_WAIT = timedelta(days=8)
"""No poll is ever put off for longer (``every`` and Retry-After end at a week): such a row is of a clock that was ahead."""
_READINGS = 20
_ARRIVALS = 40
_PRUNED_EVERY = 16


@dataclass(frozen=True, slots=True)
class SourceRecord:
    """What the store knows of a source (see ``schema.SourceRow``); ``feeds`` read it now, ``new_feeds`` have never done so yet."""

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
    way_kind: str
    way_url: str
    way_reason: str
    way_at: datetime | None
    given_by: str
    moved_to: str
    moved_at: datetime | None
    why: str
    whole_at: datetime | None
    body_hash: str
    repeats: int
    hints: dict[str, Any] | None
    feeds: tuple[str, ...]
    new_feeds: tuple[str, ...]

    @property
    def way(self) -> Way | None:
        """How it was found that it is best read, None where that is to be looked for."""
        return self.last_way if self.way_at else None

    @property
    def last_way(self) -> Way | None:
        """The same, or the one that it was before it failed."""
        return Way(SourceKind(self.way_kind), self.way_url, self.way_reason) if self.way_url else None


_COLUMNS = [getattr(SourceRow, name) for name in SourceRecord.__dataclass_fields__ if name not in ("feeds", "new_feeds")]


@dataclass(frozen=True, slots=True)
class Answer:
    """What the source said to the last request, as the next one needs it; ``given_by``: the address that gave the validators."""

    collected_at: datetime
    next_poll_at: datetime
    why: str
    etag: str
    last_modified: str
    body_hash: str
    repeats: int
    whole_at: datetime | None
    given_by: str = ""
    moved_to: str = ""
    moved_at: datetime | None = None
    hints: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class PollRecord:
    """What one reading of a source found; ``outcome`` read or held."""

    at: datetime
    outcome: str
    status: int
    found: int
    new: int
    dated: int
    titles: int
    newest_at: datetime | None
    fingerprint: str


def sources(tx: Tx, slug: str | None = None) -> list[SourceRecord]:
    """The sources in force, of one feed or of all, by id."""
    readers = _readers(tx)
    rows = tx.execute(select(*_COLUMNS).where(SourceRow.id.in_(select(FeedSourceRow.source_id).where(FeedSourceRow.active))))
    records = [_record(row, readers[row.id]) for row in sorted(rows, key=lambda row: int(row.id))]
    return [record for record in records if slug is None or slug in record.feeds]


def _readers(tx: Tx, source_id: int | None = None) -> dict[int, dict[str, bool]]:
    """For each source, or for this one, the feeds that read it, and whether they ever have."""
    query = select(FeedSourceRow.source_id, FeedSourceRow.feed, FeedSourceRow.collected_at).where(FeedSourceRow.active)
    if source_id is not None:
        query = query.where(FeedSourceRow.source_id == source_id)
    readers: dict[int, dict[str, bool]] = {}
    for source_id, feed, collected_at in tx.execute(query.order_by(FeedSourceRow.feed)):
        readers.setdefault(source_id, {})[feed] = collected_at is not None
    return readers


def _record(row: Any, readers: dict[str, bool]) -> SourceRecord:
    values = {column.key: getattr(row, column.key) for column in _COLUMNS}
    values["state"] = SourceState(values["state"])
    return SourceRecord(**values, feeds=tuple(readers), new_feeds=tuple(feed for feed, ever in readers.items() if not ever))


def due_sources(tx: Tx, now: datetime, without: Collection[int] = ()) -> list[SourceRecord]:
    """Sources to be polled now: neither paused nor gone, nor only read by paused feeds, nor among ``without``."""
    active = select(FeedSourceRow.source_id).where(FeedSourceRow.active)
    due = or_(SourceRow.next_poll_at.is_(None), SourceRow.next_poll_at <= now, SourceRow.next_poll_at > now + _LONGEST_WAIT)
    asked = SourceRow.state.in_((SourceState.OK, SourceState.ATTENTION))
    rows = tx.execute(select(*_COLUMNS).where(SourceRow.id.in_(active), due, asked).order_by(SourceRow.next_poll_at, SourceRow.id))
    wanted = [row for row in rows if row.id not in without]
    if not wanted:
        return []
    readers, resting = _readers(tx), feeds.paused(tx)
    return [_record(row, readers[row.id]) for row in wanted if not resting.issuperset(readers[row.id])]


def answered(tx: Tx, source_id: int, answer: Answer) -> None:
    """Note what the source answered though nothing was read of it."""
    _set(tx, source_id, **_values(answer))


def read(
    tx: Tx, source_id: int, answer: Answer, *, settings_hash: str, rule: str, oddity: str, way: Way | None, title: str = ""
) -> None:
    """Note what the source answered and how it was read; with an oddity a person should look at it. ``way``: found just now.

    ``title``: what it calls itself; where it does not say, what it said before stays.
    """
    values = _values(answer) | {"settings_hash": settings_hash, "rule": rule, "reason": oddity, "failures": 0}
    values["state"] = SourceState.ATTENTION if oddity else SourceState.OK
    if title:
        values["title"] = title
    if way is not None:
        values |= {"way_kind": way.kind, "way_url": way.url, "way_reason": way.reason, "way_at": answer.collected_at}
    _set(tx, source_id, **values)


def _values(answer: Answer) -> dict[str, Any]:
    values = {name: getattr(answer, name) for name in Answer.__dataclass_fields__}
    if answer.hints is None:
        del values["hints"]
    return values


_LASTING = [name for name in Answer.__dataclass_fields__ if name != "hints"]
_UNCHANGED = (
    update(SourceRow)
    .where(SourceRow.id == bindparam("which"))
    .values({name: bindparam(f"new_{name}", type_=SourceRow.__table__.columns[name].type) for name in _LASTING})
)


def unchanged(tx: Tx, answers: list[tuple[int, Answer]]) -> None:
    """The same for many sources that are well and had nothing new: one statement."""
    rows = [{f"new_{name}": getattr(answer, name) for name in _LASTING} | {"which": which} for which, answer in answers]
    tx.execute(_UNCHANGED, rows)


def odd(tx: Tx, source_id: int, rule: str, reason: str) -> None:
    """It was read, and a person should look at it: its items are taken nevertheless."""
    _set(tx, source_id, rule=rule, state=SourceState.ATTENTION, reason=reason, failures=0)


def believed(tx: Tx, source_id: int) -> None:
    """A person has decided on what it showed: nothing about it is odd any more. One that fails stays as it is."""
    odd_ones = update(SourceRow).where(SourceRow.id == source_id, SourceRow.state == SourceState.ATTENTION, SourceRow.failures == 0)
    tx.execute(odd_ones.values(state=SourceState.OK, reason=""))


def recovered(tx: Tx, source: SourceRecord) -> bool:
    """A source that failed answers again with what it said the last time; returns whether it is well now."""
    if source.failures:
        _set(tx, source.id, state=SourceState.OK, reason="", failures=0)
    return bool(source.failures) or source.state is SourceState.OK


def failed(tx: Tx, source: SourceRecord, *, reason: str, gone: bool, next_poll_at: datetime, why: str) -> None:
    """The source needs attention; its items stay as they are. After a failure no permanent redirect is relied upon."""
    state = SourceState.GONE if gone else SourceState.ATTENTION
    changes: dict[str, Any] = {"state": state, "reason": reason, "failures": source.failures + 1}
    _set(tx, source.id, next_poll_at=next_poll_at, why=why, moved_to="", moved_at=None, **changes)


def ask_now(tx: Tx, source_ids: Collection[int]) -> None:
    """They are due, also those that said that they are gone: a person wants to know."""
    due = update(SourceRow).where(SourceRow.id.in_(source_ids)).values(next_poll_at=None, why="asked for by hand")
    tx.execute(due)
    gone = update(SourceRow).where(SourceRow.id.in_(source_ids), SourceRow.state == SourceState.GONE)
    tx.execute(gone.values(state=SourceState.ATTENTION))


def ask_by(tx: Tx, source_id: int, moment: datetime) -> None:
    """It is due then, whatever was planned."""
    tx.execute(update(SourceRow).where(SourceRow.id == source_id).values(next_poll_at=moment))


def forget_way(tx: Tx, source_id: int) -> None:
    """The next collect looks for a way again, with a whole document.

    What it was stays beside ``way_at`` NULL: another one then makes that a source that is read in another way, and no new one.
    """
    _set(tx, source_id, way_at=None, etag="", last_modified="", body_hash="")


def _set(tx: Tx, source_id: int, **values: Any) -> None:
    tx.execute(update(SourceRow).where(SourceRow.id == source_id).values(values))


def lock(tx: Tx, source_id: int) -> None:
    """Two processes that write what belongs to a source do so one after the other."""
    tx.execute(select(SourceRow.id).where(SourceRow.id == source_id).with_for_update())


def locked(tx: Tx, source: SourceRecord) -> SourceRecord:
    """The source as it is under its lock: the second of two that collect it at once knows what the first found.

    Two processes on PostgreSQL; on SQLite a thread of an engine that was stopped, and the engine after it.
    """
    row = tx.execute(select(*_COLUMNS).where(SourceRow.id == source.id).with_for_update()).one()
    return _record(row, _readers(tx, source.id).get(source.id, {}))


def mark_collected(tx: Tx, source: SourceRecord, now: datetime) -> None:
    """Every feed that reads this source has had its first collect."""
    if source.new_feeds:
        pairs = update(FeedSourceRow).where(FeedSourceRow.source_id == source.id, FeedSourceRow.collected_at.is_(None))
        tx.execute(pairs.where(FeedSourceRow.active).values(collected_at=now))
    if source.hold_next:
        _set(tx, source.id, hold_next=False)


def add_poll(tx: Tx, source_id: int, poll: PollRecord) -> None:
    """Remember a reading; of each source the newest are kept, and of those that brought something new some more."""
    values = asdict(poll) | {"source_id": source_id}
    poll_id: int = tx.execute(insert(PollRow).values(values).returning(PollRow.id)).scalar_one()
    if poll_id % _PRUNED_EVERY == 0:
        mine = select(PollRow.id).where(PollRow.source_id == source_id).order_by(PollRow.id.desc())
        kept = [*tx.execute(mine.limit(_READINGS)).scalars(), *tx.execute(mine.where(PollRow.new > 0).limit(_ARRIVALS)).scalars()]
        tx.execute(delete(PollRow).where(PollRow.source_id == source_id, PollRow.id.not_in(kept)))


def polls(tx: Tx, source_id: int) -> tuple[list[PollRecord], list[PollRecord]]:
    """The newest readings of a source, and the newest that brought something new, newest first."""
    columns = [getattr(PollRow, name) for name in PollRecord.__dataclass_fields__]
    query = select(*columns).where(PollRow.source_id == source_id).order_by(PollRow.id.desc())
    readings = [PollRecord(*row) for row in tx.execute(query.limit(_READINGS))]
    arrivals = [PollRecord(*row) for row in tx.execute(query.where(PollRow.new > 0).limit(_ARRIVALS))]
    return readings, arrivals
