"""Who should get what when, told slowly and plainly: each subscription keeps a list of the items nobody has decided on for it.

No cursors, no groups, no stored moments. It is what ``tests/integration/test_sixty_days.py`` holds the pipeline against.
"""

from __future__ import annotations

import calendar
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

DAY = timedelta(days=1)


@dataclass(frozen=True)
class Wish:
    """A rhythm as a person writes it; weekday 0 is Monday, -1 where it does not matter; day 0 likewise."""

    cadence: str
    weekday: int = -1
    day: int = 0
    time: str = "08:00"
    zone: str = "Europe/Amsterdam"


@dataclass
class Story:
    """An item of the source. ``number`` and ``mailed`` are known once it was collected; 0 before."""

    guid: int
    title: str
    published: datetime
    topics: tuple[str, ...]
    number: int = 0
    mailed: bool = False


@dataclass
class Reader:
    """One subscription: what it wants now, and the stories that are still to be decided for it, by number."""

    wish: Wish
    topics: frozenset[str]
    undecided: list[Story]
    gone: bool = False


@dataclass(frozen=True)
class Mail:
    """What one reader gets at one moment: titles as they read then, newest first, and how many more there are."""

    address: str
    titles: tuple[str, ...]
    more: int


@dataclass
class Rules:
    """The feed's settings that matter here."""

    first_items: int
    min_items: int
    max_items: int
    max_age: timedelta
    late_after: timedelta


@dataclass
class Rhythm:
    """What is known of one rhythm: when it was last looked after, and a moment that stands in for one that was too late."""

    seen: datetime
    instead: datetime | None = None


@dataclass
class Model:
    """The whole feed."""

    rules: Rules
    begin: date
    end: date
    stories: list[Story] = field(default_factory=list)
    readers: dict[str, Reader] = field(default_factory=dict)
    rhythms: dict[Wish, Rhythm] = field(default_factory=dict)

    def slots(self, wish: Wish) -> tuple[datetime, ...]:
        """All moments of the rhythm in these days."""
        return slots(wish, self.begin, self.end)

    def collect(self, stories: list[Story], now: datetime) -> None:
        """Stories that the source shows for the first time get numbers, the oldest first; the first time most are not mailed."""
        first = not self.stories
        new = sorted((story for story in stories if not story.number), key=lambda story: story.published)
        young = [story for story in new if story.published >= now - self.rules.max_age]
        for story in new:
            story.number = len(self.stories) + 1
            story.mailed = story in (young[-self.rules.first_items :] if first else young)
            self.stories.append(story)
            for reader in self.readers.values():
                if story.mailed:
                    reader.undecided.append(story)

    def wants(self, address: str, wish: Wish, topics: frozenset[str], now: datetime) -> None:
        """Somebody joins with the latest few stories to come, or changes rhythm or topics and keeps what is undecided."""
        self.rhythms.setdefault(wish, Rhythm(now))
        if address in self.readers:
            self.readers[address].wish, self.readers[address].topics = wish, topics
        else:
            latest = [story for story in self.stories if story.mailed][-self.rules.first_items :]
            self.readers[address] = Reader(wish, topics, latest)

    def leaves(self, address: str) -> None:
        """For good."""
        self.readers[address].gone = True

    def has_slot(self, now: datetime) -> bool:
        """Whether a rhythm that anybody ever had strikes now."""
        return any(now in set_of(wish, self.begin, self.end) or rhythm.instead == now for wish, rhythm in self.rhythms.items())

    def tick(self, now: datetime) -> set[Mail]:
        """The mails that must leave now, and only these."""
        served = {wish for wish, rhythm in self.rhythms.items() if wish.cadence == "instant" or self._strikes(wish, rhythm, now)}
        mails = set()
        for address, reader in self.readers.items():
            if reader.gone or reader.wish not in served:
                continue
            matching = [story for story in reader.undecided if not reader.topics or reader.topics & set(story.topics)]
            if len(matching) < max(self.rules.min_items, 1):
                continue
            matching.sort(key=lambda story: -story.number)
            shown = matching[: self.rules.max_items]
            mails.add(Mail(address, tuple(story.title for story in shown), len(matching) - len(shown)))
            reader.undecided.clear()
        return mails

    def _strikes(self, wish: Wish, rhythm: Rhythm, now: datetime) -> bool:
        """Missed slots count as one, the latest; where that is too long ago, the clock time comes again on its next day."""
        missed = [slot for slot in self.slots(wish) if rhythm.seen < slot <= now]
        if rhythm.instead is not None and rhythm.instead <= now:
            missed.append(rhythm.instead)
        if not missed:
            return False
        rhythm.seen, rhythm.instead = now, None
        if now - max(missed) <= self.rules.late_after:
            return True
        rhythm.instead = next(slot for slot in self.slots(replace(wish, cadence="daily", weekday=-1, day=0)) if slot > now)
        return False


@cache
def set_of(wish: Wish, begin: date, end: date) -> frozenset[datetime]:
    """The same as a set."""
    return frozenset(slots(wish, begin, end))


@cache
def slots(wish: Wish, begin: date, end: date) -> tuple[datetime, ...]:
    """The moments of a rhythm in UTC, day by day: the local clock time with the offset in force before a change of clocks.

    In autumn that is the first of two, in spring what comes an hour after the time that is left out (RFC 5545 3.3.5).
    """
    found = []
    for number in range((end - begin).days):
        day = begin + number * DAY
        if wish.cadence == "weekly" and day.weekday() != wish.weekday:
            continue
        if wish.cadence == "monthly" and day.day != min(wish.day, calendar.monthrange(day.year, day.month)[1]):
            continue
        if wish.cadence != "instant":
            found.append(_moment(day, wish))
    return tuple(found)


def _moment(day: date, wish: Wish) -> datetime:
    zone, local = ZoneInfo(wish.zone), datetime.combine(day, time.fromisoformat(wish.time), UTC)
    # Every quarter of an hour within a day around it whose local clock shows that time; where none does, the clock was put forward.
    around = [local + timedelta(minutes=15 * step) for step in range(-96, 97)]
    right = [moment for moment in around if moment.astimezone(zone).replace(tzinfo=None) == local.replace(tzinfo=None)]
    before = datetime.combine(day, time(0), zone).utcoffset() or timedelta()
    return min(right) if right else local - before
