"""JSON-LD in a page's scripts: all descriptions that its lists, graphs and blogs hold, in document order."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from selectolax.lexbor import LexborHTMLParser

from pipeline.collect.bounded_json import JsonRefusedError, load, sequence, words

_MAX_SCRIPTS = 50
_MAX_TEXT = 3_000_000
_MAX_THINGS = 20_000
# Where the news of a page may be; what is related, mentioned, or a part of an article is not followed.
_LEADING_ON = ("@graph", "mainEntity", "hasPart", "itemListElement", "item", "blogPost", "blogPosts", "dataFeedElement")
_NO_NEWS_INSIDE = frozenset(("BreadcrumbList", "SiteNavigationElement", "WebSite", "Organization", "Person"))
# The wrappers of the time when browsers showed what they did not know.
_WRAPPING = re.compile(r"^\s*+(?://)?\s*+(?:<!--|<!\[CDATA\[)|(?://)?\s{0,20}(?:-->|\]\]>)\s{0,20}$")


def descriptions(tree: LexborHTMLParser) -> tuple[list[Mapping[str, object]], list[str]]:
    """The objects of all JSON-LD scripts, and a remark for each script that cannot be read."""
    found: list[Mapping[str, object]] = []
    remarks: list[str] = []
    room = _MAX_TEXT
    for number, text in enumerate(_scripts(tree), 1):
        if number > _MAX_SCRIPTS or len(text) > room:
            remarks.append("the page holds more JSON-LD than anybody needs; the rest was left out")
            break
        room -= len(text)
        try:
            found += _things(load(_WRAPPING.sub("", text)))
        except JsonRefusedError as error:
            remarks.append(f"the page's JSON-LD script {number} {error}")
    return found, remarks


def _scripts(tree: LexborHTMLParser) -> Iterator[str]:
    for script in tree.css("script[type]"):
        media = (script.attributes.get("type") or "").partition(";")[0]
        if media.strip().lower() == "application/ld+json":
            yield script.text()


def _things(value: object) -> list[Mapping[str, object]]:
    """Every object on the way to news. What a reference ({"@id": …}) refers to is in the same graph, and so is found itself."""
    found: list[Mapping[str, object]] = []
    waiting = [value]
    while waiting and len(found) < _MAX_THINGS:
        current = waiting.pop()
        if isinstance(current, list):
            waiting.extend(reversed(current))
        elif isinstance(current, dict):
            found.append(current)
            if _may_hold_news(current):
                waiting.extend(current[name] for name in reversed(_LEADING_ON) if name in current)
    return found


def _may_hold_news(thing: Mapping[str, object]) -> bool:
    return _NO_NEWS_INSIDE.isdisjoint(words(name).rpartition("/")[2] for name in sequence(thing.get("@type")))
