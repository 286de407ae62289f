"""The pipeline and its stages: run, collect, publish, compose, deliver, check."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from pipeline.cli.logs import Log, LogFormat, LogFormatOption, logging_to_stderr
from pipeline.cli.options import (
    JsonOption,
    NowOption,
    SiteOption,
    clock_of,
    folder_of,
    on_terminal,
    open_site,
    print_json,
    say,
    stopping,
    warn,
)
from pipeline.cli.serve import beside
from pipeline.errors import ConfigError, GazetError, Problem, SiteLockedError, UsageError

if TYPE_CHECKING:
    from datetime import datetime

    from pipeline.config import FeedSettings, Settings
    from pipeline.jobs.deliver_batch import Tally
    from pipeline.jobs.site import Site
    from pipeline.store.sources import SourceRecord

T = TypeVar("T")
FeedArgument = Annotated[str | None, typer.Argument(metavar="FEED", help="Only this feed.", show_default=False)]


def register(app: typer.Typer) -> None:
    """Add these commands."""
    for command in (run, collect, publish, compose, deliver, check):
        app.command()(command)


@contextlib.contextmanager
def _working(folder: Path | None) -> Iterator[Site]:
    """The site with its lock held: one process at a time runs jobs."""
    from datetime import UTC, datetime

    from pipeline import app, config
    from pipeline.jobs.disk import watch_record
    from pipeline.jobs.restore import expect_newest

    settings = config.load(folder_of(folder))
    with app.site_lock(settings):
        site = app.open_site(settings.folder)
        try:
            expect_newest(site)
            watch_record(site, datetime.now(UTC), closely=True)
            _name_feeds(site)
            yield site
        finally:
            site.store.close()


def _name_feeds(site: Site) -> None:
    from datetime import UTC, datetime

    from pipeline.jobs.take_settings import take_settings

    take_settings(site, datetime.now(UTC))


def _expect_rehearsal(site: Site, now: str) -> None:
    """With --now no edition is opened where it would reach people: the next run, without, would send it."""
    from pipeline.jobs.trust import expect_moving_clock

    if now:
        expect_moving_clock(site)


def _slugs(site: Site, feed: str | None) -> list[str]:
    """The feed named, or all. Raises ConfigError for an unknown one, and where there is none at all."""
    return [site.feed(feed).slug] if feed else sorted(_expect_feeds(site.settings))


def _expect_feeds(settings: Settings) -> dict[str, FeedSettings]:
    if not settings.feeds:
        raise ConfigError([Problem("feeds/", "there is no feed yet", '"gazet add URL" makes one')])
    return settings.feeds


def run(
    once: Annotated[bool, typer.Option("--once", help="Do what is due now, then end (for cron).")] = False,
    no_web: Annotated[bool, typer.Option("--no-web", help="Without the web server: gazet serve runs apart.")] = False,
    now: NowOption = "",
    site: SiteOption = None,
    as_json: JsonOption = False,
    log_format: LogFormatOption = LogFormat.AUTO,
) -> None:
    """Run the whole pipeline: collect, publish, open editions, deliver.

    It speaks through a log. With --once it does what is due, speaks in plain lines, and ends with 1 only when something needs a
    person that no earlier run has said.

    Example: `gazet --site news run --once`
    """
    from pipeline import app
    from pipeline.engines.local import LocalEngine
    from pipeline.jobs import lines

    if now and not once:
        raise UsageError("--now stands still, so it needs --once.", fix="Say gazet run --once --now ….")
    speaking = contextlib.nullcontext() if once else logging_to_stderr(LogFormat.JSON if as_json else log_format)
    with speaking as log, _working(site) as opened, stopping() as stop, _progress(log) as progress:
        _expect_feeds(opened.settings)
        _expect_rehearsal(opened, now)
        engine = LocalEngine(
            opened,
            lambda: app.relay_for(engine.site, standing_clock=bool(now)),
            process=app.process_name(),
            is_dead=app.dead_process(opened),
            clock=clock_of(opened.settings, now),
            stop=stop,
            say=log or ((lambda _: None) if as_json else say),
            progress=progress,
            reload=app.reload,
            carrier=lambda: app.carrier_for(engine.site, standing_clock=bool(now)),
        )
        if log:
            log.about(lambda: engine.site.settings)
            log(lines.begins(opened.settings.site.title, opened.settings.folder))
            with contextlib.nullcontext() if no_web else beside(lambda: engine.site, log):
                return engine.forever()
        report = engine.once()
        fresh = engine.fresh_problems()
    if as_json:
        print_json({"report": report.detail(), "problems": fresh})
    for problem in fresh:
        warn(lines.problem(problem))
    raise typer.Exit(1 if fresh else 0)


@contextlib.contextmanager
def _progress(log: Log | None = None) -> Iterator[Callable[[Tally], None]]:
    """A bar on a terminal; elsewhere, and in a log, a line every thousand deliveries."""
    if log or not on_terminal():
        yield functools.partial(_count_line, log or warn)
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed} delivered"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("sending", total=None, visible=False)
        yield lambda tally: bar.update(task, completed=sum(tally.outcomes.values()), visible=True)


def _count_line(tell: Callable[[str], None], tally: Tally) -> None:
    from pipeline.jobs import lines

    done = sum(tally.outcomes.values())
    if done and done % 1000 == 0:
        tell(lines.sending(done))


def collect(
    feed: FeedArgument = None,
    now: NowOption = "",
    site: SiteOption = None,
    as_json: JsonOption = False,
) -> None:
    """Collect the sources now, due or not. Beside a running Gazet it tells that one to.

    Example: `gazet collect samen-opleiden`
    """
    from pipeline.jobs import lines
    from pipeline.jobs.collect_source import collect_source

    try:
        with _working(site) as opened:
            clock = clock_of(opened.settings, now)
            results = []
            for source in _sources_of(opened, feed):
                results.append(collect_source(opened, source, clock()))
                if not as_json:
                    (warn if results[-1].problem else say)(lines.collected(results[-1]))
    except SiteLockedError as error:
        _hand_over(site, feed, error, as_json=as_json)
        return
    if as_json:
        print_json(results)
    raise typer.Exit(1 if any(result.problem for result in results) else 0)


def _sources_of(site: Site, feed: str | None) -> list[SourceRecord]:
    from pipeline.store import sources

    slugs = _slugs(site, feed)
    with site.store.read() as tx:
        return [source for source in sources.sources(tx) if set(slugs) & set(source.feeds)]


def _hand_over(folder: Path | None, feed: str | None, error: SiteLockedError, *, as_json: bool) -> None:
    """Whoever holds the site asks these sources at its next round, also those that had said that they are gone."""
    from pipeline.jobs.lines import count
    from pipeline.store import sources

    opened = open_site(folder)
    wanted = _sources_of(opened, feed)
    with opened.store.write() as tx:
        sources.ask_now(tx, [source.id for source in wanted])
    if as_json:
        print_json({"handed_to": error.holder, "sources": [source.url for source in wanted]})
        return
    number = count(len(wanted), "source")
    say(f'{number} due now: the process that runs ({error.holder}) asks within half a minute; "gazet status" shows what came of it')


def publish(
    feed: FeedArgument = None,
    now: NowOption = "",
    site: SiteOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the published files of a feed, or of all; nothing is written when nothing changed.

    Example: `gazet publish`
    """
    from pipeline.jobs import lines
    from pipeline.jobs.publish_feed import publish_feed

    done = _each_feed(site, feed, now, "publish", publish_feed)
    if as_json:
        print_json(done)
    else:
        for result in done:
            say(lines.published(result) or f"{result.slug}: nothing changed")


