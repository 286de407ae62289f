"""When a rhythm is due: local clock times turned into UTC moments (pure)."""

from __future__ import annotations

import calendar
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from pipeline.models import Cadence, Rhythm


def next_slot(rhythm: Rhythm, after: datetime) -> datetime:
    """The first moment of the rhythm strictly after ``after``, in UTC.

    The local time is taken with fold=0 (RFC 5545 3.3.5): once in autumn, when it comes twice, and 03:30 for a 02:30 that
    spring leaves out. Day 29–31 is the last day of a shorter month. Raises ValueError for instant, which has no slots.
    """
    return next(slot for slot in _slots(rhythm, after) if slot > after)


def next_same_time(rhythm: Rhythm, now: datetime) -> datetime:
    """The rhythm's clock time on the first local day on which it is still to come, whatever its weekday or day of the month."""
    return next_slot(replace(rhythm, cadence=Cadence.DAILY), now)


def latest_missed(rhythm: Rhythm, next_due_at: datetime, now: datetime) -> datetime:
    """The last slot from ``next_due_at`` on that is not after ``now``; ``next_due_at`` itself may lie outside the rhythm."""
    latest = next_due_at
    while (slot := next_slot(rhythm, latest)) <= now:
        latest = slot
    return latest


def _slots(rhythm: Rhythm, after: datetime) -> Iterator[datetime]:
    day = after.astimezone(ZoneInfo(rhythm.zone or "UTC")).date() - timedelta(days=1)
    if rhythm.cadence is Cadence.INSTANT:
        raise ValueError("an instant subscription is due when an item is released")
    while True:
        if _falls_on(rhythm, day):
            yield _moment(rhythm, day)
        day += timedelta(days=1)


def _falls_on(rhythm: Rhythm, day: date) -> bool:
    if rhythm.cadence is Cadence.WEEKLY:
        return day.weekday() == rhythm.weekday
    if rhythm.cadence is Cadence.MONTHLY:
        return day.day == min(rhythm.day, calendar.monthrange(day.year, day.month)[1])
    return True


def _moment(rhythm: Rhythm, day: date) -> datetime:
    local = datetime.combine(day, time.fromisoformat(rhythm.time), ZoneInfo(rhythm.zone))
    return local.astimezone(UTC)
