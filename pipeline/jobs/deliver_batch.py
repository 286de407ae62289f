"""Deliver what is open: claim │ splice │ send │ decide │ settle, on as many connections as the relay has (promises 1–3).

Each connection is a thread with one claim at a time. It claims only when its session is open and its turn has come, and the
claim is committed before the first byte of its message leaves; the outcome is committed together with the next claim. So a
kill at any moment leaves at most one delivery per connection of which nobody knows whether the relay kept it.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from zoneinfo import ZoneInfo

from pipeline.compose import message
from pipeline.deliver import retry
from pipeline.deliver.limits import Breaker, RateLimit
from pipeline.deliver.relay import Relay, Session
from pipeline.jobs import rehearsed
from pipeline.jobs.return_path import return_path
from pipeline.jobs.site import Site
from pipeline.jobs.sweep import recover
from pipeline.models import (
    Blame,
    DeliveryStatus,
    EditionStatus,
    OutgoingMessage,
    Personal,
    RelayAnswer,
    RetryDecision,
    SubscriptionStatus,
)
from pipeline.store import Tx, deliveries, editions, runs, snoozing, subscribers
from pipeline.store.deliveries import Claim
from pipeline.store.editions import EditionRecord

_FAULTS_IN_A_ROW = 3
_POLICY_PAUSE = timedelta(minutes=15)
_GRACE_SECONDS = 8.0
_WATCH_SECONDS = 0.5
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
    batch = _Batch(site, relay, process, clock, stop, progress, rate or RateLimit(relay.rate))
    batch.run([edition for edition in waiting if edition_id in (None, edition.id)])
    return batch.tally


class _Batch:
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
        self._variants: dict[int, bytes] = {}
        self._errors: list[BaseException] = []

    def run(self, waiting: Sequence[EditionRecord]) -> None:
        """Work through the editions, oldest first, on all connections."""
        if not waiting:
            return
        self._recover()  # of an earlier batch of this process that ended in an error: its connections are gone
        self._at_work = self.relay.connections
        threads = [
            threading.Thread(target=self._guarded, args=(index, waiting), name=f"{self.relay.name}-{index}", daemon=True)
            for index in range(self.relay.connections)
        ]
        for thread in threads:
            thread.start()
        self._wait(threads)
        if self._errors:
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
            self.tally.unsettled = self._recover()

    def _recover(self) -> int:
        with self.site.store.write() as tx:
            return sum(one.count for one in recover(tx, lambda lease: lease.startswith(f"{self.process}#"), self.clock()))

    def _guarded(self, index: int, waiting: Sequence[EditionRecord]) -> None:
        try:
            _Connection(self, f"{self.process}#{index}").work(waiting)
        except BaseException as error:
            self._errors.append(error)
            self._down.set()

    @property
    def over(self) -> bool:
        """Whether connections should claim nothing more."""
        return self.stop.is_set() or self._down.is_set()

    def variant(self, variant_id: int) -> bytes:
        """The stored bytes of a variant; an edition has few, so all stay at hand."""
        with self._lock:
            if variant_id not in self._variants:
                with self.site.store.read() as tx:
                    self._variants[variant_id] = editions.variant_data(tx, variant_id)
            return self._variants[variant_id]

    def count(self, status: DeliveryStatus) -> None:
        """Note an outcome and tell whoever watches."""
        with self._lock:
            self.tally.outcomes[status] += 1
            self.progress(self.tally)

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
        moved = deliveries.defer(tx, ids, now + _POLICY_PAUSE, now)
        runs.set_relay_paused(tx, self.relay.name, True, reason)
        fix = f'Mend the cause, then "gazet resume {self.relay.name}".'
        runs.problem(
            tx, f"relay:{self.relay.name}", f"relay {self.relay.name} was paused: it refused five in a row: {reason}", fix, now
        )
        with self._lock:
            self.tally.outcomes[DeliveryStatus.FAILED] -= moved
            self.tally.outcomes[DeliveryStatus.DEFERRED] += moved
            self.tally.problem = reason
        self._down.set()


class _Watch:
    """Whether the person behind a claim is still there, asked anew when the last time was half a second ago.

    So that after somebody has left, a slow relay gets nothing of theirs a second later. ``left``: what was found.
    """

    def __init__(self, ask: Callable[[], RetryDecision | None], asked: float) -> None:
        self._ask = ask
        self._asked = asked
        self.left: RetryDecision | None = None

    def __call__(self) -> bool:
        if self.left is None and time.monotonic() - self._asked > _WATCH_SECONDS:
            self._asked = time.monotonic()
            self.left = self._ask()
        return self.left is None


class _Connection:
    """One thread and its session with the relay."""

    def __init__(self, batch: _Batch, lease: str) -> None:
        self.batch = batch
        self.lease = lease
        self.session: Session | None = None
        self.refused = False
        self.asked = 0.0

    def work(self, waiting: Sequence[EditionRecord]) -> None:
        """Send edition after edition until none has a delivery that is due."""
        try:
            for edition in waiting:
                while (claim := self._take_turn(edition)) is not None:
                    self._send_on(edition, claim)
        finally:
            if self.session is not None:
                self.session.close()
            if not self.refused:
                self.batch.leave()

    def _take_turn(self, edition: EditionRecord) -> Claim | None:
        """The first claim of a row of messages: when something is due, it is this connection's turn, and it has a session."""
        with self.batch.site.store.read() as tx:
            due = deliveries.any_due(tx, edition.id, self.batch.clock())
        if not due or not self._connect() or not self.batch.rate.wait(self.batch.stop) or not self._connect():
            return None
        with self.batch.site.store.write() as tx:
            return self._claim(tx, edition)

    def _send_on(self, edition: EditionRecord, claim: Claim | None) -> None:
        """Message after message while the session lasts; each one's outcome is committed with the next one's claim."""
        while claim is not None:
            assert self.session is not None
            watch = _Watch(partial(self._gone_meanwhile, claim), self.asked)
            answer = self.session.send(outgoing(self.batch.site, edition, claim, self.batch.variant(claim.variant_id)), watch)
            go_on = self.batch.relay.rate is None and self.session.usable
            claim = self._settle(edition, claim, answer, watch.left, go_on=go_on)

    def _connect(self) -> bool:
        """A usable session, before anything is claimed for it."""
        while not self.batch.over and not self.refused and not (self.session is not None and self.session.usable):
            if self.session is not None:
                self.session.close()
            made = self.batch.relay.connect()
            if isinstance(made, RelayAnswer):
                self.session = None
                self._not_connected(made)
            else:
                self.session = made
        return not self.batch.over and not self.refused

    def _not_connected(self, answer: RelayAnswer) -> None:
        """The others go on: many a relay allows fewer connections than the settings say. The last one means the relay."""
        self.refused = True
        if self.batch.leave():
            with self.batch.site.store.write() as tx:
                self.batch.fault(tx, _line(answer), final=True)

    def _claim(self, tx: Tx, edition: EditionRecord) -> Claim | None:
        """The next delivery to somebody who is still there; who has left becomes suppressed here, who rests is passed over."""
        now = self.batch.clock()
        while not self.batch.over and now < edition.deadline_at:
            claim = deliveries.claim(
                tx, edition.id, relay=self.batch.relay.name, lease=self.lease, now=now, without=self.batch.put_off()
            )
            self.asked = time.monotonic()
            if claim is None or (left := self._left(tx, claim)) is None:
                return claim
            self._withhold(tx, claim, left, now)
            self.batch.count(left.status)
        return None

    def _withhold(self, tx: Tx, claim: Claim, left: RetryDecision, now: datetime) -> None:
        """Somebody who only rests gets its items later."""
        deliveries.settle(tx, claim, left, None, now)
        if left.status is DeliveryStatus.CANCELLED:
            snoozing.taken_back(tx, claim.id)

    def _gone_meanwhile(self, claim: Claim) -> RetryDecision | None:
        with self.batch.site.store.read() as tx:
            return self._left(tx, claim)

    def _left(self, tx: Tx, claim: Claim) -> RetryDecision | None:
        status = deliveries.subscription_status(tx, claim.subscription_id)
        if status is SubscriptionStatus.SNOOZED:
            return RetryDecision(DeliveryStatus.CANCELLED, Blame.NOBODY, snoozing.REASON, count_attempt=False)
        reason = f"the subscription is {status}" if status is not SubscriptionStatus.ACTIVE else ""
        if not reason and subscribers.suppressed(tx, self.batch.site.links.address_hash(claim.address)):
            reason = "the address is on the suppression list"
        if not reason:
            return None
        return RetryDecision(DeliveryStatus.SUPPRESSED, Blame.NOBODY, reason, count_attempt=False)

    def _settle(
        self, edition: EditionRecord, claim: Claim, answer: RelayAnswer, left: RetryDecision | None, *, go_on: bool
    ) -> Claim | None:
        """Commit the outcome, where the session goes on together with the next claim."""
        now = self.batch.clock()
        decision = left or self._decide(edition, claim, answer, now)
        with self.batch.site.store.write() as tx:
            if left is not None:
                self._withhold(tx, claim, left, now)
            else:
                deliveries.settle(tx, claim, decision, answer, now)
            self.batch.count(decision.status)
            if left is None:
                self._consequences(tx, edition, claim, answer, decision, now)
            return self._claim(tx, edition) if go_on else None

    def _decide(self, edition: EditionRecord, claim: Claim, answer: RelayAnswer, now: datetime) -> RetryDecision:
        deadline = edition.deadline_at - edition.opened_at
        jitter = random.random()  # noqa: S311
        decision = retry.decide(
            answer, attempts=claim.attempts, opened_at=edition.opened_at, deadline=deadline, now=now, jitter=jitter
        )
        if decision.status is DeliveryStatus.EXPIRED:  # the sweep expires it, with its cursor and with a word about it
            return replace(decision, status=DeliveryStatus.DEFERRED, next_at=edition.deadline_at)
        return decision

    def _consequences(
        self, tx: Tx, edition: EditionRecord, claim: Claim, answer: RelayAnswer, decision: RetryDecision, now: datetime
    ) -> None:
        """What an answer means beyond its own delivery."""
        if answer.accepted:
            self.batch.works(tx)
        if decision.suppress:
            subscribers.suppress(tx, self.batch.site.links.address_hash(claim.address), decision.reason, now)
            subscribers.bounce(tx, claim.address, now)
        if decision.status is DeliveryStatus.UNCERTAIN:
            self._uncertain(tx, edition, claim, now)
        if decision.status is DeliveryStatus.QUEUED:
            self.batch.hand_back(claim.id)
        if decision.blame is Blame.RELAY:
            self.batch.fault(tx, decision.reason, final=False)
        if decision.blame is Blame.EDITION:
            editions.set_status(tx, edition.id, EditionStatus.PAUSED, decision.reason)
            fix = f'Shorten it or use another relay, then "gazet resume {edition.label}".'
            runs.problem(tx, f"edition:{edition.label}", f"edition {edition.label} was paused: {decision.reason}", fix, now)
        if refused := self.batch.breaker.record(answer, decision, claim.id):
            self.batch.pause_relay(tx, refused, decision.reason)

    def _uncertain(self, tx: Tx, edition: EditionRecord, claim: Claim, now: datetime) -> None:
        """The line broke behind the final dot. Sent again once; a second time in doubt waits for a person."""
        if edition.uncertain == "resend" and claim.uncertain_at is None:
            deliveries.resend(tx, claim.id)
            return
        fix = f'See "gazet verify {edition.label}"; "gazet retry {edition.label}" sends them again.'
        what = f"edition {edition.label}: the relay left some deliveries without an answer; they are held as uncertain"
        runs.problem(tx, f"uncertain:{edition.label}", what, fix, now)


def _line(answer: RelayAnswer) -> str:
    return " ".join(part for part in (f"{answer.stage}:", str(answer.code or ""), answer.enhanced, answer.text) if part)


def outgoing(site: Site, edition: EditionRecord, claim: Claim, data: bytes) -> OutgoingMessage:
    """The exact message of a delivery: a function of (edition, subscription) as frozen at opening (promise 3)."""
    identity = message.message_id(edition.id, claim.subscription_id, edition.message_id_domain)
    personal = Personal(
        address=claim.address,
        name=claim.name,
        message_id=identity,
        unsubscribe_url=site.links.unsubscribe_url(edition.base_url, claim.subscription_id),
        unsubscribe_mailto=site.links.unsubscribe_mailto(edition.unsubscribe_mail, claim.subscription_id),
        preferences_url=site.links.preferences_url(edition.base_url, claim.subscription_id),
    )
    key = identity.strip("<>").partition("@")[0]
    sender = return_path(site, site.relay_name, edition.envelope_from, edition.id, claim.subscription_id)
    return OutgoingMessage(key, sender, claim.address, message.splice(data, personal))
