"""The site, its feeds, and the numbers of items in them."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Boolean, ForeignKey, Integer, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from pipeline.store.schema.columns import EMPTY, Base, Id


class SiteRow(Base):
    """One row, id 1."""

    __tablename__ = "site"
    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    paused: Mapped[bool] = mapped_column(Boolean, default=False)
    answered_url: Mapped[str] = mapped_column(Text, default="", server_default=EMPTY)
    answered_at: Mapped[datetime | None]


class FeedRow(Base):
    """A feed; its row is the feed's lock. ``written_hash`` says what the files on disk should be.

    ``intro_hash`` is that of the last intro a digest began with. ``identity``: what feed readers know it by, given when it is
    published first; neither another slug nor another address of the site changes it (RFC 4287 §4.2.6).
    """

    __tablename__ = "feeds"
    slug: Mapped[str] = mapped_column(String(64), primary_key=True)
    next_seq: Mapped[int] = mapped_column(Integer, default=1)
    paused: Mapped[bool] = mapped_column(Boolean, default=False)
    input_hash: Mapped[str] = mapped_column(String(64), default="")
    written_hash: Mapped[str] = mapped_column(String(64), default="")
    changed_at: Mapped[datetime | None]
    intro_hash: Mapped[str] = mapped_column(String(64), default="", server_default=EMPTY)
    identity: Mapped[str] = mapped_column(Text, default="", server_default=EMPTY)


class FeedItemRow(Base):
    """An item's number in a feed, given at release under the feed's row lock, never given twice."""

    __tablename__ = "feed_items"
    feed: Mapped[str] = mapped_column(ForeignKey("feeds.slug"), primary_key=True)
    seq: Mapped[int] = mapped_column(Integer, primary_key=True)
    item_id: Mapped[int] = mapped_column(Id, ForeignKey("items.id"), index=True)
    mailed: Mapped[bool] = mapped_column(Boolean)
    released_at: Mapped[datetime]
    withdrawn_at: Mapped[datetime | None]
    __table_args__ = (UniqueConstraint("feed", "item_id"),)


class RestoredNumberRow(Base):
    """A number of the record whose item a restored store does not know: the item gets it again when it is collected."""

    __tablename__ = "restored_numbers"
    feed: Mapped[str] = mapped_column(ForeignKey("feeds.slug"), primary_key=True)
    seq: Mapped[int] = mapped_column(Integer, primary_key=True)
    identity: Mapped[str] = mapped_column(Text)
    url: Mapped[str] = mapped_column(Text)
    __table_args__ = (UniqueConstraint("feed", "identity"),)
