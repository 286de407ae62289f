"""Dates as sites write them: machine formats exactly, human ones in nl, en, de, fr and whatever dateparser knows.

The rule of this module is that no date is better than a wrong one: two readings, or none, give None.
A date without a time of day is 12:00 in the source's zone with ``Precision.DAY``.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

import dateparser

from pipeline.models import Precision, ReadDate

FIXED_LANGUAGES = ("nl", "en", "de", "fr")
EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)
FUTURE = timedelta(days=2)
_MAX_TEXT = 300
_MAX_LABEL = 60
_NOON = time(12)

_ISO = re.compile(
    r"(\d{4})-(\d{2})-(\d{2})"
    r"(?:[T ]+(\d{2}):(\d{2})(?::(\d{2})(?:[.,]\d{1,9})?)?\s*(Z|UTC|GMT|[+-]\d{2}:?\d{2}|[+-]\d{2})?)?",
    re.IGNORECASE | re.ASCII,
)
_RFC822 = re.compile(
    r"(?:(?:mon(?:day)?|tue(?:s(?:day)?)?|wed(?:nesday)?|thu(?:r(?:s(?:day)?)?)?|fri(?:day)?|sat(?:urday)?|sun(?:day)?)\.?,?\s+)?"
    r"(\d{1,2})\s+"
    r"(jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sep(?:t(?:ember)?)?|oct(?:ober)?|nov(?:ember)?"
    r"|dec(?:ember)?)\.?\s+(\d{4}|\d{2})"
    r"(?:\s+(\d{1,2}):(\d{2})(?::(\d{2}))?(?:\s+([+-]\d{4}|[a-z]{1,5}))?(?:\s*\([^()]*\))?)?",
    re.IGNORECASE | re.ASCII,
)
_ENGLISH_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_OFFSETS = {
    **dict.fromkeys(("z", "ut", "utc", "gmt", "wet"), 0),
    **dict.fromkeys(("cet", "met", "mez", "bst", "west"), 1),
    **dict.fromkeys(("cest", "mest", "mesz", "eet"), 2),
    **dict.fromkeys(("eest", "msk"), 3),
    **{"edt": -4, "est": -5, "cdt": -5, "cst": -6, "mdt": -6, "mst": -7, "pdt": -7, "pst": -8},
}

_CLOCK = (
    r"(?:\s*[,|–—@-]?\s*(?:om|at|um|à|a|,)?\s*"
    r"(?P<hour>[01]?\d|2[0-3])(?P<mark>[:.hu])(?P<minute>[0-5]\d)(?::[0-5]\d)?(?!\d|[.:/-]\d)"
    r"\s*(?P<half>[ap]\.?m\b\.?)?\s*(?:uur\b|uhr\b|u\b|h\b)?\s*(?P<zone>(?-i:[A-Z]{3,5}\b)|Z\b|[+-]\d{2}:?\d{2}\b)?)?"
)
_WORD = r"[^\W\d_]{3,12}\.?"
_NUMERIC = re.compile(r"(?<![\d.,:/-])(\d{1,2})([-./])(\d{1,2})\2(\d{4}|\d{2})(?!\d|[-./]\d)" + _CLOCK, re.IGNORECASE)
_DAY_FIRST = re.compile(
    rf"(?<![\d.,:/-])(?P<date>\d{{1,2}}(?:\.|st|nd|rd|th|er|e)?\s+(?:de\s+|of\s+)?{_WORD},?\s+(?:19|20)\d\d)(?!\d)" + _CLOCK,
    re.IGNORECASE,
)
_MONTH_FIRST = re.compile(rf"(?<!\w)(?P<date>{_WORD}\s+\d{{1,2}}(?:st|nd|rd|th)?,?\s+(?:19|20)\d\d)(?!\d)" + _CLOCK, re.IGNORECASE)
_ISO_INSIDE = re.compile(r"(?<![\d-])\d{4}-\d{2}-\d{2}(?!\d|-)(?:[T ]\d{2}:\d{2}(?::\d{2})?(?:\s?(?:Z|[+-]\d{2}:?\d{2}))?)?")

_NOW_WORDS = re.compile(r"\b(?:zojuist|zonet|daarnet|just now|gerade eben|soeben|(?:à|a) l[’']instant)(?!\w)", re.IGNORECASE)
_DAY_WORDS = re.compile(
    r"(?<!\w)(?P<word>eergisteren|vorgestern|avant-hier|gisteren|gisterochtend|gistermiddag|gisteravond|yesterday|gestern|hier"
    r"|vandaag|today|heute|aujourd[’']hui)(?!\w)" + _CLOCK,
    re.IGNORECASE,
)
_DAYS_BACK = {"eergisteren": 2, "vorgestern": 2, "avant-hier": 2, "vandaag": 0, "today": 0, "heute": 0}
_COUNT = r"(?P<count>\d{1,4}|een|één|an?|one|einer|einem|eine[nr]?|une?)"
_UNIT = (
    r"(?P<unit>seconden?|sec|minuten|minuut|min|uur|uren|dag(?:en)?|we(?:ek|ken)|maand(?:en)?|jaar"
    r"|seconds?|minutes?|mins?|hours?|days?|weeks?|months?|years?"
    r"|sekunden?|minuten?|stunden?|tag(?:en)?|wochen?|monat(?:en)?|jahr(?:en)?"
    r"|secondes?|heures?|jours?|semaines?|mois|ans?)"
)
_AGO = (
    re.compile(rf"(?<!\w){_COUNT}\s+{_UNIT}\.?\s+(?:geleden|ago)(?!\w)", re.IGNORECASE),
    re.compile(rf"(?<!\w)(?:vor|il y a)\s+{_COUNT}\s+{_UNIT}(?!\w)", re.IGNORECASE),
)
_SECONDS = (
    (("sec", "sek"), 1),
    (("min",), 60),
    (("uur", "uren", "hour", "stund", "heure"), 3600),
    (("dag", "day", "tag", "jour"), 86400),
    (("we", "woche", "semaine"), 7 * 86400),
    (("maand", "month", "monat", "mois"), 30 * 86400),
    (("ja", "year", "an"), 365 * 86400),
)


def read_iso(text: str, zone: str) -> ReadDate | None:
    """A machine's date: ISO 8601 as in ``<time datetime>`` and Atom (RFC 3339), or RFC 822 as in RSS; else None.

    Without an offset it is a time in ``zone``. An unknown zone abbreviation gives None: it may be hours off.
    """
    value = _squeeze(text)
    if match := _ISO.fullmatch(value):
        year, month, day = int(match[1]), int(match[2]), int(match[3])
        clock = None if match[4] is None else (int(match[4]), int(match[5]), int(match[6] or 0))
        return _exact(value, (year, month, day), clock, match[7], zone, "iso")
    if match := _RFC822.fullmatch(value):
        month = _ENGLISH_MONTHS.index(match[2][:3].lower()) + 1
        year = int(match[3]) if len(match[3]) == 4 else int(match[3]) + (2000 if int(match[3]) < 70 else 1900)
        clock = None if match[4] is None else (int(match[4]), int(match[5]), int(match[6] or 0))
        return _exact(value, (year, month, int(match[1])), clock, match[7], zone, "rfc822")
    return None


def read_date(text: str, *, languages: tuple[str, ...], zone: str, now: datetime) -> ReadDate | None:
    """The one date that a short text names, among whatever other words; None if there is none, or more than one.

    ``languages``: the source's first. Numbers are day-month-year, except in en-US; in other English a date that only
    makes sense the other way round is read so. Dates before 1990 or more than two days ahead are not believed.
    """
    value = _squeeze(text)
    exact = read_iso(value, zone)
    if exact is not None:
        return exact if is_plausible(exact, now) else None
    found = {item.at: item for item in _absolute(value, languages, zone, now) if is_plausible(item, now)}
    if found:
        return next(iter(found.values())) if len({item.at.date() for item in found.values()}) == 1 else None
    relative = _relative(value, languages, zone, now) if len(value) <= _MAX_LABEL else None
    return relative if relative is not None and is_plausible(relative, now) else None


def is_plausible(found: ReadDate, now: datetime) -> bool:
    """Whether news can carry this date: from 1990 until two days from now."""
    return EARLIEST <= found.at <= now + FUTURE


def languages_for(language: str) -> tuple[str, ...]:
    """The order in which languages are tried for a source in ``language`` (a tag such as "nl-NL")."""
    return tuple(dict.fromkeys((language, *FIXED_LANGUAGES))) if language else FIXED_LANGUAGES


def _squeeze(text: str) -> str:
    """Texts longer than a label are cut: a date that far in is not the item's."""
    return " ".join(text[: 4 * _MAX_TEXT].replace("\0", "").split())[:_MAX_TEXT]


