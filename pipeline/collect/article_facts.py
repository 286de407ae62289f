"""What an article's page says of it: schema.org JSON-LD, meta elements, ``<time>``, bylines and visible dates."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from selectolax.lexbor import LexborHTMLParser, LexborNode

from pipeline.collect.article_region import pixels
from pipeline.collect.markup import absolute_url, squeeze, to_text
from pipeline.models import Image, ReadDate

ReadText = Callable[[str], ReadDate | None]

_MAX_JSON = 200_000
_MAX_NODES = 2_000
_IS_ARTICLE = re.compile(r"(?:\w{0,30}Article|\w{0,30}Posting|Report)")
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8}){0,3}")
_PUBLISHED = ("article:published_time", "datePublished", "dc.date", "dc.date.issued", "dcterms.issued", "dcterms.created", "date")
_MODIFIED = ("article:modified_time", "og:updated_time", "dateModified", "dcterms.modified")
_BYLINES = "[rel~=author],[itemprop=author],[class*=post-author__name],[class*=author-name],.author,.byline__name"
_DATE_NAMES = "[class*=date],[class*=datum],[class*=publi],[class*=meta],[itemprop=datePublished]"
_BY = re.compile(r"(?:door|by|von|par|auteur|author|tekst|geschreven door)\s?:?\s", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Facts:
    """Text fields are plain; addresses are absolute or empty. ``paid``: the page says that reading it costs money."""

    title: str
    description: str
    canonical: str
    language: str
    authors: tuple[str, ...]
    published: ReadDate | None
    modified: ReadDate | None
    image: Image | None
    paid: bool


def read_facts(tree: LexborHTMLParser, region: LexborNode | None, url: str, base: str, read: ReadText) -> Facts:
    """``region`` holds the article, ``read`` reads a date's text. Must see the scripts of the page: call before pruning."""
    meta = _meta(tree)
    data = _article_data(tree, url)
    headings = [text for node in tree.css("h1")[:5] if (text := squeeze(node.text()))]
    titles = (headings[0] if len(headings) == 1 else "", _plain(data.get("headline")), meta.get("og:title", ""), _title(tree))
    return Facts(
        title=next((title for title in titles if title), "")[:500],
        description=(meta.get("og:description") or meta.get("description") or "")[:2000],
        canonical=_canonical(tree, url, base),
        language=_language(tree, meta, data),
        authors=_authors(data, meta, region),
        published=_first(read, [data.get("datePublished"), *(meta.get(name.lower()) for name in _PUBLISHED)])
        or _visible(region, read),
        modified=_first(read, [data.get("dateModified"), *(meta.get(name.lower()) for name in _MODIFIED)]),
        image=_image(data, meta, base),
        paid=str(data.get("isAccessibleForFree")).strip().lower() == "false",
    )


def _meta(tree: LexborHTMLParser) -> dict[str, str]:
    """The first content of each name, in lower case."""
    found: dict[str, str] = {}
    for node in tree.css("meta[content]")[:300]:
        name = node.attrs.get("property") or node.attrs.get("name") or node.attrs.get("itemprop") or ""
        if text := squeeze((node.attrs.get("content") or "")[:4000]):
            found.setdefault(name.lower()[:60], text)
    return found


def _article_data(tree: LexborHTMLParser, url: str) -> Mapping[str, Any]:
    """The JSON-LD of this article: the only one on the page, or the one that names this address."""
    scripts = tree.css('script[type="application/ld+json"]')[:20]
    nodes = [node for script in scripts for node in _objects(script.text(), _MAX_NODES) if _is_article(node)]
    if len(nodes) == 1:
        return nodes[0]
    here = _bare(url)
    same = [node for node in nodes if here in {_bare(_address(node.get(name))) for name in ("@id", "url", "mainEntityOfPage")}]
    return same[0] if same else {}


