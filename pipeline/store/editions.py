"""Schedules that are due, and opening, pausing and ending editions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, Text, and_, case, cast, exists, func, insert, literal, or_, select, update

from pipeline.models import OPEN_DELIVERIES, Cadence, Choice, DeliveryStatus, EditionStatus, Rhythm, SubscriptionStatus
from pipeline.store.database import Tx
from pipeline.store.record import Cancelled, EditionOpened, Queued, note
from pipeline.store.schema import (
    ChoiceRow,
    DeliveryRow,
    EditionRow,
    ScheduleRow,
    SubscriberRow,
    SubscriptionRow,
    VariantRow,
)


@dataclass(frozen=True, slots=True)
class DueSchedule:
    """A schedule whose moment has come; ``next_due_at`` is None for instant."""

    id: int
    rhythm: Rhythm
    next_due_at: datetime | None


@dataclass(frozen=True, slots=True)
class Group:
    """Active subscriptions that are due and get the same items: equal cursor and equal choice."""

    settled_seq: int
    choice_id: int
    choice: Choice
    size: int
    of_default_cadence: int


@dataclass(frozen=True, slots=True)
class NewEdition:
    """An edition about to be written; ``deadline_at`` counts from ``opened_at``.

    ``dkim``: the domain and keys that sign its mails (``compose.dkim.Signer.mark``); empty: none.
    """

    id: int
    feed: str
    due_at: datetime
    opened_at: datetime
    deadline_at: datetime
    label: str
    base_url: str
    message_id_domain: str
    envelope_from: str
    unsubscribe_mail: str
    uncertain: str
    dkim: str = ""


@dataclass(frozen=True, slots=True)
class NewVariant:
    """A variant about to be written; ``items`` are the numbers it shows."""

    id: int
    content_key: str
    items: tuple[int, ...]
    more: int
    language: str
    format: str
    subject: str
    html: str
    data: bytes
    archived: bool


@dataclass(frozen=True, slots=True)
class EditionRecord:
    """An edition as stored, everything that its deliveries share."""

    id: int
    feed: str
    due_at: datetime
    opened_at: datetime
    deadline_at: datetime
    label: str
    status: EditionStatus
    reason: str
    base_url: str
    message_id_domain: str
    envelope_from: str
    unsubscribe_mail: str
    uncertain: str
    audience: int
    dkim: str


def due_schedules(tx: Tx, feed: str, now: datetime) -> list[DueSchedule]:
    """The feed's schedules with ``next_due_at`` at or before ``now``; instant ones are asked for apart."""
    query = _schedules(feed).where(ScheduleRow.next_due_at <= now)
    return [_due_schedule(row) for row in tx.execute(query.order_by(ScheduleRow.id))]


def astray_schedules(tx: Tx, feed: str, now: datetime) -> list[DueSchedule]:
    """Schedules that are due later than their rhythm can mean: a clock was ahead when that was written."""
    longest = {Cadence.DAILY: 2, Cadence.WEEKLY: 8, Cadence.MONTHLY: 32}
    beyond = [and_(ScheduleRow.cadence == word, ScheduleRow.next_due_at > now + timedelta(days)) for word, days in longest.items()]
    return [_due_schedule(row) for row in tx.execute(_schedules(feed).where(or_(*beyond)))]


def instant_schedules(tx: Tx, feed: str, top_seq: int) -> list[DueSchedule]:
    """The feed's instant schedule, if an active subscription on it has items above its cursor."""
    waiting = exists().where(
        SubscriptionRow.schedule_id == ScheduleRow.id,
        SubscriptionRow.status == SubscriptionStatus.ACTIVE,
        SubscriptionRow.settled_seq < top_seq,
    )
    query = _schedules(feed).where(ScheduleRow.cadence == Cadence.INSTANT, waiting)
    return [_due_schedule(row) for row in tx.execute(query)]


