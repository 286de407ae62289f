"""Which blocks of a page are its news? Groups of blocks that repeat, scored by what news has and other things have not.

``features`` is the whole judgement: each has a name and a factor, so that a decision can be explained. Structure counts most
(dates, teasers, addresses below one section, what stands under which heading); words only where structure is the same,
as for an agenda beside the news. Nothing here knows a particular site.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from urllib.parse import urlsplit

from pipeline.collect.block import HEADINGS, Block
from pipeline.collect.outline import Group, Outline
from pipeline.collect.phrases import NEWS_WORD, OTHER_WORD, PRICE, RELATED_WORD
from pipeline.models import ParsedItem

_MAX_GROUPS = 30
_ENOUGH = 1.0
_LONG_TEASER = 40

_PAGE_FILE = re.compile(r"(?:/(?:page|pagina|seite)/\d{1,5}|/(?:index|default)\.\w{1,5}|\.\w{3,5})?/?$")

ReadBlock = Callable[[Block], ParsedItem | None]


@dataclass(frozen=True, slots=True)
class Listing:
    """The items of the best groups, in document order, with the shape that made them one ("li.wp-block-post")."""

    shape: str
    items: tuple[ParsedItem, ...]
    blocks: tuple[Block, ...] = ()
    left_out: int = 0
    beyond: int = 0

    @property
    def weak(self) -> bool:
        """Nothing but titles: a page that asks for a password or for consent has such lists, too."""
        return not any(map(_telling, self.items))


@dataclass(slots=True)
class Judged:
    """A group as read: its items with their positions, and the named factors that its worth is multiplied by."""

    group: Group
    items: dict[str, ParsedItem]
    places: dict[str, int]
    features: dict[str, float] = field(default_factory=dict)
    left_out: int = 0

    @property
    def each(self) -> float:
        """What one item is worth on average, all features considered."""
        value = sum(map(_worth, self.items.values())) / max(1, len(self.items))
        for factor in self.features.values():
            value *= factor
        return value

    @property
    def score(self) -> float:
        """What the group is worth: the more items the better, unless they are few among many blocks."""
        share: float = (len(self.items) / max(1, len(self.group.blocks))) ** 0.5
        return self.each * len(self.items) * share


@dataclass(frozen=True, slots=True)
class Page:
    """What scoring knows of the page: its address, and which items' dates lie in the future (grows while blocks are read)."""

    url: str
    ahead: set[str]


def find_listing(outline: Outline, page: Page, read_block: ReadBlock) -> Listing | None:
    """The best group together with those that lead to the same section of the site, or None where nothing is like news."""
    groups = sorted(outline.groups, key=_promise, reverse=True)[:_MAX_GROUPS]
    judged = [found for group in groups for part in _parts(outline, group) if (found := judge(outline, page, part, read_block))]
    _mark_wholes(judged)
    accepted = [one for one in judged if one.each >= _ENOUGH and len(one.items) >= 2]
    best = max(accepted, key=lambda one: one.score, default=None)
    if best is None:
        return _single(outline, page, read_block)
    chosen = _joined(best, [one for one in accepted if one is not best])
    items = _with_lead(outline, chosen, read_block)
    return Listing(best.group.shape, items, tuple(best.group.blocks), best.left_out, best.group.beyond)


def unique(items: Iterable[ParsedItem | None]) -> tuple[ParsedItem, ...]:
    """Items with an address of their own, each address once, in document order."""
    by_url: dict[str, ParsedItem] = {}
    for item in items:
        if item is not None:
            by_url.setdefault(item.url, item)
    return tuple(by_url.values())


def judge(outline: Outline, page: Page, group: Group, read_block: ReadBlock) -> Judged | None:
    """A group read and weighed; None where fewer than two of its blocks can be read."""
    one = Judged(group, {}, {})
    for number, block in enumerate(group.blocks):
        item = read_block(block)
        if item is not None and item.url not in one.items:
            one.items[item.url] = item
            one.places[item.url] = number
    _drop_strangers(one)
    if len(one.items) < 2:
        return None
    one.features = features(outline, page, one)
    return one


