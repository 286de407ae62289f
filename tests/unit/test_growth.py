"""Whatever a stranger sends, the time it takes grows with its length and not with its square: ``re`` stops every thread."""

from __future__ import annotations

import contextlib
import importlib
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from pipeline import shown
from pipeline.collect.dates import order_of, read_date, read_iso
from pipeline.collect.markup import absolute_url, clean_html, decode, to_text
from pipeline.collect.normalise import clean_teaser, normalise
from pipeline.collect.read import read
from pipeline.config import PageSettings, folded, parse_term
from pipeline.errors import ReadError
from pipeline.models import SourceKind

NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
MODULES = (
    "collect.article_facts",
    "collect.article_region",
    "collect.bounded_feedparser",
    "collect.foreign_text",
    "collect.json_ld",
    "collect.lasting",
    "collect.likeness",
    "collect.listing",
    "collect.markup",
    "collect.name_blocks",
    "collect.naming",
    "collect.normalise",
    "collect.noted_dates",
    "collect.offers",
    "collect.block",
    "collect.images",
    "collect.outline",
    "collect.pages",
    "collect.phrases",
    "collect.read_article",
    "collect.read_data",
    "collect.polling",
    "collect.read_feed",
    "collect.read_page",
    "collect.read_sitemap",
    "collect.read_wordpress",
    "compose.dkim",
    "compose.message",
    "compose.verp",
    "config.terms",
    "deliver.bounces",
    "deliver.mime_parts",
    "deliver.imap",
    "deliver.relay",
    "http.answers",
    "http.robots",
    "http.urls",
    "jobs.pictures",
    "jobs.preference_fields",
    "publish.entries",
    "publish.rss",
    "shown",
    "web.conditions",
)
WHOLE = (
    "_DONE",
    "_AWAY_NAME",
    "_ASIDE_TEXT",
    "_ERROR_TITLE",
    "_IS_ARTICLE",
    "_NAME",
    "_STATE",
    "_LANGUAGE",
    "_OF_ONE_ITEM",
    "_SIDE_NAME",
    "READ_MORE_LINK",
    "NO_KICKER",
    "NEXT_PAGE",
    "NEXT_SIGN",
    "_NUMBER",
    "_TRACKING",
    "_AMP_PARAMETER",
    "_RANDOM",
    "_NO_TEASER",
    "_CHARSETS",
    "_SLOT",
    "_ATOMS",
    "_LOCAL",
    "_HOST",
    "_MEDIA_TYPE",
    "_RFC3339",
    "_FEED_NAME",
    "_QUALITY",
    "_ASKED",
)
AT_START = (
    "_AGENT_LINE",
    "_ASIDE_START",
    "_BY",
    "_DATE",
    "_DECLARED_ENCODING",
    "_FIRST_TAG",
    "_HEAD",
    "_OURS",
    "_PROLOGUE",
    "_SHARE_HOST",
)
_FOUND = {
    (name, id(value)): (f"{module}.{name}", value)
    for module in reversed(MODULES)
    for name, value in vars(importlib.import_module(f"pipeline.{module}")).items()
    if isinstance(value, re.Pattern)
}
PATTERNS = dict(reversed(_FOUND.values()))
"""By module and name; one that another module imports is there once."""
UNITS = [
    "<a ",
    "<a",
    "</a",
    "<img ",
    "<img<",
    "<img src=",
    "<script>",
    "</script ",
    "<!--",
    "<!DOCTYPE [",
    "\n<!ENTITY ",
    "[]",
    "<? ",
    "<?x?>",
    "&",
    "&a",
    "&#9",
    "a=",
    "= ",
    "'a",
    '"',
    ". ",
    "...",
    "… ",
    "[… ",
    "(",
    "> ",
    "» ",
    "M",
    "Lees meer ",
    "1 ",
    "1-",
    "a",
    "-",
    "aA1",
    "a.",
    "charset ",
    "charset=",
    "encoding='",
    "utm_",
    "post-",
    "nav-",
    "//",
    "@",
    "%",
    "é",
    "e\u0301",
    "\u0301\u0316",
    "a a_",
    "\ufdd0",
    "\ufdd0a",
    "\t",
    "\x00",
    "\n",
]


