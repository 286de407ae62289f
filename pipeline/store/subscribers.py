"""Subscribers and their subscriptions: joining, leaving, and who is suppressed."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any

from sqlalchemy import ColumnElement, Label, and_, delete, func, insert, or_, select, update
from sqlalchemy.sql import Executable

from pipeline.models import Cadence, Choice, Rhythm, SubscriptionStatus
from pipeline.store import upsert
from pipeline.store.database import Tx
from pipeline.store.record import PERSON, Began, Left, Lifted, Suppressed, note
from pipeline.store.record import address_hash as hash_of
from pipeline.store.schema import (
    ChoiceRow,
    ConsentRow,
    ScheduleRow,
    SubscriberRow,
    SubscriptionRow,
    SuppressionRow,
    new_id,
)

ERASED = "erased"
LEFT = "left, as the record says"
BY_PERSON = (ERASED, LEFT)
"""Reasons for a suppression that its person can lift, by subscribing again and confirming it."""
OPTED_OUT = (SubscriptionStatus.UNSUBSCRIBED, SubscriptionStatus.BOUNCED, SubscriptionStatus.COMPLAINED)

_RECORD = (
    SubscriptionRow.id,
    SubscriberRow.address,
    SubscriberRow.name,
    SubscriptionRow.feed,
    SubscriptionRow.status,
    SubscriptionRow.settled_seq,
    ScheduleRow.cadence,
    ScheduleRow.weekday,
    ScheduleRow.day,
    ScheduleRow.time,
    ScheduleRow.zone,
    ScheduleRow.next_due_at,
    ChoiceRow.topics,
    ChoiceRow.words,
    ChoiceRow.language,
    ChoiceRow.format,
    SubscriptionRow.snoozed_until,
    SubscriptionRow.changed_at,
)


@dataclass(frozen=True, slots=True)
class SubscriptionRecord:
    """A subscription with everything a list or an export shows."""

    id: int
    address: str
    name: str
    feed: str
    status: SubscriptionStatus
    settled_seq: int
    rhythm: Rhythm
    choice: Choice
    next_due_at: datetime | None
    consent: str = ""
    snoozed_until: datetime | None = None
    changed_at: datetime | None = field(default=None, compare=False)


def fold(address: str) -> str:
    """Two spellings of one mailbox fold to one text; the local part's case is ignored as all providers do."""
    return address.casefold()


def subscriber(tx: Tx, address: str, name: str, now: datetime) -> int:
    """The subscriber with this address, made when new; returns its id. A name is only filled in, never emptied."""
    row = tx.execute(select(SubscriberRow.id, SubscriberRow.name).where(SubscriberRow.folded == fold(address))).first()
    if row is None:
        values = {"id": new_id(), "address": address, "folded": fold(address), "name": name, "created_at": now}
        return int(tx.execute(insert(SubscriberRow).values(values).returning(SubscriberRow.id)).scalar_one())
    if name and name != row.name:
        tx.execute(update(SubscriberRow).where(SubscriberRow.id == row.id).values(name=name))
    return int(row.id)


def schedule(tx: Tx, feed: str, rhythm: Rhythm, next_due_at: datetime | None) -> int:
    """The feed's schedule for this rhythm, made with ``next_due_at`` when new; returns its id."""
    values = {"feed": feed, "cadence": rhythm.cadence, "weekday": rhythm.weekday, "day": rhythm.day}
    values |= {"time": rhythm.time, "zone": rhythm.zone}
    upsert.ignore(tx, ScheduleRow, [values | {"next_due_at": next_due_at}])
    query = select(ScheduleRow.id).filter_by(**values)
    return int(tx.execute(query).scalar_one())


def choice(tx: Tx, wanted: Choice) -> int:
    """The row for this choice, made when new; returns its id."""
    values = {
        "topics": sorted(wanted.topics),
        "words": sorted(wanted.words),
        "language": wanted.language,
        "format": wanted.format,
    }
    digest = sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
    upsert.ignore(tx, ChoiceRow, [values | {"hash": digest}])
    return int(tx.execute(select(ChoiceRow.id).where(ChoiceRow.hash == digest)).scalar_one())


