"""Ask a source, and read what it answers: by which way, at which address, with which validators, how many pages.

way, move ──▶ address ──fetch──▶ 304, or the same bytes ──▶ nothing new
└──▶ a document ──read──▶ Reading (of the first document: find_way)
"""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256

from pipeline.collect import filters, polling
from pipeline.collect.polling import Ask, Known
from pipeline.config import FeedSettings, Settings, SourceSettings
from pipeline.errors import FetchError, ReadError
from pipeline.http import Accept, Fetched, Permit
from pipeline.jobs.apart_names import READ_DOCUMENT
from pipeline.jobs.find_way import AGAIN, BY_INDEX, BY_ROBOTS, Found, after_failure, find_way, follow_index, is_stopgap
from pipeline.jobs.site import Outside, Site
from pipeline.models import Order, Reading, SourceKind, Way
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
_GAP = 5
"""With fewer items on a page that none is known of may be chance."""


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
    return Order(source.kind, source.page, language, zone, settings.collect.max_items, now)


def settings_hash(source: SourceSettings, order: Order) -> str:
    """Changed when the same bytes would be read differently: then a 304 must not be asked for."""
    return _settings_hash(source, order.language, order.zone)


@functools.lru_cache(maxsize=10_000)
def _settings_hash(source: SourceSettings, language: str, zone: str) -> str:
    how = source.model_dump(mode="json", exclude={"url", "every", "guard", "robots", "full_text", "title"})
    return sha256(json.dumps([how, language, zone], sort_keys=True).encode()).hexdigest()


def reach(site: Site, source: SourceRecord, wanted: SourceSettings, order: Order, now: datetime) -> Reached:
    """One poll of a source; where a better way is looked for in vain, in the way that it has. Raises FetchError and ReadError."""
    how = settings_hash(wanted, order)
    same = how == source.settings_hash and not source.hold_next and not source.new_feeds
    asked = polling.to_ask(known_of(source, settings_changed=not same), now)
    if not _looks_again(source, asked, now):
        return _reach(site, source, wanted, order, now, asked, _way_in_force(source, how, asked))
    try:
        return _reach(site, source, wanted, order, now, asked, None)
    except (FetchError, ReadError):
        if how != source.settings_hash:
            raise
        return _reach(site, source, wanted, order, now, asked, source.way)


def _reach(
    site: Site, source: SourceRecord, wanted: SourceSettings, order: Order, now: datetime, asked: Ask, way: Way | None
) -> Reached:
    """``way`` None: it is looked for."""
    how = settings_hash(wanted, order)
    order = replace(order, kind=way.kind, scope=wanted.url if way.reason.startswith(BY_ROBOTS) else "") if way else order
    address = _address(source, way, how, now)
    fetched = site.fetcher.fetch(
        address,
        etag=asked.etag,
        last_modified=asked.last_modified,
        given_by=source.given_by or address,
        accept=_ACCEPT[order.kind],
        deltas=order.kind is SourceKind.FEED,
        permit=_permit(site.outside, wanted, order.kind),
        source=wanted.url,
    )
    reached = Reached(address, fetched, asked, how)
    if fetched.not_modified:
        return reached
    reached = replace(reached, body_hash=sha256(fetched.body).hexdigest())
    same = how == source.settings_hash and not source.hold_next and not source.new_feeds
    if same and reached.body_hash == source.body_hash and (way is not None or not is_stopgap(source.way)):
        return reached
    return _read_whole(site, source, wanted, order, reached, follows=way is not None)


def _way_in_force(source: SourceRecord, how: str, asked: Ask) -> Way | None:
    """The way that was found, unless it is to be looked for: settings have changed, or a sitemap index may name a newer one."""
    anew = how != source.settings_hash or (source.way_reason.startswith(BY_INDEX) and not asked.conditional)
    return None if anew else source.way


def _looks_again(source: SourceRecord, asked: Ask, now: datetime) -> bool:
    """Once a week, with a request for the whole document, which is made once a day."""
    since = timedelta() if source.way_at is None else now - source.way_at
    return is_stopgap(source.way) and not asked.conditional and not timedelta(0) <= since < AGAIN


def _address(source: SourceRecord, way: Way | None, how: str, now: datetime) -> str:
    """What is asked for; where a way is looked for, the source's own address, wherever its former way had moved."""
    if way is None and (source.way_url or how != source.settings_hash):
        return source.url
    return polling.settled_move(source.moved_to, source.moved_at, now) or (way.url if way else source.url)


