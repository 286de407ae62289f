"""What came back: bounces, complaints and unsubscribes by mail, and how far a folder has been read."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from pipeline.models import FeedbackDone, FeedbackKind, Weight
from pipeline.store.schema.columns import EMPTY, Base, Id, one_of


class FeedbackRow(Base):
    """One mail that was read, or one recipient named in it. ``key`` is made of the mail's bytes, so none counts twice.

    ``subscription_id`` and ``edition_id`` are set where the mail proves which delivery of ours it is about.
    """

    __tablename__ = "feedback"
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    key: Mapped[str] = mapped_column(String(80), unique=True)
    at: Mapped[datetime] = mapped_column(index=True)
    kind: Mapped[str] = mapped_column(String(16))
    weight: Mapped[str] = mapped_column(String(8))
    done: Mapped[str] = mapped_column(String(16))
    status: Mapped[str] = mapped_column(String(16), server_default=EMPTY, default="")
    reason: Mapped[str] = mapped_column(Text, server_default=EMPTY, default="")
    subscription_id: Mapped[int | None] = mapped_column(Id, ForeignKey("subscriptions.id"))
    edition_id: Mapped[int | None] = mapped_column(Id, ForeignKey("editions.id"))
    __table_args__ = (
        one_of("kind", FeedbackKind),
        one_of("weight", Weight),
        one_of("done", FeedbackDone),
        Index("ix_feedback_subscription", "subscription_id", "at"),
    )


class FeedbackFolderRow(Base):
    """How far an IMAP folder has been read: the highest UID that is done with, while UIDVALIDITY is this (RFC 3501 §2.3.1.1)."""

    __tablename__ = "feedback_folders"
    place: Mapped[str] = mapped_column(String(64), primary_key=True)
    validity: Mapped[int] = mapped_column(BigInteger)
    last_uid: Mapped[int] = mapped_column(BigInteger)
