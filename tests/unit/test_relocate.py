"""Remembered items are found again on a page, whatever its markup, and the selectors that are proposed give just its news."""

from __future__ import annotations

import contextlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.collect.apart import ReaderProcesses
from pipeline.collect.apart_answers import pack, unpack
from pipeline.collect.document import Order
from pipeline.collect.relocate import PARTS, look_for
from pipeline.config import PageSettings
from pipeline.errors import ReadError
from pipeline.models import Proposal, SourceKind, Whereabouts

PAGES = Path(__file__).parent.parent / "data" / "listings"
URL = "https://www.example.org/nieuws/"
ORDER = Order(SourceKind.AUTO, PageSettings(), "nl", "Europe/Amsterdam", 500, datetime(2026, 11, 24, 8, tzinfo=UTC))
STORIES = [(f"Een bericht over onderwerp {word}", f"/nieuws/{word}/") for word in ("appel", "beuk", "ceder", "den", "els", "fijn")]
REMEMBERED = [(title, urljoin(URL, url)) for title, url in STORIES]
CARD = (
    '<article class="kaart"><a href="{1}"><img src="/p.jpg" alt=""></a>'
    '<h3><a href="{1}">{0}</a></h3><p>20 november 2026</p></article>'
)


def look(body: str | bytes, remembered: list[tuple[str, str]] = REMEMBERED, url: str = URL) -> Whereabouts:
    return look_for(body.encode() if isinstance(body, str) else body, url, {}, ORDER, remembered)


def proposal(body: str, remembered: list[tuple[str, str]] = REMEMBERED) -> Proposal:
    found = look(body, remembered).proposal
    assert found is not None
    return found


def titles(found: Proposal) -> list[str]:
    return [one.title for one in found.reading.candidates]


def cards(stories: list[tuple[str, str]] = STORIES, card: str = CARD) -> str:
    return "".join(card.format(*story) for story in stories)