def subscription_of(tx: Tx, subscriber_id: int, feed: str) -> tuple[int, SubscriptionStatus] | None:
    """The id and status of this person's subscription to the feed, None where there is none."""
    query = select(SubscriptionRow.id, SubscriptionRow.status)
    row = tx.execute(query.where(SubscriptionRow.subscriber_id == subscriber_id, SubscriptionRow.feed == feed)).first()
    return (row.id, SubscriptionStatus(row.status)) if row else None


def subscribe(
    tx: Tx,
    *,
    subscriber_id: int,
    feed: str,
    schedule_id: int,
    choice_id: int,
    status: SubscriptionStatus,
    settled_seq: int,
    now: datetime,
) -> int:
    """Add a subscription; returns its id."""
    values = {"id": new_id(), "subscriber_id": subscriber_id, "feed": feed, "schedule_id": schedule_id, "choice_id": choice_id}
    values |= {"status": status, "settled_seq": settled_seq, "changed_at": now}
    identity = int(tx.execute(insert(SubscriptionRow).values(values).returning(SubscriptionRow.id)).scalar_one())
    if status in OPTED_OUT:
        _note_left(tx, SubscriptionRow.id == identity, status)
    return identity


def rearrange(tx: Tx, subscription_id: int, *, schedule_id: int, choice_id: int, now: datetime) -> bool:
    """Another rhythm or choice, if it differs; ``settled_seq`` stays, so nothing is lost or repeated (promise 4)."""
    other = or_(SubscriptionRow.schedule_id != schedule_id, SubscriptionRow.choice_id != choice_id)
    query = update(SubscriptionRow).where(SubscriptionRow.id == subscription_id, other)
    return bool(tx.execute(query.values(schedule_id=schedule_id, choice_id=choice_id, changed_at=now)).rowcount)


def activate(tx: Tx, subscription_id: int, settled_seq: int, now: datetime) -> None:
    """A subscription begins, or begins again, with its cursor as one that begins now (promise 4)."""
    values = {"status": SubscriptionStatus.ACTIVE, "snoozed_until": None, "settled_seq": settled_seq, "changed_at": now}
    tx.execute(update(SubscriptionRow).where(SubscriptionRow.id == subscription_id).values(values))
    note(tx, Began(subscription_id, settled_seq))


def leave(tx: Tx, subscription_id: int, status: SubscriptionStatus, now: datetime) -> None:
    """The subscription ends; a delivery not yet on the wire becomes suppressed when it is claimed."""
    ended = {"status": status, "snoozed_until": None, "changed_at": now}
    tx.execute(update(SubscriptionRow).where(SubscriptionRow.id == subscription_id).values(ended))
    _note_left(tx, SubscriptionRow.id == subscription_id, status)


def _note_left(tx: Tx, which: ColumnElement[bool], status: SubscriptionStatus) -> None:
    query = select(SubscriptionRow.id, SubscriberRow.address).join(SubscriberRow, SubscriberRow.id == SubscriptionRow.subscriber_id)
    for identity, address in tx.execute(query.where(which)).all():
        note(tx, Left(identity, status, hash_of(tx, address)))


def add_consent(tx: Tx, subscription_id: int, action: str, evidence: str, now: datetime) -> None:
    """Evidence is only ever added."""
    tx.execute(insert(ConsentRow).values(subscription_id=subscription_id, at=now, action=action, evidence=evidence))


def suppress(tx: Tx, address_hash: str, reason: str, now: datetime) -> None:
    """Never write to this address again, whatever is imported later."""
    upsert.ignore(tx, SuppressionRow, [{"address_hash": address_hash, "reason": reason, "created_at": now}])
    note(tx, Suppressed(address_hash, PERSON if reason in BY_PERSON else ""))


