"""One block of a listing becomes an item: title, address, date, kicker, teaser, picture, wherever the markup put them.

A block is one element, or a run of siblings that belong together: a heading with the paragraphs behind it, ``dt`` with ``dd``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from selectolax.lexbor import LexborHTMLParser, LexborNode

from pipeline.collect.dates import is_plausible, languages_for, read_date, read_iso
from pipeline.collect.images import picture_of
from pipeline.collect.markup import absolute_url, squeeze
from pipeline.collect.phrases import NO_KICKER, READ_MORE_LINK
from pipeline.models import Image, ParsedItem, ReadDate

if TYPE_CHECKING:  # the process that reads does without pydantic (see apart)
    from pipeline.config import PageSettings

MAX_BLOCK_TEXT = 30_000
HEADINGS = "h1,h2,h3,h4,h5,h6,[role=heading]"
_TITLE_NAMES = "[class*=title],[class*=titel],[class*=heading],[class*=headline],[itemprop=headline],[slot=title],[slot=headline]"
_DATE_NAMES = "[class*=date],[class*=datum],[class*=time],[class*=publi],[class*=meta],[itemprop=datePublished],[slot=date]"
_DATE_ATTRIBUTES = ("datetime", "content", "data-date", "data-datetime", "data-published", "data-time", "date", "title")
_DATED = "[itemprop=datePublished],[data-date],[data-datetime],[data-published],[data-time],abbr[title],span[title]"
_KICKER_NAMES = "[class*=kicker],[class*=label],[class*=category],[class*=categorie],[class*=rubriek],[class*=eyebrow],[rel~=tag]"
_TEASER_NAMES = (
    "[class*=excerpt],[class*=teaser],[class*=summary],[class*=samenvatting],[class*=intro],[class*=lead],[class*=description]"
)
_PICTURES = "img,[style*=background],[data-bg],[data-background-image]"
_INLINE = frozenset(("a", "abbr", "b", "em", "i", "mark", "small", "span", "strong", "sub", "sup", "time", "u"))
_MAX_LABEL = 80
_MAX_ELEMENTS = 2_000
_MAX_LEAVES = 200
_MAX_READ = 20_000
_YEARS_AHEAD = timedelta(days=1_100)


class Block:
    """Sibling nodes (text between them included) that are read as one; ``nodes`` is never empty."""

    def __init__(self, *nodes: LexborNode) -> None:
        self.nodes = nodes
        self.ids = frozenset(node.mem_id for node in nodes)
        self.tag = nodes[0].tag if len(nodes) == 1 else ""

    def css(self, selector: str) -> list[LexborNode]:
        """All matches in the block, its own nodes included."""
        return [found for node in self.nodes if node.is_element_node for found in node.css(selector)]

    def css_first(self, selector: str) -> LexborNode | None:
        """The first match in the block, if any."""
        return next((found for node in self.nodes if node.is_element_node and (found := node.css_first(selector))), None)

    def length(self) -> int:
        """How many letters of text the block holds."""
        return sum(len(node.text()) for node in self.nodes)

    def elements(self) -> Iterator[LexborNode]:
        """Every element in document order."""
        for node in self.nodes:
            if node.is_element_node:
                yield from (inner for inner in node.traverse(include_text=False) if inner.is_element_node)

    def loose_texts(self) -> list[str]:
        """Text that is in no element of its own, such as a date before the link in a list item; one string a node."""
        return [_own_text(node) if node.is_element_node else squeeze(node.text()) for node in self.nodes]


class About:
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


class BlockReader:
    """Reads one block of a listing into an item; ``remarks`` collects dates that were there but could not be read.

    ``ahead`` holds the addresses of items whose date lies in the future: those are an agenda's.
    """

    def __init__(self, page: PageSettings, about: About, zone: str, now: datetime) -> None:
        self._page = page
        self._about = about
        self._zone = zone
        self._now = now
        self._self = without_fragment(about.url)
        self._known: dict[tuple[str, bool], ReadDate | None] = {}
        self.remarks: list[str] = []
        self.ahead: set[str] = set()

    def read(self, block: Block) -> ParsedItem | None:
        """None for a block without a title or an address of its own."""
        if block.length() > MAX_BLOCK_TEXT or sum(1 for _ in islice(block.elements(), _MAX_ELEMENTS + 1)) > _MAX_ELEMENTS:
            return None
        heading = self._heading(block)
        url, link = self._link(block, heading)
        title = _words(heading) if heading is not None else _name(link) if link is not None else ""
        if not url or not title:
            return None
        taken = heading if heading is not None else link
        dated, label = self._date(block, taken)
        if dated is None and self._lies_ahead(block, taken):
            self.ahead.add(url)
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

    def _heading(self, block: Block) -> LexborNode | None:
        """The heading that is a title: not a label like "Nieuws 22 mei 2019" if there is another, best one with a link."""
        if self._page.title:
            return block.css_first(self._page.title)
        found = [node for node in block.css(HEADINGS) if _words(node)] or self._named_titles(block)
        if len(found) > 1:
            found = [node for node in found if not self._is_label(_words(node))] or found
        linked = [node for node in found if _touches_link(node)]
        return next(iter(linked or found), None)

    def _named_titles(self, block: Block) -> list[LexborNode]:
        named = [node for node in block.css(_TITLE_NAMES) if node.mem_id not in block.ids and 0 < len(_words(node)) <= 300]
        strong = [node for node in block.css("strong,b") if len(_words(node)) >= 10] if block.tag == "a" and not named else []
        return named or strong or self._term(block)

    def _term(self, block: Block) -> list[LexborNode]:
        """The term of a definition list, where it is no date."""
        terms = [node for node in block.nodes if node.tag == "dt" and _words(node)] if len(block.nodes) > 1 else []
        return [node for node in terms if not self._is_label(_spaced(node))]

    def _is_label(self, text: str) -> bool:
        return len(text) <= 40 and self._read(text) is not None

    def _may_be_title(self, text: str) -> bool:
        return bool(text) and not READ_MORE_LINK.fullmatch(text) and not self._is_label(text)

    def _link(self, block: Block, heading: LexborNode | None) -> tuple[str, LexborNode | None]:
        if self._page.link:
            chosen = block.css_first(self._page.link)
            inner = chosen.css_first("a[href]") if chosen is not None and chosen.tag != "a" else chosen
            return (self.address(inner), inner) if inner is not None else ("", None)
        if block.tag == "a":
            return self.address(block.nodes[0]) if _may_lead(block.nodes[0]) else "", block.nodes[0]
        links = [(address, node) for node in block.css("a[href]")[:100] if (address := self.address(node))]
        if heading is not None:
            near = [node for node in (*heading.css("a[href]"), *_parents(heading, block)) if node.tag == "a"]
            own = next((address for node in near if (address := self.address(node))), "")
            return own or _overlay(links, _words(heading)) or _most_linked(links), None
        titled = [(address, node) for address, node in links if _may_lead(node) and self._may_be_title(_name(node))]
        return max(titled, key=lambda pair: len(_name(pair[1])), default=("", None))

    def address(self, node: LexborNode) -> str:
        """Absolute, and another page than this one: links within it lead to comments and tops."""
        address = absolute_url(node.attrs.get("href") or "", self._about.base)
        return "" if without_fragment(address) == self._self or not _is_page(address) else address

    def _date(self, block: Block, title: LexborNode | None) -> tuple[ReadDate | None, str]:
        """The item's date and the label that it was read from, which may hold a kicker too."""
        if self._page.date:
            return self._first_date(block.css(self._page.date), remark=True)
        inside = frozenset() if title is None or (title.mem_id in block.ids and block.tag == "a") else _inside(title)
        times = [node for node in block.css("time") if node.mem_id not in inside]
        named = [node for node in block.css(_DATE_NAMES) if node.mem_id not in inside and len(_words(node)) <= _MAX_LABEL]
        found, label = self._first_date([*times, *named], remark=bool(times))
        if found is not None:
            return found, label
        leaves = [node for node in (*block.css(_DATED)[:20], *_leaves(block)) if node.mem_id not in inside]
        found, label = self._first_date(leaves, remark=False)
        return (found, label) if found is not None else self._loose_date(block)

    def _loose_date(self, block: Block) -> tuple[ReadDate | None, str]:
        text = squeeze(" ".join(block.loose_texts()))
        found = self._read(text) if 6 <= len(text) <= _MAX_LABEL else None
        return found, text if found is not None else ""

    def _first_date(self, nodes: Iterable[LexborNode], *, remark: bool) -> tuple[ReadDate | None, str]:
        for node in nodes:
            text, stamp = _spaced(node), ""
            found = None
            for name in _DATE_ATTRIBUTES:
                stamp = squeeze(node.attrs.get(name) or "")[:60]
                found = read_iso(stamp, self._zone) or (self._read(stamp) if name != "content" else None) if stamp else None
                if found is not None and is_plausible(found, self._now):
                    break
                found = None
            said = self._read(text) if len(text) <= _MAX_LABEL else None
            if found is not None or said is not None:
                return found or said, text if said is not None else ""
            if remark and (text or stamp) and len(self.remarks) < 50:
                self.remarks.append(f'the date "{(text or stamp)[:60]}" could not be read')
        return None, ""

    def _lies_ahead(self, block: Block, title: LexborNode | None) -> bool:
        """Whether the first thing that reads as a date from a later point of view is one of the coming years."""
        inside = _inside(title) if title is not None and title.mem_id not in block.ids else frozenset()
        for node in (*block.css("time"), *_leaves(block)):
            stamp, text = squeeze(node.attrs.get("datetime") or "")[:60], _spaced(node)
            if node.mem_id not in inside and (self._read(stamp, ahead=True) or (len(text) <= 60 and self._read(text, ahead=True))):
                return True
        loose = squeeze(" ".join(block.loose_texts()))
        return len(loose) <= 60 and self._read(loose, ahead=True) is not None

    def _read(self, text: str, *, ahead: bool = False) -> ReadDate | None:
        """Most texts of a page recur in several groups, so each is read once."""
        if (text, ahead) not in self._known:
            if len(self._known) >= _MAX_READ or not any(char.isdigit() or char.isalpha() for char in text):
                return None
            now = self._now + (_YEARS_AHEAD if ahead else timedelta())
            if ahead and not re.search(r"\d{4}", text):
                return None
            self._known[text, ahead] = read_date(text, languages=self._about.languages, zone=self._zone, now=now)
        return self._known[text, ahead]

    def _kicker(self, block: Block, title_node: LexborNode | None, label: str, dated: ReadDate | None, title: str) -> str:
        if self._page.kicker:
            chosen = block.css_first(self._page.kicker)
            return _without_date(_words(chosen), dated)[:80] if chosen is not None else ""
        inside = _inside(title_node)
        named = (node for node in block.css(_KICKER_NAMES) if node.mem_id not in inside and len(_words(node)) <= _MAX_LABEL)
        above = _above(title_node, block)
        for text in (label, *(_words(node) for node in named), *([_words(above)] if above is not None else [])):
            kicker = _without_date(text, dated)
            if 2 <= len(kicker) <= 40 and kicker != title and not NO_KICKER.fullmatch(kicker) and not self._is_label(kicker):
                return kicker
        return ""

    def _teaser(self, block: Block, title_node: LexborNode | None, label: str, title: str) -> str:
        if self._page.teaser:
            return " ".join(_words(node) for node in block.css(self._page.teaser))
        around = list(_around(title_node, block))
        used = _inside(title_node) | {parent.mem_id for parent in around} | (block.ids if len(block.nodes) == 1 else frozenset())
        for selector in (_TEASER_NAMES, "p", "dd,td,div,span"):
            nodes = (node for node in block.css(selector)[:_MAX_LEAVES] if node.mem_id not in used)
            if text := _longest((_words(node) for node in nodes), title, label):
                return text
        return _longest((*block.loose_texts(), *(_own_text(node) for node in around)), title, label)

    def _image(self, block: Block) -> Image | None:
        selector = self._page.image
        found = block.css(selector or _PICTURES)
        if selector:
            found = [node if node.tag == "img" else node.css_first("img") or node for node in found]
        return picture_of(found[:8], self._about.base, chosen=bool(selector))


