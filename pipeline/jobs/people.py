"""Subscribers by hand: add, import, export, unsubscribe. An import never revives someone who left (DESIGN §7)."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TextIO

from pipeline.config import WEEKDAYS, FeedSettings, clock_time, language_tag, time_zone, valid_address
from pipeline.errors import UsageError
from pipeline.jobs import slots
from pipeline.jobs.site import Site
from pipeline.models import Cadence, Choice, Rhythm, SubscriptionStatus
from pipeline.store import Tx, feeds, items, subscribers
from pipeline.store.subscribers import OPTED_OUT, SubscriptionRecord

COLUMNS = ("email", "feed", "name", "status", "cadence", "weekday", "day", "time", "timezone", "language", "topics", "consent")
_BATCH = 500
_ACCEPTED = (SubscriptionStatus.ACTIVE, SubscriptionStatus.PENDING, *OPTED_OUT)


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


@dataclass(slots=True)
class Imported:
    """What an import did, counted; ``refused`` are (line number, reason)."""

    counts: Counter[str] = field(default_factory=Counter)
    refused: list[tuple[int, str]] = field(default_factory=list)


def read_csv(site: Site, file: TextIO) -> Iterator[tuple[int, WantedSubscription | str]]:
    """The lines of a CSV with a header: (line number, subscription or the reason why it is not one).

    Raises UsageError when the header is not one Gazet knows.
    """
    reader = csv.DictReader(_without_nul(file), strict=True)
    try:
        header = [name.strip().lower() for name in reader.fieldnames or []]
    except csv.Error as error:
        raise UsageError(f"line 1: {error}", fix=f"The first line must be a header of these: {', '.join(COLUMNS)}.") from None
    _check_header(header)
    reader.fieldnames = header
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield reader.line_num, f"cannot be read: {error}"
            continue
        yield reader.line_num, _line(site, row)


def _without_nul(lines: Iterable[str]) -> Iterator[str]:
    """The csv module of Python 3.11 refuses NUL; the addresses around it are checked on their own."""
    return (line.replace("\0", "�") for line in lines)


def _check_header(header: list[str]) -> None:
    unknown = [name for name in header if name not in COLUMNS]
    missing = [name for name in ("email", "feed") if name not in header]
    if unknown or missing:
        said = ", ".join([*(f'unknown column "{name}"' for name in unknown), *(f'no column "{name}"' for name in missing)])
        raise UsageError(f"line 1: {said}.", fix=f"The first line must be a header of these: {', '.join(COLUMNS)}.")


def _line(site: Site, row: Mapping[str, str | None]) -> WantedSubscription | str:
    if None in row:
        return "has more fields than the header"
    values = {name: (row.get(name) or "").strip() for name in COLUMNS}
    try:
        return wanted(site, values)
    except ValueError as error:
        return str(error)


def wanted(site: Site, values: Mapping[str, str]) -> WantedSubscription:
    """A checked subscription from texts by column name; ValueError says what is wrong with them."""
    feed = site.settings.feeds.get(values["feed"])
    if feed is None:
        raise ValueError(f'there is no feed "{values["feed"]}" (feeds here: {", ".join(sorted(site.settings.feeds)) or "none"})')
    status = _word(values["status"] or "active", _ACCEPTED, "status")
    name = " ".join("".join(char if char.isprintable() else " " for char in values["name"]).split())[:200]
    return WantedSubscription(
        address=valid_address(values["email"]),
        name=name,
        feed=feed.slug,
        status=SubscriptionStatus(status),
        rhythm=_rhythm(site, feed, values),
        choice=_choice(values),
        consent=values["consent"],
    )


def _word(value: str, allowed: Iterable[str], column: str) -> str:
    if value.lower() not in allowed:
        raise ValueError(f'{column}: "{value}" is not one of {", ".join(allowed)}')
    return value.lower()


def _rhythm(site: Site, feed: FeedSettings, values: Mapping[str, str]) -> Rhythm:
    cadence = Cadence(_word(values["cadence"], tuple(Cadence), "cadence")) if values["cadence"] else None
    weekday = WEEKDAYS.index(_word(values["weekday"], WEEKDAYS, "weekday")) if values["weekday"] else None
    if values["day"] and not (values["day"].isdecimal() and 1 <= int(values["day"]) <= 31):
        raise ValueError(f'day: "{values["day"]}" is not a day of the month')
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
    """Store the valid lines, 500 a transaction, and count what became of each; the others are listed with their reason."""
    result = Imported()
    batch: list[WantedSubscription] = []
    with site.store.write() as tx:
        feeds.name_in_settings(tx, site.sources_by_feed())
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
    progress(sum(result.counts.values()))
    return result


def _store(site: Site, batch: list[WantedSubscription], result: Imported, now: datetime) -> None:
    with site.store.write() as tx:
        counted = Counter(join(site, tx, wish, now) for wish in batch)
    result.counts += counted


def join(site: Site, tx: Tx, wish: WantedSubscription, now: datetime) -> str:
    """Add or change one subscription; returns what was done: added, changed, unchanged, opted out, left before."""
    person = subscribers.subscriber(tx, wish.address, wish.name, now)
    existing = subscribers.subscription_of(tx, person, wish.feed)
    opt_out = wish.status in OPTED_OUT
    if not opt_out and subscribers.suppressed(tx, site.links.address_hash(wish.address)):
        return "left before"
    if existing is None:
        _subscribe(site, tx, person, wish, now)
        return "opted out" if opt_out else "added"
    identity, status = existing
    if status in OPTED_OUT:
        return "opted out" if opt_out else "left before"
    if opt_out:
        subscribers.leave(tx, identity, wish.status, now)
        subscribers.add_consent(tx, identity, "left", wish.consent or f"imported as {wish.status}", now)
        return "opted out"
    return "changed" if _rearrange(tx, identity, wish, now) else "unchanged"


def _subscribe(site: Site, tx: Tx, person: int, wish: WantedSubscription, now: datetime) -> None:
    feed = site.feed(wish.feed)
    identity = subscribers.subscribe(
        tx,
        subscriber_id=person,
        feed=wish.feed,
        schedule_id=_schedule(tx, wish, now),
        choice_id=subscribers.choice(tx, wish.choice),
        status=wish.status,
        settled_seq=items.seq_before_newest_mailed(tx, wish.feed, feed.digest.first_items),
        now=now,
    )
    action = "left" if wish.status in OPTED_OUT else "joined"
    subscribers.add_consent(tx, identity, action, wish.consent or f"imported as {wish.status}", now)


def _rearrange(tx: Tx, identity: int, wish: WantedSubscription, now: datetime) -> bool:
    return subscribers.rearrange(
        tx, identity, schedule_id=_schedule(tx, wish, now), choice_id=subscribers.choice(tx, wish.choice), now=now
    )


def _schedule(tx: Tx, wish: WantedSubscription, now: datetime) -> int:
    instant = wish.rhythm.cadence is Cadence.INSTANT
    return subscribers.schedule(tx, wish.feed, wish.rhythm, None if instant else slots.next_slot(wish.rhythm, now))


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
    }