def features(outline: Outline, page: Page, one: Judged) -> dict[str, float]:
    """Why a group is the news, or is not: a factor for each thing that it is, above 1 for it and below 1 against it."""
    items = list(one.items.values())
    count = len(items)
    bare = sum(not _telling(item) for item in items) * 2 > count
    section = section_of(one.items)
    said = kind_of(next(outline.introductions(one.group, [min(one.places.values())])))
    around = kind_of(outline.names_around(one.group))
    path = kind_of(section.rpartition("//")[2].partition("/")[2].replace("/", " "))
    below = _below(one.items, page.url)
    title = sum(len(item.title) for item in items) / count
    about = max((said, around, path), key=abs)
    unknown = bare and about <= 0 and not below and (about < 0 or kind_of(urlsplit(page.url).path.replace("/", " ")) <= 0)
    checks = {
        "stands aside": (one.group.aside, 0.1),
        "is not called news": (said < 0 or (said == 0 and (around < 0 or path < 0)), 0.25),
        "is related to something": (said <= -2 or around <= -2, 0.2),
        "is called news": (about > 0, 1.5),
        "leads below this page": (below, 1.5),
        "has dates to come": (sum(item.url in page.ahead for item in items) * 3 >= count, 0.2),
        "follows a story": (_follows_story(outline, one), 0.5 if below else 0.05),
        "names prices": (_share(one, lambda block: bool(PRICE.search(_text(block)))) >= 0.5, 0.1),
        "leads to other sites": (_strangers(items, page.url) * 2 > count, 0.3 if bare else 0.8),
        "has bare titles of many sections": (bare and not section, 0.4),
        "has bare titles that are no headlines": (bare and title < (25 if unknown else 15), 0.4),
        "has blocks unlike one another": (not bare and not _usual_marks(one), 0.3),
        "is two that do not both tell something": (count == 2 and not all(map(_telling, items)), 0.1),
    }
    return {name: factor for name, (holds, factor) in checks.items() if holds}


def _mark_wholes(judged: Sequence[Judged]) -> None:
    """A block that holds several items of another good group is the list, or a row of it, and not an item."""
    parts = [one for one in judged if one.each >= _ENOUGH]
    for whole in judged:
        spans = [whole.group.spans[number] for number in whole.places.values()]
        worthy = [part for part in parts if part is not whole and part.each * 3 >= whole.each]
        telling = [part for part in worthy if any(map(_telling, part.items.values())) or part.score > whole.score]
        if any(_several_in_one(spans, part) for part in telling):
            whole.features["holds several items"] = 0.1


def _several_in_one(spans: Sequence[tuple[int, int]], part: Judged) -> bool:
    """Whether a third of the spans hold two or more of the part's blocks each."""
    starts = sorted(part.group.spans[number][0] for number in part.places.values())
    held = [bisect_left(starts, end) - bisect_right(starts, start) for start, end in spans]
    return 3 * sum(count >= 2 for count in held) >= len(held)


def kind_of(text: str) -> int:
    """What a heading or a name says: 1 news, -1 something else, -2 things related to a story, 0 nothing (or both)."""
    text = text.replace("_", " ")[:1_000]
    if RELATED_WORD.search(text):
        return -2
    return bool(NEWS_WORD.search(text)) - bool(OTHER_WORD.search(text))


def section_of(urls: Iterable[str]) -> str:
    """The deepest part of the site that three quarters of the addresses share: "https://host/nieuws"; empty where there is none.

    Numbers count as one ("/2019/05/" and "/2020/01/" are one section), a language ("/nl/") as none. An address with a query
    ("/show?id=12") is its own section: old systems keep all their news in one.
    """
    counts: Counter[str] = Counter()
    total = 0
    for url in urls:
        counts.update(_sections(url))
        total += 1
    return max((section for section, times in counts.items() if times >= 0.75 * total), key=len, default="")


