"""What an item is called that has no title of its own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.collect.naming import is_untitled, named_by_address, title_of_address, unnamed
from tests.store.builders import candidate


@pytest.mark.parametrize(
    ("url", "title"),
    [
        ("https://www.example.org/nieuws/een-nieuwe-school/", "Een nieuwe school"),
        ("https://www.example.org/2026/11/een_nieuwe+school.html?id=3#top", "Een nieuwe school"),
        ("https://www.example.org/nieuws/caf%C3%A9-%22open%22", 'Café "open"'),
        ("https://www.example.org/plan-2.0/", "Plan 2.0"),
        ("https://www.example.org/", "www.example.org"),
        ("https://www.example.org/---/", "www.example.org"),
    ],
)
def test_a_title_is_made_from_the_last_part_of_the_path(url: str, title: str) -> None:
    assert title_of_address(url) == title


@given(st.text())
def test_a_title_is_one_line_of_bounded_length(path: str) -> None:
    title = title_of_address(f"https://www.example.org/{path.translate(dict.fromkeys(map(ord, '[]')))}")
    assert title == " ".join(title.split())
    assert 0 < len(title) <= 200


def test_only_what_has_no_title_is_named_or_left_unnamed() -> None:
    told, untold = candidate(), candidate(title=candidate().url)
    assert (is_untitled(told), is_untitled(untold), is_untitled(unnamed(untold))) == (False, True, True)
    assert (named_by_address(told), unnamed(told)) == (told, told)
    assert named_by_address(untold).title == "Bericht 1"
