"""Which blocks of a page are its news? Repeated blocks of one shape, scored by what news items have.

A block counts for its own link and title, more for a date, a teaser and a heading; navigation, footers, sidebars, tag
clouds, cookie bars and comments have few of these and lose. Nothing here knows a particular site.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from selectolax.lexbor import LexborHTMLParser, LexborNode

from pipeline.models import ParsedItem

MAX_BLOCK_TEXT = 30_000
_MAX_BLOCKS = 1_000
_MAX_GROUPS = 25
_BLOCK_TAGS = frozenset(("article", "li", "div", "section", "tr", "td", "dt", "dd", "a", "p", "h2", "h3", "h4"))
_SKIPPED = frozenset(("script", "style", "noscript", "template", "svg", "form", "select", "button", "head", "iframe"))
_ASIDE = frozenset(("nav", "footer", "aside", "dialog"))
# A class that differs from item to item (post-26, category-nieuws, has-post-thumbnail, odd) says nothing about the shape.
_OF_ONE_ITEM = re.compile(
    r".*\d.*|(?:post|category|tag|format|status|type|author|has|is|term|topic|lang|no|with)-.*|odd|even|first|last|sticky"
    r"|active|current|featured|promoted|highlight(?:ed)?|new",
    re.IGNORECASE,
)
_SIDE_NAME = re.compile(
    r"(?:(?:site|main|page|primary|secondary|top|sub|footer|header|mobile|wp|post|entry|cookie|related|recent)[-_]?)?"
    r"(?:nav|navigation|navbar|menu|footer|sidebar|widget-area|comments?|reacties|respond|breadcrumbs?|pagination|paging|pager"
    r"|share|social|tag-?cloud|cookies?|consent|banner|search|related|gerelateerd|(?:recent|related)[-_]posts)"
    r"(?:[-_]?(?:area|list|bar|wrapper|wrap|container|content|items?|links|notice|popup|widget|form))?",
    re.IGNORECASE,
)
_ROLES = frozenset(("navigation", "contentinfo", "complementary", "search", "dialog", "banner", "alertdialog"))


@dataclass(frozen=True, slots=True)
class Listing:
    """The items of the best group with the shape that made them one ("li.wp-block-post") and its score."""

    shape: str
    items: tuple[ParsedItem, ...]
    score: float


@dataclass(slots=True)
class _Group:
    """Blocks of one shape; ``aside`` where they sit in a navigation, sidebar or the like."""

    shape: str
    nodes: list[LexborNode]
    aside: bool


ReadBlock = Callable[[LexborNode], ParsedItem | None]


def find_listing(tree: LexborHTMLParser, read_block: ReadBlock) -> Listing | None:
    """The best group of at least two items that can be read, or None."""
    if tree.body is None:
        return None
    groups = sorted(_groups(tree.body), key=_promise, reverse=True)[:_MAX_GROUPS]
    found = [listing for group in groups if (listing := _read_group(group, read_block)) is not None]
    return max(found, key=lambda listing: listing.score, default=None)


def unique(items: Iterator[ParsedItem | None]) -> tuple[ParsedItem, ...]:
    """Items with an address of their own, each address once, in document order."""
    by_url: dict[str, ParsedItem] = {}
    for item in items:
        if item is not None:
            by_url.setdefault(item.url, item)
    return tuple(by_url.values())


def _read_group(group: _Group, read_block: ReadBlock) -> Listing | None:
    items = unique(read_block(node) for node in group.nodes[:_MAX_BLOCKS])
    if len(items) < 2:
        return None
    score = sum(_worth(item) for item in items) * (len(items) / len(group.nodes)) ** 0.5
    if not _is_news(items, group.aside):
        return None
    return Listing(group.shape, items, score * (0.1 if group.aside else 1.0))


def _is_news(items: Sequence[ParsedItem], aside: bool) -> bool:
    """Half of the items have a date or a teaser, of two items or in a sidebar all; bare titles must read like headlines."""
    telling = sum(item.published is not None or len(item.summary) >= 40 for item in items)
    if aside or len(items) == 2:
        return telling == len(items)
    if telling * 2 >= len(items):
        return True
    return sum(len(item.title) for item in items) >= 25 * len(items)


def _worth(item: ParsedItem) -> float:
    teaser = 1.5 if len(item.summary) >= 40 else 0.0
    return 1.0 + (2.0 if item.published else 0.0) + teaser + (0.3 if item.image else 0.0)


def _promise(group: _Group) -> tuple[bool, float]:
    """A cheap guess at the score, so that only the best groups are read in full."""
    linked = sum(node.css_first("a[href]") is not None or node.tag == "a" for node in group.nodes[:20])
    share = linked / min(20, len(group.nodes))
    dated = any(node.css_first("time") is not None for node in group.nodes[:3])
    headed = any(node.css_first("h1,h2,h3,h4,h5,h6") is not None for node in group.nodes[:3])
    return not group.aside, share * min(20, len(group.nodes)) * (1 + 2 * dated + headed)


def _groups(body: LexborNode) -> list[_Group]:
    """Blocks under parents of one shape, at one depth, with one tag; then by the class that most of them share."""
    buckets: dict[tuple[int, str, str, bool], list[tuple[LexborNode, tuple[str, ...]]]] = defaultdict(list)
    for node, depth, parent, aside in _walk(body):
        buckets[(depth, str(node.tag), parent, aside)].append((node, _classes(node)))
    found = []
    for (_depth, tag, _parent, aside), members in buckets.items():
        if len(members) >= 2:
            for label, nodes in _by_shared_class(members).items():
                found.append(_Group(f"{tag}.{label}" if label else tag, nodes, aside))
    return [group for group in found if len(group.nodes) >= 2]


def _by_shared_class(members: Sequence[tuple[LexborNode, tuple[str, ...]]]) -> dict[str, list[LexborNode]]:
    frequency = Counter(name for _node, names in members for name in names)
    labelled: dict[str, list[LexborNode]] = defaultdict(list)
    for node, names in members:
        labelled[max(names, key=lambda name: frequency[name], default="")].append(node)
    return labelled


def _walk(body: LexborNode) -> Iterator[tuple[LexborNode, int, str, bool]]:
    """Every possible block with its depth, its parent's shape, and whether it stands aside."""
    waiting: list[tuple[LexborNode, int, bool]] = [(body, 0, False)]
    while waiting:
        parent, depth, aside = waiting.pop()
        shape = ".".join((str(parent.tag), *_classes(parent)))
        children = [node for node in parent.iter() if node.is_element_node and node.tag not in _SKIPPED]
        waiting.extend((node, depth + 1, aside or _stands_aside(node)) for node in reversed(children))
        for node in children:
            if node.tag in _BLOCK_TAGS:
                yield node, depth, shape, aside or _stands_aside(node)


def _classes(node: LexborNode) -> tuple[str, ...]:
    names = (node.attrs.get("class") or "").split()
    return tuple(sorted(name for name in set(names[:40]) if not _OF_ONE_ITEM.fullmatch(name)))


def _stands_aside(node: LexborNode) -> bool:
    if node.tag in _ASIDE or (node.attrs.get("role") or "") in _ROLES:
        return True
    names = [*(node.attrs.get("class") or "").split()[:40], node.attrs.get("id") or ""]
    return any(_SIDE_NAME.fullmatch(name[:60]) for name in names)
