"""Dates that count from now: "zojuist", "2 dagen geleden", "gisteren 14:05", "vorige week dinsdag", in nl, en, de and fr."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from pipeline.collect.date_words import COUNT, COUNTS, LEAD, LONG_WEEKDAY, TAIL, VAGUE_COUNTS, WEEKDAYS
from pipeline.collect.machine_dates import exact
from pipeline.models import Confidence, Precision, ReadDate

RULE = "relative"
_NOW_WORDS = re.compile(r"\b(?:zojuist|zonet|daarnet|just now|gerade eben|soeben|(?:à|a) l[’']instant)(?!\w)", re.IGNORECASE)
_CLOCK = (
    r"(?:\s*[,|–—@-]?\s*(?:om|at|um|à|a)?\s*"
    r"(?P<hour>[01]?\d|2[0-3])[:.hu](?P<minute>[0-5]\d)(?!\d|[.:/-]\d)\s*(?P<half>[ap]\.?m\b)?)?"
)
_DAY_WORDS = re.compile(
    r"(?<!\w)(?P<word>eergisteren|vorgestern|avant-hier|gisteren|gisterochtend|gistermiddag|gisteravond|yesterday|gestern|hier"
    r"|vandaag|today|heute|aujourd[’']hui)(?!\w)" + _CLOCK,
    re.IGNORECASE,
)
_DAYS_BACK = {"eergisteren": 2, "vorgestern": 2, "avant-hier": 2, "vandaag": 0, "today": 0, "heute": 0, "aujourd'hui": 0}
_COUNT = (
    rf"(?:(?:ongeveer|circa|ca\.|about|etwa|environ)\s+)?(?:(?:een|a|einer?|einem)\s+)?"
    rf"(?P<count>\d{{1,4}}|anderhal(?:f|ve)|half|halve|halben?|{COUNT})"
)
_UNIT = (
    r"(?P<unit>seconden?|secondes?|seconds?|secs?|sekunden?|minuten|minuut|minutes?|minuten?|mins?"
    r"|kwartier|uur|uren|hours?|hrs?|stunden?|std|heures?"
    r"|dag(?:en)?|days?|tag(?:en)?|tage|jours?|weken|week|weeks?|wochen?|semaines?"
    r"|maand(?:en)?|months?|monat(?:en)?|monate|mois|jaar|jaren|years?|jahr(?:en)?|jahre|ans?|années?)"
)
_AND_A_HALF = r"(?:\s+(?:en|and)\s+\d{1,2}\s+(?:minuten|minuut|minutes?|min))?"
_AGO = (
    re.compile(rf"(?<!\w){_COUNT}\s+(?:an?\s+)?{_UNIT}{_AND_A_HALF}\.?\s+(?:geleden|ago)(?!\w)", re.IGNORECASE),
    re.compile(r"(?<!\w)(?P<count>\d{1,3})\s?(?P<unit>min|[smhdwu])\.?\s+(?:geleden|ago)(?!\w)", re.IGNORECASE),
    re.compile(rf"(?<!\w)(?:vor|il y a)\s+{_COUNT}\s+{_UNIT}(?!\w)", re.IGNORECASE),
    re.compile(r"(?<!\w)(?:vor|il y a)\s+(?P<count>\d{1,3})\s(?P<unit>min|sec|h|j)(?!\w)", re.IGNORECASE),
)
_PART_BEFORE = re.compile(rf"(?<!\w){_COUNT}\s+{_UNIT}\s*(?:,|en|and|und|et)?\s*$", re.IGNORECASE)
# The unit's first letters decide; longer beginnings stand first ("minuten" before "m", "mois" before "m").
_SECONDS = (
    (("maand", "month", "monat", "mois"), 30 * 86400),
    (("kwartier",), 900),
    (("dag", "day", "tag", "jour", "d"), 86400),
    (("jaar", "jaren", "year", "jahr", "an"), 365 * 86400),
    (("w", "sem"), 7 * 86400),
    (("stund", "std"), 3600),
    (("s",), 1),
    (("m",), 60),
    (("u", "h"), 3600),
    (("j",), 86400),
)
_LAST_DAY = re.compile(
    rf"(?:(?P<week>vorige week|verleden week|last week|letzte woche)(?:\s+(?:op\s+|on\s+|am\s+)?(?P<of_week>{LONG_WEEKDAY}))?"
    rf"|(?P<of_week_fr>{LONG_WEEKDAY})?\s?(?P<week_fr>(?:de )?la semaine (?:dernière|passée))"
    rf"|(?:afgelopen|vorige|laatste|last|letzten|vergangenen)\s+(?P<day>{LONG_WEEKDAY})"
    rf"|(?P<day_fr>{LONG_WEEKDAY})\s+dernier)" + _CLOCK,
    re.IGNORECASE,
)


def read_relative(value: str, french: bool, zone: str, now: datetime) -> ReadDate | None:
    """The moment that a label counts back to. "hier" is yesterday in French only: in Dutch and German it means here."""
    if match := _NOW_WORDS.search(value):
        return ReadDate(now, Precision.TIME, match[0], RULE, Confidence.LIKELY)
    today = now.astimezone(ZoneInfo(zone)).date()
    if (match := _DAY_WORDS.search(value)) and (french or match["word"].lower() != "hier"):
        word = match["word"].lower().replace("’", "'")
        return _at(match, today - timedelta(days=_DAYS_BACK.get(word, 1)), zone, Confidence.LIKELY)
    for pattern in _AGO:
        if match := pattern.search(value):
            # "1 dag en 2 uur geleden" is not two hours ago.
            return None if _PART_BEFORE.search(value[: match.start()]) else _ago(match, today, zone, now)
    if (match := _LAST_DAY.search(value)) and _is_all(value, match):
        return _last_day(match, today, zone)
    return None


def _is_all(value: str, match: re.Match[str]) -> bool:
    """These words begin many a sentence, too: they are a date only where a label holds nothing else."""
    return LEAD.fullmatch(value[: match.start()]) is not None and TAIL.fullmatch(value[match.end() :]) is not None


def _last_day(match: re.Match[str], today: date, zone: str) -> ReadDate | None:
    """A day of "vorige week" is in the week before this one; "afgelopen dinsdag" is the last Tuesday before today."""
    if match["week"] or match["week_fr"]:
        name = match["of_week"] or match["of_week_fr"]
        if name is None:
            return _at(match, today - timedelta(days=7), zone, Confidence.GUESSED)
        monday = today - timedelta(days=today.weekday() + 7)
        return _at(match, monday + timedelta(days=WEEKDAYS[name.lower()]), zone, Confidence.LIKELY)
    back = (today.weekday() - WEEKDAYS[(match["day"] or match["day_fr"]).lower()] - 1) % 7 + 1
    return _at(match, today - timedelta(days=back), zone, Confidence.LIKELY)


def _ago(match: re.Match[str], today: date, zone: str, now: datetime) -> ReadDate | None:
    """Hours and less count from now; days and more name a day, as they are rounded anyway."""
    name, unit = match["count"].lower(), match["unit"].lower()
    seconds = next(size for starts, size in _SECONDS if unit.startswith(starts))
    back = timedelta(seconds=_count(name) * seconds)
    sure = Confidence.GUESSED if name in VAGUE_COUNTS or seconds > 7 * 86400 else Confidence.LIKELY
    if seconds < 86400:
        return ReadDate(now - back, Precision.TIME, match[0], RULE, sure)
    try:
        day = today - back
    except OverflowError:
        return None
    found = exact(match[0], (day.year, day.month, day.day), None, None, zone, RULE, sure)
    return replace(found, confidence=sure) if found else None


def _count(name: str) -> float:
    if name.isdecimal():
        return int(name)
    return 1.5 if name.startswith("anderhal") else 0.5 if name.startswith("hal") else COUNTS[name]


def _at(match: re.Match[str], day: date, zone: str, sure: Confidence) -> ReadDate | None:
    clock = None
    if match["hour"] is not None:
        half, hour = (match["half"] or "").lower(), int(match["hour"])
        hour = hour % 12 + (12 if half.startswith("p") else 0) if half and 1 <= hour <= 12 else hour
        clock = hour, int(match["minute"]), 0
    return exact(match[0].strip(), (day.year, day.month, day.day), clock, None, zone, RULE, sure)
