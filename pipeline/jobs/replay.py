"""An older database learns what the record knows, before anything runs on it (promise 11).

record lines ─fold─▶ History ─decide─▶ ReplayPlan ─▶ one transaction; where the record ends too early, what may have been
sent since is held and named instead.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from pipeline.deliver import journal
from pipeline.jobs import slots
from pipeline.jobs.fold_journals import facts
from pipeline.jobs.history import Change, History, RemadeEdition, ReplayPlan, decide, fold, supplement
from pipeline.jobs.lines import count
from pipeline.jobs.open_edition import open_edition
from pipeline.jobs.site import Site
from pipeline.jobs.take_settings import name_feeds
from pipeline.models import SubscriptionStatus
from pipeline.store import Tx, editions, feeds, personal, record, runs, signups
from pipeline.store import replay as rows
from pipeline.store.record import Began, EditionOpened
from pipeline.store.replay import Outcome

RUN = "restore"


@dataclass(frozen=True, slots=True)
class Held:
    """An edition some of whose deliveries wait for a person; ``bytes_gone``: it can never be sent itself."""

    edition: str
    deliveries: int
    bytes_gone: bool


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a restored store was told. ``reaches``: the record holds everything up to its end, ``until``.

    ``since``: of what time the store was. ``strangers``: deliveries to people that the store does not know.
    """

    identity: str
    since: datetime | None
    reaches: bool
    until: datetime | None
    zone: str
    editions: tuple[str, ...]
    changed: int
    numbers: int
    left: int
    began: int
    suppressed: int
    strangers: int
    unreadable: int
    notices: int
    opened: tuple[str, ...]
    sources: int
    held: tuple[Held, ...]


@dataclass(frozen=True, slots=True)
class Traces:
    """Where the record of a store is: this site's own folder first, then what came with a backup.

    ``anchor`` is a text that stands in the record where the store was copied or later than that.
    """

    folders: tuple[Path, ...]
    anchor: bytes

    def reaches(self) -> bool:
        """Whether this site's own record goes on from the copy; what came with a backup ends there."""
        own = self.folders[0]
        return any(record.holds(own, day, self.anchor) for day in record.days(own))

    def read(self) -> History:
        """From the day before the anchor's on: a transaction may be on record a moment before it is in the database."""
        told = fold(line for day in self._days() for line in record.parse(self._lines(day)))
        # What a process that died had heard, or had not begun, is known to its journal alone.
        supplement(told, facts(self.folders[0].parent / Path(journal.FOLDER).name))
        return told

    def until(self) -> datetime | None:
        """When the last line was written."""
        moments = (record.moment_of(day, line) for day in reversed(self._all_days()) for line in reversed(self._lines(day)))
        return next((moment for moment in moments if moment is not None), None)

    def _all_days(self) -> list[str]:
        return sorted({day for folder in self.folders for day in record.days(folder)})

    def _days(self) -> list[str]:
        found = self._all_days()
        for index in reversed(range(len(found))):
            if self.anchor and any(record.holds(folder, found[index], self.anchor) for folder in self.folders):
                return found[max(0, index - 1) :]
        return found

    def _lines(self, day: str) -> list[bytes]:
        """Of two files of one day the longer one, where it begins with the other; else both, no line twice."""
        return list(dict.fromkeys(line for folder in self.folders for line in record.raw_lines(folder, day)))


def backup_anchor(identity: str) -> bytes:
    """How the mark of a backup stands in the record."""
    return record.needle(record.Mark(record.BACKUP, identity))


def edition_anchor(site: Site) -> bytes:
    """The newest edition of a store of which no mark is known; empty when it has none: then the whole record counts."""
    with site.store.read() as tx:
        newest = rows.newest_edition(tx)
    return record.begin_of_edition(newest) if newest is not None else b""


def replay(site: Site, traces: Traces, now: datetime, *, process: str, since: datetime | None, doubt: bool) -> Replayed:
    """Bring the store up to what the record says, paused. ``doubt``: the record may be as old as the store, so hold all.

    Can be repeated. Raises StoreError or ConfigError.
    """
    told = traces.read()
    reaches = traces.reaches() and not doubt
    identity = uuid.uuid4().hex
    with site.store.write() as tx:
        since = since or rows.newest_moment(tx)
        name_feeds(tx, site)
        feeds.set_site_paused(tx, True)
        done = _write(tx, site, told, now)
        changed = rows.hold_sending(tx, now) if reaches else rows.hold_open(tx, now)
        found = replace(done, identity=identity, since=since, reaches=reaches, until=traces.until(), changed=done.changed + changed)
        signups.silence_asked(tx)
        found = replace(found, notices=rows.drop_notices(tx, now), sources=0 if reaches else rows.hold_sources(tx))
        runs.finish(tx, runs.start(tx, RUN, process, now), now, {"id": identity})
        record.mark(tx, record.RESTORE, identity)
    opened = () if reaches else _open_held(site, now)
    with site.store.write() as tx:
        found = replace(found, opened=opened, held=tuple(Held(*one) for one in rows.uncertain(tx)))
        _say_what_is_held(tx, found, now)
    return found


