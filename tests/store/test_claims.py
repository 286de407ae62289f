"""Claims and answers: a delivery is in one hand at a time, and what a relay said is always written down."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import event, text

from pipeline.models import DeliveryStatus, EditionStatus, SubscriptionStatus
from pipeline.store import Store, deliveries, editions, subscribers
from pipeline.store.deliveries import DeliveryRecord
from tests.store.builders import (
    ACCEPTED,
    BUSY,
    NOW,
    TAKEN,
    NewEdition,
    an_edition,
    claim,
    decided,
    must_claim,
    run_out,
    settle,
    statuses,
)

LATER = NOW + timedelta(minutes=10)
DEFERRED = decided(DeliveryStatus.DEFERRED, next_at=LATER)


def _record(store: Store, edition: NewEdition, address: str = "p0@example.org") -> DeliveryRecord:
    with store.read() as tx:
        return next(one for one in deliveries.of_edition(tx, edition.id) if one.address == address)


def _sending(store: Store) -> list[tuple[str, bool]]:
    """The lease of each delivery on the wire, and whether it lasts."""
    with store.read() as tx:
        moment = "datetime('now')" if store.is_sqlite else "now()"
        query = f"SELECT lease, lease_until > {moment} FROM deliveries WHERE status = 'sending' ORDER BY id"
        return [(row[0], bool(row[1])) for row in tx.execute(text(query))]


def test_many_connections_never_claim_the_same_delivery(store: Store) -> None:
    threads = 2 if store.is_sqlite else 8
    edition = an_edition(store, people=60)
    together = threading.Barrier(threads)

    def work(number: int) -> list[int]:
        together.wait()
        taken = []
        while (one := claim(store, edition, lease=f"c{number}")) is not None:
            taken.append(one.id)
        return taken

    with ThreadPoolExecutor(threads) as pool:
        claimed = Counter(one for taken in pool.map(work, range(threads)) for one in taken)
    assert len(claimed) == 60
    assert set(claimed.values()) == {1}


def test_claims_that_are_open_at_the_same_time_do_not_wait_for_each_other(postgres_store: Store) -> None:
    edition = an_edition(postgres_store, people=2)
    with postgres_store.write() as first, postgres_store.write() as second:
        one = deliveries.claim(first, edition.id, relay="r", lease="one", now=NOW)
        two = deliveries.claim(second, edition.id, relay="r", lease="two", now=NOW)
        assert one is not None
        assert two is not None
        assert one.id != two.id


def test_a_delivery_that_somebody_else_is_changing_is_passed_over_without_waiting(postgres_store: Store) -> None:
    edition = an_edition(postgres_store, people=2)
    with postgres_store.write() as other:
        deliveries.end_open(other, edition.id, DeliveryStatus.CANCELLED, "by hand", NOW)
        assert claim(postgres_store, edition) is None
    assert set(statuses(postgres_store, edition).values()) == {DeliveryStatus.CANCELLED}


def test_a_claim_repeats_its_condition_outside_the_choice_of_the_row(store: Store) -> None:
    """Without it, and without SKIP LOCKED, two workers were seen to claim the same rows."""
    said: list[str] = []
    edition = an_edition(store)
    event.listen(store.engine, "before_cursor_execute", lambda *seen: said.append(seen[2]))
    must_claim(store, edition)
    [taking] = [" ".join(statement.split()) for statement in said if statement.startswith("UPDATE deliveries")]
    chosen, outside = taking.split("LIMIT", 1)
    assert "deliveries.status = " in chosen.partition("WHERE")[2]
    assert "AND deliveries.status = " in outside
    assert store.is_sqlite or "FOR UPDATE SKIP LOCKED" in outside


def test_claims_follow_the_order_of_the_edition_and_deferred_ones_wait_for_their_time(store: Store) -> None:
    edition = an_edition(store, people=3)
    first = must_claim(store, edition)
    settle(store, first, DEFERRED, BUSY)
    others = [must_claim(store, edition), must_claim(store, edition)]
    assert first.id < others[0].id < others[1].id
    assert claim(store, edition, now=LATER - timedelta(microseconds=1)) is None
    again = must_claim(store, edition, now=LATER)
    assert (again.id, again.attempts, again.address) == (first.id, 1, first.address)


@pytest.mark.parametrize("status", [EditionStatus.PAUSED, EditionStatus.CANCELLED])
def test_nothing_is_claimed_of_an_edition_that_is_not_being_sent(store: Store, status: EditionStatus) -> None:
    edition = an_edition(store)
    with store.write() as tx:
        editions.set_status(tx, edition.id, status)
    assert claim(store, edition) is None
    assert set(statuses(store, edition).values()) == {DeliveryStatus.QUEUED}


def test_a_claim_is_a_lease_with_a_name_and_an_end_by_the_clock_of_the_machine(store: Store) -> None:
    """Whatever ``now`` a rehearsal pretends: leases alone use the real clock (promise 10)."""
    edition = an_edition(store)
    must_claim(store, edition, lease="host:17#0", now=NOW - timedelta(days=4000))
    assert _sending(store) == [("host:17#0", True)]
    run_out(store)
    assert _sending(store) == [("host:17#0", False)]


def test_an_acceptance_ends_a_delivery_with_its_relay_and_reason(store: Store) -> None:
    edition = an_edition(store)
    settle(store, must_claim(store, edition), ACCEPTED, TAKEN)
    found = _record(store, edition)
    assert (found.status, found.relay, found.attempts, found.next_at) == (DeliveryStatus.ACCEPTED, "provider", 1, None)
    assert found.reply == "it became accepted"
    assert claim(store, edition, now=LATER) is None


def test_a_delivery_put_back_is_claimed_again_without_a_counted_attempt(store: Store) -> None:
    edition = an_edition(store)
    taken = must_claim(store, edition)
    settle(store, taken, decided(DeliveryStatus.QUEUED, count_attempt=False))
    assert must_claim(store, edition) == taken


@pytest.mark.parametrize("status", [DeliveryStatus.DEFERRED, DeliveryStatus.QUEUED])
def test_a_decision_without_the_lease_changes_nothing(store: Store, status: DeliveryStatus) -> None:
    edition = an_edition(store)
    lost = must_claim(store, edition, lease="one")
    _lose(store)
    mine = must_claim(store, edition, lease="two")
    settle(store, lost, decided(status, next_at=LATER if status is DeliveryStatus.DEFERRED else None), BUSY)
    assert _sending(store) == [("two", True)]
    settle(store, mine, ACCEPTED, TAKEN)
    settle(store, lost, decided(status), BUSY)
    assert _record(store, edition).status is DeliveryStatus.ACCEPTED


def _lose(store: Store) -> None:
    run_out(store)
    with store.write() as tx:
        assert len(deliveries.recover(tx, lambda lease: None, NOW)) == 1


def test_a_relays_refusal_for_good_is_recorded_also_after_the_lease_was_lost_but_not_over_an_acceptance(store: Store) -> None:
    edition = an_edition(store)
    lost = must_claim(store, edition, lease="one")
    _lose(store)
    settle(store, lost, decided(DeliveryStatus.FAILED), BUSY)
    assert _record(store, edition).status is DeliveryStatus.FAILED
    settle(store, lost, ACCEPTED, TAKEN)
    settle(store, lost, decided(DeliveryStatus.FAILED), BUSY)
    assert _record(store, edition).status is DeliveryStatus.ACCEPTED


def test_an_acceptance_is_recorded_also_after_the_lease_was_lost(store: Store) -> None:
    edition = an_edition(store)
    late = must_claim(store, edition)
    _lose(store)
    assert _record(store, edition).status is DeliveryStatus.QUEUED
    settle(store, late, ACCEPTED, TAKEN)
    assert _record(store, edition).status is DeliveryStatus.ACCEPTED
    assert claim(store, edition, now=LATER) is None


def test_an_acceptance_is_recorded_also_while_another_connection_has_the_delivery(store: Store) -> None:
    edition = an_edition(store)
    late = must_claim(store, edition, lease="one")
    _lose(store)
    other = must_claim(store, edition, lease="two")
    settle(store, late, ACCEPTED, TAKEN)
    settle(store, other, DEFERRED, BUSY)
    assert _record(store, edition).status is DeliveryStatus.ACCEPTED


def test_an_acceptance_is_recorded_also_when_the_edition_was_cancelled_meanwhile(store: Store) -> None:
    edition = an_edition(store)
    on_the_wire = must_claim(store, edition)
    with store.write() as tx:
        editions.set_status(tx, edition.id, EditionStatus.CANCELLED)
        assert deliveries.end_open(tx, edition.id, DeliveryStatus.CANCELLED, "by hand", NOW) == 0
    settle(store, on_the_wire, ACCEPTED, TAKEN)
    assert _record(store, edition).status is DeliveryStatus.ACCEPTED


def test_an_uncertain_delivery_keeps_its_mark_when_it_is_sent_again(store: Store) -> None:
    edition = an_edition(store)
    taken = must_claim(store, edition)
    settle(store, taken, decided(DeliveryStatus.UNCERTAIN))
    assert claim(store, edition) is None
    with store.write() as tx:
        deliveries.resend(tx, taken.id)
    again = must_claim(store, edition)
    assert (again.id, again.uncertain_at) == (taken.id, NOW)
    with store.write() as tx:
        deliveries.resend(tx, taken.id)
    assert _record(store, edition).status is DeliveryStatus.SENDING


def test_a_sender_sees_that_the_person_behind_a_claim_has_left(store: Store) -> None:
    taken = must_claim(store, an_edition(store))
    with store.write() as tx:
        assert deliveries.left(tx, [taken.subscription_id]) == {}
        subscribers.leave(tx, taken.subscription_id, SubscriptionStatus.COMPLAINED, NOW)
        assert deliveries.left(tx, [taken.subscription_id]) == {taken.subscription_id: SubscriptionStatus.COMPLAINED}


def test_failures_that_concern_everybody_are_tried_again_and_others_stay(store: Store) -> None:
    edition = an_edition(store, people=3)
    failed, accepted = must_claim(store, edition), must_claim(store, edition, lease="two")
    settle(store, failed, decided(DeliveryStatus.FAILED), BUSY)
    settle(store, accepted, ACCEPTED, TAKEN)
    with store.write() as tx:
        deliveries.defer(tx, [failed.id, accepted.id], LATER, NOW)
        assert deliveries.next_attempt(tx) == LATER
    assert sorted(statuses(store, edition).values()) == ["accepted", "deferred", "queued"]
