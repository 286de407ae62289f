"""The words of notices: what an alert and an eve mail say, as a subject and plain text (pure).

Text alone, because both are read on a telephone at a bad moment, and their commands are copied from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pipeline.shown import one_line
from pipeline.texts import Texts


@dataclass(frozen=True, slots=True)
class Need:
    """Something that needs a person, and what mends it; ``when`` it began (or ended), in words."""

    what: str
    fix: str
    when: str


@dataclass(frozen=True, slots=True)
class AlertDocument:
    """What needs a person: ``new`` was never mailed, ``known`` was and lasts, ``recovered`` is over by itself."""

    site_title: str
    language: str
    new: tuple[Need, ...]
    known: tuple[Need, ...]
    recovered: tuple[Need, ...]


@dataclass(frozen=True, slots=True)
class EveItem:
    """An item of the coming edition, with the id that ``gazet items omit`` takes."""

    id: int
    title: str
    url: str


@dataclass(frozen=True, slots=True)
class EveDocument:
    """The coming edition as it would be now.

    ``days`` are local days from today, ``more`` items are only counted in it, ``versions`` is how many different mails
    there are; ``subject`` and ``text`` are those of the one most people get. ``intro``: a file with a few words is used.
    """

    feed_slug: str
    feed_title: str
    timezone: str
    language: str
    due_at: datetime
    clock: str
    days: int
    people: int
    items: tuple[EveItem, ...]
    more: int
    versions: int
    subject: str
    text: str
    intro: bool


def alert(document: AlertDocument, texts: Texts) -> tuple[str, str]:
    """Subject and text. Raises TemplateFault."""
    return _words("alert", document, document.language, texts)


def eve(document: EveDocument, texts: Texts) -> tuple[str, str]:
    """Subject and text. Raises TemplateFault."""
    return _words("eve", document, document.language, texts)


def _words(kind: str, document: object, language: str, texts: Texts) -> tuple[str, str]:
    subject = one_line(texts.render(f"{kind}.subject.j2", language, **{kind: document}))
    return subject, texts.render(f"{kind}.txt.j2", language, **{kind: document})


@dataclass(frozen=True, slots=True)
class MyDataDocument:
    """A link to what is stored about a person; ``url`` works for a day."""

    site_title: str
    language: str
    url: str
    contact: str


def my_data(document: MyDataDocument, texts: Texts) -> tuple[str, str]:
    """Subject and text. Raises TemplateFault."""
    return _words("my_data", document, document.language, texts)
