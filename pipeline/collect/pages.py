"""Where a listing goes on, and where a page leads to."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from itertools import count, islice
from urllib.parse import urlsplit

from selectolax.lexbor import LexborHTMLParser, LexborNode

from pipeline.collect.markup import absolute_url, squeeze
from pipeline.collect.phrases import NEXT_PAGE, NEXT_SIGN

MAX_LINKS = 5_000
_PAGER = re.compile(r"pagin|pager|page-?numbers|nav-?links|page-?nav|load-?more|(?:^|[\s_-])pages(?:$|[\s_-])", re.IGNORECASE)
_NUMBER = re.compile(r"\d{1,6}")
_MAX_NUMBERS = 100
_MAX_NEAR = 100


def links_of(tree: LexborHTMLParser, base_url: str) -> frozenset[str]:
    """All pages that a page links to, absolute and without fragments; at most 5,000."""
    found: set[str] = set()
    for node in tree.css("a[href]"):
        if len(found) >= MAX_LINKS:
            break
        if url := absolute_url(node.attrs.get("href") or "", base_url).partition("#")[0]:
            found.add(url)
    return frozenset(found)


def next_page(tree: LexborHTMLParser, *, url: str, base_url: str, items: Collection[str]) -> str:
    """The address of the listing's next page, empty at its end.

    What the page declares goes first (``rel=next``), then a link called "Volgende", "Older posts" and the like, then the
    number behind the current one. Only the same origin, never the page itself, an item, or a page with a lower number.
    """
    ways = (_declared(tree), _named(tree, url, base_url), _numbered(tree, url, base_url))
    for node in (node for way in ways for node in way):
        target = absolute_url(node.attrs.get("href") or "", base_url).partition("#")[0]
        if target and target not in items and not _disabled(node) and _goes_on(url, target):
            return target
    return ""


def _declared(tree: LexborHTMLParser) -> Iterator[LexborNode]:
    yield from tree.css("link[rel~=next][href], a[rel~=next][href]")


def _named(tree: LexborHTMLParser, url: str, base_url: str) -> Iterator[LexborNode]:
    seen = 0
    for node in tree.css("a[href]"):
        names = {squeeze(node.text()[:200]), *(squeeze(node.attrs.get(name) or "")[:80] for name in ("aria-label", "title"))}
        called = any(NEXT_PAGE.fullmatch(name) or NEXT_SIGN.fullmatch(name) for name in names if len(name) <= 40)
        seen += called
        if (
            called
            and seen <= _MAX_NUMBERS
            and (_in_pager(node) or _number_changed(url, absolute_url(node.attrs.get("href") or "", base_url)))
        ):
            yield node


def _numbered(tree: LexborHTMLParser, url: str, base_url: str) -> Iterator[LexborNode]:
    """The link that is called by the number behind the current page's, in a row of such numbers."""
    numeric = (node for node in tree.css("a[href]") if _NUMBER.fullmatch(squeeze(node.text()[:40])))
    row = {int(squeeze(node.text())): node for node in reversed(list(islice(numeric, _MAX_NUMBERS))) if _in_pager(node)}
    following = row.get(_current(row, url, base_url) + 1)
    if following is not None and _number_changed(url, absolute_url(following.attrs.get("href") or "", base_url)):
        yield following


def _current(row: dict[int, LexborNode], url: str, base_url: str) -> int:
    """The page that this is: the number that links to it, or is marked; else the first that no link of the row bears."""
    for number, node in row.items():
        if node.attrs.get("aria-current") or absolute_url(node.attrs.get("href") or "", base_url).rstrip("/") == url.rstrip("/"):
            return number
    return next(number for number in count(1) if number not in row)


def _in_pager(node: LexborNode) -> bool:
    """Whether a link stands in a pagination: by the name of what surrounds it, or among nothing but short links."""
    current: LexborNode | None = node
    for _level in range(5):
        if current is None or current.tag in (None, "body", "main", "html"):
            return False
        names = " ".join((current.attrs.get(name) or "")[:200] for name in ("class", "id", "aria-label"))
        if _PAGER.search(names):
            return True
        if current is not node and len(current.text()) > _MAX_NEAR:
            return False
        if current is not node and _has_numbers(current):
            return True
        current = current.parent
    return False


def _has_numbers(node: LexborNode) -> bool:
    inner = [squeeze(one.text()[:40]) for one in node.css("a,span,strong,em,b,li")[:40]]
    return len({text for text in inner if _NUMBER.fullmatch(text)}) >= 2


def _disabled(node: LexborNode) -> bool:
    names = (node.attrs.get("class") or "").lower().split()
    return (node.attrs.get("aria-disabled") or "") == "true" or "disabled" in names or "inactive" in names


def _goes_on(url: str, target: str) -> bool:
    here, there = urlsplit(url), urlsplit(target)
    if here.netloc.lower() != there.netloc.lower() or there.scheme not in (here.scheme, "https"):
        return False
    if target.rstrip("/") == url.partition("#")[0].rstrip("/"):
        return False
    return not _number_changed(url, target) or _last_number(target) > _last_number(url)


def _number_changed(url: str, target: str) -> bool:
    """Whether two addresses differ in a page number only: /nieuws/ and /nieuws/page/2/, ?page=1 and ?page=2."""
    return _without_number(url) == _without_number(target)


_PAGE_NUMBER = re.compile(
    r"(?:/(?:page|pagina|seite|p)[/-]?\d{1,6}(?=/|$|\?)|/\d{1,3}(?=/?(?:$|\?))"
    r"|(?<=[?&])(?:[\w.%\[\]-]{0,60}(?:page|pagina|seite)[\w%\]]{0,12}|paged|pg?|start|offset|limitstart|cHash)=[\w-]{0,64})",
    re.IGNORECASE,
)


def _without_number(url: str) -> tuple[str, str, frozenset[str]]:
    parts = urlsplit(_PAGE_NUMBER.sub("", url.partition("#")[0]))
    return parts.netloc.lower(), parts.path.rstrip("/"), frozenset(parts.query.split("&")) - {""}


def _last_number(url: str) -> int:
    matches = (match[0] for match in _PAGE_NUMBER.finditer(url))
    found = [number for text in matches if "chash" not in text.lower() for number in _NUMBER.findall(text[-8:])]
    return int(found[-1]) if found else -1