def told(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((PAGES / f"{name}.json").read_text("utf-8"))
    return found


LISTINGS = sorted(path.stem for path in PAGES.glob("*.html") if len(told(path.stem).get("items", ())) > 1)


@pytest.mark.parametrize("name", LISTINGS)
def test_the_news_of_every_kind_of_page_is_found_by_what_is_remembered_of_it_and_nothing_else(name: str) -> None:
    """The lists of news of all sample pages: exactly their items, with their dates."""
    expected = told(name)
    remembered = [(title, urljoin(expected["url"], url)) for title, url, *_ in expected["items"]]
    order = Order(SourceKind.AUTO, PageSettings(), expected.get("language", "nl"), ORDER.zone, 500, ORDER.now)
    found = look_for((PAGES / f"{name}.html").read_bytes(), expected["url"], {}, order, remembered).proposal
    assert found is not None
    assert [(one.title, one.url) for one in found.reading.candidates] == remembered
    dated = sum(one.published is not None for one in found.reading.candidates)
    assert dated == sum(bool(item[2]) for item in expected["items"])
    PageSettings.model_validate({part: getattr(found, part) for part in PARTS})
    assert found.item or found.unaided


def test_the_simplest_selectors_are_proposed() -> None:
    found = proposal(f"<main>{cards()}</main>")
    assert [getattr(found, part) for part in PARTS] == ["article.kaart", "h3", "a", "p", ""]


def test_rows_of_cards_are_not_taken_for_items() -> None:
    """An old item may be the only known one in its row."""
    newer = [(f"Een nieuw verhaal over {word}", f"/nieuws/{word}/") for word in ("goud", "hout", "ijzer", "jade")]
    mixed = [STORIES[0], *newer[:2], STORIES[1], *newer[2:]]
    rows = f'<div class="rij">{cards(mixed[:3])}</div><div class="rij">{cards(mixed[3:])}</div>'
    assert titles(proposal(f"<main>{rows}</main>")) == [title for title, _url in mixed]


def test_the_first_story_in_a_larger_block_of_its_own_comes_along() -> None:
    lead = '<div class="kop"><section><article class="kaart"><h2><a href="{1}">{0}</a></h2></article></section></div>'
    page = f"<main>{lead.format(*STORIES[0])}<div>{cards(STORIES[1:])}</div></main>"
    assert titles(proposal(page)) == [title for title, _url in STORIES]


def test_the_same_items_in_a_sidebar_do_not_come_twice_or_instead() -> None:
    aside = "".join(f'<li><div><b><i><u></u></i></b><div><a href="{url}">{title}</a></div></div></li>' for title, url in STORIES)
    found = proposal(f'<aside class="sidebar"><ul>{aside}</ul></aside><main>{cards()}</main>')
    assert (found.item, found.known) == ("article.kaart", 6)


def test_a_menu_with_two_of_the_items_is_no_list_of_news() -> None:
    links = [(f"Een pagina over {number}", f"/over/{number}/") for number in range(30)]
    menu = "".join(f'<li><a href="{url}">{title}</a></li>' for title, url in [*links, *STORIES[:2]])
    found = look(f"<nav><ul>{menu}</ul></nav>")
    assert (found.found, found.proposal) == (2, None)


def test_one_item_alone_proves_nothing() -> None:
    found = look(f"<main>{cards(STORIES[:1])}</main>")
    assert (found.found, found.proposal) == (1, None)


def test_short_titles_and_titles_that_several_items_have_are_no_proof() -> None:
    remembered = [("Contact", "https://a.example/1"), ("Over ons", "https://a.example/2")]
    remembered += [("Lees het hele bericht", f"https://a.example/{number}") for number in (3, 4)]
    page = "".join(f"<li><h3><a href='/x/{title}'>{title}</a></h3></li>" for title, _url in remembered)
    assert look(f"<ul>{page}</ul>", remembered).found == 0


def test_addresses_count_however_they_are_spelled() -> None:
    moved = [("x", url.replace("/nieuws/", "//www.example.org/nieuws/") + "?utm_source=site#top") for _title, url in STORIES]
    assert look(cards(moved)).found == 6


def test_names_with_numbers_are_not_proposed_because_the_next_build_has_others() -> None:
    page = cards(card='<div class="css-1ab2c3 kaart"><h3 class="t9"><a href="{1}">{0}</a></h3></div>')
    found = proposal(f'<main id="c7"><div id="lijst">{page}</div></main>')
    assert not any(char.isdigit() for part in PARTS for char in getattr(found, part).replace("h3", ""))
    assert found.item == "div.kaart"


def test_what_a_browser_never_shows_is_not_found() -> None:
    assert look(f"<template>{cards()}</template><script>{cards()}</script>").found == 0


def test_feeds_and_pages_called_news_are_named_for_a_further_look() -> None:
    links = {
        "/actueel/": "Actueel",
        "/nieuwsbrief/": "Nieuwsbrief",
        "/nieuws/": "Nieuws",
        "https://x.example/": "News",
        "/agenda": "Agenda",
    }
    anchors = "".join(f'<a href="{url}">{text}</a>' for url, text in links.items())
    head = '<link rel="alternate" type="application/rss+xml" href="/feed/">'
    found = look(f"<head>{head}</head>{anchors}")
    assert [offer.url for offer in found.offers] == ["https://www.example.org/feed/"]
    assert found.leads == ("https://www.example.org/actueel/",)


def test_the_answer_comes_whole_out_of_the_process_that_reads() -> None:
    found = look(f"<main>{cards()}</main>")
    assert unpack(pack(found)) == found
    with ReaderProcesses(1) as readers:
        there = readers.call(look_for, f"<main>{cards()}</main>".encode(), URL, {}, ORDER, REMEMBERED, about=URL)
    assert there == found


PIECES = st.sampled_from(
    [
        *(CARD.format(*story) for story in STORIES),
        *(f'<li class="a b"><a href="{url}">{title}</a></li>' for title, url in STORIES),
        *(f"<h2>{title}</h2><p>tekst</p>" for title, _url in STORIES),
        *(f"<{slash}{tag}>" for tag in ["div", "ul", "table", "tr", "td", "a", "main", "noscript", "svg"] for slash in ("", "/")),
        *(f'<div class="{name}">' for name in ("a", "a:b", "x>y", "-", "é", "1", "a" * 200, "\\", '"', "kaart item")),
        '<p id="a">',
        '<a href="http://[">',
        '<base href="//x:99999999">',
        "\0",
        "<template>",
        "<html hidden>",
    ]
)
TEXTS = st.tuples(st.text(max_size=40), st.sampled_from(["", *(url for _title, url in REMEMBERED), "https://a.example/%"]))


@settings(max_examples=150)
@given(st.lists(PIECES, max_size=40), st.lists(TEXTS, max_size=3))
def test_any_markup_gives_a_result_and_what_it_proposes_was_tried(pieces: list[str], others: list[tuple[str, str]]) -> None:
    found = look("".join(pieces), [*REMEMBERED, *others])
    assert 0 <= found.found <= len(REMEMBERED) + len(others)
    if found.proposal is not None:
        assert 2 <= found.proposal.known <= len(found.proposal.reading.candidates)
        PageSettings.model_validate({part: getattr(found.proposal, part) for part in PARTS})


@settings(max_examples=60)
@given(st.binary(max_size=400), st.booleans(), st.lists(TEXTS, max_size=5))
def test_any_bytes_give_a_result_or_a_reason(data: bytes, amid: bool, remembered: list[tuple[str, str]]) -> None:
    body = cards().encode() + data + cards().encode() if amid else data
    with contextlib.suppress(ReadError):
        assert look(body, remembered).found <= len(remembered)
