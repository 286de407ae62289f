"""An HTML news page as a list of items: by the operator's selectors, and found automatically where they are silent.

Inside a block: the heading gives title and link, ``<time datetime>`` or a label such as "Nieuws 22 mei 2019" the date and
the kicker, the longest other text the teaser. A date inside the title ("21 juni | Themabijeenkomst") is an event's.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from selectolax.lexbor import LexborHTMLParser, LexborNode

from pipeline.collect.dates import is_plausible, languages_for, read_date, read_iso
from pipeline.collect.listing import MAX_BLOCK_TEXT, find_listing, unique
from pipeline.collect.markup import TooComplexError, absolute_url, decode, parse, squeeze
from pipeline.collect.phrases import READ_MORE_LINK
from pipeline.errors import ReadError
from pipeline.models import Image, ParsedItem, ParsedSource, ReadDate, SourceKind

if TYPE_CHECKING:  # the process that reads does without pydantic (see apart)
    from pipeline.config import PageSettings

_HEADINGS = "h1,h2,h3,h4,h5,h6"
_TITLE_NAMES = "[class*=title],[class*=titel],[class*=heading],[class*=headline],[itemprop=headline]"
_DATE_NAMES = "[class*=date],[class*=datum],[class*=time],[class*=publi],[class*=meta],[itemprop=datePublished]"
_KICKER_NAMES = "[class*=kicker],[class*=label],[class*=category],[class*=categorie],[class*=rubriek],[class*=eyebrow],[rel=tag]"
_TEASER_NAMES = (
    "[class*=excerpt],[class*=teaser],[class*=summary],[class*=samenvatting],[class*=intro],[class*=lead],[class*=description]"
)
_NOT_TEXT = ("script", "style", "noscript", "template", "svg", "iframe", "form", "button", "select")
_MAX_LABEL = 80
_MAX_LEAVES = 200


def read_page(
    body: bytes, *, url: str, content_type: str, page: PageSettings, language: str, zone: str, now: datetime
) -> ParsedSource:
    """The items of an HTML page in document order, with absolute addresses.

    ``page`` holds the operator's selectors. Raises ReadError, with a fix, where no listing is found, a selector matches
    nothing or the page is beyond the limits of ``markup``.
    """
    try:
        tree = parse(decode(body, content_type))
    except TooComplexError as error:
        raise ReadError(url, f"is a page that {error}", fix="Give the address of a feed or of a simpler page.") from None
    tree.strip_tags(list(_NOT_TEXT))
    about = _About(tree, url, language)
    reader = _BlockReader(page, about, zone, now)
    rule, items = _by_selector(tree, page, reader, url) if page.item else _automatic(tree, reader, url)
    return ParsedSource(
        kind=SourceKind.PAGE,
        rule=rule,
        items=items,
        title=about.title,
        language=about.language,
        skipped=tuple(reader.remarks),
    )


def _by_selector(tree: LexborHTMLParser, page: PageSettings, reader: _BlockReader, url: str) -> tuple[str, tuple[ParsedItem, ...]]:
    blocks = tree.css(page.item)
    if not blocks:
        fix = "Look whether the page was redesigned; gazet check shows what is found without the selector."
        raise ReadError(url, f'nothing on the page matches item = "{page.item}"', fix=fix)
    items = unique(reader.read(block) for block in blocks)
    if not items:
        fix = "Correct link and title under [source.page]; each item needs both."
        raise ReadError(url, f'the {len(blocks)} blocks of item = "{page.item}" hold no link with a title', fix=fix)
    if len(items) < len(blocks):
        reader.remarks.append(f"{len(blocks) - len(items)} of {len(blocks)} blocks have no link with a title of their own")
    return f"selector {page.item}", items


def _automatic(tree: LexborHTMLParser, reader: _BlockReader, url: str) -> tuple[str, tuple[ParsedItem, ...]]:
    listing = find_listing(tree, reader.read)
    reader.remarks.clear()
    if listing is None:
        feed = linked_feed(tree, url)
        fix = f"The page names a feed: use {feed} instead." if feed else 'Name the blocks: item = "…" under [source.page].'
        raise ReadError(url, "no list of news was found on the page", fix=fix)
    return f"listing {listing.shape}", listing.items


def linked_feed(tree: LexborHTMLParser, url: str) -> str:
    """The first feed that the page's head links to (RSS autodiscovery), empty where there is none."""
    for link in tree.css("link[rel~=alternate][href]"):
        if (link.attrs.get("type") or "").lower() in ("application/rss+xml", "application/atom+xml"):
            return absolute_url(link.attrs.get("href") or "", url)
    return ""


