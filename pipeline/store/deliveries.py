"""The delivery ledger: claims, answers and sums (promises 1 to 3).

A claim is a few rows for one connection, committed before the first byte of a message leaves; the outcomes are committed
after the relay's answers, in the same transaction as the connection's next claim. In between the journal keeps them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import BindParameter as Bound
from sqlalchemy import ColumnElement, Exists, Integer, Update, and_, any_, bindparam, exists, func, literal, or_, select, update
from sqlalchemy.orm import aliased
from sqlalchemy.sql.dml import ReturningUpdate

from pipeline.models import OPEN_DELIVERIES, DeliveryStatus, EditionStatus, RelayAnswer, RetryDecision, SubscriptionStatus
from pipeline.store import feeds
from pipeline.store.database import Tx
from pipeline.store.record import Became, note
from pipeline.store.replay import REMADE
from pipeline.store.schema import DeliveryRow, EditionRow, RelayRow, SiteRow, SubscriptionRow, UtcDateTime, VariantRow

LEASE = timedelta(hours=1)
"""Longer than a relay can take over one message at the longest ``timeout`` (RFC 5321 4.5.3.2); only other machines look at it."""
_LONGEST_WAIT = timedelta(hours=6)
"""More than the longest back-off with its jitter (``deliver.retry``)."""
_CRASHES = 5
"""So often a delivery may be on the wire when its process dies before a person is asked: it may be what kills it."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One delivery in the hands of one connection; ``lease`` is the token that later decisions need."""

    id: int
    edition_id: int
    subscription_id: int
    variant_id: int
    address: str
    name: str
    attempts: int
    uncertain_at: datetime | None
    lease: str


@dataclass(frozen=True, slots=True)
class DeliveryRecord:
    """A delivery for a person to read."""

    id: int
    edition: str
    subscription_id: int
    address: str
    status: DeliveryStatus
    relay: str
    attempts: int
    next_at: datetime | None
    reply: str
    uncertain_at: datetime | None
    changed_at: datetime | None
    from_seq: int
    to_seq: int
    variant_id: int


def claim(tx: Tx, edition_id: int, *, relay: str, lease: str, now: datetime, without: Sequence[int] = ()) -> Claim | None:
    """Take the next delivery of an edition that is being sent; None when there is none to send at ``now``."""
    return next(iter(claim_many(tx, edition_id, relay=relay, lease=lease, now=now, most=1, without=without)), None)


def claim_many(
    tx: Tx, edition_id: int, *, relay: str, lease: str, now: datetime, most: int, without: Sequence[int] = ()
) -> list[Claim]:
    """Take the next deliveries of an edition that is being sent, at most so many; those that wait longest first.

    Nothing is taken while the edition, the relay or the site is paused. ``without`` are deliveries to pass over.
    The condition is repeated outside the subselect: on PostgreSQL a row may have changed hands while it was waited for,
    and without SKIP LOCKED two processes were seen to claim the same rows.
    """
    given = {"edition": edition_id, "with_relay": relay, "token": lease, "at": now, "until": datetime.now(UTC) + LEASE}
    taken: list[Claim] = []
    for status in (DeliveryStatus.QUEUED, DeliveryStatus.DEFERRED):
        if len(taken) < most:
            statement = _claim_statement(status, tx.dialect.name)
            rows = tx.execute(statement, given | {"without": without, "most": most - len(taken)})
            taken += sorted((Claim(*row) for row in rows), key=lambda one: (one.variant_id, one.id))
    if taken:
        people = ",".join(str(one.subscription_id) for one in taken)
        note(tx, Became(DeliveryStatus.SENDING, edition_id, people, relay))
    return taken


