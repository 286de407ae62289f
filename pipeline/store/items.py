"""Items and their origins: what a collect compares, stores and changes; their numbers are in ``feed_items``."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, bindparam, delete, exists, func, insert, or_, select, update
from sqlalchemy.orm import aliased

from pipeline.models import (
    Attachment,
    CandidateItem,
    Confidence,
    Image,
    ItemStatus,
    KnownItem,
    Precision,
    ReadDate,
    Theirs,
)
from pipeline.store import numbers, upsert
from pipeline.store.database import Tx
from pipeline.store.numbers import parts
from pipeline.store.schema import (
    FeedItemRow,
    FeedSourceRow,
    ItemOriginRow,
    ItemRow,
    SourceRow,
)

_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class ListedItem:
    """An item as ``gazet items list`` shows it; ``numbers`` maps feeds to its number there."""

    id: int
    status: ItemStatus
    title: str
    url: str
    published_at: datetime
    numbers: dict[str, int]


def known(tx: Tx, source_id: int, keys: Iterable[str]) -> dict[str, KnownItem]:
    """The items this source is known to have brought under any of these keys."""
    found = _known(tx, source_id, ItemOriginRow.source_id == source_id, keys, elsewhere=False)
    return {key: one for key, [one] in found.items()}


def _known(
    tx: Tx, source_id: int, where: ColumnElement[bool], keys: Iterable[str], *, elsewhere: bool
) -> dict[str, list[KnownItem]]:
    plain = ("content_hash", "url", "title", "summary", "published_at")
    query = select(ItemOriginRow.key, ItemRow.id, ItemRow.source_id, *(getattr(ItemRow, name) for name in plain))
    query = query.join(ItemRow, ItemRow.id == ItemOriginRow.item_id).where(where).order_by(ItemRow.id)
    found: dict[str, list[KnownItem]] = {}
    for part in parts(sorted(set(keys))):
        for row in tx.execute(query.where(ItemOriginRow.key.in_(part))):
            listed = found.setdefault(row.key, [])
            if not listed or listed[-1].item_id != row.id:  # two sources may have brought it under one key
                values = {name: getattr(row, name) for name in plain}
                listed.append(KnownItem(row.id, **values, elsewhere=elsewhere, theirs=row.source_id != source_id))
    return found


def known_elsewhere(tx: Tx, source_id: int, keys: Iterable[str]) -> dict[str, list[KnownItem]]:
    """The items that other sources of this source's feeds have brought under any of these keys, the oldest first.

    An address is the same story wherever it is found. A guid is only compared with those of sources that have left the
    settings: an edited source URL makes nothing new, and two living sources may both number their entries from 1. Of living
    sources only what is released: what is held or dropped there is no reason to hide it here.
    """
    pair = aliased(FeedSourceRow)
    beside = select(FeedSourceRow.source_id).join(pair, pair.feed == FeedSourceRow.feed).where(pair.source_id == source_id)
    left = beside.where(~FeedSourceRow.active)
    shown = and_(ItemOriginRow.key.startswith("url:"), ItemRow.status == ItemStatus.RELEASED)
    fits = or_(and_(shown, ItemOriginRow.source_id.in_(beside)), ItemOriginRow.source_id.in_(left))
    return _known(tx, source_id, and_(fits, ItemOriginRow.source_id != source_id), keys, elsewhere=True)


def of_living_sources(tx: Tx, source_id: int, item_ids: Collection[int]) -> dict[int, Theirs]:
    """Those of the items whose text is another source's that is still read: this source must not change them back and forth."""
    living = select(FeedSourceRow.source_id).where(FeedSourceRow.active)
    query = select(ItemRow.id, ItemRow.url, ItemRow.title, SourceRow.url.label("source"))
    query = query.join(SourceRow, SourceRow.id == ItemRow.source_id)
    query = query.where(ItemRow.source_id != source_id, ItemRow.source_id.in_(living))
    rows = (row for part in parts(item_ids) for row in tx.execute(query.where(ItemRow.id.in_(part))))
    return {row.id: Theirs(row.url, row.title, row.source) for row in rows}


