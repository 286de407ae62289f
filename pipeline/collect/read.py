"""Bytes in, news out: finds out what a document is and hands it to its reader.

bytes ─┬─ a feed by its root element, or a JSON Feed by its version ──▶ read_feed, read_json_feed
       ├─ a list of WordPress posts ──▶ read_wordpress
       ├─ a sitemap, or an index of them, by its root element ──▶ read_sitemap
       └─ HTML ─┬─ the operator names the blocks ──▶ read_page
                ├─ it describes two news items or more itself ──▶ read_data
                └─ else ──▶ read_page: the listing
                and always: what it links to and what else it offers ◀── offers
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from selectolax.lexbor import LexborHTMLParser

from pipeline.collect.bounded_json import JsonRefusedError, load
from pipeline.collect.markup import TooComplexError, decode, parse
from pipeline.collect.offers import base_of, offers, page_links
from pipeline.collect.pages import next_page
from pipeline.collect.read_data import read_data
from pipeline.collect.read_feed import looks_like_feed, read_feed, root_name
from pipeline.collect.read_json_feed import is_json_feed, read_json_feed
from pipeline.collect.read_page import read_page
from pipeline.collect.read_sitemap import looks_like_sitemap, read_sitemap
from pipeline.collect.read_wordpress import is_api_root, is_posts, read_wordpress
from pipeline.collect.unpack import unpacked
from pipeline.errors import ReadError
from pipeline.models import ParsedSource, SourceKind

if TYPE_CHECKING:  # the process that reads does without pydantic (see apart)
    from pipeline.config import PageSettings

# Byte order marks, white space, and the upper half of either in UTF-16.
_BEFORE_TEXT = b"\xef\xbb\xbf\xff\xfe\0 \t\r\n"
_OPML = "a list of feeds, OPML"
_IMPORT = 'Save it as a file, and add what it lists with "gazet opml import FILE".'
_NAMES = {
    SourceKind.FEED: "a feed",
    SourceKind.WORDPRESS: "an answer of the WordPress REST API",
    SourceKind.SITEMAP: "a sitemap",
    SourceKind.PAGE: "a web page",
}


@dataclass(frozen=True, slots=True)
class _Document:
    """What was fetched, and the source's language, zone and now. ``value``: what its JSON describes, None where it is none."""

    body: bytes
    url: str
    content_type: str
    headers: Mapping[str, str]
    language: str
    zone: str
    now: datetime
    value: object = None


def read(
    body: bytes,
    *,
    url: str,
    content_type: str,
    kind: SourceKind,
    page: PageSettings,
    language: str,
    zone: str,
    now: datetime,
    max_items: int,
    headers: Mapping[str, str] | None = None,
    scope: str = "",
) -> ParsedSource:
    """What one document yields, at most ``max_items`` of it, in document order (of a sitemap the newest).

    ``url`` is the final address, ``language`` and ``zone`` (IANA name) the source's; ``headers`` the answer's, names in lower
    case; ``scope``: only what a sitemap names below this address. Bytes decide what a document is, never its label. Any bytes
    give a result or a ReadError with a fix, in bounded time and memory; where ``kind`` is not what the document is, the fix
    says what it is instead.
    """
    body = unpacked(body, url)
    if not body.strip():
        raise ReadError(url, "is empty", fix="Look at the address in a browser.")
    document = _recognised(_Document(body, url, content_type, headers or {}, language, zone, now))
    found = _kind_of(document)
    wanted = found if kind is SourceKind.AUTO else kind
    if wanted is None:
        raise _unknown(document)
    if wanted is not found and not _forgiven(document, wanted, found):
        raise _another_kind(document, wanted, found)
    if wanted is SourceKind.SITEMAP:
        return _read_sitemap(document, scope, max_items)
    readers = {SourceKind.FEED: _read_feed, SourceKind.WORDPRESS: _read_wordpress}
    return readers[wanted](document, max_items) if wanted in readers else _limited(_read_html(document, page), max_items)


def _recognised(document: _Document) -> _Document:
    """With the value of its JSON, where it begins like some."""
    if not document.body.lstrip(_BEFORE_TEXT).startswith((b"{", b"[")):
        return document
    try:
        return replace(document, value=load(decode(document.body, document.content_type)))
    except JsonRefusedError as error:
        raise ReadError(document.url, f"is JSON that {error}", fix="Tell the site, or give another address.") from None


def _kind_of(document: _Document) -> SourceKind | None:
    value, body = document.value, document.body
    if value is not None:
        if is_json_feed(value):
            return SourceKind.FEED
        empty = value == [] and "/wp/v2/" in document.url
        return SourceKind.WORDPRESS if is_posts(value) or is_api_root(value) or empty else None
    if looks_like_feed(body, document.content_type):
        return SourceKind.FEED
    if looks_like_sitemap(body):
        return SourceKind.SITEMAP
    return SourceKind.PAGE if _other_than_page(document) == "" else None


