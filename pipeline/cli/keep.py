"""What keeps a site safe for years: backup, migrate, store copy."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

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
    warn,
)
from pipeline.errors import UsageError

if TYPE_CHECKING:
    from pipeline.config import Settings
    from pipeline.jobs.backup import Written
    from pipeline.store import Store
    from pipeline.store.upgrade import Waiting

store_app = typer.Typer(
    help="The database as a whole.\n\nExample: `gazet store copy sqlite:///var/new.db`",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)


def register(app: typer.Typer) -> None:
    """Add these commands."""
    for command in (backup, migrate):
        app.command()(command)
    app.add_typer(store_app, name="store")


def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file, or a folder in which it gets a name by site and time.")],
    keep: Annotated[
        int | None, typer.Option("--keep", metavar="N", min=1, help="Of this site's backups in that folder, keep the newest N.")
    ] = None,
    now: NowOption = "",
    site: SiteOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the store, the record, settings, templates and secrets into one file. Gazet may run meanwhile.

    The file holds addresses and the secret: keep it where nobody else reads it.

    Example: `gazet backup /var/backups/gazet --keep 14`
    """
    from pipeline.jobs.backup import write_backup

    opened = open_site(site)
    with _progress("reading the store") as progress:
        done = write_backup(opened, file, clock_of(opened.settings, now)(), keep=keep, progress=progress)
    if as_json:
        print_json(done)
    else:
        for line in _backup_lines(done):
            say(line)


def _backup_lines(done: Written) -> list[str]:
    from pipeline.jobs.lines import count

    members = done.manifest.members
    days = sum(one.name.startswith("record/") for one in members)
    files = sum(one.name.startswith("site/") for one in members)
    lines = [
        f"wrote {done.file} ({_size(done.size)}): the store, {count(days, 'day')} of the record, {count(files, 'file')} of the site"
    ]
    lines += [f"not in it, keep a copy of it yourself: {name}" for name in done.manifest.outside]
    if done.manifest.environment:
        lines.append(f"not in it, set in the environment: {', '.join(done.manifest.environment)}")
    if done.removed:
        lines.append(f"removed {count(len(done.removed), 'older backup')}")
    return lines