def newest_of(tx: Tx, source_id: int, limit: int) -> list[tuple[str, str]]:
    """Title and address of the items that a source brought last and that nobody held or discarded, newest first."""
    brought = select(ItemOriginRow.item_id).where(ItemOriginRow.source_id == source_id)
    taken = ItemRow.status.in_((ItemStatus.RELEASED, ItemStatus.WITHDRAWN))
    query = select(ItemRow.title, ItemRow.url).where(ItemRow.id.in_(brought), taken).order_by(ItemRow.id.desc()).limit(limit)
    return [(row.title, row.url) for row in tx.execute(query)]


def unnumbered(tx: Tx, slug: str, item_ids: Collection[int]) -> set[int]:
    """The released ones among these items that have no number in the feed yet."""
    numbered = exists().where(FeedItemRow.feed == slug, FeedItemRow.item_id == ItemRow.id)
    query = select(ItemRow.id).where(ItemRow.status == ItemStatus.RELEASED, ~numbered)
    return {item_id for part in parts(item_ids) for item_id in tx.execute(query.where(ItemRow.id.in_(part))).scalars()}


def unnamed(tx: Tx, item_ids: Collection[int]) -> set[int]:
    """Those of the items that still wait for a title; no feed shows them until then."""
    query = select(ItemRow.id).where(ItemRow.title == "")
    return {item_id for part in parts(item_ids) for item_id in tx.execute(query.where(ItemRow.id.in_(part))).scalars()}


def unplaced(tx: Tx, item_id: int, slugs: Collection[str]) -> list[tuple[str, datetime]]:
    """Where a released item lacks its number, of these feeds that have read one of its sources; and when it was first seen."""
    numbered = exists().where(FeedItemRow.feed == FeedSourceRow.feed, FeedItemRow.item_id == item_id)
    query = select(FeedSourceRow.feed, ItemRow.first_seen_at)
    query = query.join(ItemOriginRow, ItemOriginRow.source_id == FeedSourceRow.source_id)
    query = query.join(ItemRow, ItemRow.id == ItemOriginRow.item_id)
    query = query.where(ItemRow.id == item_id, ItemRow.status == ItemStatus.RELEASED, ~numbered)
    query = query.where(FeedSourceRow.active, FeedSourceRow.collected_at.is_not(None), FeedSourceRow.feed.in_(sorted(slugs)))
    return [(row.feed, row.first_seen_at) for row in tx.execute(query.distinct().order_by(FeedSourceRow.feed))]


def add(tx: Tx, source_id: int, source_url: str, candidate: CandidateItem, *, status: ItemStatus, now: datetime) -> int:
    """Store a new item and how its source names it; returns its id. The identity is permanent from here on."""
    return add_all(tx, source_id, source_url, [candidate], status=status, now=now)[0]


def add_all(
    tx: Tx, source_id: int, source_url: str, candidates: Sequence[CandidateItem], *, status: ItemStatus, now: datetime
) -> list[int]:
    """Store new items and how their source names them; returns their ids, in the same order."""
    if not candidates:
        return []
    identities = _free_identities(tx, source_url, candidates)
    same = {"source_id": source_id, "status": status, "first_seen_at": now}
    undated = {"published_at": now, "published_precision": Precision.TIME, "date_text": "", "date_rule": "", "date_confidence": ""}
    rows = [
        undated | _content(one, now) | same | {"identity": identity} for one, identity in zip(candidates, identities, strict=True)
    ]
    made = tx.execute(insert(ItemRow).returning(ItemRow.identity, ItemRow.id), rows)
    ids: dict[str, int] = {row.identity: row.id for row in made}
    add_keys(tx, source_id, [(ids[identity], one) for one, identity in zip(candidates, identities, strict=True)])
    return [ids[identity] for identity in identities]


def _free_identities(tx: Tx, source_url: str, candidates: Sequence[CandidateItem]) -> list[str]:
    """By the strongest key; by the next one where that has named another item before (a guid that was used again)."""
    strongest = [numbers.identity_of(source_url, one.keys[0]) for one in candidates]
    taken = _identities(tx, strongest)
    if taken:
        taken |= _identities(tx, [numbers.identity_of(source_url, key) for one in candidates for key in one.keys[1:]])
    found = []
    for first, candidate in zip(strongest, candidates, strict=True):
        others = (numbers.identity_of(source_url, key) for key in candidate.keys[1:])
        found.append(first if first not in taken else next((one for one in others if one not in taken), uuid.uuid4().urn))
        taken.add(found[-1])
    return found