@cache
def _claim_statement(status: DeliveryStatus, dialect: str) -> ReturningUpdate[Any]:
    """Built once: SQLAlchemy takes longer to build this than a database to run it."""
    edition: Bound[int] = bindparam("edition")
    relay: Bound[str] = bindparam("with_relay")
    at: Bound[datetime] = bindparam("at", type_=UtcDateTime)
    queued = status is DeliveryStatus.QUEUED
    condition = _queued(edition) if queued else _deferred_until(edition, at)
    order = (DeliveryRow.variant_id if queued else DeliveryRow.next_at, DeliveryRow.id)
    ready = and_(condition, *_nothing_rests(edition, relay), DeliveryRow.id.not_in(bindparam("without", expanding=True)))
    first = select(DeliveryRow.id).where(ready).order_by(*order).limit(bindparam("most", type_=Integer))
    first = first.with_for_update(skip_locked=True)
    until = bindparam("until", type_=UtcDateTime) if dialect == "sqlite" else func.now() + LEASE
    values = {"relay": relay, "lease": bindparam("token"), "lease_until": until, "changed_at": at}
    # PostgreSQL may run a subselect behind IN anew for each row, each time with other rows locked; an array is made once.
    chosen = DeliveryRow.id.in_(first) if dialect == "sqlite" else DeliveryRow.id == any_(func.array(first.scalar_subquery()))
    taken = update(DeliveryRow).where(chosen, condition)
    columns = [getattr(DeliveryRow, name) for name in Claim.__dataclass_fields__]
    return taken.values(values | {"status": DeliveryStatus.SENDING}).returning(*columns)


def any_due(tx: Tx, edition_id: int, now: datetime) -> bool:
    """Whether the edition has a delivery to send at ``now``, so that a relay is not called for nothing."""
    return any(
        tx.execute(select(DeliveryRow.id).where(condition).limit(1)).first() is not None
        for condition in (_queued(edition_id), _deferred_until(edition_id, now))
    )


def _nothing_rests(edition_id: Bound[int], relay: Bound[str]) -> tuple[ColumnElement[bool], ...]:
    """An operator's pause holds from the next claim on."""
    return (
        exists().where(EditionRow.id == edition_id, EditionRow.status == EditionStatus.SENDING),
        ~exists().where(RelayRow.name == relay, RelayRow.paused),
        ~exists().where(SiteRow.paused),
    )


def rests(tx: Tx, edition_id: int, relay: str) -> bool:
    """Whether a person has paused or cancelled what is claimed of this edition through this relay."""
    given = {"edition": edition_id, "with_relay": relay}
    ready = select(and_(*_nothing_rests(bindparam("edition"), bindparam("with_relay"))))
    return not tx.execute(ready, given).scalar_one()


def _queued(edition_id: int | Bound[int]) -> ColumnElement[bool]:
    return and_(DeliveryRow.edition_id == edition_id, _is(DeliveryStatus.QUEUED))


def _deferred_until(edition_id: int | Bound[int], now: datetime | Bound[datetime]) -> ColumnElement[bool]:
    return and_(DeliveryRow.edition_id == edition_id, _is(DeliveryStatus.DEFERRED), DeliveryRow.next_at <= now)


def _is(status: DeliveryStatus) -> ColumnElement[bool]:
    """The word stands in the SQL itself: a prepared statement with a parameter there cannot use a partial index."""
    return DeliveryRow.status == literal(str(status), literal_execute=True)


def _clock(tx: Tx) -> Any:
    """Leases alone use the machine's clock, on PostgreSQL the database's (promise 10)."""
    return datetime.now(UTC) if tx.dialect.name == "sqlite" else func.now()


def left(tx: Tx, subscription_ids: Collection[int]) -> dict[int, SubscriptionStatus]:
    """Those of the people behind claims who are not there any more, or rest."""
    query = select(SubscriptionRow.id, SubscriptionRow.status).where(SubscriptionRow.status != SubscriptionStatus.ACTIVE)
    rows = tx.execute(query.where(SubscriptionRow.id.in_(subscription_ids)))
    return {row.id: SubscriptionStatus(row.status) for row in rows}


def settle(tx: Tx, claim: Claim, decision: RetryDecision, answer: RelayAnswer | None, now: datetime) -> None:
    """Write what became of a claim. A relay's last word is a fact and is recorded also when the lease is lost."""
    given = _settled(claim, decision, now)
    uncertain = decision.status is DeliveryStatus.UNCERTAIN
    final = decision.status in (DeliveryStatus.ACCEPTED, DeliveryStatus.FAILED)
    fact = answer is not None and answer.code is not None and final
    written = tx.execute(_settle_statement(uncertain=uncertain, late=False), given).rowcount
    if written == 0 and fact:
        written = tx.execute(_settle_statement(uncertain=uncertain, late=True), given).rowcount
    if written:
        note(tx, Became(decision.status, claim.edition_id, str(claim.subscription_id)))


