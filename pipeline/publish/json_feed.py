"""A feed as JSON Feed 1.1 (https://www.jsonfeed.org/version/1.1/)."""

from __future__ import annotations

import json
from typing import Any

from pipeline.models import Attachment, FeedDocument, Item
from pipeline.publish import entries
from pipeline.publish.identity import entry_id
from pipeline.shown import headline, link, one_line


def render(document: FeedDocument) -> bytes:
    """The document as ``application/feed+json``, UTF-8."""
    feed = {
        "version": "https://jsonfeed.org/version/1.1",
        "title": one_line(document.title),
        "home_page_url": link(document.urls["html"]),
        "feed_url": link(document.urls["json"]),
        "description": one_line(document.description),
        "language": document.language,
        "authors": [_filled({"name": one_line(document.site_title), "url": link(document.home_url)})],
        "items": [_item(feed_item.item) for feed_item in document.items],
    }
    return (json.dumps(_filled(feed) | {"items": feed["items"]}, ensure_ascii=False, indent=1) + "\n").encode()


def _item(item: Item) -> dict[str, Any]:
    content, summary = entries.content(item), one_line(item.summary)
    body = {"content_html": content, "summary": summary} if content else {"content_text": summary or headline(item)}
    return _filled(
        {
            "id": entry_id(item),
            "url": link(item.url),
            "title": one_line(item.title),
            **body,
            "image": link(item.image.url) if item.image else "",
            "date_published": item.published_at.isoformat(),
            "date_modified": item.updated_at.isoformat(),
            "authors": [{"name": name} for name in entries.authors(item)],
            "tags": entries.categories(item),
            "language": item.language,
            "attachments": [_attachment(found) for found in entries.attachments(item)],
        }
    )


def _attachment(found: Attachment) -> dict[str, Any]:
    size = {"size_in_bytes": found.length} if found.length else {}
    return _filled({"url": found.url, "mime_type": found.media_type, "title": found.title}) | size


def _filled(values: dict[str, Any]) -> dict[str, Any]:
    """The values without the empty ones: JSON Feed leaves out what it does not know."""
    return {key: value for key, value in values.items() if value}
