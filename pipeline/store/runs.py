"""What ran when, what needs a person, and what is known of the relays."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, insert, select, update

from pipeline.store import upsert
from pipeline.store.database import Tx
from pipeline.store.schema import ProblemRow, RelayRow, RunRow


@dataclass(frozen=True, slots=True)
class ProblemRecord:
    """Something that needs a person; ``reported_at`` None: nobody was told yet."""

    key: str
    what: str
    fix: str
    since: datetime
    reported_at: datetime | None


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


def prune(tx: Tx, before: datetime) -> None:
    """Forget runs that started before that moment."""
    tx.execute(delete(RunRow).where(RunRow.started_at < before))


def problem(tx: Tx, key: str, what: str, fix: str, now: datetime) -> None:
    """Something needs a person. A problem that is there already keeps ``since``; one that reads differently is new."""
    row = tx.execute(select(ProblemRow.what).where(ProblemRow.key == key)).scalar()
    if row is None:
        upsert.ignore(tx, ProblemRow, [{"key": key, "what": what, "fix": fix, "since": now}])
        return
    values: dict[str, Any] = {"what": what, "fix": fix} | ({} if row == what else {"reported_at": None})
    tx.execute(update(ProblemRow).where(ProblemRow.key == key).values(values))


def mended(tx: Tx, key: str) -> None:
    """The problem is over."""
    tx.execute(delete(ProblemRow).where(ProblemRow.key == key))


def mended_under(tx: Tx, prefix: str, still: set[str]) -> None:
    """The problems whose key begins with ``prefix`` are over, but for those in ``still``."""
    for record in problems(tx):
        if record.key.startswith(prefix) and record.key not in still:
            mended(tx, record.key)


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
