"""What feeds and digests show, and to whom: ``Item`` + number = ``FeedItem`` ──select──▶ ``Selection``."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from pipeline.models.read import Attachment, Image
from pipeline.models.words import Cadence, ItemStatus, PartKind, Precision


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
class Credit:
    """Whose text an item is: the title and address of its source; ``is_feed``: a feed reader could read it itself."""

    title: str
    url: str
    is_feed: bool = False


@dataclass(frozen=True, slots=True)
class Picture:
    """The copy of an item's image that pages and mails show: ``file`` below /media/, its size in pixels, words for it or ""."""

    file: str
    width: int
    height: int
    alt: str = ""


@dataclass(frozen=True, slots=True)
class FeedItem:
    """An item with its number in one feed. ``mailed`` False: published, but never part of a digest."""

    seq: int
    mailed: bool
    released_at: datetime
    item: Item
    credit: Credit | None = None
    picture: Picture | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """A feed of those items of another that have a topic or category, or come from a source. ``urls`` as in FeedDocument."""

    kind: PartKind
    title: str
    urls: dict[str, str]


@dataclass(frozen=True, slots=True)
class FeedDocument:
    """Everything the four published formats show. ``base_url`` is ``site.url`` without a trailing slash.

    ``changed_at`` is when this content was first published; ``items`` newest first. ``urls`` maps rss, atom, json and
    html to their public addresses. ``ttl``: minutes between two looks that make sense. ``image``: a picture of the feed,
    ``icon``: a square one. ``subscribe_url`` takes the page's form, ``archive_url`` shows earlier editions; all may be empty.

    ``identity``: what readers know the feed by (a ``urn:uuid:``), "" before it is published first. ``path``: below
    ``var/public``, without extension. ``parts``: the feeds of its parts; of one of those, ``whole`` is the title and address of
    the feed that it is a part of.
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
    ttl: int = 60
    image: str = ""
    icon: str = ""
    subscribe_url: str = ""
    archive_url: str = ""
    identity: str = ""
    path: str = ""
    parts: tuple[Part, ...] = ()
    whole: tuple[str, str] | None = None


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
