"""The words of dates in nl, en, de and fr: no month or weekday name means two things in them, so one table serves all four."""

from __future__ import annotations

import re

_MONTH_NAMES = (
    "januari january januar jänner janvier jan jän janv",
    "februari february februar februarie février fevrier feber feb febr févr fevr fév fev",
    "maart march märz maerz mars mrt mar mär mrz maa",
    "april avril apr avr",
    "mei may mai",
    "juni june juin jun",
    "juli july juillet jul juil juill",
    "augustus august août aout aug aoû",
    "september septembre sep sept",
    "oktober october octobre okt oct",
    "november novembre nov",
    "december dezember décembre decembre dec dez déc",
)
_WEEKDAY_NAMES = (
    "maandag monday montag lundi ma mon mo lun lu",
    "dinsdag tuesday dienstag mardi di tue tues mar",
    "woensdag wednesday mittwoch mercredi wo woe wed weds mi mer me",
    "donderdag thursday donnerstag jeudi do don thu thur thurs jeu je",
    "vrijdag friday freitag vendredi vr vrij fri fr ven ve",
    "zaterdag saturday samstag sonnabend samedi za zat sat sa sam",
    "zondag sunday sonntag dimanche zo zon sun so dim",
)
_COUNT_NAMES = (
    "een één a an one ein eine einer einem einen un une",
    "twee two zwei deux",
    "drie three drei trois paar few several enkele einige einigen paaren quelques",
    "vier four quatre",
    "vijf five fünf cinq",
    "zes six sechs",
    "zeven seven sieben sept",
    "acht eight huit",
    "negen nine neun neuf",
    "tien ten zehn dix",
)


def _table(rows: tuple[str, ...], first: int) -> dict[str, int]:
    return {name: number for number, row in enumerate(rows, first) for name in row.split()}


def _either(names: dict[str, int]) -> str:
    """An alternation in which a longer name goes before the one that it begins with."""
    return "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))


MONTHS = _table(_MONTH_NAMES, 1)
WEEKDAYS = _table(_WEEKDAY_NAMES, 0)
COUNTS = _table(_COUNT_NAMES, 1)
VAGUE_COUNTS = frozenset(("paar", "few", "several", "enkele", "einige", "einigen", "paaren", "quelques"))
MONTH = _either(MONTHS)
WEEKDAY = _either(WEEKDAYS)
LONG_WEEKDAY = _either({name: day for name, day in WEEKDAYS.items() if len(name) >= 5})
COUNT = _either(COUNTS)

# What may stand around a date that says less than day, month and year, in a text that holds nothing else.
LEAD = re.compile(
    r"[\W_]{0,3}(?:(?:geplaatst|gepubliceerd|gewijzigd|bijgewerkt|laatst|nieuws|bericht|datum|posted|published|updated|last|news|date"
    r"|on|op|veröffentlicht|aktualisiert|erstellt|vom|am|den|datum|publié|mis à jour|le|de|van|door|redactie)[:.,]?\s{1,2}){0,4}"
    r"[\W_]{0,3}",
    re.IGNORECASE,
)
TAIL = re.compile(r"[\W_]{0,3}(?:(?:uur|uhr|h|u)\b\.?)?[\W_]{0,3}(?:(?:door|by|von|par)\s[^\d]{1,60})?", re.IGNORECASE)
