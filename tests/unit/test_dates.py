from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from babel.dates import format_date, format_datetime
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.collect.dates import FUTURE, Order, languages_for, order_of, read_date, read_iso, stated_date
from pipeline.models import Confidence, Precision

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
        ("nl", "22 jan '19", "2019-01-22"),
        ("nl", "22 jan ’99", "1999-01-22"),
        ("nl", "22 jan 19", "2019-01-22"),
        ("nl", "22-05-19", "2019-05-22"),
        ("nl", "22-mei-2019", "2019-05-22"),
        ("nl", "Wo 22 mei 2019 om 14 uur", "2019-05-22 14:00"),
        ("nl", "22 mei", "2020-05-22"),
        ("nl", "Geplaatst op 22 mei door Redactie", "2020-05-22"),
        ("nl", "22 mei, 14:05 uur", "2020-05-22 14:05"),
        ("nl", "29 mei", "2020-05-29"),
        ("nl", "31 mei", "2020-05-31"),
        ("nl", "5 juni", "2019-06-05"),
        ("nl", "29 februari", "2020-02-29"),
        ("nl", "vr 22 mei", "2020-05-22"),
        ("nl", "wo 22 mei", "2019-05-22"),
        ("nl", "vorige week dinsdag", "2020-05-19"),
        ("nl", "vorige week", "2020-05-22"),
        ("nl", "afgelopen dinsdag", "2020-05-26"),
        ("nl", "afgelopen vrijdag", "2020-05-22"),
        ("nl", "anderhalf uur geleden", "2020-05-29 10:30"),
        ("nl", "een half uur geleden", "2020-05-29 11:30"),
        ("nl", "een kwartier geleden", "2020-05-29 11:45"),
        ("nl", "drie weken geleden", "2020-05-08"),
        ("nl", "3u geleden", "2020-05-29 09:00"),
        ("nl", "een paar dagen geleden", "2020-05-26"),
        ("nl", "2019/05/22", "2019-05-22"),
        ("nl", "22. 5. 2019", "2019-05-22"),
        ("nl", "Wed May 22 2019 14:05:00 GMT+0200 (CEST)", "2019-05-22 14:05"),
        ("en", "May 22", "2020-05-22"),
        ("en", "May 22, '19", "2019-05-22"),
        ("en", "last Tuesday", "2020-05-26"),
        ("en", "2 hrs ago", "2020-05-29 10:00"),
        ("en", "3d ago", "2020-05-26"),
        ("en", "half an hour ago", "2020-05-29 11:30"),
        ("en", "Wed 05/06/2019", "2019-06-05"),
        ("en", "Mon 05/06/2019", "2019-05-06"),
        ("en", "3 Sep 2019, 2 pm", "2019-09-03 14:00"),
        ("de", "22.Mai 2019", "2019-05-22"),
        ("de", "22.05.19", "2019-05-22"),
        ("de", "letzten Dienstag", "2020-05-26"),
        ("de", "vor einer halben Stunde", "2020-05-29 11:30"),
        ("de", "vor 3 Std.", "2020-05-29 09:00"),
        ("de", "1. Jänner 2019", "2019-01-01"),
        ("fr", "mardi dernier", "2020-05-26"),
        ("fr", "il y a 2 h", "2020-05-29 10:00"),
        ("fr", "jeudi 2 janv. 2020", "2020-01-02"),
        ("fr", "22 fe\u0301vrier 2019", "2019-02-22"),
        ("es", "22 de mayo de 2019", "2019-05-22"),
        ("es", "Publicado el 3 ene. 2020 por la redacción", "2020-01-03"),
        ("es", "hace 2 días", "2020-05-27"),
        ("es", "22 de mayo", "2020-05-22"),
        ("it", "22 maggio 2019 14:05", "2019-05-22 14:05"),
        ("it", "ieri", "2020-05-28"),
        ("pl", "22 maja 2019", "2019-05-22"),
        ("pl", "2 dni temu", "2020-05-27"),
        ("ru", "22 мая 2019 г.", "2019-05-22"),
        ("ja", "2019年5月22日", "2019-05-22"),
        ("xx", "22 mei 2019", "2019-05-22"),
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
        "22 – 24 mei 2019",
        "22-24 mei 2019",
        "22 en 23 mei 2019",
        "wo 22 t/m vr 24 mei 2019",
        "22 mei - 3 juni 2019",
        "22 mei 2019, 14:00 - 16:00 uur",
        "21 juni | Themabijeenkomst",
        "Netwerkdag 22 mei",
        "22 mei 19 reacties",
        "do 4 juni",
        "za 20 juni",
        "30 februari",
        "Vorige week dinsdag was het feest",
        "versie 14.5",
        "mei 22",
        "1 dag en 2 uur geleden",
        "3-2",
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
        ("Wed May 22 14:05:00 2019", "2019-05-22T12:05:00+00:00"),
        ("Wed May 22 14:05:00 +0000 2019", "2019-05-22T14:05:00+00:00"),
        ("20190522T140500Z", "2019-05-22T14:05:00+00:00"),
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


