from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.collect.markup import parse
from pipeline.collect.offers import SPEAKS, offers, page_links, sitemaps_of, speaks_of, well_known
from pipeline.collect.read import read
from pipeline.config import PageSettings
from pipeline.models import Confidence, ParsedItem, ParsedSource, Precision, ReadDate, SourceKind

DATA = Path(__file__).parent.parent / "data" / "wordpress"
NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
URL = "https://a.example/nieuws/"
SITE = "http://127.0.0.1:8182/"


def sample(name: str, path: str = "") -> ParsedSource:
    return read(
        (DATA / name).read_bytes(),
        url=SITE + path,
        content_type="",
        kind=SourceKind.AUTO,
        page=PageSettings(),
        language="nl",
        zone="Europe/Amsterdam",
        now=NOW,
        max_items=500,
    )


def feeds(html: str, link: str = "", url: str = URL) -> list[str]:
    return [offer.url for offer in offers(html, {"link": link}, url) if offer.kind is SourceKind.FEED]


def link(href: str, media: str = "application/rss+xml", title: str = "", rel: str = "alternate") -> str:
    return f'<link rel="{rel}" type="{media}" title="{title}" href="{href}">'


def told(*paths: str) -> ParsedSource:
    return ParsedSource(SourceKind.FEED, "a feed", tuple(ParsedItem(f"https://a.example/{path}", path) for path in paths))


def listed(*paths: str) -> list[str]:
    return [f"https://a.example/{path}/" for path in paths]


def test_a_sections_page_offers_its_own_feed_first_then_the_sites_then_its_posts_and_never_comments() -> None:
    assert [offer.url.partition("per_page")[0] for offer in sample("listing-category.html", "category/nieuws/").offers] == [
        f"{SITE}category/nieuws/feed/",
        f"{SITE}feed/",
        f"{SITE}wp-json/wp/v2/posts?",
    ]
    category = sample("listing-category.html", "category/nieuws/").offers[-1]
    assert (category.kind, category.url.rpartition("&")[2]) == (SourceKind.WORDPRESS, "categories=1")
    assert [offer.reason for offer in sample("listing-front.html").offers] == [
        "the page names it (rel=alternate)",
        "the page names its WordPress REST API",
    ]


@pytest.mark.parametrize(
    "media", ["application/rss+xml", "Application/Atom+XML; charset=utf-8", "application/feed+json", "text/xml"]
)
def test_a_feed_is_offered_by_its_type(media: str) -> None:
    assert feeds(link("/f", media)) == ["https://a.example/f"]


@pytest.mark.parametrize(
    "html",
    [
        link("/oembed?url=x", "application/json+oembed"),
        link("/wp-json/oembed/1.0/embed", "text/xml+oembed"),
        link("/wp-json/wp/v2/categories/1", "application/json"),
        link("/en/", "text/html"),
        link("/f", rel="stylesheet"),
        link("/comments/feed/"),
        link("/nieuws/x/feed/", title="Bericht » reacties feed"),
        link("/x/feed", title="Comments Feed"),
        link("javascript:alert(1)"),
        link(URL),
        "<a href='/nieuws/feedback'>feedback</a><a href='/atomium'>x</a>",
        "<a href='/reacties/rss'>RSS</a>",
    ],
)
def test_what_is_no_feed_of_news_is_not_offered(html: str) -> None:
    assert feeds(html) == []


def test_feeds_are_found_in_the_body_too_and_each_once() -> None:
    html = "<a href='/rss.xml'>RSS</a><a href='feed/?x=1'>x</a><a href='/n.rss'>x</a><a type=application/atom+xml href=/q>x</a>"
    expected = ["https://a.example/nieuws/feed/?x=1", "https://a.example/rss.xml", "https://a.example/n.rss", "https://a.example/q"]
    assert feeds(html + link("/rss.xml") + link("feed:https://a.example/rss.xml")) == [expected[0], *expected[1:]]


def test_a_link_header_counts_as_the_pages_own_words() -> None:
    api = '<https://a.example/wp-json/>; rel="https://api.w.org/", '
    header = f'{api}</f>; rel="alternate home"; type="application/atom+xml"; title="x, y"'
    found = offers("<p>x</p>", {"link": header}, URL)
    assert [(offer.kind, offer.url.partition("?")[0]) for offer in found] == [
        (SourceKind.FEED, "https://a.example/f"),
        (SourceKind.WORDPRESS, "https://a.example/wp-json/wp/v2/posts"),
    ]
    assert found[0].reason == "a Link header names it"


def test_relative_addresses_count_from_the_base_of_the_page() -> None:
    assert feeds("<base href='https://b.example/x/'>" + link("f.xml")) == ["https://b.example/x/f.xml"]
    assert page_links(parse("<base href='/x/'><a href=y>a</a><a href='#top'>b</a><a href='mailto:a@b.example'>c</a>"), URL) == {
        "https://a.example/x/y",
        "https://a.example/x/#top",
    }


def test_at_most_ten_ways_are_offered() -> None:
    assert len(feeds("".join(link(f"/{number}.rss") for number in range(50)))) == 10


@pytest.mark.parametrize(
    ("url", "first", "last"),
    [
        ("https://a.example/", "https://a.example/feed/", "https://a.example/atom.xml"),
        ("https://a.example", "https://a.example/feed/", "https://a.example/atom.xml"),
        ("https://a.example/nieuws", "https://a.example/nieuws/feed/", "https://a.example/rss.xml"),
        ("https://a.example/nieuws/index.php?x=1", "https://a.example/nieuws/feed/", "https://a.example/rss.xml"),
    ],
)
def test_four_well_known_places_are_tried_the_pages_own_folder_first(url: str, first: str, last: str) -> None:
    found = well_known(url)
    assert (found[0], found[-1], len(found)) == (first, last, 4)


