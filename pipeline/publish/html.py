"""A feed as a page for people: its HTML twin, with neither scripts nor anything from elsewhere (promise 8)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pipeline.models import Attachment, FeedDocument, Item, Precision
from pipeline.publish import entries
from pipeline.shown import headline, link, one_line
from pipeline.texts import Texts


@dataclass(frozen=True, slots=True)
class _Entry:
    """An item as the page shows it: text and links are safe to show; ``language`` only where it is not the feed's."""

    title: str
    url: str
    kicker: str
    summary: str
    at: datetime
    precision: Precision
    authors: tuple[str, ...]
    attachments: tuple[Attachment, ...]
    language: str


def render(document: FeedDocument, texts: Texts) -> bytes:
    """The page as UTF-8; raises TemplateFault."""
    shown = [_entry(feed_item.item, document.language) for feed_item in document.items]
    return texts.render("feed.html.j2", document.language, feed=document, items=shown).encode()


def _entry(item: Item, language: str) -> _Entry:
    return _Entry(
        title=headline(item),
        url=link(item.url),
        kicker=one_line(item.kicker),
        summary=one_line(item.summary),
        at=item.published_at,
        precision=item.published_precision,
        authors=tuple(entries.authors(item)),
        attachments=tuple(_named(found) for found in entries.attachments(item)),
        language=item.language if item.language != language else "",
    )


def _named(found: Attachment) -> Attachment:
    title = found.title or found.url.split("?")[0].rstrip("/").rsplit("/", 1)[-1] or found.url
    return Attachment(found.url, found.media_type, found.length, title)
