"""Notices are claimed, settled, recovered and ended like deliveries, on both databases."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from pipeline.models import DeliveryStatus
from pipeline.store import Store, Tx, feeds, notices, runs
from pipeline.store.notices import NewNotice, NoticeClaim
from tests.store.builders import NOW, decided

LATER = NOW + timedelta(minutes=30)


def _add(store: Store, key: str = "alert:1", *, at: datetime = NOW, message: bytes = b"Subject: x\r\n\r\ny\r\n") -> None:
    notice = NewNotice("alert", "beheer@example.org", key, "nieuws@example.org", message, at, at + timedelta(days=1))
    with store.write() as tx:
        feeds.name_in_settings(tx, {})
        notices.add(tx, notice)


def _claim(tx: Tx, at: datetime = NOW, lease: str = "me#notices") -> NoticeClaim | None:
    return notices.claim(tx, relay="provider", lease=lease, now=at)


def _claimed(store: Store, at: datetime = NOW) -> NoticeClaim:
    with store.write() as tx:
        claim = _claim(tx, at)
    assert claim is not None
    return claim


def test_asking_twice_for_the_same_notice_keeps_the_first(store: Store) -> None:
    _add(store, message=b"first")
    _add(store, message=b"second")
    with store.write() as tx:
        assert notices.known(tx, "alert:1")
        claim = _claim(tx)
        assert claim is not None
        assert claim.message == b"first"
        assert _claim(tx) is None


def test_a_deferred_notice_comes_back_at_its_moment_with_the_same_bytes(store: Store) -> None:
    _add(store)
    first = _claimed(store)
    with store.write() as tx:
        notices.settle(tx, first, decided(DeliveryStatus.DEFERRED, next_at=LATER), NOW)
        assert _claim(tx) is None
        again = _claim(tx, LATER)
    assert again is not None
    assert (again.message, again.attempts) == (first.message, 1)


def test_what_a_dead_process_left_is_sent_again_and_what_a_living_one_holds_is_not(store: Store) -> None:
    _add(store)
    claim = _claimed(store)
    with store.write() as tx:
        assert notices.recover(tx, lambda _lease: False, NOW) == 0
        assert notices.recover(tx, lambda _lease: None, NOW) == 0  # another machine's: its lease still runs
        assert notices.recover(tx, lambda lease: lease == claim.lease, NOW) == 1
        assert _claim(tx) is not None


def test_an_acceptance_is_recorded_even_after_the_lease_was_lost_and_nothing_else_is(store: Store) -> None:
    _add(store)
    late = _claimed(store)
    with store.write() as tx:
        notices.recover(tx, lambda _lease: True, NOW)
        _claim(tx, lease="another")
        notices.settle(tx, late, decided(DeliveryStatus.FAILED), NOW)
        assert notices.waiting(tx)[0].status is DeliveryStatus.SENDING
        notices.settle(tx, late, decided(DeliveryStatus.ACCEPTED), NOW)
        assert notices.waiting(tx) == []


def test_a_notice_ends_at_its_deadline_and_is_forgotten_long_after(store: Store) -> None:
    _add(store, "alert:1")
    with store.write() as tx:
        assert notices.expire(tx, NOW + timedelta(hours=23)) == []
        assert _claim(tx, NOW + timedelta(days=1)) is None
        assert [one.dedupe_key for one in notices.expire(tx, NOW + timedelta(days=1))] == ["alert:1"]
        notices.prune(tx, NOW + timedelta(days=40))
        assert notices.known(tx, "alert:1"), "the latest of all stays: its id must not be given twice"
    _add(store, "alert:2")
    with store.write() as tx:
        notices.prune(tx, NOW + timedelta(days=40))
        assert not notices.known(tx, "alert:1")
        assert notices.known(tx, "alert:2"), "it is still to be sent"


@pytest.mark.parametrize("rests", ["site", "relay by hand"])
def test_nothing_is_claimed_while_a_person_has_paused_the_site_or_the_relay(store: Store, rests: str) -> None:
    _add(store)
    with store.write() as tx:
        if rests == "site":
            feeds.set_site_paused(tx, True)
        else:
            runs.set_relay_paused(tx, "provider", True, runs.BY_HAND)
        assert not notices.any_due(tx, "provider", NOW)
        assert _claim(tx) is None


def test_a_relay_that_refused_subscribers_mail_still_takes_the_notice_that_says_so(store: Store) -> None:
    _add(store)
    with store.write() as tx:
        runs.set_relay_paused(tx, "provider", True, "554 5.7.1 go away")
        assert notices.any_due(tx, "provider", NOW)
        assert _claim(tx) is not None


def test_two_at_once_never_claim_the_same_notice(postgres_store: Store) -> None:
    _add(postgres_store, "alert:1")
    _add(postgres_store, "alert:2")
    with postgres_store.write() as one, postgres_store.write() as other:
        first, second, third = _claim(one), _claim(other), _claim(other)
    assert first is not None
    assert second is not None
    assert first.id != second.id
    assert third is None
