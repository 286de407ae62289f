"""Dates as sites write them: machine formats exactly, human ones in nl, en, de, fr and whatever dateparser knows.

The rule of this module is that no date is better than a wrong one: two readings, or none, give None.
A date without a time of day is 12:00 in the source's zone with ``Precision.DAY``.

    a machine's format? ── read_iso ──▶ certain
        └── no ──▶ day, month and year in the text: exactly one, and no range? ──▶ likely (guessed: "'19", 05/06 in English)
                      └── none ──▶ a label that says nothing else: "gisteren" (likely), "di 22 mei" (guessed)
                                      └── another language ──▶ dateparser, in that language alone
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from pipeline.collect.date_words import LEAD, MONTH, MONTHS, TAIL, WEEKDAY, WEEKDAYS
from pipeline.collect.foreign_dates import foreign_month, read_foreign
from pipeline.collect.machine_dates import Clock, exact, one_line, place_of, read_iso
from pipeline.collect.relative_dates import RULE as RELATIVE
from pipeline.collect.relative_dates import read_relative
from pipeline.models import Confidence, ReadDate

__all__ = ["Order", "is_plausible", "is_steady", "languages_for", "order_of", "read_date", "read_iso", "stated_date"]

Order = Literal["DMY", "MDY"]
FIXED_LANGUAGES = ("nl", "en", "de", "fr")
EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)
FUTURE = timedelta(days=2)
YEARLESS = "no year"
_MAX_LABEL = 60
_MAX_HITS = 20
_YEARS_BACK = 6

_CLOCK = (
    r"(?:\s*[,|–—@-]?\s*(?:om|at|um|à|a|,)?\s*"
    r"(?:(?P<hour>[01]?\d|2[0-3])(?P<mark>[:.hu])(?P<minute>[0-5]\d)(?::[0-5]\d)?(?!\d|[.:/-]\d)"
    r"|(?P<full>[01]?\d|2[0-3])(?=\s?(?:[ap]\.?m\b|uur\b|uhr\b)))"
    r"\s*(?P<half>[ap]\.?m\b\.?)?\s*(?:uur\b|uhr\b|u\b|h\b)?"
    r"\s*(?P<zone>(?:GMT|UTC)\s?[+-]\d{1,2}(?::?\d{2})?\b|(?-i:[A-Z][A-Za-z]{1,19}/[A-Z][A-Za-z_]{1,29}\b|[A-Z]{2,5}\b)|Z\b|[+-]\d{2}:?\d{2}\b)?)?"
)
_WEEKDAY_BEFORE = rf"(?:(?<!\w)(?P<weekday>{WEEKDAY})[.,]{{0,2}}\s+(?:le\s+|den\s+|the\s+)?)?"
_NOT_INSIDE = r"(?<!\d)(?<!\d[.,:/-])"
_YEAR = (
    r"(?:(?:,?\s+(?:del?\s+)?|\s?[-/]\s?|,|\.\s?)"
    r"(?:(?P<year>(?:19|20)\d\d)(?!\d|[-/]\d)|['’‘´`](?P<short>\d\d)(?!\w)"
    r"|(?P<bare>\d\d)(?!\w|\s?[:.]\d)(?=\s?(?:$|[|·•),–—]|\d{1,2}[:.h]\d))))?"
)
_ORDINAL = r"(?:st|nd|rd|th|ste|de|er|e|º)?"


def _day_first(month: str) -> re.Pattern[str]:
    day = rf"(?P<day>\d{{1,2}}){_ORDINAL}(?:\.?\s+|\.|\s?[-/]\s?)(?:de\s+|of\s+|d[’'])?"
    return re.compile(rf"{_NOT_INSIDE}{_WEEKDAY_BEFORE}{day}(?P<month>{month})(?!\w)\.?{_YEAR}{_CLOCK}", re.IGNORECASE)


def _month_first(month: str) -> re.Pattern[str]:
    day = r"\s+(?P<day>\d{1,2})(?:st|nd|rd|th)?(?!\w|[:.-]\d|\s?(?:uur|uhr|[ap]m)\b)"
    return re.compile(rf"(?<!\w){_WEEKDAY_BEFORE}(?P<month>{month})\.?{day}{_YEAR}{_CLOCK}", re.IGNORECASE)


_WORD = r"[^\W\d_]{3,14}"
_OWN_MONTHS = (_day_first(MONTH), _month_first(MONTH))
_ANY_MONTHS = (_day_first(_WORD), _month_first(_WORD))
_NUMERIC = re.compile(
    rf"{_NOT_INSIDE}{_WEEKDAY_BEFORE}(?P<first>\d{{1,2}})(?P<mark1>[-./])\s?(?P<second>\d{{1,2}})(?P=mark1)\s?"
    rf"(?P<year>\d{{4}}|\d{{2}})(?!\d|[-./]\d){_CLOCK}",
    re.IGNORECASE,
)
_YEAR_FIRST = re.compile(
    rf"(?<!\d)(?<!\d[.,:/-])(?P<year>(?:19|20)\d\d)(?P<mark1>[./])\s?(?P<month>\d{{1,2}})(?P=mark1)\s?(?P<day>\d{{1,2}})"
    rf"(?!\d|[-/]\d)\.?{_CLOCK}",
    re.IGNORECASE,
)
_ISO_INSIDE = re.compile(
    r"(?<![\d-])\d{4}-\d{1,2}-\d{1,2}(?!\d|-)(?:[T ]\d{1,2}:\d{2}(?::\d{2})?(?:\s?(?:[A-Z]{2,5}\b|Z|[+-]\d{2}:?\d{2}))?)?"
)

_UNTIL = r"(?:[-–—]|t/m|t\.e\.m\.|tot en met|tot|en|to|until|till|and|through|bis(?: zum)?|und|au|et|à|&|\+)"
_RANGE_BEFORE = re.compile(
    rf"(?:(?<![\d:.])\d{{1,2}}{_ORDINAL}\.?(?:\s(?:{MONTH})\.?)?|(?<!\w)(?:{MONTH})\.?\s\d{{1,2}})\s?{_UNTIL}\s?"
    rf"(?:(?:le|den|the)\s)?$",
    re.IGNORECASE,
)
_CLOCK_RANGE = re.compile(
    r"(?<!\d)\d{1,2}[:.h]\d{2}\s?(?:uur|uhr|h|[ap]m)?\s?(?:[-–—]|tot|t/m|to|till|until|bis|à)\s?\d{1,2}[:.h]\d{2}(?!\d|[.-]\d)",
    re.IGNORECASE,
)
_OFFSET_AFTER_SECONDS = re.compile(r"(?<=\d:\d\d:\d\d)\s?[+-]\d\d:?\d\d\b")


@dataclass(frozen=True, slots=True)
class _Hit:
    """A day found in a text. ``guessed``: a century or an order was filled in. ``month``: the year is not said."""

    match: re.Match[str]
    day: date | None
    rule: str
    guessed: bool
    month: int = 0


def read_date(text: str, *, languages: tuple[str, ...], zone: str, now: datetime, order: Order | None = None) -> ReadDate | None:
    """The one date that a short text names, among whatever other words; None if there is none, or more than one.

    ``languages``: the source's first. ``order``: what the document's dates together prove (``order_of``); without it
    numbers are day-month-year, except in en-US; in other English a date that only makes sense the other way round is
    read so. Dates before 1990 or more than two days ahead are not believed (``stated_date`` gives them).
    """
    found = stated_date(text, languages=languages, zone=zone, now=now, order=order)
    return found if found is not None and is_plausible(found, now) else None


def stated_date(text: str, *, languages: tuple[str, ...], zone: str, now: datetime, order: Order | None = None) -> ReadDate | None:
    """``read_date`` for a place that holds a date and nothing else: what it says counts even where nobody can believe it.

    So ``normalise`` can flag it instead of taking it for "no date".
    """
    value = one_line(text)
    found = read_iso(value, zone)
    if found is not None:
        return found
    hits = list(_hits(value, languages, now, order))
    if any(_is_range(value, hit.match) for hit in hits) or _is_open(value):
        return None
    dated = [item for hit in hits if hit.day is not None and (item := _moment(hit, hit.day, zone)) is not None]
    dated += [item for match in _ISO_INSIDE.finditer(value) if (item := read_iso(match[0], zone)) is not None]
    if dated:
        return _the_one([item for item in dated if is_plausible(item, now)] or dated)
    return _less_than_a_date(value, hits, languages, zone, now) if len(value) <= _MAX_LABEL else None


def order_of(texts: Iterable[str]) -> Order | None:
    """Whether a document writes 22-05-2019 or 05-22-2019: what a number above twelve proves; None if nothing, or both, do."""
    seen: set[Order] = set()
    for text in texts:
        for match in _NUMERIC.finditer(one_line(text)):
            first, second = int(match["first"]), int(match["second"])
            if 12 < first <= 31 and 1 <= second <= 12:
                seen.add("DMY")
            elif 12 < second <= 31 and 1 <= first <= 12:
                seen.add("MDY")
    return seen.pop() if len(seen) == 1 else None


def is_plausible(found: ReadDate, now: datetime) -> bool:
    """Whether news can carry this date: from 1990 until two days from now."""
    return EARLIEST <= found.at <= now + FUTURE


def is_steady(found: ReadDate) -> bool:
    """Whether the same text gives the same date tomorrow: "2 uur geleden" and "22 mei" do not for ever."""
    return found.rule not in (RELATIVE, YEARLESS)


def languages_for(language: str) -> tuple[str, ...]:
    """The order in which languages are tried for a source in ``language`` (a tag such as "nl-NL")."""
    return tuple(dict.fromkeys((language, *FIXED_LANGUAGES))) if language else FIXED_LANGUAGES


def _own(languages: tuple[str, ...]) -> str:
    return languages[0].lower() if languages else ""


def _is_foreign(languages: tuple[str, ...]) -> bool:
    return bool(languages) and _own(languages).partition("-")[0] not in FIXED_LANGUAGES


def _hits(value: str, languages: tuple[str, ...], now: datetime, order: Order | None) -> Iterator[_Hit]:
    """At most twenty of each kind: no label names more dates."""
    for _count, match in zip(range(_MAX_HITS), _NUMERIC.finditer(value), strict=False):
        yield _numeric(match, _own(languages), now, order)
    for _count, match in zip(range(_MAX_HITS), _YEAR_FIRST.finditer(value), strict=False):
        yield _Hit(match, _day(match["year"], match["month"], match["day"]), "numeric", False)
    for pattern in _OWN_MONTHS:
        for _count, match in zip(range(_MAX_HITS), pattern.finditer(value), strict=False):
            yield _named(match, MONTHS[match["month"].lower()], now)
    if _is_foreign(languages):
        for pattern in _ANY_MONTHS:
            for _count, match in zip(range(_MAX_HITS), pattern.finditer(value), strict=False):
                month = foreign_month(match["month"].lower(), _own(languages))
                if month is not None and match["month"].lower() not in MONTHS:
                    yield _named(match, month, now)


def _named(match: re.Match[str], month: int, now: datetime) -> _Hit:
    short = match["short"] or match["bare"]
    year = match["year"] or (_century(short, now) if short else None)
    weekday = _weekday(match)
    if year is None:
        return _Hit(match, None, YEARLESS, True, month)
    day = _day(year, month, match["day"])
    return _Hit(match, day, "words", bool(short) or (day is not None and weekday not in (None, day.weekday())))


def _numeric(match: re.Match[str], language: str, now: datetime, order: Order | None) -> _Hit:
    """A weekday beside the numbers decides which of two readings is meant; else the document, else the language."""
    short = len(match["year"]) == 2
    year = _century(match["year"], now) if short else match["year"]
    readings = {"DMY": _day(year, match["second"], match["first"]), "MDY": _day(year, match["first"], match["second"])}
    weekday = _weekday(match)
    agreeing = [day for day in readings.values() if day is not None and day.weekday() == weekday]
    if len(set(agreeing)) == 1 and order is None:
        return _Hit(match, agreeing[0], "numeric", short)
    wanted = order or ("MDY" if language == "en-us" else "DMY")
    other = readings["DMY" if wanted == "MDY" else "MDY"] if order is None and language.startswith("en") else None
    open_to_both = language == "en" and order is None and None not in readings.values() and len(set(readings.values())) == 2
    return _Hit(match, readings[wanted] or other, "numeric", short or open_to_both)


def _weekday(match: re.Match[str]) -> int | None:
    return WEEKDAYS[match["weekday"].lower()] if match["weekday"] else None


def _day(year: str | int, month: str | int, day: str | int) -> date | None:
    try:
        return date(int(year), int(month), int(day))
    except ValueError:
        return None


def _century(year: str, now: datetime) -> int:
    return int(year) + (2000 if 2000 + int(year) <= now.year + 1 else 1900)


def _is_open(value: str) -> bool:
    """Whether it says from when until when, as events do; "14:05:00 -05:00" is a time and its offset."""
    return _CLOCK_RANGE.search(_OFFSET_AFTER_SECONDS.sub("", value)) is not None


def _is_range(value: str, match: re.Match[str]) -> bool:
    """Whether another day stands before this one ("22 – 24 mei 2019"): an event, whose dates say nothing of the news."""
    return _RANGE_BEFORE.search(value[max(0, match.start() - 40) : match.start()]) is not None


def _the_one(found: list[ReadDate]) -> ReadDate | None:
    """The first, unless another names another day."""
    return found[0] if len({item.at.date() for item in found}) == 1 else None


def _less_than_a_date(value: str, hits: list[_Hit], languages: tuple[str, ...], zone: str, now: datetime) -> ReadDate | None:
    relative = read_relative(value, _own(languages).startswith("fr"), zone, now)
    if relative is not None:
        return relative
    days = [found for hit in hits if hit.month and (found := _yearless(value, hit, _own(languages), zone, now)) is not None]
    if days:
        return _the_one(days)
    return read_foreign(value, _own(languages), zone, now) if _is_foreign(languages) else None


def _yearless(value: str, hit: _Hit, language: str, zone: str, now: datetime) -> ReadDate | None:
    """The nearest past day of that name, if the text says nothing else: "21 juni | Themabijeenkomst" is an event.

    A weekday must agree, and so decides the year; where the next such day has it, that one is meant, and it is no news.
    The month goes first in English only: elsewhere "mei 22" is a month of 2022.
    """
    match, weekday = hit.match, _weekday(hit.match)
    if match.start("month") < match.start("day") and not language.startswith("en"):
        return None
    if not (LEAD.fullmatch(value[: match.start()]) and TAIL.fullmatch(value[match.end() :])):
        return None
    year = now.astimezone(ZoneInfo(zone)).year + 1
    days = [day for back in range(_YEARS_BACK + 3) if (day := _day(year - back, hit.month, match["day"]))]
    found = [item for day in days if weekday in (None, day.weekday()) and (item := _moment(hit, day, zone)) is not None]
    if weekday is not None:
        return found[0] if found and is_plausible(found[0], now) else None
    past = [item for item in found if is_plausible(item, now)]
    return past[0] if past and past[0].at > now - timedelta(days=367) else None


def _moment(hit: _Hit, day: date, zone: str) -> ReadDate | None:
    """A time of day in a zone nobody knows is left out: the day is right, the hour would be a guess."""
    match = hit.match
    known = place_of(match["zone"], zone) is not None
    clock, offset = (_clock(match), match["zone"]) if known else (None, None)
    sure = Confidence.GUESSED if hit.guessed else Confidence.LIKELY
    return exact(match[0].strip(), (day.year, day.month, day.day), clock, offset, zone, hit.rule, sure)


def _clock(match: re.Match[str]) -> Clock | None:
    if match["hour"] is None and match["full"] is None:
        return None
    hour, half = int(match["hour"] or match["full"]), (match["half"] or "").lower()
    if half and 1 <= hour <= 12:
        hour = hour % 12 + (12 if half.startswith("p") else 0)
    return hour, int(match["minute"] or 0), 0
