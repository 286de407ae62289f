"""What an operator does by hand to editions, feeds, relays and items."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from pipeline.collect.naming import named_by_address
from pipeline.config import OUTBOX
from pipeline.errors import UsageError
from pipeline.jobs import rehearsed
from pipeline.jobs.lines import count as count_of
from pipeline.jobs.same_story import join_told
from pipeline.jobs.site import Site
from pipeline.jobs.take_settings import name_feeds
from pipeline.models import CandidateItem, DeliveryStatus, EditionStatus, ItemStatus, PastVersion
from pipeline.store import Tx, archive, deliveries, editions, feed_items, feeds, items, merges, replay, runs, sources, versions
from pipeline.store.editions import EditionRecord
from pipeline.store.merges import MergeRecord

_RETRIED = (DeliveryStatus.FAILED, DeliveryStatus.EXPIRED, DeliveryStatus.UNCERTAIN)


def find_edition(tx: Tx, label: str) -> EditionRecord:
    """The edition people call ``label``. Raises UsageError naming the latest ones."""
    edition = editions.by_label(tx, label)
    if edition is None:
        known = ", ".join(record.label for record in editions.latest(tx, 3)) or "none yet"
        raise UsageError(f'There is no edition "{label}".', fix=f"The latest: {known}.")
    return edition


def set_paused(site: Site, target: str | None, paused: bool) -> str:
    """Pause or resume a feed, an edition, a relay, or without ``target`` the whole site; returns what it was, in words."""
    with site.store.write() as tx:
        name_feeds(tx, site)
        if target is None:
            feeds.set_site_paused(tx, paused)
            if not paused:
                runs.forget(tx, "restore")
            return "the site"
        if "/" in target:
            return _pause_edition(tx, find_edition(tx, target), paused)
        slug = site.settings.current_slug(target)
        if feeds.exists(tx, slug):  # also one whose file is gone
            feeds.set_paused(tx, slug, paused)
            return f"feed {slug}"
        if target in {OUTBOX, *(relay.name for relay in site.settings.relay)}:
            runs.set_relay_paused(tx, target, paused, runs.BY_HAND if paused else "")
            runs.forget(tx, f"relay:{target}")
            return f"relay {target}"
    names = ", ".join(sorted(site.settings.feeds)) or "none yet"
    relays = ", ".join(relay.name for relay in site.settings.relay) or OUTBOX
    raise UsageError(f'"{target}" is no feed, edition or relay.', fix=f"Feeds: {names}; relays: {relays}.")


def _pause_edition(tx: Tx, edition: EditionRecord, paused: bool) -> str:
    if edition.status is EditionStatus.CANCELLED:
        raise UsageError(f"Edition {edition.label} was cancelled; that is final.")
    status = EditionStatus.PAUSED if paused else EditionStatus.SENDING
    began = deliveries.first_accepted_by(tx, edition.id) == OUTBOX
    editions.set_status(tx, edition.id, status, "paused by hand" if paused else rehearsed.GOES_ON if began else "")
    runs.forget(tx, f"edition:{edition.label}")
    return f"edition {edition.label}"


def cancel(site: Site, label: str, now: datetime) -> int:
    """Send nothing more of an edition and put the cursors back; returns how many deliveries were cancelled.

    Where it is uncertain whether somebody got it, the cursor stays: nothing may come twice.
    Raises UsageError for a finished one: cancelled, it could not be retried any more.
    """
    with site.store.write() as tx:
        edition = find_edition(tx, label)
        held = deliveries.sums(tx, edition.id)[DeliveryStatus.UNCERTAIN]
        if edition.status is not EditionStatus.CANCELLED and not held and not deliveries.open_count(tx, edition.id):
            raise UsageError(f"Edition {label} is finished; nothing of it is left to cancel.")
        editions.set_status(tx, edition.id, EditionStatus.CANCELLED, "cancelled by hand")
        runs.forget(tx, f"edition:{edition.label}")
        runs.forget(tx, f"uncertain:{edition.label}")
        ended = deliveries.end_open(tx, edition.id, DeliveryStatus.CANCELLED, "cancelled by hand", now)
        return ended + deliveries.drop_uncertain(tx, edition.id, now)


def retry(site: Site, label: str, now: datetime, *, from_outbox: bool) -> int:
    """Queue failed, expired and held uncertain deliveries again, same Message-ID and bytes; returns how many.

    ``from_outbox``: those that only the outbox took, so that a relay gets them. Raises UsageError where that makes no sense.
    """
    with site.store.write() as tx:
        edition = find_edition(tx, label)
        if edition.status is EditionStatus.CANCELLED:
            raise UsageError(f"Edition {label} was cancelled; its items come in the next one.")
        if replay.bytes_gone(tx, edition.id):
            return _put_back(tx, edition, now)
        if from_outbox:
            if not site.settings.relay:
                raise UsageError("There is no relay to send them through.", fix="Add a [[relay]] to gazet.toml first.")
            if rehearsed.leads_nowhere(edition) and not site.settings.relay[0].on_loopback:
                raise UsageError(f"Edition {label} was opened while site.url was an example: no link in its mails would work.")
            count = deliveries.requeue(tx, edition.id, (DeliveryStatus.ACCEPTED,), now, relay=OUTBOX)
        else:
            count = deliveries.requeue(tx, edition.id, _RETRIED, now)
        if count:
            if from_outbox and edition.status is EditionStatus.SENDING:
                editions.set_status(tx, edition.id, edition.status, rehearsed.GOES_ON)
            editions.extend_deadline(tx, edition.id, now + site.feed(edition.feed).digest.deadline)
            for kind in ("uncertain", "expired", "failed"):
                runs.forget(tx, f"{kind}:{label}")
    return count


def _put_back(tx: Tx, edition: EditionRecord, now: datetime) -> int:
    """An edition remade by a restore has no mails any more: what it brought comes in the next digest. UsageError: nothing can."""
    count = deliveries.put_back_uncertain(tx, edition.id, now)
    rest = deliveries.sums(tx, edition.id)[DeliveryStatus.UNCERTAIN]
    if not rest:
        runs.forget(tx, f"uncertain:{edition.label}")
    if not count:
        gone = f"The mails of edition {edition.label} were lost with the database; they cannot be sent"
        later = f", and later digests have passed its items for {count_of(rest, 'subscription')}" if rest else ""
        raise UsageError(f"{gone}{later}.", fix=f'"gazet cancel {edition.label}" leaves it at that.' if rest else "")
    return count


def is_remade(site: Site, label: str) -> bool:
    """Whether the edition was remade by a restore, so that its mails are gone."""
    with site.store.read() as tx:
        return replay.bytes_gone(tx, find_edition(tx, label).id)


def hold(site: Site, item_id: int, now: datetime) -> None:
    """Take an item out of its feeds until it is released. Raises UsageError when an edition has shown it already."""
    with site.store.write() as tx:
        _expect(tx, item_id, ItemStatus.RELEASED)
        if label := feed_items.covered_by(tx, item_id):
            raise UsageError(f"Item {item_id} was already sent in {label}.", fix=f'"gazet items discard {item_id}" withdraws it.')
        feed_items.forget_numbers(tx, item_id)
        items.set_status(tx, item_id, ItemStatus.HELD, now)


@dataclass(frozen=True, slots=True)
class Released:
    """How many items were released, and in which feeds.

    Of these ``waiting`` are shown only once their articles tell their titles, and ``joined`` have been told by another source
    since: they are a part of its items now.
    """

    items: int
    feeds: tuple[str, ...]
    waiting: int
    joined: int


def release(site: Site, item_id: int, now: datetime, *, mailed: bool = True) -> Released:
    """Give a held or discarded item its number in every feed it belongs to. ``mailed``: digests show it."""
    with site.store.write() as tx:
        _expect(tx, item_id, ItemStatus.HELD, ItemStatus.DISCARDED)
        done = _release(tx, [item_id], now, mailed=mailed)
        _settle_floods(tx, now)
    return done


def _release(tx: Tx, item_ids: Sequence[int], now: datetime, *, mailed: bool) -> Released:
    """Items of the same feeds. One that waits for its title gets the number that digests go by with it, as in a collect.

    What another source has told since is not shown a second time.
    """
    slugs = items.feeds_of(tx, item_ids[0])
    joined = set()
    for item_id in item_ids:
        items.set_status(tx, item_id, ItemStatus.RELEASED, now)
        joined |= {item_id} if join_told(tx, item_id, now) else set()
    unnamed = items.unnamed(tx, item_ids) - joined
    for slug in slugs:
        lacking = items.unnumbered(tx, slug, item_ids) - (unnamed if mailed else set())
        feed_items.release(tx, slug, [one for one in item_ids if one in lacking], set(item_ids) if mailed else set(), now)
    return Released(len(item_ids), tuple(slugs), len(unnamed), len(joined))


def discard(site: Site, item_id: int, now: datetime) -> ItemStatus:
    """A held item is dropped, a released one withdrawn from the feeds; returns its new status."""
    with site.store.write() as tx:
        before = _expect(tx, item_id, ItemStatus.HELD, ItemStatus.RELEASED)
        after = ItemStatus.DISCARDED if before is ItemStatus.HELD else ItemStatus.WITHDRAWN
        items.set_status(tx, item_id, after, now)
        _settle_floods(tx, now)
    return after


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """An item that left its feeds, or came back. ``numbers``: its place in each, which it keeps; ``sent_in`` names editions.

    Of those ``on_the_way`` are still being sent, with it.
    """

    item: int
    numbers: dict[str, int]
    sent_in: tuple[str, ...] = ()
    on_the_way: tuple[str, ...] = ()


def withdraw(site: Site, item_id: int, now: datetime) -> Withdrawn:
    """Take a released item out of its feeds and of digests not opened yet, whoever had it; the archive says so (promise 4)."""
    with site.store.write() as tx:
        _expect(tx, item_id, ItemStatus.RELEASED)
        items.set_status(tx, item_id, ItemStatus.WITHDRAWN, now)
        shown = archive.showing(tx, item_id)
        going = tuple(label for edition_id, label in shown if deliveries.open_count(tx, edition_id))
        return Withdrawn(item_id, feed_items.numbers_of(tx, item_id), tuple(label for _, label in shown), going)


def restore(site: Site, item_id: int, *, mailed: bool = True) -> Withdrawn:
    """Show a withdrawn item again, with the numbers that it kept: digests show it to those who are not past them yet.

    ``mailed`` False: to nobody.
    """
    with site.store.write() as tx:
        _expect(tx, item_id, ItemStatus.WITHDRAWN)
        items.show_again(tx, item_id)
        numbers = feed_items.numbers_of(tx, item_id)
        for slug in () if mailed else numbers:
            feed_items.set_mailed(tx, slug, item_id, False)
        return Withdrawn(item_id, numbers)


def held_of(site: Site, url: str) -> list[int]:
    """The held items of a source, oldest first. Raises UsageError for an address that no feed reads, or when none is held."""
    with site.store.read() as tx:
        source = next((one for one in sources.sources(tx) if one.url == url), None)
        if source is None:
            known = ", ".join(one.url for one in sources.sources(tx)[:5]) or "none yet"
            raise UsageError(f"No feed reads {url}.", fix=f"Sources: {known}.")
        held = items.held_of(tx, source.id)
    if not held:
        raise UsageError(f"No item of {url} is held.", fix='"gazet items list --status held" shows all that are.')
    return held


def release_held(site: Site, url: str, now: datetime, *, mailed: bool = True) -> Released:
    """Publish what is held of a source, as ``release`` does each. All or none."""
    held = held_of(site, url)
    with site.store.write() as tx:
        done = _release(tx, held, now, mailed=mailed)
        _settle_flood(tx, url, now)
    return done


def discard_held(site: Site, url: str, now: datetime) -> int:
    """Drop what is held of a source; returns how many. They stay known, so that they are never new again."""
    held = held_of(site, url)
    with site.store.write() as tx:
        for item_id in held:
            items.set_status(tx, item_id, ItemStatus.DISCARDED, now)
        _settle_flood(tx, url, now)
    return len(held)


def _settle_flood(tx: Tx, url: str, now: datetime) -> None:
    """The source is well again at once, for while it answers that nothing has changed nobody judges it."""
    known = {one.key for one in runs.problems(tx)}
    runs.mended(tx, f"flood:{url}", now)
    if f"flood:{url}" in known and f"source:{url}" not in known:
        for source in sources.sources(tx):
            if source.url == url:
                sources.believed(tx, source.id)


def _settle_floods(tx: Tx, now: datetime) -> None:
    """A flood of which nothing is held any more is over, also when a person went through it one by one."""
    floods = {one.key.partition(":")[2] for one in runs.problems(tx) if one.key.startswith("flood:")}
    for source in sources.sources(tx) if floods else ():
        if source.url in floods and not items.held_of(tx, source.id):
            _settle_flood(tx, source.url, now)


@dataclass(frozen=True, slots=True)
class Omitted:
    """An item that a feed's coming digests leave out (or show again); ``sent_in`` names one that has shown it to some."""

    item: int
    feed: str
    sent_in: str


