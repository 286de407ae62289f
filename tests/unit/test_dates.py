from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.collect.dates import FUTURE, languages_for, read_date, read_iso
from pipeline.models import Precision

ZONE = "Europe/Amsterdam"
NOW = datetime(2020, 5, 29, 10, 0, tzinfo=UTC)


def shown(text: str, language: str = "nl", now: datetime = NOW) -> str | None:
    """What a person in Amsterdam would see: a day, or a day and a time."""
    found = read_date(text, languages=languages_for(language), zone=ZONE, now=now)
    if found is None:
        return None
    local = found.at.astimezone(ZoneInfo(ZONE))
    if found.precision is Precision.DAY:
        assert (local.hour, local.minute) == (12, 0)
        return f"{local:%Y-%m-%d}"
    return f"{local:%Y-%m-%d %H:%M}"


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("nl", "22 mei 2019", "2019-05-22"),
        ("nl", "wo 22 mei 2019 14:05", "2019-05-22 14:05"),
        ("nl", "3 mrt. 2020", "2020-03-03"),
        ("nl", "05-06-2019", "2019-06-05"),
        ("nl", "Geplaatst op 22 mei 2019", "2019-05-22"),
        ("nl", "22 mei 2019 door Redactie", "2019-05-22"),
        ("nl", "Nieuws 22 mei 2019", "2019-05-22"),
        ("nl", "woensdag 22 mei 2019 om 14.05 uur", "2019-05-22 14:05"),
        ("nl", "22 mei 2019 | 3 reacties", "2019-05-22"),
        ("nl", "gisteren", "2020-05-28"),
        ("nl", "eergisteren", "2020-05-27"),
        ("nl", "2 dagen geleden", "2020-05-27"),
        ("nl", "vandaag 14:05", "2020-05-29 14:05"),
        ("nl", "een uur geleden", "2020-05-29 11:00"),
        ("nl", "zojuist", "2020-05-29 12:00"),
        ("en", "May 22, 2019", "2019-05-22"),
        ("en", "Posted on 22nd May 2019 by the editors", "2019-05-22"),
        ("en", "Sept. 3, 2019 4:05 pm", "2019-09-03 16:05"),
        ("en", "an hour ago", "2020-05-29 11:00"),
        ("en", "just now", "2020-05-29 12:00"),
        ("de", "Mi, 22. Mai 2019, 14:05 Uhr", "2019-05-22 14:05"),
        ("de", "Veröffentlicht am 05.06.2019", "2019-06-05"),
        ("de", "3. März 2020", "2020-03-03"),
        ("de", "vor 2 Tagen", "2020-05-27"),
        ("de", "gerade eben", "2020-05-29 12:00"),
        ("fr", "mer. 22 mai 2019 à 14h05", "2019-05-22 14:05"),
        ("fr", "Publié le 1er août 2019", "2019-08-01"),
        ("fr", "05/06/2019", "2019-06-05"),
        ("fr", "il y a une heure", "2020-05-29 11:00"),
        ("fr", "hier", "2020-05-28"),
        ("fr", "à l’instant", "2020-05-29 12:00"),
    ],
)
def test_dates_read_as_a_reader_of_that_language_would(language: str, text: str, expected: str) -> None:
    assert shown(text, language) == expected


@pytest.mark.parametrize(
    ("language", "expected"), [("nl", "2019-06-05"), ("en", "2019-06-05"), ("en-GB", "2019-06-05"), ("en-US", "2019-05-06")]
)
def test_only_american_english_puts_the_month_first(language: str, expected: str) -> None:
    assert shown("05/06/2019", language) == expected


def test_a_month_above_twelve_is_turned_round_in_english_only() -> None:
    assert shown("05/22/2019", "en") == "2019-05-22"
    assert shown("05-22-2019", "nl") is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2019",
        "mei 2019",
        "22 mei",
        "12:30",
        "5",
        "32 mei 2019",
        "30-02-2019",
        "Lees het hier",
        "van 22 mei 2019 tot 25 mei 2019",
        "22 mei 1850",
        "22 mei 2029",
        "versie 1.2.2019.4",
        "010-05-06-2019",
    ],
)
def test_no_date_is_better_than_a_wrong_one(text: str) -> None:
    assert shown(text) is None


def test_a_month_name_of_another_language_is_understood_if_all_agree() -> None:
    assert shown("22 March 2019", "nl") == "2019-03-22"


def test_a_time_in_an_unknown_zone_keeps_the_day_and_drops_the_guess() -> None:
    assert shown("22 May 2019 14:05 XYZ", "en") == "2019-05-22"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2019-10-27T02:30:00+01:00", "2019-10-27T01:30:00+00:00"),
        ("2019-05-22T14:05:00Z", "2019-05-22T14:05:00+00:00"),
        ("2019-05-22T14:05:00", "2019-05-22T12:05:00+00:00"),
        ("2019-05-22 14:05", "2019-05-22T12:05:00+00:00"),
        ("2019-05-22", "2019-05-22T10:00:00+00:00"),
        ("Wed, 22 May 2019 07:00:00 +0000", "2019-05-22T07:00:00+00:00"),
        ("Wed, 22 May 2019 14:05:00 CEST", "2019-05-22T12:05:00+00:00"),
        ("Fri, 22 Nov 2019 14:05 CET", "2019-11-22T13:05:00+00:00"),
        ("22 May 19 14:05:00 -0500", "2019-05-22T19:05:00+00:00"),
        ("Wed, 22 May 2019 14:05:00 XYZ", None),
        ("2019-13-22", None),
        ("0001-01-01T00:00:00+14:00", None),
        ("22 mei 2019", None),
    ],
)
def test_machine_dates_are_exact(text: str, expected: str | None) -> None:
    found = read_iso(text, ZONE)
    assert (found.at.isoformat() if found else None) == expected


@settings(max_examples=300, deadline=None)
@given(
    st.text(max_size=120)
    | st.from_regex(r"\d{1,4}[-./ ]\w{1,9}[-./ ]\d{1,4}[ T,]*\d{0,2}[:.h]?\d{0,3} ?[A-Z+-]{0,4}\d{0,5}", fullmatch=True)
)
def test_any_text_gives_a_plausible_date_or_none(text: str) -> None:
    found = read_date(text, languages=("nl", "en"), zone=ZONE, now=NOW)
    assert found is None or datetime(1990, 1, 1, tzinfo=UTC) <= found.at <= NOW + FUTURE


@settings(max_examples=100, deadline=None)
@given(st.dates(min_value=datetime(1990, 1, 2).date(), max_value=(NOW - timedelta(days=1)).date()))  # noqa: DTZ001
def test_every_dutch_day_reads_back_as_itself(day: object) -> None:
    months = ("jan", "februari", "mrt", "april", "mei", "juni", "juli", "aug", "sept", "oktober", "nov", "december")
    assert shown(f"{day:%d} {months[day.month - 1]} {day:%Y}") == str(day)  # type: ignore[attr-defined, str-bytes-safe]
    assert shown(f"{day:%d-%m-%Y}") == str(day)


@pytest.mark.parametrize("text", ["Zaal 12 marketing 2024", "Team 5 junior 2023", "Deel 3 decor 2019", "Nieuws 4 mayonaise 2021"])
def test_words_that_begin_like_an_english_month_are_no_date(text: str) -> None:
    assert read_iso(text, "Europe/Amsterdam") is None
    assert read_date(text, languages=("nl", "en"), zone="Europe/Amsterdam", now=datetime(2026, 11, 24, tzinfo=UTC)) is None
