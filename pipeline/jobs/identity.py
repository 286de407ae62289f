"""Which item is which when a source is collected: compare │ merge │ change │ remember. All within the collect's transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from pipeline.collect import likeness
from pipeline.collect.decide import decide, every_key, is_owner, theirs
from pipeline.collect.naming import is_untitled, named_by_address, unnamed
from pipeline.collect.restless import LOOK_BACK, Verdict, judge
from pipeline.jobs.articles import overlaid
from pipeline.jobs.same_story import merge_alike
from pipeline.models import CandidateItem, CollectPlan, KnownItem
from pipeline.store import Tx, articles, items, merges, versions
from pipeline.store.sources import SourceRecord


def compare(tx: Tx, source: SourceRecord, candidates: Sequence[CandidateItem], now: datetime, *, neighbours: bool) -> CollectPlan:
    """What a collect is going to write; known items that this source names by a new key are remembered under it.

    ``neighbours``: whether its feeds read other sources, too (``merges.has_neighbours``).
    """
    if source.collected_at is None and not neighbours:
        return decide(candidates, {}, now=now)
    own = items.known(tx, source.id, {key for one in candidates for key in one.keys})
    known = own
    if doubtful := [one for one in candidates if _is_doubtful(one, own)]:
        rest = every_key(doubtful) - own.keys()
        own = own | items.known(tx, source.id, rest)
        found = items.known_elsewhere(tx, source.id, rest - own.keys()) if neighbours else {}
        known = theirs(doubtful, found) | own
    plan = decide(candidates, known, now=now)
    if neighbours:
        plan = merge_alike(tx, source, plan, {item.item_id for item in own.values()}, now)
    items.forget_keys(tx, source.id, plan.taken)
    _remember(tx, source, plan, own)
    merges.note(tx, source.id, plan.merges, now)
    merges.share_categories(tx, {one.item_id for one in plan.merges})
    return replace(plan, remarks=(*plan.remarks, *_shared(tx, source, plan, own)))


def _shared(tx: Tx, source: SourceRecord, plan: CollectPlan, own: Mapping[str, KnownItem]) -> tuple[str, ...]:
    """How many entries were taken for other sources' items, which is told once."""
    merged = {one.item_id for one in plan.merges} - {item.item_id for item in own.values()}
    count = len(items.of_living_sources(tx, source.id, merged)) if merged else 0
    if not count:
        return ()
    return (f"{count} {'is the same story' if count == 1 else 'are the same stories'} as other sources of the feed have",)


def _is_doubtful(candidate: CandidateItem, own: Mapping[str, KnownItem]) -> bool:
    """Whether it is not known by all its keys, or by an address that is spelled otherwise now and may be another page."""
    found = [own.get(key) for key in candidate.keys]
    return any(item is None or (candidate.former_keys and item.url != candidate.url) for item in found)


def _remember(tx: Tx, source: SourceRecord, plan: CollectPlan, own: Mapping[str, KnownItem]) -> None:
    retitled = {update.item_id for update in plan.updates if update.changed}
    fresh = [
        (item_id, one)
        for item_id, one in plan.named
        if item_id in retitled or any(key not in own or key in plan.taken for key in one.keys)
    ]
    items.add_keys(tx, source.id, fresh)


def change_items(tx: Tx, source: SourceRecord, plan: CollectPlan, now: datetime) -> tuple[int, tuple[str, ...]]:
    """Write what reads differently now, but for items whose text is another living source's and whose address is not this one's.

    Returns how many were updated, and remarks on those whose text moves by itself.
    """
    changed = {update.item_id: update.candidate for update in plan.updates if update.changed}
    if not changed:
        return 0, ()
    for item_id, other in items.of_living_sources(tx, source.id, changed).items():
        if not is_owner(changed[item_id], source.url, other):
            del changed[item_id]
    changed = _as_known(tx, changed)
    stored, past = versions.present(tx, changed), versions.since(tx, changed, now - LOOK_BACK)
    verdicts = {item_id: judge(stored[item_id], one, past.get(item_id, ()), now) for item_id, one in changed.items()}
    written = {verdict: [(one, changed[one]) for one, said in verdicts.items() if said is verdict] for verdict in Verdict}
    versions.keep(tx, [item_id for item_id, said in verdicts.items() if said is not Verdict.WAIT], now)
    items.change_all(tx, source.id, written[Verdict.TAKE], now)
    items.change_all(tx, source.id, written[Verdict.BACK], now, quiet=True)
    merges.share_categories(tx, changed)
    remarks = tuple(f'"{one.title[:60]}" changes back and forth; it stays as it is for now' for _id, one in written[Verdict.WAIT])
    return len(written[Verdict.TAKE]), remarks


def _as_known(tx: Tx, changed: Mapping[int, CandidateItem]) -> dict[int, CandidateItem]:
    """With what their articles tell; what has no title keeps waiting for one, or has the one that its address gives."""
    told = articles.contents(tx, changed)
    laid = {item_id: overlaid(candidate, told.get(item_id)) for item_id, candidate in changed.items()}
    untitled = [item_id for item_id, one in laid.items() if is_untitled(one)]
    waiting, settled = articles.states(tx, untitled)
    return laid | {one: unnamed(laid[one]) for one in waiting} | {one: named_by_address(laid[one]) for one in settled}


def add_likenesses(tx: Tx, added: Sequence[tuple[int, CandidateItem]], *, neighbours: bool) -> None:
    """Where other sources of the same feeds are to look for these new items."""
    if added and neighbours:
        merges.add_bands(tx, {item_id: likeness.bands(likeness.told(one.title, one.summary)) for item_id, one in added})
