"""What ran when, what needs a person, and what is known of the relays."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, insert, select, update

from pipeline.store import upsert
from pipeline.store.database import Tx
from pipeline.store.schema import ProblemRow, RecoveryRow, RelayRow, RunRow

BY_HAND = "paused by hand"
"""The reason of a relay that a person paused: nothing at all goes through it."""
_FLAPS = timedelta(days=1)
"""A problem that comes back sooner is the same one to whoever was told of it."""


@dataclass(frozen=True, slots=True)
class ProblemRecord:
    """Something that needs a person; ``reported_at`` None: said nowhere yet; ``mailed_at`` None: no alert told of it yet."""

    key: str
    what: str
    fix: str
    since: datetime
    reported_at: datetime | None
    mailed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class RecoveryRecord:
    """A problem that an alert mail told of and that is over."""

    key: str
    what: str
    mended_at: datetime


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One tick or job by hand; ``finished_at`` None: it runs, or its process ended before it did."""

    id: int
    kind: str
    process: str
    started_at: datetime
    finished_at: datetime | None
    detail: dict[str, Any]


@dataclass(frozen=True, slots=True)
class RelayRecord:
    """What is remembered of a relay."""

    name: str
    paused: bool
    reason: str
    retry_at: datetime | None
    failures: int


def start(tx: Tx, kind: str, process: str, now: datetime) -> int:
    """Note that a run began; returns its id."""
    values = {"kind": kind, "process": process, "started_at": now, "detail": {}}
    return int(tx.execute(insert(RunRow).values(values).returning(RunRow.id)).scalar_one())


def finish(tx: Tx, run_id: int, now: datetime, detail: dict[str, Any]) -> None:
    """Note how it ended."""
    tx.execute(update(RunRow).where(RunRow.id == run_id).values(finished_at=now, detail=detail))


def last(tx: Tx, kind: str) -> RunRecord | None:
    """The latest run of a kind."""
    columns = [getattr(RunRow, name) for name in RunRecord.__dataclass_fields__]
    row = tx.execute(select(*columns).where(RunRow.kind == kind).order_by(RunRow.id.desc()).limit(1)).first()
    return RunRecord(**row._mapping) if row else None


def last_finished(tx: Tx, kind: str) -> RunRecord | None:
    """The latest run of a kind that came to its end: only such a one has a ``detail``."""
    columns = [getattr(RunRow, name) for name in RunRecord.__dataclass_fields__]
    ended = select(*columns).where(RunRow.kind == kind, RunRow.finished_at.is_not(None))
    row = tx.execute(ended.order_by(RunRow.id.desc()).limit(1)).first()
    return RunRecord(**row._mapping) if row else None


def prune(tx: Tx, before: datetime) -> None:
    """Forget runs that started before that moment."""
    tx.execute(delete(RunRow).where(RunRow.started_at < before))


def problem(tx: Tx, key: str, what: str, fix: str, now: datetime) -> None:
    """Something needs a person. A problem that is there already keeps ``since``; one that reads differently is said again.

    It is mailed once, however it reads: again only when it was over for longer than a day.
    """
    known = tx.execute(select(ProblemRow.what).where(ProblemRow.key == key)).scalar()
    if known is None:
        row = {"key": key, "what": what, "fix": fix, "since": now, "mailed_at": _back_again(tx, key, now)}
        upsert.ignore(tx, ProblemRow, [row])
        return
    values: dict[str, Any] = {"what": what, "fix": fix} | ({} if known == what else {"reported_at": None})
    tx.execute(update(ProblemRow).where(ProblemRow.key == key).values(values))


def _back_again(tx: Tx, key: str, now: datetime) -> datetime | None:
    """When an alert told of this problem, if it was over for less than a day and no mail has said so: nobody needs another."""
    mended_at = tx.execute(delete(RecoveryRow).where(RecoveryRow.key == key).returning(RecoveryRow.mended_at)).scalar()
    return mended_at if mended_at is not None and now - mended_at < _FLAPS else None


def mended(tx: Tx, key: str, now: datetime) -> None:
    """The problem is over by itself; if an alert mail told of it, the next one says so."""
    mended_all(tx, [key], now)


def mended_all(tx: Tx, keys: Collection[str], now: datetime) -> None:
    """The same for several."""
    gone = delete(ProblemRow).where(ProblemRow.key.in_(keys))
    for key, what, mailed_at in tx.execute(gone.returning(ProblemRow.key, ProblemRow.what, ProblemRow.mailed_at)).all():
        if mailed_at is not None:
            upsert.ignore(tx, RecoveryRow, [{"key": key, "what": what, "mended_at": now}])


