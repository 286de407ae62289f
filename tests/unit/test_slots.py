"""Slots: local clock times as UTC moments, through clock changes, short months and downtime."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.jobs.slots import latest_missed, next_same_time, next_slot
from pipeline.models import Cadence, Rhythm

AMSTERDAM = "Europe/Amsterdam"


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def daily(time: str, zone: str = AMSTERDAM) -> Rhythm:
    return Rhythm(Cadence.DAILY, time=time, zone=zone)


def slots(rhythm: Rhythm, after: datetime, count: int) -> list[str]:
    found = []
    for _ in range(count):
        after = next_slot(rhythm, after)
        found.append(f"{after:%Y-%m-%dT%H:%M}")
    return found


def test_a_half_past_two_digest_comes_once_when_the_clock_goes_back() -> None:
    # 2026-10-25: 02:30 comes twice in Amsterdam; the first (CEST, 00:30Z) is the one.
    expected = ["2026-10-24T00:30", "2026-10-25T00:30", "2026-10-26T01:30"]
    assert slots(daily("02:30"), utc("2026-10-23T12:00"), 3) == expected


def test_a_half_past_two_digest_comes_once_at_half_past_three_when_the_clock_goes_forward() -> None:
    # 2027-03-28: 02:30 does not exist in Amsterdam; RFC 5545 3.3.5 makes it 03:30 CEST, 01:30Z.
    expected = ["2027-03-27T01:30", "2027-03-28T01:30", "2027-03-29T00:30"]
    assert slots(daily("02:30"), utc("2027-03-26T12:00"), 3) == expected


def test_a_slot_is_strictly_after_the_moment_asked() -> None:
    assert next_slot(daily("08:00"), utc("2026-11-24T07:00")) == utc("2026-11-25T07:00")
    assert next_slot(daily("08:00"), utc("2026-11-24T06:59:59.999999")) == utc("2026-11-24T07:00")


def test_the_subscribers_own_zone_counts() -> None:
    assert next_slot(daily("08:00", "America/New_York"), utc("2026-11-24T07:00")) == utc("2026-11-24T13:00")
    assert next_slot(daily("08:00", "Pacific/Kiritimati"), utc("2026-11-24T00:00")) == utc("2026-11-24T18:00")


def test_weekly_falls_on_its_weekday() -> None:
    tuesday = Rhythm(Cadence.WEEKLY, weekday=1, time="08:00", zone=AMSTERDAM)
    assert slots(tuesday, utc("2026-11-23T12:00"), 2) == ["2026-11-24T07:00", "2026-12-01T07:00"]


def test_the_thirty_first_is_the_last_day_of_a_shorter_month() -> None:
    monthly = Rhythm(Cadence.MONTHLY, day=31, time="08:00", zone="UTC")
    expected = ["2027-01-31T08:00", "2027-02-28T08:00", "2027-03-31T08:00", "2027-04-30T08:00"]
    assert slots(monthly, utc("2027-01-01T00:00"), 4) == expected


def test_instant_has_no_slots() -> None:
    with pytest.raises(ValueError, match="instant"):
        next_slot(Rhythm(Cadence.INSTANT), utc("2026-11-24T07:00"))


def test_the_latest_missed_slot_after_three_days_down() -> None:
    due = utc("2026-11-24T07:00")
    assert latest_missed(daily("08:00"), due, utc("2026-11-27T07:05")) == utc("2026-11-27T07:00")
    assert latest_missed(daily("08:00"), due, utc("2026-11-27T06:55")) == utc("2026-11-26T07:00")


def test_a_slot_put_off_to_another_day_counts_though_it_is_outside_the_rhythm() -> None:
    tuesday = Rhythm(Cadence.WEEKLY, weekday=1, time="08:00", zone=AMSTERDAM)
    wednesday = next_same_time(tuesday, utc("2026-11-24T19:00"))
    assert wednesday == utc("2026-11-25T07:00")
    assert latest_missed(tuesday, wednesday, utc("2026-11-25T07:01")) == wednesday


def test_an_hour_that_is_still_to_come_today_is_not_put_off_to_tomorrow() -> None:
    # Three days down until Friday 06:00: Friday's 08:00 is the next such hour.
    assert next_same_time(daily("08:00"), utc("2026-11-27T05:00")) == utc("2026-11-27T07:00")


ZONES = ("Europe/Amsterdam", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia", "UTC")
RHYTHMS = st.builds(
    Rhythm,
    st.sampled_from([Cadence.DAILY, Cadence.WEEKLY, Cadence.MONTHLY]),
    weekday=st.integers(0, 6),
    day=st.integers(1, 31),
    time=st.builds(lambda hour, minute: f"{hour:02}:{minute:02}", st.integers(0, 23), st.integers(0, 59)),
    zone=st.sampled_from(ZONES),
)


@settings(deadline=None, max_examples=200)
@given(RHYTHMS, st.integers(946684800, 2208988800).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)))
def test_slots_only_go_forward_and_at_most_one_falls_on_a_local_day(rhythm: Rhythm, after: datetime) -> None:
    first = next_slot(rhythm, after)
    second = next_slot(rhythm, first)
    assert after < first < second
    zone = ZoneInfo(rhythm.zone)
    assert first.astimezone(zone).date() < second.astimezone(zone).date()
    longest = {Cadence.DAILY: 2, Cadence.WEEKLY: 8, Cadence.MONTHLY: 32}[rhythm.cadence]
    assert second - first <= timedelta(days=longest)
