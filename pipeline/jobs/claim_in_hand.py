"""The claim of one connection while it is sent: what its session is given, what it answers, and the journal of both."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from pipeline.deliver.journal import Journal
from pipeline.errors import StoreError
from pipeline.jobs import outcomes
from pipeline.jobs.outcomes import Outcome
from pipeline.models import OutgoingMessage, RelayAnswer, RetryDecision
from pipeline.store.deliveries import Claim
from pipeline.store.editions import EditionRecord

_LONGEST_SECONDS = 5.0
"""After so long the rest of a claim is handed back: a pause, a deadline or another connection need not wait for longer."""
_WATCH_SECONDS = 0.5


class ClaimInHand:
    """A ``deliver.ledger.Ledger`` over the deliveries that one connection has claimed.

    ``message`` makes the bytes of one; ``gone(claims)`` says who has left meanwhile and ``rests`` whether a person has paused
    or cancelled what is sent. Both are asked anew every half second, so that a second after somebody has left, a slow relay
    gets nothing of theirs. ``turn`` waits until the relay's rate lets the next message go, and says False where it is not to
    go at all; ``over``: nothing more is to be begun. ``heard`` hears each outcome and says whether it concerns so much more
    than its own delivery that this claim ends with it.
    """

    def __init__(
        self,
        edition: EditionRecord,
        claims: Iterable[Claim],
        journal: Journal,
        *,
        message: Callable[[Claim], OutgoingMessage],
        gone: Callable[[Sequence[Claim]], dict[int, RetryDecision]],
        rests: Callable[[], bool],
        over: Callable[[], bool],
        turn: Callable[[], bool],
        heard: Callable[[Outcome], bool],
        clock: Callable[[], datetime],
        left: dict[int, RetryDecision],
    ) -> None:
        self.outcomes: list[Outcome] = []
        self._edition = edition
        self._waiting = deque(claims)
        self._journal = journal
        self._message = message
        self._gone = gone
        self._rests = rests
        self._over = over
        self._turn = turn
        self._heard = heard
        self._clock = clock
        self._left = left
        self._with_session: dict[str, Claim] = {}
        self._withheld: set[str] = set()
        self._ends = self._stopped = False
        self.fault: Exception | None = None
        self._began = self._asked = time.monotonic()

    @property
    def unsent(self) -> list[int]:
        """The deliveries that the relay has nothing of."""
        return [claim.id for claim in self._waiting]

    @property
    def seconds(self) -> float:
        """How long this claim has been in hand."""
        return time.monotonic() - self._began

    def take(self) -> OutgoingMessage | None:
        """As ``Ledger.take``; who has left is passed over."""
        while self._waiting and self._goes_on() and self._turn():
            claim = self._waiting.popleft()
            if claim.id in self._left:
                self._withhold(claim)
                continue
            message = self._built(claim)
            if message is None:
                return None
            self._with_session[message.key] = claim
            return message
        return None

    def wanted(self, message: OutgoingMessage) -> bool:
        """As ``Ledger.wanted``."""
        self._look()
        held = self._stopped or self._over() or self._journal.sealed
        if held or self._with_session[message.key].id in self._left:
            self._withheld.add(message.key)
            return False
        return True

    def intend(self, message: OutgoingMessage) -> None:
        """As ``Ledger.intend``."""
        self._journal.intend(self._with_session[message.key].id)

    def settle(self, message: OutgoingMessage, answer: RelayAnswer) -> None:
        """As ``Ledger.settle``."""
        claim = self._with_session.pop(message.key)
        if message.key in self._withheld and not answer.accepted and not answer.handed_over:
            if claim.id in self._left:
                self._withhold(claim)
            else:
                self._waiting.appendleft(claim)
            return
        outcome = Outcome(claim, outcomes.decide(self._edition, claim, answer, self._clock()), answer)
        self.outcomes.append(outcome)
        self._journal.outcome(claim.id, answer)
        self._ends = self._heard(outcome) or self._ends

    def hand_back(self, message: OutgoingMessage) -> None:
        """As ``Ledger.hand_back``."""
        self._waiting.appendleft(self._with_session.pop(message.key))

    def _built(self, claim: Claim) -> OutgoingMessage | None:
        """The message of a claim; None where it cannot be made, which is ``fault`` then and ends this claim."""
        try:
            return self._message(claim)
        except StoreError:
            raise
        except Exception as error:
            self.fault = error
            self._waiting.appendleft(claim)
            self._ends = True
            return None

    def _goes_on(self) -> bool:
        self._look()
        return not self._ends and not self._stopped and self.seconds < _LONGEST_SECONDS

    def _look(self) -> None:
        if time.monotonic() - self._asked > _WATCH_SECONDS:
            self._asked = time.monotonic()
            self._left |= self._gone([*self._waiting, *self._with_session.values()])
            self._stopped = self._stopped or self._rests()

    def _withhold(self, claim: Claim) -> None:
        self.outcomes.append(Outcome(claim, self._left[claim.id], None))
