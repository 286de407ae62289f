"""What flows between the stages: frozen values, one type per moment of life.

    ParsedItem ──normalise──▶ CandidateItem ──decide──▶ CollectPlan ──store──▶ Item
    Item + seq = FeedItem ──select──▶ Selection ──digest, message──▶ Variant ──splice──▶ OutgoingMessage
    OutgoingMessage ──relay──▶ RelayAnswer ──retry.decide──▶ RetryDecision

Times are aware UTC datetimes; a ``seq`` is an item's number in one feed, from 1.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any


class SourceKind(StrEnum):
    """How a source is read; ``auto`` finds out from its bytes."""

    AUTO = "auto"
    FEED = "feed"
    WORDPRESS = "wordpress"
    SITEMAP = "sitemap"
    PAGE = "page"


class SourceState(StrEnum):
    """``attention`` always has a reason."""

    OK = "ok"
    ATTENTION = "attention"
    PAUSED = "paused"
    GONE = "gone"


class ItemStatus(StrEnum):
    """``held`` waits for a person; only ``released`` items have a number in a feed and are published."""

    HELD = "held"
    RELEASED = "released"
    WITHDRAWN = "withdrawn"
    DISCARDED = "discarded"


class Cadence(StrEnum):
    """How often a subscription is due."""

    INSTANT = "instant"
    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"


class SubscriptionStatus(StrEnum):
    """Only ``active`` ones are sent to."""

    PENDING = "pending"
    ACTIVE = "active"
    SNOOZED = "snoozed"
    UNSUBSCRIBED = "unsubscribed"
    BOUNCED = "bounced"
    COMPLAINED = "complained"


class SignupStatus(StrEnum):
    """asked → told (a mail with the link to confirm was queued) → confirmed; or silent: no mail is sent, for a reason."""

    ASKED = "asked"
    TOLD = "told"
    SILENT = "silent"
    CONFIRMED = "confirmed"


class ImageState(StrEnum):
    """``waiting`` to be fetched, ``kept`` as a copy of our own, or ``failed`` and not shown."""

    WAITING = "waiting"
    KEPT = "kept"
    FAILED = "failed"


class EditionStatus(StrEnum):
    """*Finished* is derived: no delivery queued, sending or deferred."""

    SENDING = "sending"
    PAUSED = "paused"
    CANCELLED = "cancelled"


class DeliveryStatus(StrEnum):
    """queued → sending → accepted, deferred (again sending later), or one of the final ones."""

    QUEUED = "queued"
    SENDING = "sending"
    ACCEPTED = "accepted"
    DEFERRED = "deferred"
    FAILED = "failed"
    SUPPRESSED = "suppressed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    UNCERTAIN = "uncertain"


OPEN_DELIVERIES = (DeliveryStatus.QUEUED, DeliveryStatus.SENDING, DeliveryStatus.DEFERRED)
"""An edition with none of these is finished."""


class Confidence(StrEnum):
    """How sure a date is: written for machines, one clear reading, or a reading that filled a gap (a year, a century)."""

    CERTAIN = "certain"
    LIKELY = "likely"
    GUESSED = "guessed"


class Precision(StrEnum):
    """Whether a date was read with a time of day. ``day``: 12:00 in the source's zone, shown without a time."""

    TIME = "time"
    DAY = "day"


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
class KnownItem:
    """What decide needs to know of a stored item.

    ``elsewhere``: this source has not brought it under this key yet; ``theirs``: its text is another source's.
    """

    item_id: int
    content_hash: str
    url: str = ""
    title: str = ""
    summary: str = ""
    published_at: datetime | None = None
    elsewhere: bool = False
    theirs: bool = False


@dataclass(frozen=True, slots=True)
class PastVersion:
    """How an item read before it was changed at ``until``; ``number`` 1 is the oldest."""

    number: int
    until: datetime
    url: str
    title: str
    summary: str
    content_html: str
    content_hash: str


@dataclass(frozen=True, slots=True)
class ItemUpdate:
    """A known item that now reads differently, or is known under a new key."""

    item_id: int
    candidate: CandidateItem
    changed: bool


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


@dataclass(frozen=True, slots=True)
class Merge:
    """An entry that is taken for a known item by another key than its strongest; ``reason`` in words, for a person."""

    item_id: int
    candidate: CandidateItem
    reason: str


@dataclass(frozen=True, slots=True)
class CollectPlan:
    """What a collect is going to write. ``new`` is oldest first, so that numbers follow time, and so is ``seen``.

    ``seen``: the known items of the document, each with one entry; ``named``: with all of them. ``taken``: keys that the source
    has given to another entry than before; they are its from now on.
    """

    new: tuple[CandidateItem, ...] = ()
    updates: tuple[ItemUpdate, ...] = ()
    unchanged: int = 0
    remarks: tuple[str, ...] = ()
    seen: tuple[tuple[int, CandidateItem], ...] = ()
    named: tuple[tuple[int, CandidateItem], ...] = ()
    merges: tuple[Merge, ...] = ()
    taken: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Item:
    """A stored item. ``published_at`` falls back to ``first_seen_at`` where the source gave no date."""

    id: int
    identity: str
    url: str
    title: str
    kicker: str
    summary: str
    content_html: str
    published_at: datetime
    published_precision: Precision
    updated_at: datetime
    first_seen_at: datetime
    authors: tuple[str, ...]
    categories: tuple[str, ...]
    image: Image | None
    attachments: tuple[Attachment, ...]
    language: str
    status: ItemStatus
    content_hash: str


