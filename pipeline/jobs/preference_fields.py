"""A subscription as fields of a form, and the fields read back: what is shown and saved again changes nothing (pure)."""

from __future__ import annotations

import functools
import re
import zoneinfo
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from pipeline.config import WEEKDAYS, FeedSettings, clock_time
from pipeline.jobs.site import Site
from pipeline.models import Cadence, Choice, Rhythm, SubscriptionStatus
from pipeline.store.subscribers import SubscriptionRecord

FORMATS = ("html", "text")
WEEKS = ("1", "2", "4")
"""The pauses that need no date."""
NO_PAUSE, UNTIL_DATE = "none", "date"
LONGEST_PAUSE = timedelta(days=366)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DAY = re.compile(r"0?[1-9]|[12][0-9]|3[01]")
_LONGEST_ZONE = 64


class Fault(StrEnum):
    """Why a value cannot be taken; the template has a sentence for each."""

    CHOICE = "choice"
    DAY = "day"
    TIME = "time"
    ZONE = "zone"
    TOPIC = "topic"
    DATE = "date"
    PAST = "past"
    FAR = "far"


@dataclass(frozen=True, slots=True)
class Values:
    """Texts as a form has them. ``snooze``: none, 1, 2 or 4 (weeks), or date, which is ``until`` (YYYY-MM-DD)."""

    cadence: str = ""
    weekday: str = ""
    day: str = ""
    time: str = ""
    zone: str = ""
    language: str = ""
    format: str = ""
    topics: tuple[str, ...] = ()
    snooze: str = NO_PAUSE
    until: str = ""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person wants; ``until`` None: no pause."""

    rhythm: Rhythm
    choice: Choice
    until: datetime | None


@functools.cache
def time_zones() -> tuple[str, ...]:
    """The zones that people may mean: places, and UTC."""
    found = zoneinfo.available_timezones()
    return tuple(sorted(name for name in found if name == "UTC" or ("/" in name and not name.startswith(("Etc/", "SystemV/")))))


@functools.cache
def _zone_by_fold() -> dict[str, str]:
    return {name.casefold(): name for name in (*zoneinfo.available_timezones(),)} | {name.casefold(): name for name in time_zones()}


def offered_topics(feed: FeedSettings, one: SubscriptionRecord) -> tuple[tuple[str, str], ...]:
    """(what is stored, how it reads) of each topic that the feed's sources name, and of those that this person has beside them."""
    named = {topic.name.casefold(): topic.name for source in feed.source for topic in source.topic}
    own = {topic: topic for topic in one.choice.topics if topic not in named}
    return tuple(sorted((named | own).items()))


def offered_languages(site: Site, feed: FeedSettings, one: SubscriptionRecord) -> tuple[str, ...]:
    """Those with a catalogue, and the one that this person has."""
    return tuple(sorted({*site.texts.languages(), feed.language, one.choice.language} - {""}))


def shown(site: Site, feed: FeedSettings, one: SubscriptionRecord, now: datetime) -> Values:
    """The subscription as fields; those that its cadence does not use show what the feed would take."""
    rhythm, digest = one.rhythm, feed.digest
    until = one.snoozed_until if one.status is SubscriptionStatus.SNOOZED else None
    resting = until is not None and until > now
    return Values(
        cadence=str(rhythm.cadence),
        weekday=WEEKDAYS[rhythm.weekday] if rhythm.cadence is Cadence.WEEKLY else digest.weekday,
        day=str(rhythm.day or digest.day),
        time=rhythm.time or digest.time,
        zone=rhythm.zone or site.settings.site.timezone,
        language=one.choice.language,
        format=one.choice.format,
        topics=one.choice.topics,
        snooze=UNTIL_DATE if resting else NO_PAUSE,
        until=_local_date(until, _zone_of(site, rhythm)) if until is not None and resting else "",
    )


def _zone_of(site: Site, rhythm: Rhythm) -> str:
    return rhythm.zone or site.settings.site.timezone


