"""What is sent, to whom, and what became of it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Boolean, ForeignKey, Index, Integer, LargeBinary, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from pipeline.models import DeliveryStatus, EditionStatus
from pipeline.store.schema.columns import EMPTY, Base, Id, new_id, one_of, only_where


class EditionRow(Base):
    """What one feed sends at one moment; everything a retry needs is frozen here or in its variants."""

    __tablename__ = "editions"
    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=False, default=new_id)
    feed: Mapped[str] = mapped_column(ForeignKey("feeds.slug"))
    due_at: Mapped[datetime]
    opened_at: Mapped[datetime]
    deadline_at: Mapped[datetime]
    label: Mapped[str] = mapped_column(String(100), unique=True)
    status: Mapped[str] = mapped_column(String(16), default=EditionStatus.SENDING)
    reason: Mapped[str] = mapped_column(Text, default="")
    base_url: Mapped[str] = mapped_column(Text)
    message_id_domain: Mapped[str] = mapped_column(Text)
    envelope_from: Mapped[str] = mapped_column(Text)
    unsubscribe_mail: Mapped[str] = mapped_column(Text)
    uncertain: Mapped[str] = mapped_column(String(8))
    audience: Mapped[int] = mapped_column(Integer)
    dkim: Mapped[str] = mapped_column(Text, default="", server_default=EMPTY)
    __table_args__ = (UniqueConstraint("feed", "due_at"), one_of("status", EditionStatus))


class VariantRow(Base):
    """The bytes of an edition for one content, language and format; never rendered again."""

    __tablename__ = "variants"
    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=False, default=new_id)
    edition_id: Mapped[int] = mapped_column(Id, ForeignKey("editions.id"))
    content_key: Mapped[str] = mapped_column(String(64))
    items: Mapped[list[Any]]
    more: Mapped[int] = mapped_column(Integer)
    language: Mapped[str] = mapped_column(String(35))
    format: Mapped[str] = mapped_column(String(8))
    subject: Mapped[str] = mapped_column(Text)
    html: Mapped[str] = mapped_column(Text)
    bytes: Mapped[bytes]
    archived: Mapped[bool] = mapped_column(Boolean, default=False)
    __table_args__ = (UniqueConstraint("edition_id", "content_key"),)


class DeliveryRow(Base):
    """One edition to one subscription, with the name and address as frozen at opening."""

    __tablename__ = "deliveries"
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    edition_id: Mapped[int] = mapped_column(Id, ForeignKey("editions.id"))
    subscription_id: Mapped[int] = mapped_column(Id, ForeignKey("subscriptions.id"), index=True)
    variant_id: Mapped[int] = mapped_column(Id, ForeignKey("variants.id"))
    from_seq: Mapped[int] = mapped_column(Integer)
    to_seq: Mapped[int] = mapped_column(Integer)
    address: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    relay: Mapped[str] = mapped_column(String(64), default="")
    status: Mapped[str] = mapped_column(String(16), default=DeliveryStatus.QUEUED)
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    next_at: Mapped[datetime | None]
    lease: Mapped[str] = mapped_column(Text, default="")
    lease_until: Mapped[datetime | None]
    reply: Mapped[str] = mapped_column(Text, default="")
    uncertain_at: Mapped[datetime | None]
    changed_at: Mapped[datetime | None]
    __table_args__ = (
        UniqueConstraint("edition_id", "subscription_id"),
        one_of("status", DeliveryStatus),
        Index("ix_deliveries_edition_status", "edition_id", "status"),
        # A claim walks these from the front. Ordered by more than the id: else PostgreSQL may walk the primary key instead,
        # over all that was sent before (17 ms a claim among 100,000).
        Index("ix_deliveries_queued", "edition_id", "variant_id", "id", **only_where("status = 'queued'")),
        Index("ix_deliveries_deferred", "edition_id", "next_at", "id", **only_where("status = 'deferred'")),
        Index("ix_deliveries_sending", "id", **only_where("status = 'sending'")),
        Index("ix_deliveries_uncertain", "uncertain_at", **only_where("uncertain_at IS NOT NULL")),
    )


class NoticeRow(Base):
    """A single mail that is no edition, its bytes frozen; ``dedupe_key`` makes asking twice harmless."""

    __tablename__ = "notices"
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    kind: Mapped[str] = mapped_column(String(32))
    recipient: Mapped[str] = mapped_column(Text)
    dedupe_key: Mapped[str] = mapped_column(Text, unique=True)
    status: Mapped[str] = mapped_column(String(16), default=DeliveryStatus.QUEUED)
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    next_at: Mapped[datetime | None]
    lease: Mapped[str] = mapped_column(Text, default="")
    lease_until: Mapped[datetime | None]
    sender: Mapped[str] = mapped_column(Text, default="", server_default=EMPTY)
    message: Mapped[bytes] = mapped_column(LargeBinary, default=b"", server_default=EMPTY)
    relay: Mapped[str] = mapped_column(String(64), default="", server_default=EMPTY)
    reply: Mapped[str] = mapped_column(Text, default="", server_default=EMPTY)
    created_at: Mapped[datetime | None]
    deadline_at: Mapped[datetime | None]
    changed_at: Mapped[datetime | None]
    __table_args__ = (one_of("status", DeliveryStatus),)


class RelayRow(Base):
    """What is remembered of a relay: paused with a reason, unreachable until, tested with which settings."""

    __tablename__ = "relays"
    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    paused: Mapped[bool] = mapped_column(Boolean, default=False)
    reason: Mapped[str] = mapped_column(Text, default="")
    retry_at: Mapped[datetime | None]
    failures: Mapped[int] = mapped_column(Integer, default=0)
    tested_settings_hash: Mapped[str] = mapped_column(String(64), default="")
    tested_at: Mapped[datetime | None]
