"""Which number belongs to which item, for the record and after a restore (promise 11).

An item has one identity of its own, and goes by those of the entries that were merged into it: after a restore one of those
may be found first, and must not be mailed to whoever had the item.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import delete, select

from pipeline.store.database import Tx
from pipeline.store.record import Numbered, note
from pipeline.store.schema import FeedItemRow, ItemRow, MergeRow, RestoredNumberRow, SourceRow

_BATCH = 500
_MOST_NAMES = 20
T = TypeVar("T")


def parts(values: Iterable[T]) -> Iterator[list[T]]:
    """In parts that SQLite takes as parameters of one statement."""
    listed = list(values)
    return (listed[start : start + _BATCH] for start in range(0, len(listed), _BATCH))


def identity_of(source_url: str, key: str) -> str:
    """The identity of the item that this source names so."""
    return uuid.uuid5(uuid.NAMESPACE_URL, f"{source_url}\n{key}").urn


def former(tx: Tx, slug: str, item_ids: Sequence[int]) -> dict[int, int]:
    """The numbers that the record gives to some of these items; they are theirs again from now on.

    By identity and address; by address alone, where it is that of one item only; by identity, which a source may have given to
    another story since (a guid that is used again).
    """
    columns = (RestoredNumberRow.seq, RestoredNumberRow.identity, RestoredNumberRow.url)
    listed = tx.execute(select(*columns).where(RestoredNumberRow.feed == slug)).all()
    if not listed:
        return {}
    by_identity = {identity: row.seq for row in listed for identity in row.identity.split()}
    often = Counter(url for row in listed for url in set(row.url.split()))
    by_url = {url: row.seq for row in listed for url in row.url.split() if often[url] == 1}
    urls = {row.seq: set(row.url.split()) for row in listed}
    found: dict[int, int] = {}

    def give(item_id: int, seq: int | None) -> None:
        if seq is not None and item_id not in found and seq not in found.values():
            found[item_id] = seq

    items = _plainly_named(tx, item_ids)
    for item_id, identity, url in items:
        seq = by_identity.get(identity)
        give(item_id, seq if seq is not None and url in urls[seq] else None)
    for item_id, _identity, url in items:
        give(item_id, by_url.get(url))
    for item_id, identity, _url in items:
        give(item_id, by_identity.get(identity))
    for part in parts(found.values()):
        tx.execute(delete(RestoredNumberRow).where(RestoredNumberRow.feed == slug, RestoredNumberRow.seq.in_(part)))
    return found


def put_on_record(tx: Tx, slug: str, given: Mapping[int, int]) -> None:
    """Note the numbers that these items have in the feed, with all that they go by."""
    note(tx, *(Numbered(slug, given[item_id], identity, url) for item_id, identity, url in _named(tx, list(given))))


def put_names_on_record(tx: Tx, item_ids: Collection[int]) -> None:
    """The same, for every feed, after a merge or its undoing: what these items go by is not what it was."""
    query = select(FeedItemRow.feed, FeedItemRow.item_id, FeedItemRow.seq).order_by(FeedItemRow.feed, FeedItemRow.seq)
    places: dict[str, dict[int, int]] = {}
    for part in parts(item_ids):
        for feed, item_id, seq in tx.execute(query.where(FeedItemRow.item_id.in_(part))):
            places.setdefault(feed, {})[item_id] = seq
    for feed, given in places.items():
        put_on_record(tx, feed, given)


def _plainly_named(tx: Tx, item_ids: Iterable[int]) -> list[tuple[int, str, str]]:
    """The id, identity and address of each of these items, by id."""
    query = select(ItemRow.id, ItemRow.identity, ItemRow.url).order_by(ItemRow.id)
    return [(row.id, row.identity, row.url) for part in parts(item_ids) for row in tx.execute(query.where(ItemRow.id.in_(part)))]


def _named(tx: Tx, item_ids: Collection[int]) -> Iterator[tuple[int, str, str]]:
    """The same with the identities and addresses of what was merged into them, each with a space between."""
    also = _merged(tx, item_ids)
    for item_id, identity, url in _plainly_named(tx, item_ids):
        merged = also.get(item_id, ())[-_MOST_NAMES:]
        identities = dict.fromkeys((identity, *(one for one, _ in merged)))
        urls = dict.fromkeys(one for one in (url, *(one for _, one in merged)) if one)
        yield item_id, " ".join(identities), " ".join(urls)


def _merged(tx: Tx, item_ids: Collection[int]) -> dict[int, list[tuple[str, str]]]:
    columns: tuple[Any, ...] = (MergeRow.item_id, MergeRow.keys, MergeRow.candidate, SourceRow.url)
    query = select(*columns).join(SourceRow, SourceRow.id == MergeRow.source_id).where(MergeRow.undone_at.is_(None))
    found: dict[int, list[tuple[str, str]]] = {}
    for part in parts(item_ids):
        for item_id, keys, candidate, source_url in tx.execute(query.where(MergeRow.item_id.in_(part)).order_by(MergeRow.id)):
            found.setdefault(item_id, []).append((identity_of(source_url, keys[0]), (candidate or {}).get("url", "")))
    return found
