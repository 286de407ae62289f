"""Subscriptions that rest until a date: nothing is sent meanwhile, and nothing is lost (promise 4)."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import and_, literal, select, update

from pipeline.models import DeliveryStatus, SubscriptionStatus
from pipeline.store import deliveries, feeds, replay
from pipeline.store.database import Tx
from pipeline.store.schema import DeliveryRow, SubscriptionRow

REASON = "the subscription is snoozed: its items come in the first digest after that"
_SENT_TO = (SubscriptionStatus.ACTIVE, SubscriptionStatus.SNOOZED)


def snooze(tx: Tx, subscription_id: int, feed: str, until: datetime, now: datetime) -> None:
    """The subscription rests. What waits to be sent to it is cancelled, and its items come after that.

    Locks the feed, then deliveries, then the subscription: the order of whatever else moves cursors.
    """
    feeds.lock(tx, feed)
    _take_back(tx, subscription_id, now)
    values = {"status": SubscriptionStatus.SNOOZED, "snoozed_until": until, "changed_at": now}
    here = and_(SubscriptionRow.id == subscription_id, SubscriptionRow.status.in_(_SENT_TO))
    tx.execute(update(SubscriptionRow).where(here).values(values))


def _take_back(tx: Tx, subscription_id: int, now: datetime) -> None:
    """Newest first, so that the cursor goes back over all of them."""
    for identity in deliveries.waiting_for(tx, [subscription_id]):
        replay.put_back(tx, DeliveryRow.id == identity)
        deliveries.end(tx, [identity], DeliveryStatus.CANCELLED, REASON, now)


def end_snooze(tx: Tx, subscription_id: int, now: datetime) -> None:
    """It is sent to again from now on."""
    here = and_(SubscriptionRow.id == subscription_id, SubscriptionRow.status == SubscriptionStatus.SNOOZED)
    tx.execute(update(SubscriptionRow).where(here).values(_awake(now)))


def wake(tx: Tx, now: datetime) -> int:
    """Subscriptions whose rest is over are sent to again; returns how many."""
    resting = SubscriptionRow.status == literal(str(SubscriptionStatus.SNOOZED), literal_execute=True)
    over = and_(resting, SubscriptionRow.snoozed_until <= now)
    return int(tx.execute(update(SubscriptionRow).where(over).values(_awake(now))).rowcount)


def _awake(now: datetime) -> dict[str, object]:
    return {"status": SubscriptionStatus.ACTIVE, "snoozed_until": None, "changed_at": now}


def taken_back(tx: Tx, delivery_id: int) -> None:
    """A claimed delivery that was cancelled because its subscription rests: its items come after that."""
    replay.put_back(tx, and_(DeliveryRow.id == delivery_id, DeliveryRow.status == DeliveryStatus.CANCELLED))


def cursor_before_withheld(tx: Tx, subscription_id: int) -> int:
    """The subscription's cursor, back before a delivery that was suppressed because the person had left, if that was the last."""
    withheld = and_(DeliveryRow.subscription_id == subscription_id, DeliveryRow.status == DeliveryStatus.SUPPRESSED)
    replay.put_back(tx, withheld)
    return int(tx.execute(select(SubscriptionRow.settled_seq).where(SubscriptionRow.id == subscription_id)).scalar_one())
