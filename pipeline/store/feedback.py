"""What came back, and which delivery of ours it is about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, delete, exists, func, select, update

from pipeline.models import FeedbackDone, FeedbackKind, Weight
from pipeline.store import upsert
from pipeline.store.database import Tx
from pipeline.store.schema import (
    ConsentRow,
    DeliveryRow,
    EditionRow,
    FeedbackFolderRow,
    FeedbackRow,
    SubscriberRow,
    SubscriptionRow,
)
from pipeline.store.subscribers import fold

_NEWEST = 2_000
"""Deliveries to one address that a bounce may be about: five years of a daily digest."""


@dataclass(frozen=True, slots=True)
class Mailed:
    """A delivery that a mail may be about, with the address that it was sent to ("" once its person was erased)."""

    edition_id: int
    subscription_id: int
    subscriber_id: int
    address: str


@dataclass(frozen=True, slots=True)
class Feedback:
    """One row to be kept; ``about`` None: no delivery of ours is proven to be meant."""

    key: str
    at: datetime
    kind: FeedbackKind
    done: FeedbackDone
    weight: Weight = Weight.NONE
    status: str = ""
    reason: str = ""
    about: Mailed | None = None


@dataclass(frozen=True, slots=True)
class Noted:
    """What came back about a subscription, for a person to read. ``edition`` is its label."""

    at: datetime
    kind: FeedbackKind
    weight: Weight
    done: FeedbackDone
    reason: str
    subscription_id: int
    edition: str


def _mailed() -> Select[int, int, int, str]:
    columns = (DeliveryRow.edition_id, DeliveryRow.subscription_id, SubscriptionRow.subscriber_id, DeliveryRow.address)
    return select(*columns).join(SubscriptionRow, SubscriptionRow.id == DeliveryRow.subscription_id)


def delivery(tx: Tx, edition_id: int, subscription_id: int) -> Mailed | None:
    """The delivery of that edition to that subscription."""
    mine = _mailed().where(DeliveryRow.edition_id == edition_id, DeliveryRow.subscription_id == subscription_id)
    row = tx.execute(mine).first()
    return Mailed(*row) if row else None


def deliveries_of(tx: Tx, subscription_id: int) -> list[Mailed]:
    """The deliveries to a subscription, newest first."""
    query = _mailed().where(DeliveryRow.subscription_id == subscription_id)
    return [Mailed(*row) for row in tx.execute(query.order_by(DeliveryRow.id.desc()).limit(_NEWEST))]


def deliveries_to(tx: Tx, address: str) -> list[Mailed]:
    """The deliveries to a person with that address, newest first."""
    query = _mailed().join(SubscriberRow, SubscriberRow.id == SubscriptionRow.subscriber_id)
    query = query.where(SubscriberRow.folded == fold(address))
    return [Mailed(*row) for row in tx.execute(query.order_by(DeliveryRow.id.desc()).limit(_NEWEST))]


def known(tx: Tx, key: str) -> bool:
    """Whether the mail of that key was judged before."""
    return tx.execute(select(FeedbackRow.id).where(FeedbackRow.key == key)).first() is not None


def note(tx: Tx, one: Feedback) -> None:
    """Keep what was read, once."""
    values = {name: getattr(one, name) for name in ("key", "at", "kind", "weight", "done", "status", "reason")}
    about: dict[str, int | None] = {"subscription_id": None, "edition_id": None}
    if one.about is not None:
        about = {"subscription_id": one.about.subscription_id, "edition_id": one.about.edition_id}
    upsert.ignore(tx, FeedbackRow, [values | about])


def set_done(tx: Tx, key: str, done: FeedbackDone) -> None:
    """What that mail led to, which was known only once it was counted."""
    tx.execute(update(FeedbackRow).where(FeedbackRow.key == key).values(done=done))


def soft_bounces(tx: Tx, subscriber_id: int, since: datetime) -> list[datetime]:
    """When each edition of late came back softly from this person, oldest first; each counts once, at its first time.

    What came before the person last joined, or came back, does not count any more.
    """
    joined = exists().where(
        ConsentRow.subscription_id == FeedbackRow.subscription_id,
        ConsentRow.action == "joined",
        ConsentRow.at > FeedbackRow.at,
    )
    query = select(func.min(FeedbackRow.at)).join(SubscriptionRow, SubscriptionRow.id == FeedbackRow.subscription_id)
    soft = (FeedbackRow.weight == Weight.SOFT, FeedbackRow.kind == FeedbackKind.BOUNCE, FeedbackRow.at >= since, ~joined)
    query = query.where(SubscriptionRow.subscriber_id == subscriber_id, *soft).group_by(FeedbackRow.edition_id)
    return sorted(moment for moment in tx.execute(query).scalars() if moment is not None)


def any_since(tx: Tx, weight: Weight, since: datetime) -> bool:
    """Whether a proven bounce of that weight came since then."""
    which = (FeedbackRow.weight == weight, FeedbackRow.at >= since, FeedbackRow.subscription_id.is_not(None))
    return tx.execute(select(FeedbackRow.id).where(*which).limit(1)).first() is not None


def about(tx: Tx, subscription_ids: Sequence[int]) -> list[Noted]:
    """What came back about these subscriptions, oldest first."""
    columns = (FeedbackRow.at, FeedbackRow.kind, FeedbackRow.weight, FeedbackRow.done, FeedbackRow.reason)
    query = select(*columns, FeedbackRow.subscription_id, EditionRow.label)
    query = query.outerjoin(EditionRow, EditionRow.id == FeedbackRow.edition_id)
    query = query.where(FeedbackRow.subscription_id.in_(subscription_ids)).order_by(FeedbackRow.at, FeedbackRow.id)
    return [
        Noted(at, FeedbackKind(kind), Weight(weight), FeedbackDone(done), reason, subscription_id or 0, label or "")
        for at, kind, weight, done, reason, subscription_id, label in tx.execute(query)
    ]


def forget(tx: Tx, before: datetime) -> None:
    """What is older counts for nothing any more."""
    tx.execute(delete(FeedbackRow).where(FeedbackRow.at < before))


def position(tx: Tx, place: str) -> tuple[int, int]:
    """UIDVALIDITY and the last UID that is done with of an IMAP folder; (0, 0) for one never read."""
    columns = (FeedbackFolderRow.validity, FeedbackFolderRow.last_uid)
    row = tx.execute(select(*columns).where(FeedbackFolderRow.place == place)).first()
    return (row.validity, row.last_uid) if row else (0, 0)


def set_position(tx: Tx, place: str, position: tuple[int, int]) -> None:
    """Remember how far the folder has been read."""
    tx.execute(delete(FeedbackFolderRow).where(FeedbackFolderRow.place == place))
    values = {"place": place, "validity": position[0], "last_uid": position[1]}
    upsert.ignore(tx, FeedbackFolderRow, [values])
