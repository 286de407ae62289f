"""Problems are said once until they change, relays are tried again after a growing while."""

from __future__ import annotations

from datetime import timedelta

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
        runs.mended(tx, "source:1")
        assert runs.problems(tx) == []
    _problem(store, "source:1", "no answer")
    assert _report(store) == ["no answer"]


def test_the_problems_of_one_kind_are_mended_but_for_those_that_last(store: Store) -> None:
    for key in ("source:1", "source:2", "relay:1", "source_:3"):
        _problem(store, key, key)
    with store.write() as tx:
        runs.mended_under(tx, "source:", {"source:2"})
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
