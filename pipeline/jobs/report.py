"""What the store says to a person: status, verify, explain. Reads only."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from pipeline.compose.message import message_id
from pipeline.config import OUTBOX, RelaySettings
from pipeline.deliver import journal
from pipeline.errors import GazetError, UsageError
from pipeline.jobs import operate, trust
from pipeline.jobs.fold_journals import accounts
from pipeline.jobs.lines import count
from pipeline.jobs.published_parts import parts_of
from pipeline.jobs.site import Site
from pipeline.models import OPEN_DELIVERIES, DeliveryStatus, EditionStatus, ItemStatus, Part, SubscriptionStatus
from pipeline.store import (
    Tx,
    deliveries,
    editions,
    feed_items,
    feedback,
    feeds,
    items,
    relays,
    runs,
    signups,
    sources,
    subscribers,
    suppressions,
)
from pipeline.store.deliveries import DeliveryRecord
from pipeline.store.editions import EditionRecord
from pipeline.store.feedback import Noted
from pipeline.store.runs import ProblemRecord, RelayRecord, RunRecord
from pipeline.store.signups import Waiting
from pipeline.store.sources import SourceRecord
from pipeline.store.subscribers import SubscriptionRecord

_LATEST = 5
_ERASED = "(erased)"
_LATE = timedelta(hours=1)
_NONE = Waiting()
_STILL_OPEN = (EditionStatus.SENDING, EditionStatus.PAUSED)
_ENDED_WELL_OR_OPEN = (DeliveryStatus.ACCEPTED, DeliveryStatus.UNCERTAIN, *OPEN_DELIVERIES)


@dataclass(frozen=True, slots=True)
class EditionReport:
    """An edition with its sums. ``maybe_twice`` names those whose mail was on the wire when something broke.

    ``abandoned`` are still on the wire for a process that has ended: the next run decides by ``uncertain`` (resend or hold).
    ``reason`` says why it is paused or was cancelled.
    """

    label: str
    status: str
    due_at: datetime
    audience: int
    sums: dict[DeliveryStatus, int]
    rehearsed: int
    finished: bool
    maybe_twice: tuple[str, ...]
    held: tuple[str, ...]
    abandoned: int = 0
    uncertain: str = "resend"
    reason: str = ""
    faults: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FeedReport:
    """A feed in one line: ``waiting`` people are due at ``next_edition_at``, ``instant`` ones whenever an item comes.

    ``parts``: the feeds of its topics, categories and sources that were published.
    """

    slug: str
    paused: bool
    items: int
    active: int
    next_edition_at: datetime | None
    waiting: int
    instant: int
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True, slots=True)
class Status:
    """What is known of a site: all that ``gazet status`` shows, before it is judged.

    ``relay`` is the one in use, ``real``: mail through it may reach people, ``refusal``: why it writes to no subscriber yet
    (promise 12). ``running``: whether the process of the last round lives, None where nobody can know; ``standing``: whether it
    was one that goes on (not --once). ``open_editions`` have a delivery that is not at its end, ``editions`` are the latest.
    """

    title: str
    paused: bool
    relay: str
    real: bool
    refusal: str
    tested_at: datetime | None
    last_tick: RunRecord | None
    running: bool | None
    standing: bool
    sources: tuple[SourceRecord, ...]
    feeds: tuple[FeedReport, ...]
    not_begun: tuple[str, ...]
    open_editions: tuple[EditionReport, ...]
    editions: tuple[EditionReport, ...]
    relays: tuple[RelayRecord, ...]
    held_items: int
    next_attempt_at: datetime | None
    problems: tuple[ProblemRecord, ...]
    orphans: tuple[str, ...]
    signups: Waiting = _NONE


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a status means at a moment: what needs a person, most important first."""

    now: datetime
    needs: tuple[ProblemRecord, ...]

    @property
    def well(self) -> bool:
        """Nothing needs a person."""
        return not self.needs


