"""What happens to deliveries as a whole: after a crash, at the deadline, when an edition is cancelled or retried."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import event, text

from pipeline.errors import StoreError
from pipeline.models import Blame, DeliveryStatus, RetryDecision, SubscriptionStatus
from pipeline.store import Store, deliveries, feeds, subscribers
from tests.store.builders import (
    ACCEPTED,
    BUSY,
    NOW,
    TAKEN,
    NewEdition,
    add_items,
    an_edition,
    claim,
    cursors,
    decided,
    must_claim,
    new_edition,
    open_edition,
    run_out,
    settle,
    statuses,
)

TOMORROW = NOW + timedelta(days=1)
GONE = (DeliveryStatus.CANCELLED, DeliveryStatus.EXPIRED)


def _recover(store: Store, *dead: str) -> list[str]:
    """The addresses whose delivery was found on the wire of a dead process."""
    with store.write() as tx:
        return [record.address for record in deliveries.recover(tx, lambda lease: lease in dead or None, NOW)]


def _end(store: Store, edition: NewEdition, status: DeliveryStatus = DeliveryStatus.CANCELLED) -> int:
    with store.write() as tx:
        return deliveries.end_open(tx, edition.id, status, f"it was {status}", NOW)


def _requeue(store: Store, edition: NewEdition, *chosen: DeliveryStatus, relay: str | None = None) -> int:
    with store.write() as tx:
        return deliveries.requeue(tx, edition.id, chosen, TOMORROW, relay=relay)


def _next_edition(store: Store, days: int = 1) -> NewEdition:
    with store.write() as tx:
        return open_edition(tx, due_at=NOW + timedelta(days=days))


def test_what_a_dead_process_left_on_the_wire_is_sent_again_and_named(store: Store) -> None:
    edition = an_edition(store, people=3)
    lost = must_claim(store, edition, lease="dead")
    must_claim(store, edition, lease="alive")
    assert _recover(store, "dead") == [lost.address]
    assert list(statuses(store, edition).values()) == ["queued", "sending", "queued"]
    with store.read() as tx:
        [doubtful] = deliveries.maybe_twice(tx, edition.id)
    assert (doubtful.address, doubtful.uncertain_at) == (lost.address, NOW)
    assert "on the wire" in doubtful.reply
    assert must_claim(store, edition).uncertain_at == NOW


def test_an_edition_that_holds_keeps_them_uncertain_until_a_person_decides(store: Store) -> None:
    edition = an_edition(store, people=1, uncertain="hold")
    must_claim(store, edition, lease="dead")
    assert _recover(store, "dead") == ["p0@example.org"]
    assert statuses(store, edition) == {"p0@example.org": DeliveryStatus.UNCERTAIN}
    assert claim(store, edition, now=TOMORROW) is None
    assert _requeue(store, edition, DeliveryStatus.UNCERTAIN) == 1
    assert must_claim(store, edition).uncertain_at == NOW


def test_resending_and_holding_editions_are_recovered_each_in_its_own_way(store: Store) -> None:
    resends = an_edition(store)
    with store.write() as tx:
        add_items(tx, [9])
    with store.write() as tx:
        holds = open_edition(tx, due_at=TOMORROW, uncertain="hold")
    must_claim(store, resends, lease="dead")
    must_claim(store, holds, lease="dead")
    assert len(_recover(store, "dead")) == 2
    assert list(statuses(store, resends).values()) == ["queued"]
    assert list(statuses(store, holds).values()) == ["uncertain"]


def test_a_lease_that_has_run_out_is_dead_whoever_had_it(store: Store) -> None:
    edition = an_edition(store)
    must_claim(store, edition, lease="alive")
    assert _recover(store) == []
    run_out(store)
    assert _recover(store) == ["p0@example.org"]
    assert _recover(store) == []


def test_a_delivery_that_dies_with_its_process_again_and_again_is_held_for_a_person(store: Store) -> None:
    edition = an_edition(store, people=1)
    seen = []
    for _ in range(6):
        with store.write() as tx:
            taken = deliveries.claim(tx, edition.id, relay="r", lease="dead", now=NOW)
        if taken is None:
            break
        _recover(store, "dead")
        with store.read() as tx:
            seen.append(deliveries.of_edition(tx, edition.id)[0].status)
    assert seen == [DeliveryStatus.QUEUED] * 5 + [DeliveryStatus.UNCERTAIN]


def test_what_was_put_off_by_a_clock_that_was_ahead_is_tried_when_it_is_right_again(store: Store) -> None:
    edition = an_edition(store, people=2)
    with store.write() as tx:
        for wait in (timedelta(hours=5), timedelta(days=365)):
            taken = deliveries.claim(tx, edition.id, relay="r", lease="one", now=NOW)
            assert taken
            put_off = RetryDecision(DeliveryStatus.DEFERRED, Blame.DELIVERY, "later", next_at=NOW + wait)
            deliveries.settle(tx, taken, put_off, None, NOW)
        deliveries.call_back(tx, edition.id, NOW)
        again = [deliveries.claim(tx, edition.id, relay="r", lease="one", now=NOW) for _ in range(2)]
    assert [claim.id for claim in again if claim] == [taken.id]


def test_hundreds_left_on_the_wire_are_all_recovered(store: Store) -> None:
    edition = an_edition(store, people=501)
    with store.write() as tx:
        tx.execute(text("UPDATE deliveries SET status = 'sending', lease = 'dead'"))
    assert len(_recover(store, "dead")) == 501
    with store.read() as tx:
        assert deliveries.sums(tx, edition.id)[DeliveryStatus.QUEUED] == 501


def test_a_living_sender_that_answers_during_the_recovery_is_believed(postgres_store: Store) -> None:
    """Its acceptance was once overwritten: found on the wire, then queued again whatever had become of it."""
    edition = an_edition(postgres_store)
    taken = must_claim(postgres_store, edition, lease="slow")
    run_out(postgres_store)
    with postgres_store.write() as sender:
        deliveries.settle(sender, taken, ACCEPTED, TAKEN, NOW)
        with postgres_store.write() as sweeper:
            sweeper.execute(text("SET LOCAL lock_timeout = '1s'"))
            assert deliveries.recover(sweeper, lambda lease: lease == "slow", NOW) == []
    assert list(statuses(postgres_store, edition).values()) == ["accepted"]


@pytest.mark.parametrize("status", GONE)
def test_ending_an_edition_puts_back_the_cursors_of_those_who_did_not_get_it(store: Store, status: DeliveryStatus) -> None:
    edition = an_edition(store, people=4)
    taken, later, on_the_wire = (must_claim(store, edition, lease=name) for name in ("one", "two", "three"))
    settle(store, taken, ACCEPTED, TAKEN)
    settle(store, later, decided(DeliveryStatus.DEFERRED, next_at=TOMORROW), BUSY)
    assert _end(store, edition, status) == 2
    assert list(statuses(store, edition).values()) == ["accepted", status, "sending", status]
    kept = {taken.address, on_the_wire.address}
    assert cursors(store) == {address: 3 if address in kept else 0 for address in statuses(store, edition)}
    assert _end(store, edition, status) == 0


def test_a_cursor_that_a_later_edition_moved_stays(store: Store) -> None:
    first = an_edition(store)
    with store.write() as tx:
        add_items(tx, [4, 5])
    later = _next_edition(store)
    assert _end(store, first) == 1
    assert cursors(store) == {"p0@example.org": 5}
    assert _end(store, later) == 1
    assert cursors(store) == {"p0@example.org": 3}


def test_the_items_of_a_cancelled_edition_come_in_the_next_one(store: Store) -> None:
    first = an_edition(store)
    _end(store, first)
    second = _next_edition(store)
    with store.read() as tx:
        [record] = deliveries.of_edition(tx, second.id)
        [subscription] = subscribers.records(tx)
        history = deliveries.of_subscriptions(tx, [subscription.id])
    assert (record.from_seq, record.to_seq) == (0, 3)
    assert [one.edition for one in history] == [first.label, second.label]


def test_nothing_is_claimed_between_a_cancellation_s_two_steps(postgres_store: Store) -> None:
    """Its cursor would have gone back although it was sent: the same items would have come twice."""
    edition = an_edition(postgres_store)
    claimed = []

    def claim_now(connection: object, cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("UPDATE subscriptions"):
            claimed.append(claim(postgres_store, edition))

    event.listen(postgres_store.engine, "after_cursor_execute", claim_now)
    assert _end(postgres_store, edition) == 1
    assert claimed == [None]
    assert cursors(postgres_store) == {"p0@example.org": 0}


@pytest.mark.parametrize("status", [DeliveryStatus.FAILED, DeliveryStatus.UNCERTAIN])
def test_failed_and_uncertain_deliveries_are_sent_again_from_the_first_attempt(store: Store, status: DeliveryStatus) -> None:
    edition = an_edition(store)
    settle(store, must_claim(store, edition), decided(status), BUSY)
    assert _requeue(store, edition, status) == 1
    assert must_claim(store, edition).attempts == 0
    assert cursors(store) == {"p0@example.org": 3}


@pytest.mark.parametrize("status", GONE)
def test_an_ended_delivery_is_sent_again_and_its_cursor_moves_forward_again(store: Store, status: DeliveryStatus) -> None:
    edition = an_edition(store, people=2)
    _end(store, edition, status)
    assert _requeue(store, edition, status) == 2
    assert set(cursors(store).values()) == {3}
    assert set(statuses(store, edition).values()) == {DeliveryStatus.QUEUED}
    assert _requeue(store, edition, status) == 0


@pytest.mark.parametrize("new_items", [[], [4, 5]], ids=["without news since", "with news since"])
def test_an_ended_delivery_whose_items_came_in_a_later_edition_is_not_sent_again(store: Store, new_items: list[int]) -> None:
    """Without news since, both editions end at the same number: only where the cursor began tells them apart."""
    first = an_edition(store)
    _end(store, first, DeliveryStatus.EXPIRED)
    with store.write() as tx:
        add_items(tx, new_items)
    second = _next_edition(store)
    settle(store, must_claim(store, second), ACCEPTED, TAKEN)
    before = cursors(store)
    assert _requeue(store, first, DeliveryStatus.EXPIRED) == 0
    assert list(statuses(store, first).values()) == ["expired"]
    assert cursors(store) == before


def test_only_one_of_two_ended_editions_with_the_same_items_is_sent_again(store: Store) -> None:
    first = an_edition(store)
    _end(store, first, DeliveryStatus.EXPIRED)
    second = _next_edition(store)
    _end(store, second, DeliveryStatus.EXPIRED)
    assert _requeue(store, second, DeliveryStatus.EXPIRED) == 1
    assert _requeue(store, first, DeliveryStatus.EXPIRED) == 0
    assert cursors(store) == {"p0@example.org": 3}


def test_no_edition_is_opened_while_a_retry_or_a_cancellation_moves_cursors(postgres_store: Store) -> None:
    edition = an_edition(postgres_store)
    with postgres_store.write() as ending:
        deliveries.end_open(ending, edition.id, DeliveryStatus.EXPIRED, "late", NOW)
        _cannot_lock_the_feed(postgres_store)
    with postgres_store.write() as retrying:
        assert deliveries.requeue(retrying, edition.id, [DeliveryStatus.EXPIRED], TOMORROW) == 1
        _cannot_lock_the_feed(postgres_store)


def _cannot_lock_the_feed(store: Store) -> None:
    with pytest.raises(StoreError, match="lock timeout") as refused:
        _lock_the_feed(store)
    assert refused.value.retryable


def _lock_the_feed(store: Store) -> None:
    with store.write() as tx:
        tx.execute(text("SET LOCAL lock_timeout = '50ms'"))
        feeds.lock(tx, "po")


def test_accepted_deliveries_are_never_sent_again_except_those_only_the_outbox_took(store: Store) -> None:
    edition = an_edition(store, people=2)
    settle(store, must_claim(store, edition), ACCEPTED, TAKEN)
    with store.write() as tx:
        rehearsed = deliveries.claim(tx, edition.id, relay="outbox", lease="one", now=NOW)
    assert rehearsed is not None
    settle(store, rehearsed, ACCEPTED, TAKEN)
    with store.read() as tx:
        assert deliveries.rehearsed(tx, edition.id, "outbox") == 1
    others = [status for status in DeliveryStatus if status is not DeliveryStatus.ACCEPTED]
    assert _requeue(store, edition, *others) == 0
    assert _requeue(store, edition, DeliveryStatus.ACCEPTED, relay="outbox") == 1
    assert list(statuses(store, edition).values()) == ["accepted", "queued"]


@pytest.mark.parametrize("left", [status for status in SubscriptionStatus if status is not SubscriptionStatus.ACTIVE])
def test_nobody_who_has_left_is_sent_to_again(store: Store, left: SubscriptionStatus) -> None:
    edition = an_edition(store, people=2)
    _end(store, edition, DeliveryStatus.EXPIRED)
    with store.write() as tx:
        person = next(one for one in subscribers.records(tx) if one.address.startswith("p0"))
        subscribers.leave(tx, person.id, left, NOW)
    assert _requeue(store, edition, DeliveryStatus.EXPIRED) == 1
    assert statuses(store, edition) == {"p0@example.org": DeliveryStatus.EXPIRED, "p1@example.org": DeliveryStatus.QUEUED}
    assert cursors(store) == {"p0@example.org": 0, "p1@example.org": 3}


def test_the_sums_name_every_status_and_add_up_to_the_audience(store: Store) -> None:
    edition = an_edition(store, people=9)
    with store.write() as tx:
        for offset, status in enumerate(DeliveryStatus):
            one = f"(SELECT id FROM deliveries ORDER BY id LIMIT 1 OFFSET {offset})"
            tx.execute(text(f"UPDATE deliveries SET status = '{status}' WHERE id = {one}"))
    with store.read() as tx:
        sums = deliveries.sums(tx, edition.id)
        assert sums == dict.fromkeys(DeliveryStatus, 1)
        assert deliveries.open_count(tx, edition.id) == 3
        assert set(deliveries.sums(tx, new_edition().id).values()) == {0}


def test_the_checks_of_verify_find_nothing_in_sound_editions(store: Store) -> None:
    first = an_edition(store)
    with store.write() as tx:
        add_items(tx, [4])
    second = _next_edition(store)
    for edition in (first, second):
        settle(store, must_claim(store, edition), ACCEPTED, TAKEN)
    assert _faults(store, first) == _faults(store, second) == (0, 0, 0, 0)


def _faults(store: Store, edition: NewEdition) -> tuple[int, int, int, int]:
    final = [DeliveryStatus.ACCEPTED]
    with store.read() as tx:
        return (
            deliveries.accepted_without_relay(tx, edition.id),
            deliveries.of_other_variants(tx, edition.id),
            deliveries.behind_cursor(tx, edition.id, final),
            deliveries.overlapping(tx, edition.id, final),
        )


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        ("UPDATE deliveries SET relay = '' WHERE to_seq = 4", (1, 0, 0, 0)),
        ("UPDATE deliveries SET variant_id = (SELECT max(variant_id) FROM deliveries WHERE to_seq = 3)", (0, 1, 0, 0)),
        ("UPDATE subscriptions SET settled_seq = 3", (0, 0, 1, 0)),
        ("UPDATE deliveries SET from_seq = 2 WHERE to_seq = 4", (0, 0, 0, 1)),
    ],
)
def test_the_checks_of_verify_see_what_is_wrong(store: Store, damage: str, found: tuple[int, int, int, int]) -> None:
    first = an_edition(store)
    with store.write() as tx:
        add_items(tx, [4])
    second = _next_edition(store)
    for edition in (first, second):
        settle(store, must_claim(store, edition), ACCEPTED, TAKEN)
    with store.write() as tx:
        tx.execute(text(damage))
    assert _faults(store, second) == found
