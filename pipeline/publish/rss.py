"""A feed as RSS 2.0 (https://www.rssboard.org/rss-specification, with the board's profile)."""

from __future__ import annotations

from html import escape

from feedgen.entry import FeedEntry
from feedgen.feed import FeedGenerator

from pipeline.models import Attachment, FeedDocument, Item
from pipeline.publish import entries
from pipeline.shown import link, one_line

_TTL = 60  # minutes


def render(document: FeedDocument) -> bytes:
    """The document as ``application/rss+xml``, UTF-8."""
    feed = entries.generator(document, "rss", "application/rss+xml")
    feed.load_extension("dc")
    feed.load_extension("media")
    feed.pubDate(document.changed_at)
    feed.ttl(_TTL)
    for feed_item in document.items:
        _add(feed, feed_item.item)
    xml: bytes = feed.rss_str(pretty=True)
    return xml


def _add(feed: FeedGenerator, item: Item) -> None:
    entry = entries.add_entry(feed, item)
    if names := entries.authors(item):
        entry.dc.dc_creator(names)  # RSS's own author must be a mail address
    if content := entries.content(item):
        entry.content(content)
    if summary := one_line(item.summary):
        entry.summary(escape(summary, quote=False))  # a description is read as HTML
    attachments = [*entries.attachments(item)]
    for first in attachments[:1]:  # RSS has room for one, and feedgen keeps the last
        entry.enclosure(first.url, first.length, first.media_type)
    for other in attachments[1:]:
        _add_media(entry, other)
    if item.image and (url := link(item.image.url)):
        entry.media.thumbnail({"url": url, **_size(item)}, group=None)


def _add_media(entry: FeedEntry, attachment: Attachment) -> None:
    attributes = {"url": attachment.url, "type": attachment.media_type}
    entry.media.content(attributes | ({"fileSize": str(attachment.length)} if attachment.length else {}), group=None)


def _size(item: Item) -> dict[str, str]:
    image = item.image
    return {"width": str(image.width), "height": str(image.height)} if image and image.width and image.height else {}
