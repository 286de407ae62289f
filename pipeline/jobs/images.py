"""The images of items: note │ fetch │ look │ keep, so that pages and mails show copies of our own and nothing else (promise 8).

An image is looked at once. What may pass is tried again, at most ``len(_PAUSES)`` times; what failed stays failed, with its reason,
until an item names another address.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from pipeline.config import FeedSettings
from pipeline.errors import AddressRefusedError, FetchError, PublishError, ReadError
from pipeline.http import Accept
from pipeline.jobs.apart_names import COPY_MEGABYTES, COPY_OF
from pipeline.jobs.site import Site
from pipeline.models import ImageCopy, ImageState
from pipeline.publish import media
from pipeline.store import images, runs
from pipeline.store.images import ImageOutcome, WaitingImage

FULL = "media"
"""The problem that says that no more copies are kept."""
_PAUSES = (timedelta(minutes=10), timedelta(hours=1), timedelta(hours=6), timedelta(days=1))
_READ_AT_MOST = 2
_GONE = (404, 410)
_MAGIC = {"image/jpeg": b"\xff\xd8\xff", "image/png": b"\x89PNG\r\n\x1a\n"}


@dataclass(frozen=True, slots=True)
class LookedAt:
    """What became of one image; ``reason`` where no copy is kept."""

    url: str
    state: ImageState
    reason: str = ""


def media_folder(site: Site) -> Path:
    """Where the copies lie; /media/ on the web."""
    return site.settings.path("var/public/media")


def note_images(site: Site, slugs: Iterable[str], now: datetime, *, check: bool = False) -> None:
    """Make rows of the images that these feeds name in what they publish or may mail.

    ``check``: copies that should be there and are not, as after a restore, are made again.
    """
    for slug in slugs:
        count = _looked_through(site.feed(slug))
        with site.store.read() as tx:
            named = images.named_in(tx, slug, count) if count else {}
            new, stale = images.unnoted(tx, named, now) if named else (set(), set())
            kept = images.lookup(tx, named) if check else {}
        lost = {one.url for one in kept.values() if one.file and not (media_folder(site) / one.file).is_file()}
        if new or stale or lost:
            with site.store.write() as tx:
                images.add(tx, {url: source for url, source in named.items() if url in new}, now)
                images.touch(tx, stale, now)
                images.ask_again(tx, lost, now)


def _looked_through(feed: FeedSettings) -> int:
    """How many of the newest items may be shown with an image: those of the page, and those of one digest."""
    return max(feed.publish.items if feed.publish.images else 0, feed.digest.max_items if feed.digest.images else 0)


def due_images(site: Site, now: datetime, limit: int, without: Collection[str] = ()) -> list[WaitingImage]:
    """Images that may be asked for now but those ``without``; none while the copies take all the room that they may."""
    most = site.settings.collect.max_media_bytes
    with site.store.read() as tx:
        found = images.waiting(tx, now, limit, without)
        said = any(problem.key == FULL for problem in runs.problems(tx))
        full = bool(found or said) and images.sums(tx).size >= most
    if full or said:
        with site.store.write() as tx:
            if full:
                what = f"the copies of images take {most // 1_000_000} MB, all that they may: new items are shown without one"
                runs.problem(tx, FULL, what, "Raise max_media_bytes under [collect], or publish fewer items.", now)
            else:
                runs.mended(tx, FULL, now)
    return [] if full else found


def fetch_image(site: Site, waiting: WaitingImage, now: datetime) -> LookedAt:
    """Look at one image and keep a copy. Raises PublishError where it cannot be written: it is tried again then."""
    outcome = _outcome(site, waiting, now)
    with site.store.write() as tx:
        images.settle(tx, waiting.url, outcome, now)
    return LookedAt(waiting.url, outcome.state, outcome.reason)


def _outcome(site: Site, waiting: WaitingImage, now: datetime) -> ImageOutcome:
    attempts = waiting.attempts + 1
    settings = site.settings
    unasked = waiting.source in settings.by_url and not settings.by_url[waiting.source][1].robots
    permit = None if unasked else site.robots.check
    most = settings.collect.max_image_bytes
    try:
        fetched = site.fetcher.fetch(waiting.url, accept=Accept.IMAGE, permit=permit, source=waiting.source, most=most)
        copy: ImageCopy = site.reading.call(COPY_OF, fetched.body, url=waiting.url, megabytes=COPY_MEGABYTES)
    except FetchError as error:
        broken = isinstance(error, AddressRefusedError) or error.status in _GONE
        return _failed(attempts, error.reason, now, again=error.retryable, broken=broken, rest=error.retry_after or 0)
    except ReadError as error:
        return _failed(attempts, error.reason, now, again=attempts < _READ_AT_MOST)
    seen = ImageOutcome(ImageState.FAILED, attempts, own_width=copy.own_width, own_height=copy.own_height)
    if not copy.data:
        return replace(seen, broken=copy.broken, reason=copy.problem)
    if not copy.data.startswith(_MAGIC.get(copy.media_type, b"\0")) or min(copy.width, copy.height) < 1:
        return replace(seen, reason="could not be copied: its reader answered something else")
    file = _kept(site, waiting, copy, now)
    made = replace(seen, state=ImageState.KEPT, file=file, media_type=copy.media_type)
    return replace(made, width=copy.width, height=copy.height, size=len(copy.data))


def _failed(attempts: int, reason: str, now: datetime, *, again: bool, broken: bool = False, rest: float = 0) -> ImageOutcome:
    """Waiting for the next attempt, or failed for good. ``rest``: seconds that its server asked for."""
    if again and attempts <= len(_PAUSES):
        pause = max(_PAUSES[attempts - 1], timedelta(seconds=min(rest, 86_400)))
        return ImageOutcome(ImageState.WAITING, attempts, next_at=now + pause, broken=broken, reason=reason)
    return ImageOutcome(ImageState.FAILED, attempts, broken=broken, reason=reason)


def _kept(site: Site, waiting: WaitingImage, copy: ImageCopy, now: datetime) -> str:
    """The file of the copy. What a full disk refuses is not asked for again at each tick."""
    try:
        return media.keep(media_folder(site), copy.data, copy.media_type, now)
    except PublishError as error:
        later = ImageOutcome(ImageState.WAITING, waiting.attempts, next_at=now + _PAUSES[0], reason=str(error))
        with site.store.write() as tx:
            images.settle(tx, waiting.url, later, now)
        raise
