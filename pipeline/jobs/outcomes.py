"""What an answer means for its delivery and for the person behind it, whoever heard it: a connection, or a journal."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from pipeline.deliver import retry
from pipeline.jobs.site import Site
from pipeline.models import Blame, DeliveryStatus, RelayAnswer, RetryDecision, SubscriptionStatus
from pipeline.store import Tx, deliveries, runs, snoozing, subscribers
from pipeline.store.deliveries import Claim
from pipeline.store.editions import EditionRecord


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a claim; ``answer`` None: nothing was asked of the relay, since its person had left."""

    claim: Claim
    decision: RetryDecision
    answer: RelayAnswer | None


def decide(edition: EditionRecord, claim: Claim, answer: RelayAnswer, now: datetime) -> RetryDecision:
    """The decision of the table in ``deliver.retry``, the edition's deadline being the sweep's."""
    deadline = edition.deadline_at - edition.opened_at
    jitter = random.random()  # noqa: S311
    decision = retry.decide(answer, attempts=claim.attempts, opened_at=edition.opened_at, deadline=deadline, now=now, jitter=jitter)
    if decision.status is DeliveryStatus.EXPIRED:  # the sweep expires it, with its cursor and with a word about it
        return replace(decision, status=DeliveryStatus.DEFERRED, next_at=edition.deadline_at)
    return decision


def gone(site: Site, tx: Tx, claims: Sequence[Claim]) -> dict[int, RetryDecision]:
    """By delivery, what becomes of those whose person has left, rests, or is never to be written to."""
    left = deliveries.left(tx, [one.subscription_id for one in claims])
    hashes = {one.id: site.links.address_hash(one.address) for one in claims}
    listed = subscribers.suppressed_among(tx, hashes.values())
    found: dict[int, RetryDecision] = {}
    for one in claims:
        status = left.get(one.subscription_id)
        if status is SubscriptionStatus.SNOOZED:
            found[one.id] = RetryDecision(DeliveryStatus.CANCELLED, Blame.NOBODY, snoozing.REASON, count_attempt=False)
        elif status is not None or hashes[one.id] in listed:
            reason = f"the subscription is {status}" if status else "the address is on the suppression list"
            found[one.id] = RetryDecision(DeliveryStatus.SUPPRESSED, Blame.NOBODY, reason, count_attempt=False)
    return found


def write(site: Site, tx: Tx, edition: EditionRecord, outcomes: Sequence[Outcome], now: datetime) -> None:
    """Settle the deliveries, and what that means for their people."""
    deliveries.settle_many(tx, [(one.claim, one.decision, one.answer) for one in outcomes], now)
    for one in outcomes:
        claim, decision = one.claim, one.decision
        if decision.status is DeliveryStatus.CANCELLED:  # somebody who only rests gets its items later
            snoozing.taken_back(tx, claim.id)
        if decision.suppress:
            subscribers.suppress(tx, site.links.address_hash(claim.address), decision.reason, now)
            subscribers.bounce(tx, claim.address, now)
        if decision.status is DeliveryStatus.UNCERTAIN:
            _uncertain(tx, edition, claim, now)


def _uncertain(tx: Tx, edition: EditionRecord, claim: Claim, now: datetime) -> None:
    """The line broke behind the final dot. Sent again once; a second time in doubt waits for a person."""
    if edition.uncertain == "resend" and claim.uncertain_at is None:
        deliveries.resend(tx, claim.id)
        return
    fix = f'See "gazet verify {edition.label}"; "gazet retry {edition.label}" sends them again.'
    what = f"edition {edition.label}: the relay left some deliveries without an answer; they are held as uncertain"
    runs.problem(tx, f"uncertain:{edition.label}", what, fix, now)