def seconds(work: Callable[[str], object], text: str) -> float:
    """Of this thread alone: what else the machine does must not count."""
    begun = time.thread_time()
    with contextlib.suppress(ReadError):
        work(text)
    return time.thread_time() - begun


def grows_like_a_square(work: Callable[[str], object], build: Callable[[int], str], size: int) -> bool:
    """Sixteen times is what a square takes for four times the length; only what is slow three times counts."""
    short, long = build(size), build(4 * size)
    return all(seconds(work, long) > 7 * seconds(work, short) + 0.1 for _again in range(3))


def test_a_square_is_seen() -> None:
    """Three tries, for a processor that is shared may work at half its speed for a moment."""
    assert any(grows_like_a_square(lambda text: re.sub("a*b", "", text), "a".__mul__, 12_000) for _again in range(3))


@pytest.mark.parametrize("name", sorted(PATTERNS))
def test_no_pattern_backtracks_over_foreign_text(name: str) -> None:
    pattern = PATTERNS[name]
    method = "fullmatch" if name.rpartition(".")[2] in WHOLE else "match" if name.rpartition(".")[2] in AT_START else "sub"

    def work(text: str) -> None:
        subject = text.encode("utf-8", "ignore") if isinstance(pattern.pattern, bytes) else text
        if method == "sub":
            pattern.sub(subject[:0], subject)
        else:
            getattr(pattern, method)(subject)

    for start in ("", "<img ", "<script>", "<?xml ", "Lees meer"):
        slow = [
            unit for unit in UNITS if grows_like_a_square(work, lambda n, u=unit, s=start: s + u * (n // len(u)) + "\x01", 12_000)
        ]
        assert slow == []


def rss(item: str) -> str:
    head = '<rss version="2.0" xmlns:dc="http://purl.org/dc/elements/1.1/"><channel><title>x</title><item>'
    return f"{head}<link>/x</link>{item}</item></channel></rss>"


def cdata(tag: str, unit: str) -> Callable[[int], str]:
    return lambda size: rss(f"<{tag}><![CDATA[{unit * (size // len(unit))}]]></{tag}>")


DOCUMENTS: dict[str, Callable[[int], str]] = {
    "title of <a": cdata("title", "<a"),
    "title of &": cdata("title", "&"),
    "description of <img": cdata("description", "<img<"),
    "description of scripts": lambda size: rss(f"<description><![CDATA[<script>{'</script ' * (size // 9)}]]></description>"),
    "image text of <img": lambda size: rss(f"<description><![CDATA[<img alt='{'<img' * (size // 4)}' src=/x>]]></description>"),
    "author of one word": cdata("author", "1-"),
    "creator of many addresses": cdata("dc:creator", "a@a."),
    "many authors": lambda size: rss("<author>a</author>" * (size // 18)),
    "many categories": lambda size: rss("".join(f"<category>c{number}</category>" for number in range(size // 20))),
    "date of digits": cdata("pubDate", "1 "),
    "blank lines before the feed": lambda size: "<?xml version='1.0'?>" + "\n" * size + rss(""),
    "declarations without end": lambda size: "<?xml version='1.0'?>" + "\n<!ENTITY a" * (size // 11) + "\n" + rss(""),
    "attributes without end": lambda size: rss("<category a='" + "<a b='" * (size // 6)),
    "first line of encodings": lambda size: "<?xml " + "encoding='" * (size // 10) + "\n?>" + rss(""),
    "feed with xml:base": lambda size: rss(
        f"<description xml:base='https://a/'><![CDATA[{'<a href=x>' * (size // 10)}]]></description>"
    ),
    "JSON Feed of lists": lambda size: '{"version": "https://jsonfeed.org/version/1", "items": [' + "[]," * (size // 3) + "0]}",
    "JSON Feed of objects": lambda size: '{"version": "https://jsonfeed.org/version/1", "items": [' + "{}," * (size // 3) + "{}]}",
    "JSON Feed of digits": lambda size: '{"version": "https://jsonfeed.org/version/1", "items": [{"id": ' + "9" * size + "}]}",
    "page of links": lambda size: "<html>" + "".join(f"<a href=/{number}/feed>x</a>" for number in range(size // 20)),
    "page of nested descriptions": lambda size: "<div itemscope itemtype=/Article itemprop=author>" * (size // 50) + "x" * size,
    "page of nested headlines": lambda size: "<div itemscope itemtype=/Article>" + "<b itemprop=name>" * (size // 60) + "x" * size,
    "page of descriptions": lambda size: "<p itemscope itemtype=/Article><a itemprop=name href=/x>x</a>" * (size // 60),
    "page of JSON-LD": lambda size: (
        "<script type=application/ld+json>[" + '{"@graph": [{"@id": "x"}]},' * (size // 27) + "0]</script>"
    ),
    "page of scripts": lambda size: "<script>" + "</script " * (size // 9),
    "page of title ends": lambda size: "<title>" + "</title " * (size // 8),
    "page of tags without end": lambda size: "<html><p" + "<a" * (size // 2),
    "page of dated links": lambda size: (
        "<html><body>" + "".join(f"<li><a href='/n/{i}'>Bericht {i} 3 mei</a></li>" for i in range(size // 40))
    ),
    "page of page numbers": lambda size: "<html><body><p>" + "".join(f"<a href='?page={i}'>{i}</a>" for i in range(size // 25)),
    "page of next links": lambda size: "<html><body><p>" + "".join(f"<a href='/{i}'>Volgende</a>" for i in range(size // 25)),
    "page of headings": lambda size: "<html><body>" + "<h2>Kop</h2><p><a href='/x'>Meer</a></p>" * (size // 40),
    "page of lists under headings": lambda size: (
        "<html><body>" + "<div><h2>a</h2><ul><li><a href=/x>b</a><li>c</ul></div>" * (size // 50)
    ),
    "page of empty elements": lambda size: "<html><body>" + ("<div>" * 20 + "<s></s>" * (size // 16) + "</div>" * 20) * 2,
    "page with one set of pictures": lambda size: (
        f"<html><body><li><a href=/x>x</a><img srcset='{'/a.jpg 1w,' * (size // 10)}'><li>"
    ),
    "page with one background": lambda size: (
        f"<html><body><li><a href=/x>x</a><b style='{'background:url(' * (size // 15)}'></b><li>"
    ),
    "page with one class": lambda size: f"<html><body><p class='{'a-' * (size // 2)}'>x",
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_no_document_takes_more_than_its_length(name: str) -> None:
    def work(text: str) -> None:
        parsed = read(
            text.encode(),
            url="https://a.example/",
            content_type="text/html",
            kind=SourceKind.PAGE if name.startswith("page") else SourceKind.FEED,
            page=PageSettings(),
            language="nl",
            zone="Europe/Amsterdam",
            now=NOW,
            max_items=500,
        )
        normalise(parsed, base_url="https://a.example/", language="nl", now=NOW)

    assert not grows_like_a_square(work, DOCUMENTS[name], 40_000)
    assert seconds(work, DOCUMENTS[name](160_000)) < 5


FUNCTIONS: dict[str, Callable[[str], object]] = {
    "clean_teaser": clean_teaser,
    "to_text": to_text,
    "clean_html": lambda text: clean_html(text, "https://a.example/"),
    "absolute_url": lambda text: absolute_url(text, "https://a.example/"),
    "decode": lambda text: decode(text.encode("utf-8", "ignore") + b"\xff", text),
    "read_iso": lambda text: read_iso(text, "Europe/Amsterdam"),
    "order_of": lambda text: order_of([text]),
    "read_date": lambda text: read_date(text, languages=("nl", "en"), zone="Europe/Amsterdam", now=NOW),
    "folded": folded,
    "word": lambda text: parse_term("a").pattern.search(folded(text)),
    "phrase": lambda text: parse_term("*a a").pattern.search(folded(text)),
    "one_line": shown.one_line,
    "link": shown.link,
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_no_function_takes_more_than_its_length(name: str) -> None:
    work = FUNCTIONS[name]
    assert [unit for unit in UNITS if grows_like_a_square(work, lambda n, u=unit: u * (n // len(u)), 6_000)] == []
