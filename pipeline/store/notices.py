"""Notices: single mails that are no edition, each with its frozen bytes, claimed and settled like deliveries."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, exists, func, or_, select, update

from pipeline.models import OPEN_DELIVERIES, DeliveryStatus, RetryDecision
from pipeline.store import upsert
from pipeline.store.database import Tx
from pipeline.store.deliveries import LEASE
from pipeline.store.runs import BY_HAND
from pipeline.store.schema import NoticeRow, RelayRow, SiteRow

_WAITING = (DeliveryStatus.QUEUED, DeliveryStatus.DEFERRED)


@dataclass(frozen=True, slots=True)
class NewNotice:
    """A mail about to be queued: ``message`` is the whole of it, ``sender`` its envelope sender.

    Of two with one ``dedupe_key`` the first stays. What was not accepted by ``deadline_at`` expires.
    """

    kind: str
    recipient: str
    dedupe_key: str
    sender: str
    message: bytes
    created_at: datetime
    deadline_at: datetime


@dataclass(frozen=True, slots=True)
class NoticeClaim:
    """One notice in the hands of one process; ``lease`` is the token that settling it needs."""

    id: int
    kind: str
    recipient: str
    dedupe_key: str
    sender: str
    message: bytes
    attempts: int
    created_at: datetime
    deadline_at: datetime
    lease: str


@dataclass(frozen=True, slots=True)
class NoticeRecord:
    """A notice for a person or a job to look at."""

    id: int
    kind: str
    recipient: str
    dedupe_key: str
    status: DeliveryStatus
    relay: str
    attempts: int
    next_at: datetime | None
    reply: str
    created_at: datetime
    deadline_at: datetime


def add(tx: Tx, notice: NewNotice) -> None:
    """Queue it, unless its ``dedupe_key`` is known already."""
    values = {name: getattr(notice, name) for name in NewNotice.__dataclass_fields__}
    upsert.ignore(tx, NoticeRow, [values | {"status": DeliveryStatus.QUEUED, "attempts": 0, "changed_at": notice.created_at}])


def known(tx: Tx, dedupe_key: str) -> bool:
    """Whether this was asked for already, whatever became of it."""
    return tx.execute(select(NoticeRow.id).where(NoticeRow.dedupe_key == dedupe_key)).first() is not None


def asked_since(tx: Tx, key_prefix: str, since: datetime) -> bool:
    """Whether one whose ``dedupe_key`` begins so was asked for after that moment."""
    begins = NoticeRow.dedupe_key.startswith(key_prefix, autoescape=True)
    return tx.execute(select(NoticeRow.id).where(begins, NoticeRow.created_at > since).limit(1)).first() is not None


def claim(
    tx: Tx, *, relay: str, lease: str, now: datetime, without: Sequence[int] = (), kept_back: Sequence[str] = ()
) -> NoticeClaim | None:
    """Take the next notice to send at ``now``, oldest first; None when there is none, or while site or relay rest by hand.

    Kinds that are ``kept_back`` wait.

    A relay that was paused because it refused subscribers' mail still takes notices: one of them tells of that.
    """
    ready = and_(_due(now), *_nothing_rests(relay), NoticeRow.id.not_in(without), NoticeRow.kind.not_in(kept_back))
    first = select(NoticeRow.id).where(ready).order_by(NoticeRow.id).limit(1).with_for_update(skip_locked=True)
    values = {"status": DeliveryStatus.SENDING, "relay": relay, "lease": lease, "changed_at": now}
    values["lease_until"] = datetime.now(UTC) + LEASE if tx.dialect.name == "sqlite" else func.now() + LEASE
    columns = [getattr(NoticeRow, name) for name in NoticeClaim.__dataclass_fields__]
    taken = update(NoticeRow).where(NoticeRow.id == first.scalar_subquery(), _due(now)).values(values)
    row = tx.execute(taken.returning(*columns)).first()
    return NoticeClaim(**{**row._mapping, "message": bytes(row.message)}) if row else None


def any_due(tx: Tx, relay: str, now: datetime, kept_back: Sequence[str] = ()) -> bool:
    """Whether ``claim`` would find one, so that a relay is not called for nothing."""
    return (
        tx.execute(select(NoticeRow.id).where(_due(now), *_nothing_rests(relay), NoticeRow.kind.not_in(kept_back)).limit(1)).first()
        is not None
    )


def _due(now: datetime) -> ColumnElement[bool]:
    deferred = and_(NoticeRow.status == DeliveryStatus.DEFERRED, NoticeRow.next_at <= now)
    return and_(or_(NoticeRow.status == DeliveryStatus.QUEUED, deferred), NoticeRow.deadline_at > now)


def _nothing_rests(relay: str) -> tuple[ColumnElement[bool], ...]:
    by_hand = and_(RelayRow.name == relay, RelayRow.paused, RelayRow.reason == BY_HAND)
    return (~exists().where(by_hand), ~exists().where(SiteRow.paused))


def settle(tx: Tx, claim: NoticeClaim, decision: RetryDecision, now: datetime) -> None:
    """Write what became of a claim. An acceptance is a fact and is recorded also when the lease is lost."""
    values: dict[str, Any] = {"status": decision.status, "next_at": decision.next_at, "reply": decision.reason, "changed_at": now}
    values |= {"attempts": claim.attempts + decision.count_attempt, "lease": "", "lease_until": None}
    mine = NoticeRow.id == claim.id
    if decision.status is not DeliveryStatus.ACCEPTED:
        mine = and_(mine, NoticeRow.lease == claim.lease)
    tx.execute(update(NoticeRow).where(mine).values(values))


def recover(tx: Tx, is_dead: Callable[[str], bool | None], now: datetime) -> int:
    """Notices that a dead process left on the wire are queued again, same Message-ID and bytes; returns how many.

    ``is_dead`` judges a lease token; None means that only the end of its lease tells.
    """
    clock: Any = datetime.now(UTC) if tx.dialect.name == "sqlite" else func.now()
    sending = NoticeRow.status == DeliveryStatus.SENDING
    found = tx.execute(select(NoticeRow.id, NoticeRow.lease, NoticeRow.lease_until < clock).where(sending)).all()
    lost = [row[0] for row in found if (bool(row[2]) if (dead := is_dead(row[1])) is None else dead)]
    values: dict[str, Any] = {"status": DeliveryStatus.QUEUED, "next_at": None, "lease": "", "lease_until": None, "changed_at": now}
    values["attempts"] = NoticeRow.attempts + 1
    values["reply"] = "the sending process ended while this was on the wire"
    return int(tx.execute(update(NoticeRow).where(NoticeRow.id.in_(lost), sending).values(values)).rowcount)


def expire(tx: Tx, now: datetime) -> list[NoticeRecord]:
    """What was not accepted by its deadline is not sent any more; returns those."""
    late = and_(NoticeRow.status.in_(_WAITING), NoticeRow.deadline_at <= now)
    found = _records(tx, late)
    values = {"status": DeliveryStatus.EXPIRED, "next_at": None, "changed_at": now}
    tx.execute(update(NoticeRow).where(NoticeRow.id.in_([one.id for one in found])).values(values))
    return found


def prune(tx: Tx, before: datetime) -> None:
    """Forget notices that are at their end and were asked for before that moment; the latest of all stays."""
    latest = select(func.max(NoticeRow.id)).scalar_subquery()
    ended = and_(NoticeRow.status.not_in(OPEN_DELIVERIES), NoticeRow.created_at < before, NoticeRow.id < latest)
    tx.execute(delete(NoticeRow).where(ended))


def forget(tx: Tx, kinds: Sequence[str], before: datetime) -> None:
    """Empty what was said to whom in mails of these kinds that are at their end and were asked for until that moment."""
    ended = and_(NoticeRow.kind.in_(kinds), NoticeRow.status.not_in(OPEN_DELIVERIES), NoticeRow.created_at <= before)
    values = {"recipient": "", "message": b"", "reply": ""}
    tx.execute(update(NoticeRow).where(ended, NoticeRow.recipient != "").values(values))


def last(tx: Tx, kind: str) -> NoticeRecord | None:
    """The latest notice of a kind, whatever became of it."""
    found = _records(tx, NoticeRow.id == select(func.max(NoticeRow.id)).where(NoticeRow.kind == kind).scalar_subquery())
    return found[0] if found else None


def waiting(tx: Tx) -> list[NoticeRecord]:
    """Notices that are not at their end, oldest first."""
    return _records(tx, NoticeRow.status.in_(OPEN_DELIVERIES))


def _records(tx: Tx, *conditions: ColumnElement[bool]) -> list[NoticeRecord]:
    columns = [getattr(NoticeRow, name) for name in NoticeRecord.__dataclass_fields__]
    rows = tx.execute(select(*columns).where(*conditions).order_by(NoticeRow.id))
    return [NoticeRecord(**{**row._mapping, "status": DeliveryStatus(row.status)}) for row in rows]
