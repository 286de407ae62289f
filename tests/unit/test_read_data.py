from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.collect.markup import parse
from pipeline.collect.normalise import normalise
from pipeline.collect.offers import page_links
from pipeline.collect.read import read
from pipeline.collect.read_data import read_data
from pipeline.config import PageSettings
from pipeline.errors import ReadError
from pipeline.models import Image, ParsedSource, SourceKind

NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
URL = "https://www.a.example/nieuws/"


def data(html: str, url: str = URL) -> ParsedSource | None:
    tree = parse(html)
    links = page_links(tree, url)
    return read_data(tree, url=url, base=url, links=links, language="nl", zone="Europe/Amsterdam", now=NOW)


def found(html: str) -> ParsedSource:
    parsed = data(html)
    assert parsed is not None
    return parsed


def script(*values: Any) -> str:
    return "".join(f'<script type="application/ld+json">{json.dumps(value)}</script>' for value in values)


def article(number: int, **told: Any) -> dict[str, Any]:
    return {"@type": "NewsArticle", "url": f"/nieuws/{number}", "headline": f"Bericht {number}", **told}


TWO = [article(1), article(2)]
LISTINGS = {
    "one script with a list": script(TWO),
    "a script each": script(*TWO),
    "a graph": script({"@context": "https://schema.org", "@graph": [{"@type": "WebSite", "url": "/"}, *TWO]}),
    "an ItemList": script({"@type": "ItemList", "itemListElement": TWO}),
    "list items": script(
        {"@type": "ItemList", "itemListElement": [{"@type": "ListItem", "position": 1, "item": one} for one in TWO]}
    ),
    "a blog": script({"@type": "Blog", "blogPost": TWO}),
    "a collection's main thing": script({"@type": "CollectionPage", "mainEntity": {"@type": "ItemList", "itemListElement": TWO}}),
    "a collection's parts": script({"@type": ["CollectionPage", "WebPage"], "hasPart": TWO}),
    "references": script(
        {
            "@graph": [
                {"@type": "ItemList", "itemListElement": [{"@id": "#1"}, {"@id": "#2"}]},
                {**article(1), "@id": "#1"},
                {**article(2), "@id": "#2"},
            ]
        }
    ),
    "whole type names": script([{**one, "@type": ["schema:Thing", "http://schema.org/BlogPosting"]} for one in TWO]),
    "a comment around it": script(TWO).replace('json">', 'json"><!--').replace("</script>", "-->\n</script>"),
    "a CDATA section around it": script(TWO).replace('json">', 'json">//<![CDATA[\n').replace("</script>", "\n//]]></script>"),
    "a label with a charset": script(TWO).replace("ld+json", "LD+JSON; charset=utf-8"),
}


@pytest.mark.parametrize("name", LISTINGS)
def test_news_is_found_wherever_json_ld_puts_it(name: str) -> None:
    parsed = found(LISTINGS[name])
    assert [(item.url, item.title) for item in parsed.items] == [
        ("https://www.a.example/nieuws/1", "Bericht 1"),
        ("https://www.a.example/nieuws/2", "Bericht 2"),
    ]
    assert parsed.structured
    assert parsed.rule == f"schema.org {'BlogPosting' if name == 'whole type names' else 'NewsArticle'} (JSON-LD)"
    assert parsed.skipped == ()


def test_an_item_has_what_its_description_says_in_any_of_the_forms_in_use() -> None:
    one = article(
        1,
        headline="Eén &amp; <b>ander</b>",
        description="Kort",
        datePublished="2019-05-22T14:05:00+02:00",
        dateModified=["2019-05-23"],
        author=[{"@type": "Person", "name": "An"}, "Bo", {"@id": "https://a.example/c"}, "https://a.example/d"],
        image=[{"@type": "ImageObject", "url": "/i.jpg", "width": 300, "height": {"value": 3}, "caption": "Foto"}],
        articleSection=["Nieuws"],
        keywords="po, vo",
        inLanguage={"@type": "Language", "name": "nl"},
    )
    two = {
        "@type": "Article",
        "mainEntityOfPage": {"@id": "/twee"},
        "name": "Twee",
        "datePublished": "22 mei 2019",
        "image": "/j.jpg",
    }
    first, second = found(script(one, two)).items
    assert (first.title, first.summary, first.authors) == ("Eén & ander", "Kort", ("An", "Bo"))
    assert (first.categories, first.language) == (("Nieuws", "po", "vo"), "nl")
    assert first.image == Image("https://www.a.example/i.jpg", "Foto", 300, 0)
    assert first.published is not None
    assert first.updated is not None
    assert (first.published.at.hour, first.updated.at.day) == (12, 23)
    assert (second.url, second.title, second.image) == ("https://www.a.example/twee", "Twee", Image("https://www.a.example/j.jpg"))
    assert second.published is not None
    assert second.published.at.date().isoformat() == "2019-05-22"


