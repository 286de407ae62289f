"""A story is merged with its twin at another site only where it surely is one: a false merge hides it from everybody."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.collect.likeness import bands, same_story, told, unlike

PAIRS = json.loads((Path(__file__).parents[1] / "data/likeness_pairs.json").read_text(encoding="utf-8"))


def test_most_press_releases_at_two_sites_are_found_and_are_one_story() -> None:
    """Those that were rewritten more than edited are missed: a story shown twice is less bad than one that nobody gets."""
    found = 0
    for one, other in PAIRS["same"]:
        first, second = told(*one), told(*other)
        found += bool(set(bands(first)) & set(bands(second))) and same_story(first, second) > 0
        assert same_story(first, second) == same_story(second, first)
    assert found >= 0.85 * len(PAIRS["same"])


@pytest.mark.parametrize(("one", "other"), PAIRS["other"], ids=[one[0] for one, _ in PAIRS["other"]])
def test_series_columns_vacancies_and_meetings_stay_apart(one: list[str], other: list[str]) -> None:
    assert same_story(told(*one), told(*other)) == 0


def test_a_short_text_is_never_compared() -> None:
    short = told("Een lange titel die overal hetzelfde is", "Lees het hele bericht op onze site.")
    assert bands(short) == ()
    assert same_story(short, short) == 0


def test_bands_are_the_same_in_every_process() -> None:
    assert bands(told(*PAIRS["same"][0][0]))[:2] == ("00044758cdc0677ff6", "014d67d03bf8b6b924")


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=400), st.text(max_size=400), st.text(max_size=400))
def test_any_texts_can_be_compared(title: str, one: str, other: str) -> None:
    first, second = told(title, one), told(title, other)
    assert 0 <= same_story(first, second) <= 1
    assert len(bands(first)) in (0, 20)
    assert all(len(band) <= 24 for band in bands(first))
    assert isinstance(unlike(title, one, title, other), bool)


def test_an_edited_title_is_not_another_story_and_a_new_one_is() -> None:
    old = ("Nieuwe leergang voor schoolopleiders", "In januari start een leergang voor schoolopleiders die hun rol verdiepen.")
    assert not unlike("Leergang schoolopleiders uitgesteld", "De leergang begint later.", *old)
    assert not unlike("Wachten tot maart", "In maart start een leergang voor schoolopleiders die hun rol willen verdiepen.", *old)
    assert unlike("Fusie van twee scholen gaat door", "De fusie aan de rand van het dorp gaat door, besloot het bestuur.", *old)
