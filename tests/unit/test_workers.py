"""A job that hangs holds up nothing but itself, also when many come at once."""

from __future__ import annotations

import functools
import threading
import weakref
from collections.abc import Callable, Iterator

from pipeline.engines.workers import Workers


def test_a_burst_beside_a_job_that_hangs_is_not_left_to_one_thread() -> None:
    workers: Workers[str] = Workers(32, "test", per_host=2)
    assert workers.submit(lambda: "first", "a").result(5) == "first"
    hangs = threading.Event()
    stuck = workers.submit(lambda: str(hangs.wait(30)), "slow")
    others = [workers.submit(lambda: "done", f"host{number}") for number in range(10)]
    assert [other.result(10) for other in others] == ["done"] * 10
    assert not stuck.done()
    hangs.set()
    assert stuck.result(10) == "True"


def test_a_host_is_asked_by_two_at_a_time_and_the_third_waits_for_one_of_them() -> None:
    workers: Workers[int] = Workers(32, "test", per_host=2)
    gate, running, most, lock = threading.Event(), 0, 0, threading.Lock()

    def job() -> int:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        gate.wait(10)
        with lock:
            running -= 1
        return most

    futures = [workers.submit(job, "one") for _ in range(6)]
    assert workers.submit(lambda: 0, "other").result(10) == 0, "another host does not wait"
    gate.set()
    assert [future.result(10) for future in futures] == [2] * 6


def test_who_has_nothing_to_do_holds_nothing_of_what_was_done() -> None:
    """An idle thread once held the whole site of its last collect, a day after its settings were edited."""

    class Site:
        pass

    workers: Workers[str] = Workers(32, "idle", per_host=2)
    site = Site()
    held = weakref.ref(site)
    done = workers.submit(lambda site=site: type(site).__name__, "a")  # type: ignore[misc]
    del site
    assert done.result(10) == "Site"
    for thread in threading.enumerate():
        if thread.name.startswith("idle"):
            thread.join(10)
    assert held() is None
    assert workers.submit(lambda: "again", "a").result(10) == "again"


def test_no_job_of_many_begins_before_all_of_them_wait() -> None:
    workers: Workers[int] = Workers(4, "many", per_host=2)
    begun: list[int] = []
    early: list[int] = []

    def handed_in() -> Iterator[tuple[Callable[[], int], str]]:
        for number in range(50):
            yield functools.partial(done, number), f"host{number % 5}"
            early.extend(begun)

    def done(number: int) -> int:
        begun.append(number)
        return number

    futures = workers.submit_all(handed_in())
    assert [future.result(10) for future in futures] == list(range(50)), "in the order handed in"
    assert not early