def _lies_in(urls: Iterable[str], section: str) -> bool:
    inside = [section in _sections(url) for url in urls]
    return sum(inside) >= 0.75 * len(inside)


def _sections(url: str) -> list[str]:
    """Every part of the site that an address lies in, outermost first."""
    parts = urlsplit(url)
    steps = ["#" if step.isdigit() else step for step in parts.path.strip("/").split("/")[:12]]
    kept = steps if parts.query else steps[:-1]
    start = 2 if kept and len(kept[0]) == 2 and kept[0] != "#" else 1
    return [f"{parts.scheme}://{parts.netloc}/{'/'.join(kept[:count])}" for count in range(start, len(kept) + 1)]


def _worth(item: ParsedItem) -> float:
    teaser = 1.5 if len(item.summary) >= _LONG_TEASER else 0.0
    return 1.0 + (2.0 if item.published else 0.0) + teaser + (0.3 if item.image else 0.0)


def _telling(item: ParsedItem) -> bool:
    return item.published is not None or len(item.summary) >= _LONG_TEASER


def _below(urls: Iterable[str], page_url: str) -> bool:
    """Whether items lie below the page itself: /nieuws/x under /nieuws/, /nieuws/page/2 or /nieuws/index.html."""
    here = _PAGE_FILE.sub("", urlsplit(page_url).path[:2_000])
    inside = [urlsplit(url).path.startswith(f"{here}/") for url in urls]
    return len(here) > 1 and sum(inside) >= 0.75 * len(inside)


def _strangers(items: Sequence[ParsedItem], url: str) -> int:
    here = (urlsplit(url).hostname or "").removeprefix("www.")
    return sum((urlsplit(item.url).hostname or "").removeprefix("www.") != here for item in items)


def _share(one: Judged, holds: Callable[[Block], bool]) -> float:
    numbers = list(one.places.values())[:50]
    return sum(holds(one.group.blocks[number]) for number in numbers) / max(1, len(numbers))


def _text(block: Block) -> str:
    return " ".join(node.text() for node in block.nodes)[:2_000]


def _follows_story(outline: Outline, one: Judged) -> bool:
    """More running text stands before the blocks, outside asides, than is in them: they come after an article."""
    start = one.group.spans[min(one.places.values())][0]
    before = 0
    for at in range(start):
        if outline.nodes[at].tag in ("p", "li") and not outline.aside[at] and outline.nodes[at].css_first("a[href]") is None:
            length = len(outline.nodes[at].text())
            before += length if length >= 80 else 0
    within = sum(len(item.title) + len(item.summary) for item in one.items.values())
    return before >= 500 and before >= 1.5 * within


def _drop_strangers(one: Judged) -> None:
    """Blocks in between that lack all that two thirds of the others have (a pager, an advertisement) are no items."""
    common = _usual_marks(one)
    for url, item in list(one.items.items()):
        if common and not common & _marks(item, one.group.blocks[one.places[url]]):
            del one.items[url], one.places[url]
            one.left_out += 1


def _usual_marks(one: Judged) -> set[str]:
    """What two thirds of the items have: a date, a teaser, a heading."""
    usual = Counter(mark for url, item in one.items.items() for mark in _marks(item, one.group.blocks[one.places[url]]))
    return {mark for mark, times in usual.items() if times * 3 >= 2 * len(one.items)}


def _marks(item: ParsedItem, block: Block) -> set[str]:
    found = {
        "heading": block.css_first(HEADINGS) is not None,
        "date": item.published is not None,
        "teaser": len(item.summary) >= 40,
    }
    return {name for name, holds in found.items() if holds}


def _promise(group: Group) -> tuple[bool, float]:
    """A cheap guess at the score, so that only the best groups are read in full."""
    first = group.blocks[:20]
    linked = sum(block.tag == "a" or block.css_first("a[href]") is not None for block in first)
    dated = any(block.css_first("time") is not None for block in first[:3])
    headed = any(block.css_first(HEADINGS) is not None for block in first[:3])
    return not group.aside, linked / len(first) * min(20, len(group.blocks)) * (1 + 2 * dated + headed)


