"""Sweep: what a dead process left on the wire, and what is past its deadline or cancelled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from pipeline.config import OUTBOX
from pipeline.jobs.site import Site
from pipeline.models import DeliveryStatus, EditionStatus
from pipeline.store import Tx, deliveries, editions, runs
from pipeline.store.editions import EditionRecord

_KEEP_RUNS = timedelta(days=7)
_KEEP_SAYING = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Swept:
    """What was found: deliveries left on the wire (by edition), and how many expired."""

    uncertain: dict[str, int]
    expired: int
    cancelled: int


def sweep(site: Site, is_dead: Callable[[str], bool], now: datetime) -> Swept:
    """Put in order what an earlier process could not finish. ``is_dead`` judges the lease tokens of other processes."""
    with site.store.write() as tx:
        by_edition = recover(tx, is_dead, now)
        cancelled = sum(
            deliveries.end_open(tx, edition.id, DeliveryStatus.CANCELLED, "the edition was cancelled", now)
            for edition in editions.open_editions(tx, EditionStatus.CANCELLED)
        )
        expired = 0
        for edition in editions.open_editions(tx, EditionStatus.SENDING, EditionStatus.PAUSED):
            if edition.deadline_at <= now:
                expired += _expire(tx, edition, now)
        _forget(tx, now - _KEEP_SAYING)
        _forget_what_left_the_settings(site, tx)
        runs.prune(tx, now - _KEEP_RUNS)
    return Swept(by_edition, expired, cancelled)


def recover(tx: Tx, is_dead: Callable[[str], bool], now: datetime) -> dict[str, int]:
    """Deliveries left on the wire by holders that are dead are sent again or held, and reported; their number by edition."""
    by_edition = Counter(delivery.edition for delivery in deliveries.recover(tx, is_dead, now))
    for label, count in by_edition.items():
        _report(tx, label, count, now)
    return dict(by_edition)


def _report(tx: Tx, label: str, count: int, now: datetime) -> None:
    edition = editions.by_label(tx, label)
    assert edition is not None
    done = "sent again with the same Message-ID" if edition.uncertain == "resend" else "held until you decide"
    fix = f'They are named by "gazet verify {label}".'
    if edition.uncertain == "hold":
        fix += f' "gazet retry {label}" sends them again.'
    people = "1 delivery was" if count == 1 else f"{count} deliveries were"
    what = f"edition {label}: {people} on the wire when a process ended; {done}"
    runs.problem(tx, f"uncertain:{label}", what, fix, now)


def _forget(tx: Tx, before: datetime) -> None:
    """What was sent again or expired is history after a while; what is held waits for a person as long as it takes."""
    for problem in runs.problems(tx):
        kind, _, label = problem.key.partition(":")
        if kind not in ("uncertain", "expired") or problem.since >= before:
            continue
        edition = editions.by_label(tx, label)
        if edition is None or not deliveries.sums(tx, edition.id)[DeliveryStatus.UNCERTAIN]:
            runs.mended(tx, problem.key)


def _forget_what_left_the_settings(site: Site, tx: Tx) -> None:
    """A source, feed or relay that is gone needs nobody any more."""
    settings = site.settings
    relays = [relay.name for relay in settings.relay] or [OUTBOX]
    named = {"relay": relays, "publish": list(settings.feeds), "compose": list(settings.feeds)}
    named["source"] = [source.url for feed in settings.feeds.values() for source in feed.source]
    for kind, names in named.items():
        runs.mended_under(tx, f"{kind}:", {f"{kind}:{name}" for name in names})


def _expire(tx: Tx, edition: EditionRecord, now: datetime) -> int:
    count = deliveries.end_open(tx, edition.id, DeliveryStatus.EXPIRED, "not sent before the deadline", now)
    if count:
        people = "1 delivery was" if count == 1 else f"{count} deliveries were"
        what = f"edition {edition.label}: {people} not sent before the deadline"
        fix = f'The items come in the next digest, unless that was opened before; "gazet retry {edition.label}" sends them now.'
        runs.problem(tx, f"expired:{edition.label}", what, fix, now)
    return count
