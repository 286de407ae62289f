"""What the store says: the database itself, the last run, sources, what needs a person, backups."""

from __future__ import annotations

from datetime import datetime, timedelta
from urllib.parse import urlsplit

from pipeline.errors import FetchError, ReadError
from pipeline.jobs.backup import BACKED_UP
from pipeline.jobs.disk import RECORD_FIX, record_lost
from pipeline.jobs.doctor.check import Check, clock, fail, note, ok
from pipeline.jobs.lines import count
from pipeline.jobs.reach import first_document, look
from pipeline.jobs.site import Site
from pipeline.jobs.trust import served_at
from pipeline.models import SourceState
from pipeline.store import health, images, record, runs
from pipeline.store import signups as stored_signups
from pipeline.store import sources as stored_sources
from pipeline.store.sources import SourceRecord

_AHEAD = timedelta(seconds=60)
_LONG_AGO = timedelta(days=1)
_OLD_BACKUP = timedelta(days=7)
_A_FEW = 3


def database(site: Site) -> list[Check]:
    """Sound, and with the schema of this version (a store that is older or newer cannot be opened at all)."""
    if broken := health.faults(site.store):
        fix = 'Stop Gazet, keep a copy of the file, and restore a backup with "gazet restore".'
        return [fail("database", f"{site.store.where} is damaged: {'; '.join(broken)}", fix)]
    return [ok("database", f"{health.version(site.store)}, sound: {site.store.where}")]


def last_run(site: Site, now: datetime) -> list[Check]:
    """When the pipeline ran last, and that this was not in the future."""
    with site.store.read() as tx:
        tick = runs.last(tx, "tick")
        open_problems = len(runs.problems(tx))
    found = [note("last run", "the pipeline has not run yet", '"gazet run" begins.')] if tick is None else []
    if tick is not None:
        found = [_when(tick.started_at, now)]
    if open_problems:
        found.append(note("problems", f"{count(open_problems, 'problem')} waiting for a person", '"gazet status" names them.'))
    return found


def _when(started_at: datetime, now: datetime) -> Check:
    stamp = f"{started_at:%Y-%m-%d %H:%M} UTC"
    if started_at > now + _AHEAD:
        fix = "Set the clock (with NTP); what was due meanwhile is sorted out at the next run."
        return fail("clock", f"the last run was at {stamp}, which is in the future: this machine's clock was or is wrong", fix)
    if now - started_at > _LONG_AGO:
        return note("last run", f"nothing has run since {stamp}", 'Is "gazet run" running, or is cron?')
    return ok("last run", stamp)


def sources(site: Site, now: datetime, *, fetch: bool) -> list[Check]:
    """What is known of each source, or with ``fetch`` what it yields now."""
    if fetch:
        pairs = [(slug, url) for slug, urls in site.sources_by_feed().items() for url in urls]
        return [check for slug, url in pairs for check in _fetched(site, slug, url, now)]
    with site.store.read() as tx:
        known = {one.url: one for one in stored_sources.sources(tx)}
    urls = sorted({url for listed in site.sources_by_feed().values() for url in listed})
    checks = [_known(known[url]) for url in urls if url in known and known[url].state is not SourceState.OK]
    unread = [url for url in urls if url not in known or known[url].collected_at is None]
    checks += [note("sources", f"{url} has not been read yet", f'"gazet check {url}" shows what it yields.') for url in unread]
    return checks or (
        [ok("sources", f"{count(len(urls), 'source')} as {'it' if len(urls) == 1 else 'they'} should be")] if urls else []
    )


def _known(one: SourceRecord) -> Check:
    if one.state is SourceState.PAUSED:
        return note("sources", f"{one.url} is paused: {one.reason}")
    fix = f'"gazet check {one.url}" shows what it answers now.'
    if one.state is SourceState.ATTENTION and one.next_poll_at is not None:
        fix += f" It is asked again {one.next_poll_at:%Y-%m-%d %H:%M} UTC{f': {one.why}' if one.why else ''}."
    return fail("sources", f"{one.url}: {one.reason or one.state}", fix)


def _fetched(site: Site, slug: str, url: str, now: datetime) -> list[Check]:
    feed = site.feed(slug)
    source = next(one for one in feed.source if one.url == url)
    try:
        found = first_document(site.outside, source)
        reading = look(site.outside, feed, source, found, now).reading
    except (FetchError, ReadError) as error:
        return [fail("sources", f"{url}: {error.reason}", error.fix or "Is the address right, and does its server answer?")]
    yields = ok("sources", f"{url}: {count(len(reading.taken), 'item')} by: {reading.parsed.rule}")
    return [yields, *clock(served_at(found), urlsplit(found.final_url).hostname or "", now)]


def signups(site: Site) -> list[Check]:
    """Which feeds strangers may subscribe to, and whether each is asked to confirm it."""
    names = ", ".join(feed.slug for feed in site.settings.open_feeds())
    if not names:
        return [note("sign-ups", "no feed is open to them", "open = true under [subscribe], and under [digest] of a feed.")]
    with site.store.read() as tx:
        waiting = stored_signups.waiting(tx)
    found = [ok("sign-ups", f"open for {names}; {waiting.told} waiting to be confirmed, {waiting.asked} not answered yet")]
    if not site.settings.subscribe.confirm:
        fix = "Without confirm = false under [subscribe] each address is asked first, and you can prove its consent."
        found.append(note("sign-ups", "anybody can subscribe anybody else", fix))
    return found


def pictures(site: Site) -> list[Check]:
    """How much room the copies of images take, and the last few of which there is none; nothing where no item has an image."""
    with site.store.read() as tx:
        sums, failed = images.sums(tx), images.failures(tx, _A_FEW)
    if not (sums.kept or sums.waiting or sums.failed):
        return []
    most = site.settings.collect.max_media_bytes
    text = f"{count(sums.kept, 'copy')}, {sums.size / 1e6:.1f} MB of {most / 1e6:.0f} MB"
    text += f"; {sums.waiting} to be asked for" if sums.waiting else ""
    if not failed:
        return [ok("images", text)]
    reasons = "; ".join(f"{one.url} {one.reason}" for one in failed)
    fix = "Their items are shown without an image; a new address of one is looked at anew."
    return [ok("images", text), note("images", f"{sums.failed} left out, the latest: {reasons}", fix)]


def kept_record(site: Site) -> list[Check]:
    """Without it a restored backup would have to hold all that may have been sent."""
    lost = record_lost(site)
    return [fail("record", lost, RECORD_FIX) if lost else ok("record", "knows the newest edition")]


def backup(site: Site, now: datetime) -> list[Check]:
    """One that is a week old loses a week. The record says on which days (UTC) backups were made."""
    folder = site.settings.path(record.FOLDER)
    begin = record.needle(record.Mark(BACKED_UP, "")).rstrip(b'"]')
    oldest = f"{now - _OLD_BACKUP:%Y-%m-%d}"
    made = next((day for day in reversed(record.days(folder)) if day < oldest or record.holds(folder, day, begin)), "")
    if made >= oldest:
        return [ok("backup", f"the last one is of {made}")]
    fix = '"gazet backup FILE" makes one while Gazet runs; let cron do it, and keep the file on another machine.'
    return [note("backup", "none was made within a week", fix)]
