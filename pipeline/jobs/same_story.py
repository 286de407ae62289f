"""One story in several sources of a feed is one item: whom new entries are compared with, and what becomes of the likeness.

new entries, entries that joined an item by its address ──bands──▶ items that may tell the same ──same_story──▶ merge │ join
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from pipeline.collect import likeness
from pipeline.collect.decide import is_apart, theirs
from pipeline.models import CandidateItem, CollectPlan, Merge
from pipeline.store import Tx, feeds, items, merges
from pipeline.store.merges import WITHIN, Alike
from pipeline.store.sources import SourceRecord

_COMPARED = 10


@dataclass(frozen=True, slots=True)
class _Meeting:
    """An entry (by its place) and another source's item that tell one story, and how surely."""

    score: float
    place: int
    one: Alike


def merge_alike(tx: Tx, source: SourceRecord, plan: CollectPlan, own: Collection[int], now: datetime) -> CollectPlan:
    """Entries that this source brings for the first time and that tell a story which another source of its feeds has brought
    are that item; at most one for each. Items that turn out to be one by such an entry become one.

    ``own``: the items that this source has brought before.
    """
    arrived = [one for one in plan.merges if one.item_id not in own]
    entries = [*plan.new, *(one.candidate for one in arrived)]
    if not entries:
        return plan
    for slug in sorted(source.feeds):  # another source of the feed must not bring the same one at this moment
        feeds.lock(tx, slug)
    told = [likeness.told(one.title, one.summary) for one in entries]
    bands = [likeness.bands(one) for one in told]
    found = _alike(tx, source, bands, now)
    stories = {one.item_id: [likeness.told(*text) for text in one.texts] for one in found}
    scored = (
        _Meeting(max(likeness.same_story(told[place], story) for story in stories[one.item_id]), place, one)
        for place, one in _meetings(bands, found)
        if _about_as_old(entries[place], one)
    )
    pairs = sorted((pair for pair in scored if pair.score), key=lambda pair: -pair.score)
    taken = _assigned(pairs, len(plan.new))
    named = {place: one.item_id for place, one in taken.items()}
    named |= {len(plan.new) + index: one.item_id for index, one in enumerate(arrived)}
    seen = {item_id for item_id, _ in plan.seen}
    became = _join(tx, pairs, named, {one.item_id for one in taken.values()} | seen, now)
    merges.add_bands(tx, {became.get(item_id, item_id): bands[place] for place, item_id in named.items() if bands[place]})
    return _moved(_with_merged(plan, taken), became)


def join_told(tx: Tx, item_id: int, now: datetime) -> bool:
    """A held item that is released becomes part of the item that another source has made of its address since, if there is one."""
    for source_id, keys in merges.names_of(tx, item_id).items():
        entry = items.as_candidate(tx, item_id)
        if entry is None:
            return False
        entry = replace(entry, keys=tuple(key for key in keys if key.startswith("url:")))
        for one in theirs([entry], items.known_elsewhere(tx, source_id, entry.keys)).values():
            same = one.item_id != item_id and not is_apart(entry, one)
            if same and merges.join(tx, one.item_id, item_id, "the same address at another source", now):
                return True
    return False


def _alike(tx: Tx, source: SourceRecord, bands: Sequence[Sequence[str]], now: datetime) -> list[Alike]:
    """The items of other sources that share a band with one of the entries."""
    since = now - WITHIN
    unlooked = merges.unlooked_at(tx, source.feeds, since)
    merges.add_bands(tx, {item_id: likeness.bands(likeness.told(title, text)) for item_id, title, text in unlooked})
    return merges.alike(tx, source.id, source.feeds, (band for listed in bands for band in listed), since)


def _meetings(bands: Sequence[Sequence[str]], found: Sequence[Alike]) -> Iterator[tuple[int, Alike]]:
    """Which entries (by their place) are to be compared with which items: a few that share the most bands."""
    under: dict[str, list[Alike]] = {}
    for one in found:
        for band in one.bands:
            under.setdefault(band, []).append(one)
    for place, listed in enumerate(bands):
        shared = Counter(one.item_id for band in listed for one in under.get(band, ()))
        by_id = {one.item_id: one for band in listed for one in under.get(band, ())}
        yield from ((place, by_id[item_id]) for item_id, _count in shared.most_common(_COMPARED))


def _about_as_old(candidate: CandidateItem, one: Alike) -> bool:
    return candidate.published is None or abs(candidate.published.at - one.published_at) <= WITHIN


def _assigned(pairs: Sequence[_Meeting], new: int) -> dict[int, Alike]:
    """The item of each new entry (the first ``new`` places), the surest first; none is two entries'."""
    taken: dict[int, Alike] = {}
    claimed: set[int] = set()
    for pair in pairs:
        if pair.place < new and pair.place not in taken and pair.one.item_id not in claimed:
            taken[pair.place] = pair.one
            claimed.add(pair.one.item_id)
    return taken


def _join(tx: Tx, pairs: Sequence[_Meeting], named: Mapping[int, int], claimed: Collection[int], now: datetime) -> dict[int, int]:
    """Whatever else an entry tells the story of is one item with its own, the older one if that may be; which became which.

    Not what two entries of the document are like: then nobody can say which of them it is.
    """
    places: dict[int, set[int]] = {}
    for pair in pairs:
        places.setdefault(pair.one.item_id, set()).add(pair.place)
    became: dict[int, int] = {}
    for pair in pairs:
        one, item_id = pair.one.item_id, named.get(pair.place)
        if item_id is None or one in claimed or len(places[one]) > 1:
            continue
        older, newer = sorted((one, became.get(item_id, item_id)))
        for kept, other in ((older, newer), (newer, older)) if older != newer else ():
            if merges.join(tx, kept, other, "one entry tells the story of both", now):
                became |= {item: kept for item, into in became.items() if into == other} | {other: kept}
                break
    return became


def _with_merged(plan: CollectPlan, taken: Mapping[int, Alike]) -> CollectPlan:
    merged = [(one.item_id, plan.new[place]) for place, one in sorted(taken.items())]
    reasons = [f"the same title and text as in {one.url}" for _place, one in sorted(taken.items())]
    made = [Merge(item_id, candidate, reason) for (item_id, candidate), reason in zip(merged, reasons, strict=True)]
    return replace(
        plan,
        new=tuple(one for place, one in enumerate(plan.new) if place not in taken),
        seen=(*plan.seen, *merged),
        named=(*plan.named, *merged),
        merges=(*plan.merges, *made),
    )


def _moved(plan: CollectPlan, became: Mapping[int, int]) -> CollectPlan:
    """The plan with the items that others have become a part of."""
    if not became:
        return plan
    return replace(
        plan,
        updates=tuple(replace(one, item_id=became.get(one.item_id, one.item_id)) for one in plan.updates),
        seen=tuple((became.get(item_id, item_id), one) for item_id, one in plan.seen),
        named=tuple((became.get(item_id, item_id), one) for item_id, one in plan.named),
        merges=tuple(replace(one, item_id=became.get(one.item_id, one.item_id)) for one in plan.merges),
    )
