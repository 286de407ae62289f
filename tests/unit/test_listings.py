"""Pages of every kind of markup give their news, whole and nothing else; a page without news says why."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urljoin
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pipeline
from pipeline.collect.normalise import normalise
from pipeline.collect.read_page import read_page
from pipeline.config import PageSettings
from pipeline.errors import ReadError
from pipeline.models import ParsedSource

PAGES = Path(__file__).parent.parent / "data" / "listings"
NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
ZONE = "Europe/Amsterdam"


def read(body: str | bytes, url: str = "https://www.example.org/nieuws/", language: str = "nl", **selectors: str) -> ParsedSource:
    data = body.encode() if isinstance(body, str) else body
    page = PageSettings.model_validate(selectors)
    return read_page(data, url=url, content_type="text/html", page=page, language=language, zone=ZONE, now=NOW)


def seen(parsed: ParsedSource, url: str, language: str) -> list[list[str]]:
    """What a visitor of the feed sees of each item: title, address, date, kicker, teaser, picture."""
    items, _remarks = normalise(parsed, base_url=url, language=language, now=NOW)
    return [
        [
            item.title,
            item.url,
            str(item.published.at.astimezone(ZoneInfo(ZONE)).date()) if item.published else "",
            item.kicker,
            item.summary,
            item.image.url if item.image else "",
        ]
        for item in items
    ]


def expected(name: str) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((PAGES / f"{name}.json").read_text("utf-8"))
    for item in told.get("items", []):
        item[1] = urljoin(told["url"], item[1])
        item[5] = urljoin(told["url"], item[5]) if item[5] else ""
    return told


ALL = sorted(path.stem for path in PAGES.glob("*.html"))
LISTINGS = [name for name in ALL if "items" in expected(name)]
NO_LISTINGS = [name for name in ALL if "why" in expected(name)]


@pytest.mark.parametrize("name", LISTINGS)
def test_a_page_gives_its_news_and_nothing_else(name: str) -> None:
    told = expected(name)
    parsed = read((PAGES / f"{name}.html").read_bytes(), told["url"], told["language"])
    assert seen(parsed, told["url"], told["language"]) == told["items"]
    assert parsed.next_page == told["next"]


@pytest.mark.parametrize("name", NO_LISTINGS)
def test_a_page_without_news_says_why_and_what_to_do(name: str) -> None:
    told = expected(name)
    with pytest.raises(ReadError, match="no listing found on the page: ") as caught:
        read((PAGES / f"{name}.html").read_bytes(), told["url"], told["language"])
    assert told["why"] in caught.value.reason
    assert caught.value.fix


def article(number: int, date: str = "mei 2026") -> str:
    return (
        f'<div class="b"><h3><a href="/nieuws/bericht-{number}">Bericht nummer {number}</a></h3><span>{number} {date}</span>'
        f"<p>Een teaser van enige lengte over bericht {number}.</p></div>"
    )


NEWS = f"<div class=l>{''.join(article(number) for number in (9, 8, 7))}</div>"
TITLES = ["Bericht nummer 9", "Bericht nummer 8", "Bericht nummer 7"]


def many(markup: str, count: int = 9) -> str:
    return "".join(markup.replace("#", str(number)) for number in range(1, count + 1))


BESIDE = {
    "tag cloud": many("<a href='/onderwerp/#'>onderwerp van lengte #</a> ", 60),
    "comments": "<h2>Reacties</h2>"
    + many("<li><a href='https://x#.example/a'>Jan #</a> 2 mei 2026 <p>Wat een goed stuk, zeer mee eens, dank u wel!</p></li>"),
    "products": "<h2>Boeken</h2>"
    + many("<div class=b><h3><a href='/p/#'>Handboek deel #</a></h3><p>Vierhonderd bladzijden, met een register.</p>€ #,95</div>"),
    "authors": "<h2>Onze auteurs</h2>"
    + many(
        "<div class=b><h3><a href='/wie/#'>Piet de Vries #</a></h3><p>Schrijft al jaar en dag over het onderwijs hier.</p></div>"
    ),
    "agenda": "<h2>Agenda</h2>"
    + many(
        "<div class=b><h3><a href='/agenda/#'>Bijeenkomst over lezen</a></h3>#-6-2026 <p>Met koffie en een gesprek na.</p></div>"
    ),
    "related": "<h2>Lees ook</h2>"
    + many("<div class=b><h3><a href='/dossier/#'>Een ouder verhaal nummer #</a></h3><span># mei 2020</span></div>"),
    "languages": "<ul><li><a href='/nl/x'>nl</a></li><li><a href='/en/x'>en</a></li><li><a href='/de/x'>de</a></li></ul>",
    "sponsors": many("<a href='https://s#.example/x'><img src='/s#.png' alt='Sponsor # met een lange naam'></a>"),
    "share": "<ul>" + many("<li><a href='https://social.example/share?u=#'>Deel dit bericht op netwerk #</a></li>", 5) + "</ul>",
    "breadcrumb": "<ol><li><a href='/'>Home</a></li><li><a href='/over'>Over</a></li><li><a href='/over/x'>Nieuws</a></li></ol>",
}


@pytest.mark.parametrize("name", BESIDE)
@pytest.mark.parametrize("first", [True, False])
def test_what_stands_beside_the_news_is_not_news(name: str, first: bool) -> None:
    parts = [f"<div class=z>{BESIDE[name]}</div>", f"<div class=z><h2>Nieuws</h2>{NEWS}</div>"]
    found = read(f"<body>{''.join(parts if first else reversed(parts))}</body>", url="https://www.example.org/")
    assert [item.title for item in found.items] == TITLES


@pytest.mark.parametrize("name", BESIDE)
def test_what_stands_beside_the_news_is_no_news_without_it_either(name: str) -> None:
    with pytest.raises(ReadError, match="no listing found"):
        read(f"<body>{BESIDE[name]}</body>", url="https://www.example.org/")


TEASER = "Een teaser van enige lengte over wat er is gebeurd."
NO_NEWS = {
    "cards in a sidebar": "<div class=sidebar>" + many("<div class=k><h3><a href='/b/#'>Kop #</a></h3>3 mei 2026</div>") + "</div>",
    "related stories with date and teaser": "<h2>Lees ook</h2>"
    + many(f"<div class=k><h3><a href='/b/#'>Een verhaal</a></h3><span>3 mei 2026</span><p>{TEASER}</p></div>"),
    "an agenda that is not called so": many(
        "<div class=k><h3><a href='/b/#'>Samen zingen</a></h3># maart 2027<p>" + TEASER + "</p></div>"
    ),
    "headlines of many sections": many("<li><a href='/s#/x'>Een lange tekst over dit onderdeel</a></li>"),
    "tags below a story called news": "<h1>Nieuws 22 mei</h1><p>"
    + many("<a rel=tag href='/tag/#'>over het onderwijs #</a>")
    + "</p>",
    "names below a heading called news": "<h1>Nieuws 22 mei</h1><p>" + many("<a href='/wie/#'>Jan de Wit #</a>") + "</p>",
    "a story's parts": f"<div><p>{TEASER} <a href='/x/a'>Foto bij het hele bericht</a></p></div>"
    "<div><time datetime='2026-05-03'>3 mei 2026</time> <a href='/y/b'>Interviews</a></div>",
}


@pytest.mark.parametrize("name", NO_NEWS)
def test_what_only_looks_like_news_is_not_taken_for_it(name: str) -> None:
    with pytest.raises(ReadError, match="no listing found"):
        read(f"<body>{NO_NEWS[name]}</body>", url="https://www.example.org/")


def test_an_agenda_is_said_to_be_one() -> None:
    with pytest.raises(ReadError, match="an agenda: the dates are still to come"):
        read(f"<body>{NO_NEWS['an agenda that is not called so']}</body>", url="https://www.example.org/")


def test_a_page_of_too_many_elements_says_that_the_rest_was_not_looked_at() -> None:
    found = read(f"<body>{NEWS}{'<hr>' * 61_000}</body>")
    assert [item.title for item in found.items] == TITLES
    assert found.skipped == ("only the first 60,000 elements of the page were looked at",)


def test_the_months_of_an_archive_are_one_listing() -> None:
    months = [
        f"<h2>{name}</h2><div class=m>{article(i)}{article(i + 10)}</div>" for i, name in ((1, "Mei 2026"), (2, "April 2026"))
    ]
    assert len(read(f"<body><h1>Nieuws</h1>{''.join(months)}</body>").items) == 4


SAVED = Path(pipeline.__file__).parent / "demo" / "pages"
ARTICLES = ("doorlopend-leren-en-de-bestuurder", "startende-leraren-in-de-regio", "wrap-up-gesprekstafels")


@pytest.mark.parametrize("name", ARTICLES)
def test_an_article_with_more_news_below_it_is_no_listing(name: str) -> None:
    with pytest.raises(ReadError, match="a single article"):
        read((SAVED / f"{name}.html").read_bytes(), f"https://www.example.org/nieuws/{name}/")


def test_a_listing_below_a_long_introduction_is_one() -> None:
    words = "<p>Hier leest u alles over het netwerk, de scholen en de mensen die er werken, iedere week opnieuw.</p>"
    assert len(read(f"<body><h1>Nieuws</h1>{words * 12}{NEWS}</body>").items) == 3


def test_a_headline_that_begins_with_more_is_a_headline() -> None:
    rows = "".join(f"<li><a href='/nieuws/{i}'>Meer geld voor school {i}</a> {i} mei 2026</li>" for i in (3, 2, 1))
    assert [item.title for item in read(f"<ul>{rows}</ul>").items] == [f"Meer geld voor school {i}" for i in (3, 2, 1)]


NEXT_PAGES = {
    "<link rel=next href='/nieuws/page/2/'>": "https://www.example.org/nieuws/page/2/",
    "<a rel='next nofollow' href='?page=2'>verder</a>": "https://www.example.org/nieuws/?page=2",
    "<div class=pagination><a href='?p=2'>Volgende</a></div>": "https://www.example.org/nieuws/?p=2",
    "<div class=pager><a href='/nieuws/oud'>Oudere berichten</a></div>": "https://www.example.org/nieuws/oud",
    "<p><a href='?seite=2'>Weiter »</a></p>": "https://www.example.org/nieuws/?seite=2",
    "<ul class=pages><li><a href='?page=2' aria-label='Page suivante'><svg></svg></a></li></ul>": "https://www.example.org/nieuws/?page=2",
    "<div><b>1</b> <a href='/nieuws/page/2/'>2</a> <a href='/nieuws/page/3/'>3</a></div>": "https://www.example.org/nieuws/page/2/",
    "<div class=pagination><a href='https://other.example/nieuws?page=2'>Volgende</a></div>": "",
    "<div class=pagination><a href='/nieuws/'>Volgende</a></div>": "",
    "<div class=pagination><a class=disabled href='?page=2'>Volgende</a></div>": "",
    "<div class=pagination><a href='#'>Volgende</a></div>": "",
    "<div class=pagination><a href='javascript:next()'>Volgende</a></div>": "",
    "<p><a href='/nieuws/bericht-9'>Weiter</a></p>": "",
    "<p><a href='/over-ons'>Volgende</a></p>": "",
}


@pytest.mark.parametrize("markup", NEXT_PAGES)
def test_the_next_page_is_found_and_nothing_else_is(markup: str) -> None:
    assert read(f"<body>{NEWS}{markup}</body>").next_page == NEXT_PAGES[markup]


def test_the_last_page_has_no_next_one() -> None:
    pager = "<div class=pagination><a href='?page=1'>1</a><a href='?page=2'>2</a><b>3</b><a href='?page=2'>Volgende</a></div>"
    assert read(f"<body>{NEWS}{pager}</body>", url="https://www.example.org/nieuws/?page=3").next_page == ""


def test_all_links_of_a_page_are_reported_absolute_and_at_most_five_thousand() -> None:
    found = read(f"<body>{NEWS}<a href='/nieuws/bericht-9#reacties'>x</a><a href='mailto:a@b.example'>y</a></body>").links
    assert found == {f"https://www.example.org/nieuws/bericht-{i}" for i in (9, 8, 7)}
    assert len(read(f"<body>{NEWS}{many('<a href=/#>x</a>', 6_000)}</body>").links) == 5_000


PICTURES = {
    "<img src=/a.jpg srcset='/s.jpg 300w, /m.jpg 900w, /l.jpg 1400w, /x.jpg 3000w'>": "/l.jpg",
    "<img srcset='/a.jpg 2x'>": "/a.jpg",
    "<img src='data:image/gif;base64,R0' data-lazy-src='/a.jpg'>": "/a.jpg",
    "<img src='/img/lazy.gif'><noscript><img src='/a.jpg'></noscript>": "/a.jpg",
    "<img src='/t.gif' width=1 height=1><img src='/a.jpg'>": "/a.jpg",
    "<img src='/avatar.jpg' width=32 height=32>": "",
    "<picture><source type='image/avif' srcset='/a.avif 9w'><source srcset='/a.webp 9w'><img src='/a.jpg'></picture>": "/a.webp",
    "<div style='color:red; background-image: url(\"/a.jpg\")'></div>": "/a.jpg",
    "<div data-bg='/a.jpg'></div>": "/a.jpg",
    "<img src='javascript:x'>": "",
}


@pytest.mark.parametrize("markup", PICTURES)
def test_the_picture_is_the_real_one_in_a_sensible_size(markup: str) -> None:
    first = article(9).replace("<h3>", f"{markup}<h3>")
    (item, *_rest) = read(f"<body>{first}{article(8)}</body>").items
    assert (item.image.url if item.image else "") == (f"https://www.example.org{PICTURES[markup]}" if PICTURES[markup] else "")


def test_a_selector_that_matches_nothing_is_named_with_what_is_found_without_it() -> None:
    with pytest.raises(ReadError, match=r'matches item = "\.weg"') as caught:
        read(f"<body>{NEWS}</body>", item=".weg")
    assert "3 items" in caught.value.fix
    assert "Bericht nummer 9" in caught.value.fix


def test_after_a_redesign_selectors_of_parts_do_not_hide_what_is_found_without_any() -> None:
    with pytest.raises(ReadError, match=r'matches item = "\.weg"') as caught:
        read(f"<body>{NEWS}</body>", item=".weg", link=".kop")
    assert "without any selector 3 items are found" in caught.value.fix


def test_a_link_selector_that_matches_nothing_is_an_error_that_names_it() -> None:
    said = r'link = "\.kop" matches nothing in any of 3 blocks; without it "https://www.example.org/nieuws/bericht-9" is found'
    with pytest.raises(ReadError, match=said):
        read(f"<body>{NEWS}</body>", item=".b", link=".kop")


@pytest.mark.parametrize("item", ["", ".b"])
def test_a_date_selector_that_matches_nothing_leaves_a_remark(item: str) -> None:
    found = read(f"<body>{NEWS}</body>", item=item, date=".datum")
    assert [item.published for item in found.items] == [None] * 3
    assert found.skipped == ('date = ".datum" matches nothing in any of 3 blocks; without it "9 mei 2026" is found',)


SPACE = st.sampled_from([" ", "\n", "\t", "  \n "])
COMMENT = st.sampled_from(["", "<!-- x -->", "<!-- <li><a href='/y'>z</a> -->"])


SHUFFLED = ("cards", "overlay-cards", "table", "definition-list", "headings-without-wrapper", "tailwind", "joomla")


@pytest.mark.parametrize("name", SHUFFLED)
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_attributes_white_space_and_comments_change_nothing(name: str, data: st.DataObject) -> None:
    told = expected(name)
    text = (PAGES / f"{name}.html").read_text("utf-8")

    def shuffled(match: re.Match[str]) -> str:
        names = re.findall(r"""[^\s=]+(?:=(?:"[^"]*"|'[^']*'|[^\s"']+))?""", match[2])
        return f"<{match[1]} {data.draw(SPACE).join(data.draw(st.permutations(names)))}>"

    text = re.sub(r"<(\w[\w-]*)\s+([^<>]*[^<>/])>", shuffled, text)
    text = re.sub(r">\s+<", lambda _match: f">{data.draw(SPACE)}{data.draw(COMMENT)}<", text)
    text = re.sub(r"(</(?:div|p|li|article|tr|dd|h3)>)", lambda match: f"{match[1]}{data.draw(COMMENT)}", text)
    assert seen(read(text, told["url"], told["language"]), told["url"], told["language"]) == told["items"]


PIECES = st.sampled_from(
    [
        "<dl>",
        "<dt>",
        "</dt>",
        "<dd>",
        "<h3>",
        "</h3>",
        "<a href='/x'>",
        "<a href='/y'>",
        "</a>",
        "<table>",
        "<tr>",
        "<td>",
        "<li>",
        "<img srcset='",
        "'>",
        "<p>",
        "<nav>",
        "<article>",
        "<div style='background:url(",
        "<a rel=next href='?page=2'>",
        "</article>",
        "een tekst",
        "3 mei 2026",
        "<form>",
        "<time datetime='2026",
        "</div>",
        "<base href='",
        "<x-y>",
        "€ 5",
        "\x00",
        "<noscript>",
        "<input type=password>",
        "<script>",
    ]
)


@settings(max_examples=200, deadline=None)
@given(st.lists(PIECES, max_size=60).map("".join) | st.binary(max_size=200))
def test_any_page_gives_items_or_says_why_not(data: str | bytes) -> None:
    for selectors in ({}, {"date": "td", "image": "div"}, {"item": "li", "title": "h3"}):
        try:
            found = read(data, **selectors)
        except ReadError as error:
            fix = error.fix
        else:
            fix = "none is needed"
            assert found.items
            assert found.next_page == "" or found.next_page.startswith("http")
        assert fix
