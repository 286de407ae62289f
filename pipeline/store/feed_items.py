"""The items of a feed by their numbers: given on release, shown by the feed, decided by digests (promise 4)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Select, and_, delete, func, insert, select, update

from pipeline.models import (
    Attachment,
    Credit,
    FeedItem,
    Image,
    Item,
    ItemStatus,
    Precision,
    SourceKind,
    SubscriptionStatus,
)
from pipeline.store import feeds, numbers
from pipeline.store.database import Tx
from pipeline.store.numbers import parts
from pipeline.store.schema import (
    DeliveryRow,
    EditionRow,
    FeedItemRow,
    ItemRow,
    SourceRow,
    SubscriptionRow,
)

_PLAIN = ("id", "identity", "url", "title", "kicker", "summary", "content_html", "published_at", "updated_at", "first_seen_at")


def release(tx: Tx, slug: str, item_ids: Sequence[int], mailed: set[int], now: datetime) -> None:
    """Give the items the next numbers of the feed, in this order, under the feed's row lock.

    After a restore an item that had a number before gets it again: whoever has had it is not mailed it anew (promise 11).
    """
    if not item_ids:
        return
    first = feeds.lock(tx, slug).next_seq
    former = numbers.former(tx, slug, item_ids)
    fresh = [item_id for item_id in item_ids if item_id not in former]
    given = former | {item_id: first + index for index, item_id in enumerate(fresh)}
    rows = [
        {"feed": slug, "seq": given[item_id], "item_id": item_id, "mailed": item_id in mailed, "released_at": now}
        for item_id in item_ids
    ]
    tx.execute(insert(FeedItemRow), rows)
    feeds.set_next_seq(tx, slug, first + len(fresh))
    numbers.put_on_record(tx, slug, given)


def mailable_after(tx: Tx, slug: str, seq: int, *, up_to: int) -> list[FeedItem]:
    """The feed's released items for digests, numbered above ``seq`` and at most ``up_to``, in that order.

    Without ``content_html``, which no digest shows: a reader of a rare topic may be thousands of items behind.
    """
    query = _feed_items(slug, bodies=False).where(FeedItemRow.mailed, FeedItemRow.seq > seq, FeedItemRow.seq <= up_to)
    return [_feed_item(row) for row in tx.execute(query.order_by(FeedItemRow.seq))]


def newest(tx: Tx, slug: str, count: int) -> list[FeedItem]:
    """The feed's last released items, newest first by date; numbers decide which ones belong."""
    rows = tx.execute(_feed_items(slug).order_by(FeedItemRow.seq.desc()).limit(count))
    return in_order(_feed_item(row) for row in rows)


def numbered(tx: Tx, slug: str, numbers: Collection[int]) -> dict[int, FeedItem]:
    """The released items of the feed with these numbers, by number."""
    query = _feed_items(slug)
    return {row.seq: _feed_item(row) for part in parts(numbers) for row in tx.execute(query.where(FeedItemRow.seq.in_(part)))}


def in_order(listed: Iterable[FeedItem]) -> list[FeedItem]:
    """As feeds show them: newest first by date."""
    return sorted(listed, key=lambda one: (one.item.published_at, one.seq), reverse=True)


def seq_before_newest_mailed(tx: Tx, slug: str, count: int) -> int:
    """The cursor of a new subscription: just before the latest ``count`` mailable items (promise 4)."""
    top = feeds.state(tx, slug).next_seq - 1
    if count == 0:
        return top
    query = select(FeedItemRow.seq).join(ItemRow, ItemRow.id == FeedItemRow.item_id)
    query = query.where(FeedItemRow.feed == slug, FeedItemRow.mailed, ItemRow.status == ItemStatus.RELEASED)
    latest = tx.execute(query.order_by(FeedItemRow.seq.desc()).limit(count)).scalars().all()
    return min(latest) - 1 if latest else top


def _feed_items(slug: str, *, bodies: bool = True) -> Select[Any]:
    columns = [column for column in ItemRow.__table__.columns if bodies or column.name != "content_html"]
    source = (SourceRow.title.label("source_title"), SourceRow.url.label("source_url"), SourceRow.way_kind)
    query = select(FeedItemRow.seq, FeedItemRow.mailed, FeedItemRow.released_at, *source, *columns)
    query = query.join(ItemRow, ItemRow.id == FeedItemRow.item_id).join(SourceRow, SourceRow.id == ItemRow.source_id)
    shown = and_(FeedItemRow.withdrawn_at.is_(None), ItemRow.status == ItemStatus.RELEASED, ItemRow.title != "")
    return query.where(FeedItemRow.feed == slug, shown)


def _feed_item(row: Any) -> FeedItem:
    plain: dict[str, Any] = {name: getattr(row, name, "") for name in _PLAIN}
    item = Item(
        **plain,
        published_precision=Precision(row.published_precision),
        authors=tuple(row.authors),
        categories=tuple(row.categories),
        image=Image(**row.image) if row.image else None,
        attachments=tuple(Attachment(**values) for values in row.attachments),
        language=row.language,
        status=ItemStatus(row.status),
        content_hash=row.content_hash,
    )
    credit = Credit(row.source_title, row.source_url, row.way_kind == SourceKind.FEED)
    return FeedItem(seq=row.seq, mailed=row.mailed, released_at=row.released_at, item=item, credit=credit)


def covered_by(tx: Tx, item_id: int, slug: str = "") -> str | None:
    """The label of an edition (of that feed) that has decided this item for somebody, if there is one."""
    query = select(EditionRow.label).join(DeliveryRow, DeliveryRow.edition_id == EditionRow.id)
    query = query.join(FeedItemRow, FeedItemRow.feed == EditionRow.feed)
    query = query.where(
        FeedItemRow.item_id == item_id, DeliveryRow.from_seq < FeedItemRow.seq, DeliveryRow.to_seq >= FeedItemRow.seq
    )
    return tx.execute((query.where(FeedItemRow.feed == slug) if slug else query).limit(1)).scalar()


def numbers_of(tx: Tx, item_id: int) -> dict[str, int]:
    """The item's number in each feed that shows it or has shown it."""
    query = select(FeedItemRow.feed, FeedItemRow.seq).where(FeedItemRow.item_id == item_id).order_by(FeedItemRow.feed)
    return {row.feed: row.seq for row in tx.execute(query)}


def somebody_waits(tx: Tx, slug: str, seq: int) -> bool:
    """Whether this number is still to be decided for an active subscription."""
    waiting = and_(SubscriptionRow.feed == slug, SubscriptionRow.settled_seq < seq)
    active = SubscriptionRow.status == SubscriptionStatus.ACTIVE
    return tx.execute(select(SubscriptionRow.id).where(waiting, active).limit(1)).first() is not None


def set_mailed(tx: Tx, slug: str, item_id: int, mailed: bool) -> None:
    """Whether digests that are yet to be opened may show the item; its feed shows it in any case."""
    mine = and_(FeedItemRow.feed == slug, FeedItemRow.item_id == item_id)
    tx.execute(update(FeedItemRow).where(mine).values(mailed=mailed))


def forget_numbers(tx: Tx, item_id: int) -> None:
    """A held item gives its numbers back; they are never given to another (``next_seq`` only grows)."""
    tx.execute(delete(FeedItemRow).where(FeedItemRow.item_id == item_id))


def count_in(tx: Tx, slug: str) -> int:
    """How many items the feed shows or has shown, withdrawn ones left out."""
    query = select(func.count()).select_from(FeedItemRow).where(FeedItemRow.feed == slug, FeedItemRow.withdrawn_at.is_(None))
    return int(tx.execute(query).scalar_one())