def _write(tx: Tx, site: Site, told: History, now: datetime) -> Replayed:
    slugs = {alias: slug for slug, feed in site.settings.feeds.items() for alias in feed.aliases}
    known = rows.known_editions(tx, {*told.editions, *told.words, *told.cancelled})
    plan = decide(told, known, rows.known_subscriptions(tx), slugs)
    changed = _change(tx, plan.changes, now)
    for edition_id in plan.cancelled:
        rows.cancel(tx, edition_id)
    labels = tuple(_remake(tx, site, one, now) for one in plan.editions)
    numbers = _keep_numbers(tx, plan)
    left, began = _end_and_begin(tx, plan, now)
    # Somebody unknown who left one feed still wants the others that this store knows.
    here = {site.links.address_hash(address) for address in rows.active_addresses(tx)} - told.suppressions.keys()
    rows.suppress(tx, [one for one in plan.suppressions if one.address_hash not in here], now)
    rows.lift(tx, told.lifted)
    _move_schedules(tx, plan.served)
    if told.erased:  # a copy from before brought them back
        personal.scrub_hashed(tx, lambda address: site.links.address_hash(address) in told.erased)
    return Replayed(
        "",
        None,
        False,
        None,
        site.settings.site.timezone,
        labels,
        changed,
        numbers,
        left,
        began,
        len(plan.suppressions),
        plan.strangers,
        told.unreadable,
        0,
        (),
        0,
        (),
    )


def _change(tx: Tx, changes: Sequence[Change], now: datetime) -> int:
    by_edition: dict[int, list[Outcome]] = {}
    for one in changes:
        by_edition.setdefault(one.edition, []).append(Outcome(one.subscription, one.status, one.relay))
    return sum(rows.change(tx, edition, outcomes, now) for edition, outcomes in by_edition.items())


def _remake(tx: Tx, site: Site, one: RemadeEdition, now: datetime) -> str:
    opened = one.opened
    language = site.settings.feeds[opened.feed].language if opened.feed in site.settings.feeds else site.settings.site.language
    row = rows.RemadeRow(
        id=opened.edition,
        feed=opened.feed,
        due_at=datetime.fromisoformat(opened.due_at),
        opened_at=datetime.fromisoformat(opened.opened_at),
        label=opened.label,
        cancelled=one.cancelled,
        message_id_domain=opened.domain,
        language=language,
    )
    outcomes = [Outcome(each.subscription, each.status, each.relay, each.from_seq, each.to_seq) for each in one.deliveries]
    return rows.add_edition(tx, row, outcomes, now)


def _keep_numbers(tx: Tx, plan: ReplayPlan) -> int:
    by_feed: dict[str, dict[int, tuple[str, str]]] = {}
    for one in plan.numbers:
        by_feed.setdefault(one.feed, {})[one.seq] = (one.identity, one.url)
    return sum(rows.add_numbers(tx, feed, numbers) for feed, numbers in by_feed.items())


def _end_and_begin(tx: Tx, plan: ReplayPlan, now: datetime) -> tuple[int, int]:
    left = began = 0
    for one in plan.people:
        if isinstance(one, Began):
            began += rows.begin_subscription(tx, one.subscription, one.settled_seq, now)
        else:
            left += rows.end_subscription(tx, one.subscription, SubscriptionStatus(one.status), now)
    return left, began


def _move_schedules(tx: Tx, served: Sequence[EditionOpened]) -> None:
    """Every schedule of the feed that was due then had its turn in that edition."""
    for one in served:
        opened_at = datetime.fromisoformat(one.opened_at)
        for schedule in editions.due_schedules(tx, one.feed, opened_at):
            editions.move_schedule(tx, schedule.id, slots.next_slot(schedule.rhythm, opened_at))


def _open_held(site: Site, now: datetime) -> tuple[str, ...]:
    """What was due since the copy may have been sent, so it is opened now and held: a person knows more than we do."""
    opened = [open_edition(site, slug, now, held=True) for slug in sorted(site.settings.feeds)]
    return tuple(one.label for one in opened if one.label)


def _say_what_is_held(tx: Tx, found: Replayed, now: datetime) -> None:
    for one in found.held:
        what = f"edition {one.edition}: {count(one.deliveries, 'delivery')} held: nobody can know whether they were sent"
        runs.problem(tx, f"uncertain:{one.edition}", what, fix_of(one), now)
    if not found.reaches:
        since = f"{found.since.astimezone(ZoneInfo(found.zone)):%Y-%m-%d %H:%M}" if found.since else "its copy was made"
        what = f"the store was restored without a record of what was sent after {since}"
        what += f": {count(len(found.held), 'edition')} held, and what {count(found.sources, 'source')} will bring new"
        fix = 'Decide on each ("gazet status" names them), "gazet items list" shows what is held; then "gazet resume".'
        runs.problem(tx, RUN, what, fix, now)


def fix_of(one: Held) -> str:
    """What a person can do with an edition that is held."""
    names = f'"gazet verify {one.edition}" names them'
    again = "puts their items into the next digest, for the mails are gone" if one.bytes_gone else "sends them"
    return f'{names}; "gazet retry {one.edition}" {again}; "gazet cancel {one.edition}" drops them.'