def _objects(text: str, most: int) -> Iterator[Mapping[str, Any]]:
    if len(text) > _MAX_JSON:
        return
    try:
        waiting = [json.loads(text)]
    except (ValueError, RecursionError):
        return
    while waiting and most:
        node = waiting.pop()
        most -= 1
        if isinstance(node, dict):
            yield node
            waiting.extend(node[name] for name in ("@graph", "mainEntity") if name in node)
        elif isinstance(node, list):
            waiting.extend(reversed(node[:most]))


def _is_article(node: Mapping[str, Any]) -> bool:
    return any(isinstance(kind, str) and _IS_ARTICLE.fullmatch(kind[:60]) for kind in _listed(node.get("@type")))


def _listed(value: object) -> list[Any]:
    return value[:50] if isinstance(value, list) else [] if value is None else [value]


def _plain(value: object) -> str:
    return to_text(value[:4000]) if isinstance(value, str) else ""


def _address(value: object) -> str:
    for one in _listed(value):
        found = one.get("url") or one.get("@id") or one.get("contentUrl") if isinstance(one, dict) else one
        if isinstance(found, str):
            return found[:2000]
    return ""


def _bare(url: str) -> str:
    """An address as far as it says which page: without scheme, fragment, "www." and a slash at its end."""
    return re.sub(r"^https?://(?:www\.)?", "", url.partition("#")[0]).rstrip("/")


def _title(tree: LexborHTMLParser) -> str:
    node = tree.css_first("head title") or tree.css_first("title")
    return squeeze(node.text())[:500] if node is not None else ""


def _canonical(tree: LexborHTMLParser, url: str, base: str) -> str:
    """Only an address of the same host counts: else any page could pass for another site's."""
    node = tree.css_first("link[rel~=canonical][href]")
    found = absolute_url((node.attrs.get("href") or "") if node else "", base)
    same = _host(found) == _host(url) and urlsplit(found).path.strip("/") != ""
    return found if found and same else absolute_url(url, base)


def _host(url: str) -> str:
    return (urlsplit(url).hostname or "").removeprefix("www.")


def _language(tree: LexborHTMLParser, meta: Mapping[str, str], data: Mapping[str, Any]) -> str:
    root = tree.css_first("html")
    for found in (root.attrs.get("lang") if root else "", _plain(data.get("inLanguage")), meta.get("og:locale")):
        if _LANGUAGE.fullmatch(text := squeeze(found or "")[:40]):
            return text.replace("_", "-")
    return ""


def _authors(data: Mapping[str, Any], meta: Mapping[str, str], region: LexborNode | None) -> tuple[str, ...]:
    written = [one.get("name") if isinstance(one, dict) else one for one in _listed(data.get("author"))]
    named = [_plain(name) for name in (written or [meta.get("author"), meta.get("article:author")])]
    shown = [squeeze(node.text()) for node in region.css(_BYLINES)[:5]] if region is not None and not any(named) else []
    names = (_BY.sub("", name, count=1).strip(" ,") for name in (*named, *shown) if "://" not in name)
    return tuple(dict.fromkeys(name[:100] for name in names if 2 <= len(name) <= 100))[:20]


def _first(read: ReadText, texts: Iterable[object]) -> ReadDate | None:
    found = (read(text[:300]) for text in texts if isinstance(text, str) and text.strip())
    return next((date for date in found if date is not None), None)


def _visible(region: LexborNode | None, read: ReadText) -> ReadDate | None:
    """A date that the article shows: ``<time>``, or an element called after dates, at most a label long."""
    if region is None:
        return None
    stamps = [node.attrs.get("datetime") or squeeze(node.text()) for node in region.css("time")[:10]]
    labels = [text for node in region.css(_DATE_NAMES)[:20] if len(text := squeeze(node.text())) <= 80]
    return _first(read, [*stamps, *labels])


def _image(data: Mapping[str, Any], meta: Mapping[str, str], base: str) -> Image | None:
    if address := absolute_url(meta.get("og:image") or meta.get("og:image:url") or "", base):
        sizes = pixels(meta.get("og:image:width")), pixels(meta.get("og:image:height"))
        return Image(address, meta.get("og:image:alt", "")[:300], *sizes)
    address = absolute_url(_address(data.get("image")), base)
    return Image(address) if address else None