def next_due(tx: Tx, feed: str) -> datetime | None:
    """The feed's next slot that somebody active waits for."""
    somebody = exists().where(SubscriptionRow.schedule_id == ScheduleRow.id, SubscriptionRow.status == SubscriptionStatus.ACTIVE)
    return tx.execute(select(func.min(ScheduleRow.next_due_at)).where(ScheduleRow.feed == feed, somebody)).scalar()


def anybody_has(tx: Tx, feed: str, cadence: Cadence) -> bool:
    """Whether an active subscription of the feed has this cadence."""
    active = and_(SubscriptionRow.schedule_id == ScheduleRow.id, SubscriptionRow.status == SubscriptionStatus.ACTIVE)
    query = select(ScheduleRow.id).where(ScheduleRow.feed == feed, ScheduleRow.cadence == cadence, exists().where(active))
    return tx.execute(query.limit(1)).first() is not None


def coming_slots(tx: Tx, feed: str, after: datetime, until: datetime) -> list[datetime]:
    """The feed's slots in (after, until] that somebody active waits for, earliest first."""
    somebody = exists().where(SubscriptionRow.schedule_id == ScheduleRow.id, SubscriptionRow.status == SubscriptionStatus.ACTIVE)
    between = and_(ScheduleRow.feed == feed, ScheduleRow.next_due_at > after, ScheduleRow.next_due_at <= until)
    query = select(ScheduleRow.next_due_at).where(between, somebody).distinct().order_by(ScheduleRow.next_due_at)
    return [slot for slot in tx.execute(query).scalars() if slot is not None]


def waiting_for(tx: Tx, feed: str, slot: datetime | None) -> int:
    """How many active subscriptions are due at that slot; None: those that get items as they come."""
    query = select(func.count()).select_from(SubscriptionRow).join(ScheduleRow, ScheduleRow.id == SubscriptionRow.schedule_id)
    at = ScheduleRow.next_due_at.is_(None) if slot is None else ScheduleRow.next_due_at == slot
    active = SubscriptionRow.status == SubscriptionStatus.ACTIVE
    return int(tx.execute(query.where(ScheduleRow.feed == feed, at, active)).scalar_one())


def _schedules(feed: str) -> Select[Any]:
    names = ("id", "cadence", "weekday", "day", "time", "zone", "next_due_at")
    return select(*(getattr(ScheduleRow, name) for name in names)).where(ScheduleRow.feed == feed)


def _due_schedule(row: Any) -> DueSchedule:
    rhythm = Rhythm(Cadence(row.cadence), row.weekday, row.day, row.time, row.zone)
    return DueSchedule(row.id, rhythm, row.next_due_at)


def move_schedule(tx: Tx, schedule_id: int, next_due_at: datetime) -> None:
    """When this schedule is due again."""
    tx.execute(update(ScheduleRow).where(ScheduleRow.id == schedule_id).values(next_due_at=next_due_at))


def groups(tx: Tx, schedule_ids: Sequence[int], top_seq: int, default_cadence: Cadence) -> list[Group]:
    """Who is due on these schedules with items above the cursor, grouped by what they get.

    Grouping by cursor and choice instead of by person keeps a million subscriptions to a handful of rows.
    """
    is_default = func.sum(_is_cadence(default_cadence))
    query = (
        select(SubscriptionRow.settled_seq, SubscriptionRow.choice_id, func.count().label("size"), is_default.label("default"))
        .join(ScheduleRow, ScheduleRow.id == SubscriptionRow.schedule_id)
        .where(_due(schedule_ids), SubscriptionRow.settled_seq < top_seq)
        .group_by(SubscriptionRow.settled_seq, SubscriptionRow.choice_id)
        .order_by(SubscriptionRow.settled_seq, SubscriptionRow.choice_id)
    )
    rows = tx.execute(query).all()
    wanted = _choices(tx, {row.choice_id for row in rows})
    return [Group(row.settled_seq, row.choice_id, wanted[row.choice_id], row.size, int(row.default)) for row in rows]


