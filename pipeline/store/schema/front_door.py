"""The tables behind what the public sees: sign-ups, published files beside a feed's own, and kept images."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Boolean, ForeignKey, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from pipeline.models import ImageState, PartKind, SignupStatus
from pipeline.store.schema.columns import Base, Id, new_id, one_of, only_where


class SignupRow(Base):
    """Somebody asked to subscribe; subscriptions are made of it once that is confirmed, and it is forgotten when it is not.

    ``mailbox`` is a keyed hash: with ``told_at`` it outlives the address, which is emptied, so that limits hold.
    ``feeds`` are slugs, ``wish`` the rhythm and choice asked for, and later what was made of it (``store.signups.Made``).
    ``evidence``: page and version of its wording; ``network`` is shortened. Whether a mail was due is decided later by a job,
    so that the web's answer tells nothing.
    """

    __tablename__ = "signups"
    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=False, default=new_id)
    address: Mapped[str] = mapped_column(Text)
    folded: Mapped[str] = mapped_column(Text, index=True)
    mailbox: Mapped[str] = mapped_column(String(64), index=True)
    name: Mapped[str] = mapped_column(Text)
    feeds: Mapped[list[Any]]
    wish: Mapped[dict[str, Any]]
    language: Mapped[str] = mapped_column(String(35))
    evidence: Mapped[dict[str, Any]]
    network: Mapped[str] = mapped_column(String(64))
    status: Mapped[str] = mapped_column(String(16))
    asked_at: Mapped[datetime] = mapped_column(index=True)
    told_at: Mapped[datetime | None]
    expires_at: Mapped[datetime]
    confirmed_at: Mapped[datetime | None]
    __table_args__ = (
        one_of("status", SignupStatus),
        Index("ix_signups_network", "network", "asked_at"),
        Index("ix_signups_asked", "id", **only_where("status = 'asked'")),
        Index("ix_signups_kept", "expires_at", **only_where("address <> ''")),
    )


class OutputRow(Base):
    """Published files beside a feed's own (one per topic, source or category), kept stable like those of ``FeedRow``.

    ``path``: below ``var/public``, without the extension. ``word``: by which items are taken, a folded topic or category or a
    source's address; whoever has a path keeps it. ``title``: as people read it.
    """

    __tablename__ = "outputs"
    path: Mapped[str] = mapped_column(Text, primary_key=True)
    feed: Mapped[str] = mapped_column(ForeignKey("feeds.slug"), index=True)
    kind: Mapped[str] = mapped_column(String(16))
    word: Mapped[str] = mapped_column(Text)
    title: Mapped[str] = mapped_column(Text)
    input_hash: Mapped[str] = mapped_column(String(64), default="")
    written_hash: Mapped[str] = mapped_column(String(64), default="")
    changed_at: Mapped[datetime | None]
    __table_args__ = (one_of("kind", PartKind),)


class ImageRow(Base):
    """An image that items name: ``waiting`` to be looked at, ``kept`` as ``file`` below ``var/public/media``, or ``failed``.

    ``key`` is the SHA-256 of its address; ``source_id`` the source that named it first. ``width`` and ``height`` in pixels and
    ``size`` in bytes are those of the copy, ``own_width`` and ``own_height`` the image's, 0 unknown. ``broken``: nobody is
    to be sent to it, or not now. ``used_at``: when a feed or a mail needed it last, to the day.
    """

    __tablename__ = "images"
    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    url: Mapped[str] = mapped_column(Text)
    source_id: Mapped[int] = mapped_column(Id, ForeignKey("sources.id"))
    state: Mapped[str] = mapped_column(String(8))
    file: Mapped[str] = mapped_column(Text, default="")
    media_type: Mapped[str] = mapped_column(String(64), default="")
    width: Mapped[int] = mapped_column(Integer, default=0)
    height: Mapped[int] = mapped_column(Integer, default=0)
    own_width: Mapped[int] = mapped_column(Integer, default=0)
    own_height: Mapped[int] = mapped_column(Integer, default=0)
    size: Mapped[int] = mapped_column(Integer, default=0)
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    next_at: Mapped[datetime | None]
    fetched_at: Mapped[datetime | None]
    used_at: Mapped[datetime]
    broken: Mapped[bool] = mapped_column(Boolean, default=False)
    reason: Mapped[str] = mapped_column(Text, default="")
    __table_args__ = (
        one_of("state", ImageState),
        Index("ix_images_waiting", "next_at", "key", **only_where("state = 'waiting'")),
        Index("ix_images_used", "used_at"),
    )
