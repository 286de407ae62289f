"""Who gets what, and when."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, Integer, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from pipeline.models import Cadence, SubscriptionStatus
from pipeline.store.schema.columns import Base, Id, new_id, one_of, only_where


class ScheduleRow(Base):
    """One row per rhythm and feed; ``next_due_at`` NULL for instant, which is due when an item is released."""

    __tablename__ = "schedules"
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    feed: Mapped[str] = mapped_column(ForeignKey("feeds.slug"))
    cadence: Mapped[str] = mapped_column(String(8))
    weekday: Mapped[int] = mapped_column(Integer)
    day: Mapped[int] = mapped_column(Integer)
    time: Mapped[str] = mapped_column(String(5))
    zone: Mapped[str] = mapped_column(String(64))
    next_due_at: Mapped[datetime | None] = mapped_column(index=True)
    __table_args__ = (UniqueConstraint("feed", "cadence", "weekday", "day", "time", "zone"), one_of("cadence", Cadence))


class ChoiceRow(Base):
    """What subscribers want, de-duplicated by ``hash``."""

    __tablename__ = "choices"
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    hash: Mapped[str] = mapped_column(String(64), unique=True)
    topics: Mapped[list[Any]]
    words: Mapped[list[Any]]
    language: Mapped[str] = mapped_column(String(35))
    format: Mapped[str] = mapped_column(String(8))


class SubscriberRow(Base):
    """A person's address; ``folded`` is what two spellings of one mailbox share."""

    __tablename__ = "subscribers"
    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=False, default=new_id)
    address: Mapped[str] = mapped_column(Text)
    folded: Mapped[str] = mapped_column(Text, unique=True)
    name: Mapped[str] = mapped_column(Text, default="")
    created_at: Mapped[datetime]


class SubscriptionRow(Base):
    """Subscriber × feed; all items up to ``settled_seq`` are decided for it."""

    __tablename__ = "subscriptions"
    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=False, default=new_id)
    subscriber_id: Mapped[int] = mapped_column(Id, ForeignKey("subscribers.id"))
    feed: Mapped[str] = mapped_column(ForeignKey("feeds.slug"))
    schedule_id: Mapped[int] = mapped_column(Id, ForeignKey("schedules.id"))
    choice_id: Mapped[int] = mapped_column(Id, ForeignKey("choices.id"))
    status: Mapped[str] = mapped_column(String(16))
    snoozed_until: Mapped[datetime | None]
    settled_seq: Mapped[int] = mapped_column(Integer)
    changed_at: Mapped[datetime]
    __table_args__ = (
        UniqueConstraint("subscriber_id", "feed"),
        one_of("status", SubscriptionStatus),
        # The group-by of an opening reads this index alone.
        Index("ix_subscriptions_due", "schedule_id", "status", "settled_seq", "choice_id"),
        # Who is woken is asked at every tick.
        Index("ix_subscriptions_snoozed", "snoozed_until", **only_where("status = 'snoozed'")),
    )


class SuppressionRow(Base):
    """An address that is never written to again, as a keyed hash, so that erasing a person keeps it."""

    __tablename__ = "suppressions"
    address_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    reason: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]


class ConsentRow(Base):
    """Append-only evidence of joining and leaving."""

    __tablename__ = "consents"
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    subscription_id: Mapped[int] = mapped_column(Id, ForeignKey("subscriptions.id"), index=True)
    at: Mapped[datetime]
    action: Mapped[str] = mapped_column(String(32))
    evidence: Mapped[str] = mapped_column(Text)
