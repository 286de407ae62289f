"""What the record says happened, and what a restored store must be told of it (pure).

record lines ─fold─▶ History (the last word wins) ─decide─▶ ReplayPlan ─restore─▶ store
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from pipeline.models import DeliveryStatus, SubscriptionStatus
from pipeline.store.record import (
    PERSON,
    Became,
    Began,
    Cancelled,
    EditionOpened,
    Erased,
    Fact,
    Left,
    Lifted,
    Line,
    Mark,
    Numbered,
    Queued,
    Suppressed,
    identities,
)

_UNSENT = (DeliveryStatus.QUEUED, DeliveryStatus.DEFERRED)
_UNDECIDED = (*_UNSENT, DeliveryStatus.SENDING)


@dataclass(frozen=True, slots=True)
class Word:
    """The last word on a delivery. ``to_seq`` 0: the record does not reach back to its opening."""

    status: DeliveryStatus
    relay: str = ""
    from_seq: int = 0
    to_seq: int = 0
    opening: bool = False


@dataclass
class History:
    """The facts of a stretch of the record. ``words``: by edition and subscription; editions stand in the order of opening."""

    editions: dict[int, EditionOpened] = field(default_factory=dict)
    words: dict[int, dict[int, Word]] = field(default_factory=dict)
    cancelled: set[int] = field(default_factory=set)
    numbers: dict[str, list[Numbered]] = field(default_factory=dict)
    people: dict[int, Left | Began] = field(default_factory=dict)
    suppressions: dict[str, str] = field(default_factory=dict)
    lifted: set[str] = field(default_factory=set)
    erased: set[str] = field(default_factory=set)
    unreadable: int = 0


def fold(lines: Iterable[Line]) -> History:
    """Read the lines in the order in which they were written."""
    told = History()
    for line in lines:
        told.unreadable += line.facts is None
        for fact in line.facts or ():
            _take(told, fact)
    return told


def supplement(told: History, journals: Iterable[Became]) -> None:
    """What journals know of deliveries of which the record says last that they were on the wire, and any acceptance."""
    for one in journals:
        word = told.words.get(one.edition, {}).get(int(one.subscriptions))
        on_the_wire = word is not None and word.status is DeliveryStatus.SENDING
        if on_the_wire or one.status == DeliveryStatus.ACCEPTED:
            _take(told, one)


def _take(told: History, fact: Fact) -> None:
    match fact:
        case EditionOpened():
            told.editions[fact.edition] = fact
        case Queued():
            opened = Word(DeliveryStatus.QUEUED, "", fact.from_seq, fact.to_seq, opening=True)
            told.words.setdefault(fact.edition, {}).update(dict.fromkeys(identities(fact), opened))
        case Became():
            _change(told.words.setdefault(fact.edition, {}), fact)
        case Cancelled():
            told.cancelled.add(fact.edition)
        case Numbered():
            told.numbers.setdefault(fact.feed, []).append(fact)
        case Left() | Began():
            told.people[fact.subscription] = fact
        case Suppressed():
            told.suppressions[fact.address_hash] = fact.by
            told.lifted.discard(fact.address_hash)
        case Lifted():
            _lift(told, fact.address_hash)
            told.erased.discard(fact.address_hash)
        case Erased():
            told.erased.add(fact.address_hash)
        case Mark():
            pass


def _lift(told: History, address_hash: str) -> None:
    """Whoever subscribed again is not taken for one who left before, under whatever subscription that was."""
    told.suppressions.pop(address_hash, None)
    told.lifted.add(address_hash)
    for identity, one in told.people.items():
        if isinstance(one, Left) and one.address_hash == address_hash:
            told.people[identity] = replace(one, address_hash="")


def _change(words: dict[int, Word], fact: Became) -> None:
    status, unknown = DeliveryStatus(fact.status), Word(DeliveryStatus.QUEUED)
    for subscription in identities(fact):
        before = words.get(subscription, unknown)
        words[subscription] = Word(status, fact.relay or before.relay, before.from_seq, before.to_seq)


@dataclass(frozen=True, slots=True)
class RemadeDelivery:
    """A delivery of an edition that the store does not know."""

    subscription: int
    status: DeliveryStatus
    relay: str
    from_seq: int
    to_seq: int


@dataclass(frozen=True, slots=True)
class RemadeEdition:
    """An edition that the store does not know, with the deliveries to people it does know."""

    opened: EditionOpened
    cancelled: bool
    deliveries: tuple[RemadeDelivery, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """What became of a delivery that the store knows."""

    edition: int
    subscription: int
    status: DeliveryStatus
    relay: str


@dataclass(frozen=True, slots=True)
class ReplayPlan:
    """What is to be written. ``served``: every edition that was opened since; ``strangers``: deliveries to people unknown now."""

    editions: tuple[RemadeEdition, ...]
    changes: tuple[Change, ...]
    cancelled: tuple[int, ...]
    served: tuple[EditionOpened, ...]
    numbers: tuple[Numbered, ...]
    people: tuple[Left | Began, ...]
    suppressions: tuple[Suppressed, ...]
    strangers: int


def decide(told: History, editions: set[int], subscriptions: set[int], slugs: Mapping[str, str]) -> ReplayPlan:
    """What a store must be told that knows these editions and subscriptions; ``slugs`` maps former names of feeds to present ones.

    A delivery without an outcome may be on its way or with the relay, so it is uncertain. One that was overtaken by a later
    delivery of the same numbers was never committed: its process died between the record and the database.
    """
    missing = {identity: one for identity, one in told.editions.items() if identity not in editions}
    kept = _without_overtaken(told, missing)
    remade, served, strangers = [], [], 0
    for identity, opened in missing.items():
        known = [one for one in kept[identity] if one.subscription in subscriptions]
        strangers += len(kept[identity]) - len(known)
        renamed = replace(opened, feed=slugs.get(opened.feed, opened.feed))
        if kept[identity]:
            served.append(renamed)
        if known:
            remade.append(RemadeEdition(renamed, identity in told.cancelled, tuple(known)))
    numbers = [replace(one, feed=slugs.get(feed, feed)) for feed, listed in told.numbers.items() for one in _numbers(listed)]
    strange = [one for one in told.people.values() if isinstance(one, Left) and one.subscription not in subscriptions]
    left = {one.address_hash: PERSON if one.status == SubscriptionStatus.UNSUBSCRIBED else "" for one in strange}
    return ReplayPlan(
        editions=tuple(remade),
        changes=tuple(_changes(told, editions)),
        cancelled=tuple(sorted(told.cancelled & editions)),
        served=tuple(served),
        numbers=tuple(numbers),
        people=tuple(one for one in told.people.values() if one.subscription in subscriptions),
        suppressions=tuple(Suppressed(one, by) for one, by in sorted({**left, **told.suppressions}.items()) if one),
        strangers=strangers,
    )


def _numbers(listed: Iterable[Numbered]) -> Iterable[Numbered]:
    """A number that was given in a transaction that never committed is given again, perhaps to another item."""
    by_seq = {one.seq: one for one in listed}
    return {one.identity: one for one in by_seq.values()}.values()


def _without_overtaken(told: History, missing: Mapping[int, EditionOpened]) -> dict[int, list[RemadeDelivery]]:
    later: dict[int, tuple[int, int]] = {}
    kept: dict[int, list[RemadeDelivery]] = {}
    for identity in reversed(list(missing)):
        kept[identity] = []
        for subscription, word in told.words.get(identity, {}).items():
            low, high = later.get(subscription, (word.to_seq, word.to_seq))
            if word.opening and low < word.to_seq and high > word.from_seq:
                continue
            later[subscription] = (min(low, word.from_seq), max(high, word.to_seq))
            status = DeliveryStatus.UNCERTAIN if word.status in _UNDECIDED else word.status
            kept[identity].append(RemadeDelivery(subscription, status, word.relay, word.from_seq, word.to_seq))
    return kept


def _changes(told: History, editions: set[int]) -> Iterable[Change]:
    for identity, words in told.words.items():
        if identity in editions:
            for subscription, word in words.items():
                if not word.opening:  # nothing that the store would not know with the edition
                    status = DeliveryStatus.UNCERTAIN if word.status is DeliveryStatus.SENDING else word.status
                    yield Change(identity, subscription, status, word.relay)
