"""Subscribers by hand: add, import, export, unsubscribe. An import never revives someone who left (DESIGN §7)."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TextIO

from pipeline.config import WEEKDAYS, FeedSettings, clock_time, language_tag, time_zone, valid_address
from pipeline.errors import StoreError, UsageError
from pipeline.jobs import crowd, slots
from pipeline.jobs.site import Site
from pipeline.jobs.take_settings import name_feeds
from pipeline.models import Cadence, Choice, Rhythm, SubscriptionStatus
from pipeline.shown import one_line
from pipeline.store import Tx, feed_items, snoozing, subscribers
from pipeline.store.crowd import NewSubscription
from pipeline.store.subscribers import OPTED_OUT, SubscriptionRecord

COLUMNS = (
    "email",
    "feed",
    "name",
    "status",
    "cadence",
    "weekday",
    "day",
    "time",
    "timezone",
    "language",
    "topics",
    "consent",
    "snoozed_until",
)
_BATCH = 1000
_TRIES = 5
_DAY = re.compile(r"0?[1-9]|[12][0-9]|3[01]")
_LONGEST_NAME = 200
_LONGEST_CONSENT = 2000
_SHOWN = 80
_YEARS = (1971, 2199)
_ACCEPTED = (SubscriptionStatus.ACTIVE, SubscriptionStatus.PENDING, SubscriptionStatus.SNOOZED, *OPTED_OUT)


@dataclass(frozen=True, slots=True)
class WantedSubscription:
    """One valid line of a CSV, or one ``subscribers add``."""

    address: str
    name: str
    feed: str
    status: SubscriptionStatus
    rhythm: Rhythm
    choice: Choice
    consent: str
    snoozed_until: datetime | None = None


@dataclass(slots=True)
class Imported:
    """What an import did, counted; ``refused`` are (line number, reason)."""

    counts: Counter[str] = field(default_factory=Counter)
    refused: list[tuple[int, str]] = field(default_factory=list)


def read_csv(site: Site, file: TextIO) -> Iterator[tuple[int, WantedSubscription | str]]:
    """The lines of a CSV with a header: (number of the line where it begins, subscription or the reason why it is not one).

    ``file`` may hold lone surrogates for bytes that are not UTF-8 (``errors="surrogateescape"``): such lines are refused.
    Raises UsageError when the header is not one Gazet knows.
    """
    reader = csv.reader(file, strict=True)
    header = _header(reader)
    while True:
        number = reader.line_num + 1
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield number, f"cannot be read: {error}"
            continue
        if any(field.strip() for field in row):
            yield number, _line(site, header, row)


def _header(reader: Iterator[list[str]]) -> list[str]:
    must = f"The first line must be a header of these: {', '.join(COLUMNS)}."
    try:
        header = [name.strip().lower() for name in next(reader)]
    except StopIteration:
        raise UsageError("the file is empty.", fix=must) from None
    except csv.Error as error:
        raise UsageError(f"line 1: {error}.", fix=must) from None
    if not _is_utf8(header):
        raise UsageError("line 1: is not UTF-8 text.", fix='Save the file as "CSV UTF-8".')
    if len(header) == 1 and (found := next((sign for sign in ";\t|" if sign in header[0]), "")):
        raise UsageError(f"line 1: the columns are separated by {found!r}.", fix="Save the file with commas between them.")
    unknown = [f'unknown column "{name}"' for name in dict.fromkeys(header) if name not in COLUMNS]
    missing = [f'no column "{name}"' for name in ("email", "feed") if name not in header]
    twice = [f'column "{name}" twice' for name in COLUMNS if header.count(name) > 1]
    if said := ", ".join([*unknown, *missing, *twice]):
        raise UsageError(f"line 1: {said}.", fix=must)
    return header


def _is_utf8(row: list[str]) -> bool:
    try:
        "".join(row).encode()
    except UnicodeEncodeError:
        return False
    return True


def _line(site: Site, header: list[str], row: list[str]) -> WantedSubscription | str:
    if len(row) > len(header):
        return f"has {len(row)} fields, the header names {len(header)} (a field with a comma in it needs double quotes)"
    if not _is_utf8(row):
        return 'is not UTF-8 text (save the file as "CSV UTF-8")'
    try:
        return wanted(site, dict.fromkeys(COLUMNS, "") | dict(zip(header, row, strict=False)))
    except ValueError as error:
        return str(error)


def wanted(site: Site, values: Mapping[str, str]) -> WantedSubscription:
    """A checked subscription from texts by column name; ValueError says what is wrong with them."""
    values = {name: one_line(value) if value else "" for name, value in values.items()}
    feed = site.settings.feeds.get(site.settings.current_slug(values["feed"]))
    if feed is None:
        known = ", ".join(sorted(site.settings.feeds)) or "none yet"
        raise ValueError(f'feed: there is no "{_short(values["feed"])}" (feeds here: {known})')
    status = SubscriptionStatus(_word(values["status"] or "active", _ACCEPTED, "status"))
    return WantedSubscription(
        address=_address(values["email"]),
        name=values["name"][:_LONGEST_NAME].strip(),
        feed=feed.slug,
        status=status,
        rhythm=_rhythm(site, feed, values),
        choice=_choice(values),
        consent=values["consent"][:_LONGEST_CONSENT].strip(),
        snoozed_until=_snoozed_until(values["snoozed_until"]) if status is SubscriptionStatus.SNOOZED else None,
    )


def _snoozed_until(value: str) -> datetime:
    try:
        until = datetime.fromisoformat(value)
        if until.tzinfo is not None and _YEARS[0] <= until.year <= _YEARS[1]:
            return until.astimezone(UTC)
    except ValueError:
        pass
    raise ValueError(f'snoozed_until: "{_short(value)}" is not a moment such as 2026-12-01T00:00+01:00')


def _address(value: str) -> str:
    try:
        return valid_address(value)
    except ValueError:
        if len(value) > _SHOWN:
            raise ValueError(f'email: "{_short(value)}" is not a mail address') from None
        raise


def _short(value: str) -> str:
    return value if len(value) <= _SHOWN else value[:_SHOWN] + "…"


def _word(value: str, allowed: Iterable[str], column: str) -> str:
    if value.lower() not in allowed:
        raise ValueError(f'{column}: "{_short(value)}" is not one of {", ".join(allowed)}')
    return value.lower()


def _rhythm(site: Site, feed: FeedSettings, values: Mapping[str, str]) -> Rhythm:
    cadence = Cadence(_word(values["cadence"], tuple(Cadence), "cadence")) if values["cadence"] else None
    weekday = WEEKDAYS.index(_word(values["weekday"], WEEKDAYS, "weekday")) if values["weekday"] else None
    if values["day"] and not _DAY.fullmatch(values["day"]):
        raise ValueError(f'day: "{_short(values["day"])}" is not a day of the month, 1 to 31')
    return feed.digest.rhythm(
        time_zone(values["timezone"]) if values["timezone"] else site.settings.site.timezone,
        cadence=cadence,
        weekday=weekday,
        day=int(values["day"]) if values["day"] else None,
        time=clock_time(values["time"]) if values["time"] else None,
    )


def _choice(values: Mapping[str, str]) -> Choice:
    topics = tuple(sorted({topic.strip().casefold() for topic in values["topics"].split(";")} - {""}))
    return Choice(topics=topics, language=language_tag(values["language"]) if values["language"] else "")


def import_subscribers(
    site: Site,
    lines: Iterable[tuple[int, WantedSubscription | str]],
    now: datetime,
    progress: Callable[[int], None] = lambda done: None,  # noqa: ARG005
) -> Imported:
    """Store the valid lines, 1,000 a transaction, and count what became of each; the others are listed with their reason."""
    result = Imported()
    batch: list[WantedSubscription] = []
    with site.store.write() as tx:
        name_feeds(tx, site)
    for number, line in lines:
        if isinstance(line, str):
            result.refused.append((number, line))
        else:
            batch.append(line)
        if len(batch) == _BATCH:
            _store(site, batch, result, now)
            batch.clear()
            progress(sum(result.counts.values()))
    _store(site, batch, result, now)
    return result


def _store(site: Site, batch: list[WantedSubscription], result: Imported, now: datetime) -> None:
    """All of them or, where somebody else was in the way again and again, none. Raises StoreError."""
    for tries in range(_TRIES):
        try:
            with site.store.write() as tx:
                counted = crowd.join_all(tx, _Desk(site, tx, now), site.links.address_hash, batch, now)
            break
        except StoreError as error:
            if not error.retryable or tries == _TRIES - 1:
                raise
    result.counts += counted


def join(site: Site, tx: Tx, wish: WantedSubscription, now: datetime) -> str:
    """Add or change one subscription; returns what was done: added, changed, unchanged, opted out, left before."""
    return _Desk(site, tx, now).join(wish)


def come(site: Site, tx: Tx, wishes: Sequence[WantedSubscription], now: datetime) -> list[tuple[int, bool]]:
    """Subscribe one person who asked for it: of each wish the subscription, and whether it began now."""
    desk = _Desk(site, tx, now)
    return [desk.come(wish) for wish in wishes]


class _Desk:
    """Where people join in one transaction: what many of them share is looked up once."""

    def __init__(self, site: Site, tx: Tx, now: datetime) -> None:
        self.site = site
        self.tx = tx
        self.now = now
        self._schedules: dict[tuple[str, Rhythm], int] = {}
        self._choices: dict[Choice, int] = {}
        self._cursors: dict[str, int] = {}

    def join(self, wish: WantedSubscription) -> str:
        opt_out = wish.status in OPTED_OUT
        if not opt_out and subscribers.suppressed(self.tx, self.site.links.address_hash(wish.address)):
            return "left before"
        person = subscribers.subscriber(self.tx, wish.address, wish.name, self.now)
        existing = subscribers.subscription_of(self.tx, person, wish.feed)
        if existing is None:
            self._subscribe(person, wish)
            return "opted out" if opt_out else "added"
        identity, status = existing
        if status in OPTED_OUT:
            return "opted out" if opt_out else "left before"
        if opt_out:
            subscribers.leave(self.tx, identity, wish.status, self.now)
            self._consent(identity, "left", " ".join(filter(None, [f"imported as {wish.status}", wish.consent])))
            return "opted out"
        changed = self._rearrange(identity, wish)
        if status is SubscriptionStatus.PENDING and wish.status is SubscriptionStatus.ACTIVE:
            subscribers.activate(self.tx, identity, self._cursor(wish.feed), self.now)
            self._consent(identity, "joined", wish.consent or "imported as active")
            changed = True
        return "changed" if changed else "unchanged"

    def come(self, wish: WantedSubscription) -> tuple[int, bool]:
        """Subscribe by the person's own will, who may have left before: the subscription, and whether it began now.

        Whoever is back does not get again what they had. Not for those who bounced or complained, whose will is not known.
        """
        person = subscribers.subscriber(self.tx, wish.address, wish.name, self.now)
        existing = subscribers.subscription_of(self.tx, person, wish.feed)
        if existing is None:
            return self._subscribe(person, wish), True
        identity, status = existing
        if status not in (SubscriptionStatus.PENDING, SubscriptionStatus.UNSUBSCRIBED):
            return identity, False
        had = subscribers.settled(self.tx, identity) if status is SubscriptionStatus.UNSUBSCRIBED else 0
        self._rearrange(identity, wish)
        subscribers.activate(self.tx, identity, max(had, self._cursor(wish.feed)), self.now)
        self._consent(identity, "joined", wish.consent)
        return identity, True

    def _subscribe(self, person: int, wish: WantedSubscription) -> int:
        identity = subscribers.subscribe(
            self.tx,
            subscriber_id=person,
            feed=wish.feed,
            schedule_id=self._schedule(wish),
            choice_id=self._choice(wish.choice),
            status=wish.status,
            settled_seq=self._cursor(wish.feed),
            now=self.now,
        )
        if wish.snoozed_until is not None:
            snoozing.snooze(self.tx, identity, wish.feed, wish.snoozed_until, self.now)
        for action, evidence in _evidence(wish):
            self._consent(identity, action, evidence)
        return identity

    def begin(self, person: int, wish: WantedSubscription) -> NewSubscription:
        """What ``_subscribe`` would write."""
        arrangement = self.arrangement(wish)
        return NewSubscription(
            person, wish.address, wish.feed, *arrangement, wish.status, self._cursor(wish.feed), tuple(_evidence(wish))
        )

    def arrangement(self, wish: WantedSubscription) -> tuple[int, int]:
        """The schedule and the choice of this wish, made when new."""
        return self._schedule(wish), self._choice(wish.choice)

    def _rearrange(self, identity: int, wish: WantedSubscription) -> bool:
        schedule, choice = self.arrangement(wish)
        return subscribers.rearrange(self.tx, identity, schedule_id=schedule, choice_id=choice, now=self.now)

    def _consent(self, identity: int, action: str, evidence: str) -> None:
        subscribers.add_consent(self.tx, identity, action, evidence, self.now)

    def _schedule(self, wish: WantedSubscription) -> int:
        key = (wish.feed, wish.rhythm)
        if key not in self._schedules:
            instant = wish.rhythm.cadence is Cadence.INSTANT
            due = None if instant else slots.next_slot(wish.rhythm, self.now)
            self._schedules[key] = subscribers.schedule(self.tx, wish.feed, wish.rhythm, due)
        return self._schedules[key]

    def _choice(self, choice: Choice) -> int:
        if choice not in self._choices:
            self._choices[choice] = subscribers.choice(self.tx, choice)
        return self._choices[choice]

    def _cursor(self, slug: str) -> int:
        """Just before the feed's latest ``first_items`` mailable items (promise 4)."""
        if slug not in self._cursors:
            count = self.site.feed(slug).digest.first_items
            self._cursors[slug] = feed_items.seq_before_newest_mailed(self.tx, slug, count)
        return self._cursors[slug]


