"""A feed as RSS 2.0 (https://www.rssboard.org/rss-specification, with the board's profile)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from email.utils import format_datetime
from html import escape
from typing import Any
from urllib.parse import urlsplit

from feedgen.feed import FeedGenerator
from feedgen.util import xml_elem

from pipeline.models import Attachment, FeedDocument
from pipeline.publish.entries import Entry, unmistakable
from pipeline.publish.generator import MEDIA, Extras, Namespaces, add_entry, add_thumbnail, generator
from pipeline.shown import link

_ATOM = "http://www.w3.org/2005/Atom"
_DC = "http://purl.org/dc/elements/1.1/"
_PICTURES = (".gif", ".jpeg", ".jpg", ".png")
_ENCLOSABLE = re.compile(r"https?://(?:[a-z0-9-]++\.)++[a-z0-9][a-z0-9-]*+(?::[0-9]++)?+/")


class _Namespaces(Namespaces):
    spaces = {"dc": _DC, "media": MEDIA}  # noqa: RUF012


class _Extras(Extras):
    """The elements that feedgen has no short way for."""

    language = ""

    def extend_rss(self, item: Any) -> None:
        made = self.made
        xml_elem("pubDate", item).text = format_datetime(made.published)
        if made.updated != made.published:
            xml_elem(f"{{{_ATOM}}}updated", item).text = made.updated.isoformat()
        for name in made.authors:  # RSS's own author must be a mail address
            xml_elem(f"{{{_DC}}}creator", item).text = name
        if language := made.language_beside(self.language):
            xml_elem(f"{{{_DC}}}language", item).text = language
        _add_files(item, made.attachments)
        add_thumbnail(item, made)


def render(document: FeedDocument, entries: Sequence[Entry]) -> bytes:
    """The document as ``application/rss+xml``, UTF-8."""
    feed = generator(document, "rss", "application/rss+xml")
    feed.register_extension("extras", _Namespaces, _Extras, atom=False)
    feed.pubDate(document.changed_at)
    feed.ttl(document.ttl)
    if picture := _picture(document):
        feed.image(url=picture, title=feed.title(), link=link(document.urls["html"]))
    for made in entries:
        _add(feed, made, document.language)
    xml: bytes = feed.rss_str(pretty=True)
    return xml


def _add(feed: FeedGenerator, made: Entry, language: str) -> None:
    entry = add_entry(feed, made)
    entry.extras.language = language
    entry.title(unmistakable(made.headline))
    if made.url:
        entry.link(href=made.url)
    for category in made.categories:
        entry.category(term=unmistakable(category))
    if made.content:
        entry.content(made.content)
    if made.summary:
        entry.summary(escape(made.summary, quote=False))  # a description is read as HTML


def _add_files(item: Any, attachments: Sequence[Attachment]) -> None:
    """RSS has room for one file; the others, and one at a host without a dot, which it does not take, are Media RSS's.

    A length that nobody knows is 0 there: the board's profile says so, and the attribute is required.
    """
    first = next((found for found in attachments if _ENCLOSABLE.match(found.url)), None)
    for found in attachments:
        if found is first:
            xml_elem("enclosure", item, url=found.url, length=str(found.length), type=found.media_type)
        else:
            size = {"fileSize": str(found.length)} if found.length else {}
            xml_elem(f"{{{MEDIA}}}content", item, url=found.url, type=found.media_type, **size)


def _picture(document: FeedDocument) -> str:
    """The feed's picture where RSS takes it: as GIF, JPEG or PNG."""
    known = [url for url in (link(document.image), link(document.icon)) if urlsplit(url).path.lower().endswith(_PICTURES)]
    return known[0] if known else ""