def suppressed(tx: Tx, address_hash: str) -> bool:
    """Whether the address is on the suppression list."""
    return suppression(tx, address_hash) is not None


def suppressed_among(tx: Tx, address_hashes: Collection[str]) -> set[str]:
    """Those of them that are on the suppression list."""
    listed = select(SuppressionRow.address_hash).where(SuppressionRow.address_hash.in_(address_hashes))
    return set(tx.execute(listed).scalars())


def suppression(tx: Tx, address_hash: str) -> str | None:
    """Why the address is on the suppression list; None where it is not."""
    return tx.execute(select(SuppressionRow.reason).where(SuppressionRow.address_hash == address_hash)).scalar()


def lift(tx: Tx, address_hash: str) -> None:
    """The address may be written to again; a store that is restored must know that, too."""
    tx.execute(delete(SuppressionRow).where(SuppressionRow.address_hash == address_hash))
    note(tx, Lifted(address_hash))


def statuses(tx: Tx, address: str) -> dict[str, tuple[int, SubscriptionStatus]]:
    """The subscriptions of an address by feed: id and status."""
    query = select(SubscriptionRow.feed, SubscriptionRow.id, SubscriptionRow.status)
    query = query.join(SubscriberRow, SubscriberRow.id == SubscriptionRow.subscriber_id)
    rows = tx.execute(query.where(SubscriberRow.folded == fold(address)))
    return {feed: (identity, SubscriptionStatus(status)) for feed, identity, status in rows}


def settled(tx: Tx, subscription_id: int) -> int:
    """The cursor of a subscription."""
    return int(tx.execute(select(SubscriptionRow.settled_seq).where(SubscriptionRow.id == subscription_id)).scalar_one())


def settle(tx: Tx, subscription_id: int, seq: int, to_seq: int) -> bool:
    """Move the cursor from ``seq`` to ``to_seq``, in either direction, unless something else has moved it; whether it did."""
    mine = and_(SubscriptionRow.id == subscription_id, SubscriptionRow.settled_seq == seq)
    return bool(tx.execute(update(SubscriptionRow).where(mine).values(settled_seq=to_seq)).rowcount)


def bounce(tx: Tx, address: str, now: datetime, status: SubscriptionStatus = SubscriptionStatus.BOUNCED) -> None:
    """The mailbox does not exist, or its person complained (``status``): all subscriptions of the address end."""
    who = select(SubscriberRow.id).where(SubscriberRow.folded == fold(address)).scalar_subquery()
    active = SubscriptionRow.status.not_in(OPTED_OUT)
    query = update(SubscriptionRow).where(SubscriptionRow.subscriber_id == who, active)
    ended = query.values(status=status, snoozed_until=None, changed_at=now).returning(SubscriptionRow.id)
    _note_left(tx, SubscriptionRow.id.in_(tx.execute(ended).scalars().all()), status)


def records(
    tx: Tx, *, feed: str | None = None, address: str | None = None, subscriber_id: int | None = None
) -> Iterator[SubscriptionRecord]:
    """Subscriptions with address, rhythm and choice, ordered by feed and address; streamed."""
    query = (
        select(*_RECORD, _last_consent())
        .select_from(SubscriptionRow)
        .join(SubscriberRow, SubscriberRow.id == SubscriptionRow.subscriber_id)
        .join(ScheduleRow, ScheduleRow.id == SubscriptionRow.schedule_id)
        .join(ChoiceRow, ChoiceRow.id == SubscriptionRow.choice_id)
        .where(SubscriberRow.address != "")  # of who was erased nothing is left to tell
    )
    if feed:
        query = query.where(SubscriptionRow.feed == feed)
    if address:
        query = query.where(SubscriberRow.folded == fold(address))
    if subscriber_id is not None:
        query = query.where(SubscriberRow.id == subscriber_id)
    query = query.order_by(SubscriptionRow.feed, SubscriberRow.folded).execution_options(yield_per=1000)
    with tx.execute(query) as rows:  # closed also when the reader stops early
        for row in rows:
            yield _subscription_record(row)


