"""Dates as machines write them (ISO 8601, RFC 822, asctime), and the moment that a day and a clock time in a zone are."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from unicodedata import normalize
from zoneinfo import ZoneInfo

from pipeline.models import Confidence, Precision, ReadDate

Clock = tuple[int, int, int]

_MAX_TEXT = 300
_ISO = re.compile(
    r"(\d{4})-(\d{2})-(\d{2})"
    r"(?:[T ]+(\d{2}):(\d{2})(?::(\d{2})(?:[.,]\d{1,9})?)?\s*(Z|UTC|GMT|[+-]\d{2}:?\d{2}|[+-]\d{2})?)?",
    re.IGNORECASE | re.ASCII,
)
_ISO_BASIC = re.compile(r"(\d{4})(\d{2})(\d{2})T(\d{2})(\d{2})(\d{2})?(Z|[+-]\d{4})?", re.ASCII)
_EN_WEEKDAY = r"(?:mon(?:day)?|tue(?:s(?:day)?)?|wed(?:nesday)?|thu(?:r(?:s(?:day)?)?)?|fri(?:day)?|sat(?:urday)?|sun(?:day)?)"
_EN_MONTH = (
    r"(jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sep(?:t(?:ember)?)?|oct(?:ober)?|nov(?:ember)?"
    r"|dec(?:ember)?)"
)
_RFC822 = re.compile(
    rf"(?:{_EN_WEEKDAY}\.?,?\s+)?(\d{{1,2}})\s+{_EN_MONTH}\.?\s+(\d{{4}}|\d{{2}})"
    r"(?:\s+(\d{1,2}):(\d{2})(?::(\d{2}))?(?:\s+([+-]\d{4}|[a-z]{1,5}))?(?:\s*\([^()]*\))?)?",
    re.IGNORECASE | re.ASCII,
)
_ASCTIME = re.compile(
    rf"{_EN_WEEKDAY},?\s+{_EN_MONTH}\s+(\d{{1,2}})\s+(\d{{1,2}}):(\d{{2}}):(\d{{2}})\s+(?:([+-]\d{{4}}|[a-z]{{1,5}})\s+)?(\d{{4}})",
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


def read_iso(text: str, zone: str) -> ReadDate | None:
    """A machine's date: ISO 8601 as in ``<time datetime>`` and Atom (RFC 3339), RFC 822 as in RSS, or asctime; else None.

    Without an offset it is a time in ``zone``. An unknown zone abbreviation gives None: it may be hours off.
    """
    value = one_line(text)
    if match := _ISO.fullmatch(value) or _ISO_BASIC.fullmatch(value):
        day = int(match[1]), int(match[2]), int(match[3])
        return exact(value, day, _clock(match, 4), match[7], zone, "iso", Confidence.CERTAIN)
    if match := _RFC822.fullmatch(value):
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
    """The zone of "+02:00", "GMT+2", "CEST" or, where nothing is said, of the source; None for what nobody knows."""
    if not offset:
        return ZoneInfo(zone)
    name, _, _ = offset.partition("+" if "+" in offset else "-")
    if len(name) < len(offset):
        digits = re.sub(r"\D", "", offset).ljust(4, "0")
        hours, minutes = int(digits[:2]), int(digits[2:])
        if hours > 14 or minutes > 59:
            return None
        return timezone((-1 if "-" in offset else 1) * timedelta(hours=hours, minutes=minutes))
    hours_east = _OFFSETS.get(offset.lower())
    return None if hours_east is None else timezone(timedelta(hours=hours_east))


def _month(name: str) -> int:
    return _ENGLISH_MONTHS.index(name[:3].lower()) + 1


def _clock(match: re.Match[str], first: int) -> Clock | None:
    return None if match[first] is None else (int(match[first]), int(match[first + 1]), int(match[first + 2] or 0))
