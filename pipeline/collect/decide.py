"""What a collect is going to write: which candidates are new, which known ones changed. No store, no clock, no guessing.

An entry is the item that one of its keys names, the strongest first (guid, then address); but a guid that a source has given
to another story names it no more. What no key names may be known by title and day, where its old entry is gone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from urllib.parse import urlsplit

from pipeline.collect.likeness import unlike
from pipeline.collect.naming import is_untitled
from pipeline.collect.normalise import exact_key, former_hash, url_key
from pipeline.models import CandidateItem, CollectPlan, ItemUpdate, KnownItem, Merge, Theirs

Known = Mapping[str, KnownItem]


@dataclass(frozen=True, slots=True)
class _Match:
    """The item that an entry is taken for; ``reason``: why, where it is not by its strongest key, else empty."""

    item: KnownItem
    reason: str = ""


def every_key(candidates: Iterable[CandidateItem]) -> set[str]:
    """All keys by which these candidates may be known."""
    return {key for one in candidates for key in (*one.keys, *one.former_keys, one.title_key) if key}


def decide(candidates: Sequence[CandidateItem], known: Known, *, now: datetime) -> CollectPlan:
    """The plan for candidates in document order, newest first as pages and feeds are.

    ``known`` maps keys to stored items (``every_key``). Where a candidate's keys name several items the one that reads like
    it wins, else the strongest key, with a remark.
    """
    remarks: list[str] = []
    matches = [_by_key(candidate, known, remarks) for candidate in candidates]
    _part_twins(candidates, matches)
    _by_title(candidates, matches, known)
    new = [_apart(one, known) for one, match in zip(candidates, matches, strict=True) if match is None]
    by_item: dict[int, list[CandidateItem]] = {}
    stored: dict[int, KnownItem] = {}
    for candidate, match in zip(candidates, matches, strict=True):
        if match is not None:
            by_item.setdefault(match.item.item_id, []).append(candidate)
            stored[match.item.item_id] = match.item
    updates = [_update(stored[item_id], same, known) for item_id, same in by_item.items()]
    written = tuple(update for update in updates if update is not None)
    return CollectPlan(
        new=tuple(_oldest_first(new, now)),
        updates=written,
        unchanged=len(updates) - len(written),
        remarks=tuple(remarks),
        seen=tuple((item_id, same[0]) for item_id, same in reversed(by_item.items())),
        named=tuple((item_id, one) for item_id, same in by_item.items() for one in same),
        merges=tuple(_merges(candidates, matches)),
        taken=frozenset(_taken(candidates, matches, known)),
    )


def _by_key(candidate: CandidateItem, known: Known, remarks: list[str]) -> _Match | None:
    """The item that the candidate's keys name."""
    owners: dict[int, tuple[str, KnownItem]] = {}
    for key in (*candidate.keys[:-1], *candidate.former_keys, *candidate.keys[-1:]):
        if key in known and not _other_story(candidate, key, known[key], known):
            owners.setdefault(known[key].item_id, (key, known[key]))
    if not owners:
        return None
    same = [one for one in owners.values() if len(owners) > 1 and _reads_alike(candidate, one[1])]
    key, item = same[0] if same else next(iter(owners.values()))
    if len(owners) > 1 and not same:
        remarks.append(f'"{candidate.title[:60]}" has the identities of {len(owners)} items; taken for the first')
    return _Match(item, _reason(candidate, key, known))


def theirs(candidates: Iterable[CandidateItem], found: Mapping[str, Sequence[KnownItem]]) -> dict[str, KnownItem]:
    """Of the items that other sources have brought under one key, the one whose story is told here; else the oldest."""
    chosen = {key: listed[0] for key, listed in found.items()}
    for candidate in candidates:
        for key in every_key([candidate]) & found.keys():
            chosen[key] = next((item for item in found[key] if not is_apart(candidate, item)), chosen[key])
    return chosen


def is_apart(candidate: CandidateItem, item: KnownItem) -> bool:
    """Whether it tells another story than an item that has its key. A title that is no more than the address says nothing,
    nor does one that the item is still waiting for.
    """
    untitled = is_untitled(candidate) or item.title in ("", item.url)
    return not untitled and unlike(candidate.title, candidate.summary, item.title, item.summary)


def is_owner(candidate: CandidateItem, source_url: str, item: Theirs) -> bool:
    """Whether the text of another source's item is to be this entry's, whose address it has.

    So it is where the address lies on the entry's own source's host, or on the one that this is a part of (feeds.example.org),
    and not on the other's; and where the item has no title yet. Of a source on another host nobody can say whose news it tells.
    """
    if is_untitled(candidate) or url_key(candidate.url) != url_key(item.url):
        return False
    home = _host(candidate.url)
    return not item.title or (_is_part(_host(source_url), home) and not _is_part(_host(item.source), home))


def _is_part(host: str, home: str) -> bool:
    return bool(home) and (host == home or host.endswith(f".{home}"))


def _host(url: str) -> str:
    return (urlsplit(url).hostname or "").removeprefix("www.")


def _reads_alike(candidate: CandidateItem, item: KnownItem) -> bool:
    return candidate.title == item.title and bool(item.url) and url_key(candidate.url) == url_key(item.url)


def _other_story(candidate: CandidateItem, key: str, item: KnownItem, known: Known) -> bool:
    """Whether the key has been given to another story: another address, another title, another text."""
    if item.elsewhere:
        return is_apart(candidate, item)
    if item.theirs or not candidate.url or not item.url or exact_key(candidate.url) == exact_key(item.url):
        return False
    guid = key.startswith("guid:")
    address = known.get(candidate.keys[-1])
    if guid and address is not None and address.item_id == item.item_id and candidate.keys[-1] != key:
        return False
    if not guid:  # where the addresses are not one either, it is one that the item had before
        return url_key(candidate.url) == url_key(item.url) and is_apart(candidate, item)
    if candidate.published is not None and candidate.published.at == item.published_at:
        return False
    return unlike(candidate.title, candidate.summary, item.title, item.summary)


