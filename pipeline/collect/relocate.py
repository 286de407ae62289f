"""Where did the items go? After a redesign they are looked for on the page by their addresses and titles (pure).

page ──hits──▶ elements that show a remembered item ──climb──▶ blocks that hold one each ──name──▶ CSS selectors ──try──▶ Proposal
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from selectolax.lexbor import LexborHTMLParser

from pipeline.collect.block import About, BlockReader
from pipeline.collect.listing import kind_of
from pipeline.collect.markup import TooComplexError, absolute_url, decode, parse, squeeze
from pipeline.collect.name_blocks import item_selectors, part_selectors
from pipeline.collect.normalise import normalise, url_key
from pipeline.collect.offers import base_of, offers
from pipeline.collect.outline import Group, Outline
from pipeline.collect.phrases import NEWS_WORD
from pipeline.collect.read_page import leave_text, read_page
from pipeline.collect.unpack import unpacked
from pipeline.errors import ReadError
from pipeline.models import CandidateItem, Order, Proposal, Reading, Whereabouts

PARTS = ("item", "title", "link", "date", "teaser")
_ALL_PARTS = (*PARTS, "kicker", "image")
_LEAST = 2
"""One item on a page may be chance, or its own article."""
_OF = 10
"""A list in which fewer than one in so many is known may be a menu."""
_TRIED = 3
_SMALL = 16
"""An element with more inside than this is no title."""
_LONGEST_TITLE = 1_000
_MAX_LEADS = 3
_MAX_LINKS = 5_000
_LONGEST_NAME = 40


@dataclass(frozen=True, slots=True)
class _Page:
    """What is found in one pass over a page: positions of elements that show a remembered item, in order, and which."""

    outline: Outline
    places: list[int]
    shown: list[int]

    def within(self, span: tuple[int, int]) -> set[int]:
        """The remembered items that these elements show."""
        return set(self.shown[bisect_left(self.places, span[0]) : bisect_left(self.places, span[1])])


class Memory:
    """The items that are remembered of a source, as pairs of title and address, and how they are recognised again."""

    def __init__(self, remembered: Sequence[tuple[str, str]]) -> None:
        self.size = len(remembered)
        self._keys: dict[str, int] = {}
        self._titles: dict[str, int] = {}
        twice: set[str] = set()
        for number, (title, url) in enumerate(remembered):
            if url:
                self._keys.setdefault(url_key(url), number)
            if self._titles.setdefault(name := _folded(title), number) != number:
                twice.add(name)
        # Short titles are the words of a menu, too; one that several items have names none of them.
        self._titles = {name: at for name, at in self._titles.items() if len(name) >= 12 and " " in name and name not in twice}

    def by_address(self, address: str) -> int | None:
        """Which item an absolute address leads to."""
        return self._keys.get(url_key(address)) if address else None

    def by_title(self, text: str) -> int | None:
        """Which item bears this title."""
        return self._titles.get(_folded(text))

    def known(self, candidates: Iterable[CandidateItem], *, named: bool = False) -> set[int]:
        """The remembered items among these; ``named``: only those that have their titles still."""
        found = set()
        for one in candidates:
            at = self.by_title(one.title)
            found.add(self.by_address(one.url) if at is None and not named else at)
        return {at for at in found if at is not None}


def look_for(body: bytes, url: str, headers: Mapping[str, str], order: Order, remembered: Sequence[tuple[str, str]]) -> Whereabouts:
    """What a page shows of the remembered items (title, address), and how they would be read.

    ``url`` is its final address, header names are in lower case. Any bytes give a result or a ReadError.
    """
    memory, body = Memory(remembered), unpacked(body, url)
    try:
        tree = parse(decode(body, headers.get("content-type", "")))
    except TooComplexError as error:
        raise ReadError(url, f"is a page that {error}", fix="Look at it in a browser.") from None
    offered, leads = offers(tree, headers, url), _leads(tree, url, memory)
    leave_text(tree)
    found, choices = _choices(tree, url, order, memory)
    del tree  # it is parsed again for each trial
    proposal = propose(body, url, headers, order, choices, memory, found) if found >= _LEAST else None
    return Whereabouts(found, proposal, offered, leads)


def propose(
    body: bytes,
    url: str,
    headers: Mapping[str, str],
    order: Order,
    choices: Sequence[Mapping[str, str]],
    memory: Memory,
    found: int,
) -> Proposal | None:
    """The best of the choices of selectors, as they turn out; None where none gives more than half of the ``found`` items."""
    unaided = _tried(body, url, headers, order, {})
    tried: list[tuple[Mapping[str, str], Reading]] = [({}, unaided)] if unaided is not None else []
    for selectors in (one for choice in choices for one in (choice, {"item": choice["item"]})):
        if (reading := _tried(body, url, headers, order, selectors)) is not None:
            tried.append((selectors, reading))
            if len(memory.known(reading.candidates)) == found and not _strangers(reading, unaided):
                break  # each trial takes as long as a collect
    ranked = [(*worth(reading.candidates, memory), -_strangers(reading, unaided), len(selectors)) for selectors, reading in tried]
    best = max(range(len(tried)), key=ranked.__getitem__, default=None)
    if best is None or not _convinces(ranked[best][0], found, len(tried[best][1].candidates), memory):
        return None
    selectors, reading = tried[best]
    same = unaided is not None and not _strangers(reading, unaided) and worth(unaided.candidates, memory) >= ranked[best][:5]
    named = {part: selectors.get(part, "") for part in PARTS}
    return Proposal(**named, known=ranked[best][0], unaided=same, reading=reading)


def _convinces(known: int, found: int, listed: int, memory: Memory) -> bool:
    """Enough of what the page shows, and of a list that is no menu: one with few that are known, and few of all that are."""
    return known >= _LEAST and known * 2 > found and (known * _OF >= listed or known * 2 >= memory.size)


def _strangers(reading: Reading, unaided: Reading | None) -> int:
    """How many items are not in the list that is found without selectors, where one is."""
    listed = {url_key(one.url) for one in unaided.candidates} if unaided is not None else set()
    return sum(url_key(one.url) not in listed for one in reading.candidates) if listed else 0


def _tried(body: bytes, url: str, headers: Mapping[str, str], order: Order, selectors: Mapping[str, str]) -> Reading | None:
    """The page read with these selectors alone."""
    page = order.page.model_copy(update=dict.fromkeys(_ALL_PARTS, "") | dict(selectors))
    kind = headers.get("content-type", "")
    try:
        parsed = read_page(body, url=url, content_type=kind, page=page, language=order.language, zone=order.zone, now=order.now)
    except ReadError:
        return None
    parsed = replace(parsed, items=parsed.items[: order.max_items])
    candidates, remarks = normalise(parsed, base_url=url, language=order.language, now=order.now)
    return Reading(replace(parsed, items=(), links=frozenset()), candidates, (*parsed.skipped, *remarks))


def worth(candidates: Sequence[CandidateItem], memory: Memory) -> tuple[int, ...]:
    """What makes one reading better than another, most important first: how many items of it are known, how many titles these
    have, how many their former one, a date, a teaser.
    """
    known = [one for one in candidates if memory.known([one])]
    titles, dated = {one.title for one in known}, sum(one.published is not None for one in known)
    named, told = memory.known(known, named=True), sum(bool(one.summary) for one in known)
    return len(memory.known(known)), len(titles), len(named), dated, told


def _folded(text: str) -> str:
    return squeeze(text).casefold()


def _choices(tree: LexborHTMLParser, url: str, order: Order, memory: Memory) -> tuple[int, list[dict[str, str]]]:
    """How many remembered items the page shows, and selectors worth a trial."""
    if tree.body is None:
        return 0, []
    about = About(tree, url, order.language)
    page = _hits(Outline(tree.body), about.base, memory)
    found = len(set(page.shown))
    if found < _LEAST:
        return found, []
    blank = order.page.model_copy(update=dict.fromkeys(_ALL_PARTS, ""))
    reader = BlockReader(blank, about, order.zone, order.now)
    choices = []
    for group in _blocks(page, reader, found)[:_TRIED]:
        item = item_selectors(tree, page.outline, group, page.within)
        if item:
            known = [block for block, span in zip(group.blocks, group.spans, strict=True) if page.within(span)]
            named = [(block, read) for block in known if (read := reader.read(block)) is not None]
            choices.append({"item": item} | part_selectors(named, blank, about, order.zone, order.now))
    return found, choices


def _hits(outline: Outline, base: str, memory: Memory) -> _Page:
    """Links that lead to a remembered item, and elements whose text is its title."""
    page = _Page(outline, [], [])
    for at, node in enumerate(outline.nodes):
        shown = memory.by_address(absolute_url(node.attrs.get("href") or "", base)) if node.tag == "a" else None
        if shown is None and outline.ends[at] - at <= _SMALL and len(text := node.text()) <= _LONGEST_TITLE:
            shown = memory.by_title(text)
        if shown is not None:
            page.places.append(at)
            page.shown.append(shown)
    return page


def _blocks(page: _Page, reader: BlockReader, found: int) -> list[Group]:
    """Groups of blocks that hold one remembered item each and nobody else's, the largest blocks first."""
    holding = []
    for group in page.outline.groups:
        counts = [len(page.within(span)) for span in group.spans]
        items = {at for span, count in zip(group.spans, counts, strict=True) if count == 1 for at in page.within(span)}
        several = sum(count > 1 for count in counts)
        one_node = all(len(block.nodes) == 1 for block in group.blocks[:5])
        if one_node and len(items) >= _LEAST and len(items) * 2 > found and several * 4 <= len(items):
            holding.append((group, len(items)))
    most = max((count for _group, count in holding), default=0)
    good = [group for group, count in holding if count * 5 >= most * 4]
    good = [group for group in good if not group.aside] or good
    whole = [group for group in good if any(_holds_others(page, group, part, reader) for part in good if part is not group)]
    return sorted((group for group in good if group not in whole), key=_size, reverse=True)