def _exact(
    text: str, day: tuple[int, int, int], clock: tuple[int, int, int] | None, offset: str | None, zone: str, rule: str
) -> ReadDate | None:
    place = _place(offset, zone)
    if place is None:
        return None
    try:
        at = datetime(*day, *(clock or (12, 0, 0)), tzinfo=place).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return ReadDate(at, Precision.TIME if clock else Precision.DAY, text, rule)


def _place(offset: str | None, zone: str) -> tzinfo | None:
    if not offset:
        return ZoneInfo(zone)
    if offset[0] in "+-":
        digits = offset[1:].replace(":", "").ljust(4, "0")
        hours, minutes = int(digits[:2]), int(digits[2:])
        if hours > 14 or minutes > 59:
            return None
        return timezone((1 if offset[0] == "+" else -1) * timedelta(hours=hours, minutes=minutes))
    hours_east = _OFFSETS.get(offset.lower())
    return None if hours_east is None else timezone(timedelta(hours=hours_east))


def _absolute(value: str, languages: tuple[str, ...], zone: str, now: datetime) -> list[ReadDate]:
    found = [_of_day(match, _numeric_day(match, languages, now), zone, "numeric") for match in _NUMERIC.finditer(value)]
    for pattern in (_DAY_FIRST, _MONTH_FIRST):
        found += [_of_day(match, _named_day(match["date"], languages), zone, "words") for match in pattern.finditer(value)]
    found += [read_iso(match[0], zone) for match in _ISO_INSIDE.finditer(value)]
    return [item for item in found if item is not None]


