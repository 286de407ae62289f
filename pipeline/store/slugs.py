"""A feed that got another name: its rows move to the new slug as they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sqlalchemy import Column, delete, insert, select, update

from pipeline.store.database import Tx
from pipeline.store.schema import Base, EditionRow, FeedRow, SubscriptionRow


def known(tx: Tx, slugs: Iterable[str]) -> set[str]:
    """Which of these have a row."""
    wanted = list(slugs)
    return set(tx.execute(select(FeedRow.slug).where(FeedRow.slug.in_(wanted))).scalars()) if wanted else set()


def in_use(tx: Tx, slug: str) -> bool:
    """Whether anybody ever subscribed to it or was written to: then its numbers mean something to a person."""
    people = select(SubscriptionRow.id).where(SubscriptionRow.feed == slug).limit(1)
    sent = select(EditionRow.id).where(EditionRow.feed == slug).limit(1)
    return tx.execute(people).first() is not None or tx.execute(sent).first() is not None


def rename(tx: Tx, old: str, new: str) -> None:
    """Move everything of ``old`` to ``new``, which has no row: numbers, subscriptions, schedules, editions, what is published."""
    row = tx.execute(select(FeedRow.__table__).where(FeedRow.slug == old).with_for_update()).first()
    if row is None:  # another process has moved it meanwhile
        return
    tx.execute(insert(FeedRow).values({**row._mapping, "slug": new}))  # before its children, whose foreign keys are checked at once
    for column in _children():
        tx.execute(update(column.table).where(column == old).values({column.name: new}))
    tx.execute(delete(FeedRow).where(FeedRow.slug == old))


def remove(tx: Tx, slug: str) -> None:
    """Delete the rows of a feed that is not ``in_use``; items stay, they may be in other feeds, too."""
    for column in _children():
        tx.execute(delete(column.table).where(column == slug))
    tx.execute(delete(FeedRow).where(FeedRow.slug == slug))


def _children() -> Iterator[Column[str]]:
    """Every column that names a feed."""
    slug = FeedRow.__table__.c.slug
    for table in Base.metadata.sorted_tables:
        yield from (column for column in table.columns if any(key.column is slug for key in column.foreign_keys))