def _is_cadence(cadence: Cadence) -> ColumnElement[int]:
    return case((ScheduleRow.cadence == cadence, 1), else_=0)


def _due(schedule_ids: Sequence[int]) -> ColumnElement[bool]:
    return and_(SubscriptionRow.schedule_id.in_(schedule_ids), SubscriptionRow.status == SubscriptionStatus.ACTIVE)


def _choices(tx: Tx, ids: set[int]) -> dict[int, Choice]:
    columns = (ChoiceRow.id, ChoiceRow.topics, ChoiceRow.words, ChoiceRow.language, ChoiceRow.format)
    found: dict[int, Choice] = {}
    listed = sorted(ids)
    for start in range(0, len(listed), 500):
        for row in tx.execute(select(*columns).where(ChoiceRow.id.in_(listed[start : start + 500]))):
            found[row.id] = Choice(tuple(row.topics), tuple(row.words), row.language, row.format)
    return found


def taken(tx: Tx, feed: str, due_at: datetime) -> bool:
    """Whether the feed already has an edition of that moment."""
    return tx.execute(select(EditionRow.id).where(EditionRow.feed == feed, EditionRow.due_at == due_at)).first() is not None


def label_taken(tx: Tx, label: str) -> bool:
    """Whether people already see an edition of that name."""
    return tx.execute(select(EditionRow.id).where(EditionRow.label == label)).first() is not None


def add(tx: Tx, edition: NewEdition, variants: Sequence[NewVariant]) -> None:
    """Write the edition and the bytes of its variants; deliveries follow in the same transaction."""
    values = {name: getattr(edition, name) for name in NewEdition.__dataclass_fields__}
    tx.execute(insert(EditionRow).values(values | {"status": EditionStatus.SENDING, "reason": "", "audience": 0}))
    moments = (edition.due_at.astimezone(UTC).isoformat(), edition.opened_at.astimezone(UTC).isoformat())
    note(tx, EditionOpened(edition.id, edition.feed, *moments, edition.label, edition.message_id_domain))
    for variant in variants:
        columns = {name: getattr(variant, name) for name in NewVariant.__dataclass_fields__ if name != "data"}
        columns |= {"items": list(variant.items), "bytes": variant.data, "edition_id": edition.id}
        tx.execute(insert(VariantRow).values(columns))


def queue(tx: Tx, edition: NewEdition, group: Group, variant_id: int, schedule_ids: Sequence[int], to_seq: int) -> int:
    """One delivery for every subscription of the group, and the cursors moved; returns how many."""
    same = and_(_due(schedule_ids), SubscriptionRow.settled_seq == group.settled_seq, SubscriptionRow.choice_id == group.choice_id)
    source = (
        select(
            literal(edition.id),
            SubscriptionRow.id,
            literal(variant_id),
            SubscriptionRow.settled_seq,
            literal(to_seq),
            SubscriberRow.address,
            SubscriberRow.name,
            literal(""),
            literal(str(DeliveryStatus.QUEUED)),
            literal(0),
            literal(""),
            literal(""),
        )
        .join(SubscriberRow, SubscriberRow.id == SubscriptionRow.subscriber_id)
        .where(same)
        .order_by(SubscriptionRow.id)
    )
    people = _identities(tx, same)
    columns = ["edition_id", "subscription_id", "variant_id", "from_seq", "to_seq", "address", "name", "relay", "status"]
    inserting = insert(DeliveryRow).from_select([*columns, "attempts", "lease", "reply"], source)
    written = tx.execute(inserting, execution_options={"preserve_rowcount": True}).rowcount
    moved = tx.execute(update(SubscriptionRow).where(same).values(settled_seq=to_seq)).rowcount
    noted = people.count(",") + bool(people)
    assert written == moved == noted, "an edition queued another number of deliveries than it moved cursors"
    if people:
        note(tx, Queued(edition.id, group.settled_seq, to_seq, people))
    tx.execute(update(EditionRow).where(EditionRow.id == edition.id).values(audience=EditionRow.audience + written))
    return int(written)