def settle_many(tx: Tx, settled: Sequence[tuple[Claim, RetryDecision, RelayAnswer | None]], now: datetime) -> None:
    """The same for many; one after the other where a lease was lost meanwhile."""
    groups: dict[bool, list[tuple[Claim, RetryDecision, RelayAnswer | None]]] = {}
    for one in settled:
        groups.setdefault(one[1].status is DeliveryStatus.UNCERTAIN, []).append(one)
    for uncertain, group in groups.items():
        rows = [_settled(claim, decision, now) for claim, decision, _ in group]
        with tx.begin_nested() as attempt:
            written = tx.execute(_settle_statement(uncertain=uncertain, late=False), rows).rowcount
            if written != len(rows):
                attempt.rollback()
        if written != len(rows):
            for one in group:
                settle(tx, *one, now)
            continue
        became: dict[tuple[DeliveryStatus, int], list[str]] = {}
        for claim, decision, _ in group:
            became.setdefault((decision.status, claim.edition_id), []).append(str(claim.subscription_id))
        note(tx, *(Became(status, edition, ",".join(people)) for (status, edition), people in became.items()))


def _settled(claim: Claim, decision: RetryDecision, now: datetime) -> dict[str, Any]:
    given = {"delivery": claim.id, "token": claim.lease, "outcome": decision.status, "again_at": decision.next_at, "at": now}
    return given | {"said": decision.reason, "tried": claim.attempts + decision.count_attempt}


def hand_back(tx: Tx, lease: str, ids: Sequence[int], now: datetime) -> int:
    """Claimed deliveries of which the relay surely has nothing are queued again, no attempt counted; returns how many."""
    values = {"status": DeliveryStatus.QUEUED, "next_at": None, "lease": "", "lease_until": None, "changed_at": now}
    count = 0
    for start in range(0, len(ids), 500):
        mine = and_(DeliveryRow.id.in_(ids[start : start + 500]), DeliveryRow.lease == lease, _is(DeliveryStatus.SENDING))
        count += _change(tx, update(DeliveryRow).where(mine).values(values), DeliveryStatus.QUEUED)
    return count


def held_by(tx: Tx, lease: str) -> list[Claim]:
    """What is on the wire under this lease."""
    columns = [getattr(DeliveryRow, name) for name in Claim.__dataclass_fields__]
    query = select(*columns).where(DeliveryRow.lease == lease, DeliveryRow.status == DeliveryStatus.SENDING)
    return [Claim(*row) for row in tx.execute(query.order_by(DeliveryRow.id))]


def claims_of(tx: Tx, ids: Sequence[int], lease: str) -> list[Claim]:
    """These deliveries as they were claimed under that lease, whatever became of them since."""
    columns = [getattr(DeliveryRow, name) for name in Claim.__dataclass_fields__ if name != "lease"]
    found = []
    for start in range(0, len(ids), 500):
        rows = tx.execute(select(*columns).where(DeliveryRow.id.in_(ids[start : start + 500])))
        found += [Claim(**row._mapping, lease=lease) for row in rows]
    return found


@cache
def _settle_statement(*, uncertain: bool, late: bool) -> Update:
    """``late``: without asking for the lease, but never over an acceptance. Built once, like the claim."""
    at = bindparam("at", type_=UtcDateTime)
    mine = DeliveryRow.id == bindparam("delivery")
    values: dict[str, Any] = {
        "status": bindparam("outcome"),
        "next_at": bindparam("again_at", type_=UtcDateTime),
        "reply": bindparam("said"),
    }
    values |= {"attempts": bindparam("tried"), "changed_at": at, "lease": "", "lease_until": None}
    values |= {"uncertain_at": at} if uncertain else {}
    held = DeliveryRow.status != DeliveryStatus.ACCEPTED if late else DeliveryRow.lease == bindparam("token")
    statement = update(DeliveryRow).where(mine, held)
    return statement.values(values)