def status(site: Site, is_running: Callable[[str], bool | None] = lambda _: None) -> Status:
    """Everything ``gazet status`` shows, of one moment of the store. ``is_running`` judges the names and leases of processes."""
    relay = site.settings.relay[0] if site.settings.relay else None
    refusal = _refusal(site, relay) if relay else ""
    with site.store.read() as tx:
        people, last, ended = subscribers.counts(tx), runs.last(tx, "tick"), runs.last_finished(tx, "tick")
        return Status(
            title=site.settings.site.title,
            paused=feeds.site_paused(tx),
            relay=relay.name if relay else OUTBOX,
            real=relay is not None and not relay.on_loopback,
            refusal=refusal,
            tested_at=relays.proof(tx, relay.name).tested_at if relay else None,
            last_tick=last,
            running=is_running(last.process) if last else None,
            standing=bool(ended and ended.detail.get("standing")),
            sources=tuple(sources.sources(tx)),
            feeds=tuple(_feed(site, tx, slug, people.get(slug, {})) for slug in known_feeds(site, tx)),
            open_editions=tuple(_edition(tx, one, is_running) for one in editions.open_editions(tx, *_STILL_OPEN)),
            editions=tuple(_edition(tx, edition) for edition in editions.latest(tx, _LATEST)),
            relays=tuple(runs.relays(tx)),
            held_items=items.counts(tx).get(ItemStatus.HELD, 0),
            next_attempt_at=deliveries.next_attempt(tx),
            problems=tuple(runs.problems(tx)),
            not_begun=tuple(sorted(site.settings.feeds.keys() - set(known_feeds(site, tx)))),
            orphans=tuple(feeds.orphans(tx, site.settings.feeds)),
            signups=signups.waiting(tx),
        )


def _refusal(site: Site, relay: RelaySettings) -> str:
    try:
        return str(trust.missing(site, relay) or "")
    except GazetError as error:  # such as a password file that cannot be read
        return str(error)


def judge(found: Status, now: datetime) -> Judgement:
    """What needs a person: the problems that jobs have noted, and that nothing runs although somebody waits for mail."""
    late = [feed for feed in found.feeds if feed.next_edition_at and feed.next_edition_at < now - _LATE and not feed.paused]
    if found.running is not False or not late or not found.real or found.paused or found.last_tick is None:
        return Judgement(now, found.problems)
    first = min(late, key=lambda feed: feed.next_edition_at or now)
    what = f"nothing runs, and feed {first.slug} was due at {first.next_edition_at:%Y-%m-%d %H:%M} UTC"
    fix = 'Start "gazet run" again, as a service: "systemctl start gazet".'
    return Judgement(now, (ProblemRecord("run", what, fix, found.last_tick.started_at, None), *found.problems))


def known_feeds(site: Site, tx: Tx) -> list[str]:
    """The feeds of the settings that have run at least once."""
    return [slug for slug in sorted(site.settings.feeds) if feeds.exists(tx, slug)]


def _feed(site: Site, tx: Tx, slug: str, people: dict[SubscriptionStatus, int]) -> FeedReport:
    state = feeds.state(tx, slug)
    active = people.get(SubscriptionStatus.ACTIVE, 0)
    slot = editions.next_due(tx, slug)
    waiting = editions.waiting_for(tx, slug, slot) if slot else 0
    instant = editions.waiting_for(tx, slug, None)
    shown = tuple(parts_of(tx, site, slug))
    return FeedReport(slug, state.paused, feed_items.count_in(tx, slug), active, slot, waiting, instant, shown)


def _edition(tx: Tx, edition: EditionRecord, is_running: Callable[[str], bool | None] = lambda _: None) -> EditionReport:
    sums = deliveries.sums(tx, edition.id)
    doubtful = deliveries.maybe_twice(tx, edition.id)
    return EditionReport(
        label=edition.label,
        status=edition.status,
        due_at=edition.due_at,
        audience=edition.audience,
        sums=sums,
        rehearsed=deliveries.rehearsed(tx, edition.id, OUTBOX),
        finished=not any(sums[status] for status in OPEN_DELIVERIES),
        maybe_twice=tuple(one.address or _ERASED for one in doubtful if one.status is not DeliveryStatus.UNCERTAIN),
        held=tuple(one.address or _ERASED for one in doubtful if one.status is DeliveryStatus.UNCERTAIN),
        abandoned=sum(is_running(lease) is False for lease in deliveries.on_the_wire(tx, edition.id)),
        uncertain=edition.uncertain,
        reason=edition.reason,
    )


def verify(site: Site, label: str | None) -> list[EditionReport]:
    """Check one edition, or all, against promises 1 and 4; ``faults`` are the sentences that should not be."""
    with site.store.read() as tx:
        chosen = [operate.find_edition(tx, label)] if label else editions.latest(tx, 1_000_000)
        return [_verified(tx, edition) for edition in chosen]


