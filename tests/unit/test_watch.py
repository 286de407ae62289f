"""What a machine takes for a good answer and a person would not: each is named, and a flood waits for that person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pipeline.collect.watch import Glance, Past, is_burst, is_flood, judge, silence
from pipeline.models import CandidateItem, Precision, ReadDate

NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
URL = "https://www.example.org/nieuws/"


def item(number: int, at: datetime | None = NOW - timedelta(hours=1), title: str = "") -> CandidateItem:
    dated = None if at is None else ReadDate(at, Precision.TIME, "", "iso")
    url = f"{URL}{number}"
    made = CandidateItem((f"url:{url}",), url, title or f"Bericht {number}", "", "", "", dated, None, (), (), None, (), "nl", "0")
    return replace(made, content_hash=str(number))


def items(count: int, at: datetime | None = NOW - timedelta(hours=1)) -> list[CandidateItem]:
    return [item(number, at) for number in range(count)]


def readings(*found: int, dated: int | None = None) -> tuple[Glance, ...]:
    """Daily readings, the newest first."""
    return tuple(Glance(NOW - timedelta(days=n + 1), f, f if dated is None else dated, f) for n, f in enumerate(found))


def odd(shown: Sequence[CandidateItem], past: Past, answered: str = URL) -> str:
    return judge(shown, past, NOW, asked=URL, answered=answered)


def test_a_first_reading_and_one_like_those_before_are_not_odd() -> None:
    assert odd(items(10), Past()) == ""
    assert odd([], Past()) == ""
    assert odd(items(10), Past(readings(10, 10, 9))) == ""


def test_nothing_where_there_was_something_is_odd() -> None:
    assert odd([], Past(readings(12))) == "it shows no items; it showed 12 on 23 November 2026"
    assert odd([], Past(readings(0, 0, 12))) == "it shows no items; it showed 12 on 21 November 2026", "as long as it lasts"
    assert odd([], Past(readings(*[0] * 20), DAILY)) == "it shows no items; it showed some until 23 November 2026"
    assert odd([], Past(readings(0, 0))) == "", "it never showed any"


def test_a_sudden_drop_is_odd_and_a_slow_one_is_not() -> None:
    assert odd(items(3), Past(readings(10, 10, 12))) == "it shows 3 items where it used to show 10"
    assert odd(items(4), Past(readings(10, 10, 12))) == ""
    assert odd(items(1), Past(readings(3, 3, 3))) == "", "of a few items nothing can be told"
    assert odd(items(3), Past(readings(3, 4, 5, 7, 9))) == ""


def test_titles_all_alike_are_odd() -> None:
    assert odd([item(n, title="Lees meer") for n in range(8)], Past()) == "its 8 items have only 1 different titles"
    assert odd([item(n, title="Agenda" if n < 3 else "") for n in range(8)], Past()) == ""


def test_dates_that_are_gone_are_odd_and_dates_that_never_were_are_not() -> None:
    assert odd(items(5, None), Past(readings(5, 5, 5))) == "none of its 5 items has a date any more"
    assert odd(items(5, None), Past(readings(5, 5, 5, dated=0))) == ""
    lasting = (*readings(5, 5, dated=0), *readings(5, 5, 5))
    assert odd(items(5, None), Past(lasting)) == "none of its 5 items has a date any more", "as long as it lasts"


@pytest.mark.parametrize(
    ("answered", "wall"),
    [
        ("https://www.example.org/login?next=/nieuws/", True),
        ("https://sso.example.org/oauth2/authorize", True),
        ("https://consent.example.com/collect", True),
        ("https://www.example.org/inloggen/", True),
        ("https://www.example.org/nieuws", False),
        ("https://www.example.org/actueel/", False),
        ("https://www.example.org/blogin/", False),
    ],
)
def test_a_login_or_cookie_wall_is_odd(answered: str, wall: bool) -> None:
    assert ("login or a cookie wall" in odd(items(10), Past(), answered)) is wall


def test_silence_is_odd_where_it_is_much_longer_than_usual() -> None:
    weekly = [NOW - timedelta(days=70 + 7 * week) for week in range(6)]
    past = Past(arrivals=weekly)
    assert silence(past, NOW) == "nothing new for 70 days, though it used to bring something every 7 days"
    assert silence(past, NOW - timedelta(days=20)) == "", "50 days may be a summer"
    quarterly = [NOW - timedelta(days=200 + 90 * quarter) for quarter in range(6)]
    assert silence(Past(arrivals=quarterly), NOW) == ""
    assert silence(Past(arrivals=weekly[:3]), NOW) == "", "of three nothing can be told"


YESTERDAY = NOW - timedelta(days=1)
DAILY = tuple(NOW - timedelta(days=day) for day in range(1, 30))


def flood(shown: Sequence[CandidateItem], found: int, *, read_at: datetime | None = YESTERDAY) -> str:
    return is_flood(shown, found, Past(arrivals=DAILY, read_at=read_at), NOW)


def test_an_archive_that_shows_up_as_new_is_a_flood() -> None:
    old = NOW - timedelta(days=300)
    assert flood(items(9, old), 10) == "9 of 10 items are new at once, 9 of them older than the last reading or undated"
    assert flood(items(9, None), 10) != ""
    assert flood(items(30), 30) == "30 of 30 items are new at once, where about 1 would be usual"


def test_news_is_no_flood() -> None:
    assert flood(items(3), 10) == ""
    assert flood(items(9), 10) == "", "a busy day, dated today"
    assert flood(items(4, None), 4) == "", "a page of four"
    assert flood(items(30), 100) == "", "most of it is known"


def test_a_first_reading_is_no_flood_and_what_came_during_a_long_absence_is_none() -> None:
    assert flood(items(50, None), 50, read_at=None) == ""
    away = NOW - timedelta(days=30)
    since = [item(n, NOW - timedelta(days=n)) for n in range(25)]
    assert flood(since, 25, read_at=away) == ""


def test_a_rebuilt_site_that_dates_its_archive_by_the_import_is_a_burst_also_in_another_way() -> None:
    past = Past(arrivals=DAILY, read_at=YESTERDAY)
    assert is_burst(items(60), 60, past, NOW) == "60 of 60 items are new at once, where about 1 would be usual"
    assert is_burst(items(60, None), 60, past, NOW) == "", "undated ones are not mailed there anyway"
    assert is_burst(items(5), 60, past, NOW) == ""
