"""What every job works with."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from pipeline.collect.apart import Reading
from pipeline.compose.links import Links
from pipeline.config import OUTBOX, FeedSettings, Settings
from pipeline.http import Fetcher
from pipeline.http.robots import Robots
from pipeline.store import Store
from pipeline.texts import Texts


@dataclass(frozen=True, slots=True)
class Outside:
    """What reaches the outside and reads what comes back: all that looking at a source needs."""

    settings: Settings
    fetcher: Fetcher
    robots: Robots
    reading: Reading


@dataclass(frozen=True, slots=True)
class Site:
    """One site, wired by ``app``: its settings and the parts that were made from them. ``reading`` reads foreign bytes."""

    settings: Settings
    store: Store
    texts: Texts
    fetcher: Fetcher
    robots: Robots
    reading: Reading
    links: Links

    def feed(self, slug: str) -> FeedSettings:
        """The feed's settings; raises ConfigError."""
        return self.settings.feed(slug)

    @property
    def outside(self) -> Outside:
        """The parts that reach the outside."""
        return Outside(self.settings, self.fetcher, self.robots, self.reading)

    @property
    def host(self) -> str:
        """The public host name: Message-IDs and List-Ids end in it."""
        return host_of(self.settings)

    @property
    def mark(self) -> str:
        """What ``/healthz`` answers with: the one that asks knows by it that who leaves there leaves here. Raises StoreError."""
        return self.links.site_mark(self.store.place)

    @property
    def relay_name(self) -> str:
        """The relay that mail goes through, the outbox where none is named."""
        return self.settings.relay[0].name if self.settings.relay else OUTBOX

    def sources_by_feed(self) -> dict[str, tuple[str, ...]]:
        """Which URLs each feed reads, as the settings say."""
        return {slug: tuple(source.url for source in feed.source) for slug, feed in self.settings.feeds.items()}


def host_of(settings: Settings) -> str:
    """The host name of the site's address."""
    return urlsplit(settings.site.url).hostname or "localhost"


def feed_url(settings: Settings, slug: str, extension: str) -> str:
    """The public address of a feed's published file."""
    return path_url(settings, f"feeds/{slug}", extension)


def path_url(settings: Settings, path: str, extension: str) -> str:
    """The public address of a file below ``var/public``."""
    return f"{settings.site.url}/{path}.{extension}"
