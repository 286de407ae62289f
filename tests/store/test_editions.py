"""Opening an edition: who is in it, what it covers, and what the database itself forbids."""

from __future__ import annotations

from datetime import timedelta

import pytest

from pipeline.errors import StoreError
from pipeline.models import Cadence, Choice, DeliveryStatus, EditionStatus, SubscriptionStatus
from pipeline.store import Store, deliveries, editions, subscribers
from tests.store.builders import (
    ACCEPTED,
    DAILY,
    INSTANT,
    NOW,
    TAKEN,
    WEEKLY,
    add_feed,
    add_items,
    an_edition,
    cursors,
    due_ids,
    must_claim,
    new_edition,
    new_variant,
    open_edition,
    settle,
    statuses,
    subscribe,
)

ZORG = Choice(topics=("zorg",))


@pytest.fixture
def full(store: Store) -> Store:
    """The feed ``po`` with five items, and nobody yet."""
    with store.write() as tx:
        add_feed(tx)
        add_items(tx, range(1, 6))
    return store


def _queue_first(store: Store) -> tuple[int, str]:
    """An edition for the first group alone; returns how many it queued, and its label."""
    with store.write() as tx:
        schedules = due_ids(tx)
        group = editions.groups(tx, schedules, 5, Cadence.DAILY)[0]
        edition, variant = new_edition(), new_variant()
        editions.add(tx, edition, [variant])
        return editions.queue(tx, edition, group, variant.id, schedules, 5), edition.label


def test_those_with_the_same_cursor_and_choice_are_one_group(full: Store) -> None:
    with full.write() as tx:
        for address, cursor, choice, rhythm in (
            ("ann", 2, Choice(), DAILY),
            ("bob", 2, Choice(), WEEKLY),
            ("cas", 2, ZORG, DAILY),
            ("dik", 4, Choice(), DAILY),
            ("eva", 5, Choice(), DAILY),
        ):
            subscribe(tx, f"{address}@example.org", settled_seq=cursor, choice=choice, rhythm=rhythm)
        found = editions.groups(tx, due_ids(tx), 5, Cadence.WEEKLY)
    assert [(one.settled_seq, one.choice, one.size, one.of_default_cadence) for one in found] == [
        (2, Choice(), 2, 1),
        (2, ZORG, 1, 0),
        (4, Choice(), 1, 0),
    ]


def test_only_active_subscriptions_of_that_cursor_and_choice_are_queued(full: Store) -> None:
    with full.write() as tx:
        subscribe(tx, "ann@example.org", settled_seq=2)
        subscribe(tx, "other-cursor@example.org", settled_seq=3)
        subscribe(tx, "other-choice@example.org", settled_seq=2, choice=ZORG)
        for status in SubscriptionStatus:
            if status is not SubscriptionStatus.ACTIVE:
                subscribe(tx, f"{status}@example.org", settled_seq=2, status=status)
    queued, label = _queue_first(full)
    with full.read() as tx:
        edition = editions.by_label(tx, label)
        assert edition is not None
        [delivery] = deliveries.of_edition(tx, edition.id)
    assert (queued, edition.audience) == (1, 1)
    assert (delivery.address, delivery.from_seq, delivery.to_seq) == ("ann@example.org", 2, 5)
    moved = {address: cursor for address, cursor in cursors(full).items() if cursor == 5}
    assert moved == {"ann@example.org": 5}


def test_only_those_on_a_schedule_that_is_due_are_queued(full: Store) -> None:
    with full.write() as tx:
        subscribe(tx, "daily@example.org")
        subscribe(tx, "weekly@example.org", rhythm=WEEKLY)
        weekly = next(one for one in editions.due_schedules(tx, "po", NOW) if one.rhythm == WEEKLY)
        editions.move_schedule(tx, weekly.id, NOW + timedelta(microseconds=1))
        edition = open_edition(tx)
    assert set(statuses(full, edition)) == {"daily@example.org"}
    with full.read() as tx:
        assert editions.next_due(tx, "po") == NOW


def test_subscribers_of_another_feed_are_not_touched(full: Store) -> None:
    with full.write() as tx:
        add_feed(tx, "vo", "https://www.example.org/vo/")
        subscribe(tx, "ann@example.org")
        subscribe(tx, "bob@example.org", slug="vo")
        edition = open_edition(tx)
    assert set(statuses(full, edition)) == {"ann@example.org"}
    assert cursors(full) == {"ann@example.org": 5, "bob@example.org": 0}


def test_the_name_and_address_of_a_delivery_are_frozen(full: Store) -> None:
    with full.write() as tx:
        subscribe(tx, "ann@example.org")
        edition = open_edition(tx)
        subscribers.subscriber(tx, "ANN@example.org", "Another Name", NOW)
    taken = must_claim(full, edition)
    assert (taken.address, taken.name) == ("ann@example.org", "Ann")


