"""The tables of ``gazet.toml`` and of a feed's file as frozen classes."""

from __future__ import annotations

import functools
import ipaddress
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretBytes, SecretStr, StrictBool, StrictInt, model_validator

from pipeline.config.fields import (
    WEEKDAYS,
    Address,
    Clock,
    DkimSelector,
    Duration,
    HttpUrl,
    Language,
    Languages,
    Listen,
    Mailbox,
    MailFolder,
    Network,
    OptionalAddress,
    OptionalDomain,
    OptionalHttpUrl,
    OptionalLanguage,
    OptionalMailFolder,
    OptionalSelector,
    OptionalTitle,
    OptionalZone,
    Parts,
    Plain,
    PollInterval,
    PrivateHosts,
    PublicUrl,
    Rate,
    ReadTimeout,
    RelayTimeout,
    SecretUrl,
    SignupExpiry,
    Slug,
    StoreUrl,
    Title,
    Topic,
    Weekday,
    Words,
    Zone,
)
from pipeline.config.watch import Fingerprint
from pipeline.errors import ConfigError, Problem
from pipeline.models import Cadence, Rhythm, SourceKind

OUTBOX = "outbox"


class Section(BaseModel):
    """A table: unknown keys are mistakes, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class SiteSettings(Section):
    """Who publishes, and where the public reaches it."""

    title: Title
    url: PublicUrl
    language: Language = "en"
    timezone: Zone = "UTC"
    contact: Address
    postal_address: str = ""
    secret_file: Plain = "var/secret"


class StoreSettings(Section):
    """``url`` is an SQLAlchemy URL; a relative SQLite path is relative to the site folder.

    After loading, ``url`` holds what ``url_file`` says. It may hold a password, so it is never shown.
    """

    url: StoreUrl = Field(default="sqlite:///var/gazet.db", repr=False)
    url_file: Plain = ""


class RelaySettings(Section):
    """One SMTP server that accepts messages. ``rate`` in messages per second, None: as fast as it goes."""

    name: Annotated[Plain, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
    host: Annotated[Plain, Field(min_length=1)]
    port: Annotated[StrictInt, Field(ge=1, le=65535)] | None = None
    user: Plain = Field(default="", repr=False)
    password: SecretStr = SecretStr("")
    password_file: Plain = ""
    tls: Literal["starttls", "tls", "none"] = "starttls"
    ca_file: Plain = ""
    verp: StrictBool = False
    connections: Annotated[StrictInt, Field(ge=1, le=100)] = 2
    rate: Rate | None = None
    timeout: RelayTimeout = timedelta(minutes=5)

    @property
    def effective_port(self) -> int:
        """The port named, or the usual one for the kind of TLS (RFC 8314)."""
        return self.port or {"starttls": 587, "tls": 465, "none": 25}[self.tls]

    @property
    def on_loopback(self) -> bool:
        """True only for a relay that surely does not pass mail on (promise 12).

        A mail server on 25, 465 or 587 of this machine may be one's own Postfix, so it counts as the outside world.
        """
        if self.effective_port in (25, 465, 587):
            return False
        if self.host.lower() == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host.strip("[]")).is_loopback
        except ValueError:
            return False


class DkimSettings(Section):
    """A private key that mails are signed with, and the ``selector`` under which DNS has its public half.

    ``domain``: of which senders; empty: of every one.
    """

    selector: DkimSelector
    key_file: Annotated[Plain, Field(min_length=1)]
    domain: OptionalDomain = ""


class CollectSettings(Section):
    """Limits of every outgoing request; ``allow`` names private hosts, host:port pairs and networks that may be read.

    ``spacing``: the least time between two requests to one host. ``read_timeout``: how long one document may take to read.
    ``max_image_bytes``: of one image; ``max_media_bytes``: of all copies of images together.
    """

    allow: PrivateHosts = ()
    spacing: Duration = timedelta(seconds=1)
    timeout: Duration = timedelta(seconds=30)
    read_timeout: ReadTimeout = timedelta(seconds=20)
    max_bytes: Annotated[StrictInt, Field(ge=1024, le=100_000_000)] = 10_000_000
    max_items: Annotated[StrictInt, Field(ge=1, le=10_000)] = 500
    max_image_bytes: Annotated[StrictInt, Field(ge=10_000, le=50_000_000)] = 5_000_000
    max_media_bytes: Annotated[StrictInt, Field(ge=1_000_000, le=1_000_000_000_000)] = 1_000_000_000


class WebSettings(Section):
    """Where the web server listens: HOST:PORT; port 0 takes a free one. ``proxies``: whose X-Forwarded-For is believed."""

    listen: Listen = "127.0.0.1:8080"
    proxies: tuple[Network, ...] = ("127.0.0.0/8", "::1/128")

    @property
    def address(self) -> tuple[str, int]:
        """Host (an IPv6 address without its brackets) and port."""
        host, _, port = self.listen.rpartition(":")
        return host.strip("[]"), int(port)


class AlertSettings(Section):
    """Who hears that something needs a person. After loading, ``ping`` holds what ``ping_file`` says; it is never shown."""

    mail: OptionalAddress = ""
    ping: SecretUrl = Field(default="", repr=False)
    ping_file: Plain = ""


class FeedbackSettings(Section):
    """Where bounces, complaints and unsubscribe mails come in: a Maildir, or a folder on an IMAP server. Neither: nowhere.

    ``processed``: an IMAP folder into which mails are moved that were for Gazet; "": they stay and are marked as read.
    """

    maildir: Plain = ""
    host: Plain = ""
    port: Annotated[StrictInt, Field(ge=1, le=65535)] | None = None
    user: Plain = Field(default="", repr=False)
    password: SecretStr = SecretStr("")
    password_file: Plain = ""
    tls: Literal["tls", "starttls", "none"] = "tls"
    ca_file: Plain = ""
    folder: MailFolder = "INBOX"
    processed: OptionalMailFolder = ""
    every: PollInterval = timedelta(minutes=5)

    @property
    def wanted(self) -> bool:
        """Whether there is anything to read."""
        return bool(self.maildir or self.host)

    @property
    def effective_port(self) -> int:
        """The port named, or the usual one for the kind of TLS (RFC 8314)."""
        return self.port or (993 if self.tls == "tls" else 143)

    @model_validator(mode="after")
    def _one_place(self) -> FeedbackSettings:
        if self.maildir and self.host:
            raise ValueError("has both maildir and host: keep one of the two")
        if self.host and not self.user:
            raise ValueError("has a host but no user")
        if self.host and self.processed == self.folder:
            raise ValueError(f'processed is folder itself ("{self.folder}"): name another, or leave it out')
        return self


class SubscribeSettings(Section):
    """How strangers may subscribe, and what keeps the form from being used against somebody.

    ``expire``: how long a sign-up waits to be confirmed. ``per_address``: mails to one address in 30 days. ``per_network`` and
    ``per_hour``: sign-ups an hour from one network, and in total.
    """

    open: StrictBool = True
    confirm: StrictBool = True
    expire: SignupExpiry = timedelta(days=3)
    per_address: Annotated[StrictInt, Field(ge=1, le=100)] = 3
    per_network: Annotated[StrictInt, Field(ge=1, le=100_000)] = 20
    per_hour: Annotated[StrictInt, Field(ge=1, le=1_000_000)] = 500


class PageSettings(Section):
    """CSS selectors for an HTML news page; what is left out is found automatically inside each item."""

    item: OptionalSelector = ""
    title: OptionalSelector = ""
    link: OptionalSelector = ""
    date: OptionalSelector = ""
    teaser: OptionalSelector = ""
    kicker: OptionalSelector = ""
    image: OptionalSelector = ""


class Wanted(Section):
    """What is looked for in an item; all keys that are given must fit, of a list any one. ``terms`` says how texts are meant.

    ``text``: anything a reader sees of it. ``category``: its categories and the label above its title.
    """

    title: Words = ()
    text: Words = ()
    category: Words = ()
    author: Words = ()
    language: Languages = ()


class Condition(Wanted):
    """What an item must be like. Its age is counted from its date; an item without one is new."""

    older_than: Duration | None = None
    newer_than: Duration | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Condition:
        if not self.model_dump(exclude_defaults=True):
            raise ValueError("says nothing: give title, text, category, author, language, older_than or newer_than")
        if self.older_than is not None and self.newer_than is not None and self.older_than >= self.newer_than:
            raise ValueError("fits nothing: older_than is not less than newer_than")
        return self


class TopicSettings(Wanted):
    """A topic and what belongs to it; without a condition every item of the source does."""

    name: Topic


class SourceSettings(Section):
    """One upstream place. Language and zone default to the feed's and the site's; ``every`` is the polling interval.

    ``title``: how readers see it named where a feed has several; default: as it calls itself.
    ``pages``: how many pages of a listing are read. ``full_text``: the article behind each teaser is fetched, too.
    """

    url: HttpUrl
    title: OptionalTitle = ""
    kind: SourceKind = SourceKind.AUTO
    language: OptionalLanguage = ""
    timezone: OptionalZone = ""
    every: PollInterval = timedelta(hours=1)
    pages: Annotated[StrictInt, Field(ge=1, le=20)] = 1
    full_text: StrictBool = False
    robots: StrictBool = True
    guard: StrictBool = True
    page: PageSettings = PageSettings()
    include: tuple[Condition, ...] = ()
    exclude: tuple[Condition, ...] = ()
    topic: tuple[TopicSettings, ...] = ()


class PublishSettings(Section):
    """How many items the published formats hold, and for which topics, categories and sources there are feeds of their own.

    ``topics`` true: those that a [[source.topic]] names; ``categories`` true: those that items have most. ``images``: the page
    shows a copy of each item's image.
    """

    items: Annotated[StrictInt, Field(ge=1, le=5000)] = 50
    topics: Parts = False
    categories: Parts = False
    sources: StrictBool = False
    images: StrictBool = True


class DigestSettings(Section):
    """The e-mail digest of one feed and the default rhythm of new subscriptions.

    ``editor`` hears of an edition ``eve`` before it opens. ``open``: strangers may subscribe. ``welcome``: whoever joins gets
    the latest items at once. ``images``: it shows a copy of each item's image.
    """

    sender: Mailbox = Field(default="", alias="from")
    unsubscribe_mail: OptionalAddress = ""
    cadence: Cadence = Cadence.WEEKLY
    weekday: Weekday = "tuesday"
    day: Annotated[StrictInt, Field(ge=1, le=31)] = 1
    time: Clock = "08:00"
    first_items: Annotated[StrictInt, Field(ge=0, le=1000)] = 5
    min_items: Annotated[StrictInt, Field(ge=1, le=1000)] = 1
    max_items: Annotated[StrictInt, Field(ge=1, le=200)] = 25
    max_age: Duration = timedelta(days=30)
    images: StrictBool = True
    late_after: Duration = timedelta(hours=6)
    deadline: Duration = timedelta(hours=24)
    uncertain: Literal["resend", "hold"] = "resend"
    editor: OptionalAddress = ""
    eve: Duration = timedelta(hours=16)
    open: StrictBool = True
    welcome: StrictBool = False

    @model_validator(mode="after")
    def _fits(self) -> DigestSettings:
        if self.min_items > self.max_items:
            raise ValueError(f"min_items ({self.min_items}) is more than max_items ({self.max_items})")
        return self

    def rhythm(
        self,
        zone: str,
        *,
        cadence: Cadence | None = None,
        weekday: int | None = None,
        day: int | None = None,
        time: str | None = None,
    ) -> Rhythm:
        """The rhythm of a subscription in ``zone``; None takes this feed's default for that part."""
        cadence = cadence or self.cadence
        if cadence is Cadence.INSTANT:
            return Rhythm(cadence)
        return Rhythm(
            cadence,
            weekday=(WEEKDAYS.index(self.weekday) if weekday is None else weekday) if cadence is Cadence.WEEKLY else 0,
            day=(day or self.day) if cadence is Cadence.MONTHLY else 0,
            time=time or self.time,
            zone=zone,
        )