@pytest.mark.parametrize(
    "html",
    [
        script(article(1)),
        script(article(1), {"@type": "NewsArticle", "url": URL, "headline": "Deze pagina"}),
        script(*({"@type": "Event", "url": f"/{n}", "name": "Dag", "startDate": "2027-01-01"} for n in (1, 2))),
        script({"@type": "BreadcrumbList", "itemListElement": TWO}),
        script([{**one, "url": one["url"].replace("/nieuws", "https://b.example/nieuws")} for one in TWO]),
        script([{"@type": "NewsArticle", "headline": "Zonder adres"}, {"@type": "NewsArticle", "url": "/zonder-titel"}]),
        script(article(1), article(1)),
        script([{"@type": "Article", "@id": f"https://www.a.example/{n}/#/schema/1", "headline": f"Deel {n}"} for n in (1, 2)]),
        script({"@type": "NewsArticle", "url": URL, "headline": "Artikel", "relatedLink": TWO, "mentions": TWO}),
        script([{**one, "url": f"javascript:{one['url']}"} for one in TWO]),
        "<script type='text/template'>" + json.dumps(TWO) + "</script>",
    ],
)
def test_what_is_no_list_of_this_sites_news_is_none(html: str) -> None:
    assert data(html) is None


def test_news_of_another_site_counts_where_the_page_links_to_it() -> None:
    elsewhere = [{**one, "url": f"https://b.example{one['url']}"} for one in TWO]
    links = "".join(f"<a href='{one['url']}/?utm_source=x'>x</a>" for one in elsewhere)
    assert len(found(script(elsewhere) + links).items) == 2


def test_a_broken_script_is_said_and_costs_no_other() -> None:
    trailing = '<script type="application/ld+json">{"@type": "NewsArticle",}</script>'
    parsed = found(trailing + script(TWO))
    assert len(parsed.items) == 2
    assert "JSON-LD script 1 is broken" in parsed.skipped[0]


def test_a_date_that_cannot_be_read_is_said() -> None:
    assert "could not be read" in found(script(article(1, datePublished="ooit"), article(2))).skipped[0]


def test_an_event_beside_news_is_left_out() -> None:
    event = {"@type": "Event", "url": "/dag", "name": "Dag", "startDate": "2027-01-01"}
    assert [item.title for item in found(script([event, *TWO])).items] == ["Bericht 1", "Bericht 2"]


def microdata(number: int, inner: str = "", kind: str = "BlogPosting") -> str:
    title = f'<h2 itemprop="headline"><a href="/b/{number}">Bericht {number}</a></h2>'
    return f'<div itemscope itemtype="https://schema.org/{kind}" itemprop="blogPost">{title}{inner}</div>'


def test_microdata_is_read_with_its_nested_things() -> None:
    inner = (
        '<time itemprop="datePublished" datetime="2019-05-22T14:05:00+02:00">gisteren</time><p itemprop="description">Kort</p>'
        '<span itemprop="author" itemscope itemtype="https://schema.org/Person"><a href="/an"><b itemprop="name">An</b></a></span>'
        '<div itemprop="image" itemscope><img itemprop="url" src="/i.jpg"><meta itemprop="width" content="30"></div>'
        '<meta itemprop="articleSection" content="PO"><span itemprop="publisher" itemscope><b itemprop="name">Uitgever</b></span>'
    )
    parsed = found(
        f'<div itemscope itemtype="https://schema.org/Blog"><p itemprop="name">Blog</p>{microdata(1, inner)}{microdata(2)}</div>'
    )
    assert parsed.rule == "schema.org BlogPosting (microdata)"
    first, second = parsed.items
    assert (first.url, first.title, first.summary) == ("https://www.a.example/b/1", "Bericht 1", "Kort")
    assert (first.authors, first.categories, first.image) == (("An",), ("PO",), Image("https://www.a.example/i.jpg", "", 30, 0))
    assert first.published is not None
    assert first.published.at.hour == 12
    assert (second.title, second.authors) == ("Bericht 2", ())


