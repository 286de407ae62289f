"""Publish one feed: items │ render │ write files, so that nothing changes when nothing is new (promise 5)."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from operator import attrgetter
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pipeline import __version__
from pipeline.config import FeedSettings, Settings
from pipeline.jobs.pictures import with_pictures
from pipeline.jobs.site import Site, feed_url
from pipeline.models import FeedDocument, FeedItem
from pipeline.publish import FORMATS, render_all
from pipeline.publish.files import file_hash, publish_files, remove_files
from pipeline.store import feeds, items
from pipeline.store.feeds import FeedState


@dataclass(frozen=True, slots=True)
class Published:
    """What publishing one feed did."""

    slug: str
    items: int
    written: bool
    changed_at: datetime
    folder: Path


def publish_feed(site: Site, slug: str, now: datetime) -> Published:
    """Bring the feed's files up to date. Raises PublishError or TemplateFault, and then the old files are whole."""
    feed = site.feed(slug)
    with site.store.read() as tx:
        state = feeds.state(tx, slug)
        listed = with_pictures(site, tx, items.newest(tx, slug, feed.publish.items), copies=feed.publish.images)
    folder = public_folder(site)
    undated = document_of(site.settings, feed, listed, datetime(1970, 1, 1, tzinfo=UTC))
    input_hash = _input_hash(undated, site.texts.fingerprint())
    changed_at = _changed_at(site, state, input_hash, now)
    if state.input_hash == input_hash and state.written_hash == _written_hash(input_hash, _on_disk(folder, slug, changed_at)):
        return Published(slug, len(listed), False, changed_at, folder)
    files = render_all(replace(undated, changed_at=changed_at), site.texts)
    publish_files(folder, slug, files, changed_at)
    for former in feed.aliases:  # what lies there would never change again, and nobody would notice
        remove_files(folder, former, FORMATS)
    meant = {extension: sha256(data).hexdigest() for extension, data in files.items()}
    with site.store.write() as tx:
        feeds.set_written(tx, slug, _written_hash(input_hash, meant))
    return Published(slug, len(listed), True, changed_at, folder)


def public_folder(site: Site) -> Path:
    """Where published feeds lie; a web server serves its parent."""
    return site.settings.path("var/public/feeds")


def document_of(settings: Settings, feed: FeedSettings, listed: list[FeedItem], changed_at: datetime) -> FeedDocument:
    """Everything the published files of a feed show; ``gazet preview`` uses it too."""
    first = urlsplit(feed.source[0].url)
    return FeedDocument(
        slug=feed.slug,
        title=feed.title,
        description=feed.description,
        language=feed.language,
        site_title=settings.site.title,
        base_url=settings.site.url,
        home_url=feed.home or f"{first.scheme}://{first.netloc}/",
        contact=settings.site.contact,
        timezone=settings.site.timezone,
        changed_at=changed_at,
        items=tuple(listed),
        urls={extension: feed_url(settings, feed.slug, extension) for extension in FORMATS},
        ttl=_minutes_between_looks(feed),
        image=feed.image,
        icon=feed.icon,
        subscribe_url=f"{settings.site.url}/subscribe/{feed.slug}",
        archive_url=f"{settings.site.url}/archive/{feed.slug}",
    )


def _minutes_between_looks(feed: FeedSettings) -> int:
    """How often something new can be there: as often as the source that is asked most often. At least a minute, in a week once."""
    often = min(source.every for source in feed.source)
    return min(max(often // timedelta(minutes=1), 1), 7 * 24 * 60)


def _input_hash(document: FeedDocument, templates: str) -> str:
    """Everything the files are made of but the moment: items, settings, templates, version."""
    content = json.dumps([document, templates, __version__], sort_keys=True, default=_values)
    return sha256(content.encode()).hexdigest()


def _values(value: Any) -> Any:
    """A dataclass as its values in order: four times as fast as ``asdict``, and this is asked at each tick."""
    if isinstance(value, datetime):
        return value.isoformat()
    kind: Any = type(value)
    return _values_of(kind)(value)


@functools.cache
def _values_of(kind: Any) -> Callable[[Any], Any]:
    return attrgetter(*(one.name for one in fields(kind)))


def _changed_at(site: Site, state: FeedState, input_hash: str, now: datetime) -> datetime:
    """The stored moment while the input is the same; else now, committed before any file is written."""
    if state.input_hash == input_hash and state.changed_at is not None:
        return state.changed_at
    changed_at = now.replace(microsecond=0)  # what RFC 822 dates and HTTP can say
    if state.changed_at is not None:  # a conditional reader must see every change, also after a clock was ahead
        changed_at = max(changed_at, state.changed_at + timedelta(seconds=1))
    with site.store.write() as tx:
        feeds.set_input(tx, state.slug, input_hash, changed_at)
    return changed_at


def _on_disk(folder: Path, slug: str, changed_at: datetime) -> dict[str, str]:
    """The hashes of the files that lie there with the right time."""
    found = {}
    for extension in FORMATS:
        path = folder / f"{slug}.{extension}"
        content = file_hash(path)
        if content is not None and path.stat().st_mtime == changed_at.timestamp():
            found[extension] = content
    return found


def _written_hash(input_hash: str, hashes: Mapping[str, str]) -> str:
    """What was written, or what lies there: they differ when a file is missing, has other bytes or another time."""
    return sha256("\n".join([input_hash, *(f"{extension} {hashes.get(extension)}" for extension in FORMATS)]).encode()).hexdigest()
