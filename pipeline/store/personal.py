"""All that is stored about one person: read whole, or erased.

Erasing leaves rows without anything personal, because sums must stay right (promise 1): a subscription still names a
subscriber, but that one has no address any more. It knows tables and columns by name, so that a copy of an older revision
can be erased from as well.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import column, delete, inspect, literal, select, table, update

from pipeline.models import OPEN_DELIVERIES, DeliveryStatus, SubscriptionStatus
from pipeline.store import deliveries, subscribers, suppressions
from pipeline.store.database import Tx
from pipeline.store.record import Erased, note
from pipeline.store.schema import ConsentRow, DeliveryRow, EditionRow, NoticeRow, SignupRow, SubscriptionRow
from pipeline.store.subscribers import BY_PERSON, ERASED, OPTED_OUT, Person, fold

_BATCH = 500


@dataclass(frozen=True, slots=True)
class Consented:
    """One piece of evidence of joining or leaving."""

    feed: str
    at: datetime
    action: str
    evidence: str


@dataclass(frozen=True, slots=True)
class Sent:
    """An edition to this person, and what became of it."""

    edition: str
    at: datetime
    status: DeliveryStatus
    address: str
    name: str
    reply: str


@dataclass(frozen=True, slots=True)
class Noticed:
    """A single mail to this person."""

    kind: str
    at: datetime | None
    status: str


@dataclass(frozen=True, slots=True)
class Asked:
    """That somebody asked to subscribe with this address."""

    at: datetime
    feeds: tuple[str, ...]
    name: str
    network: str
    evidence: dict[str, Any]
    status: str


def consents_of(tx: Tx, subscriber_id: int) -> list[Consented]:
    """Oldest first."""
    query = select(SubscriptionRow.feed, ConsentRow.at, ConsentRow.action, ConsentRow.evidence)
    query = query.join(SubscriptionRow, SubscriptionRow.id == ConsentRow.subscription_id)
    rows = tx.execute(query.where(SubscriptionRow.subscriber_id == subscriber_id).order_by(ConsentRow.id))
    return [Consented(*row) for row in rows]


def sent_to(tx: Tx, subscriber_id: int) -> list[Sent]:
    """Oldest first."""
    columns = (EditionRow.label, EditionRow.opened_at, DeliveryRow.status, DeliveryRow.address, DeliveryRow.name, DeliveryRow.reply)
    query = select(*columns).join(EditionRow, EditionRow.id == DeliveryRow.edition_id)
    query = query.join(SubscriptionRow, SubscriptionRow.id == DeliveryRow.subscription_id)
    rows = tx.execute(query.where(SubscriptionRow.subscriber_id == subscriber_id).order_by(EditionRow.opened_at, DeliveryRow.id))
    return [Sent(row.label, row.opened_at, DeliveryStatus(row.status), row.address, row.name, row.reply) for row in rows]


def noticed(tx: Tx, address: str) -> list[Noticed]:
    """Oldest first; the store forgets them after 30 days."""
    query = select(NoticeRow.id, NoticeRow.recipient, NoticeRow.kind, NoticeRow.created_at, NoticeRow.status)
    rows = tx.execute(query.order_by(NoticeRow.id))
    return [Noticed(row.kind, row.created_at, row.status) for row in rows if fold(row.recipient) == fold(address)]


def asked(tx: Tx, address: str) -> list[Asked]:
    """Oldest first."""
    query = select(SignupRow).where(SignupRow.folded == fold(address)).order_by(SignupRow.asked_at)
    columns = ("asked_at", "feeds", "name", "network", "evidence", "status")
    rows = tx.execute(query.with_only_columns(*(getattr(SignupRow, name) for name in columns)))
    return [Asked(row.asked_at, tuple(row.feeds), row.name, row.network, row.evidence, row.status) for row in rows]


@dataclass(frozen=True, slots=True)
class Mailed:
    """A mail that this person may have got: what its Message-ID is made of. ``edition`` None: a notice of ``key``."""

    edition: int | None
    subscription: int
    domain: str
    key: str
    at: datetime | None


def mails_to(tx: Tx, address: str) -> list[Mailed]:
    """Every delivery and notice to the address."""
    person = subscribers.person_at(tx, address)
    found = [] if person is None else _delivered(tx, person)
    rows = tx.execute(select(NoticeRow.recipient, NoticeRow.dedupe_key, NoticeRow.created_at))
    return found + [Mailed(None, 0, "", row.dedupe_key, row.created_at) for row in rows if fold(row.recipient) == fold(address)]


def _delivered(tx: Tx, person: Person) -> list[Mailed]:
    query = select(EditionRow.id, DeliveryRow.subscription_id, EditionRow.message_id_domain)
    query = query.join(EditionRow, EditionRow.id == DeliveryRow.edition_id)
    query = query.join(SubscriptionRow, SubscriptionRow.id == DeliveryRow.subscription_id)
    rows = tx.execute(query.where(SubscriptionRow.subscriber_id == person.id))
    return [Mailed(row.id, row.subscription_id, row.message_id_domain, "", None) for row in rows]


def on_the_wire(tx: Tx, subscription_ids: Sequence[int]) -> int:
    """How many deliveries to these subscriptions are in the hands of a connection."""
    sending = DeliveryRow.status == literal(str(DeliveryStatus.SENDING), literal_execute=True)
    found = tx.execute(select(DeliveryRow.id).where(sending, DeliveryRow.subscription_id.in_(subscription_ids)))
    return len(found.all())


def subscription_ids(tx: Tx, subscriber_id: int) -> list[int]:
    """Of all feeds."""
    return list(tx.execute(select(SubscriptionRow.id).where(SubscriptionRow.subscriber_id == subscriber_id)).scalars())


def erase(tx: Tx, address: str, address_hash: str, now: datetime) -> Counter[str]:
    """Erase the person at that address; returns how many rows of each table were theirs, none where nothing was stored.

    What was to be sent is suppressed, and only the keyed hash remains, so that nobody imports them again.
    """
    person = subscribers.person_at(tx, address)
    ids = subscription_ids(tx, person.id) if person else []
    for identity in ids:
        standing = subscribers.standing(tx, identity, take=True)
        if standing is not None and standing.status not in OPTED_OUT:
            subscribers.leave(tx, identity, SubscriptionStatus.UNSUBSCRIBED, now)
            subscribers.add_consent(tx, identity, "left", ERASED, now)
    deliveries.end(tx, deliveries.waiting_for(tx, ids), DeliveryStatus.SUPPRESSED, ERASED, now)
    found = scrub(tx, fold(address))
    if found:
        # The operator's own no stays one. Its words do not: they may tell who it was about.
        by_person = subscribers.suppression(tx, address_hash) in (None, *BY_PERSON)
        suppressions.set_reason(tx, address_hash, ERASED if by_person else f"{ERASED}, and barred before", now)
        note(tx, Erased(address_hash))
    return found


def scrub(tx: Tx, folded: str) -> Counter[str]:
    """Take everything personal of that folded address out of whatever tables there are; returns the rows by table."""
    return _scrub(tx, lambda address: fold(address) == folded)


def scrub_hashed(tx: Tx, is_erased: Callable[[str], bool]) -> Counter[str]:
    """The same for all addresses of which that is so."""
    return _scrub(tx, is_erased)


def _scrub(tx: Tx, theirs: Callable[[str], bool]) -> Counter[str]:
    there = _tables(tx)
    people = _whose(tx, "subscribers", "folded", theirs)
    mine = _children(tx, "subscriptions", "subscriber_id", people)
    found: Counter[str] = Counter()
    found["subscribers"] = _blank(tx, there, "subscribers", "id", people, {"address": "", "name": ""}, unique="folded")
    found["subscriptions"] = _end(tx, mine)
    blank = {"address": "", "name": "", "reply": ""}
    found["deliveries"] = _blank(tx, there, "deliveries", "subscription_id", mine, blank)
    found["consents"] = _blank(tx, there, "consents", "subscription_id", mine, {"evidence": ERASED})
    notices = _whose(tx, "notices", "recipient", theirs)
    _end_notices(tx, notices)
    frozen = {"recipient": "", "message": b"", "reply": "", "sender": ""}
    found["notices"] = _blank(tx, there, "notices", "id", notices, frozen, unique="dedupe_key")
    if "signups" in there:
        asked_by = _whose(tx, "signups", "folded", theirs)
        found["signups"] = sum(_remove(tx, part) for part in _parts(asked_by))
    if "feedback" in there:
        found["feedback"] = _blank(tx, there, "feedback", "subscription_id", mine, {"reason": ""})
    return +found


def _tables(tx: Tx) -> dict[str, set[str]]:
    """The columns of each table that is there."""
    looked = inspect(tx)
    names = {"subscribers", "deliveries", "consents", "notices", "signups", "feedback"} & {*looked.get_table_names()}
    return {name: {one["name"] for one in looked.get_columns(name)} for name in names}


def _whose(tx: Tx, name: str, key: str, theirs: Callable[[str], bool]) -> list[int]:
    """Compared here: no database folds what is not ASCII as we do."""
    query: Any = select(column("id"), column(key)).select_from(table(name))
    rows = tx.execute(query, execution_options={"yield_per": 1000})
    return [identity for identity, value in rows if theirs(value)]


def _children(tx: Tx, name: str, key: str, parents: Sequence[int]) -> list[int]:
    query: Any = select(column("id")).select_from(table(name))
    return [one for part in _parts(parents) for one in tx.execute(query.where(column(key).in_(part))).scalars()]


def _blank(
    tx: Tx, there: dict[str, set[str]], name: str, key: str, ids: Sequence[int], values: dict[str, Any], *, unique: str = ""
) -> int:
    """Overwrite the columns that the table has; ``unique`` is one that must differ from row to row."""
    given = {column_name: value for column_name, value in values.items() if column_name in there[name]}
    target = table(name, column("id"), column(key), *(column(each) for each in (*given, *([unique] if unique else ()))))
    count = 0
    for part in _parts(ids):
        count += tx.execute(update(target).where(target.c[key].in_(part)).values(given)).rowcount
    for identity in ids if unique else ():
        tx.execute(update(target).where(target.c.id == identity).values({unique: f"{ERASED}:{identity}"}))
    return count


def _end(tx: Tx, ids: Sequence[int]) -> int:
    """A copy that is ever put back must not write to them either."""
    target = table("subscriptions", column("id"), column("status"), column("snoozed_until"))
    values = {"status": str(SubscriptionStatus.UNSUBSCRIBED), "snoozed_until": None}
    for part in _parts(ids):
        still = target.c.status.not_in([str(status) for status in OPTED_OUT])
        tx.execute(update(target).where(target.c.id.in_(part), still).values(values))
    return len(ids)


def _end_notices(tx: Tx, ids: Sequence[int]) -> None:
    target = table("notices", column("id"), column("status"))
    is_open = target.c.status.in_([str(status) for status in OPEN_DELIVERIES])
    for part in _parts(ids):
        tx.execute(update(target).where(target.c.id.in_(part), is_open).values(status=str(DeliveryStatus.CANCELLED)))


def _remove(tx: Tx, ids: Sequence[int]) -> int:
    target = table("signups", column("id"))
    return int(tx.execute(delete(target).where(target.c.id.in_(ids))).rowcount)


def _parts(ids: Sequence[int]) -> list[Sequence[int]]:
    return [ids[start : start + _BATCH] for start in range(0, len(ids), _BATCH)]