def _size(size: float) -> str:
    for unit in ("bytes", "KB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" or size >= 10 else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


def migrate(
    check: Annotated[bool, typer.Option("--check", help="Only say whether something is pending; 1 if so.")] = False,
    now: NowOption = "",
    site: SiteOption = None,
    as_json: JsonOption = False,
) -> None:
    """Bring the store up to date with this version of Gazet, after copying it into var/backups.

    All steps happen, or none: also when it is killed or the disk is full. `gazet run` and `gazet serve` must be stopped first.

    Example: `gazet migrate`
    """
    from pipeline import app, config
    from pipeline.store import open_store
    from pipeline.store.upgrade import upgrade, waiting

    settings = config.load(folder_of(site))
    with contextlib.ExitStack() as stack:
        if not check:
            stack.enter_context(app.site_lock(settings))
            stack.enter_context(app.serving(settings.folder, alone=True))
        store = open_store(settings, check=False)
        stack.callback(store.close)
        found, moment = waiting(store), clock_of(settings, now)()
        if check or not found.pending:
            _say_waiting(store, found, as_json)
            raise typer.Exit(1 if found.pending else 0)
        _expect_nobody(store)
        with _progress("copying the store") as progress:
            copy = upgrade(store, settings.path("var/backups"), moment, progress=progress)
    if as_json:
        print_json({"store": store.where, "before": found.before, "after": found.after, "done": True, "copy": copy})
        return
    if copy:
        say(f"copied the store to {copy} ({_size(copy.stat().st_size)})")
    say(f"{store.where}: was brought up to date ({found.before or 'empty'} → {found.after})")
    for line in _way_back(settings, store, found, copy):
        say(line)


def _say_waiting(store: Store, found: Waiting, as_json: bool) -> None:
    if as_json:
        print_json({"store": store.where, "before": found.before, "after": found.after, "done": False, "copy": None})
    elif found.pending:
        say(f'{store.where}: stands at {found.before or "nothing"}, belongs at {found.after}: "gazet migrate" brings it there')
    else:
        say(f"{store.where}: is up to date ({found.after})")


def _expect_nobody(store: Store) -> None:
    """On PostgreSQL, where no lock says it. Elsewhere the site lock is held."""
    from datetime import UTC, datetime

    from pipeline import app
    from pipeline.jobs.copy_store import expect_nobody_works

    if not store.is_sqlite:
        expect_nobody_works(store, app.process_name(), app.dead_process_on(store), datetime.now(UTC))


def _way_back(settings: Settings, store: Store, found: Waiting, copy: Path | None) -> list[str]:
    """In commands that can be pasted. The first version had no restore: there the file is put back by hand."""
    if copy is None:
        return []
    lines = [
        "the way back, if this version must not stay (mail sent after now may come twice):",
        "  stop gazet",
        f'  pip install "gazet==…"      # the version you had: the store stood at {found.before}',
    ]
    if found.before != "0001":
        lines.append(f"  gazet restore {copy} --site {settings.folder}")
        return [*lines, _DELETE]
    if store.is_sqlite:
        path = Path(store.where)
        lines += [f"  rm -f {path}-wal {path}-shm", f"  cp {copy} {path}"]
    else:
        path = settings.path("var/gazet.db")
        lines += [f"  cp {copy} {path}      # a whole store; PostgreSQL stays as it is"]
        lines += ['  in gazet.toml, under [store]:  url = "sqlite:///var/gazet.db"']
    return [*lines, f"  gazet pause --site {settings.folder}      # then look, then gazet resume", _DELETE]


_DELETE = "delete the copy once this version stays: it holds addresses"


@store_app.command("copy")
def copy_store(
    url: Annotated[str | None, typer.Argument(metavar="URL", help="The new store, as for store.url.", show_default=False)] = None,
    url_file: Annotated[
        Path | None, typer.Option("--url-file", metavar="FILE", help="A file with the URL: a password then is in no history.")
    ] = None,
    site: SiteOption = None,
    as_json: JsonOption = False,
) -> None:
    """Copy the whole store into an empty database, compare every value, and check both. The old one stays as it is.

    From SQLite to PostgreSQL, back, or to another place. `gazet run` and `gazet serve` must be stopped first; start them
    again with the new URL.

    Example: `gazet store copy postgresql+psycopg://gazet@db.example.org/gazet`
    """
    from pipeline import app, config
    from pipeline.jobs.copy_store import copy_site
    from pipeline.store.database import open_target

    settings = config.load(folder_of(site))
    aim = _target(settings, url, url_file)
    with app.site_lock(settings), app.serving(settings.folder, alone=True), contextlib.ExitStack() as stack:
        opened = app.open_site(settings.folder)
        stack.callback(opened.store.close)
        _expect_nobody(opened.store)
        target = open_target(aim)
        stack.callback(target.close)
        with _progress("copying") as progress:
            done = copy_site(opened, target, progress=progress)
    if as_json:
        print_json(done)
    else:
        say(f"copied {done.rows} rows of {len(done.tables)} tables from {done.source} to {done.target}; all sums are equal")
        for fault in done.faults:
            warn(f"! {fault}")
        for line in _say_switch(settings, url, url_file):
            say(line)
    raise typer.Exit(1 if done.faults else 0)


def _target(settings: Settings, url: str | None, url_file: Path | None) -> Settings:
    """The settings as they will be; a mistake in the URL never shows it."""
    from pydantic import ValidationError

    from pipeline.config.sections import StoreSettings

    if (url is None) == (url_file is None):
        raise UsageError("Name the new store: its URL, or --url-file FILE.", fix='"gazet store copy --help" has an example.')
    text = url if url_file is None else _read_url(url_file)
    try:
        store = StoreSettings(url=text or "")
    except ValidationError as error:
        why = error.errors(include_input=False, include_url=False)[0]["msg"].removeprefix("Value error, ")
        raise UsageError(f"The URL of the new store {why}.", fix="See docs/operations.md.") from None
    return settings.model_copy(update={"store": store})


def _read_url(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = (error.strerror or str(error)) if isinstance(error, OSError) else "it is not UTF-8 text"
        raise UsageError(f"{path} cannot be read: {why}.", fix="It holds the URL alone, as for store.url.") from None


def _say_switch(settings: Settings, url: str | None, url_file: Path | None) -> list[str]:
    import os

    lines = ["the old store is unchanged. Now, before gazet runs again:"]
    if "GAZET_STORE__URL" in os.environ:
        return [*lines, "  set GAZET_STORE__URL to the new URL, wherever gazet is started"]
    if url_file is not None:
        named = f'  url_file = "{url_file.absolute()}"'
    else:
        named = '  url = "…"                 # the URL that you just gave' if _has_password(url or "") else f'  url = "{url}"'
    lines += [f"  in {settings.folder / 'gazet.toml'}, instead of what stands under [store]:", named]
    if any(not relay.on_loopback for relay in settings.relay[:1]):
        lines.append('and then "gazet send FEED --test YOUR-ADDRESS": a test mail counts for one store')
    return lines


def _has_password(url: str) -> bool:
    user, at, _ = url.partition("://")[2].rpartition("@")
    return bool(at) and ":" in user


@contextlib.contextmanager
def _progress(label: str) -> Iterator[Callable[[str, int, int], None]]:
    """A bar on a terminal; elsewhere a line every 100,000 rows."""
    if not on_terminal():
        yield _row_line
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed} of {task.total}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=None, visible=False)

        def show(name: str, done: int, total: int) -> None:
            bar.update(task, description=f"{label}: {name}", completed=done, total=total, visible=True)

        yield show


def _row_line(name: str, done: int, total: int) -> None:
    if done and (done % 100_000 == 0):
        warn(f"{name}: {done} of {total} rows")
