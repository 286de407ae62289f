"""What RSS and Atom share: a feedgen generator with its traps stepped over.

feedgen takes the last link as the channel's (so ``self`` comes first, ``alternate`` last), reads the clock where no date is set,
puts new entries in front, drops rel, type, length and title of an Atom entry's links, and changes the locale of the whole
process for each date that it writes.
"""

from __future__ import annotations

from typing import Any

from feedgen.entry import FeedEntry
from feedgen.ext.base import BaseEntryExtension, BaseExtension
from feedgen.feed import FeedGenerator
from feedgen.util import xml_elem

from pipeline import __version__
from pipeline.models import FeedDocument
from pipeline.publish.entries import Entry, unmistakable
from pipeline.publish.identity import feed_id
from pipeline.shown import link, one_line

MEDIA = "http://search.yahoo.com/mrss/"


class Namespaces(BaseExtension):  # type: ignore[misc]
    """The feed's part of an extension: the namespaces that its entries use, by prefix."""

    spaces: dict[str, str] = {"media": MEDIA}  # noqa: RUF012  (feedgen makes the instance)

    def extend_ns(self) -> dict[str, str]:
        """Prefixes and their namespaces."""
        return self.spaces


class Extras(BaseEntryExtension):  # type: ignore[misc]
    """What a format adds to an entry's element; ``made`` is set before the feed is written."""

    made: Entry


def generator(document: FeedDocument, extension: str, media_type: str) -> FeedGenerator:
    """A feedgen feed with everything but its entries; ``extension`` is that of the document itself (rss, atom)."""
    feed = FeedGenerator()
    feed.id(feed_id(document))
    feed.title(unmistakable(one_line(document.title)))
    feed.description(unmistakable(one_line(document.description) or one_line(document.title)))
    feed.language(document.language)
    feed.updated(document.changed_at)
    feed.author(name=unmistakable(one_line(document.site_title)), uri=link(document.home_url))
    feed.generator("Gazet", version=__version__)
    feed.link(href=link(document.urls[extension]), rel="self", type=media_type)
    feed.link(href=link(document.urls["html"]), rel="alternate", type="text/html")
    return feed


def add_entry(feed: FeedGenerator, made: Entry) -> FeedEntry:
    """The entry at the end of the feed, with its id and title."""
    entry = feed.add_entry(order="append")
    entry.extras.made = made
    entry.id(made.id)
    entry.title(made.headline)
    return entry


def add_thumbnail(element: Any, made: Entry) -> None:
    """The entry's picture as Media RSS has it, with its size where that is known."""
    if (image := made.image) is not None:
        size = {"width": str(image.width), "height": str(image.height)} if image.width > 0 and image.height > 0 else {}
        xml_elem(f"{{{MEDIA}}}thumbnail", element, url=image.url, **size)