class _About:
    """What the whole document says: base address, title, language."""

    def __init__(self, tree: LexborHTMLParser, url: str, language: str) -> None:
        base = tree.css_first("base[href]")
        self.url = url
        self.base = absolute_url((base.attrs.get("href") or "") if base else "", url) or url
        title = tree.css_first("head title") or tree.css_first("title")
        self.title = squeeze(title.text())[:300] if title else ""
        root = tree.css_first("html")
        declared = squeeze((root.attrs.get("lang") or "") if root else "")
        self.language = declared if re.fullmatch(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*", declared) else ""
        self.languages = languages_for(language or self.language)


class _BlockReader:
    """Reads one block of a listing into an item; ``remarks`` collects dates that were there but could not be read."""

    def __init__(self, page: PageSettings, about: _About, zone: str, now: datetime) -> None:
        self._page = page
        self._about = about
        self._zone = zone
        self._now = now
        self._self = _without_fragment(about.url)
        self.remarks: list[str] = []

    def read(self, block: LexborNode) -> ParsedItem | None:
        """None for a block without a title or an address of its own."""
        if len(block.text()) > MAX_BLOCK_TEXT:
            return None
        heading = self._heading(block)
        url, link = self._link(block, heading)
        title = _words(heading) if heading is not None else _words(link) if link is not None else ""
        if not url or not title:
            return None
        taken = heading if heading is not None else link
        dated, label = self._date(block, taken)
        kicker = self._kicker(block, taken, label, dated, title)
        return ParsedItem(
            url=url,
            title=title,
            kicker=kicker,
            categories=_tags(block) or ((kicker,) if kicker else ()),
            summary=self._teaser(block, taken, label, title),
            published=dated,
            image=self._image(block),
        )

    def _heading(self, block: LexborNode) -> LexborNode | None:
        """The heading that is a title: not a label like "Nieuws 22 mei 2019" if there is another, best one with a link."""
        if self._page.title:
            return block.css_first(self._page.title)
        found = [node for node in block.css(_HEADINGS) if _words(node)] or self._named_titles(block)
        if len(found) > 1:
            found = [node for node in found if not self._is_label(_words(node))] or found
        linked = [node for node in found if _touches_link(node)]
        return next(iter(linked or found), None)

    def _named_titles(self, block: LexborNode) -> list[LexborNode]:
        named = [node for node in block.css(_TITLE_NAMES) if node.mem_id != block.mem_id and 0 < len(_words(node)) <= 300]
        strong = [node for node in block.css("strong,b") if len(_words(node)) >= 10] if block.tag == "a" and not named else []
        return named or strong

    def _is_label(self, text: str) -> bool:
        return len(text) <= 40 and self._read(text) is not None

    def _may_be_title(self, text: str) -> bool:
        return not READ_MORE_LINK.fullmatch(text) and not self._is_label(text)

    def _link(self, block: LexborNode, heading: LexborNode | None) -> tuple[str, LexborNode | None]:
        if self._page.link:
            chosen = block.css_first(self._page.link)
            inner = chosen.css_first("a[href]") if chosen is not None and chosen.tag != "a" else chosen
            return (self._address(inner), inner) if inner is not None else ("", None)
        if block.tag == "a":
            return self._address(block), block
        links = [(address, node) for node in block.css("a[href]")[:100] if (address := self._address(node))]
        if heading is not None:
            near = [node for node in (*heading.css("a[href]"), *_parents(heading, block)) if node.tag == "a"]
            own = next((address for node in near if (address := self._address(node))), "")
            return (own, None) if own else (_most_linked(links), None)
        titled = [(address, node) for address, node in links if self._may_be_title(_words(node))]
        return max(titled, key=lambda pair: len(_words(pair[1])), default=("", None))

    def _address(self, node: LexborNode) -> str:
        """Absolute, and another page than this one: links within it lead to comments and tops."""
        address = absolute_url(node.attrs.get("href") or "", self._about.base)
        return "" if _without_fragment(address) == self._self or not _is_page(address) else address

    def _date(self, block: LexborNode, title: LexborNode | None) -> tuple[ReadDate | None, str]:
        """The item's date and the label that it was read from, which may hold a kicker too."""
        if self._page.date:
            nodes: Iterable[LexborNode] = block.css(self._page.date)
            return self._first_date(nodes, remark=True)
        inside = _inside(title) if title is None or title.mem_id != block.mem_id else frozenset()
        times = [node for node in block.css("time") if node.mem_id not in inside]
        named = [node for node in block.css(_DATE_NAMES) if node.mem_id not in inside and len(_words(node)) <= _MAX_LABEL]
        found, label = self._first_date([*times, *named], remark=bool(times))
        if found is not None:
            return found, label
        leaves = (node for node in _leaves(block) if node.mem_id not in inside)
        return self._first_date(leaves, remark=False)

    def _first_date(self, nodes: Iterable[LexborNode], *, remark: bool) -> tuple[ReadDate | None, str]:
        for node in nodes:
            text, stamp = _words(node), squeeze(node.attrs.get("datetime") or node.attrs.get("content") or "")
            found = read_iso(stamp, self._zone) if stamp else None
            if found is None or not is_plausible(found, self._now):
                found = self._read(text) if len(text) <= _MAX_LABEL else None
            if found is not None:
                return found, text
            if remark and (text or stamp) and len(self.remarks) < 50:
                self.remarks.append(f'the date "{(text or stamp)[:60]}" could not be read')
        return None, ""

    def _read(self, text: str) -> ReadDate | None:
        return read_date(text, languages=self._about.languages, zone=self._zone, now=self._now)

    def _kicker(self, block: LexborNode, title_node: LexborNode | None, label: str, dated: ReadDate | None, title: str) -> str:
        if self._page.kicker:
            chosen = block.css_first(self._page.kicker)
            return _without_date(_words(chosen), dated)[:80] if chosen is not None else ""
        inside = _inside(title_node)
        named = (node for node in block.css(_KICKER_NAMES) if node.mem_id not in inside and len(_words(node)) <= _MAX_LABEL)
        for text in (label, *(_words(node) for node in named)):
            kicker = _without_date(text, dated)
            if 2 <= len(kicker) <= 40 and kicker != title and not READ_MORE_LINK.fullmatch(kicker):
                return kicker
        return ""

    def _teaser(self, block: LexborNode, title_node: LexborNode | None, label: str, title: str) -> str:
        if self._page.teaser:
            return " ".join(_words(node) for node in block.css(self._page.teaser))
        used = _inside(title_node) | {parent.mem_id for parent in _around(title_node, block)} | {block.mem_id}
        for selector in (_TEASER_NAMES, "p", "dd,td,div,span"):
            nodes = (node for node in block.css(selector)[:_MAX_LEAVES] if node.mem_id not in used)
            texts = [text for node in nodes if len(text := _words(node)) >= 20 and text not in (title, label)]
            if texts := [text for text in texts if not READ_MORE_LINK.fullmatch(text)]:
                return max(texts, key=len)
        return ""

    def _image(self, block: LexborNode) -> Image | None:
        for node in block.css(self._page.image or "img")[:5]:
            picture = node if node.tag == "img" else node.css_first("img")
            if picture is None:
                continue
            for name in ("src", "data-src", "data-lazy-src", "data-original"):
                address = absolute_url(picture.attrs.get(name) or "", self._about.base)
                if address:
                    width, height = _pixels(picture, "width"), _pixels(picture, "height")
                    return Image(address, squeeze(picture.attrs.get("alt") or "")[:300], width, height)
        return None


def _words(node: LexborNode) -> str:
    return squeeze(node.text())


def _tags(block: LexborNode) -> tuple[str, ...]:
    """The categories that a block names by links with rel=tag (HTML §4.6.7.18)."""
    names = (_words(node) for node in block.css("a[rel~=tag]")[:50])
    return tuple(dict.fromkeys(name for name in names if 0 < len(name) <= _MAX_LABEL))


def _inside(node: LexborNode | None) -> frozenset[int]:
    return frozenset() if node is None else frozenset(inner.mem_id for inner in node.css("*")) | {node.mem_id}


def _around(node: LexborNode | None, block: LexborNode) -> Iterable[LexborNode]:
    return () if node is None or node.mem_id == block.mem_id else _parents(node, block)


def _touches_link(node: LexborNode) -> bool:
    return node.css_first("a[href]") is not None or any(parent.tag == "a" for parent in _parents(node, None))


def _parents(node: LexborNode, top: LexborNode | None) -> Iterable[LexborNode]:
    current = node.parent
    for _step in range(8):
        if current is None or current.tag is None:
            return
        yield current
        if top is not None and current.mem_id == top.mem_id:
            return
        current = current.parent


def _most_linked(links: list[tuple[str, LexborNode]]) -> str:
    """Where a block leads whose title is no link: its "Lees meer", its only address, or the one it repeats."""
    more = next((address for address, node in links if READ_MORE_LINK.fullmatch(_words(node))), "")
    counts = Counter(address for address, _node in links).most_common(1)
    clear = bool(counts) and (counts[0][1] > 1 or len(links) == 1)
    return more or (counts[0][0] if clear else "")


def _leaves(block: LexborNode) -> Iterable[LexborNode]:
    """Elements with a short text of their own, in document order."""
    count = 0
    for node in block.traverse(include_text=False):
        if not node.is_element_node or node.mem_id == block.mem_id or count >= _MAX_LEAVES:
            continue
        count += 1
        if 6 <= len(_words(node)) <= _MAX_LABEL and node.tag not in ("p", "h1", "h2", "h3"):
            yield node
    for node in block.css("p")[:20]:
        if 6 <= len(_words(node)) <= 40:
            yield node


def _without_date(text: str, dated: ReadDate | None) -> str:
    """What a label says beside its date: "Nieuws 22 mei 2019" is the kicker "Nieuws"."""
    if dated is None or dated.text not in text:
        return "" if dated is not None and re.search(r"\d{4}", text) else text
    rest = text.replace(dated.text, " ")
    rest = re.sub(r"(?i)\b(?:geplaatst|gepubliceerd|posted|published|veröffentlicht|publié)(?: (?:op|on|am|le))?\b", " ", rest)
    rest = re.split(r"(?i)\b(?:door|by|von|par)\b", rest)[0]
    rest = re.sub(r"(?i)^\W*(?:ma|di|wo|do|vr|za|zo|mon|tue|wed|thu|fri|sat|sun)\w*\W*$", " ", rest)
    return squeeze(rest).strip(" |,·•–—-/:")


def _without_fragment(url: str) -> str:
    return url.partition("#")[0].rstrip("/")


def _is_page(url: str) -> bool:
    """A news item has a path or a query; the bare host is a logo's link."""
    parts = urlsplit(url)
    return bool(parts.path.strip("/") or parts.query)


def _pixels(node: LexborNode, name: str) -> int:
    value = node.attrs.get(name) or ""
    return int(value) if re.fullmatch(r"[0-9]{1,5}", value) else 0