def compose(
    feed: FeedArgument = None,
    now: NowOption = "",
    site: SiteOption = None,
    as_json: JsonOption = False,
) -> None:
    """Open the editions that are due, without sending them.

    Example: `gazet compose --now 2026-11-24T08:00`
    """
    from pipeline.jobs import lines
    from pipeline.jobs.open_edition import open_edition

    done = _each_feed(site, feed, now, "compose", open_edition)
    if as_json:
        print_json(done)
    else:
        for result in done:
            say(lines.opened(result) or f"{result.feed}: {'it or the site is paused' if result.paused else 'nothing is due'}")


def _each_feed(site: Path | None, feed: str | None, now: str, kind: str, job: Callable[[Site, str, datetime], T]) -> list[T]:
    """Run a job for the feed or for each; one that fails does not stop the others, and the first error is raised at the end."""
    from pipeline.jobs.problems import noted
    from pipeline.jobs.trust import expect_address
    from pipeline.store import snoozing

    done, errors = [], []
    with _working(site) as opened:
        clock = clock_of(opened.settings, now)
        if kind == "compose":
            _expect_rehearsal(opened, now)
            expect_address(opened)
            with opened.store.write() as tx:
                snoozing.wake(tx, clock())
        for slug in _slugs(opened, feed):
            try:
                with noted(opened, f"{kind}:{slug}", clock()):
                    done.append(job(opened, slug, clock()))
            except GazetError as error:
                errors.append(error)
    for other in errors[1:]:
        warn(f"gazet: {other}")
    if errors:
        raise errors[0]
    return done


