"""Subscribers: one mailbox is one person, asking twice changes nothing, and who has left stays away."""

from __future__ import annotations

from datetime import timedelta

import pytest

from pipeline.models import Cadence, Choice, Rhythm, SubscriptionStatus
from pipeline.store import Store, subscribers
from pipeline.store.subscribers import OPTED_OUT, SubscriptionRecord
from tests.store.builders import DAILY, NOW, WEEKLY, add_feed, crowd, subscribe

LATER = NOW + timedelta(days=1)


@pytest.fixture
def feed(store: Store) -> Store:
    """Two feeds without subscribers."""
    with store.write() as tx:
        add_feed(tx)
        add_feed(tx, "vo", "https://www.example.org/vo/")
    return store


def _all(store: Store, **filters: str) -> list[SubscriptionRecord]:
    with store.read() as tx:
        return list(subscribers.records(tx, **filters))


@pytest.mark.parametrize("spelling", ["Ann@example.org", "ANN@EXAMPLE.ORG"])
def test_two_spellings_of_a_mailbox_are_one_person_with_the_address_first_given(feed: Store, spelling: str) -> None:
    with feed.write() as tx:
        first = subscribers.subscriber(tx, "ann@example.org", "", NOW)
        assert subscribers.subscriber(tx, spelling, "", LATER) == first
        subscribe(tx, spelling)
    [found] = _all(feed, address="aNN@example.org")
    assert found.address == "ann@example.org"


def test_a_name_is_filled_in_and_changed_but_never_emptied(feed: Store) -> None:
    names = []
    with feed.write() as tx:
        subscribe(tx, "ann@example.org")
        for given in ("", "Ann O’Neill", ""):
            subscribers.subscriber(tx, "ann@example.org", given, NOW)
            names.append(next(subscribers.records(tx)).name)
    assert names == ["Ann", "Ann O’Neill", "Ann O’Neill"]


def test_equal_rhythms_and_choices_are_one_row(feed: Store) -> None:
    with feed.write() as tx:
        first = subscribers.schedule(tx, "po", DAILY, NOW)
        assert subscribers.schedule(tx, "po", Rhythm(Cadence.DAILY, time="08:00", zone="Europe/Amsterdam"), LATER) == first
        assert subscribers.schedule(tx, "po", WEEKLY, NOW) != first
        assert subscribers.schedule(tx, "vo", DAILY, NOW) != first
        wanted = subscribers.choice(tx, Choice(topics=("zorg", "po"), words=("b", "a")))
        assert subscribers.choice(tx, Choice(topics=("po", "zorg"), words=("a", "b"))) == wanted
        assert subscribers.choice(tx, Choice(topics=("po", "zorg", "a", "b"))) != wanted


def test_asking_again_does_not_move_a_schedule(feed: Store) -> None:
    """Else an import at noon would skip tomorrow morning's slot of everybody on that rhythm, or repeat it."""
    with feed.write() as tx:
        subscribe(tx, "ann@example.org")
        subscribers.schedule(tx, "po", DAILY, LATER)
    assert _all(feed)[0].next_due_at == NOW


def test_a_subscription_comes_back_as_it_was_written(feed: Store) -> None:
    choice = Choice(topics=("hoger onderwijs", "zorg"), words=("pabo",), language="en", format="text")
    with feed.write() as tx:
        made = subscribe(tx, "ann@example.org", settled_seq=41, rhythm=WEEKLY, choice=choice)
        for evidence in ("a form", "another form"):
            subscribers.add_consent(tx, made, "joined", evidence, NOW)
        subscribers.add_consent(tx, made, "left", "a click", NOW)
    assert _all(feed) == [
        SubscriptionRecord(
            made, "ann@example.org", "Ann", "po", SubscriptionStatus.ACTIVE, 41, WEEKLY, choice, NOW, consent="another form"
        )
    ]


def test_another_rhythm_keeps_the_cursor_and_the_same_one_changes_nothing(feed: Store) -> None:
    with feed.write() as tx:
        made = subscribe(tx, "ann@example.org", settled_seq=90, rhythm=WEEKLY)
        daily, all_of_it = subscribers.schedule(tx, "po", DAILY, NOW), subscribers.choice(tx, Choice())
        assert subscribers.rearrange(tx, made, schedule_id=daily, choice_id=all_of_it, now=LATER)
        assert not subscribers.rearrange(tx, made, schedule_id=daily, choice_id=all_of_it, now=LATER)
    [found] = _all(feed)
    assert (found.rhythm, found.settled_seq) == (DAILY, 90)


def test_a_mailbox_that_does_not_exist_ends_all_its_subscriptions_but_revives_none(feed: Store) -> None:
    with feed.write() as tx:
        subscribe(tx, "ann@example.org")
        left = subscribe(tx, "ann@example.org", slug="vo")
        subscribers.leave(tx, left, SubscriptionStatus.COMPLAINED, NOW)
        subscribe(tx, "bob@example.org")
        subscribers.bounce(tx, "ANN@example.org", LATER)
    assert [(one.address, one.feed, str(one.status)) for one in _all(feed)] == [
        ("ann@example.org", "po", "bounced"),
        ("bob@example.org", "po", "active"),
        ("ann@example.org", "vo", "complained"),
    ]
    assert SubscriptionStatus.BOUNCED in OPTED_OUT


def test_an_address_is_suppressed_once_and_for_all(store: Store) -> None:
    with store.write() as tx:
        assert not subscribers.suppressed(tx, "a" * 64)
        subscribers.suppress(tx, "a" * 64, "no such user", NOW)
        subscribers.suppress(tx, "a" * 64, "again", LATER)
        assert subscribers.suppressed(tx, "a" * 64)
        assert not subscribers.suppressed(tx, "b" * 64)


def test_thousands_of_subscriptions_are_streamed_in_order(feed: Store) -> None:
    with feed.write() as tx:
        assert not subscribers.any_subscription(tx)
        crowd(tx, 2_500)
        subscribe(tx, "ann@example.org", slug="vo")
        assert subscribers.any_subscription(tx)
        assert subscribers.counts(tx) == {"po": {SubscriptionStatus.ACTIVE: 2_500}, "vo": {SubscriptionStatus.ACTIVE: 1}}
    listed = [one.address for one in _all(feed, feed="po")]
    assert listed == sorted(f"p{number}@example.org" for number in range(2_500))
    assert len(_all(feed)) == 2_501


def test_a_reader_that_stops_early_leaves_nothing_open(feed: Store) -> None:
    with feed.write() as tx:
        crowd(tx, 2_500)
    with feed.read() as tx:
        assert next(subscribers.records(tx)).feed == "po"
    with feed.write() as tx:
        subscribers.leave(tx, next(subscribers.records(tx)).id, SubscriptionStatus.UNSUBSCRIBED, NOW)
