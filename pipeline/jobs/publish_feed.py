"""Publish one feed: items │ render │ write files, so that nothing changes when nothing is new (promise 5).

What is published is a list of outputs, each a path and a document: the feed itself, then the feeds of its parts. All are
remembered, dated, compared and written in the same way.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import sha256
from operator import attrgetter
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from pipeline import __version__
from pipeline.config import FeedSettings, Settings
from pipeline.errors import PublishError
from pipeline.jobs import parts
from pipeline.jobs.credits import credited
from pipeline.jobs.parts import Planned
from pipeline.jobs.pictures import with_pictures
from pipeline.jobs.site import Site, feed_url
from pipeline.models import FeedDocument, FeedItem, Part, PartKind
from pipeline.publish import FORMATS, render_all
from pipeline.publish.compressed import names, with_siblings
from pipeline.publish.files import file_hash, names_in, publish_files, remove_empty, remove_files
from pipeline.publish.identity import first_identity
from pipeline.store import Tx, feed_items, outputs
from pipeline.store.outputs import OutputState

T = TypeVar("T")
_UNDATED = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Published:
    """What publishing one feed did; ``written``: any file, ``parts``: of how many feeds of its parts."""

    slug: str
    items: int
    written: bool
    changed_at: datetime
    folder: Path
    parts: int = 0


@dataclass(frozen=True, slots=True)
class _Output:
    """A thing to publish: what it shows, and what is remembered of it."""

    document: FeedDocument
    state: OutputState

    @property
    def dated(self) -> FeedDocument:
        """The document as it is published."""
        return replace(self.document, changed_at=self.moment)

    @property
    def moment(self) -> datetime:
        """When it was changed last."""
        assert self.state.changed_at is not None
        return self.state.changed_at


def publish_feed(site: Site, slug: str, now: datetime) -> Published:
    """Bring the files of the feed and its parts up to date. Raises PublishError or TemplateFault; the old ones are then whole.

    A part whose files cannot be written does not stop the others (promise 6); the first such fault is raised after them.
    """
    feed, root = site.feed(slug), site.settings.path("var/public")
    with site.store.read() as tx:
        known = outputs.of_feed(tx, slug)
        wanted = _outputs(tx, site, feed, known)
    ready = _renewed(wanted, site.texts.fingerprint(), now)
    if changed := [one.state for one in ready if one.state != known.get(one.state.path)]:
        with site.store.write() as tx:
            outputs.set_input(tx, slug, changed)
            outputs.set_identity(tx, slug, ready[0].document.identity)
    faults: list[PublishError] = []
    written = [state for one in ready if (state := _tried(partial(_brought_up_to_date, site, root, one), faults))]
    dropped = [
        path for path in sorted(known.keys() - {one.state.path for one in ready}) if _tried(partial(_remove, root, path), faults)
    ]
    _tried(partial(_remove_former, root, feed), faults)
    if written or dropped:
        with site.store.write() as tx:
            outputs.set_written(tx, slug, written)
            outputs.forget(tx, dropped)
    if faults:
        raise faults[0]
    own = ready[0]
    of_parts = sum(one.kind is not None for one in written) + len(dropped)
    return Published(slug, len(own.document.items), bool(written or dropped), own.moment, root / "feeds", of_parts)


def _tried(act: Callable[[], T], faults: list[PublishError]) -> T | None:
    """What it gives; None where it cannot be done, and why is among the faults then."""
    try:
        return act()
    except PublishError as fault:
        faults.append(fault)
        return None


def _outputs(tx: Tx, site: Site, feed: FeedSettings, known: Mapping[str, OutputState]) -> list[_Output]:
    """The feed, then its parts, with what was remembered of them before."""
    listed = _shown(tx, site, feed, feed_items.newest(tx, feed.slug, feed.publish.items))
    planned = parts.plan(tx, feed, known.values())
    at_hand = {one.seq: one for one in listed}
    absent = {number for one in planned for number in one.numbers} - at_hand.keys()
    at_hand |= {one.seq: one for one in _shown(tx, site, feed, [*feed_items.numbered(tx, feed.slug, absent).values()])}
    own = document_of(site.settings, feed, listed, _UNDATED, [one.as_part(site.settings) for one in planned])
    own = replace(own, identity=outputs.identity(tx, feed.slug) or first_identity(own.base_url, feed.slug))
    found = [_Output(own, known[own.path])]
    for one in planned:
        was = known.get(one.path) or OutputState(one.path, one.kind, one.word)
        found.append(_Output(_part_of(site.settings, own, one, at_hand), replace(was, title=one.title)))
    return found


def _shown(tx: Tx, site: Site, feed: FeedSettings, listed: list[FeedItem]) -> list[FeedItem]:
    """The items with whose they are and the copies of their images."""
    return with_pictures(site, tx, credited(feed, listed), copies=feed.publish.images)


def _part_of(settings: Settings, own: FeedDocument, planned: Planned, at_hand: Mapping[int, FeedItem]) -> FeedDocument:
    return replace(
        own,
        title=f"{own.title} – {planned.title}",
        items=tuple(feed_items.in_order(at_hand[number] for number in planned.numbers if number in at_hand)),
        urls=planned.as_part(settings).urls,
        path=planned.path,
        parts=(),
        whole=(own.title, own.urls["html"]),
    )


def public_folder(site: Site) -> Path:
    """Where published feeds lie; a web server serves its parent."""
    return site.settings.path("var/public/feeds")


def document_of(
    settings: Settings, feed: FeedSettings, listed: Sequence[FeedItem], changed_at: datetime, parts: Sequence[Part] = ()
) -> FeedDocument:
    """Everything the published files of a feed show; ``gazet preview`` uses it too. ``listed``: credited."""
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
        subscribe_url=f"{settings.site.url}/subscribe/{feed.slug}" if feed in settings.open_feeds() else "",
        archive_url=f"{settings.site.url}/archive/{feed.slug}",
        path=outputs.own_path(feed.slug),
        parts=tuple(parts),
    )


def _minutes_between_looks(feed: FeedSettings) -> int:
    """How often something new can be there: as often as the source that is asked most often. At least a minute, in a week once."""
    often = min(source.every for source in feed.source)
    return min(max(often // timedelta(minutes=1), 1), 7 * 24 * 60)


def _renewed(wanted: Sequence[_Output], templates: str, now: datetime) -> list[_Output]:
    """The outputs with their present input, and the moment at which it came to be."""
    hashes: dict[int, str] = {}
    found = []
    for one in wanted:
        hashed = [hashes.get(each.seq) or hashes.setdefault(each.seq, _hash(each)) for each in one.document.items]
        input_hash = _hash([replace(one.document, items=()), hashed, templates, __version__])
        found.append(replace(one, state=replace(one.state, input_hash=input_hash, changed_at=_moment(one.state, input_hash, now))))
    return found


def _hash(content: Any) -> str:
    """Of everything that files are made of but the moment: items, settings, templates, version."""
    return sha256(json.dumps(content, sort_keys=True, default=_values).encode()).hexdigest()


def _values(value: Any) -> Any:
    """A dataclass as its values in order: four times as fast as ``asdict``, and this is asked at each tick."""
    if isinstance(value, datetime):
        return value.isoformat()
    kind: Any = type(value)
    return _values_of(kind)(value)


@functools.cache
def _values_of(kind: Any) -> Callable[[Any], Any]:
    return attrgetter(*(one.name for one in fields(kind)))


def _moment(was: OutputState, input_hash: str, now: datetime) -> datetime:
    """The stored moment while the input is the same; else now."""
    if was.changed_at is not None and was.input_hash == input_hash:
        return was.changed_at
    changed_at = now.replace(microsecond=0)  # what RFC 822 dates and HTTP can say
    # A conditional reader must see every change, also after a clock was ahead.
    return changed_at if was.changed_at is None else max(changed_at, was.changed_at + timedelta(seconds=1))


def _place(root: Path, path: str) -> tuple[Path, str]:
    """The folder of an output's files, and their name."""
    return (root / path).parent, (root / path).name


