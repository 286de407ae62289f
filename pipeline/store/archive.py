"""Earlier editions as everybody may read them: those of which the variant for the archive was kept, and that were sent."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, exists, func, or_, select

from pipeline.models import DeliveryStatus, EditionStatus
from pipeline.store.database import Tx
from pipeline.store.numbers import parts
from pipeline.store.schema import DeliveryRow, EditionRow, FeedItemRow, ItemRow, VariantRow


@dataclass(frozen=True, slots=True)
class KeptEdition:
    """One edition of the archive. ``items``: the numbers that it shows, and ``more`` that it only counts."""

    id: int
    label: str
    due_at: datetime
    subject: str
    language: str
    items: tuple[int, ...]
    more: int

    @property
    def moment(self) -> str:
        """The second half of its label, by which it is addressed."""
        return self.label.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class KeptItem:
    """An item of an edition as it reads now; ``withdrawn_at`` None: it is still there."""

    seq: int
    title: str
    url: str
    language: str
    withdrawn_at: datetime | None


def count(tx: Tx, feed: str) -> int:
    """How many editions the archive of a feed shows."""
    return int(tx.execute(select(func.count()).select_from(_kept(feed).subquery())).scalar_one())


def page(tx: Tx, feed: str, start: int, length: int) -> list[KeptEdition]:
    """Editions of a feed, newest first, ``length`` of them after the first ``start``."""
    query = _kept(feed).order_by(EditionRow.due_at.desc(), EditionRow.id.desc())
    return [_edition(row) for row in tx.execute(query.offset(start).limit(length))]


def find(tx: Tx, feed: str, labels: Iterable[str]) -> tuple[KeptEdition, str] | None:
    """The edition with one of these labels, and the page of its variant; None where the archive has none."""
    row = tx.execute(_kept(feed).add_columns(VariantRow.html).where(EditionRow.label.in_(sorted(labels)))).first()
    return (_edition(row), row.html) if row else None


def beside(tx: Tx, feed: str, edition: KeptEdition) -> tuple[KeptEdition | None, KeptEdition | None]:
    """The edition before and the one after it."""
    before = _kept(feed).where(EditionRow.due_at < edition.due_at).order_by(EditionRow.due_at.desc()).limit(1)
    after = _kept(feed).where(EditionRow.due_at > edition.due_at).order_by(EditionRow.due_at).limit(1)
    found = [tx.execute(query).first() for query in (before, after)]
    return (_edition(found[0]) if found[0] else None, _edition(found[1]) if found[1] else None)


def _kept(feed: str) -> Select[Any]:
    """One that was cancelled counts where somebody got it before."""
    columns = (EditionRow.id, EditionRow.label, EditionRow.due_at)
    shown = (VariantRow.subject, VariantRow.language, VariantRow.items, VariantRow.more)
    query = select(*columns, *shown).join(VariantRow, and_(VariantRow.edition_id == EditionRow.id, VariantRow.archived))
    return query.where(EditionRow.feed == feed, _was_sent())


def _was_sent() -> ColumnElement[bool]:
    got = exists().where(DeliveryRow.edition_id == EditionRow.id, DeliveryRow.status == DeliveryStatus.ACCEPTED)
    return or_(EditionRow.status != EditionStatus.CANCELLED, got)


def _edition(row: Any) -> KeptEdition:
    return KeptEdition(row.id, row.label, row.due_at, row.subject, row.language, tuple(row.items), row.more)


def items_of(tx: Tx, feed: str, numbers: Collection[int]) -> dict[int, KeptItem]:
    """The items with these numbers as they read now, by number; one that was discarded for good is not among them."""
    columns = (ItemRow.title, ItemRow.url, ItemRow.language)
    query = select(FeedItemRow.seq, *columns, FeedItemRow.withdrawn_at).join(ItemRow, ItemRow.id == FeedItemRow.item_id)
    query = query.where(FeedItemRow.feed == feed)
    rows = (row for part in parts(numbers) for row in tx.execute(query.where(FeedItemRow.seq.in_(part))))
    return {row.seq: KeptItem(*row) for row in rows}


def showing(tx: Tx, item_id: int) -> list[tuple[int, str]]:
    """Id and label of the editions that show an item in any variant, oldest first."""
    places = select(FeedItemRow.feed, FeedItemRow.seq, FeedItemRow.released_at).where(FeedItemRow.item_id == item_id)
    found: dict[int, str] = {}
    for feed, seq, released_at in tx.execute(places).all():
        query = select(EditionRow.id, EditionRow.label, VariantRow.items).join(VariantRow, VariantRow.edition_id == EditionRow.id)
        query = query.where(EditionRow.feed == feed, EditionRow.opened_at >= released_at, _was_sent())
        rows = tx.execute(query.order_by(EditionRow.due_at, EditionRow.id))
        found |= {row.id: row.label for row in rows if seq in row.items}
    return list(found.items())
