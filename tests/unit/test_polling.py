from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.collect.polling import (
    Ask,
    Known,
    Move,
    NextPoll,
    PollHistory,
    move_after,
    next_poll,
    repeats_after,
    settled_move,
    to_ask,
)
from pipeline.models import PollHints

NOW = datetime(2026, 11, 24, 8, 30, tzinfo=UTC)  # a Tuesday
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
BOTH = Known('W/"1"', "Mon, 23 Nov 2026 11:46:40 GMT", NOW - HOUR)
DATE = "Tue, 24 Nov 2026 08:00:00 GMT"


NO_HINTS = PollHints()


def poll(headers: dict[str, str] | None = None, *, hints: PollHints = NO_HINTS, every: timedelta = HOUR, **known: Any) -> NextPoll:
    return next_poll(PollHistory(every, seed="https://a.example/feed", **known), headers or {}, hints, NOW)


def after(found: NextPoll) -> timedelta:
    return found.when - NOW


@pytest.mark.parametrize(
    ("every", "why"),
    [
        (HOUR, "hourly, as the settings say"),
        (DAY, "daily, as the settings say"),
        (timedelta(minutes=15), "every 15 min, as the settings say"),
        (timedelta(hours=36), "every 1 d 12 h, as the settings say"),
    ],
)
def test_a_source_that_says_nothing_is_asked_as_the_settings_say(every: timedelta, why: str) -> None:
    assert poll(every=every, status=200) == NextPoll(NOW + every, why)


@pytest.mark.parametrize(
    ("headers", "wait", "why"),
    [
        ({"cache-control": "public, max-age=21600"}, 6 * HOUR, "the server's max-age says 6 h"),
        ({"cache-control": 'Max-Age="21600"', "age": "3600"}, 5 * HOUR, "the server's max-age says 5 h"),
        ({"expires": "Tue, 24 Nov 2026 11:00:00 GMT", "date": DATE}, 3 * HOUR, "the server's Expires says 3 h"),
        ({"expires": "Tue, 24 Nov 2026 11:00:00 GMT"}, 2.5 * HOUR, "the server's Expires says 2 h 30 min"),
        ({"cache-control": "max-age=7200", "expires": "Thu, 26 Nov 2026 11:00:00 GMT"}, 2 * HOUR, "the server's max-age says 2 h"),
        ({"cache-control": "max-age=60"}, HOUR, "hourly, as the settings say"),
        ({"cache-control": "max-age=21600, no-cache"}, HOUR, "hourly, as the settings say"),
        ({"cache-control": "s-maxage=21600"}, HOUR, "hourly, as the settings say"),
        ({"expires": "0"}, HOUR, "hourly, as the settings say"),
        ({"cache-control": "max-age=31536000"}, DAY + HOUR, "the server's max-age says 365 d; that is shortened to 1 d 1 h"),
        ({"expires": "Fri, 31 Dec 9999 23:59:59 GMT"}, DAY + HOUR, None),
        ({"cache-control": "max-age=" + "9" * 4000}, DAY + HOUR, None),
    ],
)
@pytest.mark.parametrize("status", [200, 304])
def test_the_servers_freshness_is_honoured_also_on_a_304_but_no_year(
    headers: dict[str, str], wait: timedelta, why: str | None, status: int
) -> None:
    found = poll(headers, status=status)
    assert after(found) == wait
    assert why is None or found.why == why


def test_the_document_may_ask_for_more_time() -> None:
    found = poll(hints=PollHints(at_least=timedelta(hours=4)))
    assert (after(found), found.why) == (4 * HOUR, "the document itself asks for 4 h (ttl or updatePeriod)")
    assert after(poll(hints=PollHints(at_least=timedelta.max))) == DAY + HOUR
    assert after(poll(hints=PollHints(at_least=timedelta(minutes=5)))) == HOUR


@pytest.mark.parametrize(
    ("seconds", "wait", "why"),
    [
        (7200.0, 2 * HOUR, "it asked for 2 h by Retry-After"),
        (10**9, 7 * DAY, "it asked for 7 d by Retry-After"),
        (float("inf"), 7 * DAY, "it asked for 7 d by Retry-After"),
    ],
)
def test_retry_after_is_a_floor_of_at_most_a_week(seconds: float, wait: timedelta, why: str) -> None:
    found = poll(failures=1, status=503, retry_after=seconds)
    assert (after(found), found.why) == (wait, why)