def _permit(outside: Outside, wanted: SourceSettings, kind: SourceKind) -> Permit | None:
    return outside.robots.check if wanted.robots and kind not in _FOR_PROGRAMS else None


def first_document(outside: Outside, source: SourceSettings) -> Fetched:
    """The document at a source's own address, asked for as at a first collect; for looking only. Raises FetchError."""
    return outside.fetcher.fetch(source.url, accept=_ACCEPT[source.kind], permit=_permit(outside, source, source.kind))


def look(outside: Outside, feed: FeedSettings, source: SourceSettings, fetched: Fetched, now: datetime) -> Found:
    """How a document would be read at a first collect, and what it yields; for looking only. Raises FetchError and ReadError."""
    order = order_for(outside.settings, feed, source, now)
    found = _first(outside, source, order, fetched)
    return replace(found, reading=passed(found.reading, source, now))


def _first(outside: Outside, wanted: SourceSettings, order: Order, fetched: Fetched) -> Found:
    if order.kind is SourceKind.AUTO:
        return find_way(outside, wanted, order, fetched)
    reading = read(outside, order, fetched)
    if reading.parsed.children:
        return follow_index(outside, wanted, order, reading)
    return Found(Way(order.kind, wanted.url, "the settings say so"), fetched, reading)


def _read_whole(
    site: Site, source: SourceRecord, wanted: SourceSettings, order: Order, reached: Reached, *, follows: bool
) -> Reached:
    """With the document read, the pages that follow it, and what the source's conditions leave of them.

    ``follows``: a way that was found before, so that none is found now.
    """
    found = _first(site.outside, wanted, order, reached.fetched)
    fetched, reading = found.fetched, found.reading
    way = None if follows else _way_found(source, reached.how, found.way)
    order = replace(order, kind=found.way.kind)
    more, remarks = _further_pages(site, source, wanted, order, fetched, reading)
    return replace(
        reached,
        fetched=fetched,
        way=way,
        reading=passed(_joined(reading, more), wanted, order.now),
        body_hash=sha256(fetched.body).hexdigest(),
        remarks=remarks,
    )


def _way_found(source: SourceRecord, how: str, found: Way) -> Way | None:
    """The way to be remembered with this moment, None where it is in force already."""
    former = source.last_way if how == source.settings_hash else None
    way = after_failure(found, former) if former is not None else found
    return None if way == source.way and not is_stopgap(way) else way


def passed(reading: Reading, wanted: SourceSettings, now: datetime) -> Reading:
    """What the source's conditions let through, with its topics."""
    kept, left_out = filters.apply(reading.candidates, wanted, now)
    told, slow = filters.with_topics(kept, wanted)
    return replace(reading, remarks=(*reading.remarks, *left_out, *slow), passed=told)


def known_of(source: SourceRecord, *, settings_changed: bool = False) -> Known:
    """What is remembered of a source's answers."""
    return Known(source.etag, source.last_modified, source.whole_at, source.repeats, settings_changed)


def read(outside: Outside, order: Order, fetched: Fetched) -> Reading:
    """What a fetched document yields, read apart from this process. Raises ReadError."""
    arguments = (fetched.body, fetched.final_url, dict(fetched.headers), order)
    reading: Reading = outside.reading.call(READ_DOCUMENT, *arguments, about=fetched.url)
    return reading


def _further_pages(
    site: Site, source: SourceRecord, wanted: SourceSettings, order: Order, first: Fetched, reading: Reading
) -> tuple[list[Reading], tuple[str, ...]]:
    """The pages after the first: all that are wanted at the first collect, later only as long as nothing known was met."""
    more: list[Reading] = []
    at, seen = reading, {first.final_url}
    permit = _permit(site.outside, wanted, order.kind)
    while (address := at.parsed.next_page) and address not in seen and len(more) + 1 < wanted.pages:
        if source.whole_at is not None and _known(site, source, at):
            return more, ()
        seen.add(address)
        try:
            fetched = site.fetcher.fetch(address, accept=_ACCEPT[order.kind], permit=permit, source=wanted.url)
            at = read(site.outside, order, fetched)
        except (FetchError, ReadError) as error:
            return more, (f"page {len(more) + 2} ({address}): {error.reason}",)
        more.append(at)
    if source.whole_at is not None and not source.new_feeds and len(at.candidates) >= _GAP and not _known(site, source, at):
        return more, ("none of its items was known: some may have come and gone in between",)
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
