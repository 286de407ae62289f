"""One connection of a batch: claim after claim through one session, with a journal between two transactions.

any due? ─ session ─ turn ─▶ claim (COMMIT) ─▶ journal ─▶ session.deliver(claim in hand) ─▶ outcomes, next claim (COMMIT)
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from pipeline.compose import message
from pipeline.deliver.journal import FOLDER, Journal
from pipeline.deliver.relay import Session
from pipeline.errors import StoreError
from pipeline.jobs import outcomes, signing
from pipeline.jobs.claim_in_hand import ClaimInHand
from pipeline.jobs.outcomes import Outcome
from pipeline.jobs.return_path import return_path
from pipeline.jobs.site import Site
from pipeline.models import Blame, DeliveryStatus, EditionStatus, OutgoingMessage, Personal, RelayAnswer, RetryDecision
from pipeline.store import Tx, deliveries, editions, runs
from pipeline.store.deliveries import Claim
from pipeline.store.editions import EditionRecord

if TYPE_CHECKING:
    from pipeline.jobs.deliver_batch import Batch

POLICY_PAUSE = timedelta(minutes=15)
_FIRST_CLAIM = 1
_BRISK_SECONDS = 1.0
"""What was sent within that time may be claimed twice as many at once; what took longer, half as many."""


class Connection:
    """One thread, its session with the relay, and its journal."""

    def __init__(self, batch: Batch, lease: str) -> None:
        self.batch = batch
        self.lease = lease
        self.session: Session | None = None
        self.journal = Journal(batch.site.settings.path(FOLDER), lease)
        self.refused = False
        self.turns = 0
        self.most = _FIRST_CLAIM

    def work(self, waiting: Sequence[EditionRecord]) -> None:
        """Send edition after edition until none has a delivery that is due."""
        done = False
        try:
            for edition in waiting:
                while claims := self._take_turn(edition):
                    self._send_on(edition, claims)
            done = True
        finally:
            self.journal.close(remove=done)
            if self.session is not None:
                self.session.close()
            if not self.refused:
                self.batch.leave()

    def _take_turn(self, edition: EditionRecord) -> list[Claim]:
        """The first claim of a row of claims: when something is due, it is this connection's turn, and it has a session."""
        with self.batch.site.store.read() as tx:
            due = deliveries.any_due(tx, edition.id, self.batch.clock())
        if not due or not self._connect() or not self.batch.rate.wait(self.batch.stop) or not self._connect():
            return []
        self.turns = 1
        with self.batch.site.store.write() as tx:
            return self._claim(tx, edition)

    def _send_on(self, edition: EditionRecord, claims: list[Claim]) -> None:
        """Claim after claim while the session lasts; each one's outcomes are committed with the next one."""
        while claims:
            assert self.session is not None
            hand = self._in_hand(edition, claims)
            try:
                self.session.deliver(hand)
            except BaseException:  # what was answered is a fact; of the rest the journal goes on to tell
                with contextlib.suppress(StoreError):
                    self._write_down(edition, hand, go_on=False)
                raise
            claims = self._fold(edition, hand, go_on=self.batch.relay.rate is None and self.session.usable)

    def _in_hand(self, edition: EditionRecord, claims: list[Claim]) -> ClaimInHand:
        site = self.batch.site
        return ClaimInHand(
            edition,
            claims,
            self.journal,
            message=lambda claim: outgoing(site, edition, claim, self.batch.variant(claim.variant_id, edition)),
            gone=self._gone,
            rests=lambda: self._rests(edition),
            over=lambda: self.batch.over,
            turn=self._turn,
            heard=self.batch.heard,
            clock=self.batch.clock,
            left=self._gone(claims),
        )

    def _turn(self) -> bool:
        """The first turn was waited for before the claim."""
        if self.turns:
            self.turns -= 1
            return not self.batch.over
        return not self.batch.over and self.batch.rate.wait(self.batch.stop)

    def _gone(self, claims: Sequence[Claim]) -> dict[int, RetryDecision]:
        with self.batch.site.store.read() as tx:
            return outcomes.gone(self.batch.site, tx, claims)

    def _rests(self, edition: EditionRecord) -> bool:
        with self.batch.site.store.read() as tx:
            return deliveries.rests(tx, edition.id, self.batch.relay.name)

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

    def _claim(self, tx: Tx, edition: EditionRecord) -> list[Claim]:
        """The next deliveries, as many as were sent within a second before."""
        batch, now = self.batch, self.batch.clock()
        if batch.over or now >= edition.deadline_at:
            return []
        put_off, name, most = batch.put_off(), batch.relay.name, min(self.most, batch.most)
        claims = deliveries.claim_many(tx, edition.id, relay=name, lease=self.lease, now=now, most=most, without=put_off)
        if claims:  # before the COMMIT: what is on the wire as far as the database knows is always in the journal
            self.journal.claim((one.id, one.edition_id, one.subscription_id) for one in claims)
        return claims

    def _fold(self, edition: EditionRecord, hand: ClaimInHand, *, go_on: bool) -> list[Claim]:
        """Commit the outcomes, where the session goes on together with the next claim; then the journal has nothing new."""
        self.journal.sync()
        self.most = min(self.most * 2, self.batch.most) if hand.seconds < _BRISK_SECONDS else max(self.most // 2, 1)
        claims = self._write_down(edition, hand, go_on=go_on and hand.fault is None)
        if not self.journal.sealed:
            self.journal.forget()
        return claims

    def _write_down(self, edition: EditionRecord, hand: ClaimInHand, *, go_on: bool) -> list[Claim]:
        now = self.batch.clock()
        with self.batch.site.store.write() as tx:
            settled = self.batch.overruled(hand.outcomes, now)
            outcomes.write(self.batch.site, tx, edition, settled, now)
            # Another connection may have heard the fifth refusal meanwhile, and have looked for these rows before they said so.
            settled, before = self.batch.overruled(settled, now), settled
            deliveries.defer(tx, [one.claim.id for one in before if one not in settled], now + POLICY_PAUSE, now)
            deliveries.hand_back(tx, self.lease, hand.unsent, now)
            for one in settled:
                self.batch.count(one)
                self._consequences(tx, edition, one, now)
            if hand.fault is not None:
                self._set_aside(tx, edition, hand.fault, now)
            return self._claim(tx, edition) if go_on else []

    def _set_aside(self, tx: Tx, edition: EditionRecord, fault: Exception, now: datetime) -> None:
        """An edition whose messages cannot be made keeps no other one waiting."""
        reason = f"its messages cannot be made: {fault}"
        editions.set_status(tx, edition.id, EditionStatus.PAUSED, reason)
        fix = f'Mend that, then "gazet resume {edition.label}"; or "gazet cancel {edition.label}".'
        runs.problem(tx, f"edition:{edition.label}", f"edition {edition.label} was paused: {reason}", fix, now)

    def _consequences(self, tx: Tx, edition: EditionRecord, outcome: Outcome, now: datetime) -> None:
        """What an answer means beyond its own delivery and person."""
        decision = outcome.decision
        if outcome.answer is not None and outcome.answer.accepted:
            self.batch.works(tx)
        if outcome.answer is not None and decision.status is DeliveryStatus.QUEUED:
            self.batch.hand_back(outcome.claim.id)
        if decision.blame is Blame.RELAY:
            self.batch.fault(tx, decision.reason, final=False)
        if decision.blame is Blame.EDITION:
            editions.set_status(tx, edition.id, EditionStatus.PAUSED, decision.reason)
            fix = f'Shorten it or use another relay, then "gazet resume {edition.label}".'
            runs.problem(tx, f"edition:{edition.label}", f"edition {edition.label} was paused: {decision.reason}", fix, now)
        if refused := self.batch.refused_by(outcome):
            self.batch.pause_relay(tx, refused, decision.reason)


def _line(answer: RelayAnswer) -> str:
    return " ".join(part for part in (f"{answer.stage}:", str(answer.code or ""), answer.enhanced, answer.text) if part)


def outgoing(site: Site, edition: EditionRecord, claim: Claim, variant: signing.Fillable) -> OutgoingMessage:
    """The exact message of a delivery: a function of (edition, subscription) as frozen at opening (promise 3)."""
    identity = message.message_id(edition.id, claim.subscription_id, edition.message_id_domain)
    unsubscribe_url, unsubscribe_mailto, preferences_url = site.links.of_subscription(
        edition.base_url, edition.unsubscribe_mail, claim.subscription_id
    )
    personal = Personal(
        address=claim.address,
        name=claim.name,
        message_id=identity,
        unsubscribe_url=unsubscribe_url,
        unsubscribe_mailto=unsubscribe_mailto,
        preferences_url=preferences_url,
    )
    plain = variant.plain and (identity + claim.address + claim.name).isascii()
    sender = return_path(site, site.relay_name, edition.envelope_from, edition.id, claim.subscription_id)
    return OutgoingMessage(message.key_of(identity), sender, claim.address, variant.fill(personal), plain)
