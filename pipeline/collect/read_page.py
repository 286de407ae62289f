"""An HTML news page as a list of items: by the operator's selectors, and found automatically where they are silent.

The way: an ``outline`` of the page gives groups of blocks that repeat, ``listing`` chooses among them, ``block`` reads each
into an item, ``pages`` finds where the listing goes on; ``no_listing`` says why there is none.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from selectolax.lexbor import LexborHTMLParser

from pipeline.collect.block import About, Block, BlockReader
from pipeline.collect.listing import Page, find_listing, unique
from pipeline.collect.markup import TooComplexError, absolute_url, decode, parse
from pipeline.collect.no_listing import Facts, explain, facts_of, wall_of
from pipeline.collect.outline import MAX_BLOCKS, MAX_ELEMENTS, Outline
from pipeline.collect.pages import links_of, next_page
from pipeline.errors import ReadError
from pipeline.models import ParsedItem, ParsedSource, SourceKind

if TYPE_CHECKING:  # the process that reads does without pydantic (see apart)
    from pipeline.config import PageSettings

_NOT_TEXT = ("script", "style", "noscript", "template", "svg", "iframe", "button", "select", "textarea")
_PARTS = ("title", "link", "date", "teaser", "kicker", "image")


def read_page(
    body: bytes, *, url: str, content_type: str, page: PageSettings, language: str, zone: str, now: datetime
) -> ParsedSource:
    """The items of an HTML page in document order, with absolute addresses.

    ``page`` holds the operator's selectors. Raises ReadError, with the reason and a fix, where no listing is found, a
    selector that items cannot do without matches nothing, or the page is beyond the limits of ``markup``.
    """
    try:
        tree = parse(decode(body, content_type))
    except TooComplexError as error:
        raise ReadError(url, f"is a page that {error}", fix="Give the address of a feed or of a simpler page.") from None
    document = _Document(tree, page, About(tree, url, language), zone, now)
    rule, items = document.by_selector() if page.item else document.automatic()
    return ParsedSource(
        kind=SourceKind.PAGE,
        rule=rule,
        items=items,
        title=document.about.title,
        language=document.about.language,
        skipped=tuple(document.remarks),
        next_page=next_page(tree, url=url, base_url=document.about.base, items={item.url for item in items}),
        links=links_of(tree, document.about.base),
    )


class _Document:
    """One page, the operator's selectors for it, and the remarks that come up while it is read."""

    def __init__(self, tree: LexborHTMLParser, page: PageSettings, about: About, zone: str, now: datetime) -> None:
        self.tree, self.page, self.about = tree, page, about
        self._zone, self._now = zone, now
        self._facts: Facts = facts_of(tree)
        leave_text(tree)
        self.remarks: list[str] = []

    def by_selector(self) -> tuple[str, tuple[ParsedItem, ...]]:
        item = self.page.item
        blocks = [Block(node) for node in self.tree.css(item)]
        if not blocks:
            raise ReadError(self.about.url, f'nothing on the page matches item = "{item}"', fix=self._without_item())
        reader = self._reader(self.page)
        items = unique(reader.read(block) for block in blocks)
        self._name_unmatched(blocks)
        if not items:
            reason = f'the {len(blocks)} blocks of item = "{item}" hold no link with a title'
            fix = "Correct link and title under [source.page]; each item needs both."
            raise ReadError(self.about.url, "; ".join((reason, *self.remarks)), fix=fix)
        if len(items) < len(blocks):
            self.remarks.append(f"{len(blocks) - len(items)} of {len(blocks)} blocks have no link with a title of their own")
        self.remarks.extend(reader.remarks)
        return f"selector {item}", items

    def automatic(self) -> tuple[str, tuple[ParsedItem, ...]]:
        if self.tree.body is None:
            raise ReadError(self.about.url, "no listing found on the page: it is empty", fix="Look at it in a browser.")
        outline = Outline(self.tree.body)
        if outline.cut:
            self.remarks.append(f"only the first {MAX_ELEMENTS:,} elements of the page were looked at")
        reader = self._reader(self.page)
        listing = find_listing(outline, Page(self.about.url, reader.ahead), reader.read)
        if listing is None or (listing.weak and wall_of(self.tree, self._facts)):
            self._name_unmatched([block for group in outline.groups[:20] for block in group.blocks[:20]])
            raise self._no_listing(outline, len(reader.ahead))
        self._name_unmatched(listing.blocks)
        if listing.left_out:
            self.remarks.append(f"{listing.left_out} blocks between the items were left out: they are of another kind")
        if listing.beyond:
            self.remarks.append(f"{listing.beyond} blocks beyond the first {MAX_BLOCKS:,} were not read")
        return f"listing {listing.shape}", listing.items

    def _reader(self, page: PageSettings) -> BlockReader:
        return BlockReader(page, self.about, self._zone, self._now)

    def _no_listing(self, outline: Outline, ahead: int) -> ReadError:
        reason, fix = explain(self.tree, outline, self._facts, ahead)
        feed = linked_feed(self.tree, self.about.url)
        fix = f"The page names a feed: use {feed} instead." if feed else fix
        return ReadError(self.about.url, "; ".join((f"no listing found on the page: {reason}", *self.remarks)), fix=fix)

    def _without_item(self) -> str:
        """What there is without the selector, for an operator whose site was redesigned; the others may be of old, too."""
        look = "Look whether the page was redesigned"
        for without, parts in (("it", ("item",)), ("any selector", ("item", *_PARTS))):
            page = self.page.model_copy(update=dict.fromkeys(parts, ""))
            with contextlib.suppress(ReadError):
                rule, items = _Document(self.tree, page, self.about, self._zone, self._now).automatic()
                return f'{look}; without {without} {len(items)} items are found by {rule}, the first is "{items[0].title[:80]}".'
        return f"{look}; without it no list is found, either."

    def _name_unmatched(self, blocks: Sequence[Block]) -> None:
        """A remark for each selector of a part that matches in no block, with what is found without it."""
        for part in (part for part in _PARTS if getattr(self.page, part)):
            selector = getattr(self.page, part)
            if blocks and not any(block.css_first(selector) for block in blocks):
                reader = self._reader(self.page.model_copy(update={part: ""}))
                item = next((item for block in blocks[:20] if (item := reader.read(block))), None)
                self.remarks.append(f'{part} = "{selector}" matches nothing in any of {len(blocks)} blocks{_found(item, part)}')


