"""What a page says of its own news in schema.org's words: JSON-LD in scripts, or microdata on its elements.

    scripts ──json_ld──▶ descriptions ─┐
                                       ├──▶ items with an address and a headline, of this site or linked from the page
    elements ──microdata──▶ the same ──┘

An event is no news item: its startDate is not when it was published.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from itertools import islice
from urllib.parse import urlsplit

from selectolax.lexbor import LexborHTMLParser

from pipeline.collect.bounded_json import mapping, plain_words, sequence, whole, words
from pipeline.collect.json_ld import descriptions
from pipeline.collect.markup import absolute_url, squeeze
from pipeline.collect.microdata import described_elements
from pipeline.collect.normalise import url_key
from pipeline.collect.noted_dates import NotedDates
from pipeline.models import Image, ParsedItem, ParsedSource, SourceKind

NEWS_TYPES = frozenset(("NewsArticle", "Article", "BlogPosting", "ReportageNewsArticle", "LiveBlogPosting"))
_FEWEST = 2
_MOST = 1_000
_MOST_NAMES = 100

Description = Mapping[str, object]


def read_data(
    tree: LexborHTMLParser, *, url: str, base: str, links: frozenset[str], language: str, zone: str, now: datetime
) -> ParsedSource | None:
    """The news that the page describes, in document order, or None where it describes less than two items.

    ``links`` are the addresses that the page links to; what is neither among them nor on the page's site is left out, as is
    what describes the page itself. ``tree`` must still have its scripts.
    """
    told, remarks = descriptions(tree)
    readings = (
        ("JSON-LD", list(islice((thing for thing in told if news_type(thing)), _MOST))),
        ("microdata", list(islice(described_elements(tree, NEWS_TYPES), _MOST))),
    )
    title, tongue = _about(tree)
    reader = _Reader(url, base, links, NotedDates(language or tongue, zone, now))
    found = [(form, reader.items(things)) for form, things in readings]
    form, items = max(found, key=lambda pair: len(pair[1]))
    if len(items) < _FEWEST:
        return None
    if any(len(things) == _MOST for _form, things in readings):
        reader.dates.note(f"the page describes {_MOST:,} news items or more; no more were read")
    kind = Counter(name for name, _item in items).most_common(1)[0][0]
    return ParsedSource(
        kind=SourceKind.PAGE,
        rule=f"schema.org {kind} ({form})",
        items=tuple(item for _name, item in items),
        title=title,
        language=tongue,
        skipped=(*remarks, *reader.dates.remarks),
        structured=True,
    )


def _about(tree: LexborHTMLParser) -> tuple[str, str]:
    """The page's title and language."""
    title, root = tree.css_first("head title"), tree.css_first("html")
    tongue = words(root.attributes.get("lang")) if root is not None else ""
    told = squeeze(title.text())[:300] if title is not None else ""
    return told, tongue if re.fullmatch(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8}){0,4}", tongue) else ""


def news_type(thing: Description) -> str:
    """The schema.org type of a description if it is one of news: "https://schema.org/NewsArticle" is NewsArticle."""
    types = (words(name).rstrip("/").rpartition("/")[2].rpartition(":")[2] for name in sequence(thing.get("@type")))
    return next((name for name in types if name in NEWS_TYPES), "")


class _Reader:
    """Turns descriptions into items of one page."""

    def __init__(self, url: str, base: str, links: Iterable[str], dates: NotedDates) -> None:
        self.dates = dates
        self._base = base
        self._own = url_key(url)
        self._host = _host(url)
        self._linked = frozenset(url_key(link) for link in links)

    def items(self, things: Iterable[Description]) -> list[tuple[str, ParsedItem]]:
        """Each address once, with its type. An address that is described twice keeps the fuller description."""
        found: dict[str, tuple[str, ParsedItem]] = {}
        for thing in things:
            address = self._address(thing)
            title = plain_words(_first(thing, "headline")) or plain_words(_first(thing, "name"))
            if not address or not title or not self._belongs(address):
                continue
            item = self._item(thing, address, title)
            known = found.get(url_key(address))
            if known is None or (known[1].published is None and item.published is not None):
                found[url_key(address)] = (news_type(thing), item)
        return list(found.values())

    def _address(self, thing: Description) -> str:
        """``url``, else the page that it is the main thing of, else its ``@id``; not the ``@id`` of a part ("…#article")."""
        page = _first(thing, "mainEntityOfPage")
        own = words(thing.get("@id"))
        choices = (_first(thing, "url"), page, mapping(page).get("@id"), mapping(page).get("url"), own if "#" not in own else "")
        texts = (words(choice) or words(mapping(choice).get("@id")) for choice in choices)
        return next((address for text in texts if (address := absolute_url(text, self._base))), "")

    def _belongs(self, address: str) -> bool:
        key = url_key(address)
        return key != self._own and (_host(address) == self._host or key in self._linked)

    def _item(self, thing: Description, address: str, title: str) -> ParsedItem:
        return ParsedItem(
            url=address,
            title=title,
            summary=plain_words(_first(thing, "description")),
            published=self.dates.read(title, (words(_first(thing, "datePublished")), words(_first(thing, "dateCreated")))),
            updated=self.dates.read(title, (words(_first(thing, "dateModified")),)),
            authors=_distinct(_name(author) for author in sequence(thing.get("author"))[:_MOST_NAMES])[:20],
            categories=_categories(thing),
            image=self._image(thing),
            language=_name(_first(thing, "inLanguage"))[:20],
        )

    def _image(self, thing: Description) -> Image | None:
        for image in (_first(thing, "image"), _first(thing, "thumbnailUrl")):
            told = mapping(image)
            text = words(image) or words(_first(told, "url")) or words(_first(told, "contentUrl")) or words(told.get("@id"))
            if address := absolute_url(text, self._base):
                width, height = whole(_first(told, "width")), whole(_first(told, "height"))
                return Image(address, plain_words(_first(told, "caption")), width, height)
        return None


def _first(thing: Mapping[str, object], name: str) -> object:
    """A property's value, of several the first; None where there is none."""
    return next(iter(sequence(thing.get(name))), None)


def _name(value: object) -> str:
    """A person, an organisation or a language, as a name or as an object with one."""
    return plain_words(value) or plain_words(_first(mapping(value), "name")) or plain_words(_first(mapping(value), "alternateName"))


def _categories(thing: Description) -> tuple[str, ...]:
    """Sections first; keywords come as a list or with commas between them."""
    sections = (_name(section) for section in sequence(thing.get("articleSection"))[:_MOST_NAMES])
    keywords = (
        part.strip() for value in sequence(thing.get("keywords"))[:_MOST_NAMES] for part in _name(value).split(",")[:_MOST_NAMES]
    )
    return _distinct((*sections, *keywords))[:50]


def _distinct(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for name in _plausible(names)))


def _plausible(names: Iterable[str]) -> Iterator[str]:
    """An address in place of a name is a reference that nobody resolved."""
    return (name for name in names if name and not name.startswith(("http://", "https://")))


def _host(url: str) -> str:
    return (urlsplit(url).hostname or "").removeprefix("www.").rstrip(".")
