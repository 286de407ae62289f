"""What RSS and Atom share: a feedgen generator with its traps stepped over.

feedgen takes the last link as the channel's (so ``self`` comes first, ``alternate`` last), reads the clock where no date
is set, puts new entries in front, and drops rel, type, length and title of an Atom entry's links.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from feedgen.entry import FeedEntry
from feedgen.ext.base import BaseEntryExtension, BaseExtension
from feedgen.feed import FeedGenerator

from pipeline import __version__
from pipeline.models import Attachment, FeedDocument, Item
from pipeline.publish.identity import entry_id, feed_id
from pipeline.shown import clean, headline, link, one_line

_ATOM_LINK = "link"
_UNKNOWN_TYPE = "application/octet-stream"
_MEDIA_TYPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]*/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]*")


class _Links(BaseEntryExtension):  # type: ignore[misc]
    """Gives an Atom entry's links back their attributes."""

    def __init__(self) -> None:
        self.links: list[dict[str, str]] = []

    def extend_atom(self, entry: Any) -> Any:
        for element, attributes in zip(entry.findall(_ATOM_LINK), self.links, strict=True):
            element.attrib.update(attributes)
        return entry


def generator(document: FeedDocument, extension: str, media_type: str) -> FeedGenerator:
    """A feedgen feed with everything but its entries; ``extension`` is that of the document itself (rss, atom)."""
    feed = FeedGenerator()
    feed.register_extension("links", BaseExtension, _Links, rss=False)
    feed.id(feed_id(document))
    feed.title(one_line(document.title))
    feed.description(one_line(document.description) or one_line(document.title))
    feed.language(document.language)
    feed.updated(document.changed_at)
    feed.author(name=one_line(document.site_title), uri=link(document.home_url))
    feed.generator("Gazet", version=__version__)
    feed.link(href=link(document.urls[extension]), rel="self", type=media_type)
    feed.link(href=link(document.urls["html"]), rel="alternate", type="text/html")
    return feed


def add_entry(feed: FeedGenerator, item: Item) -> FeedEntry:
    """The item at the end of the feed with what both formats show; summary and content are each format's own."""
    entry = feed.add_entry(order="append")
    entry.id(entry_id(item))
    entry.title(headline(item))
    entry.published(item.published_at)
    entry.updated(item.updated_at)
    for category in categories(item):
        entry.category(term=category)
    for attributes in _links(item):
        entry.links.links.append(attributes)
        entry.link(**attributes)
    return entry


def categories(item: Item) -> list[str]:
    """The item's categories without blanks and repetitions."""
    return list(dict.fromkeys(name for name in map(one_line, item.categories) if name))


def authors(item: Item) -> list[str]:
    """The item's authors without blanks and repetitions."""
    return list(dict.fromkeys(name for name in map(one_line, item.authors) if name))


def attachments(item: Item) -> Iterator[Attachment]:
    """The item's attachments that have a usable address, each once, with a media type that is one (RFC 6838 §4.2)."""
    seen = set()
    for found in item.attachments:
        url = link(found.url)
        if url and url not in seen:
            seen.add(url)
            media_type = found.media_type if _MEDIA_TYPE.fullmatch(found.media_type) else _UNKNOWN_TYPE
            yield Attachment(url, media_type, max(found.length, 0), one_line(found.title))


def content(item: Item) -> str:
    """The item's sanitised HTML, "" where it has none."""
    return clean(item.content_html).strip()


def _links(item: Item) -> Iterator[dict[str, str]]:
    if url := link(item.url):
        yield {"href": url, "rel": "alternate", "type": "text/html"}
    for found in attachments(item):
        attributes = {"href": found.url, "rel": "enclosure", "type": found.media_type}
        attributes |= {"length": str(found.length)} if found.length else {}
        yield attributes | ({"title": found.title} if found.title else {})
