"""Dates in a configured language other than nl, en, de and fr, by dateparser: one language, day first, nothing detected.

dateparser needs a third of a millisecond for each text, so month names are asked for once, and the rest only in labels.
"""

from __future__ import annotations

import re
from datetime import datetime
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from pipeline.collect.machine_dates import exact
from pipeline.models import Confidence, ReadDate

_HAS_CLOCK = re.compile(r"\d[:.h]\d\d(?!\d|[.:/-]\d)")


@lru_cache(maxsize=4096)
def foreign_month(word: str, language: str) -> int | None:
    """The number of a month's name or abbreviation in a language; None for any other word."""
    found = _parse(f"1 {word} 2000", language, {"PARSERS": ["absolute-time"], "REQUIRE_PARTS": ["day", "month", "year"]})
    return found.month if found is not None and (found.year, found.day) == (2000, 1) else None


def read_foreign(value: str, language: str, zone: str, now: datetime) -> ReadDate | None:
    """A label that is nothing but a date ("2019年5月22日", "22 мая 2019 г."), or counts back from now ("hace 2 días")."""
    local = now.astimezone(ZoneInfo(zone)).replace(tzinfo=None, microsecond=0)
    settings = {"PARSERS": ["absolute-time"], "REQUIRE_PARTS": ["day", "month", "year"], "RELATIVE_BASE": local}
    found = _parse(value, language, settings) if any(char.isdigit() for char in value) else None
    if found is not None:
        timed = _HAS_CLOCK.search(value) is not None
        return _read(value, found, timed, zone, "dateparser", Confidence.LIKELY)
    found = _parse(value, language, {"PARSERS": ["relative-time"], "RELATIVE_BASE": local})
    if found is None or found > local:
        return None
    return _read(value, found, found.time() != local.time(), zone, "relative", Confidence.LIKELY)


def _read(value: str, found: datetime, timed: bool, zone: str, rule: str, sure: Confidence) -> ReadDate | None:
    clock = (found.hour, found.minute, found.second) if timed else None
    return exact(value, (found.year, found.month, found.day), clock, None, zone, rule, sure)


def _parse(text: str, language: str, settings: dict[str, Any]) -> datetime | None:
    import dateparser  # most processes never meet another language, and it takes 10 MB

    fixed = {"DATE_ORDER": "DMY", "TIMEZONE": "UTC", "TO_TIMEZONE": "UTC", "RETURN_AS_TIMEZONE_AWARE": False}
    try:
        found: datetime | None = dateparser.parse(text, languages=[language.partition("-")[0]], settings=fixed | settings)
    except Exception:  # dateparser raises whatever its input leads it to, also for a language that it does not know
        return None
    return found
