"""Sweep: what a dead process left on the wire, and what is past its deadline or cancelled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from pipeline.config import OUTBOX
from pipeline.jobs.fold_journals import fold_journals
from pipeline.jobs.media import prune_media
from pipeline.jobs.site import Site
from pipeline.models import DeliveryStatus, EditionStatus
from pipeline.store import Tx, deliveries, editions, merges, record, runs, signups, snoozing
from pipeline.store.editions import EditionRecord

_KEEP_RUNS = timedelta(days=7)
_KEEP_SAYING = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Recovered:
    """Deliveries of one edition that a dead process left on the wire, and whether they are sent again or held."""

    edition: str
    count: int
    resent: bool

    def __str__(self) -> str:
        people = "1 delivery was" if self.count == 1 else f"{self.count} deliveries were"
        done = "sent again with the same Message-ID" if self.resent else "held until you decide"
        return f"edition {self.edition}: {people} on the wire when a process ended; {done}"


@dataclass(frozen=True, slots=True)
class Swept:
    """What was found: deliveries left on the wire, and how many expired or belonged to a cancelled edition."""

    recovered: tuple[Recovered, ...]
    expired: int
    cancelled: int


def sweep(site: Site, is_dead: Callable[[str], bool | None], now: datetime) -> Swept:
    """Put in order what an earlier process could not finish. ``is_dead`` judges the lease tokens of other processes."""
    fold_journals(site, is_dead, now)
    with site.store.write() as tx:
        recovered = recover(tx, is_dead, now)
        cancelled = sum(
            deliveries.end_open(tx, edition.id, DeliveryStatus.CANCELLED, "the edition was cancelled", now)
            for edition in editions.open_editions(tx, EditionStatus.CANCELLED)
        )
        expired = 0
        for edition in editions.open_editions(tx, EditionStatus.SENDING, EditionStatus.PAUSED):
            if edition.deadline_at <= now:
                expired += _expire(tx, edition, now)
            else:
                deliveries.call_back(tx, edition.id, now)
        snoozing.wake(tx, now)  # before any edition is opened
        _forget(tx, now - _KEEP_SAYING, mailing=bool(site.settings.alerts.mail))
        _forget_what_left_the_settings(site, tx)
        runs.prune(tx, now - _KEEP_RUNS)
        signups.forget(tx, now)
        merges.forget_bands(tx, now - merges.WITHIN - timedelta(days=1))
    prune_media(site, now)
    record.prune(site.settings.path(record.FOLDER))
    return Swept(recovered, expired, cancelled)


def recover(tx: Tx, is_dead: Callable[[str], bool | None], now: datetime) -> tuple[Recovered, ...]:
    """Deliveries left on the wire by holders that are dead are sent again or held, as their edition says.

    Held ones wait for a person, so they are a problem. Those that are sent again are not: the edition names them.
    """
    lost = deliveries.recover(tx, is_dead, now)
    by_edition = Counter((delivery.edition, delivery.status is DeliveryStatus.QUEUED) for delivery in lost)
    found = tuple(Recovered(label, count, resent) for (label, resent), count in by_edition.items())
    for one in found:
        if not one.resent:
            fix = f'"gazet verify {one.edition}" names them, "gazet retry {one.edition}" sends them again.'
            runs.problem(tx, f"uncertain:{one.edition}", str(one), fix, now)
    return found


def _forget(tx: Tx, before: datetime, *, mailing: bool) -> None:
    """What expired, failed, or was held and is sent by now, is history after a day; what is held waits as long as it takes.

    Where alerts are mailed, nothing is forgotten before a mail told of it: it may have had to wait for its day.
    """
    for problem in runs.problems(tx):
        kind, _, label = problem.key.partition(":")
        told = problem.since < before and not (mailing and problem.mailed_at is None)
        if kind not in ("uncertain", "expired", "failed", "notice", "erased") or not told:
            continue
        edition = editions.by_label(tx, label)
        if edition is None or not deliveries.sums(tx, edition.id)[DeliveryStatus.UNCERTAIN]:
            runs.forget(tx, problem.key)


def _forget_what_left_the_settings(site: Site, tx: Tx) -> None:
    """A source, feed or relay that is gone needs nobody any more."""
    settings = site.settings
    relays = [relay.name for relay in settings.relay] or [OUTBOX]
    named = {kind: list(settings.feeds) for kind in ("publish", "compose", "intro")}
    named["relay"] = [*relays, *(f"{relay.name}:trust" for relay in settings.relay if not relay.on_loopback)]
    named["site.url"] = [settings.site.url] if any(not relay.on_loopback for relay in settings.relay[:1]) else []
    named["source"] = named["flood"] = [source.url for feed in settings.feeds.values() for source in feed.source]
    for kind, names in named.items():
        runs.forget_under(tx, f"{kind}:", {f"{kind}:{name}" for name in names})
    if not settings.feedback.wanted:
        runs.forget_under(tx, "feedback", set())


def _expire(tx: Tx, edition: EditionRecord, now: datetime) -> int:
    count = deliveries.end_open(tx, edition.id, DeliveryStatus.EXPIRED, "not sent before the deadline", now)
    if count:
        people = "1 delivery was" if count == 1 else f"{count} deliveries were"
        what = f"edition {edition.label}: {people} not sent before the deadline"
        fix = f'The items come in the next digest, unless that was opened before; "gazet retry {edition.label}" sends them now.'
        runs.problem(tx, f"expired:{edition.label}", what, fix, now)
    return count
