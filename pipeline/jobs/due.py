"""What is due now, read from rows: the only input of an engine."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from pipeline.errors import SendRefusedError
from pipeline.jobs import open_edition, trust
from pipeline.jobs.site import Site
from pipeline.models import EditionStatus
from pipeline.store import editions, feeds, runs, sources
from pipeline.store.sources import SourceRecord


def due_sources(site: Site, now: datetime, without: Collection[int] = ()) -> list[SourceRecord]:
    """Sources to be collected but those ``without`` (ids); ``take_settings.make_rows`` has made theirs."""
    with site.store.read() as tx:
        return [] if feeds.site_paused(tx) else sources.due_sources(tx, now, without)


def due_feeds(site: Site) -> list[str]:
    """Feeds to be published: all that are not paused; publishing one that has not changed writes nothing."""
    with site.store.read() as tx:
        resting = feeds.paused(tx)
        return [] if feeds.site_paused(tx) else [slug for slug in sorted(site.settings.feeds) if slug not in resting]


def due_editions(site: Site, now: datetime) -> list[str]:
    """Feeds with a schedule that is due; none while mails to people would hold links to an example: that is said by ``trust``."""
    due: list[str] = []
    try:
        trust.expect_address(site)
    except SendRefusedError:
        return due
    with site.store.read() as tx:
        if feeds.site_paused(tx):
            return []
        for slug, feed in sorted(site.settings.feeds.items()):
            found = open_edition.find_due(tx, feed, now)
            if (found.on_time or found.too_late or found.astray) and not feeds.state(tx, slug).paused:
                due.append(slug)
    return due


def has_deliveries(site: Site) -> bool:
    """Whether any edition that is being sent has an open delivery."""
    with site.store.read() as tx:
        return not feeds.site_paused(tx) and bool(editions.open_editions(tx, EditionStatus.SENDING))


def relay_rests(site: Site, name: str, now: datetime) -> str:
    """Why the relay takes nothing now; empty when it does."""
    with site.store.write() as tx:
        relay = runs.relay(tx, name)
    if relay.paused:
        return f'paused: {relay.reason} ("gazet resume {name}" when that is mended)'
    if relay.retry_at is not None and now < relay.retry_at <= now + timedelta(hours=1):
        local = relay.retry_at.astimezone(ZoneInfo(site.settings.site.timezone))
        return f"tried again at {local:%H:%M}: {relay.reason}"
    return ""
