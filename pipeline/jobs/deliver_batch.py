"""Deliver what is open: claim │ splice │ send │ decide │ settle, on as many connections as the relay has (promises 1–3).

Each connection is a thread with one claim at a time, of one delivery at first and of up to 500 where they go quickly. It
claims only when its session is open and its turn has come; the claim is committed before the first byte of its messages
leaves, and the outcomes together with the next claim. In between a journal holds what is about to be sent and what was
answered. So a kill at any moment leaves at most one delivery per connection of which nobody knows whether the relay kept it.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from pipeline.deliver.limits import Breaker, RateLimit
from pipeline.deliver.relay import Relay
from pipeline.errors import StoreError
from pipeline.jobs import rehearsed, signing
from pipeline.jobs.connection import POLICY_PAUSE, Connection
from pipeline.jobs.fold_journals import fold_journals
from pipeline.jobs.outcomes import Outcome
from pipeline.jobs.site import Site
from pipeline.jobs.sweep import recover
from pipeline.models import (
    Blame,
    DeliveryStatus,
    EditionStatus,
)
from pipeline.store import Tx, deliveries, editions, runs
from pipeline.store.editions import EditionRecord

if TYPE_CHECKING:
    from pipeline.jobs.signing_pool import SigningPool

_FAULTS_IN_A_ROW = 3
_GRACE_SECONDS = 8.0
_MOST, _MOST_SHARED = 500, 64
_HANDED_BACK = 2
"""So often a delivery may come back unsent in one batch: then it is something about it, and others have their turn."""


@dataclass
class Tally:
    """What a batch did so far, by outcome; shared by its connections."""

    outcomes: Counter[DeliveryStatus] = field(default_factory=Counter)
    relay: str = ""
    problem: str = ""
    unsettled: int = 0


def deliver_batch(
    site: Site,
    relay: Relay,
    *,
    process: str,
    clock: Callable[[], datetime],
    stop: threading.Event,
    edition_id: int | None = None,
    rate: RateLimit | None = None,
    progress: Callable[[Tally], None] = lambda _: None,
) -> Tally:
    """Send every delivery that is due now through ``relay`` and return when none is left, or soon after ``stop`` is set.

    ``process`` names this process in lease tokens; ``edition_id`` limits the batch to one edition; ``rate`` is the relay's
    limit where it counts on from an earlier batch. After ``stop`` what is on the wire gets 8 s to finish and is then
    recorded as uncertain. Never raises for what a relay does.
    """
    rehearsed.keep_back(site, clock())
    with site.store.read() as tx:
        waiting = editions.open_editions(tx, EditionStatus.SENDING)
    batch = Batch(site, relay, process, clock, stop, progress, rate or RateLimit(relay.rate))
    batch.run(signing.able(site, [edition for edition in waiting if edition_id in (None, edition.id)], clock()))
    return batch.tally


class Batch:
    """The connections of one batch and what they share."""

    def __init__(
        self,
        site: Site,
        relay: Relay,
        process: str,
        clock: Callable[[], datetime],
        stop: threading.Event,
        progress: Callable[[Tally], None],
        rate: RateLimit,
    ) -> None:
        self.site = site
        self.relay = relay
        self.process = process
        self.clock = clock
        self.stop = stop
        self.progress = progress
        self.tally = Tally(relay=relay.name)
        self.rate = rate
        self.breaker = Breaker()
        self._lock = threading.Lock()
        self._faults = 0
        self._last_fault = ""
        self._proven = False
        self._at_work = 0
        self._handed_back: Counter[int] = Counter()
        self._down = threading.Event()
        self._refused: dict[int, tuple[int, ...]] = {}
        self._overruled: set[int] = set()
        self._failed: set[int] = set()
        self._variants: dict[int, signing.Fillable] = {}
        # With a rate, claims of about a second; the other machines of a PostgreSQL store wait for no more than 64 (promise 2).
        shared = relay.rate / relay.connections if relay.rate else float("inf")
        self.most = max(1, int(min(shared, _MOST if site.store.is_sqlite else _MOST_SHARED)))
        self._pool: SigningPool | None = None
        self._connections: list[Connection] = []
        self._errors: list[BaseException] = []

    def run(self, waiting: Sequence[EditionRecord]) -> None:
        """Work through the editions, oldest first, on all connections."""
        if not waiting:
            return
        self._recover()  # of an earlier batch of this process that could not do so itself: its connections are gone
        self._at_work = self.relay.connections
        self._pool = signing.pool_for(self.site.settings, waiting)
        threads = [
            threading.Thread(target=self._guarded, args=(index, waiting), name=f"{self.relay.name}-{index}", daemon=True)
            for index in range(self.relay.connections)
        ]
        for thread in threads:
            thread.start()
        self._wait(threads)
        if self._pool is not None and not any(thread.is_alive() for thread in threads):
            self._pool.close()
        if self._errors:
            with contextlib.suppress(StoreError):
                self._recover()
            raise self._errors[0]
        self._conclude(waiting)

    def _conclude(self, waiting: Sequence[EditionRecord]) -> None:
        """What only shows at the end: a relay that took nothing, and editions that ended with failures."""
        with self.site.store.write() as tx:
            if self._last_fault and not self._proven and not self.stop.is_set():
                self.fault(tx, self._last_fault, final=True)
            for edition in waiting:
                if failed := deliveries.failed_for_good(tx, edition.id):
                    people = "1 delivery" if failed == 1 else f"{failed} deliveries"
                    what = f"edition {edition.label}: the relay refused {people} for good, though nobody's address was wrong"
                    fix = f'"gazet explain ADDRESS" says why, "gazet retry {edition.label}" sends them again.'
                    runs.problem(tx, f"failed:{edition.label}", what, fix, self.clock())

    def _wait(self, threads: list[threading.Thread]) -> None:
        for thread in threads:
            while thread.is_alive() and not self.stop.is_set():
                thread.join(0.2)
        end = time.monotonic() + _GRACE_SECONDS
        for thread in threads:
            thread.join(max(0.0, end - time.monotonic()))
        if any(thread.is_alive() for thread in threads):
            for connection in self._connections:
                connection.journal.seal()
            self.tally.unsettled = self._recover()

    def _recover(self) -> int:
        def mine(lease: str) -> bool:
            return lease.startswith(f"{self.process}#")

        fold_journals(self.site, mine, self.clock())
        with self.site.store.write() as tx:
            return sum(one.count for one in recover(tx, mine, self.clock()))

    def _guarded(self, index: int, waiting: Sequence[EditionRecord]) -> None:
        try:
            connection = Connection(self, f"{self.process}#{index}")
            self._connections.append(connection)
            connection.work(waiting)
        except BaseException as error:
            self._errors.append(error)
            self._down.set()

    @property
    def over(self) -> bool:
        """Whether connections should claim nothing more."""
        return self.stop.is_set() or self._down.is_set()

    def variant(self, variant_id: int, edition: EditionRecord) -> signing.Fillable:
        """The template of a variant; an edition has few, so all stay at hand."""
        with self._lock:
            if variant_id not in self._variants:
                with self.site.store.read() as tx:
                    data = editions.variant_data(tx, variant_id)
                self._variants[variant_id] = signing.template(self.site.settings, edition.dkim, data, self._pool)
            return self._variants[variant_id]

    def count(self, outcome: Outcome) -> None:
        """Note an outcome and tell whoever watches."""
        with self._lock:
            self.tally.outcomes[outcome.decision.status] += 1
            if outcome.decision.status is DeliveryStatus.FAILED:
                self._failed.add(outcome.claim.id)
            self.progress(self.tally)

    def heard(self, outcome: Outcome) -> bool:
        """An answer that blames somebody; whether its connection should record it before it goes on."""
        assert outcome.answer is not None
        refused = self.breaker.record(outcome.answer, outcome.decision, outcome.claim.id)
        if refused:
            with self._lock:
                self._refused[outcome.claim.id] = refused
                self._overruled.update(refused)
        return bool(refused) or outcome.decision.blame in (Blame.RELAY, Blame.EDITION)

    def refused_by(self, outcome: Outcome) -> tuple[int, ...]:
        """The deliveries that the relay refused for what turned out to concern everybody, where this outcome showed it."""
        with self._lock:
            return self._refused.pop(outcome.claim.id, ())

    def overruled(self, heard: Sequence[Outcome], now: datetime) -> list[Outcome]:
        """The outcomes as they are recorded: what was refused for a policy that concerns everybody is tried again later."""
        with self._lock:
            later = now + POLICY_PAUSE
            return [
                replace(one, decision=replace(one.decision, status=DeliveryStatus.DEFERRED, next_at=later))
                if one.claim.id in self._overruled and one.decision.status is DeliveryStatus.FAILED
                else one
                for one in heard
            ]

    def leave(self) -> bool:
        """A connection ends; whether it was the last one at work."""
        with self._lock:
            self._at_work -= 1
            return self._at_work == 0

    def hand_back(self, claim_id: int) -> None:
        """A delivery that was not sent through no fault of its own, as far as one can tell."""
        with self._lock:
            self._handed_back[claim_id] += 1

    def put_off(self) -> list[int]:
        """Deliveries that came back too often: the next batch tries them again."""
        with self._lock:
            return [claim_id for claim_id, times in self._handed_back.items() if times >= _HANDED_BACK]

    def works(self, tx: Tx) -> None:
        """The relay took a message. One that was still on its way when the relay was given up or paused mends nothing."""
        with self._lock:
            known, self._proven = self._proven and not self._faults, True
            self._faults = 0
        if not known and not self._down.is_set():
            runs.relay_works(tx, self.relay.name)
            runs.mended(tx, f"relay:{self.relay.name}", self.clock())

    def fault(self, tx: Tx, reason: str, *, final: bool) -> None:
        """The relay is at fault; after three times in a row, or a final one, the batch ends and it is tried later."""
        with self._lock:
            self._faults += 1
            self._last_fault = reason
            ending = (final or self._faults >= _FAULTS_IN_A_ROW) and not self._down.is_set()
            if ending:
                self._down.set()
                self.tally.problem = reason
        if ending:
            retry_at = runs.relay_failed(tx, self.relay.name, reason, self.clock())
            what, fix = f"relay {self.relay.name}: {reason}", "Check [[relay]] in gazet.toml and the server; nothing is lost."
            runs.problem(tx, f"relay:{self.relay.name}", what, f"{fix} The next try is at {self._local(retry_at)}.", self.clock())

    def _local(self, moment: datetime) -> str:
        return f"{moment.astimezone(ZoneInfo(self.site.settings.site.timezone)):%H:%M}"

    def pause_relay(self, tx: Tx, ids: Sequence[int], reason: str) -> None:
        """Everybody was refused for the same policy: nobody's address is to blame, so the relay waits for a person."""
        now = self.clock()
        deliveries.defer(tx, ids, now + POLICY_PAUSE, now)
        runs.set_relay_paused(tx, self.relay.name, True, reason)
        fix = f'Mend the cause, then "gazet resume {self.relay.name}".'
        runs.problem(
            tx, f"relay:{self.relay.name}", f"relay {self.relay.name} was paused: it refused five in a row: {reason}", fix, now
        )
        with self._lock:
            moved = len(self._failed.intersection(ids))
            self.tally.outcomes[DeliveryStatus.FAILED] -= moved
            self.tally.outcomes[DeliveryStatus.DEFERRED] += moved
            self.tally.problem = reason
        self._down.set()
