"""A page as one flat list of elements in document order: who contains whom, what stands aside, and which blocks repeat.

Two elements are in the same *place* when the same path of shapes leads to them from the same unique ancestor; blocks that
repeat in one place form a group. A shape is a tag and those of its classes that do not differ from item to item.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from selectolax.lexbor import LexborNode

from pipeline.collect.block import Block

_SKIPPED = frozenset(("script", "style", "noscript", "template", "svg", "select", "button", "head", "iframe"))
_NO_BLOCK = frozenset(
    ("b", "br", "em", "figcaption", "h1", "header", "hr", "i", "img", "input", "label", "main", "nav", "picture", "small", "source")
) | frozenset(("span", "strong", "sub", "sup", "table", "tbody", "time", "u"))
_HEADING_TAGS = ("h1", "h2", "h3", "h4", "h5", "h6")
_STARTS = frozenset(("h2", "h3", "h4", "h5", "h6", "dt"))
_ASIDE = frozenset(("nav", "footer", "aside", "dialog"))
# A class that differs from item to item (post-26, category-nieuws, has-post-thumbnail, odd) says nothing about the shape.
_OF_ONE_ITEM = re.compile(
    r".*\d|(?:post|category|tag|format|status|type|author|has|is|term|topic|lang|no|with)-.*|odd|even|first|last|sticky"
    r"|active|current|featured|promoted|highlight(?:ed)?|new",
    re.IGNORECASE,
)
_SIDE_NAME = re.compile(
    r"(?:(?:site|main|page|primary|secondary|top|sub|mega|footer|header|mobile|wp|post|entry|cookie|related|recent|block)[-_]{0,2})?"
    r"(?:nav|navigation|navbar|menu|footer|sidebar|widget-area|comments?|reacties|respond|breadcrumbs?|pagination|paging|pager"
    r"|share|social|tag-?cloud|cookies?|consent|banner|search|related|gerelateerd|(?:recent|related)[-_]posts)"
    r"(?:[-_]{1,2}(?:area|list|bar|wrapper|wrap|container|content|items?|links|notice|popup|widget|form))?",
    re.IGNORECASE,
)
_ROLES = frozenset(("navigation", "contentinfo", "complementary", "search", "dialog", "banner", "alertdialog", "menu", "menubar"))
MAX_BLOCKS = 1_000
MAX_ELEMENTS = 60_000
_MAX_RUN = 40


@dataclass(slots=True)
class Group:
    """Blocks of one shape in one place, with their positions; ``aside`` where they sit in a navigation, sidebar or the like.

    ``beyond``: how many more there are than the 1,000 that are kept.
    """

    shape: str
    blocks: list[Block]
    spans: list[tuple[int, int]]
    aside: bool
    beyond: int = 0


class Outline:
    """Elements of a body in document order: ``nodes[i]`` holds ``nodes[i + 1 : ends[i]]``; ``parents[i]`` contains it.

    ``cut``: the page has more than 60,000 elements, and the rest is not in it (each costs about 1 kB here).
    """

    def __init__(self, body: LexborNode) -> None:
        self.nodes: list[LexborNode] = []
        self.parents: list[int] = []
        self.ends: list[int] = []
        self.aside: list[bool] = []
        self._names: list[tuple[str, ...]] = []
        self._where: dict[int, int] = {}
        self._texts: dict[int, str] = {}
        self.cut = False
        self._walk(body)
        self._headings = [at for at, node in enumerate(self.nodes) if node.tag in _HEADING_TAGS]

    def _walk(self, body: LexborNode) -> None:
        waiting = [(body, -1, False)]
        while waiting and len(self.nodes) < MAX_ELEMENTS:
            node, parent, sectioned = waiting.pop()
            at = len(self.nodes)
            self.nodes.append(node)
            self.parents.append(parent)
            self.aside.append((parent >= 0 and self.aside[parent]) or _stands_aside(node, sectioned))
            self._names.append(classes_of(node))
            self._where[node.mem_id] = at
            inner = sectioned or node.tag in ("main", "article", "section")
            children = [child for child in node.iter() if child.is_element_node and child.tag not in _SKIPPED]
            waiting.extend((child, at, inner) for child in reversed(children))
        self.cut = bool(waiting)
        self.ends = [at + 1 for at in range(len(self.nodes))]
        for at in range(len(self.nodes) - 1, 0, -1):
            self.ends[self.parents[at]] = max(self.ends[self.parents[at]], self.ends[at])

    def place_of(self, node: LexborNode) -> int | None:
        """Its position, None where it is not in the outline."""
        return self._where.get(node.mem_id)

    @cached_property
    def groups(self) -> list[Group]:
        """Everything that repeats: elements of one shape in one place, and runs of siblings without a wrapper."""
        places = self._places()
        buckets: dict[tuple[int, str, bool], list[int]] = defaultdict(list)
        for at, node in enumerate(self.nodes):
            if at and node.tag not in _NO_BLOCK:
                buckets[(places[self.parents[at]], str(node.tag), self.aside[at])].append(at)
        found = []
        for (_place, tag, aside), members in buckets.items():
            if len(members) >= 2:
                for label, group in self._by_shared_class(members).items():
                    kept = group[:MAX_BLOCKS] if len(group) >= 2 else []
                    spans = [(at, self.ends[at]) for at in kept]
                    blocks = [Block(self.nodes[at]) for at in kept]
                    found.append(Group(f"{tag}.{label}" if label else tag, blocks, spans, aside, len(group) - len(kept)))
        return [group for group in (*found, *self._runs()) if len(group.blocks) >= 2]

    def _places(self) -> list[int]:
        """A number for each element: the same for siblings of one shape below the same place, else its own."""
        counts = Counter(
            (self.parents[at], node.tag, name) for at, node in enumerate(self.nodes) for name in self._names[at] or ("",)
        )
        shared: dict[tuple[int, str, str], int] = {}
        places: list[int] = []
        for at, node in enumerate(self.nodes):
            parent, tag = self.parents[at], str(node.tag)
            label = max(self._names[at] or ("",), key=lambda name: counts[parent, tag, name])
            repeats = parent >= 0 and counts[parent, tag, label] > 1
            places.append(shared.setdefault((places[parent], tag, label), at) if repeats else at)
        return places

    def _by_shared_class(self, members: Sequence[int]) -> dict[str, list[int]]:
        """Members by the class that most of them have; those with none in common with any other are one group, too."""
        frequency = Counter(name for at in members for name in self._names[at])
        labelled: dict[str, list[int]] = defaultdict(list)
        for at in members:
            label = max(self._names[at], key=lambda name: frequency[name], default="")
            labelled[label if frequency[label] > 1 else ""].append(at)
        return labelled

    def _runs(self) -> Iterator[Group]:
        """Headings with the paragraphs behind them, terms with their definitions: siblings that only their order groups."""
        starts: dict[tuple[int, str], list[int]] = defaultdict(list)
        for at, node in enumerate(self.nodes):
            if node.tag in _STARTS:
                starts[(self.parents[at], str(node.tag))].append(at)
        for (parent, tag), found in starts.items():
            if len(found) >= 2:
                every = _runs_of(self.nodes[parent], tag)
                runs = every[:MAX_BLOCKS]
                blocks, spans = [Block(*run) for run in runs], [self._span(run) for run in runs]
                yield Group(f"{tag} and what follows", blocks, spans, self.aside[parent], len(every) - len(runs))

    def _span(self, run: Sequence[LexborNode]) -> tuple[int, int]:
        known = [self._where[node.mem_id] for node in run if node.mem_id in self._where]
        return (known[0], self.ends[known[-1]]) if known else (0, 0)

    def introductions(self, group: Group, numbers: Iterable[int]) -> Iterator[str]:
        """For each block the text of the heading it stands under: the last before it that no block of its group holds."""
        starts = [span[0] for span in group.spans]
        for number in numbers:
            yield self._introduction(group, starts, number)

    def _introduction(self, group: Group, starts: Sequence[int], number: int) -> str:
        start = starts[number]
        last = bisect_right(self._headings, start - 1) - 1
        for heading in reversed(self._headings[max(0, last - 30) : last + 1]):
            inside = bisect_right(starts, heading) - 1
            if (inside < 0 or heading >= group.spans[inside][1]) and self._reaches(heading) >= group.spans[number][1]:
                return self._text_of(heading)
        return ""

    def _text_of(self, heading: int) -> str:
        if heading not in self._texts:
            self._texts[heading] = " ".join(self.nodes[heading].text()[:400].split())[:80]
        return self._texts[heading]

    def _reaches(self, heading: int) -> int:
        """Where the part of the page ends that a heading introduces: it may have a small wrapper of its own."""
        at = heading
        while self.parents[at] > 0 and self.ends[self.parents[at]] - self.parents[at] <= 6:
            at = self.parents[at]
        return self.ends[self.parents[at]] if self.parents[at] >= 0 else len(self.nodes)

    def names_around(self, group: Group, levels: int = 4) -> str:
        """Ids and class names of the first block and what contains it, for words such as "agenda"."""
        at, names = group.spans[0][0], []
        for _level in range(levels):
            if at <= 0:
                break
            node = self.nodes[at]
            names.append(f"{(node.attrs.get('class') or '')[:200]} {(node.attrs.get('id') or '')[:60]}")
            at = self.parents[at]
        return " ".join(names)


def _runs_of(parent: LexborNode, tag: str) -> list[list[LexborNode]]:
    """The children of one element, cut before each ``tag``, or before what always precedes it (a line with the date)."""
    children = [
        node for node in parent.iter(include_text=True) if node.is_element_node or (node.is_text_node and node.text().strip())
    ]
    starts = [at for at, node in enumerate(children) if node.tag == tag]
    while (before := {_shape(children, at - 1) for at in starts}) and len(before) == 1 and "" not in before:
        if _shape(children, len(children) - 1) in before or starts[0] == 0 or tag in before:
            break
        starts = [at - 1 for at in starts]
    ends = [*starts[1:], len(children)]
    return [children[start : min(end, start + _MAX_RUN)] for start, end in zip(starts, ends, strict=True)]


def _shape(children: Sequence[LexborNode], at: int) -> str:
    if at < 0:
        return ""
    return ".".join((str(children[at].tag), *classes_of(children[at]))) if children[at].is_element_node else "text"


def classes_of(node: LexborNode) -> tuple[str, ...]:
    """Those of its classes that do not differ from item to item, in order."""
    names = (node.attrs.get("class") or "").split()
    return tuple(sorted(name for name in set(names[:40]) if not _OF_ONE_ITEM.fullmatch(name)))


def _stands_aside(node: LexborNode, sectioned: bool) -> bool:
    """By its element and role; by its name too, but not where it holds the main part of the page."""
    if node.tag in _ASIDE or (node.tag == "header" and not sectioned) or (node.attrs.get("role") or "") in _ROLES:
        return node.css_first("main") is None
    if node.attrs.get("hidden") is not None or "hidden" in node.attrs or _NOT_SHOWN.search((node.attrs.get("style") or "")[:200]):
        return True
    names = [*(node.attrs.get("class") or "").split()[:40], node.attrs.get("id") or ""]
    return any(_SIDE_NAME.fullmatch(name[:60]) for name in names) and node.css_first("main,h1") is None


_NOT_SHOWN = re.compile(r"display\s{0,5}:\s{0,5}none", re.IGNORECASE)
