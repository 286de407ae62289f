"""A relay is never used faster than it allows, nor for longer than it wants us."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.deliver.limits import IN_A_ROW, Breaker, RateLimit
from pipeline.models import Blame, DeliveryStatus, RelayAnswer, RetryDecision, Stage


class Clock(threading.Event):
    """A clock that goes forward only while somebody waits; it is also the event they wait for."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        assert timeout > 0
        if not self.is_set():
            self.seconds += timeout
        return self.is_set()


def test_thirty_a_minute_is_one_every_two_seconds() -> None:
    clock = Clock()
    limit = RateLimit(30 / 60, clock=clock)
    moments = []
    for _ in range(4):
        assert limit.wait(clock)
        moments.append(clock.seconds)
    assert moments == [100, 102, 104, 106]


def test_a_pause_is_not_made_up_for_by_a_burst() -> None:
    clock = Clock()
    limit = RateLimit(1.0, clock=clock)
    assert limit.wait(clock)
    clock.seconds += 3600
    began = clock.seconds
    for _ in range(5):
        assert limit.wait(clock)
    assert clock.seconds - began == 4


@settings(max_examples=100, deadline=None)
@given(st.floats(min_value=0.1, max_value=500), st.lists(st.floats(min_value=0, max_value=2), min_size=2, max_size=80))
def test_in_no_window_are_more_sent_than_allowed(rate: float, pauses: list[float]) -> None:
    clock = Clock()
    limit = RateLimit(rate, clock=clock)
    sent = []
    for pause in pauses:
        clock.seconds += pause
        assert limit.wait(clock)
        sent.append(clock.seconds)
    for first, begin in enumerate(sent):
        for last in range(first, len(sent)):
            assert last - first + 1 <= (sent[last] - begin) * rate + max(1, rate / 10) + 1e-6 * rate


def test_a_high_rate_is_reached_although_threads_wake_late() -> None:
    clock = Clock()
    limit = RateLimit(1000.0, clock=clock)
    for _ in range(2000):
        clock.seconds += 0.0005
        assert limit.wait(clock)
    assert clock.seconds - 100 == pytest.approx(2, rel=0.06)


def test_threads_share_one_rate() -> None:
    clock = Clock()
    limit = RateLimit(10.0, clock=lambda: 100.0)
    pauses: list[float] = []

    class Stop(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            pauses.append(timeout or 0)
            return False

    threads = [threading.Thread(target=lambda: [limit.wait(Stop()) for _ in range(10)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # forty messages, ten a second: the first at once, the others 0.1, 0.2, … 3.9 s later
    assert sorted(pauses) == pytest.approx([number / 10 for number in range(1, 40)])
    assert clock.seconds == 100


@pytest.mark.parametrize("rate", [None, 1.0])
def test_a_stop_ends_the_wait(rate: float | None) -> None:
    clock = Clock()
    limit = RateLimit(rate, clock=clock)
    assert limit.wait(clock)
    clock.set()
    assert not limit.wait(clock)


def test_no_rate_means_no_wait() -> None:
    clock = Clock()
    limit = RateLimit(None, clock=clock)
    assert all(limit.wait(clock) for _ in range(1000))
    assert clock.seconds == 100


REFUSAL = RelayAnswer(Stage.RCPT, 550, "5.7.1", "blocked, see case 4711")
OTHER = RelayAnswer(Stage.RCPT, 550, "5.7.26", "not authenticated")


def failed(blame: Blame) -> RetryDecision:
    return RetryDecision(DeliveryStatus.FAILED, blame, "…")


def refuse(breaker: Breaker, delivery_id: int, answer: RelayAnswer = REFUSAL) -> tuple[int, ...]:
    return breaker.record(answer, failed(Blame.POLICY), delivery_id)


def test_the_fifth_equal_refusal_in_a_row_names_all_five() -> None:
    breaker = Breaker()
    assert [refuse(breaker, number) for number in range(1, 5)] == [()] * 4
    assert breaker.record(RelayAnswer(Stage.RCPT, 550, "5.7.1", "blocked, see case 9"), failed(Blame.POLICY), 5) == (
        1,
        2,
        3,
        4,
        5,
    )


def test_those_already_on_their_way_are_named_too() -> None:
    breaker = Breaker()
    for number in range(1, 6):
        refuse(breaker, number)
    assert refuse(breaker, 6) == (6,)
    assert refuse(breaker, 7) == (7,)


ACCEPTED = (
    RelayAnswer(Stage.DOT, 250, "2.0.0", "ok", handed_over=True),
    RetryDecision(DeliveryStatus.ACCEPTED, Blame.NOBODY, "ok"),
)


@pytest.mark.parametrize(
    ("answer", "decision"),
    [
        ACCEPTED,
        (RelayAnswer(Stage.RCPT, 550, "5.1.1", "no such user"), failed(Blame.RECIPIENT)),
        (RelayAnswer(Stage.RCPT, 550, "5.2.1", "disabled"), failed(Blame.DELIVERY)),
        (OTHER, failed(Blame.POLICY)),
    ],
)
def test_an_acceptance_or_another_refusal_begins_a_new_count(answer: RelayAnswer, decision: RetryDecision) -> None:
    breaker = Breaker()
    for number in range(1, 5):
        refuse(breaker, number)
    assert breaker.record(answer, decision, 99) == ()
    assert [refuse(breaker, number) for number in range(11, 15)] == [()] * 4
    assert refuse(breaker, 15) == (11, 12, 13, 14, 15)


def test_a_broken_line_between_refusals_proves_nothing() -> None:
    breaker = Breaker()
    lost = RelayAnswer(Stage.RCPT, None, "", "line lost")
    for number in range(1, 5):
        refuse(breaker, number)
        assert breaker.record(lost, RetryDecision(DeliveryStatus.DEFERRED, Blame.RELAY, "…"), 50 + number) == ()
    assert refuse(breaker, 5) == (1, 2, 3, 4, 5)


def test_under_threads_every_refused_delivery_but_the_first_few_is_named_once() -> None:
    breaker = Breaker()
    named: list[int] = []

    def run(start: int) -> None:
        for number in range(start, start + 50):
            named.extend(refuse(breaker, number))

    threads = [threading.Thread(target=run, args=(start,)) for start in range(0, 400, 50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(named) == list(range(400))
    assert IN_A_ROW == 5