def _some(sources: tuple[SourceSettings, ...]) -> tuple[SourceSettings, ...]:
    """Not ``min_length``: that would complain of an empty list, too, whenever the only source has a mistake in it."""
    if not sources:
        raise ValueError("is empty: a feed needs a [[source]]")
    return sources


class FeedSettings(Section):
    """One file ``feeds/<slug>.toml``. ``slug`` is its name, ``language`` never empty after loading.

    ``image``: a picture of the feed for feed readers, ``icon``: a square one.
    """

    slug: str
    title: Title
    description: Plain = ""
    language: OptionalLanguage = ""
    home: OptionalHttpUrl = ""
    image: OptionalHttpUrl = ""
    icon: OptionalHttpUrl = ""
    aliases: tuple[Slug, ...] = ()
    source: Annotated[tuple[SourceSettings, ...], AfterValidator(_some)]
    publish: PublishSettings = PublishSettings()
    digest: DigestSettings = DigestSettings()

    @model_validator(mode="after")
    def _has_topics(self) -> FeedSettings:
        if self.publish.topics is True and not any(source.topic for source in self.source):
            raise ValueError('publish.topics is true, but no [[source.topic]] names one; a list such as ["Onderwijs"] does, too')
        return self


class Settings(Section):
    """Everything an operator has said, checked. ``feeds`` by slug; ``folder`` is absolute; ``files`` as they were when read.

    ``dkim_keys``: what each ``key_file`` holds, so that a mail is signed with the key that was checked.
    """

    folder: Path
    site: SiteSettings
    store: StoreSettings
    relay: tuple[RelaySettings, ...]
    dkim: tuple[DkimSettings, ...] = ()
    collect: CollectSettings
    web: WebSettings
    alerts: AlertSettings
    subscribe: SubscribeSettings = SubscribeSettings()
    feedback: FeedbackSettings = FeedbackSettings()
    feeds: dict[str, FeedSettings]
    files: Fingerprint = Field(default=(), repr=False)
    dkim_keys: dict[str, SecretBytes] = Field(default_factory=dict, repr=False)

    @functools.cached_property
    def by_url(self) -> dict[str, tuple[FeedSettings, SourceSettings]]:
        """For each source the first feed that reads it, and its settings."""
        pairs = [(feed, source) for feed in self.feeds.values() for source in feed.source]
        return {source.url: (feed, source) for feed, source in reversed(pairs)}

    def named_files(self) -> list[str]:
        """The files that the settings name: secrets and certificates."""
        named = [self.site.secret_file, self.store.url_file, self.alerts.ping_file]
        named += [self.feedback.password_file, self.feedback.ca_file]
        named += [name for relay in self.relay for name in (relay.password_file, relay.ca_file)]
        named += [table.key_file for table in self.dkim]
        return [name for name in named if name]

    def path(self, name: str) -> Path:
        """A path from the settings, relative ones being relative to the site folder."""
        return self.folder / name

    def without_effect(self) -> list[str]:
        """Settings that are read and checked, but that this version does nothing with."""
        return [f"every [[relay]] but the first ({self.relay[0].name})"] if len(self.relay) > 1 else []

    def open_feeds(self) -> list[FeedSettings]:
        """The feeds that strangers may subscribe to, by title."""
        listed = [feed for feed in self.feeds.values() if self.subscribe.open and feed.digest.open]
        return sorted(listed, key=lambda feed: feed.title.casefold())

    def zone_of(self, source: SourceSettings) -> str:
        """The zone in which a source's dates without one are read."""
        return source.timezone or self.site.timezone

    def current_slug(self, name: str) -> str:
        """The slug of the feed that ``name`` is a former slug of; any other name as it is."""
        return next((feed.slug for feed in self.feeds.values() if name in feed.aliases), name)

    def feed(self, slug: str) -> FeedSettings:
        """The feed of that slug or former slug; raises ConfigError naming the ones that exist."""
        current = self.current_slug(slug)
        if current in self.feeds:
            return self.feeds[current]
        known = ", ".join(sorted(self.feeds)) or "none yet"
        raise ConfigError([Problem(f"feeds/{slug}.toml", "there is no such feed", f"feeds here: {known}")])