def _size(group: Group) -> int:
    """How many elements a block holds: the middle one's."""
    sizes = sorted(end - start for start, end in group.spans)
    return sizes[len(sizes) // 2]


def _holds_others(page: _Page, whole: Group, part: Group, reader: BlockReader) -> bool:
    """Whether a third of the blocks hold beside their own item a block like it that tells another: they are rows."""
    starts = [span[0] for span in part.spans]
    own = [span for span in whole.spans if page.within(span)][:20]
    rows = 0
    for start, end in own:
        inner = range(bisect_left(starts, start), bisect_left(starts, end))
        others = [number for number in inner if not page.within(part.spans[number])][:5]
        rows += any(_is_story(reader, part, number) for number in others)
    return rows * 3 >= len(own) > 0


def _is_story(reader: BlockReader, part: Group, number: int) -> bool:
    item = reader.read(part.blocks[number])
    return item is not None and len(item.title) >= 12 and " " in item.title


def _leads(tree: LexborHTMLParser, url: str, memory: Memory) -> tuple[str, ...]:
    """Pages of the same site that the page's links call news, those that say nothing else first."""
    base, host = base_of(tree, url), _host(url)
    seen, found = {url_key(url)}, []
    for node in tree.css("a[href]")[:_MAX_LINKS]:
        text = squeeze(node.text()[:200])
        address = absolute_url(node.attrs.get("href") or "", base)
        if not address or len(text) > _LONGEST_NAME or kind_of(text) <= 0 or _host(address) != host:
            continue
        if (key := url_key(address)) not in seen and memory.by_address(address) is None:
            seen.add(key)
            found.append((NEWS_WORD.fullmatch(text) is None, address.partition("#")[0]))
    return tuple(address for _other, address in sorted(found, key=lambda one: one[0])[:_MAX_LEADS])


def _host(url: str) -> str:
    """The site of an absolute address, www. or not."""
    return url_key(f"http://{urlsplit(url).netloc}/")