def _other_than_page(document: _Document) -> str:
    """What a document is that is no HTML; empty for HTML. Bytes decide before labels, which are often wrong."""
    if root_name(document.body) == "opml":
        return _OPML
    start = document.body.lstrip(_BEFORE_TEXT)[:4096]
    media = document.content_type.partition(";")[0].strip().lower()[:60] or "unlabelled data"
    if start[:1] in (b"{", b"["):
        return "JSON"
    if start.startswith(b"<?xml") and b"<html" not in start.lower():
        return "XML of another kind"
    if start.startswith(b"%PDF") or media.startswith(("image/", "audio/", "video/")) or b"<" not in document.body:
        return media
    return ""


def _forgiven(document: _Document, wanted: SourceKind, found: SourceKind | None) -> bool:
    """A feed behind a page's first lines, and JSON that WordPress explains itself, are looked at by their readers."""
    if wanted is SourceKind.FEED:
        return document.value is None and found in (None, SourceKind.PAGE) and _may_hold_feed(document.body)
    return wanted is SourceKind.WORDPRESS and document.value is not None and found is None


def _may_hold_feed(body: bytes) -> bool:
    start = body[:65536].lower()
    return any(mark in start for mark in (b"<rss", b"<feed", b":rdf", b"<channel")) and b"<html" not in start


def _unknown(document: _Document) -> ReadError:
    what = _other_than_page(document)
    fix = _IMPORT if what == _OPML else "Give the address of a feed or a news page."
    return ReadError(document.url, f"is neither a feed nor a web page ({what})", fix=fix)


def _another_kind(document: _Document, wanted: SourceKind, found: SourceKind | None) -> ReadError:
    is_what = _NAMES[found] if found else _other_than_page(document)
    fix = f'It is {is_what}: set kind = "{found}" or "auto".' if found else f"It is {is_what}: give another address."
    if is_what == _OPML:
        fix = _IMPORT
    if found is SourceKind.PAGE and (named := _named_by(document, wanted)):
        fix = f'It is a web page that names one: use {named}, or set kind = "auto".'
    return ReadError(document.url, f"is not {_NAMES[wanted]}", fix=fix)


def _named_by(document: _Document, wanted: SourceKind) -> str:
    """The first address of the kind that is wanted among what a page offers."""
    text = decode(document.body, document.content_type)
    return next((offer.url for offer in offers(text, document.headers, document.url) if offer.kind is wanted), "")


def _read_feed(this: _Document, limit: int) -> ParsedSource:
    how = partial(read_feed, this.body, content_type=this.content_type)
    if this.value is not None:
        how = partial(read_json_feed, this.value)
    return how(url=this.url, language=this.language, zone=this.zone, now=this.now, limit=limit)


def _read_wordpress(this: _Document, limit: int) -> ParsedSource:
    return read_wordpress(this.value, url=this.url, language=this.language, zone=this.zone, now=this.now, limit=limit)


def _read_sitemap(this: _Document, scope: str, limit: int) -> ParsedSource:
    return read_sitemap(this.body, url=this.url, language=this.language, zone=this.zone, now=this.now, scope=scope, limit=limit)


def _read_html(this: _Document, page: PageSettings) -> ParsedSource:
    try:
        tree = parse(decode(this.body, this.content_type))
    except TooComplexError as error:
        raise ReadError(this.url, f"is a page that {error}", fix="Give the address of a feed or of a simpler page.") from None
    links, offered = page_links(tree, this.url), offers(tree, this.headers, this.url)
    parsed = None if page.item else _described(this, tree, links)
    del tree  # a large page would be in memory twice
    if parsed is None:
        parsed = read_page(
            this.body,
            url=this.url,
            content_type=this.content_type,
            page=page,
            language=this.language,
            zone=this.zone,
            now=this.now,
        )
    return replace(parsed, links=links, offers=offered)


def _described(this: _Document, tree: LexborHTMLParser, links: frozenset[str]) -> ParsedSource | None:
    """What a page says of its news itself; where that goes on is found as in any page."""
    base = base_of(tree, this.url)
    told = read_data(tree, url=this.url, base=base, links=links, language=this.language, zone=this.zone, now=this.now)
    if told is None:
        return None
    return replace(told, next_page=next_page(tree, url=this.url, base_url=base, items={item.url for item in told.items}))


def _limited(parsed: ParsedSource, max_items: int) -> ParsedSource:
    if len(parsed.items) <= max_items:
        return parsed
    remark = f"{len(parsed.items) - max_items} items beyond the first {max_items} were left out (max_items)"
    return replace(parsed, items=parsed.items[:max_items], skipped=(*parsed.skipped, remark))