def _subscription_record(row: Any) -> SubscriptionRecord:
    return SubscriptionRecord(
        row.id,
        row.address,
        row.name,
        row.feed,
        SubscriptionStatus(row.status),
        row.settled_seq,
        Rhythm(Cadence(row.cadence), row.weekday, row.day, row.time, row.zone),
        Choice(tuple(row.topics), tuple(row.words), row.language, row.format),
        row.next_due_at,
        row.consent or "",
        row.snoozed_until,
        row.changed_at,
    )


def _last_consent() -> Label[Any]:
    joined = and_(ConsentRow.subscription_id == SubscriptionRow.id, ConsentRow.action == "joined")
    latest = select(ConsentRow.evidence).where(joined).order_by(ConsentRow.id.desc()).limit(1)
    return latest.correlate(SubscriptionRow).scalar_subquery().label("consent")


@dataclass(frozen=True, slots=True)
class Standing:
    """A subscription without its person: what a signed link may show."""

    feed: str
    status: SubscriptionStatus
    language: str


def standing(tx: Tx, subscription_id: int, *, take: bool = False) -> Standing | None:
    """How that subscription stands; None where the store knows none. ``take`` also locks it until the transaction ends."""
    query = select(SubscriptionRow.feed, SubscriptionRow.status, ChoiceRow.language)
    query = query.join(ChoiceRow, ChoiceRow.id == SubscriptionRow.choice_id).where(SubscriptionRow.id == subscription_id)
    row = tx.execute(query.with_for_update(of=SubscriptionRow) if take else query).first()
    return Standing(row.feed, SubscriptionStatus(row.status), row.language) if row else None


def counts(tx: Tx) -> dict[str, dict[SubscriptionStatus, int]]:
    """How many subscriptions each feed has in each status."""
    found: dict[str, dict[SubscriptionStatus, int]] = {}
    query = select(SubscriptionRow.feed, SubscriptionRow.status, func.count()).group_by(
        SubscriptionRow.feed, SubscriptionRow.status
    )
    for feed, status, count in tx.execute(query):
        found.setdefault(feed, {})[SubscriptionStatus(status)] = count
    return found


def any_active(tx: Tx) -> bool:
    """Whether there is anybody to write to."""
    active = SubscriptionRow.status == SubscriptionStatus.ACTIVE
    return tx.execute(select(SubscriptionRow.id).where(active).limit(1)).first() is not None


def any_subscription(tx: Tx) -> bool:
    """Whether anybody has ever subscribed here."""
    return tx.execute(select(SubscriptionRow.id).limit(1)).first() is not None


@dataclass(frozen=True, slots=True)
class Person:
    """A subscriber."""

    id: int
    address: str
    name: str


def person_behind(tx: Tx, subscription_id: int, *, take: bool = False) -> Person | None:
    """Whose subscription that is; None where the store knows none, or where that person was erased.

    ``take`` also locks the person until the transaction ends, so that who presses a button twice waits for themselves.
    """
    query = _PERSON.join(SubscriptionRow, SubscriptionRow.subscriber_id == SubscriberRow.id)
    query = query.where(SubscriptionRow.id == subscription_id)
    return _person(tx, query.with_for_update(of=SubscriberRow, key_share=True) if take else query)


def person(tx: Tx, subscriber_id: int) -> Person | None:
    """The subscriber of that id; None where the store knows none, or where that person was erased."""
    return _person(tx, _PERSON.where(SubscriberRow.id == subscriber_id))


def person_at(tx: Tx, address: str) -> Person | None:
    """The subscriber with that address, however it is spelled."""
    return _person(tx, _PERSON.where(SubscriberRow.folded == fold(address)))


_PERSON = select(SubscriberRow.id, SubscriberRow.address, SubscriberRow.name).where(SubscriberRow.address != "")


def _person(tx: Tx, query: Executable) -> Person | None:
    row = tx.execute(query).first()
    return Person(row.id, row.address, row.name) if row else None