def _found(item: ParsedItem | None, part: str) -> str:
    if item is None:
        return ""
    values = {"title": item.title, "link": item.url, "teaser": item.summary, "kicker": item.kicker}
    values["date"] = item.published.text if item.published else ""
    values["image"] = item.image.url if item.image else ""
    return f'; without it "{values[part][:80]}" is found' if values[part] else "; without it nothing is found"


def leave_text(tree: LexborHTMLParser) -> None:
    """Take out what is no text of the page, scripts above all; a selector of the settings is looked for in what is left."""
    _show_lazy_images(tree)
    tree.strip_tags(list(_NOT_TEXT))


def _show_lazy_images(tree: LexborHTMLParser) -> None:
    """The real picture of a lazy-loaded one often stands in a noscript beside it: take it out of there."""
    for node in tree.css("noscript"):
        if node.css_first("img") is not None and not node.text().strip():
            node.unwrap()


def linked_feed(tree: LexborHTMLParser, url: str) -> str:
    """The first feed that the page's head links to (RSS autodiscovery), empty where there is none."""
    for link in tree.css("link[rel~=alternate][href]"):
        if (link.attrs.get("type") or "").lower() in ("application/rss+xml", "application/atom+xml"):
            return absolute_url(link.attrs.get("href") or "", url)
    return ""