@pytest.mark.parametrize(
    ("text", "language", "confidence"),
    [
        ("2019-05-22T14:05:00Z", "nl", Confidence.CERTAIN),
        ("Wed, 22 May 2019 07:00:00 +0000", "nl", Confidence.CERTAIN),
        ("22 May 19 14:05:00 -0500", "nl", Confidence.GUESSED),
        ("22 mei 2019", "nl", Confidence.LIKELY),
        ("05-06-2019", "nl", Confidence.LIKELY),
        ("05/06/2019", "en-GB", Confidence.LIKELY),
        ("05/06/2019", "en", Confidence.GUESSED),
        ("22/05/2019", "en", Confidence.LIKELY),
        ("22-05-19", "nl", Confidence.GUESSED),
        ("22 jan '19", "nl", Confidence.GUESSED),
        ("22 mei", "nl", Confidence.GUESSED),
        ("do 22 mei 2019", "nl", Confidence.GUESSED),
        ("2 dagen geleden", "nl", Confidence.LIKELY),
        ("2 maanden geleden", "nl", Confidence.GUESSED),
        ("27 oktober 2019 02:30", "nl", Confidence.GUESSED),
        ("31 maart 2019 02:30", "nl", Confidence.GUESSED),
    ],
)
def test_a_date_says_how_sure_it_is(text: str, language: str, confidence: Confidence) -> None:
    found = read_date(text, languages=languages_for(language), zone=ZONE, now=NOW)
    assert found is not None
    assert found.confidence is confidence


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("27 oktober 2019 02:30", "2019-10-27T00:30:00+00:00"),
        ("31 maart 2019 02:30", "2019-03-31T01:30:00+00:00"),
        ("2019-10-27 02:30", "2019-10-27T00:30:00+00:00"),
    ],
)
def test_a_time_that_the_clocks_skip_or_repeat_is_read_with_the_offset_before(text: str, moment: str) -> None:
    found = read_date(text, languages=("nl",), zone=ZONE, now=NOW)
    assert found is not None
    assert found.at.isoformat() == moment


@pytest.mark.parametrize(
    ("texts", "order"),
    [
        (["05-06-2019", "05/22/2019"], "MDY"),
        (["05-06-2019", "22/05/2019"], "DMY"),
        (["22-05-2019", "05-22-2019"], None),
        (["05-06-2019", "01/02/2020", "geen datum"], None),
        (["45/01/2019", "13/13/2019"], None),
        ([], None),
    ],
)
def test_the_dates_of_a_document_together_prove_their_order(texts: list[str], order: Order | None) -> None:
    assert order_of(texts) == order


def test_what_a_document_proves_counts_more_than_its_language() -> None:
    orders: tuple[tuple[Order, str | None, str | None], ...] = (("MDY", "2019-05-06", None), ("DMY", "2019-06-05", "2019-05-22"))
    for order, small, large in orders:
        for language in ("nl", "en", "en-US"):
            for text, day in (("05/06/2019", small), ("22/05/2019", large)):
                found = read_date(text, languages=(language,), zone=ZONE, now=NOW, order=order)
                assert (str(found.at.date()) if found else None) == day
                assert found is None or found.confidence is Confidence.LIKELY


def test_an_unbelievable_date_is_stated_but_not_read() -> None:
    for text in ("31 december 2031", "2031-12-31", "1 januari 1970"):
        found = stated_date(text, languages=("nl",), zone=ZONE, now=NOW)
        assert found is not None
        assert found.text == text
        assert read_date(text, languages=("nl",), zone=ZONE, now=NOW) is None


PAST = st.dates(min_value=datetime(1990, 1, 2).date(), max_value=NOW.date() - timedelta(days=1))  # noqa: DTZ001


