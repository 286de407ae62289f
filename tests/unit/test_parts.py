"""Names of feeds of parts: safe, told by the word alone, never shared, and kept by whoever had them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.publish.parts import assign, fold, names_for, names_for_source, spelled

SAFE = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("Onderwijs", "onderwijs"),
        ("  Zorg &  Welzijn ", "zorg-welzijn"),
        ("Café", "cafe"),
        ("Smørrebrød", "smorrebrod"),
        ("STRASSE", "strasse"),
        ("Straße", "strasse"),
        ("’s-Hertogenbosch", "s-hertogenbosch"),
        ("po/vo", "po-vo"),
        ("№ 5", "no-5"),
        ("ＰＯ", "po"),
    ],
)
def test_a_word_gives_the_name_that_one_would_guess(word: str, name: str) -> None:
    assert names_for(word)[0] == name


@pytest.mark.parametrize("word", ["教育", "Образование", "C++", "C#", "100 €", "🎈", "...", "", "x" * 61, "أخبار", "नि", "A教"])
def test_where_something_would_go_the_name_ends_in_a_hash(word: str) -> None:
    assert re.search(r"(?:^|-)[0-9a-f]{8}$", names_for(word)[0])


@given(st.text())
def test_any_word_gives_safe_names_and_the_same_ones_however_it_is_spelled(word: str) -> None:
    assert all(SAFE.fullmatch(name) for name in names_for(word))
    assert names_for(word) == names_for(fold(word))


@given(st.text())
def test_any_address_gives_safe_names(path: str) -> None:
    assert all(SAFE.fullmatch(name) for name in names_for_source(f"https://www.example.org/{path}"))


@given(st.lists(st.text(alphabet="aAáÁ -.+", max_size=3)), st.lists(st.text(alphabet="aAáÁ -.+", max_size=3)))
def test_no_two_words_share_a_name_and_who_had_one_keeps_it(before: list[str], after: list[str]) -> None:
    had = assign({word: names_for(word) for word in spelled(before)}, {})
    found = assign({word: names_for(word) for word in spelled([*after, *before])}, had)
    assert len(set(found.values())) == len(found)
    assert found.items() >= had.items()


def test_sources_are_named_by_host_then_by_path_then_by_a_hash() -> None:
    urls = [
        "https://www.example.org/nieuws/",
        "https://example.org/agenda?x=1",
        "https://example.org/agenda?x=2",
        "https://öbb.at/",
    ]
    names = list(assign({url: names_for_source(url) for url in urls}, {}).values())
    assert names[:2] == ["example-org", "example-org-agenda"]
    assert re.fullmatch(r"example-org-[0-9a-f]{8}", names[2])
    assert names[3] == "obb-at"