def resend(tx: Tx, claim_id: int) -> None:
    """From uncertain back to queued: the same Message-ID and bytes go out once more; ``uncertain_at`` keeps the mark."""
    mine = and_(DeliveryRow.id == claim_id, DeliveryRow.status == DeliveryStatus.UNCERTAIN)
    _change(tx, update(DeliveryRow).where(mine).values(status=DeliveryStatus.QUEUED, next_at=None), DeliveryStatus.QUEUED)


def recover(tx: Tx, is_dead: Callable[[str], bool | None], now: datetime) -> list[DeliveryRecord]:
    """Deliveries that a dead process left on the wire become uncertain, or queued again where the edition resends.

    ``is_dead`` judges a lease token; None means that only the end of its lease tells. Returns the deliveries as they are now.
    """
    sending = DeliveryRow.status == DeliveryStatus.SENDING
    ran_out = func.max(DeliveryRow.lease_until) < _clock(tx)
    leases = tx.execute(select(DeliveryRow.lease, ran_out).where(sending).group_by(DeliveryRow.lease)).all()
    judged = {lease: bool(out) if (dead := is_dead(lease)) is None else dead for lease, out in leases}
    lost = and_(sending, DeliveryRow.lease.in_([lease for lease, dead in judged.items() if dead]))
    ids = [record.id for record in _records(tx, lost, take=True)]
    resends = exists().where(EditionRow.id == DeliveryRow.edition_id, EditionRow.uncertain == "resend")
    again = and_(resends, or_(DeliveryRow.uncertain_at.is_(None), DeliveryRow.attempts < _CRASHES))
    values: dict[str, Any] = {"uncertain_at": now, "changed_at": now, "lease": "", "lease_until": None}
    values["attempts"] = DeliveryRow.attempts + 1
    values["reply"] = "the sending process ended while this was on the wire"
    for start in range(0, len(ids), 500):
        part = and_(DeliveryRow.id.in_(ids[start : start + 500]), sending)
        for status, which in ((DeliveryStatus.QUEUED, and_(part, again)), (DeliveryStatus.UNCERTAIN, part)):
            _change(tx, update(DeliveryRow).where(which).values(values | {"status": status}), status)
    return [record for start in range(0, len(ids), 500) for record in _records(tx, DeliveryRow.id.in_(ids[start : start + 500]))]


def call_back(tx: Tx, edition_id: int, now: datetime) -> None:
    """Deferred deliveries further off than anybody puts them off are tried now: the clock was ahead when that was written."""
    astray = and_(DeliveryRow.edition_id == edition_id, _is(DeliveryStatus.DEFERRED), DeliveryRow.next_at > now + _LONGEST_WAIT)
    tx.execute(update(DeliveryRow).where(astray).values(next_at=now))


def defer(tx: Tx, ids: Sequence[int], next_at: datetime, now: datetime) -> int:
    """Deliveries that failed for a policy that turned out to concern everybody are tried again later; returns how many."""
    # On PostgreSQL another connection may be just committing one of these refusals: its row still reads "sending" here, and
    # naming that status makes this statement wait for it and look again.
    refused = DeliveryRow.status.in_((DeliveryStatus.FAILED, DeliveryStatus.SENDING))
    failed = and_(DeliveryRow.id.in_(ids), refused)
    values = {"status": DeliveryStatus.DEFERRED, "next_at": next_at, "changed_at": now}
    return _change(tx, update(DeliveryRow).where(failed).values(values), DeliveryStatus.DEFERRED)


def _change(tx: Tx, change: Update, status: DeliveryStatus) -> int:
    """Many deliveries that get this status at once, and the record of it; returns how many."""
    changed: dict[int, list[str]] = {}
    for edition, subscription in tx.execute(change.returning(DeliveryRow.edition_id, DeliveryRow.subscription_id)):
        changed.setdefault(edition, []).append(str(subscription))
    note(tx, *(Became(status, edition, ",".join(people)) for edition, people in changed.items()))
    return sum(len(people) for people in changed.values())


