"""Trying without storing or sending: what sources yield (check) and what would be published and mailed (preview)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from pipeline.cli import relocated
from pipeline.cli.options import local, say, warn
from pipeline.cli.relocated import Moved, Remembered
from pipeline.config import FeedSettings, Settings, SourceSettings
from pipeline.errors import FetchError, ReadError, UsageError
from pipeline.http import Fetched
from pipeline.jobs import parts
from pipeline.jobs.lines import count
from pipeline.jobs.reach import first_document, look
from pipeline.jobs.site import Outside, path_url
from pipeline.models import CandidateItem, Precision, Way
from pipeline.shown import one_line, shorten

_CLOSELY = 10
_FIRST_WORDS = 90


@dataclass(frozen=True, slots=True)
class Finding:
    """What one source yields now; ``problem`` empty when it can be read. ``tried``: other ways, and why they were not taken.

    ``moved``: where the items that are remembered of it went, None where nobody had to look for them.
    """

    feed: str
    url: str
    rule: str
    items: tuple[CandidateItem, ...]
    remarks: tuple[str, ...]
    problem: str
    title: str = ""
    language: str = ""
    way: Way | None = None
    tried: tuple[str, ...] = ()
    moved: Moved | None = None


def sources(settings: Settings, target: str | None) -> list[tuple[FeedSettings, SourceSettings]]:
    """The sources of a feed, of all feeds, or a single URL, read as the feed that names it would read it."""
    feeds = settings.feeds.values()
    if target and "://" in target:
        known = [(feed, source) for feed in feeds for source in feed.source if source.url == target]
        return known[:1] or [_stranger(settings, target)]
    chosen = [settings.feed(target)] if target else feeds
    return [(feed, source) for feed in chosen for source in feed.source]


def _stranger(settings: Settings, url: str) -> tuple[FeedSettings, SourceSettings]:
    """A URL that no feed names, read with the defaults."""
    try:
        source = SourceSettings(url=url)
    except ValueError:
        raise UsageError(f'"{url}" is not an http or https URL.') from None
    return FeedSettings(slug="-", title=url, language=settings.site.language, source=(source,)), source


def finding(
    outside: Outside, feed: FeedSettings, source: SourceSettings, now: datetime, remembered: Remembered | None = None
) -> Finding:
    """What one source yields now and in which way; a source that cannot be read is a finding too.

    ``remembered``: what the store knows of it, for where its items went if they went.
    """
    fetched = None
    try:
        fetched = first_document(outside, source)
        found = look(outside, feed, source, fetched, now)
    except (FetchError, ReadError) as error:
        fix = error.fix or "Is the address right, and does its server answer?"
        unread = Finding(feed.slug, source.url, "", (), (), f"{error.reason}. {fix}")
        gone = fetched is None and getattr(error, "status", None) in (404, 410)
        if remembered is None or not (gone or isinstance(error, ReadError)):
            return unread
        return replace(unread, moved=relocated.of_unread(outside, feed, source, fetched, remembered, now))
    parsed = found.reading.parsed
    return Finding(
        feed=feed.slug,
        url=source.url,
        rule=parsed.rule,
        items=found.reading.taken,
        remarks=(*found.reading.remarks, *_moved(fetched)),
        problem="",
        title=parsed.title,
        language=parsed.language,
        way=found.way,
        tried=found.tried,
        moved=relocated.of_read(outside, feed, source, fetched, found, remembered, now) if remembered else None,
    )


def _moved(fetched: Fetched) -> tuple[str, ...]:
    """A permanent redirect: it is followed, and after a week asked at first hand, but the file should name the new address."""
    return (f"it has moved for good: write {fetched.moved_to} into the feed's file",) if fetched.moved_to else ()


def show_finding(finding: Finding, zone: str, *, closely: bool = False) -> None:
    """A finding for a person: the rule, then each item's date, title and address; ``closely``: ten, with their first words."""
    if finding.problem:
        warn(f"! {finding.url}: {finding.problem}")
        _show_moved(finding, zone)
        return
    say(f"{finding.url}\n  {count(len(finding.items), 'item')} by: {finding.rule}")
    if finding.way is not None:
        where = f"{finding.way.url}: " if finding.way.url != finding.url else ""
        say(f"  read as {finding.way.kind}: {where}{finding.way.reason}")
    _show_items(finding.items, zone, closely=closely)
    for remark in finding.remarks:
        say(f"  note: {remark}")
    for other in finding.tried if closely else ():
        say(f"  not taken: {other}")
    _show_moved(finding, zone)


def _show_items(items: Sequence[CandidateItem], zone: str, *, closely: bool) -> None:
    shown = items[:_CLOSELY] if closely else items
    for item in shown:
        say(f"  {_date(item, zone):<16}  {item.title}\n                    {item.url}")
        if closely and item.summary:
            say(f"                    {shorten(one_line(item.summary), _FIRST_WORDS)}")
    if len(shown) < len(items):
        say(f"  … and {len(items) - len(shown)} more")


def _show_moved(finding: Finding, zone: str) -> None:
    if finding.moved is not None:
        for line in relocated.lines(finding.moved, finding.feed):
            say(f"  {line}")
        _show_items(finding.moved.items, zone, closely=True)


def _date(item: CandidateItem, zone: str) -> str:
    if item.published is None:
        return "no date"
    text = local(item.published.at, zone)[4:]
    return text[:10] if item.published.precision is Precision.DAY else text


def show_parts(settings: Settings, target: str | None) -> None:
    """The addresses of the feeds of parts that the settings ask for, of all feeds or one."""
    if target and "://" in target:
        return
    for feed in [settings.feed(target)] if target else settings.feeds.values():
        for one in parts.foreseen(feed):
            say(f"{feed.slug}: {one.kind} {one.title}: {path_url(settings, one.path, 'rss')}")
        if feed.publish.categories is True:
            place = path_url(settings, f"feeds/{feed.slug}/category/NAME", "rss")
            say(f"{feed.slug}: the {parts.MOST_CATEGORIES} categories with most items: {place}")