def _identities(tx: Tx, wanted: Sequence[str]) -> set[str]:
    """Those of them that items have."""
    query = select(ItemRow.identity)
    return {one for part in parts(wanted) for one in tx.execute(query.where(ItemRow.identity.in_(part))).scalars()}


def add_keys(tx: Tx, source_id: int, named: Iterable[tuple[int, CandidateItem]]) -> None:
    """Remember every key under which this source names the items."""
    rows = [
        {"source_id": source_id, "key": key, "item_id": item_id}
        for item_id, one in named
        for key in (*one.keys, one.title_key)
        if key
    ]
    upsert.ignore(tx, ItemOriginRow, rows)


def forget_keys(tx: Tx, source_id: int, keys: Collection[str]) -> None:
    """The source has given these keys to others; to be followed by ``add_keys`` in the same transaction."""
    for part in parts(sorted(keys)):
        tx.execute(delete(ItemOriginRow).where(ItemOriginRow.source_id == source_id, ItemOriginRow.key.in_(part)))


def learn_address(tx: Tx, source_id: int, item_id: int, key: str) -> None:
    """The item's address leads to this one (``url_key``), as a redirect has shown: it is known by both."""
    upsert.ignore(tx, ItemOriginRow, [{"source_id": source_id, "key": key, "item_id": item_id}])


def change(tx: Tx, source_id: int, item_id: int, candidate: CandidateItem, now: datetime) -> None:
    """The source shows the item differently now; identity, numbers and the date first seen stay."""
    change_all(tx, source_id, [(item_id, candidate)], now)


def change_all(tx: Tx, source_id: int, changed: Sequence[tuple[int, CandidateItem]], now: datetime, *, quiet: bool = False) -> None:
    """The same for many. ``quiet``: they read as they did before, so ``updated_at`` stays."""
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for item_id, candidate in changed:
        values = _content(candidate, now) | {"source_id": source_id}
        if quiet:
            del values["updated_at"]
        groups.setdefault(tuple(values), []).append({"which": item_id, **{f"new_{name}": one for name, one in values.items()}})
    for names, rows in groups.items():  # two at most: with a date and without
        values = {name: bindparam(f"new_{name}", type_=ItemRow.__table__.columns[name].type) for name in names}
        tx.execute(update(ItemRow).where(ItemRow.id == bindparam("which")).values(values), rows)


def _content(candidate: CandidateItem, now: datetime) -> dict[str, Any]:
    values: dict[str, Any] = {name: getattr(candidate, name) for name in ("url", "title", "kicker", "summary", "content_html")}
    values |= {"authors": list(candidate.authors), "categories": list(candidate.categories), "language": candidate.language}
    values |= {"image": asdict(candidate.image) if candidate.image else None, "content_hash": candidate.content_hash}
    values["attachments"] = [asdict(attachment) for attachment in candidate.attachments]
    values["updated_at"] = candidate.updated.at if candidate.updated else now
    if candidate.published:
        values |= {"published_at": candidate.published.at, "published_precision": candidate.published.precision}
        date = candidate.published
        values |= {"date_text": date.text, "date_rule": date.rule, "date_confidence": date.confidence}
    return values | {"date_doubt": candidate.doubt}


def enrich(tx: Tx, item_id: int, candidate: CandidateItem) -> None:
    """The item now shows what its article tells; to its source it reads as before, so that is no update.

    Where its article says when it was changed, that is when it was.
    """
    values = _content(candidate, _NEVER)
    del values["content_hash"]
    if candidate.updated is None:
        del values["updated_at"]
    tx.execute(update(ItemRow).where(ItemRow.id == item_id).values(values))