def without_fragment(url: str) -> str:
    """An address as the page it names: no fragment, no trailing slash."""
    return url.partition("#")[0].rstrip("/")


def _words(node: LexborNode) -> str:
    return squeeze(node.text())


def _spaced(node: LexborNode) -> str:
    """The text with its elements kept apart: <span>22</span><span>mei</span> are two words."""
    return squeeze(node.text(separator=" "))


def _own_text(node: LexborNode) -> str:
    return squeeze(" ".join(child.text() for child in node.iter(include_text=True) if child.is_text_node))


def _name(node: LexborNode) -> str:
    """What a link is called: its text, else its label, else the text of its picture (as browsers name it)."""
    text = _words(node) or squeeze(node.attrs.get("aria-label") or node.attrs.get("title") or "")
    if text:
        return text
    picture = node.css_first("img[alt]")
    return squeeze(picture.attrs.get("alt") or "") if picture is not None else ""


def _may_lead(node: LexborNode) -> bool:
    """Not a link to a tag or an author (HTML §4.6.7)."""
    return not {"tag", "author"} & set((node.attrs.get("rel") or "").lower().split()[:10])


def _longest(texts: Iterable[str], title: str, label: str) -> str:
    found = [text for text in texts if len(text) >= 20 and text not in (title, label) and not READ_MORE_LINK.fullmatch(text)]
    return max(found, key=len, default="")


