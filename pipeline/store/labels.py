"""By what the items of a feed are taken into feeds of its parts: their topics, categories and sources."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import and_, select

from pipeline.models import ItemStatus
from pipeline.store.database import Tx
from pipeline.store.schema import FeedItemRow, ItemOriginRow, ItemRow, SourceRow


@dataclass(frozen=True, slots=True)
class Labels:
    """Those of one item: its number in the feed, and the addresses of all sources that brought it."""

    seq: int
    categories: tuple[str, ...]
    kicker: str
    sources: tuple[str, ...] = ()


def newest(tx: Tx, slug: str, count: int, *, sources: bool) -> list[Labels]:
    """Of the feed's last released items, the highest number first; with their sources where that is asked for."""
    shown = and_(FeedItemRow.withdrawn_at.is_(None), ItemRow.status == ItemStatus.RELEASED, ItemRow.title != "")
    query = select(FeedItemRow.seq, FeedItemRow.item_id, ItemRow.categories, ItemRow.kicker)
    query = query.join(ItemRow, ItemRow.id == FeedItemRow.item_id).where(FeedItemRow.feed == slug, shown)
    rows = tx.execute(query.order_by(FeedItemRow.seq.desc()).limit(count)).all()
    brought = _sources(tx, slug, min((row.seq for row in rows), default=0)) if sources else {}
    return [Labels(row.seq, tuple(row.categories), row.kicker, tuple(brought.get(row.item_id, ()))) for row in rows]


def _sources(tx: Tx, slug: str, first: int) -> dict[int, list[str]]:
    query = select(ItemOriginRow.item_id, SourceRow.url).distinct().join(SourceRow, SourceRow.id == ItemOriginRow.source_id)
    query = query.join(FeedItemRow, FeedItemRow.item_id == ItemOriginRow.item_id)
    query = query.where(FeedItemRow.feed == slug, FeedItemRow.seq >= first).order_by(ItemOriginRow.item_id, SourceRow.url)
    found: dict[int, list[str]] = {}
    for item_id, url in tx.execute(query):
        found.setdefault(item_id, []).append(url)
    return found


def titles(tx: Tx, urls: list[str]) -> dict[str, str]:
    """What these sources call themselves, by address; those that have not been read yet are not among them."""
    query = select(SourceRow.url, SourceRow.title).where(SourceRow.url.in_(urls), SourceRow.title != "")
    return {row.url: row.title for row in tx.execute(query)}