def test_sitemaps_of_a_robots_txt_news_first() -> None:
    text = "User-agent: *\n  sitemap : https://a.example/s.xml # x\nSitemap: /relative.xml\nSitemap: ftp://x/y\n"
    text += "SITEMAP:https://a.example/news.xml\r\n"
    assert sitemaps_of(text) == ("https://a.example/news.xml", "https://a.example/s.xml")
    assert sitemaps_of((DATA / "feed-rss2.xml").read_text()) == ()


@pytest.mark.parametrize(
    ("page", "path", "feed", "own"),
    [
        ("listing-front.html", "", "feed-rss2.xml", True),
        ("listing-front.html", "", "feed-atom.xml", True),
        ("listing-front.html", "", "wp-json-posts.json", True),
        ("listing-page2.html", "page/2/", "feed-page2.xml", True),
        ("listing-category.html", "category/nieuws/", "feed-rss2.xml", False),
        ("listing-category.html", "category/nieuws/", "wp-json-posts.json", False),
        ("listing-category.html", "category/nieuws/", "feed-category.xml", False),
        ("listing-front.html", "", "feed-category.xml", False),
        ("listing-page2.html", "page/2/", "feed-rss2.xml", False),
    ],
)
def test_only_a_feed_that_tells_the_pages_news_speaks_of_it(page: str, path: str, feed: str, own: bool) -> None:
    shown, other = sample(page, path), sample(feed)
    urls = [item.url for item in shown.items]
    assert (speaks_of(other, shown.links) >= SPEAKS) is own
    assert (speaks_of(other, shown.links, urls) >= SPEAKS) is own


TEN = [f"n{number}" for number in range(10)]
CASES = {
    "the same ten": (TEN, TEN, True),
    "the page is one ahead of a cached feed": (TEN, ["new", *TEN[:9]], True),
    "the feed is one ahead of a cached page": (["new", *TEN[:9]], TEN, True),
    "the page shows five of the feed's ten": (TEN, TEN[:5], True),
    "the page shows thirty": (TEN, [*TEN, *(f"o{number}" for number in range(20))], True),
    "a short feed": (TEN[:3], TEN, True),
    "another section's news between": (["n0", "x1", "n1", "x2", "n2", "x3", "n3", "x4", "n4", "x5"], TEN, False),
    "a section that was busy lately": ([*TEN[:6], "x1", "x2", "x3", "x4"], TEN, False),
    "a small section of three": (["n0", "x1", "x2", "n1", "x3", "x4", "x5", "n2", "x6", "x7"], TEN[:3], False),
    "a small section whose news is the site's newest": (["n0", "n1", "n2", *(f"x{number}" for number in range(7))], TEN[:3], False),
    "two sections mixed evenly": ([f"{letter}{number}" for number in range(5) for letter in "nx"], TEN, False),
    "nothing in common": (["x1", "x2"], TEN, False),
    "an empty feed": ([], TEN, False),
}


@pytest.mark.parametrize("name", CASES)
def test_a_feed_is_taken_for_the_pages_own_where_they_agree(name: str) -> None:
    feed, page, own = CASES[name]
    assert (speaks_of(told(*feed), frozenset(), listed(*page)) >= SPEAKS) is own


def test_a_sidebar_with_the_sites_newest_does_not_make_its_feed_the_sections() -> None:
    section = [f"s{number}" for number in range(10)]
    assert speaks_of(told(*TEN), listed(*section, *TEN)) == 1.0  # links alone cannot tell
    assert speaks_of(told(*TEN), listed(*section, *TEN), listed(*section)) == 0.0


def test_the_newest_of_a_feed_in_any_order_count() -> None:
    items = tuple(
        ParsedItem(
            f"https://a.example/{n}", "", published=ReadDate(NOW - timedelta(days=n), Precision.TIME, "", "iso", Confidence.CERTAIN)
        )
        for n in reversed(range(20))
    )
    assert speaks_of(ParsedSource(SourceKind.FEED, "", items), listed(*(str(n) for n in range(10)))) == 1.0


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=120), st.text(max_size=120), st.text(max_size=30))
def test_any_page_header_and_robots_txt_give_addresses_or_none(text: str, header: str, path: str) -> None:
    html = f"<base href='{path}'><link rel=alternate type=application/rss+xml href='{text}'><a href='{text}'>{text}</a>{text}"
    for offer in offers(html, {"link": f'<{text}>; rel="alternate"; type=text/xml, {header}'}, URL):
        assert offer.url.startswith(("http://", "https://"))
    assert all(
        address.startswith("http") for address in (*sitemaps_of(f"Sitemap: {text}\n{header}"), *page_links(parse(html), URL))
    )


@pytest.mark.parametrize(
    "html",
    [
        "<a href=/feed>" * 50_000,
        link("/f") * 50_000,
        "<a href='" + "x" * 200_000 + "'>",
        "".join(f"<a href=/{n}>" for n in range(50_000)),
    ],
)
def test_many_links_are_bounded(html: str) -> None:
    assert len(offers(html, {"link": "<" * 10_000 + ";a=" * 10_000}, URL)) <= 10