def _identities(tx: Tx, which: ColumnElement[bool]) -> str:
    """The subscriptions' identities with commas between them, put together by the database: a million in a second."""
    joined = func.aggregate_strings(cast(SubscriptionRow.id, Text), ",")
    return tx.execute(select(joined).where(which)).scalar() or ""


def _records(tx: Tx, *conditions: ColumnElement[bool]) -> list[EditionRecord]:
    columns = [getattr(EditionRow, name) for name in EditionRecord.__dataclass_fields__]
    rows = tx.execute(select(*columns).where(*conditions).order_by(EditionRow.due_at, EditionRow.id))
    return [EditionRecord(**{**row._mapping, "status": EditionStatus(row.status)}) for row in rows]


def record(tx: Tx, edition_id: int) -> EditionRecord:
    """The edition of that identity."""
    return _records(tx, EditionRow.id == edition_id)[0]


def by_label(tx: Tx, label: str) -> EditionRecord | None:
    """The edition people see under that name."""
    found = _records(tx, EditionRow.label == label)
    return found[0] if found else None


def latest(tx: Tx, count: int, feed: str | None = None) -> list[EditionRecord]:
    """The last editions by moment, newest first."""
    query = select(EditionRow.id).order_by(EditionRow.due_at.desc(), EditionRow.id.desc()).limit(count)
    ids = tx.execute(query.where(EditionRow.feed == feed) if feed else query).scalars().all()
    return _records(tx, EditionRow.id.in_(ids))[::-1]


def open_editions(tx: Tx, *statuses: EditionStatus) -> list[EditionRecord]:
    """Editions in these statuses with a delivery that is not at its end, oldest first."""
    unfinished = exists().where(DeliveryRow.edition_id == EditionRow.id, DeliveryRow.status.in_(OPEN_DELIVERIES))
    return _records(tx, EditionRow.status.in_(statuses), unfinished)


def set_status(tx: Tx, edition_id: int, status: EditionStatus, reason: str = "") -> None:
    """Pause, resume or cancel; what is on the wire at that moment is finished."""
    tx.execute(update(EditionRow).where(EditionRow.id == edition_id).values(status=status, reason=reason))
    if status is EditionStatus.CANCELLED:
        note(tx, Cancelled(edition_id))


def extend_deadline(tx: Tx, edition_id: int, deadline_at: datetime) -> None:
    """Never earlier than it was."""
    later = and_(EditionRow.id == edition_id, EditionRow.deadline_at < deadline_at)
    tx.execute(update(EditionRow).where(later).values(deadline_at=deadline_at))


def variant_data(tx: Tx, variant_id: int) -> bytes:
    """The stored bytes of a variant, with slots."""
    return bytes(tx.execute(select(VariantRow.bytes).where(VariantRow.id == variant_id)).scalar_one())


def page(tx: Tx, variant_id: int) -> tuple[str, str] | None:
    """The HTML of a variant as it is read on the web, and its edition's feed; None where there is no such variant."""
    query = select(VariantRow.html, EditionRow.feed).join(EditionRow, EditionRow.id == VariantRow.edition_id)
    row = tx.execute(query.where(VariantRow.id == variant_id)).first()
    return (row.html, row.feed) if row else None


def variants(tx: Tx, edition_id: int) -> list[NewVariant]:
    """The variants of an edition as stored."""
    rows = tx.execute(select(VariantRow.__table__).where(VariantRow.edition_id == edition_id).order_by(VariantRow.id))
    return [
        NewVariant(
            row.id,
            row.content_key,
            tuple(row.items),
            row.more,
            row.language,
            row.format,
            row.subject,
            row.html,
            row.bytes,
            row.archived,
        )
        for row in rows
    ]
