"""The tables, one schema for SQLite and PostgreSQL (DESIGN §5).

Status words are text with CHECK; times go through ``UtcDateTime``. Editions, variants, subscribers and subscriptions have
random 63-bit identities, never counters: after a restore a new row can never be taken for one that a mail already names.
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Text,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

from pipeline.models import Cadence, DeliveryStatus, EditionStatus, ItemStatus, SourceState, SubscriptionStatus


def new_id() -> int:
    """A random identity of 63 bits, not 0."""
    return secrets.randbits(62) + 1


class UtcDateTime(TypeDecorator[datetime]):
    """Aware datetimes in, aware UTC datetimes out; SQLite itself would return naive ones."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuses naive datetimes: they would mean another moment on another machine."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a naive datetime reached the store: {value!r}")
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Always aware, always UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """Constraints get predictable names, which batch migrations on SQLite need."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {datetime: UtcDateTime(), dict[str, Any]: JSON(), list[Any]: JSON(), bytes: LargeBinary}  # noqa: RUF012


_EMPTY = text("''")
Id = BigInteger().with_variant(Integer, "sqlite")


def one_of(column: str, words: type[StrEnum]) -> CheckConstraint:
    """The column holds one of these words."""
    listed = ", ".join(f"'{word}'" for word in words)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


def only(condition: str) -> dict[str, Any]:
    """The condition of a partial index, in both dialects."""
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}


class SiteRow(Base):
    """One row, id 1."""

    __tablename__ = "site"
    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    paused: Mapped[bool] = mapped_column(Boolean, default=False)
    answered_url: Mapped[str] = mapped_column(Text, default="", server_default=_EMPTY)
    answered_at: Mapped[datetime | None]


class FeedRow(Base):
    """A feed; its row is the feed's lock. ``written_hash`` says what the files on disk should be.

    ``intro_hash`` is that of the last intro a digest began with.
    """

    __tablename__ = "feeds"
    slug: Mapped[str] = mapped_column(String(64), primary_key=True)
    next_seq: Mapped[int] = mapped_column(Integer, default=1)
    paused: Mapped[bool] = mapped_column(Boolean, default=False)
    input_hash: Mapped[str] = mapped_column(String(64), default="")
    written_hash: Mapped[str] = mapped_column(String(64), default="")
    changed_at: Mapped[datetime | None]
    intro_hash: Mapped[str] = mapped_column(String(64), default="", server_default=_EMPTY)


class SourceRow(Base):
    """An upstream place; ``etag`` and ``last_modified`` are opaque and sent back byte for byte to the server of ``given_by``.

    ``hold_next``: what the next collect finds new is held, for after a restore it may have been mailed already.
    ``way_…``: how ``kind = "auto"`` found that it is best read. ``moved_to`` since ``moved_at``: where all permanent redirects
    led. ``why``: the reason for ``next_poll_at``. ``whole_at``: the last unconditional request; ``repeats``: how often in a row
    a conditional request was answered with the same bytes, ``body_hash``, all the same. ``hints`` as in ``PollHints``.
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
    way_kind: Mapped[str] = mapped_column(String(16), default="", server_default=_EMPTY)
    way_url: Mapped[str] = mapped_column(Text, default="", server_default=_EMPTY)
    way_reason: Mapped[str] = mapped_column(Text, default="", server_default=_EMPTY)
    way_at: Mapped[datetime | None]
    given_by: Mapped[str] = mapped_column(Text, default="", server_default=_EMPTY)
    moved_to: Mapped[str] = mapped_column(Text, default="", server_default=_EMPTY)
    moved_at: Mapped[datetime | None]
    why: Mapped[str] = mapped_column(Text, default="", server_default=_EMPTY)
    whole_at: Mapped[datetime | None]
    body_hash: Mapped[str] = mapped_column(String(64), default="", server_default=_EMPTY)
    repeats: Mapped[int] = mapped_column(Integer, default=0, server_default=text("0"))
    hints: Mapped[dict[str, Any] | None]
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
    date_rule: Mapped[str] = mapped_column(String(32), default="", server_default=_EMPTY)
    date_confidence: Mapped[str] = mapped_column(String(8), default="", server_default=_EMPTY)
    date_doubt: Mapped[str] = mapped_column(Text, default="", server_default=_EMPTY)
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
        Index("ix_items_held", "id", **only("status = 'held'")),
    )


class ItemOriginRow(Base):
    """Under which key (``guid:…``, ``url:…``) an item is known at a source."""

    __tablename__ = "item_origins"
    source_id: Mapped[int] = mapped_column(Id, ForeignKey("sources.id"), primary_key=True)
    key: Mapped[str] = mapped_column(Text, primary_key=True)
    item_id: Mapped[int] = mapped_column(Id, ForeignKey("items.id"), index=True)


class MergeRow(Base):
    """An entry that was taken for a known item by another key than its strongest, or for one of another source; undoable.

    ``candidate``: the entry as it was then; ``other_id``: the item that undoing made of it.
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
    __table_args__ = (Index("ix_articles_waiting", "source_id", "item_id", **only("state = 'waiting'")),)


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
        Index("ix_subscriptions_snoozed", "snoozed_until", **only("status = 'snoozed'")),
    )


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
        Index("ix_deliveries_queued", "edition_id", "variant_id", "id", **only("status = 'queued'")),
        Index("ix_deliveries_deferred", "edition_id", "next_at", "id", **only("status = 'deferred'")),
        Index("ix_deliveries_sending", "id", **only("status = 'sending'")),
        Index("ix_deliveries_uncertain", "uncertain_at", **only("uncertain_at IS NOT NULL")),
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
    sender: Mapped[str] = mapped_column(Text, default="", server_default=_EMPTY)
    message: Mapped[bytes] = mapped_column(LargeBinary, default=b"", server_default=_EMPTY)
    relay: Mapped[str] = mapped_column(String(64), default="", server_default=_EMPTY)
    reply: Mapped[str] = mapped_column(Text, default="", server_default=_EMPTY)
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


class RunRow(Base):
    """One tick or one job by hand: when, and what it did."""

    __tablename__ = "runs"
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    kind: Mapped[str] = mapped_column(String(32))
    process: Mapped[str] = mapped_column(Text)
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    detail: Mapped[dict[str, Any]]
    __table_args__ = (Index("ix_runs_kind", "kind", "id"),)


class ProblemRow(Base):
    """Something that needs a person, until it is mended.

    ``reported_at``: said once already, so cron stays quiet; ``mailed_at``: an alert mail told of it.
    """

    __tablename__ = "problems"
    key: Mapped[str] = mapped_column(Text, primary_key=True)
    what: Mapped[str] = mapped_column(Text)
    fix: Mapped[str] = mapped_column(Text)
    since: Mapped[datetime]
    reported_at: Mapped[datetime | None]
    mailed_at: Mapped[datetime | None]


class RecoveryRow(Base):
    """A problem that an alert mail told of and that is over; the next alert mail says so."""

    __tablename__ = "recoveries"
    key: Mapped[str] = mapped_column(Text, primary_key=True)
    what: Mapped[str] = mapped_column(Text)
    mended_at: Mapped[datetime]
