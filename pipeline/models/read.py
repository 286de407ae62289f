"""What a document of a source says, as its reader found it: ``ParsedItem`` ──normalise──▶ ``CandidateItem``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pipeline.models.words import Confidence, Precision, SourceKind


@dataclass(frozen=True, slots=True)
class ReadDate:
    """A date as read: the moment (UTC), its precision, the text it came from, the rule that read it, and how sure it is."""

    at: datetime
    precision: Precision
    text: str
    rule: str
    confidence: Confidence = Confidence.CERTAIN


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that belongs to an item. ``length`` in bytes; 0 where the source does not say."""

    url: str
    media_type: str = ""
    length: int = 0
    title: str = ""


@dataclass(frozen=True, slots=True)
class Image:
    """An item's picture; width and height in pixels, 0 where unknown."""

    url: str
    alt: str = ""
    width: int = 0
    height: int = 0


@dataclass(frozen=True, slots=True)
class ImageCopy:
    """A foreign image that was looked at: its own size, and a copy of it, ``data``, that is safe to show.

    All sizes in pixels; 0 where unknown. Without ``data`` a ``problem`` says why; ``broken``: nobody is to be sent to it either.
    """

    own_width: int = 0
    own_height: int = 0
    data: bytes = b""
    media_type: str = ""
    width: int = 0
    height: int = 0
    problem: str = ""
    broken: bool = False


@dataclass(frozen=True, slots=True)
class ParsedItem:
    """One item as a reader found it: nothing resolved or sanitised yet except that text fields are plain text.

    ``guid`` is the source's own identity (empty for pages), ``url`` may be relative to the document.
    ``content_html`` and ``summary_html`` are foreign markup; ``summary`` plain text where the reader has only that.
    """

    url: str
    title: str
    guid: str = ""
    kicker: str = ""
    summary: str = ""
    summary_html: str = ""
    content_html: str = ""
    published: ReadDate | None = None
    updated: ReadDate | None = None
    authors: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    image: Image | None = None
    attachments: tuple[Attachment, ...] = ()
    language: str = ""


@dataclass(frozen=True, slots=True)
class PollHints:
    """What a document itself says of how often to ask for it (RSS 2.0 ``ttl``, ``skipHours``, ``skipDays``; RSS 1.0 syndication).

    ``at_least`` None: nothing said. Hours are UTC, 0–23; days 0 (Monday) – 6.
    """

    at_least: timedelta | None = None
    skip_hours: frozenset[int] = frozenset()
    skip_days: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Offer:
    """Another way to read the news of a page: where it is, how it is read, and why one may think so ("the page links to it")."""

    kind: SourceKind
    url: str
    reason: str


@dataclass(frozen=True, slots=True)
class ParsedSource:
    """What one document yielded: its items in the order found, the rule that found them, and remarks for a person.

    ``skipped`` names entries that were left out and why; an empty ``items`` always comes with a reason in ``rule``.
    ``structured``: the page describes its news itself (schema.org). ``next_page``: where its listing goes on. ``links``: all
    addresses that a page links to. ``offers``: other ways to read it, best first. ``children``: further sitemaps of an index.
    """

    kind: SourceKind
    rule: str
    items: tuple[ParsedItem, ...]
    title: str = ""
    language: str = ""
    skipped: tuple[str, ...] = ()
    structured: bool = False
    hints: PollHints = PollHints()
    next_page: str = ""
    links: frozenset[str] = frozenset()
    offers: tuple[Offer, ...] = ()
    children: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Article:
    """An article as its page shows it. ``url`` is its canonical address, ``content_html`` is sanitised and may be empty.

    Attachments have length 0: nobody has asked for them yet. ``remarks`` say what was left out and why.
    """

    url: str
    title: str
    content_html: str
    image: Image | None = None
    authors: tuple[str, ...] = ()
    published: ReadDate | None = None
    modified: ReadDate | None = None
    language: str = ""
    attachments: tuple[Attachment, ...] = ()
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CandidateItem:
    """A normalised item, ready to be compared with what is known.

    ``keys`` are its identities at this source, strongest first (``guid:…``, ``url:…``); ``url`` is absolute http(s) or
    empty; ``summary`` is plain text without "[…]" or "Lees meer"; ``content_html`` is sanitised; ``content_hash`` changes
    when a reader would see a change. ``doubt`` says why a date that the source gives was not believed. ``title_key``: title
    and day, which name an item only where nothing else does; ``former_keys``: as earlier versions wrote its address.
    """

    keys: tuple[str, ...]
    url: str
    title: str
    kicker: str
    summary: str
    content_html: str
    published: ReadDate | None
    updated: ReadDate | None
    authors: tuple[str, ...]
    categories: tuple[str, ...]
    image: Image | None
    attachments: tuple[Attachment, ...]
    language: str
    content_hash: str
    doubt: str = ""
    title_key: str = ""
    former_keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reading:
    """What a document says: as parsed, as candidates, and remarks for a person.

    ``passed``: those of the candidates that the source's conditions let through, with their topics; None: not asked yet.
    """

    parsed: ParsedSource
    candidates: tuple[CandidateItem, ...]
    remarks: tuple[str, ...]
    passed: tuple[CandidateItem, ...] | None = None

    @property
    def taken(self) -> tuple[CandidateItem, ...]:
        """The candidates that are to be stored."""
        return self.candidates if self.passed is None else self.passed


@dataclass(frozen=True, slots=True)
class Order:
    """How a document is to be read: as what, with which selectors, with the language and zone (IANA name) of its source.

    ``page``: ``config.PageSettings``. ``scope``: of a sitemap only what lies below this address.
    """

    kind: SourceKind
    page: Any
    language: str
    zone: str
    max_items: int
    now: datetime
    scope: str = ""


@dataclass(frozen=True, slots=True)
class Survey:
    """A document looked at for the first time: what it holds itself, or why nothing, and where else its news may be read."""

    reading: Reading | None
    problem: str
    fix: str
    offers: tuple[Offer, ...]
    links: frozenset[str]


@dataclass(frozen=True, slots=True)
class Proposal:
    """Selectors for the blocks in which a page shows remembered items, tried; empty ones are not needed or were not found.

    ``known``: how many of the remembered items they give. ``unaided``: without any selector the same items are found;
    where ``item`` is empty, only so.
    """

    item: str
    title: str
    link: str
    date: str
    teaser: str
    known: int
    unaided: bool
    reading: Reading


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """How many of the items that are remembered a page shows, and the selectors for them, None where no list holds them.

    ``offers`` and ``leads``: the feeds that it names, and pages of the same site that its links call news.
    """

    found: int
    proposal: Proposal | None
    offers: tuple[Offer, ...]
    leads: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Way:
    """How a source is read: of which kind what is behind ``url`` is, and why this way was taken."""

    kind: SourceKind
    url: str
    reason: str