def _brought_up_to_date(site: Site, root: Path, one: _Output) -> OutputState | None:
    """Write its files where they are not as they should be; returns what is to be remembered of them then."""
    if _is_written(root, one):
        return None
    files = with_siblings(render_all(one.dated, site.texts))
    publish_files(*_place(root, one.state.path), files, one.moment)
    meant = {extension: sha256(data).hexdigest() for extension, data in files.items()}
    return replace(one.state, written_hash=_written_hash(one.state.input_hash, meant))


def _is_written(root: Path, one: _Output) -> bool:
    return one.state.written_hash == _written_hash(one.state.input_hash, _on_disk(*_place(root, one.state.path), one.moment))


def _remove(root: Path, path: str) -> bool:
    """Take away the files of a part that is no longer wanted."""
    folder, name = _place(root, path)
    remove_files(folder, name, FORMATS)
    remove_empty(folder, folder.parent)
    return True


def _remove_former(root: Path, feed: FeedSettings) -> None:
    """What lies under a former slug would never change again, and nobody would notice.

    Looked for each time: an alias that is written later, or taken over from a feed that had readers, changes no file.
    """
    for former in feed.aliases:
        remove_files(root / "feeds", former, FORMATS)
        for folder in (root / "feeds" / former / kind for kind in PartKind):
            for name in names_in(folder, FORMATS):
                remove_files(folder, name, FORMATS)
            remove_empty(folder, folder.parent)


def _on_disk(folder: Path, name: str, changed_at: datetime) -> dict[str, str]:
    """The hashes of the files that lie there with the right time."""
    found = {}
    for extension in names(FORMATS):
        path = folder / f"{name}.{extension}"
        content = file_hash(path)
        if content is not None and path.stat().st_mtime == changed_at.timestamp():
            found[extension] = content
    return found


def _written_hash(input_hash: str, hashes: Mapping[str, str]) -> str:
    """What was written, or what lies there: they differ when a file is missing, has other bytes or another time."""
    lines = [input_hash, *(f"{extension} {hashes.get(extension)}" for extension in names(FORMATS))]
    return sha256("\n".join(lines).encode()).hexdigest()
