"""The archive's pages with made-up editions, so that a mistake in their templates is found before anybody looks."""

from __future__ import annotations

from datetime import datetime

from pipeline.config import Settings
from pipeline.store.archive import KeptEdition, KeptItem
from pipeline.texts import Texts


def check_archive(settings: Settings, texts: Texts, now: datetime) -> None:
    """A list with everything that it may show, an empty one, and what stands above an edition. Raises TemplateFault."""
    items = [KeptItem(1, "Title", "https://www.example.org/1/", "", None), KeptItem(2, "Title", "", "en", now)]
    one, url = KeptEdition(1, "feed/2026-11-24T08:00", now, "Subject", "en", (1, 2), 1), settings.site.url
    listed = [{"edition": one, "url": url, "items": items}]
    page = {"number": 2, "count": 3, "url": url, "feed_url": url}
    for feed in settings.feeds.values():
        for editions in (listed, []):
            texts.render("archive.html.j2", feed.language, site=settings.site, feed=feed, editions=editions, page=page)
        values = {"feed": feed, "edition": one, "list_url": url, "before": (one, url), "after": (one, url), "withdrawn": items[1:]}
        texts.render("edition.html.j2", feed.language, site=settings.site, **values)
        texts.render("edition.css.j2", feed.language, site=settings.site)
