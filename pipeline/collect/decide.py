"""What a collect is going to write: which candidates are new, which known ones changed. No store, no clock, no guessing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from pipeline.models import CandidateItem, CollectPlan, ItemUpdate, KnownItem


def decide(candidates: Sequence[CandidateItem], known: Mapping[str, KnownItem], *, now: datetime) -> CollectPlan:
    """The plan for candidates in document order, newest first as pages and feeds are.

    ``known`` maps identity keys to stored items; a candidate with any of them is that item. Where its keys name several
    items the strongest key wins, with a remark. ``new`` is oldest first, so that numbers follow time.
    """
    new: list[CandidateItem] = []
    by_item: dict[int, list[CandidateItem]] = {}
    remarks: list[str] = []
    for candidate in candidates:
        owners = list(dict.fromkeys(known[key].item_id for key in candidate.keys if key in known))
        if not owners:
            new.append(candidate)
            continue
        by_item.setdefault(owners[0], []).append(candidate)
        if len(owners) > 1:
            remarks.append(f'"{candidate.title[:60]}" has the identities of {len(owners)} items; taken for the first')
    stored = {item.item_id: item for item in known.values()}
    updates = [_update(stored[item_id], same, known) for item_id, same in by_item.items()]
    written = tuple(update for update in updates if update is not None)
    return CollectPlan(
        new=tuple(_oldest_first(new, now)),
        updates=written,
        unchanged=len(updates) - len(written),
        remarks=tuple(remarks),
    )


def _update(item: KnownItem, same: Sequence[CandidateItem], known: Mapping[str, KnownItem]) -> ItemUpdate | None:
    """None where nothing is to be written. An entry that reads as stored wins, so that twins do not take turns."""
    candidate = next((twin for twin in same if twin.content_hash == item.content_hash), same[0])
    changed = candidate.content_hash != item.content_hash
    new_key = any(key not in known for key in candidate.keys)
    return ItemUpdate(item.item_id, candidate, changed) if changed or new_key else None


def _oldest_first(candidates: Sequence[CandidateItem], now: datetime) -> Iterable[CandidateItem]:
    """By date; an undated one keeps its place below its dated neighbour; of equals the later in the document is older."""
    dated: list[tuple[datetime, int, CandidateItem]] = []
    last = now
    for place, candidate in enumerate(candidates):
        last = candidate.published.at if candidate.published is not None else last
        dated.append((last, -place, candidate))
    return [candidate for _at, _place, candidate in sorted(dated, key=lambda entry: entry[:2])]