def _verified(tx: Tx, edition: EditionRecord) -> EditionReport:
    report = _edition(tx, edition)
    faults = []
    total = sum(report.sums.values())
    if total != edition.audience:
        faults.append(f"audience is {edition.audience}, but its deliveries add up to {total}")
    if unanswered := deliveries.accepted_without_relay(tx, edition.id):
        faults.append(f"{count(unanswered, 'delivery')} accepted, but no relay is named")
    if strays := deliveries.of_other_variants(tx, edition.id):
        faults.append(f"{count(strays, 'delivery')} with a variant of another edition")
    if behind := deliveries.behind_cursor(tx, edition.id, _ENDED_WELL_OR_OPEN):
        faults.append(f"{count(behind, 'subscription')} would get again what this edition sent")
    if twice := deliveries.overlapping(tx, edition.id, _ENDED_WELL_OR_OPEN):
        faults.append(f"{count(twice, 'subscription')} got the same items in another edition too")
    return replace(report, faults=tuple(faults))


@dataclass(frozen=True, slots=True)
class Explanation:
    """Everything known of one address: its subscriptions, and for each what was sent and why (or why not).

    ``reason`` and ``since``: why and from when on it is suppressed.
    """

    address: str
    suppressed: bool
    subscriptions: tuple[SubscriptionRecord, ...]
    deliveries: tuple[DeliveryRecord, ...]
    message_ids: tuple[str, ...]
    remarks: tuple[str, ...]
    reason: str = ""
    since: datetime | None = None
    feedback: tuple[Noted, ...] = ()


def explain(site: Site, address: str, label: str | None) -> Explanation:
    """Why this address got what it got. Raises UsageError when the address or the edition is unknown."""
    with site.store.read() as tx:
        edition = operate.find_edition(tx, label) if label else None
        found = tuple(subscribers.records(tx, address=address))
        suppressed = suppressions.find(tx, site.links.address_hash(address))
        if not found and suppressed is None:
            raise UsageError(f"{address} has no subscription here.", fix='"gazet subscribers list" shows who has.')
        sent = deliveries.of_subscriptions(tx, [one.id for one in found], edition.id if edition else None)
        zone = ZoneInfo(site.settings.site.timezone)
        remarks = tuple(_why(one, edition, sent, zone) for one in found if edition is None or one.feed == edition.feed)
        remarks += tuple(_in_hand(site, sent))
        identities = _message_ids(tx, sent)
        came_back = tuple(feedback.about(tx, [one.id for one in found]))
    why, since = (suppressed.reason, suppressed.created_at) if suppressed else ("", None)
    return Explanation(address, suppressed is not None, found, tuple(sent), identities, remarks, why, since, came_back)


def _in_hand(site: Site, sent: Sequence[DeliveryRecord]) -> Iterator[str]:
    """What the journals know of deliveries of which the database only knows that they were claimed."""
    claimed = [one for one in sent if one.status is DeliveryStatus.SENDING]
    known = list(accounts(site.settings.path(journal.FOLDER))) if claimed else []
    for one in claimed:
        account = next((each for each in known if one.id in each.claimed), None)
        if account is None:
            continue
        answer = account.outcomes.get(one.id)
        begun = "its content was sent or about to be; no answer is noted" if one.id in account.intended else "not begun"
        yield f"{one.edition}: claimed; the journal says: {f'answered {answer.code or answer.text}' if answer else begun}"


def _message_ids(tx: Tx, sent: list[DeliveryRecord]) -> tuple[str, ...]:
    """The Message-ID of each delivery, with which a relay's log can be searched."""
    known = {label: operate.find_edition(tx, label) for label in {one.edition for one in sent}}
    return tuple(message_id(known[one.edition].id, one.subscription_id, known[one.edition].message_id_domain) for one in sent)


def _why(subscription: SubscriptionRecord, edition: EditionRecord | None, sent: list[DeliveryRecord], zone: ZoneInfo) -> str:
    if subscription.status is SubscriptionStatus.SNOOZED and subscription.snoozed_until is not None:
        until = f"{subscription.snoozed_until.astimezone(zone):%a %Y-%m-%d %H:%M}"
        return f"{subscription.feed}: nothing is sent until {until}: the subscription is snoozed; what comes is kept for then"
    if subscription.status is not SubscriptionStatus.ACTIVE:
        return f"{subscription.feed}: nothing is sent, the subscription is {subscription.status}"
    settled = f"all up to number {subscription.settled_seq} is decided"
    if edition is not None and not any(one.subscription_id == subscription.id for one in sent):
        return f"{edition.label}: no delivery: not due at that moment, or too few items matched; {settled}"
    if subscription.next_due_at is None:
        return f"{subscription.feed}: due as soon as an item matches; {settled}"
    return f"{subscription.feed}: next due {subscription.next_due_at.astimezone(zone):%a %Y-%m-%d %H:%M}; {settled}"