@dataclass(frozen=True, slots=True)
class FeedItem:
    """An item with its number in one feed. ``mailed`` False: published, but never part of a digest."""

    seq: int
    mailed: bool
    released_at: datetime
    item: Item


@dataclass(frozen=True, slots=True)
class FeedDocument:
    """Everything the four published formats show. ``base_url`` is ``site.url`` without a trailing slash.

    ``changed_at`` is when this content was first published; ``items`` newest first. ``urls`` maps rss, atom, json and
    html to their public addresses.
    """

    slug: str
    title: str
    description: str
    language: str
    site_title: str
    base_url: str
    home_url: str
    contact: str
    timezone: str
    changed_at: datetime
    items: tuple[FeedItem, ...]
    urls: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Choice:
    """What a subscriber wants of a feed. Empty ``topics`` and ``words``: everything. Topics and words are casefolded."""

    topics: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    language: str = ""
    format: str = "html"


@dataclass(frozen=True, slots=True)
class Rhythm:
    """When a subscription is due: ``weekday`` 0 is Monday, ``day`` 1–31, ``time`` "HH:MM" in ``zone`` (IANA name).

    Fields that the cadence does not use are 0 or "" so that equal rhythms are equal rows.
    """

    cadence: Cadence
    weekday: int = 0
    day: int = 0
    time: str = ""
    zone: str = ""


@dataclass(frozen=True, slots=True)
class Selection:
    """The items of one variant, newest first, and how many more are only named."""

    items: tuple[FeedItem, ...]
    more: int = 0


@dataclass(frozen=True, slots=True)
class DigestDocument:
    """Everything a digest shows, the same for all its readers. ``intro_html`` is sanitised; both may be empty."""

    feed_slug: str
    feed_title: str
    site_title: str
    language: str
    timezone: str
    base_url: str
    feed_url: str
    web_url: str
    contact: str
    postal_address: str
    sender: str
    due_at: datetime
    opened_at: datetime
    message_id_domain: str
    list_id: str
    unsubscribe_mail: str
    selection: Selection
    format: str = "html"
    intro_html: str = ""
    intro_text: str = ""


@dataclass(frozen=True, slots=True)
class RenderedVariant:
    """A variant before it is stored. ``data`` is a wire-ready RFC 5322 message with slots (see compose/message).

    ``shown``: how many items of its selection it shows; those that would make it too large are counted as more.
    """

    subject: str
    html: str
    text: str
    data: bytes
    shown: int


@dataclass(frozen=True, slots=True)
class Personal:
    """What is spliced into a variant for one delivery. All values are raw text; splice escapes them per slot."""

    address: str
    name: str
    message_id: str
    unsubscribe_url: str
    unsubscribe_mailto: str
    preferences_url: str = ""


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """One message for one recipient. ``data`` has CRLF lines and no dot-stuffing.

    ``key`` is stable across retries of the same mail (the left part of its Message-ID).
    """

    key: str
    envelope_from: str
    recipient: str
    data: bytes


class Stage(StrEnum):
    """The point of an SMTP session at which something was answered, or not."""

    CONNECT = "connect"
    EHLO = "ehlo"
    STARTTLS = "starttls"
    AUTH = "auth"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    DOT = "dot"


@dataclass(frozen=True, slots=True)
class RelayAnswer:
    """What a relay said, a fact that is always recorded.

    ``code`` None: no answer (line lost, time limit, garbage), ``text`` then says what happened. ``handed_over``: the
    final dot was handed to the kernel, so the message may have been kept.
    """

    stage: Stage
    code: int | None
    enhanced: str
    text: str
    handed_over: bool = False

    @property
    def accepted(self) -> bool:
        """250 to the final dot, or stored in the outbox; never means delivered."""
        return self.stage is Stage.DOT and self.code is not None and 200 <= self.code < 300


class Blame(StrEnum):
    """Whom a refusal concerns."""

    NOBODY = "nobody"
    RECIPIENT = "recipient"
    DELIVERY = "delivery"
    POLICY = "policy"
    EDITION = "edition"
    RELAY = "relay"


@dataclass(frozen=True, slots=True)
class RetryDecision:
    """What becomes of a delivery after an answer.

    ``status`` QUEUED means: not this delivery's doing, no attempt is counted. ``next_at`` is set for DEFERRED only.
    ``suppress``: the address goes on the suppression list. ``reason`` is one readable line.
    """

    status: DeliveryStatus
    blame: Blame
    reason: str
    next_at: datetime | None = None
    suppress: bool = False
    count_attempt: bool = True
