"""How items read before they were changed."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import delete, func, insert, literal, select, update
from sqlalchemy.orm import aliased

from pipeline.models import PastVersion
from pipeline.store.database import Tx
from pipeline.store.numbers import parts
from pipeline.store.schema import ItemRow, UtcDateTime, VersionRow

KEPT = 20
_TEXTS = ("url", "title", "summary", "content_html", "content_hash")


def keep(tx: Tx, item_ids: Collection[int], now: datetime) -> None:
    """Before these items change: keep how they read. The newest 20 of each are kept."""
    last = select(func.coalesce(func.max(VersionRow.number), 0)).where(VersionRow.item_id == ItemRow.id).scalar_subquery()
    query = select(ItemRow.id, last + 1, literal(now, UtcDateTime()), *(getattr(ItemRow, name) for name in _TEXTS))
    other = aliased(VersionRow)
    newest = select(func.max(other.number)).where(other.item_id == VersionRow.item_id).scalar_subquery()
    for part in parts(sorted(item_ids)):
        tx.execute(insert(VersionRow).from_select(["item_id", "number", "until", *_TEXTS], query.where(ItemRow.id.in_(part))))
        tx.execute(delete(VersionRow).where(VersionRow.item_id.in_(part), VersionRow.number <= newest - KEPT))


def since(tx: Tx, item_ids: Collection[int], moment: datetime) -> dict[int, list[PastVersion]]:
    """How these items read until some time after ``moment``, oldest first."""
    found: dict[int, list[PastVersion]] = {}
    query = select(VersionRow).where(VersionRow.until >= moment).order_by(VersionRow.item_id, VersionRow.number)
    columns = [getattr(VersionRow, name) for name in ("item_id", "number", "until", *_TEXTS)]
    for part in parts(sorted(item_ids)):
        for item_id, *values in tx.execute(query.with_only_columns(*columns).where(VersionRow.item_id.in_(part))):
            found.setdefault(item_id, []).append(PastVersion(*values))
    return found


def present(tx: Tx, item_ids: Collection[int]) -> dict[int, PastVersion]:
    """How these items read now; ``number`` 0, ``until`` their last update."""
    columns = [ItemRow.id, literal(0), ItemRow.updated_at, *(getattr(ItemRow, name) for name in _TEXTS)]
    rows = (row for part in parts(sorted(item_ids)) for row in tx.execute(select(*columns).where(ItemRow.id.in_(part))))
    return {item_id: PastVersion(*values) for item_id, *values in rows}


def bring_back(tx: Tx, item_id: int, moment: datetime, now: datetime) -> bool:
    """Let the item read as it did just before that moment; whether it reads differently now."""
    before = min(since(tx, [item_id], moment).get(item_id, ()), key=lambda one: one.number, default=None)
    if before is None:
        return False
    keep(tx, [item_id], now)
    values = {name: getattr(before, name) for name in _TEXTS}
    tx.execute(update(ItemRow).where(ItemRow.id == item_id).values(**values, updated_at=now))
    return True