def _tags(block: Block) -> tuple[str, ...]:
    """The categories that a block names by links with rel=tag (HTML §4.6.7.18)."""
    names = (_words(node) for node in block.css("a[rel~=tag]")[:50])
    return tuple(dict.fromkeys(name for name in names if 0 < len(name) <= _MAX_LABEL))


def _inside(node: LexborNode | None) -> frozenset[int]:
    return frozenset() if node is None else frozenset(inner.mem_id for inner in node.css("*")) | {node.mem_id}


def _around(node: LexborNode | None, block: Block) -> Iterable[LexborNode]:
    return () if node is None or node.mem_id in block.ids else _parents(node, block)


def _above(title: LexborNode | None, block: Block) -> LexborNode | None:
    """The element just above the title, if all that it holds is a short text: a kicker, whatever its class is."""
    current = title
    for _step in range(3):
        if current is None or (current.mem_id in block.ids and len(block.nodes) == 1):
            return None
        before = current.prev
        while before is not None and not before.is_element_node:
            before = before.prev
        if before is not None:
            plain = before.tag in ("p", "div", "span") and before.css_first("a,img,picture,figure,time,ul") is None
            inside = len(block.nodes) == 1 or before.mem_id in block.ids
            return before if plain and inside and len(_words(before)) <= 40 else None
        current = current.parent
    return None


