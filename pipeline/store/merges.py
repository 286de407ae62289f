"""Entries that were taken for known items, where to look for stories that are told twice, and the way back."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, bindparam, delete, exists, insert, or_, select, update
from sqlalchemy.orm import aliased

from pipeline.models import Attachment, CandidateItem, Confidence, Image, ItemStatus, Merge, Precision, ReadDate
from pipeline.store import items, numbers, upsert
from pipeline.store.database import Tx
from pipeline.store.numbers import parts
from pipeline.store.schema import FeedItemRow, FeedSourceRow, ItemOriginRow, ItemRow, LikenessRow, MergeRow, SourceRow

_LOOKED_AT = "-"
"""The band of an item that is too short to be compared: it is not looked at again."""
_LATEST = 300
_MOST_TEXTS = 10
WITHIN = timedelta(days=7)
"""A story that is told twice is first seen twice within this time; the dates that it is given differ no more either."""


@dataclass(frozen=True, slots=True)
class MergeRecord:
    """One merge into an item; ``source`` is the address of the entry's source.

    ``other``: the item that undoing it made, or brings back: what was merged had been an item itself (``join``).
    """

    id: int
    item: int
    source_id: int
    source: str
    keys: tuple[str, ...]
    reason: str
    title: str
    url: str
    at: datetime
    undone_at: datetime | None
    other: int | None


@dataclass(frozen=True, slots=True)
class Alike:
    """An item of another source that may tell the same story; ``bands``: by which of those asked for.

    ``texts``: the titles and summaries in which it is told, its own first, then those of the entries that were merged into it.
    """

    item_id: int
    texts: tuple[tuple[str, str], ...]
    url: str
    published_at: datetime
    bands: frozenset[str]


def note(tx: Tx, source_id: int, merges: Sequence[Merge], now: datetime, *, other: int | None = None) -> None:
    """Keep these merges so that they can be undone, and put on record what the items go by now. ``other``: see ``join``."""
    rows = [
        {
            "item_id": one.item_id,
            "source_id": source_id,
            "keys": list(one.candidate.keys),
            "reason": one.reason,
            "candidate": as_json(one.candidate),
            "at": now,
            "other_id": other,
        }
        for one in merges
    ]
    if rows:
        tx.execute(insert(MergeRow), rows)
        numbers.put_names_on_record(tx, {one.item_id for one in merges})


def of_item(tx: Tx, item_id: int) -> list[MergeRecord]:
    """Every merge into this item, oldest first."""
    columns = (MergeRow.id, MergeRow.source_id, SourceRow.url, MergeRow.keys, MergeRow.reason, MergeRow.candidate)
    query = select(*columns, MergeRow.at, MergeRow.undone_at, MergeRow.other_id)
    query = query.join(SourceRow, SourceRow.id == MergeRow.source_id).where(MergeRow.item_id == item_id)
    return [_record(item_id, *row) for row in tx.execute(query.order_by(MergeRow.id))]


def _record(item_id: int, merge_id: int, source_id: int, source: str, *rest: Any) -> MergeRecord:
    keys, reason, candidate, at, undone_at, other = rest
    title, url = (str((candidate or {}).get(name, "")) for name in ("title", "url"))
    return MergeRecord(merge_id, item_id, source_id, source, tuple(keys), reason, title, url, at, undone_at, other)


def candidate_of(tx: Tx, merge_id: int) -> CandidateItem:
    """The entry as it was when it was merged."""
    return from_json(tx.execute(select(MergeRow.candidate).where(MergeRow.id == merge_id)).scalar_one() or {})


def undo(tx: Tx, merge: MergeRecord, candidate: CandidateItem, *, status: ItemStatus, now: datetime) -> int:
    """Make the entry (``candidate_of``) an item of its own, known by its keys at its source; returns its id.

    What had been an item before is that again, with its numbers, as released as it was.
    """
    items.forget_keys(tx, merge.source_id, [*candidate.keys, candidate.title_key])
    if merge.other is None:
        made = items.add(tx, merge.source_id, merge.source, candidate, status=status, now=now)
    else:
        made = merge.other
        items.add_keys(tx, merge.source_id, [(made, candidate)])
        items.show_again(tx, made)
    tx.execute(update(MergeRow).where(MergeRow.id == merge.id).values(undone_at=now, other_id=made))
    numbers.put_names_on_record(tx, [merge.item, made])
    return made


_BESIDE = aliased(FeedSourceRow)
_NEIGHBOURS = (  # made once: it is asked at each collect
    select(FeedSourceRow.feed)
    .join(_BESIDE, and_(_BESIDE.feed == FeedSourceRow.feed, _BESIDE.source_id != bindparam("source_id")))
    .where(FeedSourceRow.source_id == bindparam("source_id"), FeedSourceRow.active)
    .limit(1)
)


def has_neighbours(tx: Tx, source_id: int) -> bool:
    """Whether a feed that reads this source reads others, too."""
    return tx.execute(_NEIGHBOURS, {"source_id": source_id}).first() is not None


def unlooked_at(tx: Tx, slugs: Collection[str], since: datetime) -> list[tuple[int, str, str]]:
    """The id, title and summary of the newest items of these feeds that have no bands yet."""
    seen = exists().where(LikenessRow.item_id == ItemRow.id)
    query = select(ItemRow.id, ItemRow.title, ItemRow.summary).join(FeedItemRow, FeedItemRow.item_id == ItemRow.id)
    query = query.where(FeedItemRow.feed.in_(sorted(slugs)), ItemRow.first_seen_at >= since, ~seen)
    rows = tx.execute(query.order_by(FeedItemRow.seq.desc()).limit(_LATEST)).all()
    return list({row[0]: (row[0], row[1], row[2]) for row in rows}.values())


def add_bands(tx: Tx, bands: Mapping[int, Sequence[str]]) -> None:
    """Where to find these items by likeness; one without bands is found by none."""
    rows = [{"band": band, "item_id": item_id} for item_id, found in bands.items() for band in set(found) or (_LOOKED_AT,)]
    upsert.ignore(tx, LikenessRow, rows)


def alike(tx: Tx, source_id: int, slugs: Collection[str], bands: Iterable[str], since: datetime) -> list[Alike]:
    """Released items that these feeds have from other sources, first seen since then, that share one of the bands.

    Not those that this source has an entry for, nor those from which one of its entries was parted by hand.
    """
    mine = exists().where(ItemOriginRow.item_id == ItemRow.id, ItemOriginRow.source_id == source_id)
    parted = exists().where(MergeRow.item_id == ItemRow.id, MergeRow.source_id == source_id, MergeRow.undone_at.is_not(None))
    shown = exists().where(FeedItemRow.item_id == ItemRow.id, FeedItemRow.feed.in_(sorted(slugs)))
    columns = (LikenessRow.band, ItemRow.id, ItemRow.title, ItemRow.summary, ItemRow.url, ItemRow.published_at)
    query = select(*columns).join(ItemRow, ItemRow.id == LikenessRow.item_id)
    query = query.where(ItemRow.status == ItemStatus.RELEASED, ItemRow.first_seen_at >= since, shown, ~mine, ~parted)
    shared: dict[int, set[str]] = {}
    rows: dict[int, Any] = {}
    for part in parts(sorted(set(bands))):
        for row in tx.execute(query.where(LikenessRow.band.in_(part)).order_by(ItemRow.id)):
            shared.setdefault(row.id, set()).add(row.band)
            rows[row.id] = row
    texts = _texts(tx, rows)
    return [
        Alike(one.id, ((one.title, one.summary), *texts.get(one.id, ())), one.url, one.published_at, frozenset(shared[one.id]))
        for one in rows.values()
    ]


def _texts(tx: Tx, item_ids: Collection[int]) -> dict[int, list[tuple[str, str]]]:
    """The titles and summaries of the entries that were merged into these items."""
    query = select(MergeRow.item_id, MergeRow.candidate).where(MergeRow.undone_at.is_(None)).order_by(MergeRow.id)
    found: dict[int, list[tuple[str, str]]] = {}
    for part in parts(sorted(item_ids)):
        for item_id, candidate in tx.execute(query.where(MergeRow.item_id.in_(part))):
            if candidate:
                found.setdefault(item_id, []).append((candidate.get("title", ""), candidate.get("summary", "")))
    return {item_id: list(dict.fromkeys(texts))[-_MOST_TEXTS:] for item_id, texts in found.items()}


def share_categories(tx: Tx, item_ids: Collection[int]) -> None:
    """An item has the categories and topics of all entries that were merged into it: a reader of one of them gets it, too.

    Its content hash stays that of its own source's entry, which is compared with it.
    """
    query = select(ItemRow.id, ItemRow.categories, MergeRow.candidate).join(MergeRow, MergeRow.item_id == ItemRow.id)
    query = query.where(MergeRow.undone_at.is_(None)).order_by(MergeRow.id)
    had: dict[int, list[str]] = {}
    shared: dict[int, dict[str, str]] = {}
    for part in parts(sorted(item_ids)):
        for item_id, categories, candidate in tx.execute(query.where(ItemRow.id.in_(part))):
            had[item_id] = categories
            mine = shared.setdefault(item_id, {name.casefold(): name for name in categories})
            for name in (candidate or {}).get("categories", ()):
                mine.setdefault(name.casefold(), name)
    for item_id, names in shared.items():
        if len(names) > len(had[item_id]):
            tx.execute(update(ItemRow).where(ItemRow.id == item_id).values(categories=list(names.values())))


def join(tx: Tx, kept: int, other: int, reason: str, now: datetime) -> bool:
    """One released item becomes part of another, for they turned out to tell one story: it leaves the feeds, its sources' keys
    name the kept one. To be undone source by source. False: it is not done.

    Not where one source has both, a person has parted them, a week and more lies between them, or where somebody who is to get
    the other would not get the kept one.
    """
    if not _may_join(tx, kept, other):
        return False
    candidate = items.as_candidate(tx, other)
    assert candidate is not None
    for source_id, keys in names_of(tx, other).items():
        note(tx, source_id, [Merge(kept, replace(candidate, keys=keys), reason)], now, other=other)
    tx.execute(update(ItemOriginRow).where(ItemOriginRow.item_id == other).values(item_id=kept))
    bands = tx.execute(select(LikenessRow.band).where(LikenessRow.item_id == other)).scalars().all()
    add_bands(tx, {kept: [band for band in bands if band != _LOOKED_AT]})
    items.set_status(tx, other, ItemStatus.WITHDRAWN, now)
    return True


def _may_join(tx: Tx, kept: int, other: int) -> bool:
    query = select(ItemRow.id, ItemRow.status, ItemRow.published_at).where(ItemRow.id.in_((kept, other)))
    rows = tx.execute(query).all()
    if [row.status for row in rows] != [ItemStatus.RELEASED] * 2 or abs(rows[0].published_at - rows[1].published_at) > WITHIN:
        return False
    if names_of(tx, kept).keys() & names_of(tx, other).keys():
        return False
    pair = or_(
        and_(MergeRow.item_id == kept, MergeRow.other_id == other), and_(MergeRow.item_id == other, MergeRow.other_id == kept)
    )
    if tx.execute(select(MergeRow.id).where(pair, MergeRow.undone_at.is_not(None)).limit(1)).first() is not None:
        return False
    places: dict[int, dict[str, bool]] = {kept: {}, other: {}}
    for row in tx.execute(
        select(FeedItemRow.item_id, FeedItemRow.feed, FeedItemRow.mailed).where(FeedItemRow.item_id.in_((kept, other)))
    ):
        places[row.item_id][row.feed] = row.mailed
    return all(feed in places[kept] and (places[kept][feed] or not mailed) for feed, mailed in places[other].items())


def names_of(tx: Tx, item_id: int) -> dict[int, tuple[str, ...]]:
    """By source, the keys that name the item there; first the one that made its identity, then guids, which are the strongest."""
    query = select(ItemOriginRow.source_id, SourceRow.url, ItemOriginRow.key, ItemRow.identity)
    query = query.join(SourceRow, SourceRow.id == ItemOriginRow.source_id).join(ItemRow, ItemRow.id == ItemOriginRow.item_id)
    found: dict[int, list[tuple[bool, bool, str]]] = {}
    for source_id, url, key, identity in tx.execute(query.where(ItemOriginRow.item_id == item_id).order_by(ItemOriginRow.key)):
        made_it = numbers.identity_of(url, key) == identity
        found.setdefault(source_id, []).append((not made_it, not key.startswith("guid:"), key))
    return {source_id: tuple(key for *_order, key in sorted(keys)) for source_id, keys in found.items()}


def forget_bands(tx: Tx, before: datetime) -> int:
    """Items first seen before then are compared with nothing any more; returns how many rows went."""
    old = select(LikenessRow.item_id).join(ItemRow, ItemRow.id == LikenessRow.item_id).where(ItemRow.first_seen_at < before)
    return int(tx.execute(delete(LikenessRow).where(LikenessRow.item_id.in_(old))).rowcount)


def as_json(candidate: CandidateItem) -> dict[str, Any]:
    """All of an entry, for a column of JSON."""
    values = asdict(candidate)
    for name in ("published", "updated"):
        if values[name] is not None:
            values[name]["at"] = values[name]["at"].isoformat()
    return values


def from_json(values: Mapping[str, Any]) -> CandidateItem:
    """The entry again; what later versions know besides is left out."""
    known = {name: one for name, one in values.items() if name in CandidateItem.__dataclass_fields__}
    for name in ("keys", "authors", "categories", "former_keys"):
        known[name] = tuple(known.get(name, ()))
    for name in ("published", "updated"):
        known[name] = _date(known[name]) if known.get(name) else None
    known["image"] = Image(**known["image"]) if known.get("image") else None
    known["attachments"] = tuple(Attachment(**one) for one in known.get("attachments", ()))
    return CandidateItem(**known)


def _date(values: Mapping[str, Any]) -> ReadDate:
    read = dict(values) | {"at": datetime.fromisoformat(values["at"]), "precision": Precision(values["precision"])}
    if "confidence" in read:
        read["confidence"] = Confidence(read["confidence"])
    return ReadDate(**read)