def omit(site: Site, item_ids: Sequence[int], *, slug: str | None, undo: bool) -> list[Omitted]:
    """Leave items out of digests that have not been opened, in one feed or in all; or with ``undo`` no longer so.

    All of them or, with a UsageError, none: an unknown item, one of another feed, one that everybody has had.
    """
    with site.store.write() as tx:
        done = []
        for item_id in dict.fromkeys(item_ids):
            _expect(tx, item_id, ItemStatus.RELEASED)
            numbers = feed_items.numbers_of(tx, item_id)
            if items.unnamed(tx, [item_id]):
                raise UsageError(f"Item {item_id} still waits for its title.", fix=f'"gazet items hold {item_id}" keeps it out.')
            for feed in [slug] if slug else list(numbers):
                if feed not in numbers:
                    raise UsageError(f"Item {item_id} is not in feed {feed}.", fix=f"It is in: {', '.join(numbers) or 'none'}.")
                done.append(_omit(tx, feed, item_id, numbers[feed], undo=undo))
    return done


def _omit(tx: Tx, slug: str, item_id: int, seq: int, *, undo: bool) -> Omitted:
    feeds.lock(tx, slug)
    sent_in = feed_items.covered_by(tx, item_id, slug) or ""
    if sent_in and not feed_items.somebody_waits(tx, slug, seq):
        raise UsageError(
            f"Item {item_id} was already sent in {sent_in}, to everybody who was to get it.",
            fix=f'"gazet items discard {item_id}" withdraws it from the feeds.',
        )
    feed_items.set_mailed(tx, slug, item_id, undo)
    return Omitted(item_id, slug, sent_in)