def deliver(
    edition: Annotated[str | None, typer.Argument(metavar="EDITION", help="Only this edition.", show_default=False)] = None,
    now: NowOption = "",
    site: SiteOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send what is open now, through the relay or into the outbox.

    Example: `gazet deliver samen-opleiden/2026-11-24T08:00`
    """
    from pipeline import app
    from pipeline.jobs import lines, operate
    from pipeline.jobs.deliver_batch import deliver_batch
    from pipeline.jobs.notices import Told, send_notices, tidy
    from pipeline.jobs.problems import fresh
    from pipeline.jobs.sweep import sweep

    with _working(site) as opened, stopping() as stop, _progress() as progress:
        clock = clock_of(opened.settings, now)
        identity, told = None, Told(opened.relay_name)
        if edition:
            with opened.store.read() as tx:
                identity = operate.find_edition(tx, edition).id
        swept = sweep(opened, app.dead_process(opened), clock())
        if identity is None:
            tidy(opened, app.dead_process(opened), clock())
            carrier = app.carrier_for(opened, standing_clock=bool(now))
            told = send_notices(opened, carrier, process=app.process_name(), clock=clock, stop=stop)
        relay = app.relay_for(opened, standing_clock=bool(now))
        _refuse_paused(opened, relay.name)
        tally = deliver_batch(
            opened, relay, process=app.process_name(), clock=clock, stop=stop, edition_id=identity, progress=progress
        )
        new = fresh(opened, clock())
    if as_json:
        done = {"swept": swept, "relay": tally.relay, "outcomes": dict(tally.outcomes), "problem": tally.problem}
        print_json(done | {"notices": dict(told.outcomes)})
    else:
        for line in (lines.swept(swept), lines.told(told), lines.sent(tally) or "nothing is open"):
            if line:
                say(line)
    for problem in new:
        warn(lines.problem(problem))
    if tally.problem and not any(problem.key == f"relay:{tally.relay}" for problem in new):
        warn(f"! relay {tally.relay}: {tally.problem}")
    raise typer.Exit(1 if new or tally.problem or tally.unsettled else 0)


def _refuse_paused(site: Site, relay: str) -> None:
    from pipeline.store import feeds, runs

    with site.store.write() as tx:
        record = runs.relay(tx, relay)
        resting = feeds.site_paused(tx)
    if resting:
        raise GazetError("The site is paused.", fix='"gazet resume" goes on.')
    if record.paused:
        raise GazetError(f"Relay {relay} is paused: {record.reason}.", fix=f'"gazet resume {relay}" goes on.')


def check(
    target: Annotated[str | None, typer.Argument(metavar="FEED|URL", help="A feed, or any page or feed.")] = None,
    now: NowOption = "",
    site: SiteOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check the settings and show what each source yields, and by which rule. Stores and sends nothing.

    Of a source that went wrong it looks for the items that the store remembers: after a redesign it proposes the settings that
    find them again.

    Example: `gazet check https://www.example.org/nieuws/`
    """
    from pipeline import app, config, texts
    from pipeline.cli import relocated, trial
    from pipeline.jobs.try_templates import check_templates

    settings = config.load(folder_of(site))
    if target is None:
        _expect_feeds(settings)
    clock, outside = clock_of(settings, now), app.outside_of(settings)
    findings, chosen = [], trial.sources(settings, target)
    remembered = relocated.remembered(settings, [source.url for _feed, source in chosen])
    for feed, source in chosen:
        findings.append(trial.finding(outside, feed, source, clock(), remembered.get(source.url)))
        if not as_json:
            trial.show_finding(findings[-1], settings.site.timezone)
    if as_json:
        print_json(findings)
    check_templates(settings, texts.Texts(settings.folder), clock())
    if not as_json:
        trial.show_parts(settings, target)
        for name in settings.without_effect():
            say(f"note: {name} has no effect in this version of Gazet")
    raise typer.Exit(1 if any(finding.problem for finding in findings) else 0)