def _reason(candidate: CandidateItem, key: str, known: Known) -> str:
    strongest = known.get(candidate.keys[0])
    if known[key].elsewhere:
        return f"the same {'guid' if key.startswith('guid:') else 'address'} at another source"
    if key in candidate.former_keys and not key.startswith("guid:") and key not in (exact_key(candidate.url), candidate.keys[-1]):
        return "its address leads to the item's"
    if strongest is not None or key == candidate.keys[0] or len(candidate.keys) == 1:
        return ""
    return "the same address"


def _part_twins(candidates: Sequence[CandidateItem], matches: list[_Match | None]) -> None:
    """Entries of one document with different titles and addresses are not one item: the one that reads like it stays."""
    by_item: dict[int, list[int]] = {}
    for place, match in enumerate(matches):
        if match is not None:
            by_item.setdefault(match.item.item_id, []).append(place)
    for places in by_item.values():
        if len(places) > 1:
            best = max(places, key=lambda place: (_closeness(candidates[place], matches[place]), -place))
            for place in places:
                if _differ(candidates[place], candidates[best]):
                    matches[place] = None


def _closeness(candidate: CandidateItem, match: _Match | None) -> tuple[bool, bool, bool]:
    if match is None:
        return (False, False, False)
    item = match.item
    return candidate.content_hash == item.content_hash, candidate.title == item.title, url_key(candidate.url) == url_key(item.url)


def _differ(one: CandidateItem, other: CandidateItem) -> bool:
    return one.title != other.title and url_key(one.url) != url_key(other.url)


def _by_title(candidates: Sequence[CandidateItem], matches: list[_Match | None], known: Known) -> None:
    """Entries that no key names, by title and day; where there is no day, only in the place where it was."""
    present = {match.item.item_id for match in matches if match is not None}
    found: list[KnownItem | None] = [match.item if match else None for match in matches]
    for place, candidate in enumerate(candidates):
        item = known.get(candidate.title_key) if found[place] is None else None
        if item is not None and item.item_id not in present and not _texts_differ(candidate, item):
            found[place] = item
            present.add(item.item_id)
    for place, candidate in enumerate(candidates):
        item = found[place]
        if matches[place] is None and item is not None:
            dated = not candidate.title_key.startswith("title::")
            if dated or _in_place(place, found):
                reason = "the same title and day" if dated else "the same title in the same place"
                matches[place] = _Match(item, f"{reason} as {item.url}" if item.url else reason)


def _texts_differ(candidate: CandidateItem, item: KnownItem) -> bool:
    return bool(candidate.summary and item.summary) and unlike("a", candidate.summary, "b", item.summary)


def _in_place(place: int, found: Sequence[KnownItem | None]) -> bool:
    """Whether it stands between the same neighbours: items were stored oldest first, and the newest stands first."""
    item = found[place]
    above = next((one for one in reversed(found[:place]) if one is not None), None)
    below = next((one for one in found[place + 1 :] if one is not None), None)
    if item is None or (above is None and below is None):
        return False
    return (above is None or above.item_id > item.item_id) and (below is None or below.item_id < item.item_id)


def _apart(candidate: CandidateItem, known: Known) -> CandidateItem:
    """A new item whose address, in another spelling, is that of another story keeps its own spelling as its address."""
    address = candidate.keys[-1]
    if address in known and not known[address].elsewhere and candidate.former_keys and address.startswith("url:"):
        return replace(candidate, keys=(*candidate.keys[:-1], *candidate.former_keys), former_keys=())
    return candidate


def _merges(candidates: Sequence[CandidateItem], matches: Sequence[_Match | None]) -> Iterable[Merge]:
    for candidate, match in zip(candidates, matches, strict=True):
        if match is not None and match.reason:
            yield Merge(match.item.item_id, candidate, match.reason)


def _taken(candidates: Sequence[CandidateItem], matches: Sequence[_Match | None], known: Known) -> Iterable[str]:
    """Guids that name another item than the one their entry is: from now on they name that."""
    for candidate, match in zip(candidates, matches, strict=True):
        owner = known.get(candidate.keys[0])
        if owner is None or owner.elsewhere or not candidate.keys[0].startswith("guid:"):
            continue
        if match is None or (match.item.item_id != owner.item_id and _reads_alike(candidate, match.item)):
            yield candidate.keys[0]


def _update(item: KnownItem, same: Sequence[CandidateItem], known: Known) -> ItemUpdate | None:
    """None where nothing is to be written. An entry that reads as stored wins, so that twins do not take turns."""
    candidate = next((twin for twin in same if _as_stored(twin, item)), same[0])
    changed = not _as_stored(candidate, item)
    new_key = any(key not in known for key in candidate.keys)
    return ItemUpdate(item.item_id, candidate, changed) if changed or new_key else None


def _as_stored(candidate: CandidateItem, item: KnownItem) -> bool:
    return candidate.content_hash == item.content_hash or former_hash(candidate) == item.content_hash


def _oldest_first(candidates: Sequence[CandidateItem], now: datetime) -> Iterable[CandidateItem]:
    """By date; an undated one keeps its place below its dated neighbour; of equals the later in the document is older."""
    dated: list[tuple[datetime, int, CandidateItem]] = []
    last = now
    for place, candidate in enumerate(candidates):
        last = candidate.published.at if candidate.published is not None else last
        dated.append((last, -place, candidate))
    return [candidate for _at, _place, candidate in sorted(dated, key=lambda entry: entry[:2])]