def _touches_link(node: LexborNode) -> bool:
    return node.css_first("a[href]") is not None or any(parent.tag == "a" for parent in _parents(node, None))


def _parents(node: LexborNode, top: Block | None) -> Iterable[LexborNode]:
    if top is not None and node.mem_id in top.ids:
        return
    current = node.parent
    for _step in range(8):
        if current is None or current.tag is None:
            return
        yield current
        if top is not None and current.mem_id in top.ids:
            return
        current = current.parent


def _overlay(links: list[tuple[str, LexborNode]], title: str) -> str:
    """Where a card leads whose link lies over it: an empty link, or one that bears the card's title."""
    for address, node in links:
        name = _name(node)
        empty = not _words(node) and node.css_first("img,picture,svg") is None
        if (empty and not READ_MORE_LINK.fullmatch(name)) or (name and name == title):
            return address
    return ""


def _most_linked(links: list[tuple[str, LexborNode]]) -> str:
    """Where a block leads whose title is no link: its "Lees meer", its only address, or the one it repeats."""
    more = next((address for address, node in links if READ_MORE_LINK.fullmatch(_words(node))), "")
    counts = Counter(address for address, _node in links).most_common(1)
    clear = bool(counts) and (counts[0][1] > 1 or len(links) == 1)
    return more or (counts[0][0] if clear else "")


def _leaves(block: Block) -> Iterator[LexborNode]:
    """Elements with a short text, in document order; a list item's or table cell's too, where its text is a label."""
    for count, node in enumerate(block.elements()):
        if count >= _MAX_LEAVES:
            break
        short = node.tag not in ("p", "h1", "h2", "h3") and 6 <= len(node.text()) <= 4 * _MAX_LABEL
        if short and (node.mem_id not in block.ids or len(block.nodes) > 1) and 6 <= len(_spaced(node)) <= _MAX_LABEL:
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
    rest = re.sub(r"(?i)^\W*(?:op|on|am|vom|den|le|du|the|van|from|date|datum)\b\W*$", " ", rest)
    rest = re.sub(r"(?i)^\W*(?:ma|di|wo|do|vr|za|zo|mon|tue|wed|thu|fri|sat|sun)\w*\W*$", " ", rest)
    return squeeze(rest).strip(" |,·•–—-/:")


def _is_page(url: str) -> bool:
    """A news item has a path or a query; the bare host is a logo's link."""
    parts = urlsplit(url)
    return bool(parts.path.strip("/") or parts.query)
