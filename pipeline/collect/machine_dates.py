"""Dates as machines write them (ISO 8601, RFC 822, asctime), and the moment that a day and a clock time in a zone are."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from unicodedata import normalize
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pipeline.models import Confidence, Precision, ReadDate

Clock = tuple[int, int, int]

_MAX_TEXT = 300
_ISO = re.compile(
    r"(\d{4})-(\d{1,2})-(\d{1,2})"
    r"(?:[T ]+(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,]\d{1,9})?)?\s*"
    r"(?:(Z|UTC|GMT|[+-]\d{2}:?\d{2}|[+-]\d{2}|(?-i:[A-Z]{2,5}))Z?)?)?",
    re.IGNORECASE | re.ASCII,
)
_ISO_BASIC = re.compile(r"(\d{4})(\d{2})(\d{2})T(\d{2})(\d{2})(\d{2})?(Z|[+-]\d{4})?", re.ASCII)
_EN_WEEKDAY = r"(?:mon(?:day)?|tue(?:s(?:day)?)?|wed(?:nesday)?|thu(?:r(?:s(?:day)?)?)?|fri(?:day)?|sat(?:urday)?|sun(?:day)?)"
_EN_MONTH = (
    r"(jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sep(?:t(?:ember)?)?|oct(?:ober)?|nov(?:ember)?"
    r"|dec(?:ember)?)"
)
_ZONE = r"(?:GMT|UTC?)?[+-]\d{1,2}(?::?\d{2})?|[a-z]{1,5}|[a-z]{2,20}/[a-z_]{2,30}(?:/[a-z_]{2,30})?"
_RFC822 = re.compile(
    rf"(?:{_EN_WEEKDAY}\.?\s?,?\s*)?(\d{{1,2}})\s+{_EN_MONTH}\.?\s+(\d{{4}}|\d{{2}})"
    rf"(?:\s+(\d{{1,2}}):(\d{{2}})(?::(\d{{2}}))?(?:\s*-?({_ZONE}))?)?",
    re.IGNORECASE | re.ASCII,
)
_ASCTIME = re.compile(
    rf"{_EN_WEEKDAY},?\s+{_EN_MONTH}\s+(\d{{1,2}})\s+(\d{{1,2}}):(\d{{2}}):(\d{{2}})\s+(?:([+-]\d{{4}}|[a-z]{{1,5}})\s+)?(\d{{4}})",
    re.IGNORECASE | re.ASCII,
)
_COMMENT = re.compile(r"\([^()]{0,100}\)")
_OFFSET = re.compile(r"[A-Z]{0,3}\s?([+-])(\d{1,2}?):?(\d{2})?", re.IGNORECASE | re.ASCII)
_ENGLISH_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_OFFSETS = {
    **dict.fromkeys(("z", "ut", "utc", "gmt", "wet"), 0),
    **dict.fromkeys(("cet", "met", "mez", "bst", "west"), 1),
    **dict.fromkeys(("cest", "mest", "mesz", "eet"), 2),
    **dict.fromkeys(("eest", "msk"), 3),
    **{"hkt": 8, "sgt": 8, "awst": 8, "jst": 9, "kst": 9, "aest": 10, "aedt": 11, "nzst": 12, "nzdt": 13, "sast": 2},
    **{"hst": -10, "akst": -9, "akdt": -8, "edt": -4, "est": -5, "cdt": -5, "cst": -6, "mdt": -6, "mst": -7, "pdt": -7, "pst": -8},
}
# What broadcasters of the United States write all year round.
_AMERICAN = {"at": "Halifax", "et": "New_York", "ct": "Chicago", "mt": "Denver", "pt": "Los_Angeles"}


def read_iso(text: str, zone: str) -> ReadDate | None:
    """A machine's date: ISO 8601 as in ``<time datetime>`` and Atom (RFC 3339), RFC 822 as in RSS, or asctime; else None.

    Without an offset it is a time in ``zone``. An unknown zone abbreviation may be hours off: after ISO 8601 the day alone is
    read, elsewhere it gives None. Comments (RFC 5322 §3.2.2) are left out.
    """
    value = one_line(text)
    if match := _ISO.fullmatch(value) or _ISO_BASIC.fullmatch(value):
        day = int(match[1]), int(match[2]), int(match[3])
        if match[7] and match[7].isalpha() and place_of(match[7], zone) is None:
            return exact(value, day, None, None, zone, "iso", Confidence.LIKELY)
        return exact(value, day, _clock(match, 4), match[7], zone, "iso", Confidence.CERTAIN)
    if match := _RFC822.fullmatch(" ".join(_COMMENT.sub(" ", value).split()) if "(" in value else value):
        short = len(match[3]) == 2
        year = int(match[3]) + ((2000 if int(match[3]) < 70 else 1900) if short else 0)
        sure = Confidence.GUESSED if short else Confidence.CERTAIN
        return exact(value, (year, _month(match[2]), int(match[1])), _clock(match, 4), match[7], zone, "rfc822", sure)
    if match := _ASCTIME.fullmatch(value):
        day = int(match[7]), _month(match[1]), int(match[2])
        return exact(value, day, _clock(match, 3), match[6], zone, "asctime", Confidence.CERTAIN)
    return None


def one_line(text: str) -> str:
    """White space as single spaces; texts longer than a label are cut: a date that far in is not the item's."""
    value = " ".join(text[: 4 * _MAX_TEXT].replace("\0", "").split())[:_MAX_TEXT]
    return value if value.isascii() else normalize("NFC", value)


def exact(
    text: str, day: tuple[int, int, int], clock: Clock | None, offset: str | None, zone: str, rule: str, sure: Confidence
) -> ReadDate | None:
    """The moment of a day (year, month, day) and a clock time; None where there is no such day, time or offset.

    A local time that the clocks skip in spring or show twice in autumn is read with the offset before the change
    (RFC 5545 3.3.5) and only guessed.
    """
    place = place_of(offset, zone)
    if place is None:
        return None
    try:
        local = datetime(*day, *(clock or (12, 0, 0)), tzinfo=place)
        at = local.astimezone(UTC)
        unsure = local.utcoffset() != local.replace(fold=1).utcoffset()
    except (ValueError, OverflowError):
        return None
    return ReadDate(at, Precision.TIME if clock else Precision.DAY, text, rule, Confidence.GUESSED if unsure else sure)


def place_of(offset: str | None, zone: str) -> tzinfo | None:
    """The zone of "+02:00", "GMT+2", "CEST", "Europe/Paris" or, where nothing is said, of the source; None: nobody knows it."""
    if not offset:
        return ZoneInfo(zone)
    if "/" in offset:
        return _named(offset)
    if match := _OFFSET.fullmatch(offset):
        hours, minutes = int(match[2]), int(match[3] or 0)
        if hours > 14 or minutes > 59:
            return None
        return timezone((-1 if match[1] == "-" else 1) * timedelta(hours=hours, minutes=minutes))
    if city := _AMERICAN.get(offset.lower()):
        return ZoneInfo(f"America/{city}")
    hours_east = _OFFSETS.get(offset.lower())
    return None if hours_east is None else timezone(timedelta(hours=hours_east))


def _named(name: str) -> tzinfo | None:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # an OSError where it names a folder of zones
        return None


def _month(name: str) -> int:
    return _ENGLISH_MONTHS.index(name[:3].lower()) + 1


def _clock(match: re.Match[str], first: int) -> Clock | None:
    """A leap second counts as the one before it, as everywhere in Python."""
    if match[first] is None:
        return None
    seconds = int(match[first + 2] or 0)
    return int(match[first]), int(match[first + 1]), 59 if seconds == 60 else seconds