def versions_of(site: Site, item_id: int) -> list[PastVersion]:
    """How an item read, oldest first, and last how it reads now (number 0). Raises UsageError where there is no such item."""
    with site.store.read() as tx:
        _expect(tx, item_id, *ItemStatus)
        past = versions.since(tx, [item_id], datetime.min.replace(tzinfo=UTC)).get(item_id, [])
        return [*past, versions.present(tx, [item_id])[item_id]]


@dataclass(frozen=True, slots=True)
class Unmerged:
    """What undoing a merge did: ``other`` is an item of its own, released in ``feeds``; ``mailed``: in those digests show it."""

    item: int
    other: int
    feeds: tuple[str, ...]
    mailed: tuple[str, ...]


def merges_of(site: Site, item_id: int) -> list[MergeRecord]:
    """Every merge into an item, oldest first. Raises UsageError where there is no such item."""
    with site.store.read() as tx:
        _expect(tx, item_id, *ItemStatus)
        return merges.of_item(tx, item_id)


def unmerge(site: Site, item_id: int, merge_id: int, now: datetime, *, mailed: bool = True) -> Unmerged:
    """Make an entry that was merged into an item an item of its own.

    It gets the next numbers of its feeds: nobody has had it, so digests show it unless it is older than ``max_age`` (promise
    4). A held item's stays held. Raises UsageError where there is no such merge.
    """
    with site.store.write() as tx:
        status = _expect(tx, item_id, *ItemStatus)
        merge = next((one for one in merges.of_item(tx, item_id) if one.id == merge_id and one.undone_at is None), None)
        if merge is None:
            raise UsageError(f"Item {item_id} has no merge {merge_id} to undo.", fix=f'"gazet items unmerge {item_id} --list".')
        sources.lock(tx, merge.source_id)
        entry = merges.candidate_of(tx, merge_id)
        parted = ItemStatus.HELD if status is ItemStatus.HELD and merge.other is None else ItemStatus.RELEASED
        other = merges.undo(tx, merge, named_by_address(entry), status=parted, now=now)
        if versions.present(tx, [item_id])[item_id].content_hash == entry.content_hash:  # what it wrote over the item's text
            versions.bring_back(tx, item_id, merge.at, now)
        slugs = items.feeds_of(tx, other) if parted is ItemStatus.RELEASED else []
        shown = [one for one in slugs if mailed and _is_young(site, one, entry, now)]
        numbered = feed_items.numbers_of(tx, other)  # it had been an item before
        for slug in slugs:
            if slug not in numbered:
                feed_items.release(tx, slug, [other], {other} if slug in shown else set(), now)
            elif not mailed:
                feed_items.set_mailed(tx, slug, other, False)
    return Unmerged(item_id, other, tuple(slugs), tuple(shown))


def _is_young(site: Site, slug: str, entry: CandidateItem, now: datetime) -> bool:
    return entry.published is None or entry.published.at >= now - site.feed(slug).digest.max_age


def _expect(tx: Tx, item_id: int, *allowed: ItemStatus) -> ItemStatus:
    status = items.status_of(tx, item_id)
    if status is None:
        raise UsageError(f"There is no item {item_id}.", fix='"gazet items list" shows them.')
    if status not in allowed:
        raise UsageError(f"Item {item_id} is {status}; this can only be done to one that is {' or '.join(allowed)}.")
    return status