@pytest.mark.parametrize("seconds", [5.0, -1.0, float("nan")])
def test_a_short_retry_after_does_not_undercut_the_settings(seconds: float) -> None:
    assert after(poll(failures=1, status=429, retry_after=seconds)) >= HOUR


def test_failures_wait_twice_as_long_each_time_up_to_a_day_and_never_end() -> None:
    found = [poll(failures=count, status=500) for count in range(1, 12)]
    for number, one in enumerate(found[:5]):
        assert HOUR * 2**number <= after(one) <= HOUR * 2**number * 1.1
    for one in (*found[5:], poll(failures=10**9)):
        assert 0.9 * DAY <= after(one) <= DAY
    assert found[0].why == "1st failure: once more after the usual time"
    assert found[2].why == "3rd failure: twice as long each time"
    assert found[10].why == "11th failure: daily until it is back"


def test_sources_that_fail_together_come_back_apart() -> None:
    moments = {next_poll(PollHistory(HOUR, 3, seed=f"https://{name}.example/"), {}, PollHints(), NOW).when for name in "abcdefgh"}
    assert len(moments) == 8


def test_a_source_polled_weekly_is_not_polled_daily_because_it_fails() -> None:
    assert after(poll(every=7 * DAY, failures=9)) == 7 * DAY


def test_gone_is_said_and_still_has_a_moment() -> None:
    found = poll(failures=1, status=410)
    assert found.when > NOW
    assert "gone for good" in found.why


@pytest.mark.parametrize(
    ("hints", "earliest", "why"),
    [
        (PollHints(skip_hours=frozenset({9, 10, 11})), datetime(2026, 11, 24, 12, tzinfo=UTC), "no polls at 11:00 UTC (skipHours)"),
        (PollHints(skip_days=frozenset({1})), datetime(2026, 11, 25, tzinfo=UTC), "no polls on Tuesday (skipDays)"),
        (PollHints(skip_days=frozenset(range(1, 7))), datetime(2026, 11, 30, tzinfo=UTC), "no polls on Sunday (skipDays)"),
        (
            PollHints(skip_hours=frozenset(range(1, 24)), skip_days=frozenset(range(1, 7))),
            datetime(2026, 11, 30, tzinfo=UTC),
            "no polls on Sunday (skipDays)",
        ),
    ],
)
def test_skip_hours_and_days_are_passed_over_and_not_to_the_second(hints: PollHints, earliest: datetime, why: str) -> None:
    found = poll(hints=hints)
    assert earliest <= found.when < earliest + timedelta(minutes=10)
    assert found.why == why


@pytest.mark.parametrize("hints", [PollHints(skip_hours=frozenset(range(24))), PollHints(skip_days=frozenset(range(7)))])
def test_to_skip_all_hours_or_days_is_no_wish(hints: PollHints) -> None:
    assert after(poll(hints=hints)) == HOUR


HEADER = (
    st.text(max_size=60)
    | st.from_regex(r"(max-age|MAX-AGE)\s*=\s*\"?[0-9]{0,30}", fullmatch=True)
    | st.just("Tue, 24 Nov 2026 08:00:00 GMT")
)
HEADERS = st.dictionaries(st.sampled_from(["cache-control", "expires", "date", "age", "retry-after"]), HEADER)
HINTS = st.builds(
    PollHints,
    at_least=st.none() | st.timedeltas(),
    skip_hours=st.frozensets(st.integers(-2, 26)),
    skip_days=st.frozensets(st.integers(-1, 8)),
)
HISTORY = st.builds(
    PollHistory,
    every=st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=7)),
    failures=st.integers(0, 10**6),
    status=st.integers(0, 999),
    retry_after=st.floats(),
    seed=st.text(max_size=20) | st.just("\ud800"),
)
MOMENTS = st.timedeltas(timedelta(0), timedelta(days=60_000)).map(lambda past: datetime(2000, 1, 1, tzinfo=UTC) + past)


