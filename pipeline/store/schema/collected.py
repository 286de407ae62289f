"""What was read: sources, their polls, the items and what each is known by."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Boolean, ForeignKey, Index, Integer, String, Text, false, text
from sqlalchemy.orm import Mapped, mapped_column

from pipeline.models import ItemStatus, SourceState
from pipeline.store.schema.columns import EMPTY, Base, Id, one_of, only_where


class SourceRow(Base):
    """An upstream place; ``etag`` and ``last_modified`` are opaque and sent back byte for byte to the server of ``given_by``.

    ``hold_next``: what the next collect finds new is held, for after a restore it may have been mailed already.
    ``way_…``: how ``kind = "auto"`` found that it is best read. ``moved_to`` since ``moved_at``: where all permanent redirects
    led. ``why``: the reason for ``next_poll_at``. ``whole_at``: the last unconditional request; ``repeats``: how often in a row
    a conditional request was answered with the same bytes, ``body_hash``, all the same. ``hints`` as in ``PollHints``.
    ``title``: what it calls itself.
    """

    __tablename__ = "sources"
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    url: Mapped[str] = mapped_column(Text, unique=True)
    state: Mapped[str] = mapped_column(String(16), default=SourceState.OK)
    reason: Mapped[str] = mapped_column(Text, default="")
    rule: Mapped[str] = mapped_column(Text, default="")
    etag: Mapped[str] = mapped_column(Text, default="")
    last_modified: Mapped[str] = mapped_column(Text, default="")
    settings_hash: Mapped[str] = mapped_column(String(64), default="")
    failures: Mapped[int] = mapped_column(Integer, default=0)
    collected_at: Mapped[datetime | None]
    next_poll_at: Mapped[datetime | None]
    hold_next: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
    way_kind: Mapped[str] = mapped_column(String(16), default="", server_default=EMPTY)
    way_url: Mapped[str] = mapped_column(Text, default="", server_default=EMPTY)
    way_reason: Mapped[str] = mapped_column(Text, default="", server_default=EMPTY)
    way_at: Mapped[datetime | None]
    given_by: Mapped[str] = mapped_column(Text, default="", server_default=EMPTY)
    moved_to: Mapped[str] = mapped_column(Text, default="", server_default=EMPTY)
    moved_at: Mapped[datetime | None]
    why: Mapped[str] = mapped_column(Text, default="", server_default=EMPTY)
    whole_at: Mapped[datetime | None]
    body_hash: Mapped[str] = mapped_column(String(64), default="", server_default=EMPTY)
    repeats: Mapped[int] = mapped_column(Integer, default=0, server_default=text("0"))
    hints: Mapped[dict[str, Any] | None]
    title: Mapped[str] = mapped_column(Text, default="", server_default=EMPTY)
    __table_args__ = (one_of("state", SourceState),)


class PollRow(Base):
    """One request to a source: what it answered and what was found; the newest few of each source are kept.

    ``outcome``: read, same (the same bytes or 304), held, failed. ``dated``: how many of ``found`` have a date.
    ``fingerprint``: of the identities found, ``titles``: how many different ones.
    """

    __tablename__ = "polls"
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    source_id: Mapped[int] = mapped_column(Id, ForeignKey("sources.id"))
    at: Mapped[datetime]
    outcome: Mapped[str] = mapped_column(String(8))
    status: Mapped[int] = mapped_column(Integer, default=0)
    found: Mapped[int] = mapped_column(Integer, default=0)
    new: Mapped[int] = mapped_column(Integer, default=0)
    dated: Mapped[int] = mapped_column(Integer, default=0)
    titles: Mapped[int] = mapped_column(Integer, default=0)
    newest_at: Mapped[datetime | None]
    fingerprint: Mapped[str] = mapped_column(String(64), default="")
    __table_args__ = (Index("ix_polls_source", "source_id", "id"),)


class FeedSourceRow(Base):
    """Which sources a feed is made of; a pair that leaves the settings keeps its row with ``active`` off."""

    __tablename__ = "feed_sources"
    feed: Mapped[str] = mapped_column(ForeignKey("feeds.slug"), primary_key=True)
    source_id: Mapped[int] = mapped_column(Id, ForeignKey("sources.id"), primary_key=True)
    active: Mapped[bool] = mapped_column(Boolean, default=True)
    collected_at: Mapped[datetime | None]


class ItemRow(Base):
    """One normalised item; ``identity`` is permanent and shows in the published feeds; its text is ``source_id``'s."""

    __tablename__ = "items"
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    identity: Mapped[str] = mapped_column(Text, unique=True)
    source_id: Mapped[int] = mapped_column(Id, ForeignKey("sources.id"))
    url: Mapped[str] = mapped_column(Text)
    title: Mapped[str] = mapped_column(Text)
    kicker: Mapped[str] = mapped_column(Text)
    summary: Mapped[str] = mapped_column(Text)
    content_html: Mapped[str] = mapped_column(Text)
    published_at: Mapped[datetime]
    published_precision: Mapped[str] = mapped_column(String(8))
    date_text: Mapped[str] = mapped_column(Text)
    date_rule: Mapped[str] = mapped_column(String(32), default="", server_default=EMPTY)
    date_confidence: Mapped[str] = mapped_column(String(8), default="", server_default=EMPTY)
    date_doubt: Mapped[str] = mapped_column(Text, default="", server_default=EMPTY)
    updated_at: Mapped[datetime]
    first_seen_at: Mapped[datetime]
    authors: Mapped[list[Any]]
    categories: Mapped[list[Any]]
    image: Mapped[dict[str, Any] | None]
    attachments: Mapped[list[Any]]
    language: Mapped[str] = mapped_column(String(35))
    status: Mapped[str] = mapped_column(String(16))
    content_hash: Mapped[str] = mapped_column(String(64))
    __table_args__ = (
        one_of("status", ItemStatus),
        Index("ix_items_held", "id", **only_where("status = 'held'")),
    )


