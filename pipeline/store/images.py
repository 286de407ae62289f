"""The images that items name: which are to be looked at, of which a copy is kept, and why of the others none."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from sqlalchemy import delete, func, select, update

from pipeline.models import ImageState
from pipeline.store import upsert
from pipeline.store.database import Tx
from pipeline.store.numbers import parts
from pipeline.store.schema import FeedItemRow, ImageRow, ItemRow, SourceRow

_A_DAY = timedelta(days=1)
_PLAIN = ("url", "state", "file", "width", "height", "own_width", "own_height", "broken", "reason")


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """What is known of an image. Sizes in pixels, 0 unknown: of the copy, which is ``file`` below the folder, and its own.

    ``broken``: nobody is to be sent to it, or not now.
    """

    url: str
    state: ImageState
    file: str
    width: int
    height: int
    own_width: int
    own_height: int
    broken: bool
    reason: str


@dataclass(frozen=True, slots=True)
class WaitingImage:
    """An image that may be asked for now; ``source`` is the address of the source that named it."""

    url: str
    source: str
    attempts: int


@dataclass(frozen=True, slots=True)
class ImageOutcome:
    """What became of an image: ``kept`` with its copy, ``failed`` with a reason, or ``waiting`` again until ``next_at``."""

    state: ImageState
    attempts: int
    next_at: datetime | None = None
    file: str = ""
    media_type: str = ""
    width: int = 0
    height: int = 0
    own_width: int = 0
    own_height: int = 0
    size: int = 0
    broken: bool = False
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ImageSums:
    """How many images there are in each state, and how many bytes the kept copies take."""

    kept: int = 0
    waiting: int = 0
    failed: int = 0
    size: int = 0


def key_of(url: str) -> str:
    """What names an image's row: addresses are too long for an index."""
    return sha256(url.encode("utf-8", "surrogatepass")).hexdigest()


def named_in(tx: Tx, slug: str, count: int) -> dict[str, int]:
    """The images of the feed's newest items, those of the newest first, with the source that brought each."""
    query = select(ItemRow.image, ItemRow.source_id).join(FeedItemRow, FeedItemRow.item_id == ItemRow.id)
    query = query.where(FeedItemRow.feed == slug, FeedItemRow.withdrawn_at.is_(None))
    rows = tx.execute(query.order_by(FeedItemRow.seq.desc()).limit(count))
    found: dict[str, int] = {}
    for row in rows:
        if row.image and row.image["url"]:
            found.setdefault(row.image["url"], row.source_id)
    return found


def unnoted(tx: Tx, urls: Iterable[str], now: datetime) -> tuple[set[str], set[str]]:
    """Those of the images that have no row yet, and those whose row does not say that they were needed within a day."""
    keys = {key_of(url): url for url in urls}
    known: dict[str, datetime] = {}
    for part in parts(sorted(keys)):
        rows = tx.execute(select(ImageRow.key, ImageRow.used_at).where(ImageRow.key.in_(part)))
        known |= {row.key: row.used_at for row in rows}
    return (
        {url for key, url in keys.items() if key not in known},
        {keys[key] for key, used_at in known.items() if used_at <= now - _A_DAY},
    )


def add(tx: Tx, named: Mapping[str, int], now: datetime) -> None:
    """Images that are to be looked at, in this order: each is due a moment before the next, and the latest due goes first."""
    rows = [
        {
            "key": key_of(url),
            "url": url,
            "source_id": source_id,
            "state": ImageState.WAITING,
            "next_at": now - index * now.resolution,
            "used_at": now,
        }
        for index, (url, source_id) in enumerate(named.items())
    ]
    upsert.ignore(tx, ImageRow, rows)


def touch(tx: Tx, urls: Iterable[str], now: datetime) -> None:
    """These are needed now, by a feed or a mail."""
    for part in parts(sorted(map(key_of, urls))):
        tx.execute(update(ImageRow).where(ImageRow.key.in_(part), ImageRow.used_at < now).values(used_at=now))


