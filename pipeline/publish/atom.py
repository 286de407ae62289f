"""A feed as Atom (RFC 4287)."""

from __future__ import annotations

from datetime import datetime

from feedgen.feed import FeedGenerator

from pipeline.models import FeedDocument, FeedItem
from pipeline.publish import entries
from pipeline.shown import headline, one_line


def render(document: FeedDocument) -> bytes:
    """The document as ``application/atom+xml``, UTF-8."""
    feed = entries.generator(document, "atom", "application/atom+xml")
    for feed_item in document.items:
        _add(feed, feed_item)
    xml: bytes = feed.atom_str(pretty=True)
    return xml


def _add(feed: FeedGenerator, feed_item: FeedItem) -> None:
    item = feed_item.item
    entry = entries.add_entry(feed, item)
    entry.updated(_distinct(item.updated_at, feed_item.seq))
    for name in entries.authors(item):
        entry.author(name=name)
    if summary := one_line(item.summary):
        entry.summary(summary)
    if content := entries.content(item):
        entry.content(content, type="html")
    elif not entry.link():
        entry.content(summary or headline(item))  # without a link an entry must have content (RFC 4287 §4.1.2)


def _distinct(at: datetime, seq: int) -> datetime:
    """The moment with the item's number as its microseconds.

    Entries that were changed in one second, or dated by day, would otherwise share one ``updated``, which the W3C
    validator reports and by which some readers sort.
    """
    return at.replace(microsecond=seq % 1_000_000)
