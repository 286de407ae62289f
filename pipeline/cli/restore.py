"""Putting a site back: restore."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.options import JsonOption, NowOption, SiteOption, clock_of, folder_of, local, print_json, say
from pipeline.errors import UsageError

if TYPE_CHECKING:
    from pipeline.jobs.install import Restored
    from pipeline.jobs.replay import Replayed


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(restore)


def restore(
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="A backup, or a plain copy of an SQLite store.", show_default=False)
    ] = None,
    replay: Annotated[bool, typer.Option("--replay", help="The store was put back by hand: only tell it what it missed.")] = False,
    keep_settings: Annotated[bool, typer.Option("--keep-settings", help="Settings that are here win over the backup's.")] = False,
    other_site: Annotated[
        bool, typer.Option("--other-site", help="It may replace the site here, which has another secret.")
    ] = False,
    no_record: Annotated[
        bool, typer.Option("--no-record", help="var/record is as old as the store (a machine was set back): hold what may be sent.")
    ] = False,
    now: NowOption = "",
    site: SiteOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put the site back from a backup. It is paused then, and says what to look at before "gazet resume".

    What was sent and who left since the backup is read from var/record, so nothing is sent twice and nobody comes back. Where
    that is lost, whatever may have been sent is held and named. Files that are replaced are moved aside, not deleted.

    Example: `gazet restore /var/backups/gazet/gazet-news.example.org-20261124T030000Z.tar.gz`
    """
    from pipeline import app
    from pipeline.jobs import install
    from pipeline.jobs import restore as job

    folder = folder_of(site)
    if not folder.is_dir():
        raise UsageError(f"There is no folder {folder}.", fix="Make it, or name another one with --site.")
    with app.folder_lock(folder), app.serving(folder, alone=True):
        if install.unfinished(folder):
            if replay:
                raise UsageError("A restore of this site was not finished.", fix='"gazet restore" ends it.')
            job.expect_same(folder, file)
            done = job.finish(folder)
        elif replay:
            _replay(folder, file, now, no_record, as_json)
        elif file is None:
            raise UsageError("Name the backup.", fix="Or say --replay when the store itself was put back by hand.")
        else:
            done = job.restore(
                folder,
                file,
                lambda settings: clock_of(settings, now)(),
                app.wire,
                process=app.process_name(),
                keep_settings=keep_settings,
                other_site=other_site,
                doubt=no_record,
            )
    _tell(done, done.replayed, as_json)


def _replay(folder: Path, file: Path | None, now: str, no_record: bool, as_json: bool) -> None:
    """Ends the command."""
    from datetime import UTC, datetime

    from pipeline import app
    from pipeline.jobs.copy_store import expect_nobody_works
    from pipeline.jobs.restore import replay_in_place

    if file is not None:
        raise UsageError("--replay takes no FILE: it is for a store that was put back by hand.", fix="Leave out one of the two.")
    site = app.open_site(folder)
    with contextlib.closing(site.store):
        if not site.store.is_sqlite:
            expect_nobody_works(site.store, app.process_name(), app.dead_process_on(site.store), datetime.now(UTC))
        done = replay_in_place(site, clock_of(site.settings, now)(), process=app.process_name(), doubt=no_record)
    _tell(None, done, as_json)


def _tell(restored: Restored | None, told: Replayed, as_json: bool) -> None:
    """Ends the command: with 1 where a person must decide on something."""
    if as_json:
        print_json(restored or {"replayed": told})
    else:
        for line in [*(_file_lines(restored) if restored else ()), *_record_lines(told), *_next_lines(told)]:
            say(line)
    raise typer.Exit(1 if told.held or not told.reaches else 0)


def _file_lines(done: Restored) -> list[str]:
    made = f" of {local(done.made_at, done.replayed.zone)}" if done.made_at else ""
    lines = [f"restored {done.file}{made} into {done.store}" + (", brought up to date" if done.migrated else "")]
    if done.moved:
        lines.append(f"moved aside, not deleted, to {done.aside}: {', '.join(Path(one).name for one in done.moved)}")
    lines += [f"left as it is, the backup has no such file: {name}" for name in done.kept]
    lines += [f"the backup names a file outside the site; see that it is there: {name}" for name in done.outside]
    lines += [f"set it where gazet is started, as when the backup was made: {name}" for name in done.environment]
    return lines


def _record_lines(told: Replayed) -> list[str]:
    from pipeline.jobs.lines import count

    since = local(told.since, told.zone) if told.since else "before its first edition"
    if told.reaches:
        lines = [f"the store is of {since}; var/record goes on to {local(told.until, told.zone)} and told it:"]
    else:
        lines = [f"the store is of {since}; THERE IS NO RECORD of the time after it. What is known was told to it:"]
    sizes = [
        (len(told.editions), "edition", f"sent since: {', '.join(told.editions)}"),
        (told.changed, "delivery", "with another outcome"),
        (told.numbers, "item", "with a number that is kept for it until it is collected again"),
        (told.left, "subscription", "ended"),
        (told.began, "subscription", "begun"),
        (told.suppressed, "address", "never to be written to"),
        (told.strangers, "delivery", "to people whom the store does not know: they joined after it"),
        (told.notices, "single mail", "dropped: it may have been sent"),
        (told.unreadable, "line", "of the record that cannot be read"),
    ]
    lines += [f"  {_many(size, noun)} {what}" for size, noun, what in sizes if size]
    if len(lines) == 1:
        lines.append("  nothing that it did not know")
    if not told.reaches:
        lines.append("whatever may have been sent since is held:")
        lines += [f"  edition {label} was due since, and is opened" for label in told.opened]
        lines.append(f"  what {count(told.sources, 'source')} will bring new is held until you release or discard it")
    return lines


def _many(size: int, noun: str) -> str:
    from pipeline.jobs.lines import count

    return f"{size} addresses" if noun == "address" and size > 1 else count(size, noun)


def _next_lines(told: Replayed) -> list[str]:
    from pipeline.jobs.lines import count
    from pipeline.jobs.replay import fix_of

    lines = [f"! edition {one.edition}: {count(one.deliveries, 'delivery')} uncertain. {fix_of(one)}" for one in told.held]
    lost = "settings, pauses, held and omitted items, and new subscriptions since then; "
    lost += 'what "read on the web" showed of lost editions' + (
        "" if told.reaches else "; and who left since: look for their mails"
    )
    lines.append(f"nobody can know: {lost}")
    return [*lines, 'the site is paused. Look at it ("gazet status", "gazet verify"), then "gazet resume".']