def end_open(tx: Tx, edition_id: int, status: DeliveryStatus, reason: str, now: datetime) -> int:
    """Cancel or expire what is not on the wire, and put the cursors back that nothing later has moved; returns how many."""
    _lock_feed(tx, edition_id)
    waiting = and_(DeliveryRow.edition_id == edition_id, DeliveryRow.status.in_((DeliveryStatus.QUEUED, DeliveryStatus.DEFERRED)))
    # Nobody may claim one of them between the two updates: it would be sent although its cursor went back.
    held = select(DeliveryRow.id).where(waiting).with_for_update().subquery()
    tx.execute(select(func.count()).select_from(held))
    this = and_(waiting, DeliveryRow.subscription_id == SubscriptionRow.id, DeliveryRow.to_seq == SubscriptionRow.settled_seq)
    tx.execute(update(SubscriptionRow).where(this).values(settled_seq=DeliveryRow.from_seq))
    values = {"status": status, "reply": reason, "changed_at": now, "next_at": None}
    return _change(tx, update(DeliveryRow).where(waiting).values(values), status)


def waiting_for(tx: Tx, subscription_ids: Sequence[int]) -> list[int]:
    """The deliveries to these subscriptions that are to be sent and not on the wire, newest first, locked."""
    waiting = DeliveryRow.status.in_((DeliveryStatus.QUEUED, DeliveryStatus.DEFERRED))
    query = select(DeliveryRow.id).where(DeliveryRow.subscription_id.in_(subscription_ids), waiting)
    return list(tx.execute(query.order_by(DeliveryRow.to_seq.desc()).with_for_update()).scalars())


def end(tx: Tx, ids: Sequence[int], status: DeliveryStatus, reason: str, now: datetime) -> int:
    """These deliveries are at their end; cursors stay; returns how many."""
    values = {"status": status, "reply": reason, "changed_at": now, "next_at": None}
    return _change(tx, update(DeliveryRow).where(DeliveryRow.id.in_(ids)).values(values), status)


def requeue(tx: Tx, edition_id: int, statuses: Sequence[DeliveryStatus], now: datetime, *, relay: str | None = None) -> int:
    """Send these again with the same Message-ID and bytes, to people who are still there; returns how many.

    Expired and cancelled ones are left out where another edition has meanwhile covered their items for that person.
    """
    _lock_feed(tx, edition_id)
    mine = DeliveryRow.subscription_id == SubscriptionRow.id
    active = exists().where(mine, SubscriptionRow.status == SubscriptionStatus.ACTIVE)
    chosen = and_(DeliveryRow.edition_id == edition_id, DeliveryRow.status.in_(statuses), active)
    if relay is not None:
        chosen = and_(chosen, DeliveryRow.relay == relay)
    undone = (DeliveryStatus.EXPIRED, DeliveryStatus.CANCELLED)
    needed = or_(DeliveryRow.status.not_in(undone), ~_covered(lambda other: other.status.not_in(undone)))
    needed = and_(needed, ~exists().where(VariantRow.id == DeliveryRow.variant_id, VariantRow.content_key == REMADE))
    values = {"status": DeliveryStatus.QUEUED, "attempts": 0, "next_at": None, "changed_at": now}
    count = _change(tx, update(DeliveryRow).where(chosen, needed).values(values), DeliveryStatus.QUEUED)
    # A queued delivery has its cursor at to_seq or later, but for those that this took.
    forward = and_(_queued(edition_id), mine, SubscriptionRow.settled_seq < DeliveryRow.to_seq)
    tx.execute(update(SubscriptionRow).where(forward).values(settled_seq=DeliveryRow.to_seq))
    return count


def drop_uncertain(tx: Tx, edition_id: int, now: datetime) -> int:
    """Held deliveries are left at that, cursors too: their items are not sent again; returns how many."""
    reason = "dropped by hand: nobody knew whether it had been sent"
    return _end_uncertain(tx, DeliveryRow.edition_id == edition_id, reason, now)