class ItemOriginRow(Base):
    """Under which key (``guid:…``, ``url:…``) an item is known at a source."""

    __tablename__ = "item_origins"
    source_id: Mapped[int] = mapped_column(Id, ForeignKey("sources.id"), primary_key=True)
    key: Mapped[str] = mapped_column(Text, primary_key=True)
    item_id: Mapped[int] = mapped_column(Id, ForeignKey("items.id"), index=True)


class MergeRow(Base):
    """An entry that was taken for a known item by another key than its strongest, or for one of another source; undoable.

    ``candidate``: the entry as it was then; ``other_id``: the item that undoing made of it, or that it had been before.
    """

    __tablename__ = "merges"
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    item_id: Mapped[int] = mapped_column(Id, ForeignKey("items.id"), index=True)
    source_id: Mapped[int] = mapped_column(Id, ForeignKey("sources.id"))
    keys: Mapped[list[Any]]
    reason: Mapped[str] = mapped_column(Text)
    candidate: Mapped[dict[str, Any] | None]
    at: Mapped[datetime]
    undone_at: Mapped[datetime | None]
    other_id: Mapped[int | None] = mapped_column(Id, ForeignKey("items.id"))


class VersionRow(Base):
    """How an item read before it was changed at ``until``; 1 is the oldest."""

    __tablename__ = "item_versions"
    item_id: Mapped[int] = mapped_column(Id, ForeignKey("items.id"), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    until: Mapped[datetime]
    url: Mapped[str] = mapped_column(Text)
    title: Mapped[str] = mapped_column(Text)
    summary: Mapped[str] = mapped_column(Text)
    content_html: Mapped[str] = mapped_column(Text)
    content_hash: Mapped[str] = mapped_column(String(64))


class LikenessRow(Base):
    """Where to look for near-duplicates: items of other sources that share a ``band`` may tell the same story."""

    __tablename__ = "likenesses"
    band: Mapped[str] = mapped_column(String(24), primary_key=True)
    item_id: Mapped[int] = mapped_column(Id, ForeignKey("items.id"), primary_key=True)
    __table_args__ = (Index("ix_likenesses_item", "item_id"),)


class ArticleRow(Base):
    """The article behind an item's teaser: ``waiting`` to be fetched, ``read``, or ``failed`` for good with a reason.

    What is read here stays when the source's listing changes: ``content`` holds the item's columns that it gave.
    """

    __tablename__ = "articles"
    item_id: Mapped[int] = mapped_column(Id, ForeignKey("items.id"), primary_key=True)
    source_id: Mapped[int] = mapped_column(Id, ForeignKey("sources.id"))
    state: Mapped[str] = mapped_column(String(8))
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    next_at: Mapped[datetime | None]
    fetched_at: Mapped[datetime | None]
    reason: Mapped[str] = mapped_column(Text, default="")
    content: Mapped[dict[str, Any] | None]
    __table_args__ = (Index("ix_articles_waiting", "source_id", "item_id", **only_where("state = 'waiting'")),)