def _parts(outline: Outline, group: Group) -> list[Group]:
    """A group cut by what the headings above its blocks say: an agenda of the same markup is another listing."""
    kinds: dict[int, list[int]] = {}
    numbers = range(len(group.blocks))
    for number, text in zip(numbers, outline.introductions(group, numbers), strict=True):
        kinds.setdefault(kind_of(text), []).append(number)
    if len(kinds) < 2:
        return [group]
    parts = [_picked(group, numbers) for numbers in kinds.values()]
    return [part for part in parts if len(part.blocks) >= 2]


def _picked(group: Group, numbers: Sequence[int]) -> Group:
    blocks, spans = [group.blocks[number] for number in numbers], [group.spans[number] for number in numbers]
    return Group(group.shape, blocks, spans, group.aside, group.beyond)


def _joined(best: Judged, others: Iterable[Judged]) -> dict[int, ParsedItem]:
    """Items by position: the best group's, and of those groups that lead to its section and overlap with none before."""
    section = section_of(best.items)
    taken = [best]
    for one in sorted(others, key=lambda one: one.score, reverse=True):
        fits = section and _lies_in(one.items, section) and not any(_overlap(one, other) for other in taken)
        if fits and "is not called news" not in one.features and "is related to something" not in one.features:
            taken.append(one)
    found: dict[int, ParsedItem] = {}
    for one in taken:
        found.update((one.group.spans[one.places[url]][0], item) for url, item in one.items.items())
    return dict(sorted(found.items()))


def _overlap(one: Judged, other: Judged) -> bool:
    """Whether two groups are readings of the same part of the page, or of the same items."""
    if one.items.keys() & other.items.keys():
        return True
    spans = [other.group.spans[number] for number in other.places.values()]
    mine = [one.group.spans[number] for number in one.places.values()]
    return min(mine)[0] < max(spans)[1] and min(spans)[0] < max(mine)[1] and _nested(mine, spans)


def _nested(mine: Sequence[tuple[int, int]], spans: Sequence[tuple[int, int]]) -> bool:
    edges = sorted([*mine, *spans])
    return any(first[1] > second[0] for first, second in pairwise(edges))


def _with_lead(outline: Outline, found: dict[int, ParsedItem], read_block: ReadBlock) -> tuple[ParsedItem, ...]:
    """The items, with the one that stands alone above them in a block of its own ("featured"), if it is in their section."""
    known = {item.url for item in found.values()}
    section = section_of(known)
    for at, item in _alone(outline, read_block) if section else ():
        if at < min(found) and item.url not in known and _lies_in([item.url], section) and _telling(item):
            return unique((item, *found.values()))
    return unique(found.values())


def _single(outline: Outline, page: Page, read_block: ReadBlock) -> Listing | None:
    """A news page with one item so far: a dated block with a linked heading, and its address is below the page's."""
    found = [item for _at, item in _alone(outline, read_block) if item.published and _below([item.url], page.url)]
    return Listing("a single block", unique(found)) if len({item.url for item in found}) == 1 else None


def _alone(outline: Outline, read_block: ReadBlock) -> Iterable[tuple[int, ParsedItem]]:
    """Items made of a linked heading and the largest block around it that holds no other heading."""
    for at in [at for at, node in enumerate(outline.nodes) if node.tag in ("h1", "h2", "h3", "h4") and not outline.aside[at]][:40]:
        node = outline.nodes[at]
        if node.css_first("a[href]") is None and outline.nodes[outline.parents[at]].tag != "a":
            continue
        top = at
        while outline.parents[top] > 0 and len(outline.nodes[outline.parents[top]].css(HEADINGS)) == 1:
            top = outline.parents[top]
        item = read_block(Block(outline.nodes[top]))
        if item is not None:
            yield top, item
