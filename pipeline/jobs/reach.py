"""Ask a source, and read what it answers: by which way, at which address, with which validators, how many pages.

    way, move ──▶ address ──fetch──▶ 304, or the same bytes ──▶ nothing new
                                └──▶ a document ──read──▶ Reading (of the first document: find_way)
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256

from pipeline.collect import polling
from pipeline.collect.document import Order, read_document
from pipeline.collect.polling import Ask, Known
from pipeline.config import FeedSettings, Settings, SourceSettings
from pipeline.errors import FetchError, ReadError
from pipeline.http import Accept, Fetched
from pipeline.jobs.find_way import find_way
from pipeline.jobs.site import Site
from pipeline.models import Reading, SourceKind, Way
from pipeline.store import items
from pipeline.store.sources import SourceRecord

_ACCEPT = {
    SourceKind.AUTO: Accept.FEED,
    SourceKind.FEED: Accept.FEED,
    SourceKind.WORDPRESS: Accept.JSON,
    SourceKind.SITEMAP: Accept.ANY,
    SourceKind.PAGE: Accept.PAGE,
}
_FOR_PROGRAMS = (SourceKind.AUTO, SourceKind.FEED)
"""robots.txt is for pages. What an address leads to is known after it was asked for once: then a page is held to it."""


@dataclass(frozen=True, slots=True)
class Reached:
    """What one request brought. ``reading`` None: nothing has changed. ``way`` where it was found just now.

    ``address``: what was asked for; ``body_hash`` empty on a 304; ``how`` as of ``settings_hash``.
    """

    address: str
    fetched: Fetched
    asked: Ask
    how: str
    reading: Reading | None = None
    way: Way | None = None
    body_hash: str = ""
    remarks: tuple[str, ...] = ()


def order_for(settings: Settings, feed: FeedSettings, source: SourceSettings, now: datetime) -> Order:
    """How a document of this source is to be read."""
    language, zone = source.language or feed.language, settings.zone_of(source)
    return Order(source.kind, source, language, zone, settings.collect.max_items, now)


def settings_hash(order: Order) -> str:
    """Changed when the same bytes would be read differently: then a 304 must not be asked for."""
    how = order.source.model_dump(mode="json", exclude={"url", "every", "guard", "robots", "full_text"})
    return sha256(json.dumps([how, order.language, order.zone], sort_keys=True).encode()).hexdigest()


def reach(site: Site, source: SourceRecord, order: Order, now: datetime) -> Reached:
    """One poll of a source. Raises FetchError and ReadError."""
    how = settings_hash(order)
    same = how == source.settings_hash and not source.hold_next and not source.new_feeds
    way = source.way if order.kind is SourceKind.AUTO and how == source.settings_hash else None
    order = replace(order, kind=way.kind if way else order.kind)
    asked = polling.to_ask(known_of(source, settings_changed=not same), now)
    address = polling.settled_move(source.moved_to, source.moved_at, now) or (way.url if way else source.url)
    fetched = _fetch(site, order, address, asked)
    reached = Reached(address, fetched, asked, how)
    if fetched.not_modified:
        return reached
    reached = replace(reached, body_hash=sha256(fetched.body).hexdigest())
    if same and reached.body_hash == source.body_hash:
        return reached
    return _read_whole(site, source, order, reached)


def _read_whole(site: Site, source: SourceRecord, order: Order, reached: Reached) -> Reached:
    """With the document read, and the pages that follow it."""
    fetched, way = reached.fetched, None
    if order.kind is SourceKind.AUTO:
        found = find_way(site, order, fetched)
        fetched, way, reading = found.fetched, found.way, found.reading
        if order.source.robots and way.kind not in _FOR_PROGRAMS:
            site.robots.check(fetched.final_url)
    else:
        reading = read(site, order, fetched)
    more, remarks = _further_pages(site, source, order, fetched, reading)
    body_hash = sha256(fetched.body).hexdigest()
    return replace(reached, fetched=fetched, way=way, reading=_joined(reading, more), body_hash=body_hash, remarks=remarks)


def known_of(source: SourceRecord, *, settings_changed: bool = False) -> Known:
    """What is remembered of a source's answers."""
    return Known(source.etag, source.last_modified, source.whole_at, source.repeats, settings_changed)


def read(site: Site, order: Order, fetched: Fetched) -> Reading:
    """What a fetched document yields, read apart from this process. Raises ReadError."""
    reading: Reading = site.reading.call(
        read_document, fetched.body, fetched.final_url, dict(fetched.headers), order, about=fetched.url
    )
    return reading


def _fetch(site: Site, order: Order, address: str, asked: Ask) -> Fetched:
    permit = site.robots.check if order.source.robots and order.kind not in _FOR_PROGRAMS else None
    return site.fetcher.fetch(
        address,
        etag=asked.etag,
        last_modified=asked.last_modified,
        accept=_ACCEPT[order.kind],
        deltas=order.kind is SourceKind.FEED,
        permit=permit,
    )


def _further_pages(
    site: Site, source: SourceRecord, order: Order, first: Fetched, reading: Reading
) -> tuple[list[Reading], tuple[str, ...]]:
    """The pages after the first: all that are wanted at the first collect, later only as long as nothing known was met."""
    more: list[Reading] = []
    at, seen, kind = reading, {first.final_url}, reading.parsed.kind
    while at.parsed.next_page and len(more) + 1 < order.source.pages and not (source.whole_at and _known(site, source, at)):
        address = at.parsed.next_page
        if address in seen:
            break
        seen.add(address)
        try:
            permit = site.robots.check if order.source.robots and kind not in _FOR_PROGRAMS else None
            fetched = site.fetcher.fetch(address, accept=_ACCEPT[kind], permit=permit)
            at = read(site, replace(order, kind=kind), fetched)
        except (FetchError, ReadError) as error:
            return more, (f"page {len(more) + 2} ({address}): {error.reason}",)
        more.append(at)
    if source.whole_at and not order.source.pages > len(more) + 1 and reading.candidates and not _known(site, source, at):
        return more, ("none of its items was known: some may have come and gone unseen in between",)
    return more, ()


def _known(site: Site, source: SourceRecord, reading: Reading) -> bool:
    """Whether any of these items has been here before."""
    keys = {key for candidate in reading.candidates for key in candidate.keys}
    with site.store.read() as tx:
        return bool(items.known(tx, source.id, keys) or items.known_elsewhere(tx, source.id, keys))


def _joined(first: Reading, more: Sequence[Reading]) -> Reading:
    """The pages as one reading; an item that moved on to the next page meanwhile is one item."""
    if not more:
        return first
    seen: set[str] = set()
    candidates = []
    for candidate in (one for reading in (first, *more) for one in reading.candidates):
        if seen.isdisjoint(candidate.keys):
            candidates.append(candidate)
        seen.update(candidate.keys)
    return Reading(first.parsed, tuple(candidates), tuple(remark for one in (first, *more) for remark in one.remarks))
