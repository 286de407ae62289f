"""Many subscribers at once: looked up in two questions, written in one statement a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import bindparam, insert, select, update

from pipeline.models import SubscriptionStatus
from pipeline.store.database import Tx
from pipeline.store.record import Left, address_hash, note
from pipeline.store.schema import ConsentRow, SubscriberRow, SubscriptionRow, SuppressionRow, new_id
from pipeline.store.subscribers import OPTED_OUT

_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Standing:
    """A subscription as it stands."""

    id: int
    status: SubscriptionStatus
    schedule_id: int
    choice_id: int


@dataclass(slots=True)
class Known:
    """A subscriber who is stored, with their subscriptions by feed."""

    id: int
    name: str
    subscriptions: dict[str, Standing] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Newcomer:
    """A subscriber who is not stored yet."""

    address: str
    folded: str
    name: str
    id: int = field(default_factory=new_id)


@dataclass(frozen=True, slots=True)
class NewSubscription:
    """A subscription about to be written; ``evidence`` are (action, text) of its consents."""

    subscriber_id: int
    address: str
    feed: str
    schedule_id: int
    choice_id: int
    status: SubscriptionStatus
    settled_seq: int
    evidence: tuple[tuple[str, str], ...]
    id: int = field(default_factory=new_id)


def look_up(tx: Tx, folded: Sequence[str]) -> dict[str, Known]:
    """Who of these folded addresses is stored."""
    found: dict[str, Known] = {}
    theirs = [getattr(SubscriptionRow, name) for name in ("id", "feed", "status", "schedule_id", "choice_id")]
    query = select(SubscriberRow.folded, SubscriberRow.id.label("person"), SubscriberRow.name, *theirs)
    query = query.outerjoin(SubscriptionRow, SubscriptionRow.subscriber_id == SubscriberRow.id)
    for some in _slices(folded):
        for row in tx.execute(query.where(SubscriberRow.folded.in_(some))):
            known = found.setdefault(row.folded, Known(row.person, row.name))
            if row.id is not None:
                known.subscriptions[row.feed] = Standing(row.id, SubscriptionStatus(row.status), row.schedule_id, row.choice_id)
    return found


def suppressed(tx: Tx, address_hashes: Sequence[str]) -> set[str]:
    """Which of these are on the suppression list."""
    found: set[str] = set()
    for some in _slices(address_hashes):
        found.update(tx.execute(select(SuppressionRow.address_hash).where(SuppressionRow.address_hash.in_(some))).scalars())
    return found


def _slices(values: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(values), _AT_ONCE):
        yield values[start : start + _AT_ONCE]


def add(tx: Tx, newcomers: Sequence[Newcomer], subscriptions: Sequence[NewSubscription], now: datetime) -> None:
    """Write subscribers, their subscriptions and the evidence, and note who comes as an opt-out."""
    people = [{"id": one.id, "address": one.address, "folded": one.folded, "name": one.name} for one in newcomers]
    if people:
        tx.execute(insert(SubscriberRow), [one | {"created_at": now} for one in people])
    names = ("id", "subscriber_id", "feed", "schedule_id", "choice_id", "status", "settled_seq")
    if rows := [{name: getattr(one, name) for name in names} | {"changed_at": now} for one in subscriptions]:
        tx.execute(insert(SubscriptionRow), rows)
    evidence = [
        {"subscription_id": one.id, "at": now, "action": action, "evidence": text}
        for one in subscriptions
        for action, text in one.evidence
    ]
    if evidence:
        tx.execute(insert(ConsentRow), evidence)
    note(tx, *(Left(one.id, one.status, address_hash(tx, one.address)) for one in subscriptions if one.status in OPTED_OUT))


def rearrange(tx: Tx, arrangements: Sequence[tuple[int, int, int]], now: datetime) -> None:
    """Other rhythms or choices: (subscription, schedule, choice) each; ``settled_seq`` stays (promise 4)."""
    query = update(SubscriptionRow.__table__).where(SubscriptionRow.id == bindparam("which"))  # type: ignore[arg-type]
    query = query.values(schedule_id=bindparam("schedule"), choice_id=bindparam("choice"), changed_at=now)
    if arrangements:
        tx.execute(query, [{"which": one, "schedule": schedule, "choice": choice} for one, schedule, choice in arrangements])