@given(HISTORY, HEADERS, HINTS, MOMENTS)
@example(PollHistory(7 * DAY), {"cache-control": "max-age=99999999"}, PollHints(skip_days=frozenset(range(1, 7))), NOW)
def test_whatever_a_server_says_the_next_poll_is_within_eight_days(
    history: PollHistory, headers: dict[str, str], hints: PollHints, now: datetime
) -> None:
    found = next_poll(history, headers, hints, now)
    assert now < found.when <= now + timedelta(days=8)
    assert found.when - now >= min(history.every, 7 * DAY)
    assert found.why
    assert "\n" not in found.why
    assert found == next_poll(history, headers, hints, now)


@pytest.mark.parametrize(
    ("known", "why"),
    [
        (Known('"1"', "x", None), "the first request"),
        (Known('"1"', "x", NOW - HOUR, settings_changed=True), "the settings have changed"),
        (Known("", "", NOW - HOUR), "the source gave no validators"),
        (Known('"1"', "x", NOW - DAY), "once a day without conditions"),
        (Known('"1"', "x", NOW + 400 * DAY), "once a day without conditions"),
    ],
)
def test_the_whole_document_is_asked_for_first_daily_and_after_changed_settings(known: Known, why: str) -> None:
    asked = to_ask(known, NOW)
    assert not asked.conditional
    assert asked.why.startswith(why)


def test_validators_go_back_byte_for_byte_both_together() -> None:
    asked = to_ask(BOTH, NOW)
    assert (asked.etag, asked.last_modified) == ('W/"1"', "Mon, 23 Nov 2026 11:46:40 GMT")
    assert to_ask(Known('"1"', "", NOW - HOUR, repeats=9), NOW).etag == '"1"'


def polls(answers_304: Callable[[Ask], bool], count: int = 12) -> list[Ask]:
    """What is asked of a source with the same bytes for ever, which answers 304 where ``answers_304(asked)``."""
    known, asked = BOTH, []
    for _ in range(count):
        asked.append(to_ask(known, NOW))
        unchanged = answers_304(asked[-1])
        repeats = repeats_after(known, asked[-1], not_modified=unchanged, same_bytes=True)
        known = Known(known.etag, known.last_modified, known.whole_at, repeats)
    return asked


def test_behind_a_proxy_that_spoils_etags_last_modified_alone_brings_304_for_good() -> None:
    asked = polls(lambda one: not one.etag)
    assert [bool(one.etag) for one in asked] == [True] * 3 + [False] * 9
    assert asked[3].why == "3 times the same bytes though it was asked for changes: Last-Modified alone"


def test_behind_a_server_that_spoils_dates_etag_alone_brings_304_for_good() -> None:
    asked = polls(lambda one: not one.last_modified)
    assert [one.why.rpartition(": ")[2] for one in asked[3:6]] == ["Last-Modified alone", "ETag alone", "ETag alone"]
    assert asked[-1].last_modified == ""


def test_a_server_that_knows_no_304_is_asked_in_turns() -> None:
    assert {one.why.rpartition(": ")[2] for one in polls(lambda one: False)[3:]} == {
        "Last-Modified alone",
        "ETag alone",
        "both again",
    }


def test_news_and_unconditional_requests_are_no_repeats() -> None:
    known = Known('"1"', "x", NOW, 2)
    assert repeats_after(known, Ask("", "", ""), not_modified=False, same_bytes=True) == 2
    assert repeats_after(known, Ask('"1"', "x", ""), not_modified=False, same_bytes=False) == 0
    assert repeats_after(known, Ask('"1"', "x", ""), not_modified=True, same_bytes=True) == 0


def test_a_permanent_redirect_is_remembered_after_a_week_and_not_before() -> None:
    move = move_after(Move(), "https://a.example/", "https://b.example/", NOW)
    for day in range(7):
        move = move_after(move, "https://a.example/", "https://b.example/", NOW + day * DAY)
        assert settled_move(move.to, move.since, NOW + day * DAY) == ""
    assert settled_move(move.to, move.since, NOW + 7 * DAY) == "https://b.example/"
    assert move_after(move, "https://b.example/", "", NOW + 8 * DAY) == move


def test_a_redirect_that_changes_or_ends_begins_its_week_anew() -> None:
    move = Move("https://b.example/", NOW - 6 * DAY)
    assert move_after(move, "https://a.example/", "https://c.example/", NOW) == Move("https://c.example/", NOW)
    assert move_after(move, "https://a.example/", "", NOW) == Move()
    assert settled_move("", None, NOW) == ""
