"""CSS selectors for blocks that were found on a page, and for the parts in them: the simplest ones that select just these.

Only tags, classes and ids that a person would keep are used: none with digits, which builds and databases number anew.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING

from selectolax.lexbor import LexborHTMLParser, LexborNode

from pipeline.collect.block import About, Block, BlockReader
from pipeline.collect.markup import squeeze
from pipeline.collect.outline import Group, Outline, classes_of
from pipeline.models import ParsedItem

if TYPE_CHECKING:  # the process that reads does without pydantic (see apart)
    from pipeline.config import PageSettings

_TAG = re.compile(r"[A-Za-z][A-Za-z0-9-]*")
_NAME = re.compile(r"-?[A-Za-z_][A-Za-z_-]{0,60}")
_TELLING = re.compile(r"(?i)item|card|news|nieuws|post|article|artikel|teaser|entry|title|titel|head|date|datum|intro|excerpt|text")
_STATE = re.compile(r"(?i)(?:js|is|has|u|wow|aos|animate|fade)-.{0,60}|clearfix|hidden|visible|lazy\w{0,10}")
_MAX_LEVELS = 6
_MAX_SELECTORS = 60
_MAX_BLOCKS = 20
_MAX_NODES = 80
_MAX_PART = 12
_MARKED = ("datetime", "content", "data-date", "data-datetime", "data-published", "data-time", "date", "title")
_PLAIN = frozenset(("h1", "h2", "h3", "h4", "h5", "h6", "time"))

Shows = Callable[[tuple[int, int]], set[int]]
Known = tuple[Block, ParsedItem]
"""A block, and the item that is read from it without any selector."""


def item_selectors(tree: LexborHTMLParser, outline: Outline, group: Group, shows: Shows) -> str:
    """The selector of exactly these blocks, or of these and blocks with further items; empty where there is none.

    ``shows``: which of the items that are looked for are within a span of the outline.
    """
    nodes = [block.nodes[0] for block in group.blocks]
    wanted = {node.mem_id for node in nodes}
    theirs = {item for span in group.spans for item in shows(span)}
    best, most = "", 0
    for selector in islice(dict.fromkeys(_of_blocks(nodes)), _MAX_SELECTORS):
        found = {node.mem_id: node for node in tree.css(selector)}
        others = [node for key, node in found.items() if key not in wanted]
        whole = len(found) - len(others) == len(wanted) and len(others) <= len(wanted) + group.beyond
        fitting = len(others) <= group.beyond or _tell_more(outline, others, theirs, shows)
        if whole and fitting and len(found) > most:
            best, most = selector, len(found)
    return best


def _tell_more(outline: Outline, others: Sequence[LexborNode], theirs: set[int], shows: Shows) -> bool:
    """Whether each of these holds one item that no other block does: such as the first one, in a larger block of its own."""
    taken = set(theirs)
    for node in others:
        at = outline.place_of(node)
        items = shows((at, outline.ends[at])) if at is not None and not outline.aside[at] else set()
        if len(items) != 1 or items & taken:
            return False
        taken |= items
    return True


def _of_blocks(nodes: Sequence[LexborNode]) -> Iterator[str]:
    """From the simplest on: by themselves, below a named ancestor, by the path from there."""
    own = _names_of(nodes)
    yield from own
    path, level = own[-1], list(nodes)
    for _level in range(_MAX_LEVELS):
        level = list({parent.mem_id: parent for node in level if (parent := node.parent) is not None}.values())
        if not level or level[0].tag in ("html", None):
            return
        names = [*_ids_of(level), *_names_of(level)]
        yield from (f"{name} {one}" for name in names[:4] for one in own[:3])
        yield from (f"{name} > {path}" for name in names[:4])
        path = f"{names[-1]} > {path}"


def _names_of(nodes: Sequence[LexborNode]) -> list[str]:
    """The tag with each class that all of them have, and the tag alone; a star where they are of several tags, or of an odd one."""
    tags = {str(node.tag) for node in nodes}
    tag = tags.pop() if len(tags) == 1 else ""
    if not _TAG.fullmatch(tag):  # "<a:", of which no selector can be made
        tag = ""
    shared = set.intersection(*(set(_usable(node)) for node in nodes))
    return [*(f"{tag}.{name}" for name in _ranked(shared)), tag or "*"]


def _ids_of(nodes: Sequence[LexborNode]) -> list[str]:
    name = (nodes[0].attrs.get("id") or "") if len(nodes) == 1 else ""
    return [f"#{name}"] if _NAME.fullmatch(name) else []


def _usable(node: LexborNode) -> list[str]:
    return [name for name in classes_of(node) if _NAME.fullmatch(name) and not _STATE.fullmatch(name)]


def _ranked(names: Iterable[str]) -> list[str]:
    """What says something first, then what is short."""
    return sorted(names, key=lambda name: (_TELLING.search(name) is None, len(name), name))[:4]


def part_selectors(known: Sequence[Known], page: PageSettings, about: About, zone: str, now: datetime) -> dict[str, str]:
    """Selectors of title, link, date and teaser within the blocks; a part that no simple selector finds in all is left out.

    ``page`` holds no selectors. Each one must give in every block what was read there without it.
    """
    known = known[:_MAX_BLOCKS]

    def gives(part: str, told: Callable[[ParsedItem], object]) -> Callable[[str], bool]:
        def accepts(selector: str) -> bool:
            reader = BlockReader(page.model_copy(update={part: selector}), about, zone, now)
            read = [(reader.read(block), item) for block, item in known if told(item)]
            return bool(read) and all(found is not None and told(found) == told(item) for found, item in read)

        return accepts

    named = _first(known, _titled, gives("title", lambda item: item.title))
    found = {
        "title": named,
        "link": _first(known, _linked, gives("link", lambda item: item.url), first=["a", *([f"{named} a"] if named else [])]),
        "date": _first(known, _dated, gives("date", lambda item: item.published)),
        "teaser": _first(known, _teasing, gives("teaser", lambda item: item.summary)),
    }
    return {part: selector for part, selector in found.items() if selector}


def _first(
    known: Sequence[Known],
    holds: Callable[[LexborNode, ParsedItem], bool],
    accepts: Callable[[str], bool],
    first: Sequence[str] = (),
) -> str:
    """The first selector of an element that holds the part, in some block, that gives the part in every block."""
    tried: dict[str, None] = {}
    for block, item in known[:5]:
        own = block.nodes[0].mem_id
        inner = (node for node in islice(block.elements(), _MAX_NODES) if node.mem_id != own and holds(node, item))
        for node in inner:
            tried.update(dict.fromkeys(_of_part(node, own)))
    ordered = [*first, *sorted(tried, key=_plainness)]
    return next((selector for selector in ordered[:_MAX_PART] if accepts(selector)), "")


def _of_part(node: LexborNode, top: int) -> list[str]:
    names = _names_of([node])
    parent = node.parent
    if parent is None or parent.mem_id == top:
        return names
    return [*names, *(f"{above} > {names[-1]}" for above in _names_of([parent])[:2])]


def _plainness(selector: str) -> tuple[bool, int, int]:
    """One step before two; tags that say what they hold and classes that do, then other classes, then any tag."""
    _tag, _dot, name = selector.partition(".")
    rank = 0 if selector in _PLAIN or (name and _TELLING.search(name)) else 1 if name or selector in ("a", "p") else 2
    return " " in selector, rank, len(selector)


def _titled(node: LexborNode, item: ParsedItem) -> bool:
    return squeeze(node.text()[:2_000]) == item.title


def _linked(node: LexborNode, _item: ParsedItem) -> bool:
    return node.tag == "a"


def _dated(node: LexborNode, item: ParsedItem) -> bool:
    if item.published is None:
        return False
    text = squeeze(node.text(separator=" ")[:500])
    marks = (squeeze((node.attrs.get(name) or "")[:100]) for name in _MARKED)
    return (item.published.text in text and len(text) <= 80) or item.published.text in marks


def _teasing(node: LexborNode, item: ParsedItem) -> bool:
    return bool(item.summary) and squeeze(node.text()[:5_000]) == item.summary
