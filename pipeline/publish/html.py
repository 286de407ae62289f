"""A feed as a page for people: its HTML twin, with neither scripts nor anything from elsewhere (promise 8)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from posixpath import dirname, relpath
from urllib.parse import urlsplit

from pipeline.models import Attachment, Credit, FeedDocument, Picture, Precision
from pipeline.publish.entries import Entry
from pipeline.texts import Texts


@dataclass(frozen=True, slots=True)
class _Shown:
    """An entry as the page shows it; ``language`` only where it is not the feed's."""

    title: str
    url: str
    kicker: str
    summary: str
    at: datetime
    precision: Precision
    authors: tuple[str, ...]
    attachments: tuple[Attachment, ...]
    language: str
    source: Credit | None
    picture: Picture | None


def render(document: FeedDocument, entries: Sequence[Entry], texts: Texts) -> bytes:
    """The page as UTF-8; raises TemplateFault."""
    shown = [_shown(made, document.language) for made in entries]
    base = urlsplit(document.base_url)
    # Relative, so that the page shows them wherever it is looked at: in a rehearsal, site.url does not lead here yet.
    media = relpath(f"{base.path}/media", dirname(urlsplit(document.urls["html"]).path))
    places = {"origin": f"{base.scheme}://{base.netloc}", "media": media}
    return texts.render("feed.html.j2", document.language, feed=document, items=shown, **places).encode()


def _shown(made: Entry, language: str) -> _Shown:
    return _Shown(
        title=made.headline,
        url=made.url,
        kicker=made.kicker,
        summary=made.summary,
        at=made.dated,
        precision=made.precision,
        authors=made.authors,
        attachments=tuple(_named(found) for found in made.attachments),
        language=made.language_beside(language),
        source=made.credit,
        picture=made.picture,
    )


def _named(found: Attachment) -> Attachment:
    title = found.title or found.url.split("?")[0].rstrip("/").rsplit("/", 1)[-1] or found.url
    return Attachment(found.url, found.media_type, found.length, title)
