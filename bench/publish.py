"""Rendering 5,000 items in four formats, beside feedgen used plainly for the two of them that it knows."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta

from feedgen.feed import FeedGenerator

from pipeline.models import Attachment, FeedDocument, Image
from pipeline.publish import atom, render_all, rss
from pipeline.publish.entries import entries_of
from pipeline.texts import Texts
from tests.factories import NOW, make_feed_document, make_feed_item

ITEMS = 5000
_BODY = '<p>Een alinea met <b>nadruk</b>, een <a href="https://www.example.org/x?a=1&amp;b=2">verwijzing</a> en thema’s.</p>\n' * 25


def document() -> FeedDocument:
    """5,000 items with 3 KB of content, an author, two categories, a picture and a file each."""
    items = [
        make_feed_item(
            number,
            content_html=_BODY,
            authors=("Jan Jansen",),
            categories=("Nieuws", "Onderwijs"),
            published_at=NOW - timedelta(minutes=number),
            image=Image(f"https://example.org/{number}.png", "", 640, 480),
            attachments=(Attachment(f"https://example.org/{number}.pdf", "application/pdf", 1234, "Rapport"),),
        )
        for number in range(ITEMS, 0, -1)
    ]
    return make_feed_document(items)


def spent(work: Callable[[], object]) -> float:
    """CPU seconds of this process, the least of three tries: other work on the machine only adds to it."""
    tries = []
    for _ in range(3):
        begun = time.process_time()
        work()
        tries.append(time.process_time() - begun)
    return min(tries)


def plainly(whole: FeedDocument) -> dict[str, bytes]:
    """RSS and Atom as feedgen's manual shows it: one generator for both, each item given as it is."""
    feed = FeedGenerator()
    feed.load_extension("dc")
    feed.load_extension("media")
    feed.id(whole.urls["html"])
    feed.title(whole.title)
    feed.description(whole.description)
    feed.link(href=whole.urls["html"], rel="alternate")
    for listed in whole.items:
        item = listed.item
        entry = feed.add_entry(order="append")
        entry.id(item.identity)
        entry.title(item.title)
        entry.link(href=item.url)
        entry.published(item.published_at)
        entry.updated(item.updated_at)
        entry.summary(item.summary)
        entry.content(item.content_html, type="html")
        entry.author({"name": item.authors[0]})
        entry.dc.dc_creator(list(item.authors))
        entry.category([{"term": name} for name in item.categories])
        entry.enclosure(item.attachments[0].url, item.attachments[0].length, item.attachments[0].media_type)
        entry.media.thumbnail({"url": item.image.url}, group=None) if item.image else None
    return {"rss": feed.rss_str(pretty=True), "atom": feed.atom_str(pretty=True)}


def two(whole: FeedDocument) -> dict[str, bytes]:
    """The same two formats from Gazet, making the items ready included."""
    entries = entries_of(whole)
    return {"rss": rss.render(whole, entries), "atom": atom.render(whole, entries)}


def measure() -> tuple[float, float, float]:
    """CPU seconds: Gazet's four formats, its RSS and Atom alone, feedgen's RSS and Atom."""
    whole, texts = document(), Texts(None)
    return spent(lambda: render_all(whole, texts)), spent(lambda: two(whole)), spent(lambda: plainly(whole))