def as_candidate(tx: Tx, item_id: int) -> CandidateItem | None:
    """The item as it is stored, to be overlaid with what its article tells; None where there is no such item."""
    row = tx.execute(select(*ItemRow.__table__.columns).where(ItemRow.id == item_id)).first()
    if row is None:
        return None
    confidence = Confidence(row.date_confidence or Confidence.CERTAIN)
    date = ReadDate(row.published_at, Precision(row.published_precision), row.date_text, row.date_rule, confidence)
    return CandidateItem(
        keys=(),
        url=row.url,
        title=row.title,
        kicker=row.kicker,
        summary=row.summary,
        content_html=row.content_html,
        published=date if row.date_text else None,
        updated=None,
        authors=tuple(row.authors),
        categories=tuple(row.categories),
        image=Image(**row.image) if row.image else None,
        attachments=tuple(Attachment(**values) for values in row.attachments),
        language=row.language,
        content_hash=row.content_hash,
        doubt=row.date_doubt,
    )


def listing(tx: Tx, *, slug: str | None = None, status: ItemStatus | None = None, limit: int = 50) -> list[ListedItem]:
    """Items for a person to look through, newest first; held ones have no number."""
    query = select(ItemRow.id, ItemRow.status, ItemRow.title, ItemRow.url, ItemRow.published_at)
    if status:
        query = query.where(ItemRow.status == status)
    if slug:
        query = query.where(ItemRow.id.in_(_ids_of_feed(slug)))
    rows = tx.execute(query.order_by(ItemRow.published_at.desc(), ItemRow.id.desc()).limit(limit)).all()
    places_of: dict[int, dict[str, int]] = {}
    places = select(FeedItemRow.item_id, FeedItemRow.feed, FeedItemRow.seq).where(FeedItemRow.item_id.in_([row.id for row in rows]))
    for item_id, feed, seq in tx.execute(places):
        places_of.setdefault(item_id, {})[feed] = seq
    return [
        ListedItem(row.id, ItemStatus(row.status), row.title, row.url, row.published_at, places_of.get(row.id, {})) for row in rows
    ]


def _ids_of_feed(slug: str) -> Select[Any]:
    origins = select(ItemOriginRow.item_id).join(FeedSourceRow, FeedSourceRow.source_id == ItemOriginRow.source_id)
    return origins.where(FeedSourceRow.feed == slug)


def held_of(tx: Tx, source_id: int) -> list[int]:
    """The held items that this source has brought, in the order in which they came."""
    origin = exists().where(ItemOriginRow.item_id == ItemRow.id, ItemOriginRow.source_id == source_id)
    query = select(ItemRow.id).where(ItemRow.status == ItemStatus.HELD, origin).order_by(ItemRow.id)
    return list(tx.execute(query).scalars())


def status_of(tx: Tx, item_id: int) -> ItemStatus | None:
    """None when there is no such item."""
    found = tx.execute(select(ItemRow.status).where(ItemRow.id == item_id)).scalar()
    return ItemStatus(found) if found else None


def set_status(tx: Tx, item_id: int, status: ItemStatus, now: datetime) -> None:
    """A withdrawn item keeps its number and leaves the feeds."""
    tx.execute(update(ItemRow).where(ItemRow.id == item_id).values(status=status))
    if status is ItemStatus.WITHDRAWN:
        tx.execute(update(FeedItemRow).where(FeedItemRow.item_id == item_id).values(withdrawn_at=now))


def show_again(tx: Tx, item_id: int) -> None:
    """A withdrawn item is back in the feeds, with the numbers that it has kept."""
    tx.execute(update(ItemRow).where(ItemRow.id == item_id).values(status=ItemStatus.RELEASED))
    tx.execute(update(FeedItemRow).where(FeedItemRow.item_id == item_id).values(withdrawn_at=None))


def feeds_of(tx: Tx, item_id: int) -> list[str]:
    """The feeds in which a released item belongs: those that read one of its sources now."""
    query = select(FeedSourceRow.feed).join(ItemOriginRow, ItemOriginRow.source_id == FeedSourceRow.source_id)
    query = query.where(ItemOriginRow.item_id == item_id, FeedSourceRow.active)
    return list(tx.execute(query.distinct().order_by(FeedSourceRow.feed)).scalars())


def counts(tx: Tx) -> dict[ItemStatus, int]:
    """How many items there are in each status."""
    rows = tx.execute(select(ItemRow.status, func.count()).group_by(ItemRow.status))
    return {ItemStatus(status): count for status, count in rows}
