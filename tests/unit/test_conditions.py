"""What a reader says it takes and has: RFC 9110's rules for Accept-Encoding, If-None-Match and If-Modified-Since."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.web.conditions import BROTLI, GZIP, IDENTITY, codings, is_unchanged, moment_of, named


@pytest.mark.parametrize(
    ("accepted", "wanted"),
    [
        (None, (IDENTITY,)),
        ("", (IDENTITY,)),
        ("gzip", (GZIP, IDENTITY)),
        ("br", (BROTLI, IDENTITY)),
        ("gzip, deflate, br, zstd", (BROTLI, GZIP, IDENTITY)),
        ("GZIP ; Q=1.000 ,x-gzip", (GZIP, IDENTITY)),
        ("gzip;q=1.0, br;q=0.5", (GZIP, BROTLI, IDENTITY)),
        ("gzip;q=0", (IDENTITY,)),
        ("gzip;q=0.0, br", (BROTLI, IDENTITY)),
        ("identity, gzip;q=0.5", (IDENTITY, GZIP)),
        ("identity;q=0, gzip", (GZIP,)),
        ("identity;q=0", (IDENTITY,)),  # nothing suits, and plain bytes are better than nothing
        ("*;q=0", (IDENTITY,)),
        ("br, *;q=0", (BROTLI,)),
        ("*", (GZIP, IDENTITY)),
        ("gzip;q=0, *", (IDENTITY,)),
        ("identity;q=0, *", (GZIP,)),
        ("gzip;q=2, br;q=-1, identity;q=x", (IDENTITY,)),  # no weights: RFC 9110 §12.4.2
        ("gzip;level=9", (IDENTITY,)),
        ("zstd, compress", (IDENTITY,)),
    ],
)
def test_the_coding_is_the_best_that_the_reader_takes(accepted, wanted):
    assert codings(accepted) == wanted


@pytest.mark.parametrize(
    ("header", "tags"),
    [
        ('"a"', {"a"}),
        ('W/"a"', {"a"}),
        ('"a", W/"b" ,"c"', {"a", "b", "c"}),
        (' "a","b"', {"a", "b"}),
        (',, "a" ,\t"b",', {"a", "b"}),
        ('"a,b", "c"', {"a,b", "c"}),
        ('"*"', {"*"}),
        ('"a', set()),
        ("a", set()),
        ("", set()),
    ],
)
def test_entity_tags_are_read_whatever_stands_between_them(header, tags):
    assert named(header) == tags


def test_a_star_stands_for_whatever_there_is():
    assert named(" * ") == {None}
    assert None not in named('"*", *')


@pytest.mark.parametrize(
    "text",
    [
        *("", "yesterday", "0", "Tue, 24 Nov 2026", "2026-11-24T08:00:00Z"),
        *("Mon, 01 Jan 2024 00:00:00 +99999999999999", "Tue, 99 Nov 2026 08:00:00 GMT", "Tue, 24 Nov 99999 08:00:00 GMT"),
    ],
)
def test_what_is_no_date_says_nothing(text):
    assert moment_of(text) is None


@pytest.mark.parametrize("text", ["Tue, 24 Nov 2026 07:00:00 GMT", "Tuesday, 24-Nov-26 07:00:00 GMT", "Tue Nov 24 07:00:00 2026"])
def test_all_three_kinds_of_dates_are_read(text):
    assert moment_of(text) == 1_795_503_600


def test_a_file_that_went_back_in_time_is_not_what_a_reader_had_later():
    changed, put_back = 1000, 5000.5
    assert is_unchanged(1000, changed, put_back)
    assert not is_unchanged(999, changed, put_back)
    assert not is_unchanged(2000, changed, put_back), "it had what was there before the backup came back"
    assert is_unchanged(5001, changed, put_back), "a clock that asked since then"


@given(st.text())
def test_no_header_fails(text):
    assert codings(text)
    assert named(text) is None or all('"' not in tag for tag in named(text) or ())
    moment_of(text)