@settings(max_examples=60, deadline=None)
@given(PAST, st.sampled_from(["nl", "en-GB", "en-US", "de", "fr"]), st.sampled_from(["full", "long", "medium", "short"]))
def test_every_rendering_of_a_day_reads_back_as_that_day(day: date, language: str, length: str) -> None:
    text = format_date(day, length, locale=language.replace("-", "_"))
    for label in (text, f"Nieuws {text}", f"{text} | Redactie"):
        assert shown(label, language) == str(day)


@settings(max_examples=60, deadline=None)
@given(PAST, st.times(), st.sampled_from(["nl", "en-GB", "en-US", "de", "fr"]), st.sampled_from(["long", "medium", "short"]))
def test_every_rendering_of_a_time_reads_back_as_that_time(day: date, time: time, language: str, length: str) -> None:
    local = datetime.combine(day, time.replace(second=0, microsecond=0), ZoneInfo("Asia/Tokyo"))
    text = format_datetime(local, length, locale=language.replace("-", "_")).replace("+0900", "+09:00").replace(" JST", " +09:00")
    found = read_date(text, languages=languages_for(language), zone="Asia/Tokyo", now=NOW)
    assert found is not None
    assert found.at == local.astimezone(UTC)


@settings(max_examples=100, deadline=None)
@given(st.dates(min_value=date(2019, 5, 31), max_value=date(2020, 5, 31)), st.sampled_from(["nl", "de", "fr", "en"]))
def test_a_day_without_its_year_is_the_nearest_past_one(day: date, language: str) -> None:
    month_first = language == "en"
    text = format_date(day, "MMMM d" if month_first else "d MMMM", locale=language)
    read = shown(text, language)
    assert read == (str(day) if day >= date(2019, 6, 1) else "2020-05-31")
    assert shown(format_date(day, "EEEE ", locale=language) + text, language) in (str(day), None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Wed, 22 May 2019 14:05:00 -05:00", "2019-05-22 21:05"),
        ("mer, 22 mai 2019 14:05:00 -05:00", "2019-05-22 21:05"),
        ("Wed, 22 May 2019 14:05:00-0500", "2019-05-22 21:05"),
        ("Wed, 22 May 2019 14:05:00 --0500", "2019-05-22 21:05"),
        ("Wed, 22 May 2019 14:05:00 -05", "2019-05-22 21:05"),
        ("Wed, 22 May 2019 14:05:00 GMT+2", "2019-05-22 14:05"),
        ("Wed,22 May 2019 14:05 UTC", "2019-05-22 16:05"),
        ("Wed, 22 May 2019 14:05:00 America/New_York", "2019-05-22 20:05"),
        ("wo 22 mei 2019 14:05 America/New_York", "2019-05-22 20:05"),
        ("Wed, 22 May 2019 14:05:00 ET", "2019-05-22 20:05"),
        ("Tue, 22 Jan 2019 14:05:00 PT", "2019-01-22 23:05"),
        ("Wed, 22 May 2019 14:05:00 JST", "2019-05-22 07:05"),
        ("Wed (een dag), 22(e) May 2019 14:05 +0000 (zomer (tijd", None),
        ("Wed (een dag), 22(nd) May 2019 14:05 (uur) +0000 (zomertijd)", "2019-05-22 16:05"),
        ("2019-5-2T9:05:00Z", "2019-05-02 11:05"),
        ("2019-05-22 14:05:00 EST", "2019-05-22 21:05"),
        ("2019-05-22T14:05:00-05:00Z", "2019-05-22 21:05"),
        ("2016-12-31T23:59:60Z", "2017-01-01 00:59"),
    ],
)
def test_zones_as_feeds_write_them_give_the_moment_that_is_meant(text: str, expected: str | None) -> None:
    assert shown(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "Wed, 22 May 2019 14:05:00 IST",
        "Wed, 22 May 2019 14:05:00 QQ",
        "Wed, 22 May 2019 14:05:00 Mars/Olympus_Mons",
        "Wed, 22 May 2019 14:05:00 America/Argentina",
        "2019-05-22 14:05:00 IST",
        "2019-05-22T02:05:00 PM",
    ],
)
def test_a_time_in_a_zone_that_nobody_knows_is_only_a_day(text: str) -> None:
    assert shown(text) == "2019-05-22"