def put_back_uncertain(tx: Tx, edition_id: int, now: datetime) -> int:
    """The items of held deliveries come in the next digest, but for people to whom later ones were sent; returns how many."""
    _lock_feed(tx, edition_id)
    last = and_(SubscriptionRow.id == DeliveryRow.subscription_id, SubscriptionRow.settled_seq == DeliveryRow.to_seq)
    held = and_(DeliveryRow.edition_id == edition_id, _is(DeliveryStatus.UNCERTAIN))
    ids = tx.execute(select(DeliveryRow.id).where(held, exists().where(last))).scalars().all()
    for start in range(0, len(ids), 500):
        part = DeliveryRow.id.in_(ids[start : start + 500])
        tx.execute(update(SubscriptionRow).where(part, last).values(settled_seq=DeliveryRow.from_seq))
        _end_uncertain(tx, part, "its items come in the next digest", now)
    return len(ids)


def _end_uncertain(tx: Tx, which: ColumnElement[bool], reason: str, now: datetime) -> int:
    held = and_(which, _is(DeliveryStatus.UNCERTAIN))
    values = {"status": DeliveryStatus.CANCELLED, "reply": reason, "changed_at": now, "uncertain_at": None}
    return _change(tx, update(DeliveryRow).where(held).values(values), DeliveryStatus.CANCELLED)


def _covered(which: Callable[[type[DeliveryRow]], ColumnElement[bool]]) -> Exists:
    """Whether another delivery to the same subscription, of those meant, covers some of the same numbers."""
    other = aliased(DeliveryRow)
    return exists().where(
        other.subscription_id == DeliveryRow.subscription_id,
        other.id != DeliveryRow.id,
        which(other),
        other.from_seq < DeliveryRow.to_seq,
        other.to_seq > DeliveryRow.from_seq,
    )


def _lock_feed(tx: Tx, edition_id: int) -> None:
    """Cursors are moved under the feed's lock, so that no edition is opened meanwhile."""
    slug = tx.execute(select(EditionRow.feed).where(EditionRow.id == edition_id)).scalar_one()
    feeds.lock(tx, slug)


def sums(tx: Tx, edition_id: int) -> dict[DeliveryStatus, int]:
    """How many deliveries of the edition are in each status, all statuses named."""
    rows = tx.execute(
        select(DeliveryRow.status, func.count()).where(DeliveryRow.edition_id == edition_id).group_by(DeliveryRow.status)
    )
    counted = {DeliveryStatus(status): count for status, count in rows}
    return {status: counted.get(status, 0) for status in DeliveryStatus}


def rehearsed(tx: Tx, edition_id: int, outbox: str) -> int:
    """How many accepted deliveries only went to the outbox."""
    only = and_(DeliveryRow.status == DeliveryStatus.ACCEPTED, DeliveryRow.relay == outbox)
    return int(tx.execute(select(func.count()).where(DeliveryRow.edition_id == edition_id, only)).scalar_one())


def first_accepted_by(tx: Tx, edition_id: int) -> str:
    """The relay of one of its accepted deliveries, "" when there is none: one look at an index, however many there are."""
    accepted = and_(DeliveryRow.edition_id == edition_id, DeliveryRow.status == DeliveryStatus.ACCEPTED)
    return tx.execute(select(DeliveryRow.relay).where(accepted).limit(1)).scalar() or ""


def on_the_wire(tx: Tx, edition_id: int) -> list[str]:
    """The lease of each delivery of the edition that is being sent."""
    sending = and_(DeliveryRow.edition_id == edition_id, DeliveryRow.status == DeliveryStatus.SENDING)
    return list(tx.execute(select(DeliveryRow.lease).where(sending)).scalars())


def next_attempt(tx: Tx) -> datetime | None:
    """When the next deferred delivery is due."""
    return tx.execute(select(func.min(DeliveryRow.next_at)).where(DeliveryRow.status == DeliveryStatus.DEFERRED)).scalar()


def maybe_twice(tx: Tx, edition_id: int) -> list[DeliveryRecord]:
    """The few who may get this edition twice or are held as uncertain: their mail was on the wire when a line or process broke."""
    return _records(tx, DeliveryRow.edition_id == edition_id, DeliveryRow.uncertain_at.is_not(None))


