"""Notices: single mails with frozen bytes, sent like deliveries: claim │ send │ decide │ settle, one at a time.

A notice never holds up a digest, and never says more of a relay than that it works or does not.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from email.utils import parseaddr

from pipeline.compose import message
from pipeline.compose.message import Letter
from pipeline.deliver import retry
from pipeline.deliver.limits import RateLimit
from pipeline.deliver.relay import Relay, Session, mask
from pipeline.jobs import signing, trust
from pipeline.jobs.site import Site
from pipeline.models import Blame, DeliveryStatus, OutgoingMessage, RelayAnswer, RetryDecision
from pipeline.store import Tx, notices, runs, signups, subscribers
from pipeline.store.notices import NewNotice, NoticeClaim, NoticeRecord

ALERT, EVE = "alert", "eve"
CONFIRM, KNOWN, WELCOME, MY_DATA = "confirm", "known", "welcome", "my-data"
PUBLIC = (CONFIRM, KNOWN, WELCOME, MY_DATA)
"""Mails to subscribers and those who signed up. They wait, as digests do, until the relay may write to them (promise 12)."""
_KEEP = timedelta(days=30)


@dataclass
class Told:
    """What became of the notices that were due, by outcome."""

    relay: str
    outcomes: Counter[DeliveryStatus] = field(default_factory=Counter)
    problem: str = ""


def post(
    site: Site,
    tx: Tx,
    *,
    kind: str,
    dedupe_key: str,
    sender: str,
    recipient: str,
    words: tuple[str, str],
    language: str,
    now: datetime,
    deadline_at: datetime,
    unsubscribe: tuple[str, str] = ("", ""),
) -> None:
    """Queue a mail of plain text, its bytes frozen here; ``words`` are subject and text, ``sender`` may have a name.

    Asking twice with one ``dedupe_key`` queues one.
    """
    subject, text = words
    identity = message.notice_id(dedupe_key, now, site.host)
    data = message.letter(Letter(sender, recipient, subject, text, now, identity, language, unsubscribe))
    data = signing.signed(site.settings, sender, data)
    notices.add(tx, NewNotice(kind, recipient, dedupe_key, parseaddr(sender)[1], data, now, deadline_at))


def tidy(site: Site, is_dead: Callable[[str], bool | None], now: datetime) -> None:
    """Put in order what an earlier process could not finish, and end what is too late."""
    with site.store.write() as tx:
        notices.recover(tx, is_dead, now)
        for late in notices.expire(tx, now):
            _not_told(tx, late)
        notices.prune(tx, now - _KEEP)
        notices.forget(tx, PUBLIC, now - site.settings.subscribe.expire)


def waiting(site: Site, relay: str, now: datetime) -> bool:
    """Whether a notice can go out now: one is due, and the relay is not to be left alone for a while."""
    kept_back = _kept_back(site)
    with site.store.write() as tx:
        return not _left_alone(tx, relay, now) and notices.any_due(tx, relay, now, kept_back)


def _kept_back(site: Site) -> tuple[str, ...]:
    """The kinds that may not go out yet: to the public only what a relay may send that is trusted."""
    untrusted = any(trust.missing(site, relay) is not None for relay in site.settings.relay[:1])
    return PUBLIC if untrusted else ()


def relay_answers(site: Site, relay: str, now: datetime) -> bool:
    """Whether the relay is not known to be out of order at ``now``, so that something true can still be said through it."""
    with site.store.write() as tx:
        return not _left_alone(tx, relay, now)


def _left_alone(tx: Tx, relay: str, now: datetime) -> bool:
    retry_at = runs.relay(tx, relay).retry_at
    return retry_at is not None and now < retry_at <= now + timedelta(hours=1)


def send_notices(
    site: Site,
    relay: Relay,
    *,
    process: str,
    clock: Callable[[], datetime],
    stop: threading.Event,
    rate: RateLimit | None = None,
    judge: bool = True,
) -> Told:
    """Send every notice that is due now, each once, through a session of its own. Never raises for what a relay does.

    ``judge`` off: deliveries use the relay at the same time, and what they find out about it counts.
    """
    sending = _Sending(site, relay, f"{process}#notices", clock, judge)
    try:
        while not stop.is_set() and waiting(site, relay.name, clock()) and sending.connected():
            if not (rate or RateLimit(None)).wait(stop) or not sending.send_next():
                break
    finally:
        sending.close()
    return sending.told


class _Sending:
    """One session with the relay, opened when first needed."""

    def __init__(self, site: Site, relay: Relay, lease: str, clock: Callable[[], datetime], judge: bool) -> None:
        self.site = site
        self.relay = relay
        self.lease = lease
        self.clock = clock
        self.judge = judge
        self.told = Told(relay.name)
        self._session: Session | None = None
        self._tried: list[int] = []

    def connected(self) -> bool:
        """Whether there is a usable session now."""
        if self._session is not None and not self._session.usable:
            self.close()
        if self._session is None:
            made = self.relay.connect()
            if isinstance(made, RelayAnswer):
                with self.site.store.write() as tx:
                    self._fault(tx, " ".join(part for part in (f"{made.stage}:", str(made.code or ""), made.text) if part))
                return False
            self._session = made
        return True

    def send_next(self) -> bool:
        """Send one notice; whether another may follow."""
        kept_back = _kept_back(self.site)
        with self.site.store.write() as tx:
            claim = notices.claim(
                tx, relay=self.relay.name, lease=self.lease, now=self.clock(), without=self._tried, kept_back=kept_back
            )
        if claim is None:
            return False
        self._tried.append(claim.id)
        assert self._session is not None
        key = message.key_of(message.notice_id(claim.dedupe_key, claim.created_at, self.site.host))
        answer = self._session.send(OutgoingMessage(key, claim.sender, claim.recipient, claim.message))
        return self._settle(claim, answer)

    def _settle(self, claim: NoticeClaim, answer: RelayAnswer) -> bool:
        now = self.clock()
        decision = _decide(claim, answer, now)
        with self.site.store.write() as tx:
            notices.settle(tx, claim, decision, now)
            if answer.accepted:
                self._works(tx, claim)
            if decision.status is DeliveryStatus.FAILED:
                _refused(tx, claim, decision, now)
            if decision.blame is Blame.RELAY:
                self._fault(tx, decision.reason)
        self.told.outcomes[decision.status] += 1
        return decision.blame is not Blame.RELAY

    def _works(self, tx: Tx, claim: NoticeClaim) -> None:
        runs.mended(tx, _problem_key(claim), self.clock())
        if self.judge and not runs.relay(tx, self.relay.name).paused:
            runs.relay_works(tx, self.relay.name)
            runs.mended(tx, f"relay:{self.relay.name}", self.clock())

    def _fault(self, tx: Tx, reason: str) -> None:
        """The relay is at fault, not a notice: it is tried again later, as for deliveries."""
        self.told.problem = reason
        if self.judge and not runs.relay(tx, self.relay.name).paused:
            runs.relay_failed(tx, self.relay.name, reason, self.clock())
            fix = "Check [[relay]] in gazet.toml and the server; nothing is lost, it is tried again."
            runs.problem(tx, f"relay:{self.relay.name}", f"relay {self.relay.name}: {reason}", fix, self.clock())

    def close(self) -> None:
        """Give the connection back."""
        if self._session is not None:
            self._session.close()
            self._session = None


def _decide(claim: NoticeClaim, answer: RelayAnswer, now: datetime) -> RetryDecision:
    """As for a delivery, but that a first doubt is sent again and a second one left: nobody can be asked to look."""
    deadline = claim.deadline_at - claim.created_at
    jitter = random.random()  # noqa: S311
    found = retry.decide(answer, attempts=claim.attempts, opened_at=claim.created_at, deadline=deadline, now=now, jitter=jitter)
    if found.status is DeliveryStatus.UNCERTAIN and claim.attempts == 0:
        return replace(found, status=DeliveryStatus.DEFERRED, next_at=now + retry.BACK_OFF[0])
    if found.status is DeliveryStatus.EXPIRED:  # ``tidy`` expires it, with what follows from that
        return replace(found, status=DeliveryStatus.DEFERRED, next_at=claim.deadline_at)
    return found


def _refused(tx: Tx, claim: NoticeClaim, decision: RetryDecision, now: datetime) -> None:
    """A stranger's address may be anything, so it is nobody's problem that it is refused, unless by a rule for all."""
    _not_told(tx, claim)
    reason = decision.reason
    if claim.kind in PUBLIC:
        if decision.blame is Blame.POLICY:
            what = f"a {claim.kind} mail to somebody who signed up was refused: {reason}"
            runs.problem(tx, _problem_key(claim), what, "Mend what the relay says; the person may sign up again.", now)
            if claim.kind in (CONFIRM, KNOWN):
                signups.end(tx, int(claim.dedupe_key.partition(":")[2]), now)
        return
    where = "mail under [alerts] in gazet.toml" if claim.kind == ALERT else "editor under [digest] in the feed's file"
    what = f"the {claim.kind} mail to {mask(claim.recipient)} was refused: {reason}"
    runs.problem(tx, _problem_key(claim), what, f"Correct {where}, or mend what the relay says.", now)


def _problem_key(claim: NoticeClaim) -> str:
    if claim.kind in PUBLIC:
        return f"notice:{claim.kind}"
    return f"notice:{claim.kind}:{mask(claim.recipient)}"


def _not_told(tx: Tx, one: NoticeClaim | NoticeRecord) -> None:
    """Nobody has read it: what an alert said is as new as before, what a welcome mail showed comes in the first digest."""
    if one.kind == ALERT:
        runs.unmail(tx, one.created_at)
    if one.kind == WELCOME:
        _put_back(tx, int(one.dedupe_key.partition(":")[2]))


def _put_back(tx: Tx, signup_id: int) -> None:
    """As for a delivery that expired: cursors that this mail has moved, and nothing later, go back (promise 4)."""
    signup = signups.find(tx, signup_id)
    for one in signups.made_of(signup) if signup is not None else ():
        subscribers.settle(tx, one.subscription, one.to_seq, one.from_seq)
