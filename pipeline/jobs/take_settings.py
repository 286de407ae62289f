"""Settings that were read become those in force: renamed feeds keep their rows, removed ones rest and are named."""

from __future__ import annotations

from datetime import datetime

from pipeline.collect import polling
from pipeline.errors import ConfigError, Problem
from pipeline.jobs.reach import order_for, settings_hash
from pipeline.jobs.site import Site
from pipeline.store import Tx, feeds, runs, slugs, sources


def take_settings(site: Site, now: datetime) -> None:
    """One transaction; a second time it changes nothing. Raises ConfigError for an alias that would merge two feeds."""
    with site.store.write() as tx:
        name_feeds(tx, site)
        resting = feeds.paused(tx)
        removed = [slug for slug in feeds.orphans(tx, site.settings.feeds) if slug not in resting]
        for slug in removed:
            runs.problem(tx, f"feed:{slug}", f"feed {slug}: its file feeds/{slug}.toml is gone, so it rests", _fix(slug), now)
        _hasten(site, tx)
        runs.forget_under(tx, "feed:", {f"feed:{slug}" for slug in removed})
        runs.mended(tx, "settings", now)


def _hasten(site: Site, tx: Tx) -> None:
    """An edited source is asked now if it is to be read differently, and in time if it is to be asked more often."""
    known = {one.url: one for one in sources.sources(tx)}
    for feed in site.settings.feeds.values():
        for source in feed.source:
            one = known.get(source.url)
            if one is None or not one.settings_hash or one.next_poll_at is None or one.failures:
                continue
            order = order_for(site.settings, feed, source, one.next_poll_at)
            if settings_hash(source, order) != one.settings_hash:
                sources.ask_now(tx, [one.id])
            elif one.why.endswith(polling.BY_SETTINGS) and one.collected_at is not None:
                sources.ask_by(tx, one.id, one.collected_at + source.every)


def _fix(slug: str) -> str:
    return (
        f'Nothing of it is deleted. Put the file back; or, if it was renamed, write aliases = ["{slug}"] into the new one; '
        f'or let it rest for good with "gazet pause {slug}".'
    )


def make_rows(site: Site) -> None:
    """``name_feeds`` in a transaction of its own."""
    with site.store.write() as tx:
        name_feeds(tx, site)


def name_feeds(tx: Tx, site: Site) -> None:
    """The rows that the settings imply, after feeds with a former name got theirs. Raises ConfigError as above."""
    former = {alias: slug for slug, feed in site.settings.feeds.items() for alias in feed.aliases}
    for alias in sorted(slugs.known(tx, former)):
        _move(tx, alias, former[alias])
    feeds.name_in_settings(tx, site.sources_by_feed())


def _move(tx: Tx, alias: str, slug: str) -> None:
    """A feed that nobody subscribed to gives way: whoever renames a file often adds the alias a few ticks later."""
    if slugs.known(tx, [slug]):
        if slugs.in_use(tx, alias) and slugs.in_use(tx, slug):
            what = f'"{alias}" and "{slug}" both have subscribers or editions, and feeds are never merged'
            export = f'"gazet subscribers export --feed {alias}" helps to move its people'
            fix = f'remove "{alias}" here and put feeds/{alias}.toml back; {export}'
            raise ConfigError([Problem(f"feeds/{slug}.toml: aliases", what, fix)])
        if slugs.in_use(tx, slug):
            slugs.remove(tx, alias)
            return
        slugs.remove(tx, slug)
    slugs.rename(tx, alias, slug)
