"""Figures for whoever watches from outside: counts by state, and how late the oldest thing is. Nothing about a person."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import exists, func, select

from pipeline.models import OPEN_DELIVERIES, DeliveryStatus, EditionStatus, SourceState, SubscriptionStatus
from pipeline.store import runs, subscribers
from pipeline.store.database import Tx
from pipeline.store.schema import DeliveryRow, EditionRow, ProblemRow, ScheduleRow, SourceRow, SubscriptionRow
from pipeline.store.sources import due_sources


@dataclass(frozen=True, slots=True)
class Figures:
    """One look at the store. ``oldest_due_at``: the earliest moment for which something is still to be sent.

    ``oldest_poll_at``: the earliest at which a source should have been asked and was not.
    """

    oldest_due_at: datetime | None
    oldest_poll_at: datetime | None
    deliveries: dict[DeliveryStatus, int]
    sources: dict[SourceState, int]
    subscriptions: dict[str, dict[SubscriptionStatus, int]]
    last_tick_at: datetime | None
    problems: int


def figures(tx: Tx, now: datetime) -> Figures:
    """Everything at once, of one moment."""
    tick = runs.last(tx, "tick")
    return Figures(
        oldest_due_at=min(filter(None, (_oldest_open(tx), _oldest_slot(tx, now))), default=None),
        oldest_poll_at=min((at for one in due_sources(tx, now) if (at := one.next_poll_at) and at <= now), default=None),
        deliveries=_deliveries(tx),
        sources=_sources(tx),
        subscriptions=subscribers.counts(tx),
        last_tick_at=tick.started_at if tick else None,
        problems=tx.execute(select(func.count()).select_from(ProblemRow)).scalar_one(),
    )


def _oldest_open(tx: Tx) -> datetime | None:
    """Of editions that were not cancelled and have a delivery that is not at its end."""
    unfinished = exists().where(DeliveryRow.edition_id == EditionRow.id, DeliveryRow.status.in_(OPEN_DELIVERIES))
    query = select(func.min(EditionRow.due_at)).where(EditionRow.status != EditionStatus.CANCELLED, unfinished)
    return tx.execute(query).scalar()


def _oldest_slot(tx: Tx, now: datetime) -> datetime | None:
    """Of schedules that somebody active waits for and whose edition was not opened yet."""
    somebody = exists().where(SubscriptionRow.schedule_id == ScheduleRow.id, SubscriptionRow.status == SubscriptionStatus.ACTIVE)
    return tx.execute(select(func.min(ScheduleRow.next_due_at)).where(ScheduleRow.next_due_at <= now, somebody)).scalar()


def _deliveries(tx: Tx) -> dict[DeliveryStatus, int]:
    rows = tx.execute(select(DeliveryRow.status, func.count()).group_by(DeliveryRow.status))
    counted = {status: count for status, count in rows}  # noqa: C416 (rows are no pairs to mypy)
    return {status: counted.get(status, 0) for status in DeliveryStatus}


def _sources(tx: Tx) -> dict[SourceState, int]:
    rows = tx.execute(select(SourceRow.state, func.count()).group_by(SourceRow.state))
    counted = {state: count for state, count in rows}  # noqa: C416
    return {state: counted.get(state, 0) for state in SourceState}