def of_edition(tx: Tx, edition_id: int, *statuses: DeliveryStatus) -> list[DeliveryRecord]:
    """The deliveries of an edition, or those in the given statuses, in the order of sending."""
    conditions = [DeliveryRow.edition_id == edition_id]
    return _records(tx, *conditions, *([DeliveryRow.status.in_(statuses)] if statuses else []))


def of_subscriptions(tx: Tx, subscription_ids: Sequence[int], edition_id: int | None = None) -> list[DeliveryRecord]:
    """Everything that was ever to be sent to these subscriptions, newest last."""
    conditions = [DeliveryRow.subscription_id.in_(subscription_ids)]
    return _records(tx, *conditions, *([DeliveryRow.edition_id == edition_id] if edition_id else []))


def _records(tx: Tx, *conditions: ColumnElement[bool], take: bool = False) -> list[DeliveryRecord]:
    """``take``: also lock them, without those that somebody is changing at this moment."""
    columns = [getattr(DeliveryRow, name) for name in DeliveryRecord.__dataclass_fields__ if name != "edition"]
    query = select(*columns, EditionRow.label.label("edition")).join(EditionRow, EditionRow.id == DeliveryRow.edition_id)
    query = query.where(*conditions).order_by(DeliveryRow.id)
    rows = tx.execute(query.with_for_update(of=DeliveryRow, skip_locked=True) if take else query)
    return [DeliveryRecord(**{**row._mapping, "status": DeliveryStatus(row.status)}) for row in rows]


def open_count(tx: Tx, edition_id: int) -> int:
    """How many deliveries of the edition are not at their end."""
    query = select(func.count()).where(DeliveryRow.edition_id == edition_id, DeliveryRow.status.in_(OPEN_DELIVERIES))
    return int(tx.execute(query).scalar_one())


def _count(tx: Tx, *conditions: ColumnElement[bool]) -> int:
    return int(tx.execute(select(func.count()).select_from(DeliveryRow).where(*conditions)).scalar_one())


def failed_for_good(tx: Tx, edition_id: int) -> int:
    """Failed deliveries of a finished edition to people who are still subscribed: a refusal that was not about their address."""
    if open_count(tx, edition_id):
        return 0
    active = exists().where(SubscriptionRow.id == DeliveryRow.subscription_id, SubscriptionRow.status == SubscriptionStatus.ACTIVE)
    return _count(tx, DeliveryRow.edition_id == edition_id, DeliveryRow.status == DeliveryStatus.FAILED, active)


def accepted_without_relay(tx: Tx, edition_id: int) -> int:
    """Accepted deliveries of which no relay is known: there should be none."""
    accepted = DeliveryRow.status == DeliveryStatus.ACCEPTED
    return _count(tx, DeliveryRow.edition_id == edition_id, accepted, DeliveryRow.relay == "")


def of_other_variants(tx: Tx, edition_id: int) -> int:
    """Deliveries whose variant is not of their edition: there should be none."""
    own = select(VariantRow.id).where(VariantRow.edition_id == edition_id)
    return _count(tx, DeliveryRow.edition_id == edition_id, DeliveryRow.variant_id.not_in(own))


def behind_cursor(tx: Tx, edition_id: int, statuses: Sequence[DeliveryStatus]) -> int:
    """Deliveries in these statuses whose subscription's cursor lies before them: they would be sent again."""
    before = exists().where(SubscriptionRow.id == DeliveryRow.subscription_id, SubscriptionRow.settled_seq < DeliveryRow.to_seq)
    return _count(tx, DeliveryRow.edition_id == edition_id, DeliveryRow.status.in_(statuses), before)


def overlapping(tx: Tx, edition_id: int, statuses: Sequence[DeliveryStatus]) -> int:
    """Deliveries in these statuses whose numbers another edition of the feed covered for the same subscription."""
    shared = _covered(lambda other: other.status.in_(statuses))
    return _count(tx, DeliveryRow.edition_id == edition_id, DeliveryRow.status.in_(statuses), shared)
