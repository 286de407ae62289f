"""The words of mails to those who sign up, as a subject and plain text (pure).

Nothing that somebody typed into a form is in them but the address that they go to: a stranger may have typed it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pipeline.models import FeedItem
from pipeline.shown import headline, link, one_line
from pipeline.texts import Texts


@dataclass(frozen=True, slots=True)
class Letterhead:
    """What all of these mails show of the site."""

    title: str
    url: str
    contact: str
    postal_address: str
    timezone: str
    language: str


@dataclass(frozen=True, slots=True)
class ConfirmDocument:
    """A sign-up that waits to be confirmed at ``url`` until ``until``; ``feeds`` are titles."""

    site: Letterhead
    feeds: tuple[str, ...]
    url: str
    asked_at: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class KnownDocument:
    """Somebody asked for what they have already: title and page with preferences of each feed."""

    site: Letterhead
    feeds: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """An item in a few words."""

    title: str
    url: str


@dataclass(frozen=True, slots=True)
class WelcomeFeed:
    """A feed that somebody subscribed to just now; ``first_at`` None: whenever something is new."""

    title: str
    items: tuple[Entry, ...]
    more: int
    url: str
    first_at: datetime | None
    unsubscribe_url: str
    preferences_url: str


@dataclass(frozen=True, slots=True)
class WelcomeDocument:
    """The first mail to a new subscriber."""

    site: Letterhead
    feeds: tuple[WelcomeFeed, ...]


def entry(found: FeedItem) -> Entry:
    """An item as these mails show it."""
    return Entry(headline(found.item), link(found.item.url))


def words(kind: str, document: ConfirmDocument | KnownDocument | WelcomeDocument, texts: Texts) -> tuple[str, str]:
    """Subject and text. Raises TemplateFault."""
    language = document.site.language
    subject = one_line(texts.render(f"{kind}.subject.j2", language, mail=document, site=document.site))
    return subject, texts.render(f"{kind}.txt.j2", language, mail=document, site=document.site)