def forget(tx: Tx, key: str) -> None:
    """The problem needs nobody any more: a person acted on it, or it is history. No mail calls that a recovery."""
    tx.execute(delete(ProblemRow).where(ProblemRow.key == key))
    tx.execute(delete(RecoveryRow).where(RecoveryRow.key == key))


def forget_under(tx: Tx, prefix: str, still: set[str]) -> None:
    """Forget the problems whose key begins with ``prefix``, but for those in ``still``."""
    for record in problems(tx):
        if record.key.startswith(prefix) and record.key not in still:
            forget(tx, record.key)


def problems(tx: Tx) -> list[ProblemRecord]:
    """What needs a person now, oldest first."""
    columns = [getattr(ProblemRow, name) for name in ProblemRecord.__dataclass_fields__]
    return [ProblemRecord(*row) for row in tx.execute(select(*columns).order_by(ProblemRow.since, ProblemRow.key))]


def report(tx: Tx, now: datetime) -> list[ProblemRecord]:
    """The problems nobody was told of yet; from now on they count as told."""
    fresh = [record for record in problems(tx) if record.reported_at is None]
    keys = [record.key for record in fresh]
    tx.execute(update(ProblemRow).where(ProblemRow.key.in_(keys)).values(reported_at=now))
    return fresh


def mailed(tx: Tx, keys: Sequence[str], now: datetime) -> None:
    """An alert mail tells of these problems, and of everything that has recovered so far."""
    tx.execute(update(ProblemRow).where(ProblemRow.key.in_(keys)).values(mailed_at=now))
    tx.execute(delete(RecoveryRow))


def unmail(tx: Tx, mailed_at: datetime) -> None:
    """The alert mail of that moment reached nobody: what it told of is new, also what was mended since and may come back.

    Of what was mended nothing says which mail told of it, so all of that counts as untold: said twice is better than never.
    """
    tx.execute(update(ProblemRow).where(ProblemRow.mailed_at >= mailed_at).values(mailed_at=None))
    tx.execute(delete(RecoveryRow))


def recoveries(tx: Tx) -> list[RecoveryRecord]:
    """What was mailed as a problem and is over since, oldest first."""
    columns = (RecoveryRow.key, RecoveryRow.what, RecoveryRow.mended_at)
    return [RecoveryRecord(*row) for row in tx.execute(select(*columns).order_by(RecoveryRow.mended_at, RecoveryRow.key))]


def relay(tx: Tx, name: str) -> RelayRecord:
    """What is remembered of this relay; made when new."""
    upsert.ignore(tx, RelayRow, [{"name": name}])
    columns = [getattr(RelayRow, field) for field in RelayRecord.__dataclass_fields__]
    return RelayRecord(*tx.execute(select(*columns).where(RelayRow.name == name)).one())


def relays(tx: Tx) -> list[RelayRecord]:
    """All relays ever used or paused."""
    columns = [getattr(RelayRow, field) for field in RelayRecord.__dataclass_fields__]
    return [RelayRecord(*row) for row in tx.execute(select(*columns).order_by(RelayRow.name))]


def set_relay_paused(tx: Tx, name: str, paused: bool, reason: str = "") -> None:
    """A paused relay sends nothing until a person resumes it."""
    relay(tx, name)
    values = {"paused": paused, "reason": reason, "retry_at": None, "failures": 0}
    tx.execute(update(RelayRow).where(RelayRow.name == name).values(values))


def relay_failed(tx: Tx, name: str, reason: str, now: datetime) -> datetime:
    """The relay did not take anything; returns when it is tried again (1, 2, 4 … at most 30 minutes later)."""
    failures = relay(tx, name).failures + 1
    retry_at = now + timedelta(minutes=min(2 ** (failures - 1), 30))
    values = {"reason": reason, "retry_at": retry_at, "failures": failures}
    tx.execute(update(RelayRow).where(RelayRow.name == name).values(values))
    return retry_at


def relay_works(tx: Tx, name: str) -> None:
    """It took a message: whatever it said before is over."""
    query = update(RelayRow).where(RelayRow.name == name, RelayRow.failures > 0)
    tx.execute(query.values(reason="", retry_at=None, failures=0))