def _numeric_day(match: re.Match[str], languages: tuple[str, ...], now: datetime) -> date | None:
    first, second, year = int(match[1]), int(match[3]), int(match[4])
    if len(match[4]) == 2:
        year += 2000 if 2000 + year <= now.year + 1 else 1900
    language = languages[0].lower() if languages else ""
    orders = [(second, first)]
    if language == "en-us":
        orders.insert(0, (first, second))
    elif language.startswith("en"):
        orders.append((first, second))
    for month, day in orders:
        try:
            return date(year, month, day)
        except ValueError:
            continue
    return None


def _named_day(text: str, languages: tuple[str, ...]) -> date | None:
    """The source's own language decides; if it cannot read it, the others must agree."""
    own, *others = languages or FIXED_LANGUAGES
    first = _parse_words(text, own)
    if first is not None:
        return first
    readings = {reading for reading in (_parse_words(text, other) for other in others) if reading is not None}
    return readings.pop() if len(readings) == 1 else None


def _parse_words(text: str, language: str) -> date | None:
    settings = {"DATE_ORDER": "DMY", "STRICT_PARSING": True, "PARSERS": ["absolute-time"]}
    try:
        found = dateparser.parse(text, languages=[language.partition("-")[0].lower()], settings=settings)
    except (ValueError, OverflowError, TypeError):
        return None
    return found.date() if found else None


def _of_day(match: re.Match[str], day: date | None, zone: str, rule: str) -> ReadDate | None:
    """A time of day in a zone nobody knows is left out: the day is right, the hour would be a guess."""
    if day is None:
        return None
    known = _place(match["zone"], zone) is not None
    clock, offset = (_clock(match), match["zone"]) if known else (None, None)
    return _exact(match[0].strip(), (day.year, day.month, day.day), clock, offset, zone, rule)


def _clock(match: re.Match[str]) -> tuple[int, int, int] | None:
    if match["hour"] is None:
        return None
    hour, half = int(match["hour"]), (match["half"] or "").lower()
    if half and 1 <= hour <= 12:
        hour = hour % 12 + (12 if half.startswith("p") else 0)
    return hour, int(match["minute"]), 0


def _relative(value: str, languages: tuple[str, ...], zone: str, now: datetime) -> ReadDate | None:
    """The word "hier" is yesterday in French only: in Dutch and German it means here."""
    if match := _NOW_WORDS.search(value):
        return ReadDate(now, Precision.TIME, match[0], "relative")
    today = now.astimezone(ZoneInfo(zone)).date()
    french = bool(languages) and languages[0].lower().startswith("fr")
    if (match := _DAY_WORDS.search(value)) and (french or match["word"].lower() != "hier"):
        word = match["word"].lower().replace("’", "'")
        back = 0 if word == "aujourd'hui" else _DAYS_BACK.get(word, 1)
        return _of_day(match, today - timedelta(days=back), zone, "relative")
    for pattern in _AGO:
        if match := pattern.search(value):
            return _ago(match, today, zone, now)
    return None


def _ago(match: re.Match[str], today: date, zone: str, now: datetime) -> ReadDate | None:
    """Hours and less count from now; days and more name a day, as they are rounded anyway."""
    count = int(match["count"]) if match["count"].isdecimal() else 1
    unit = match["unit"].lower()
    seconds = next((size for starts, size in _SECONDS if unit.startswith(starts)), None)
    if seconds is None:
        return None
    back = timedelta(seconds=count * seconds)
    if seconds < 86400:
        return ReadDate(now - back, Precision.TIME, match[0], "relative")
    try:
        noon = datetime.combine(today - back, _NOON, ZoneInfo(zone))
    except OverflowError:
        return None
    return ReadDate(noon.astimezone(UTC), Precision.DAY, match[0], "relative")