def waiting(tx: Tx, now: datetime, limit: int, without: Collection[str] = ()) -> list[WaitingImage]:
    """Images that may be asked for now but those ``without`` (addresses), those of the newest items first."""
    query = select(ImageRow.url, SourceRow.url.label("source"), ImageRow.attempts).join(
        SourceRow, SourceRow.id == ImageRow.source_id
    )
    query = query.where(ImageRow.state == ImageState.WAITING, ImageRow.next_at <= now)
    rows = tx.execute(query.order_by(ImageRow.next_at.desc(), ImageRow.key).limit(limit + len(without)))
    return [WaitingImage(*row) for row in rows if row.url not in without][:limit]


def settle(tx: Tx, url: str, outcome: ImageOutcome, now: datetime) -> None:
    """Remember what became of an image that was asked for."""
    tx.execute(update(ImageRow).where(ImageRow.key == key_of(url)).values(**asdict(outcome), fetched_at=now))


def ask_again(tx: Tx, urls: Iterable[str], now: datetime) -> None:
    """Copies of these are gone, as after a restore: they are made again."""
    again = {"state": ImageState.WAITING, "attempts": 0, "next_at": now, "file": "", "size": 0}
    for part in parts(sorted(map(key_of, urls))):
        tx.execute(update(ImageRow).where(ImageRow.key.in_(part)).values(again))


def lookup(tx: Tx, urls: Iterable[str]) -> dict[str, ImageRecord]:
    """What is known of these images, by address."""
    query = select(*(getattr(ImageRow, name) for name in _PLAIN))
    rows = (row for part in parts(sorted(map(key_of, urls))) for row in tx.execute(query.where(ImageRow.key.in_(part))))
    return {row.url: ImageRecord(**{**row._asdict(), "state": ImageState(row.state)}) for row in rows}


def sums(tx: Tx) -> ImageSums:
    """What there is; two images with one copy take its room once."""
    rows = tx.execute(select(ImageRow.state, func.count().label("images")).group_by(ImageRow.state))
    counts: dict[str, int] = {row.state: row.images for row in rows}
    kept = select(ImageRow.file, func.max(ImageRow.size).label("size")).where(ImageRow.state == ImageState.KEPT)
    each = kept.group_by(ImageRow.file).subquery()
    size = tx.execute(select(func.coalesce(func.sum(each.c.size), 0))).scalar_one()
    return ImageSums(**{state: counts.get(state, 0) for state in ("kept", "waiting", "failed")}, size=int(size))


def failures(tx: Tx, limit: int) -> list[ImageRecord]:
    """The images that failed last."""
    query = select(*(getattr(ImageRow, name) for name in _PLAIN)).where(ImageRow.state == ImageState.FAILED)
    rows = tx.execute(query.order_by(ImageRow.fetched_at.desc(), ImageRow.key).limit(limit))
    return [ImageRecord(**{**row._asdict(), "state": ImageState(row.state)}) for row in rows]


def unused_since(tx: Tx, before: datetime, limit: int) -> list[tuple[str, int]]:
    """Keys and bytes of images that nothing has needed since then, the longest unused first."""
    query = select(ImageRow.key, ImageRow.size).where(ImageRow.used_at < before).order_by(ImageRow.used_at, ImageRow.key)
    return [(row.key, row.size) for row in tx.execute(query.limit(limit))]


def forget(tx: Tx, keys: Sequence[str], before: datetime) -> None:
    """These images are not known any more, unless something has needed them since then."""
    for part in parts(keys):
        tx.execute(delete(ImageRow).where(ImageRow.key.in_(part), ImageRow.used_at < before))


def files(tx: Tx) -> set[str]:
    """Every copy that is kept."""
    return set(tx.execute(select(ImageRow.file).where(ImageRow.state == ImageState.KEPT).distinct()).scalars())
