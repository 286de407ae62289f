"""Sign-ups: who asked to subscribe, what became of it, and how often which mailbox and network asked lately."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, func, insert, or_, select, update

from pipeline.models import SignupStatus
from pipeline.store.database import Tx
from pipeline.store.schema import SignupRow, new_id
from pipeline.store.subscribers import fold

COUNTED = timedelta(days=30)
"""How long it is known that a mailbox was written to."""


@dataclass(frozen=True, slots=True)
class NewSignup:
    """A sign-up about to be stored. ``mailbox`` is a keyed hash, ``feeds`` slugs, ``wish`` has ``cadence`` and ``topics``."""

    address: str
    mailbox: str
    name: str
    feeds: tuple[str, ...]
    wish: dict[str, Any]
    language: str
    evidence: dict[str, Any]
    network: str
    asked_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Signup(NewSignup):
    """A stored one; address and name are empty once it is confirmed or has expired."""

    id: int
    status: SignupStatus
    told_at: datetime | None


@dataclass(frozen=True, slots=True)
class Made:
    """A subscription that a sign-up led to. Its cursor went from ``from_seq`` to ``to_seq`` for what the welcome mail shows."""

    subscription: int
    from_seq: int
    to_seq: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """How many sign-ups wait: ``asked`` for us to answer, ``told`` for a person to confirm."""

    asked: int = 0
    told: int = 0


def add(tx: Tx, new: NewSignup) -> None:
    """Store it; what becomes of it is decided by a job."""
    values = {name: getattr(new, name) for name in NewSignup.__dataclass_fields__}
    values |= {"id": new_id(), "folded": fold(new.address), "feeds": list(new.feeds), "status": SignupStatus.ASKED}
    tx.execute(insert(SignupRow).values(values))


def count_since(tx: Tx, since: datetime, most: int, network: str | None = None) -> int:
    """How many were asked for after that moment, in total or from one network; counting ends at ``most``."""
    found = select(SignupRow.asked_at).where(SignupRow.asked_at > since)
    if network is not None:
        found = found.where(SignupRow.network == network)
    return int(tx.execute(select(func.count()).select_from(found.limit(most).subquery())).scalar_one())


def next_asked(tx: Tx, most: int) -> list[Signup]:
    """Those that nobody has decided on, oldest first, locked until the transaction ends."""
    query = _columns().where(SignupRow.status == SignupStatus.ASKED).order_by(SignupRow.asked_at, SignupRow.id)
    return [_signup(row) for row in tx.execute(query.limit(most).with_for_update(skip_locked=True))]


def any_asked(tx: Tx) -> bool:
    """Whether somebody waits for an answer."""
    return tx.execute(select(SignupRow.id).where(SignupRow.status == SignupStatus.ASKED).limit(1)).first() is not None


def any_open(tx: Tx) -> bool:
    """Whether somebody waits for a mail, or had one and may still confirm."""
    return tx.execute(select(SignupRow.id).where(SignupRow.address != "").limit(1)).first() is not None


def find(tx: Tx, identity: int, *, take: bool = False) -> Signup | None:
    """That sign-up; None where it is not known any more. ``take`` also locks it until the transaction ends."""
    query = _columns().where(SignupRow.id == identity)
    row = tx.execute(query.with_for_update() if take else query).first()
    return _signup(row) if row else None


def told_lately(tx: Tx, mailbox: str, now: datetime) -> tuple[set[SignupStatus], int]:
    """What the open sign-ups of that mailbox are that a mail was sent for (TOLD: it may be confirmed, SILENT: the mail said that
    there is no need to), and how many mails it got in 30 days.
    """
    query = select(SignupRow.status, SignupRow.expires_at).where(SignupRow.mailbox == mailbox, SignupRow.told_at > now - COUNTED)
    rows = tx.execute(query).all()
    return {SignupStatus(row.status) for row in rows if row.expires_at > now} - {SignupStatus.CONFIRMED}, len(rows)


def also_asked(tx: Tx, signup: Signup) -> list[str]:
    """Further feeds that the same address asked for while this sign-up was open, and for which no mail was sent."""
    silent = and_(SignupRow.mailbox == signup.mailbox, SignupRow.address == signup.address, SignupRow.id != signup.id)
    within = and_(SignupRow.asked_at >= signup.asked_at, SignupRow.asked_at < signup.expires_at)
    query = select(SignupRow.feeds).where(silent, within, SignupRow.told_at.is_(None), SignupRow.status == SignupStatus.SILENT)
    found = [slug for feeds in tx.execute(query.order_by(SignupRow.asked_at).limit(100)).scalars() for slug in feeds]
    return [slug for slug in dict.fromkeys(found) if slug not in signup.feeds]


def told(tx: Tx, identity: int, feeds: Sequence[str], now: datetime) -> None:
    """A mail with the link to confirm these feeds is on its way."""
    values = {"status": SignupStatus.TOLD, "feeds": list(feeds), "told_at": now}
    tx.execute(update(SignupRow).where(SignupRow.id == identity).values(values))


def silent(tx: Tx, identity: int, told_at: datetime | None = None) -> None:
    """Nothing can be confirmed; ``told_at``: a mail says that there is no need to."""
    tx.execute(update(SignupRow).where(SignupRow.id == identity).values(status=SignupStatus.SILENT, told_at=told_at))


def end(tx: Tx, identity: int, now: datetime) -> None:
    """It waits for nobody any more, so that one can ask again; that a mail was tried counts all the same."""
    here = and_(SignupRow.id == identity, SignupRow.status != SignupStatus.CONFIRMED)
    tx.execute(update(SignupRow).where(here).values(expires_at=now))


def confirmed(tx: Tx, identity: int, made: Sequence[Made], now: datetime) -> None:
    """Subscriptions were made of it, which have the address and the evidence now."""
    values: dict[str, Any] = {
        "status": SignupStatus.CONFIRMED,
        "confirmed_at": now,
        "address": "",
        "folded": "",
        "name": "",
        "network": "",
    }
    values |= {"evidence": {}, "wish": {"made": [[one.subscription, one.from_seq, one.to_seq] for one in made]}}
    tx.execute(update(SignupRow).where(SignupRow.id == identity).values(values))
    tx.execute(update(SignupRow).where(SignupRow.id == identity, SignupRow.told_at.is_(None)).values(told_at=now))


def made_of(signup: Signup) -> list[Made]:
    """The subscriptions that a confirmed sign-up led to."""
    return [Made(*one) for one in signup.wish.get("made", [])]


def forget(tx: Tx, now: datetime) -> int:
    """What was never confirmed is forgotten; that a mailbox was written to is known 30 days longer. Returns how many were."""
    late = and_(SignupRow.address != "", SignupRow.expires_at <= now)
    values: dict[str, Any] = {"address": "", "folded": "", "name": "", "wish": {}, "evidence": {}, "network": ""}
    gone = int(tx.execute(delete(SignupRow).where(late, SignupRow.told_at.is_(None))).rowcount)
    gone += int(tx.execute(update(SignupRow).where(late).values(values)).rowcount)
    past = and_(SignupRow.asked_at <= now - COUNTED, SignupRow.expires_at <= now)
    tx.execute(delete(SignupRow).where(past, or_(SignupRow.told_at.is_(None), SignupRow.told_at <= now - COUNTED)))
    return gone


def silence_asked(tx: Tx) -> None:
    """After a restore: who asked just before the copy was made may have been answered since."""
    tx.execute(update(SignupRow).where(SignupRow.status == SignupStatus.ASKED).values(status=SignupStatus.SILENT))


def waiting(tx: Tx) -> Waiting:
    """How many wait for whom."""
    open_ones: ColumnElement[bool] = SignupRow.address != ""
    query = select(SignupRow.status, func.count()).where(open_ones).group_by(SignupRow.status)
    counts: dict[str, int] = {row[0]: row[1] for row in tx.execute(query)}
    return Waiting(counts.get(SignupStatus.ASKED, 0), counts.get(SignupStatus.TOLD, 0))


def _columns() -> Any:
    return select(*(getattr(SignupRow, name) for name in Signup.__dataclass_fields__))


def _signup(row: Any) -> Signup:
    values = {**row._mapping}
    return Signup(feeds=tuple(values.pop("feeds")), status=SignupStatus(values.pop("status")), **values)
