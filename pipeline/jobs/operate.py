"""What an operator does by hand to editions, feeds, relays and items."""

from __future__ import annotations

from datetime import datetime

from pipeline.config import OUTBOX
from pipeline.errors import UsageError
from pipeline.jobs.site import Site
from pipeline.models import DeliveryStatus, EditionStatus, ItemStatus
from pipeline.store import Tx, deliveries, editions, feeds, items, runs
from pipeline.store.editions import EditionRecord

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
        feeds.name_in_settings(tx, site.sources_by_feed())
        if target is None:
            feeds.set_site_paused(tx, paused)
            return "the site"
        if "/" in target:
            return _pause_edition(tx, find_edition(tx, target), paused)
        if target in site.settings.feeds:
            feeds.set_paused(tx, target, paused)
            return f"feed {target}"
        if target in {OUTBOX, *(relay.name for relay in site.settings.relay)}:
            runs.set_relay_paused(tx, target, paused, "paused by hand" if paused else "")
            runs.mended(tx, f"relay:{target}")
            return f"relay {target}"
    names = ", ".join(sorted(site.settings.feeds)) or "none yet"
    relays = ", ".join(relay.name for relay in site.settings.relay) or OUTBOX
    raise UsageError(f'"{target}" is no feed, edition or relay.', fix=f"Feeds: {names}; relays: {relays}.")


def _pause_edition(tx: Tx, edition: EditionRecord, paused: bool) -> str:
    if edition.status is EditionStatus.CANCELLED:
        raise UsageError(f"Edition {edition.label} was cancelled; that is final.")
    status = EditionStatus.PAUSED if paused else EditionStatus.SENDING
    editions.set_status(tx, edition.id, status, "paused by hand" if paused else "")
    runs.mended(tx, f"edition:{edition.label}")
    return f"edition {edition.label}"


def cancel(site: Site, label: str, now: datetime) -> int:
    """Send nothing more of an edition and put the cursors back; returns how many deliveries were cancelled.

    Raises UsageError for a finished one: cancelled, it could not be retried any more.
    """
    with site.store.write() as tx:
        edition = find_edition(tx, label)
        if edition.status is not EditionStatus.CANCELLED and not deliveries.open_count(tx, edition.id):
            raise UsageError(f"Edition {label} is finished; nothing of it is left to cancel.")
        editions.set_status(tx, edition.id, EditionStatus.CANCELLED, "cancelled by hand")
        runs.mended(tx, f"edition:{edition.label}")
        return deliveries.end_open(tx, edition.id, DeliveryStatus.CANCELLED, "cancelled by hand", now)


def retry(site: Site, label: str, now: datetime, *, from_outbox: bool) -> int:
    """Queue failed, expired and held uncertain deliveries again, same Message-ID and bytes; returns how many.

    ``from_outbox``: those that only the outbox took, so that a relay gets them. Raises UsageError where that makes no sense.
    """
    with site.store.write() as tx:
        edition = find_edition(tx, label)
        if edition.status is EditionStatus.CANCELLED:
            raise UsageError(f"Edition {label} was cancelled; its items come in the next one.")
        if from_outbox:
            if not site.settings.relay:
                raise UsageError("There is no relay to send them through.", fix="Add a [[relay]] to gazet.toml first.")
            count = deliveries.requeue(tx, edition.id, (DeliveryStatus.ACCEPTED,), now, relay=OUTBOX)
        else:
            count = deliveries.requeue(tx, edition.id, _RETRIED, now)
        if count:
            editions.extend_deadline(tx, edition.id, now + site.feed(edition.feed).digest.deadline)
            for kind in ("uncertain", "expired", "failed"):
                runs.mended(tx, f"{kind}:{label}")
    return count


def hold(site: Site, item_id: int, now: datetime) -> None:
    """Take an item out of its feeds until it is released. Raises UsageError when an edition has shown it already."""
    with site.store.write() as tx:
        _expect(tx, item_id, ItemStatus.RELEASED)
        if label := items.covered_by(tx, item_id):
            raise UsageError(f"Item {item_id} was already sent in {label}.", fix=f'"gazet items discard {item_id}" withdraws it.')
        items.forget_numbers(tx, item_id)
        items.set_status(tx, item_id, ItemStatus.HELD, now)


def release(site: Site, item_id: int, now: datetime) -> list[str]:
    """Give a held or discarded item its number in every feed it belongs to; returns those feeds."""
    with site.store.write() as tx:
        _expect(tx, item_id, ItemStatus.HELD, ItemStatus.DISCARDED)
        items.set_status(tx, item_id, ItemStatus.RELEASED, now)
        slugs = items.feeds_of(tx, item_id)
        for slug in slugs:
            items.release(tx, slug, [item_id], {item_id}, now)
    return slugs


def discard(site: Site, item_id: int, now: datetime) -> ItemStatus:
    """A held item is dropped, a released one withdrawn from the feeds; returns its new status."""
    with site.store.write() as tx:
        before = _expect(tx, item_id, ItemStatus.HELD, ItemStatus.RELEASED)
        after = ItemStatus.DISCARDED if before is ItemStatus.HELD else ItemStatus.WITHDRAWN
        items.set_status(tx, item_id, after, now)
    return after


def _expect(tx: Tx, item_id: int, *allowed: ItemStatus) -> ItemStatus:
    status = items.status_of(tx, item_id)
    if status is None:
        raise UsageError(f"There is no item {item_id}.", fix='"gazet items list" shows them.')
    if status not in allowed:
        raise UsageError(f"Item {item_id} is {status}; this can only be done to one that is {' or '.join(allowed)}.")
    return status
