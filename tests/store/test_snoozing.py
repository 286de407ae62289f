"""A pause loses nothing: what waited goes back before the cursor, what was claimed too, and a date wakes (promise 4)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import text

from pipeline.errors import StoreError
from pipeline.jobs.history import fold
from pipeline.models import Blame, Cadence, DeliveryStatus, RetryDecision, Rhythm, SubscriptionStatus
from pipeline.store import Store, deliveries, feeds, replay, snoozing, subscribers
from pipeline.store.replay import Outcome
from tests.store.builders import ACCEPTED, NOW, TAKEN, add_items, an_edition, cursors, must_claim, open_edition, settle, statuses

LATER = NOW + timedelta(days=1)
WHO = "p0@example.org"


def only(store: Store) -> int:
    with store.read() as tx:
        return next(subscribers.records(tx)).id


def snooze(store: Store) -> None:
    identity = only(store)
    with store.write() as tx:
        snoozing.snooze(tx, identity, "po", LATER, NOW)


def test_what_waits_is_taken_back_over_several_editions(store: Store) -> None:
    first = an_edition(store)
    with store.write() as tx:
        add_items(tx, range(4, 6))
        second = open_edition(tx, due_at=NOW + timedelta(minutes=1))
    assert cursors(store) == {WHO: 5}
    snooze(store)
    assert cursors(store) == {WHO: 0}
    for edition in (first, second):
        assert statuses(store, edition) == {WHO: DeliveryStatus.CANCELLED}
    with store.read() as tx:
        assert deliveries.of_edition(tx, first.id)[0].reply == snoozing.REASON


def test_what_was_sent_stays_sent_and_what_was_claimed_goes_back_when_it_ends_unsent(store: Store) -> None:
    edition = an_edition(store)
    taken = must_claim(store, edition)
    snooze(store)
    assert cursors(store) == {WHO: 3}
    withheld = RetryDecision(DeliveryStatus.CANCELLED, Blame.NOBODY, snoozing.REASON, count_attempt=False)
    with store.write() as tx:
        deliveries.settle(tx, taken, withheld, None, NOW)
        snoozing.taken_back(tx, taken.id)
    assert cursors(store) == {WHO: 0}
    with store.write() as tx:
        assert snoozing.wake(tx, LATER - timedelta(seconds=1)) == 0
        assert snoozing.wake(tx, LATER) == 1
        again = open_edition(tx, due_at=NOW + timedelta(minutes=1))
    settle(store, must_claim(store, again), ACCEPTED, TAKEN)
    snooze(store)
    assert (cursors(store), statuses(store, again)) == ({WHO: 3}, {WHO: DeliveryStatus.ACCEPTED})
    with store.write() as tx:
        snoozing.end_snooze(tx, only_in(tx), LATER)
        [found] = subscribers.records(tx)
    assert (found.status, found.snoozed_until) == (SubscriptionStatus.ACTIVE, None)


def only_in(tx: object) -> int:
    return next(subscribers.records(tx)).id  # type: ignore[arg-type]


def test_a_restore_from_before_the_pause_loses_nothing_either(store: Store) -> None:
    """The record says "cancelled", which puts a cursor back wherever it is told."""
    edition = an_edition(store)
    with store.write() as tx:
        replay.change(tx, edition.id, [Outcome(only_in(tx), DeliveryStatus.CANCELLED, "")], NOW)
    assert cursors(store) == {WHO: 0}
    assert fold([]).erased == set()


@pytest.mark.parametrize("how", ["leave", "bounce", "activate"])
def test_nobody_is_snoozed_without_an_end_and_nobody_else_has_one(store: Store, how: str) -> None:
    an_edition(store)
    snooze(store)
    with store.write() as tx:
        identity = only_in(tx)
        if how == "leave":
            subscribers.leave(tx, identity, SubscriptionStatus.UNSUBSCRIBED, NOW)
        if how == "bounce":
            subscribers.bounce(tx, WHO, NOW)
        if how == "activate":
            subscribers.activate(tx, identity, 1, NOW)
        assert next(subscribers.records(tx)).snoozed_until is None
        assert snoozing.wake(tx, LATER) == 0


def test_who_chooses_waits_for_themselves_and_not_for_an_edition(postgres_store: Store) -> None:
    """Waiting in two orders is how the same person, saving twice, stopped an edition."""
    an_edition(postgres_store)
    identity = only(postgres_store)
    with postgres_store.write() as opening, postgres_store.write() as choosing:
        feeds.lock(opening, "po")
        choosing.execute(text("SET LOCAL lock_timeout = '300ms'"))
        assert subscribers.person_behind(choosing, identity, take=True)
        assert subscribers.schedule(choosing, "po", Rhythm(Cadence.DAILY, time="07:11", zone="UTC"), LATER)
        with pytest.raises(StoreError):
            _take_soon(postgres_store, identity)


def _take_soon(store: Store, subscription_id: int) -> None:
    with store.write() as tx:
        tx.execute(text("SET LOCAL lock_timeout = '300ms'"))
        subscribers.person_behind(tx, subscription_id, take=True)
