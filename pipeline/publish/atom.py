"""A feed as Atom (RFC 4287)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from html import escape
from typing import Any

from feedgen.feed import FeedGenerator
from feedgen.util import xml_elem

from pipeline.models import Attachment, Credit, FeedDocument
from pipeline.publish.entries import Entry, looks_like_markup, unmistakable
from pipeline.publish.generator import Extras, Namespaces, add_entry, add_thumbnail, generator
from pipeline.publish.identity import source_id
from pipeline.shown import link

_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
_TEXTS = ("title", "summary", "content")


class _Extras(Extras):
    """The attributes that feedgen drops, and what it does not know."""

    language = ""

    def extend_atom(self, entry: Any) -> None:
        made = self.made
        if language := made.language_beside(self.language):
            entry.set(_LANG, language)
        for element in entry.iterchildren(*_TEXTS):
            if element.get("type") is None and looks_like_markup(element.text):
                element.set("type", "html")
                element.text = escape(element.text, quote=False)
        if made.url:
            entry.find("link").attrib.update({"rel": "alternate", "type": "text/html"})
        for found in made.attachments:
            xml_elem("link", entry, **_enclosure(found))
        if made.credit:
            _add_source(entry, made.credit, made.updated)
        add_thumbnail(entry, made)


def _add_source(entry: Any, credit: Credit, at: datetime) -> None:
    """RFC 4287 §4.2.11. It was updated with this entry at the latest."""
    source = xml_elem("source", entry)
    xml_elem("id", source).text = source_id(credit)
    xml_elem("link", source, href=credit.url, rel="self" if credit.is_feed else "alternate")
    title = xml_elem("title", source)
    title.text = credit.title
    if looks_like_markup(credit.title):
        title.set("type", "html")
        title.text = escape(credit.title, quote=False)
    xml_elem("updated", source).text = at.isoformat()


def render(document: FeedDocument, entries: Sequence[Entry]) -> bytes:
    """The document as ``application/atom+xml``, UTF-8."""
    feed = generator(document, "atom", "application/atom+xml")
    feed.register_extension("extras", Namespaces, _Extras, rss=False)
    if icon := link(document.icon):
        feed.icon(icon)
    if logo := link(document.image):
        feed.logo(logo)
    for made in entries:
        _add(feed, made, document.language)
    xml: bytes = feed.atom_str(pretty=True)
    return xml


def _add(feed: FeedGenerator, made: Entry, language: str) -> None:
    entry = add_entry(feed, made)
    entry.extras.language = language
    entry.published(made.published)
    entry.updated(_distinct(made.updated, made.seq))
    for name in made.authors:
        entry.author(name=unmistakable(name))
    for category in made.categories:
        entry.category(term=category)
    if made.url:
        entry.link(href=made.url, rel="alternate")
    if made.summary or made.url:  # where there is no content a summary should say something (RFC 4287 §4.1.1.1)
        entry.summary(made.summary or made.headline)
    if made.content:
        entry.content(made.content, type="html")
    elif not made.url:  # without a link an entry must have content (§4.1.2)
        entry.content(made.summary or made.headline)


def _enclosure(found: Attachment) -> dict[str, str]:
    attributes = {"href": found.url, "rel": "enclosure", "type": found.media_type}
    attributes |= {"length": str(found.length)} if found.length else {}
    return attributes | ({"title": unmistakable(found.title)} if found.title else {})


def _distinct(at: datetime, seq: int) -> datetime:
    """The moment with the item's number as its microseconds.

    Entries that were changed in one second, or dated by day, would otherwise share one ``updated``, which the W3C
    validator reports and by which some readers sort.
    """
    return at.replace(microsecond=seq % 1_000_000)
