"""Addresses that are never written to again, as keyed hashes: who is on the list cannot be read from it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, update

from pipeline.store import subscribers
from pipeline.store.database import Tx
from pipeline.store.schema import SuppressionRow


@dataclass(frozen=True, slots=True)
class Suppression:
    """One entry of the list."""

    address_hash: str
    reason: str
    created_at: datetime


def listed(tx: Tx) -> list[Suppression]:
    """All of them, oldest first."""
    columns = (SuppressionRow.address_hash, SuppressionRow.reason, SuppressionRow.created_at)
    return [Suppression(*row) for row in tx.execute(select(*columns).order_by(SuppressionRow.created_at, columns[0]))]


def find(tx: Tx, address_hash: str) -> Suppression | None:
    """The entry of that hash."""
    columns = (SuppressionRow.address_hash, SuppressionRow.reason, SuppressionRow.created_at)
    row = tx.execute(select(*columns).where(SuppressionRow.address_hash == address_hash)).first()
    return Suppression(*row) if row else None


def set_reason(tx: Tx, address_hash: str, reason: str, now: datetime) -> None:
    """On the list for this reason, whatever the reason was before."""
    subscribers.suppress(tx, address_hash, reason, now)
    tx.execute(update(SuppressionRow).where(SuppressionRow.address_hash == address_hash).values(reason=reason, created_at=now))


def remove(tx: Tx, address_hash: str) -> bool:
    """Off the list; whether it was on it."""
    there = find(tx, address_hash) is not None
    if there:
        subscribers.lift(tx, address_hash)
    return there