@pytest.mark.parametrize(
    "place",
    [
        '<h2 itemprop="headline"><a itemprop="url" href="/x">X</a></h2>',
        '<a href="/x"><h2 itemprop="headline">X</h2></a>',
        '<a href="/x" itemprop="name">X</a>',
        '<meta itemscope itemprop="mainEntityOfPage" itemtype="https://schema.org/Page" itemid="/x"><h2 itemprop="headline">X</h2>',
        '<link itemprop="mainEntityOfPage" href="/x"><h2 itemprop="headline">X</h2>',
    ],
)
def test_microdata_says_in_many_places_where_an_article_is(place: str) -> None:
    html = f'<div itemscope itemtype="http://schema.org/NewsArticle">{place}</div>{microdata(2)}'
    assert found(html).items[0].url == "https://www.a.example/x"


def test_an_event_in_microdata_is_no_news() -> None:
    assert data(microdata(1, kind="Event") + microdata(2, kind="Event")) is None


def test_a_page_that_describes_its_news_is_read_so_unless_the_operator_names_blocks() -> None:
    html = f"<title>Nieuws</title><html lang=nl>{script(TWO)}<ul><li class=n><a href=/x>Een eigen blok</a></li></ul>"

    def page(selectors: PageSettings) -> ParsedSource:
        return read(
            html.encode(),
            url=URL,
            content_type="text/html",
            kind=SourceKind.AUTO,
            page=selectors,
            language="",
            zone="UTC",
            now=NOW,
            max_items=9,
        )

    assert (page(PageSettings()).structured, page(PageSettings()).language) == (True, "nl")
    assert page(PageSettings(item="li.n")).rule == "selector li.n"
    assert "https://www.a.example/x" in page(PageSettings()).links


@pytest.mark.parametrize(
    "html",
    [
        "<div itemscope itemtype=https://schema.org/Article itemprop=name>" * 900 + "x" * 200_000,
        "<div itemscope itemtype=https://schema.org/Article>" + "<p itemprop=headline>" * 900 + "x" * 200_000,
        "<p itemscope itemtype=https://schema.org/Article itemprop=author>x" * 20_000,
        script([{"@graph": [{}] * 10_000}] * 5),
        script(*([{"@type": "Article"}] * 100)),
        "<script type=application/ld+json>" + "[" * 100_000,
        "<script type=application/ld+json>" + "-->" * 100_000,
        "<script type=application/ld+json>" + " " * 100_000 + "x",
    ],
)
def test_hostile_pages_describe_nothing_in_bounded_time(html: str) -> None:
    parsed = data(html)
    assert parsed is None or len(parsed.items) < 3_000


NAMES = (
    *("@type", "@id", "@graph", "item", "itemListElement", "url", "headline", "name", "datePublished", "dateModified", "author"),
    *("image", "keywords", "articleSection", "inLanguage", "mainEntityOfPage", "description"),
)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["NewsArticle", "/x", "https://[", "é"])
    | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(JSON, st.dictionaries(st.sampled_from(NAMES), JSON, max_size=5))
def test_any_json_ld_gives_items_or_none(value: Any, told: dict[str, Any]) -> None:
    parsed = data(script(value, {**article(1), **told}, article(2), article(3)))
    assert parsed is not None
    normalise(parsed, base_url=URL, language="nl", now=NOW)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [
                "<div itemscope itemtype=https://schema.org/Article>",
                "<a href=/x itemprop=",
                "headline",
                "url>",
                "x",
                "</div>",
                "<time itemprop=datePublished>",
                '"',
                "<meta itemprop=author content=",
            ]
        ),
        max_size=12,
    )
)
def test_any_markup_gives_items_or_none(parts: list[str]) -> None:
    data("".join(parts))


def test_a_page_without_news_is_still_refused() -> None:
    with pytest.raises(ReadError, match="no listing found"):
        read(
            b"<html><p>Niets</p></html>",
            url=URL,
            content_type="text/html",
            kind=SourceKind.PAGE,
            page=PageSettings(),
            language="",
            zone="UTC",
            now=NOW,
            max_items=9,
        )
