"""Problems are said once until they change, relays are tried again after a growing while."""

from __future__ import annotations

from datetime import timedelta

import pytest

from pipeline.store import Store, runs
from tests.store.builders import NOW

LATER = NOW + timedelta(hours=1)


def _report(store: Store) -> list[str]:
    with store.write() as tx:
        return [record.what for record in runs.report(tx, NOW)]


def _problem(store: Store, key: str, what: str) -> None:
    with store.write() as tx:
        runs.problem(tx, key, what, "do something", LATER)


def test_a_problem_is_said_once_however_often_it_is_met(store: Store) -> None:
    _problem(store, "source:1", "no answer")
    assert _report(store) == ["no answer"]
    _problem(store, "source:1", "no answer")
    assert _report(store) == []


def test_a_problem_that_reads_differently_is_said_again_and_keeps_its_age(store: Store) -> None:
    with store.write() as tx:
        runs.problem(tx, "source:1", "no answer", "wait", NOW)
    assert _report(store) == ["no answer"]
    _problem(store, "source:1", "404")
    assert _report(store) == ["404"]
    with store.read() as tx:
        [found] = runs.problems(tx)
    assert (found.since, found.fix, found.reported_at) == (NOW, "do something", NOW)


def test_a_problem_that_was_mended_is_new_when_it_comes_back(store: Store) -> None:
    _problem(store, "source:1", "no answer")
    _report(store)
    with store.write() as tx:
        runs.mended(tx, "source:1", LATER)
        assert runs.problems(tx) == []
    _problem(store, "source:1", "no answer")
    assert _report(store) == ["no answer"]


def test_the_problems_of_one_kind_are_forgotten_but_for_those_that_last(store: Store) -> None:
    for key in ("source:1", "source:2", "relay:1", "source_:3"):
        _problem(store, key, key)
    with store.write() as tx:
        runs.forget_under(tx, "source:", {"source:2"})
        assert [one.key for one in runs.problems(tx)] == ["relay:1", "source:2", "source_:3"]


def test_a_relay_that_fails_is_tried_again_later_and_later_but_within_half_an_hour(store: Store) -> None:
    with store.write() as tx:
        waits = [(runs.relay_failed(tx, "provider", "no answer", NOW) - NOW) // timedelta(minutes=1) for _ in range(8)]
        assert waits == [1, 2, 4, 8, 16, 30, 30, 30]
        found = runs.relay(tx, "provider")
        assert (found.failures, found.reason, found.retry_at) == (8, "no answer", NOW + timedelta(minutes=30))
        runs.relay_works(tx, "provider")
        assert runs.relay(tx, "provider").retry_at is None
        assert runs.relay_failed(tx, "provider", "no answer", NOW) == NOW + timedelta(minutes=1)


def test_a_relay_paused_by_a_person_stays_so_although_a_message_gets_through(store: Store) -> None:
    with store.write() as tx:
        runs.set_relay_paused(tx, "provider", True, "by hand")
        runs.relay_works(tx, "provider")
        [found] = runs.relays(tx)
        assert (found.paused, found.reason) == (True, "by hand")
        runs.set_relay_paused(tx, "provider", False)
        assert (runs.relay(tx, "provider").paused, runs.relay(tx, "provider").reason) == (False, "")


def test_the_last_run_of_a_kind_is_remembered_with_what_it_did_and_old_ones_are_forgotten(store: Store) -> None:
    detail = {"collected": 3, "said": ["“Zo’n”"]}
    with store.write() as tx:
        assert runs.last(tx, "tick") is None
        runs.start(tx, "tick", "host:1", NOW)
        latest = runs.start(tx, "tick", "host:2", LATER)
        runs.start(tx, "collect", "host:3", LATER)
        runs.finish(tx, latest, LATER, detail)
        runs.prune(tx, LATER)
        found = runs.last(tx, "tick")
    assert found is not None
    assert (found.id, found.process, found.finished_at, found.detail) == (latest, "host:2", LATER, detail)


def _mailed(store: Store, key: str, what: str = "no answer") -> None:
    with store.write() as tx:
        runs.problem(tx, key, what, "do something", NOW)
        runs.mailed(tx, [key], NOW)


def test_a_mailed_problem_that_is_over_is_told_once_and_one_that_was_never_mailed_is_not(store: Store) -> None:
    _mailed(store, "source:1")
    _problem(store, "source:2", "no answer")
    with store.write() as tx:
        runs.mended(tx, "source:1", LATER)
        runs.mended(tx, "source:2", LATER)
        assert [(one.key, one.mended_at) for one in runs.recoveries(tx)] == [("source:1", LATER)]
        runs.mailed(tx, [], LATER)
        assert runs.recoveries(tx) == []


@pytest.mark.parametrize(("away", "is_new"), [(timedelta(hours=23), False), (timedelta(hours=25), True)])
def test_a_problem_that_flaps_is_mailed_once_and_one_that_comes_back_later_again(
    store: Store, away: timedelta, is_new: bool
) -> None:
    _mailed(store, "source:1")
    with store.write() as tx:
        runs.mended(tx, "source:1", LATER)
        runs.problem(tx, "source:1", "no answer", "do something", LATER + away)
        [found] = runs.problems(tx)
        assert (found.mailed_at is None) is is_new
        assert runs.recoveries(tx) == [], "what is broken again has not recovered"


def test_a_mailed_problem_that_reads_differently_is_said_again_but_not_mailed_again(store: Store) -> None:
    _mailed(store, "source:1")
    _report(store)
    _problem(store, "source:1", "404")
    with store.read() as tx:
        [found] = runs.problems(tx)
    assert (found.reported_at, found.mailed_at) == (None, NOW)


def test_what_a_person_mended_or_history_closed_is_no_recovery(store: Store) -> None:
    _mailed(store, "relay:provider")
    with store.write() as tx:
        runs.forget(tx, "relay:provider")
        assert runs.problems(tx) == []
        assert runs.recoveries(tx) == []
        runs.problem(tx, "relay:provider", "refused five", "do something", LATER)
        assert runs.problems(tx)[0].mailed_at is None, "a person thought it mended: that it is not is news"
