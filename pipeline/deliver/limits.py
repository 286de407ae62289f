"""How fast a relay may be used, and when to stop using it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from pipeline.models import Blame, RelayAnswer, RetryDecision, Stage

IN_A_ROW = 5
"""So many equal policy or quota refusals in a row, and the relay is refusing us, not somebody."""


class RateLimit:
    """A token bucket, shared by all threads that send through one relay.

    ``rate`` is in messages per second, None: no limit. In any t seconds at most ``rate · t`` messages go, plus those of a
    tenth of a second (at least one). ``clock`` is a monotonic clock in seconds.
    """

    def __init__(self, rate: float | None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._clock = clock
        self._lock = threading.Lock()
        self._slack = max(0.1 - 1 / rate, 0.0) if rate else 0.0
        self._next = clock()

    def wait(self, stop: threading.Event) -> bool:
        """Wait for this message's turn; False when ``stop`` was set instead."""
        pause = self._reserve()
        return not (stop.wait(pause) if pause > 0 else stop.is_set())

    def _reserve(self) -> float:
        """Take the next free moment; returns the seconds until then. Each caller has its own, so nobody starves."""
        if self._rate is None:
            return 0.0
        with self._lock:
            now = self._clock()
            moment = max(self._next, now - self._slack)
            self._next = moment + 1 / self._rate
            return moment - now


class Breaker:
    """Sees when one relay refuses everybody for the same reason; shared by all its threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kind: tuple[Stage, int | None, str] | None = None
        self._ids: list[int] = []

    def record(self, answer: RelayAnswer, decision: RetryDecision, delivery_id: int) -> tuple[int, ...]:
        """The deliveries to defer, the relay being paused: all five at the fifth equal refusal in a row, else none.

        Those that were on their way meanwhile and get the same refusal are returned one by one. Refusals are equal when
        stage and codes are: their words often hold a queue id. What the relay or the line did (no answer, 421) is
        neither a refusal nor an acceptance, and changes nothing.
        """
        if decision.blame is Blame.RELAY:
            return ()
        with self._lock:
            if decision.blame is not Blame.POLICY:
                self._kind, self._ids = None, []
                return ()
            kind = (answer.stage, answer.code, answer.enhanced)
            if kind != self._kind:
                self._kind, self._ids = kind, []
            self._ids.append(delivery_id)
            if len(self._ids) < IN_A_ROW:
                return ()
            return tuple(self._ids) if len(self._ids) == IN_A_ROW else (delivery_id,)
