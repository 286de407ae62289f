"""Queries that bring an older database up to what the record says (promise 11). Only a restore uses them.

What comes from the record is not noted there again; only what a restore decides by itself is: who is uncertain from now on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, and_, bindparam, case, delete, func, insert, select, update

from pipeline.models import OPEN_DELIVERIES, DeliveryStatus, EditionStatus, SubscriptionStatus
from pipeline.store import runs, upsert
from pipeline.store.database import Tx
from pipeline.store.record import PERSON, Became, Suppressed, note
from pipeline.store.schema import (
    ConsentRow,
    DeliveryRow,
    EditionRow,
    FeedItemRow,
    FeedRow,
    ItemRow,
    NoticeRow,
    RestoredNumberRow,
    SourceRow,
    SubscriberRow,
    SubscriptionRow,
    SuppressionRow,
    VariantRow,
    new_id,
)
from pipeline.store.subscribers import LEFT

REMADE = "remade"
"""The ``content_key`` of a variant whose bytes are gone: it stands for them so that its deliveries have one."""
_BATCH = 500
_UNDONE = (DeliveryStatus.CANCELLED, DeliveryStatus.EXPIRED)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RemadeRow:
    """An edition about to be written as the record knows it; what only its mails needed is empty."""

    id: int
    feed: str
    due_at: datetime
    opened_at: datetime
    label: str
    cancelled: bool
    message_id_domain: str
    language: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """A delivery as the record knows it; ``from_seq`` and ``to_seq`` count for a remade edition only."""

    subscription: int
    status: DeliveryStatus
    relay: str
    from_seq: int = 0
    to_seq: int = 0


def _parts(values: Iterable[T]) -> Iterator[list[T]]:
    listed = list(values)
    return (listed[start : start + _BATCH] for start in range(0, len(listed), _BATCH))


def known_editions(tx: Tx, ids: Iterable[int]) -> set[int]:
    """Which of these the database has."""
    return {one for part in _parts(ids) for one in tx.execute(select(EditionRow.id).where(EditionRow.id.in_(part))).scalars()}


def still_waiting(tx: Tx, editions: Iterable[int]) -> set[tuple[int, int]]:
    """(edition, subscription) of the deliveries of these editions that are to be sent."""
    waiting = DeliveryRow.status.in_((DeliveryStatus.QUEUED, DeliveryStatus.DEFERRED))
    query = select(DeliveryRow.edition_id, DeliveryRow.subscription_id).where(waiting)
    return {(one, who) for part in _parts(editions) for one, who in tx.execute(query.where(DeliveryRow.edition_id.in_(part)))}


def known_subscriptions(tx: Tx) -> set[int]:
    """All of them: a record names nearly all."""
    return set(tx.execute(select(SubscriptionRow.id)).scalars())


def newest_edition(tx: Tx) -> int | None:
    """The edition that was opened last; None when there is none yet."""
    return tx.execute(select(EditionRow.id).order_by(EditionRow.opened_at.desc(), EditionRow.id).limit(1)).scalar()


def newest_moment(tx: Tx) -> datetime | None:
    """The last moment at which this database is known to have been in use."""
    moments = [tx.execute(select(func.max(column))).scalar() for column in (EditionRow.opened_at, SourceRow.collected_at)]
    return max((moment for moment in moments if moment is not None), default=None)


def add_edition(tx: Tx, edition: RemadeRow, outcomes: Sequence[Outcome], now: datetime) -> str:
    """Write an edition that the database does not know, its deliveries, and move the cursors that they moved; returns its label."""
    due_at = edition.due_at
    while tx.execute(select(EditionRow.id).where(EditionRow.feed == edition.feed, EditionRow.due_at == due_at)).first():
        due_at += due_at.resolution
    values: dict[str, Any] = {name: getattr(edition, name) for name in ("id", "feed", "opened_at", "message_id_domain")}
    values |= {"due_at": due_at, "deadline_at": edition.opened_at, "label": _free_label(tx, edition.label), "reason": ""}
    values |= {"status": EditionStatus.CANCELLED if edition.cancelled else EditionStatus.SENDING, "audience": len(outcomes)}
    values |= {"base_url": "", "envelope_from": "", "unsubscribe_mail": "", "uncertain": "hold"}
    tx.execute(insert(EditionRow).values(values))
    stub = {"id": new_id(), "edition_id": edition.id, "content_key": REMADE, "items": [], "more": 0, "language": edition.language}
    tx.execute(insert(VariantRow).values(stub | {"format": "html", "subject": "", "html": "", "bytes": b"", "archived": False}))
    people = _people(tx, [one.subscription for one in outcomes])
    for part in _parts(outcomes):
        tx.execute(insert(DeliveryRow), [_delivery(edition.id, stub["id"], one, *people[one.subscription], now) for one in part])
    _note_uncertain(tx, edition.id, [one.subscription for one in outcomes if one.status is DeliveryStatus.UNCERTAIN])
    forward(tx, [edition.id])
    return str(values["label"])


def _free_label(tx: Tx, wanted: str) -> str:
    label, count = wanted, 1
    while tx.execute(select(EditionRow.id).where(EditionRow.label == label)).first():
        count += 1
        label = f"{wanted}-{count}"
    return label


def _people(tx: Tx, ids: Sequence[int]) -> dict[int, tuple[str, str]]:
    columns = select(SubscriptionRow.id, SubscriberRow.address, SubscriberRow.name)
    query = columns.join(SubscriberRow, SubscriberRow.id == SubscriptionRow.subscriber_id)
    rows = (row for part in _parts(ids) for row in tx.execute(query.where(SubscriptionRow.id.in_(part))))
    return {row.id: (row.address, row.name) for row in rows}


def _delivery(edition_id: int, variant_id: object, one: Outcome, address: str, name: str, now: datetime) -> dict[str, Any]:
    uncertain = one.status is DeliveryStatus.UNCERTAIN
    relay = one.relay or ("unknown" if one.status is DeliveryStatus.ACCEPTED else "")
    return {
        "edition_id": edition_id,
        "subscription_id": one.subscription,
        "variant_id": variant_id,
        "from_seq": one.from_seq,
        "to_seq": one.to_seq,
        "address": address,
        "name": name,
        "relay": relay,
        "status": one.status,
        "attempts": 0,
        "lease": "",
        "reply": f"{one.status}, as the record says" if not uncertain else "the record does not say what became of it",
        "uncertain_at": now if uncertain else None,
        "changed_at": now,
    }


def forward(tx: Tx, edition_ids: Iterable[int]) -> None:
    """Cursors lie at or behind whatever these editions decided."""
    for edition_id in edition_ids:
        mine = and_(DeliveryRow.edition_id == edition_id, DeliveryRow.subscription_id == SubscriptionRow.id)
        behind = and_(mine, DeliveryRow.status.not_in(_UNDONE), SubscriptionRow.settled_seq < DeliveryRow.to_seq)
        tx.execute(update(SubscriptionRow).where(behind).values(settled_seq=DeliveryRow.to_seq))


def change(tx: Tx, edition_id: int, outcomes: Sequence[Outcome], now: datetime) -> int:
    """Deliveries that the database knows get the status of the record, cursors too; returns how many were another one."""
    changed = 0
    if bytes_gone(tx, edition_id):  # an earlier restore remade it: whatever was to be sent then cannot be sent now
        outcomes = [one if one.status not in OPEN_DELIVERIES else replace(one, status=DeliveryStatus.UNCERTAIN) for one in outcomes]
    for status in DeliveryStatus:
        chosen = [one for one in outcomes if one.status is status]
        for part in _parts(chosen):
            changed += _change(tx, edition_id, status, part, now)
    if changed:
        forward(tx, [edition_id])
    return changed


def _change(tx: Tx, edition_id: int, status: DeliveryStatus, part: Sequence[Outcome], now: datetime) -> int:
    ids = [one.subscription for one in part]
    other = and_(DeliveryRow.edition_id == edition_id, DeliveryRow.subscription_id.in_(ids), DeliveryRow.status != status)
    if status in _UNDONE:
        put_back(tx, and_(other, DeliveryRow.status.not_in(_UNDONE)))
    values: dict[str, Any] = {"status": status, "changed_at": now, "lease": "", "lease_until": None}
    values["next_at"] = now if status is DeliveryStatus.DEFERRED else None
    values["reply"] = f"{status}, as the record says"
    if status is DeliveryStatus.UNCERTAIN:
        values["uncertain_at"] = now
    found = tx.execute(update(DeliveryRow).where(other).values(values).returning(DeliveryRow.subscription_id)).scalars().all()
    changed = len(found)
    if status is DeliveryStatus.UNCERTAIN:
        _note_uncertain(tx, edition_id, found)
    relays = [{"who": one.subscription, "with": one.relay} for one in part if one.relay]
    if changed and relays:
        mine = and_(DeliveryRow.edition_id == edition_id, DeliveryRow.subscription_id == bindparam("who"))
        tx.execute(update(DeliveryRow).where(mine).values(relay=bindparam("with")), relays)
    return changed


def put_back(tx: Tx, which: ColumnElement[bool]) -> None:
    """Cursors that these deliveries have moved, and nothing later, go back: their items come in the next digest."""
    last = and_(which, DeliveryRow.subscription_id == SubscriptionRow.id, DeliveryRow.to_seq == SubscriptionRow.settled_seq)
    tx.execute(update(SubscriptionRow).where(last).values(settled_seq=DeliveryRow.from_seq))


def cancel(tx: Tx, edition_id: int) -> None:
    """The edition was cancelled."""
    values = {"status": EditionStatus.CANCELLED, "reason": "as the record says"}
    tx.execute(update(EditionRow).where(EditionRow.id == edition_id).values(values))


def hold_sending(tx: Tx, now: datetime) -> int:
    """Deliveries that were on the wire when the copy was made, and of which the record knows no more, are uncertain."""
    return _hold(tx, DeliveryRow.status == DeliveryStatus.SENDING, "the record does not say what became of it", now)


def hold_open(tx: Tx, now: datetime) -> int:
    """Every open delivery is uncertain: nobody knows what became of it."""
    return _hold(tx, DeliveryRow.status.in_(OPEN_DELIVERIES), "restored without a record: it may have been sent since", now)


def hold_edition(tx: Tx, edition_id: int, now: datetime) -> int:
    """The same for one edition, as it is opened."""
    mine = and_(DeliveryRow.edition_id == edition_id, DeliveryRow.status.in_(OPEN_DELIVERIES))
    return _hold(tx, mine, "restored without a record: it may have been sent before", now)


def _hold(tx: Tx, which: ColumnElement[bool], reason: str, now: datetime) -> int:
    values = {"status": DeliveryStatus.UNCERTAIN, "uncertain_at": now, "changed_at": now, "reply": reason}
    rest = {"lease": "", "lease_until": None, "next_at": None}
    held = update(DeliveryRow).where(which).values(values | rest).returning(DeliveryRow.edition_id, DeliveryRow.subscription_id)
    by_edition: dict[int, list[int]] = {}
    for edition, subscription in tx.execute(held):
        by_edition.setdefault(edition, []).append(subscription)
    for edition, people in by_edition.items():
        _note_uncertain(tx, edition, people)
    return sum(len(people) for people in by_edition.values())


def _note_uncertain(tx: Tx, edition_id: int, subscriptions: Sequence[int]) -> None:
    """The next restore must not take an earlier word for the last one."""
    if subscriptions:
        note(tx, Became(DeliveryStatus.UNCERTAIN, edition_id, ",".join(str(one) for one in subscriptions)))


def uncertain(tx: Tx) -> list[tuple[str, int, bool]]:
    """Each edition with held deliveries: its label, how many, and whether its bytes are gone."""
    gone = func.max(case((VariantRow.content_key == REMADE, 1), else_=0))
    query = select(EditionRow.label, func.count(DeliveryRow.id), gone).join(EditionRow, EditionRow.id == DeliveryRow.edition_id)
    query = query.join(VariantRow, VariantRow.id == DeliveryRow.variant_id).where(DeliveryRow.status == DeliveryStatus.UNCERTAIN)
    rows = tx.execute(query.group_by(EditionRow.label).order_by(EditionRow.label))
    return [(label, count, bool(stub)) for label, count, stub in rows]


def bytes_gone(tx: Tx, edition_id: int) -> bool:
    """Whether this edition was remade from the record: it can be accounted for, but never sent."""
    return tx.execute(select(VariantRow.id).filter_by(edition_id=edition_id, content_key=REMADE)).first() is not None


def add_numbers(tx: Tx, feed: str, numbers: Mapping[int, tuple[str, str]]) -> int:
    """Numbers (with identity and address) whose item has none here are kept for it; ``next_seq`` lies above; returns how many.

    A feed without a row is left out: whatever had numbers there is gone with it.
    """
    next_seq = tx.execute(select(FeedRow.next_seq).where(FeedRow.slug == feed)).scalar()
    if next_seq is None:
        return 0
    here = select(FeedItemRow.seq, ItemRow.identity).join(ItemRow, ItemRow.id == FeedItemRow.item_id)
    known = tx.execute(here.where(FeedItemRow.feed == feed)).all()
    taken, named = {row.seq for row in known}, {row.identity for row in known}
    waiting = {seq: one for seq, one in numbers.items() if seq not in taken and named.isdisjoint(one[0].split())}
    rows = [{"feed": feed, "seq": seq, "identity": identity, "url": url} for seq, (identity, url) in waiting.items()]
    for part in _parts(rows):
        upsert.ignore(tx, RestoredNumberRow, part)
    above = max(numbers, default=0) + 1
    tx.execute(update(FeedRow).where(FeedRow.slug == feed, FeedRow.next_seq < above).values(next_seq=above))
    return len(rows)


def end_subscription(tx: Tx, subscription_id: int, status: SubscriptionStatus, now: datetime) -> bool:
    """Somebody left after the copy was made; whether that is new to the database."""
    other = and_(SubscriptionRow.id == subscription_id, SubscriptionRow.status != status)
    if not tx.execute(update(SubscriptionRow).where(other).values(status=status, snoozed_until=None, changed_at=now)).rowcount:
        return False
    tx.execute(insert(ConsentRow).values(subscription_id=subscription_id, at=now, action="left", evidence="as the record says"))
    return True


def begin_subscription(tx: Tx, subscription_id: int, settled_seq: int, now: datetime) -> bool:
    """Somebody confirmed after the copy was made; whether that is new to the database."""
    other = and_(SubscriptionRow.id == subscription_id, SubscriptionRow.status != SubscriptionStatus.ACTIVE)
    values = {"status": SubscriptionStatus.ACTIVE, "snoozed_until": None, "settled_seq": settled_seq, "changed_at": now}
    if not tx.execute(update(SubscriptionRow).where(other).values(values)).rowcount:
        return False
    tx.execute(insert(ConsentRow).values(subscription_id=subscription_id, at=now, action="joined", evidence="as the record says"))
    return True


def suppress(tx: Tx, suppressions: Sequence[Suppressed], now: datetime) -> None:
    """Addresses that are never written to again, or not until their person subscribes again."""
    reasons = [LEFT if one.by == PERSON else "as the record says" for one in suppressions]
    rows = [
        {"address_hash": one.address_hash, "reason": reason, "created_at": now}
        for one, reason in zip(suppressions, reasons, strict=True)
    ]
    for part in _parts(rows):
        upsert.ignore(tx, SuppressionRow, part)


def lift(tx: Tx, hashes: Iterable[str]) -> None:
    """Addresses whose people have subscribed again since."""
    for part in _parts(hashes):
        tx.execute(delete(SuppressionRow).where(SuppressionRow.address_hash.in_(part)))


def active_addresses(tx: Tx) -> Iterator[str]:
    """The addresses of those who get a digest here."""
    query = select(SubscriberRow.address).join(SubscriptionRow, SubscriptionRow.subscriber_id == SubscriberRow.id)
    yield from tx.execute(query.where(SubscriptionRow.status == SubscriptionStatus.ACTIVE).distinct()).scalars()


def drop_notices(tx: Tx, now: datetime) -> int:
    """Single mails that were waiting when the copy was made may have gone out since; none of them is sent."""
    waiting = NoticeRow.status.in_(OPEN_DELIVERIES)
    values = {"status": DeliveryStatus.CANCELLED, "reply": "dropped by a restore", "changed_at": now, "lease": "", "next_at": None}
    dropped = tx.execute(update(NoticeRow).where(waiting).values(values).returning(NoticeRow.kind, NoticeRow.created_at)).all()
    for kind, made_at in dropped:
        if kind == "alert" and made_at is not None:
            runs.unmail(tx, made_at)  # what it said is new again
    return len(dropped)


def hold_sources(tx: Tx) -> int:
    """What the next collect of each source finds new is held: it may have been mailed already."""
    return int(tx.execute(update(SourceRow).values(hold_next=True)).rowcount)