def _evidence(wish: WantedSubscription) -> Iterator[tuple[str, str]]:
    """(action, evidence) of a subscription that begins; an exported opt-out brings along how the person had once agreed."""
    opt_out = wish.status in OPTED_OUT
    if wish.consent or not opt_out:
        yield "joined", wish.consent or f"imported as {wish.status}"
    if opt_out:
        yield "left", f"imported as {wish.status}"


def unsubscribe(site: Site, address: str, feed: str | None, now: datetime) -> list[str]:
    """End the address's subscriptions, to one feed or to all; returns the feeds it left now."""
    left = []
    with site.store.write() as tx:
        for record in list(subscribers.records(tx, feed=feed, address=address)):
            if record.status not in OPTED_OUT:
                subscribers.leave(tx, record.id, SubscriptionStatus.UNSUBSCRIBED, now)
                subscribers.add_consent(tx, record.id, "left", "by the operator", now)
                left.append(record.feed)
    return left


def export_row(record: SubscriptionRecord) -> dict[str, str]:
    """A subscription as a line of the CSV that ``import`` reads."""
    rhythm = record.rhythm
    return {
        "email": record.address,
        "feed": record.feed,
        "name": record.name,
        "status": record.status,
        "cadence": rhythm.cadence,
        "weekday": WEEKDAYS[rhythm.weekday] if rhythm.cadence is Cadence.WEEKLY else "",
        "day": str(rhythm.day) if rhythm.cadence is Cadence.MONTHLY else "",
        "time": rhythm.time,
        "timezone": rhythm.zone,
        "language": record.choice.language,
        "topics": ";".join(record.choice.topics),
        "consent": record.consent,
        "snoozed_until": record.snoozed_until.isoformat() if record.snoozed_until else "",
    }
