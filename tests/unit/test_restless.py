"""What moves by itself is no update: known phrases are left out of the hash, unknown ones come to rest."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pipeline.collect.normalise import normalise
from pipeline.collect.restless import LOOK_BACK, Verdict, judge
from pipeline.models import CandidateItem, Image, ParsedItem, ParsedSource, PastVersion, SourceKind

NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def read(text: str, **changes: object) -> CandidateItem:
    item = replace(ParsedItem(url="/a/", title="Een bericht"), content_html=text, **changes)  # type: ignore[arg-type]
    source = ParsedSource(SourceKind.PAGE, "page", (item,))
    (found,), _remarks = normalise(source, base_url="https://example.org/", language="nl", now=NOW)
    return found


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("<p>Bericht.</p><p>2 uur geleden</p>", "<p>Bericht.</p><p>3 uur geleden</p>"),
        ("<p>Bericht.</p><p>zojuist</p>", "<p>Bericht.</p><p>een minuut geleden</p>"),
        ("<p>Posted 5 minutes ago</p>", "<p>Posted an hour ago</p>"),
        ("<p>vor 2 Stunden</p>", "<p>vor 3 Stunden</p>"),
        ("<p>il y a 2 heures</p>", "<p>il y a 3 heures</p>"),
        ("<p>Bericht.</p><span>1.204 keer bekeken</span>", "<p>Bericht.</p><span>1.301 keer bekeken</span>"),
        ("<p>Views: 120</p>", "<p>Views: 121</p>"),
        ("<p>geen reacties</p>", "<p>12 reacties</p>"),
        ("<p>Het is dinsdag 24 november 2026, 10:42 uur</p>", "<p>Het is dinsdag 24 november 2026, 11:42 uur</p>"),
        ("<p>10:42:07</p>", "<p>10:42:09</p>"),
        ('<p>Bericht.</p><a href="/b?nonce=a1b2c3">x</a>', '<p>Bericht.</p><a href="/b?nonce=ffee01">x</a>'),
        ('<p>Bericht.</p><a href="/b?x=1690000001">x</a>', '<p>Bericht.</p><a href="/b?x=1690000055">x</a>'),
        ('<p>Bericht.</p><a href="/ad/1"><img src="/1.png"></a>', '<p>Bericht.</p><a href="/ad/2"><img src="/2.png"></a>'),
        ('<a href="http://example.org/b">x</a>', '<a href="https://example.org/b">x</a>'),
        ("<p>sessie 0a1b2c3d4e5f60718293</p>", "<p>sessie 99887766554433221100ab</p>"),
    ],
)
def test_what_moves_by_itself_is_no_change(before: str, after: str) -> None:
    assert read(before).content_hash == read(after).content_hash


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("<p>Aanvang 14:00 uur</p>", "<p>Aanvang 15:00 uur</p>"),
        ("<p>Op 21 juni</p>", "<p>Op 22 juni</p>"),
        ("<p>80 miljoen euro</p>", "<p>90 miljoen euro</p>"),
        ('<a href="/rapport-1.pdf">Rapport</a>', '<a href="/rapport-2.pdf">Rapport</a>'),
        ('<a href="/b?id=12">x</a>', '<a href="/b?id=13">x</a>'),
        ("<p>Wij zijn tevreden</p>", "<p>Wij zijn ontevreden</p>"),
    ],
)
def test_what_a_reader_would_see_is_a_change(before: str, after: str) -> None:
    assert read(before).content_hash != read(after).content_hash


def test_a_random_value_in_a_picture_address_is_no_change() -> None:
    one, other = (read("", summary="Tekst", image=Image(f"/i.jpg?v={value}")) for value in (1, 2))
    assert one.content_hash == other.content_hash


def version(number: int, text: str, until: datetime) -> PastVersion:
    made = read(text)
    return PastVersion(number, until, made.url, made.title, made.summary, made.content_html, made.content_hash)


def run(texts: list[str], every: timedelta = HOUR) -> list[Verdict]:
    """The verdict on each reading, as a collect applies it."""
    stored, past, said = version(0, texts[0], NOW), [], []
    for count, text in enumerate(texts[1:], 1):
        now = NOW + count * every
        seen = read(text)
        if seen.content_hash == stored.content_hash:
            continue
        said.append(judge(stored, seen, [one for one in past if one.until >= now - LOOK_BACK], now))
        if said[-1] is not Verdict.WAIT:
            past.append(replace(stored, until=now))
            stored = version(0, text, now)
    return said


def test_a_correction_that_is_taken_back_is_shown_as_it_was_at_once() -> None:
    assert run(["Goed", "Fout", "Goed"]) == [Verdict.TAKE, Verdict.BACK]


def test_a_text_that_alternates_comes_to_rest() -> None:
    assert run(["Banner een", "Banner twee"] * 8)[2:] == [Verdict.WAIT] * 7


def test_three_texts_that_take_turns_come_to_rest() -> None:
    said = run(["Lees ook dit", "Lees ook dat", "Lees ook ginds"] * 7)
    assert said.count(Verdict.TAKE) + said.count(Verdict.BACK) == 3


def test_a_figure_that_always_moves_is_followed_twice_in_a_week() -> None:
    said = run([f"Stappen gezet: {number}" for number in range(100)])
    assert [said.count(verdict) for verdict in Verdict] == [2, 0, 97]


def test_a_text_behind_a_moving_figure_is_still_followed() -> None:
    texts = [f"Stappen gezet: {number}" for number in range(6)]
    assert run([*texts, "Geen stappen meer"])[-1] is Verdict.TAKE


def test_whatever_changes_at_every_look_changes_six_times_a_day_at_most() -> None:
    words = [f"woord {'abcdefghijklmnopqrstuvwxyz'[number]}" for number in range(24)]
    assert run(words).count(Verdict.TAKE) == 6


def test_a_change_a_day_is_always_taken() -> None:
    assert set(run(["een", "twee", "drie", "een", "twee", "drie"], timedelta(days=1, minutes=1))) == {Verdict.TAKE}