def test_nobody_is_twice_in_an_edition(full: Store) -> None:
    with full.write() as tx:
        person = subscribe(tx, "ann@example.org")
        edition, variant = new_edition(), new_variant()
        editions.add(tx, edition, [variant])
        [group] = editions.groups(tx, due_ids(tx), 4, Cadence.DAILY)
        editions.queue(tx, edition, group, variant.id, due_ids(tx), 4)
    with full.read() as tx:
        [again] = editions.groups(tx, due_ids(tx), 5, Cadence.DAILY)
        schedules = due_ids(tx)
    with pytest.raises(StoreError, match=r"(?i)unique"), full.write() as tx:
        editions.queue(tx, edition, again, variant.id, schedules, 5)
    with full.read() as tx:
        assert len(deliveries.of_subscriptions(tx, [person])) == 1
    assert cursors(full) == {"ann@example.org": 4}


def test_a_feed_has_one_edition_of_a_moment_so_that_a_double_tick_is_harmless(full: Store) -> None:
    with full.write() as tx:
        editions.add(tx, new_edition(), [])
        assert editions.taken(tx, "po", NOW)
        assert not editions.taken(tx, "po", NOW + timedelta(microseconds=1))
    with pytest.raises(StoreError, match=r"(?i)unique"), full.write() as tx:
        editions.add(tx, new_edition(label="po/another"), [])
    with full.write() as tx:
        add_feed(tx, "vo", "https://www.example.org/vo/")
        editions.add(tx, new_edition(slug="vo"), [])
        assert len(editions.latest(tx, 9)) == 2


def test_no_two_editions_have_the_same_name(full: Store) -> None:
    with full.write() as tx:
        first = new_edition()
        editions.add(tx, first, [])
        assert editions.label_taken(tx, first.label)
    with pytest.raises(StoreError, match=r"(?i)unique"), full.write() as tx:
        editions.add(tx, new_edition(due_at=NOW + timedelta(hours=1), label=first.label), [])


def test_an_edition_and_its_variants_come_back_as_they_were_written(full: Store) -> None:
    plain, shown = new_variant("a"), new_variant("b", items=(5, 3), more=2, archived=True, data=bytes(range(256)), subject="“Zo’n”")
    with full.write() as tx:
        edition = new_edition(uncertain="hold")
        editions.add(tx, edition, [plain, shown])
    with full.read() as tx:
        found = editions.record(tx, edition.id)
        assert {one.id: one for one in editions.variants(tx, edition.id)} == {plain.id: plain, shown.id: shown}
        assert editions.variant_data(tx, shown.id) == bytes(range(256))
    assert (found.status, found.reason, found.audience, found.uncertain) == (EditionStatus.SENDING, "", 0, "hold")
    assert (found.due_at, found.opened_at, found.deadline_at) == (edition.due_at, edition.opened_at, edition.deadline_at)


def test_instant_is_due_when_somebody_active_has_an_item_above_the_cursor(full: Store) -> None:
    with full.write() as tx:
        subscribe(tx, "settled@example.org", rhythm=INSTANT, settled_seq=5)
        subscribe(tx, "left@example.org", rhythm=INSTANT, status=SubscriptionStatus.UNSUBSCRIBED)
        assert editions.instant_schedules(tx, "po", 5) == []
        [due] = editions.instant_schedules(tx, "po", 6)
        assert (due.rhythm, due.next_due_at) == (INSTANT, None)
        assert editions.due_schedules(tx, "po", NOW) == []


def test_an_edition_is_open_until_its_last_delivery_has_come_to_an_end(store: Store) -> None:
    edition = an_edition(store)
    taken = must_claim(store, edition)
    with store.read() as tx:
        assert [one.id for one in editions.open_editions(tx, EditionStatus.SENDING)] == [edition.id]
        assert editions.open_editions(tx, EditionStatus.PAUSED) == []
    settle(store, taken, ACCEPTED, TAKEN)
    with store.read() as tx:
        assert editions.open_editions(tx, *EditionStatus) == []
        assert deliveries.sums(tx, edition.id)[DeliveryStatus.ACCEPTED] == 1


def test_a_deadline_is_only_ever_moved_back(store: Store) -> None:
    edition = an_edition(store)
    later = edition.deadline_at + timedelta(hours=1)
    with store.write() as tx:
        editions.extend_deadline(tx, edition.id, edition.deadline_at - timedelta(hours=1))
        assert editions.record(tx, edition.id).deadline_at == edition.deadline_at
        editions.extend_deadline(tx, edition.id, later)
        assert editions.record(tx, edition.id).deadline_at == later


def test_the_latest_editions_come_newest_first(full: Store) -> None:
    with full.write() as tx:
        for hours in (2, 0, 1):
            editions.add(tx, new_edition(due_at=NOW + timedelta(hours=hours)), [])
        assert [one.due_at - NOW for one in editions.latest(tx, 2)] == [timedelta(hours=2), timedelta(hours=1)]
        assert editions.latest(tx, 2, feed="vo") == []
