"""A feed as JSON Feed 1.1 (https://www.jsonfeed.org/version/1.1/)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from pipeline.models import Attachment, FeedDocument
from pipeline.publish.entries import Entry
from pipeline.shown import link, one_line


def render(document: FeedDocument, entries: Sequence[Entry]) -> bytes:
    """The document as ``application/feed+json``, UTF-8, one item a line."""
    feed = {
        "version": "https://jsonfeed.org/version/1.1",
        "title": one_line(document.title),
        "home_page_url": link(document.urls["html"]),
        "feed_url": link(document.urls["json"]),
        "description": one_line(document.description),
        "icon": link(document.icon) or link(document.image),
        "language": document.language,
        "authors": [_filled({"name": one_line(document.site_title), "url": link(document.home_url)})],
    }
    head = json.dumps(_filled(feed), ensure_ascii=False, indent=1).removesuffix("\n}")
    items = ",\n".join(json.dumps(_item(made), ensure_ascii=False) for made in entries)
    return f'{head},\n "items": [\n{items}\n]}}\n'.encode()


def _item(made: Entry) -> dict[str, Any]:
    if made.content:
        body = {"content_html": made.content, "summary": made.summary}
    else:
        body = {"content_text": made.summary or made.headline}
    return _filled(
        {
            "id": made.id,
            "url": made.url,
            "title": made.title,
            **body,
            "image": made.image.url if made.image else "",
            "date_published": made.published.isoformat(),
            "date_modified": made.updated.isoformat(),
            "authors": [{"name": name} for name in made.authors],
            "tags": made.categories,
            "language": made.language,
            "attachments": [_attachment(found) for found in made.attachments],
        }
    )


def _attachment(found: Attachment) -> dict[str, Any]:
    size = {"size_in_bytes": found.length} if found.length else {}
    return _filled({"url": found.url, "mime_type": found.media_type, "title": found.title}) | size


def _filled(values: dict[str, Any]) -> dict[str, Any]:
    """The values without the empty ones: JSON Feed leaves out what it does not know."""
    return {key: value for key, value in values.items() if value}