def _local_date(moment: datetime, zone: str) -> str:
    return moment.astimezone(ZoneInfo(zone)).date().isoformat()


def read(
    site: Site, feed: FeedSettings, one: SubscriptionRecord, values: Values, now: datetime
) -> tuple[Wish | None, dict[str, Fault]]:
    """What the fields ask for, or why each wrong one cannot be taken; fields that the cadence does not use are not looked at."""
    faults: dict[str, Fault] = {}
    rhythm = _rhythm(site, feed, values, faults)
    choice = _choice(site, feed, one, values, faults)
    until = _until(site, one, rhythm or one.rhythm, values, now, faults)
    if faults or rhythm is None:
        return None, faults
    return Wish(rhythm, choice, until), faults


def _rhythm(site: Site, feed: FeedSettings, values: Values, faults: dict[str, Fault]) -> Rhythm | None:
    if values.cadence not in tuple(Cadence):
        faults["cadence"] = Fault.CHOICE
        return None
    cadence = Cadence(values.cadence)
    if cadence is Cadence.INSTANT:
        return Rhythm(cadence)
    zone = _zone_by_fold().get(values.zone.casefold(), "")
    if not zone or len(zone) > _LONGEST_ZONE:
        faults["zone"] = Fault.ZONE
    if cadence is Cadence.WEEKLY and values.weekday not in WEEKDAYS:
        faults["weekday"] = Fault.CHOICE
    if cadence is Cadence.MONTHLY and not _DAY.fullmatch(values.day):
        faults["day"] = Fault.DAY
    try:
        clock_time(values.time)
    except ValueError:
        faults["time"] = Fault.TIME
    if faults:
        return None
    return feed.digest.rhythm(
        zone or site.settings.site.timezone,
        cadence=cadence,
        weekday=WEEKDAYS.index(values.weekday) if cadence is Cadence.WEEKLY else None,
        day=int(values.day) if cadence is Cadence.MONTHLY else None,
        time=values.time,
    )


def _choice(site: Site, feed: FeedSettings, one: SubscriptionRecord, values: Values, faults: dict[str, Fault]) -> Choice:
    if values.language and values.language not in offered_languages(site, feed, one):
        faults["language"] = Fault.CHOICE
    if values.format not in FORMATS:
        faults["format"] = Fault.CHOICE
    if not {*values.topics} <= {key for key, _ in offered_topics(feed, one)}:
        faults["topics"] = Fault.TOPIC
    return Choice(tuple(sorted(set(values.topics))), one.choice.words, values.language, values.format)


def _until(
    site: Site, one: SubscriptionRecord, rhythm: Rhythm, values: Values, now: datetime, faults: dict[str, Fault]
) -> datetime | None:
    """The end of the pause: the first moment of a day in the subscription's zone; a pause that was not touched stays as it is.

    Whoever writes a date means it, also where "no pause" is still marked above it.
    """
    before = shown(site, site.feed(one.feed), one, now)
    if (values.snooze, values.until) == (before.snooze, before.until) and _zone_of(site, rhythm) == _zone_of(site, one.rhythm):
        return one.snoozed_until if before.snooze == UNTIL_DATE else None
    zone = ZoneInfo(_zone_of(site, rhythm))
    today = now.astimezone(zone).date()
    dated = values.snooze == UNTIL_DATE or (values.snooze == NO_PAUSE and values.until not in ("", before.until))
    if values.snooze == NO_PAUSE and not dated:
        return None
    if values.snooze in WEEKS:
        return _midnight(today + timedelta(weeks=int(values.snooze)), zone)
    if not dated:
        faults["snooze"] = Fault.CHOICE
        return None
    day = _day(values.until)
    if day is None:
        faults["until"] = Fault.DATE
    elif day <= today:
        faults["until"] = Fault.PAST
    elif day - today > LONGEST_PAUSE:
        faults["until"] = Fault.FAR
    return _midnight(day, zone) if day is not None and "until" not in faults else None


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if _DATE.fullmatch(text) else None
    except ValueError:
        return None


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(zoneinfo.ZoneInfo("UTC"))
