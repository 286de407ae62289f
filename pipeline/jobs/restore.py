"""Put a site back from a backup, and let the record tell it what happened since (promise 11).

    file ─unpack─▶ var/restoring ─replay─▶ one database that is ready ─plan─▶ install ─▶ the site, paused

Until the plan is written nothing of the site is touched: a restore that is killed there is simply begun anew. From then on
every command refuses, and "gazet restore" goes on where the plan was left; each step of it can be done twice.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from pipeline import config
from pipeline.config import Settings
from pipeline.errors import BackupError, ConfigError, StoreError, UsageError
from pipeline.jobs.backup import Manifest, read_backup
from pipeline.jobs.replay import RUN, Replayed, Traces, backup_anchor, edition_anchor, replay
from pipeline.jobs.site import Site
from pipeline.models import SubscriptionStatus
from pipeline.store import Store, bring_up_to_date, record, runs
from pipeline.store.copy import Progress, copy_store, snapshot
from pipeline.store.database import UNFINISHED, file_of, open_file, open_target, schema_state
from pipeline.store.record import Became, Began, Left, Record
from pipeline.store.replay import end_subscription, known_editions, still_waiting

_SQLITE = b"SQLite format 3\0"
_WORKSHOP = Path(UNFINISHED).parent
Wire = Callable[[Settings, Store], Site]
"""How ``app`` makes a site of settings and an open store."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did. ``moved`` lie in ``aside`` now; ``kept`` are files of the site that the backup does not have."""

    file: str
    made_at: datetime | None
    store: str
    migrated: bool
    aside: str
    moved: tuple[str, ...]
    kept: tuple[str, ...]
    outside: tuple[str, ...]
    environment: tuple[str, ...]
    replayed: Replayed


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What the operator asked for."""

    file: Path
    keep_settings: bool
    doubt: bool
    moment: Callable[[Settings], datetime]
    process: str


_PLANS: TypeAdapter[Restored] = TypeAdapter(Restored)


def expect_newest(site: Site) -> None:
    """Raises StoreError where the record knows more of what was sent than the store: an old copy was put in its place.

    Looks at the end of the record alone, so it costs next to nothing. Opt-outs that the store does not know are applied.
    """
    outcomes: dict[tuple[int, int], str] = {}
    people: dict[int, Left | Began] = {}
    for fact in record.newest_facts(site.settings.path(record.FOLDER)):
        if isinstance(fact, Became):
            outcomes |= {(fact.edition, one): fact.status for one in record.identities(fact)}
        elif isinstance(fact, Left | Began):
            people[fact.subscription] = fact
    told = {edition for (edition, _), status in outcomes.items() if status != "sending"}
    ended = {key for key, status in outcomes.items() if status in ("accepted", "failed")}
    with site.store.read() as tx:
        # A crash between the record and its COMMIT leaves such a delivery on the wire, never waiting.
        older = bool(told - known_editions(tx, told)) or bool(ended & still_waiting(tx, told))
    if older:
        raise StoreError(
            f"The store {site.store.where} is older than its record: it does not know what was sent last.",
            fix='Stop every Gazet of this site, then "gazet restore --replay" tells it; or, to begin anew, move var/record away.',
        )

    left = {one: fact for one, fact in people.items() if isinstance(fact, Left)}
    if left:
        with site.store.write() as tx:
            for one, fact in left.items():
                end_subscription(tx, one, SubscriptionStatus(fact.status), datetime.now(UTC))


def unfinished(folder: Path) -> bool:
    """Whether a restore was killed while it put files in place."""
    return (folder / UNFINISHED).exists()


def finish(folder: Path, progress: Progress = lambda *_: None) -> Restored:
    """Go on with a restore that was killed while it put files in place."""
    return _install(folder, progress)


def replay_in_place(site: Site, now: datetime, *, process: str, doubt: bool) -> Replayed:
    """The database was put back by hand: only tell it what the record knows. Raises StoreError or ConfigError."""
    traces = Traces((site.settings.path(record.FOLDER),), edition_anchor(site))
    return replay(site, traces, now, process=process, since=None, doubt=doubt)


def restore(
    folder: Path,
    file: Path,
    moment: Callable[[Settings], datetime],
    wire: Wire,
    *,
    process: str,
    keep_settings: bool = False,
    doubt: bool = False,
    progress: Progress = lambda *_: None,
) -> Restored:
    """Restore the site in ``folder`` from a backup or from a plain copy of its SQLite store; it is paused then.

    ``moment``: what time it is for a site with these settings. ``keep_settings``: files of the site that are there win over
    those of the backup. ``doubt``: see ``replay``. The caller holds the lock of the folder. Raises BackupError, ConfigError,
    StoreError or UsageError; the site is then as it was.
    """
    folder = folder.absolute()
    workshop = folder / _WORKSHOP
    with _said(workshop):
        shutil.rmtree(workshop, ignore_errors=True)
        workshop.mkdir(mode=0o700, parents=True)
        try:
            _prepare(folder, workshop, _Wanted(file, keep_settings, doubt, moment, process), wire)
        except BaseException:
            shutil.rmtree(workshop, ignore_errors=True)
            raise
        return _install(folder, progress)


@contextlib.contextmanager
def _said(workshop: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        where = error.filename or workshop
        raise BackupError(f"The restore stopped: {where}: {error.strerror}.", fix="Mend that, then run the same again.") from error


def _prepare(folder: Path, workshop: Path, wanted: _Wanted, wire: Wire) -> None:
    """Everything up to the plan, in the workshop alone."""
    manifest = _unpack(wanted.file, workshop)
    kept = _overlay(folder, workshop / "site", manifest is not None, wanted.keep_settings)
    settings = config.load(workshop / "site")
    now = wanted.moment(settings)
    target = settings.model_copy(update={"folder": folder})
    _expect_empty_server(target)
    store = open_file(workshop / "gazet.db")
    try:
        migrated = _migrate(store, wanted.file)
        store.record = Record(workshop / "noted", beside=folder / record.FOLDER)
        site = wire(settings, store)
        anchor = backup_anchor(manifest.id) if manifest else edition_anchor(site)
        traces = Traces((folder / record.FOLDER, workshop / "record"), anchor)
        since = manifest.made_at if manifest else None
        done = replay(site, traces, now, process=wanted.process, since=since, doubt=wanted.doubt)
    finally:
        store.close()
    snapshot(ready := open_file(workshop / "gazet.db"), workshop / "ready.db")
    ready.close()
    aside = folder / "var" / f"before-restore-{now.astimezone(UTC):%Y%m%dT%H%M%SZ}"
    path = file_of(target)
    moved = [str(one) for one in _database_files(path) if one.exists()] if path else []
    moved += [str(folder / name) for name in _files(workshop / "site") if _differs(folder / name, workshop / "site" / name)]
    plan = Restored(
        file=str(wanted.file),
        made_at=manifest.made_at if manifest else None,
        store=str(path) if path else "the database server",
        migrated=migrated,
        aside=str(_unused(aside)),
        moved=tuple(moved),
        kept=kept,
        outside=manifest.outside if manifest else (),
        environment=manifest.environment if manifest else (),
        replayed=done,
    )
    _write_plan(folder / UNFINISHED, plan)


def _unpack(file: Path, workshop: Path) -> Manifest | None:
    """The file's parts as gazet.db, record/ and site/; None: it is a plain copy of an SQLite store."""
    try:
        with file.open("rb") as opened:
            plain = opened.read(len(_SQLITE)) == _SQLITE
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}.", fix="Name a backup, or a copy of an SQLite store.") from None
    if not plain:
        backup = read_backup(file)
        workshop.rmdir()
        backup.extract(workshop)
        return backup.manifest
    (workshop / "site").mkdir()
    for ending in ("", "-wal"):  # it is a copy that is opened: opening changes a file, and nobody may change a backup
        if (source := file.with_name(file.name + ending)).exists():
            shutil.copyfile(source, workshop / f"gazet.db{ending}")
    return None


def _overlay(folder: Path, site: Path, archived: bool, keep: bool) -> tuple[str, ...]:
    """Files of the present site beside those of the backup, or over them; returns those that only the present site has.

    Raises ConfigError where settings are wanted that are not there, BackupError for another secret.
    """
    present: set[Path] = set()
    if not archived or keep:
        settings = config.load(folder)
        if archived:
            _expect_same_secret(settings, config.load(site))
        inside = (settings.path(name) for name in ("gazet.toml", *settings.named_files()))
        present = {path.relative_to(folder) for path in inside if path.is_relative_to(folder) and path.is_file()}
    for place in ("feeds", "templates"):
        present |= {path.relative_to(folder) for path in (folder / place).rglob("*") if path.is_file()}
    others = tuple(sorted(str(name) for name in present if not (site / name).exists()))
    for name in present:
        if keep or not (site / name).exists():
            (site / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / name, site / name)
    return others if archived else ()


def _expect_same_secret(present: Settings, archived: Settings) -> None:
    paths = [settings.path(settings.site.secret_file) for settings in (present, archived)]
    if all(path.exists() for path in paths) and paths[0].read_bytes().strip() != paths[1].read_bytes().strip():
        raise BackupError(
            f"{paths[0]} is not the secret of this backup: no unsubscribe link in any mail sent would work.",
            fix="Move it away, or restore without --keep-settings.",
        )


def _expect_empty_server(target: Settings) -> None:
    if file_of(target) is not None:
        return
    server = open_target(target)
    try:
        _, empty = schema_state(server)
        if not empty and _in_use(server):
            fix = "Name a new, empty database in store.url (with --keep-settings), or drop this one; it was not changed."
            raise StoreError(f"The store {server.where} is not empty.", fix=fix)
    finally:
        server.close()


def _in_use(server: Store) -> bool:
    with server.read() as tx:
        return runs.last(tx, RUN) is not None or runs.last(tx, "tick") is not None


def _migrate(store: Store, file: Path) -> bool:
    """Whether it had to be brought up to date. Raises StoreError for one of a newer Gazet, BackupError for something else."""
    _, empty = schema_state(store)
    if empty:
        raise BackupError(f"{file} is no store of Gazet.", fix="Name a backup, or a copy of the store's file.")
    return bring_up_to_date(store) != "is up to date"


def _files(site: Path) -> list[str]:
    return sorted(str(path.relative_to(site)) for path in site.rglob("*") if path.is_file())


def _differs(present: Path, wanted: Path) -> bool:
    return present.exists() and present.read_bytes() != wanted.read_bytes()


def _unused(folder: Path) -> Path:
    number, found = 1, folder
    while found.exists():
        number += 1
        found = folder.with_name(f"{folder.name}-{number}")
    return found


def _database_files(path: Path) -> list[Path]:
    """The database first: a WAL without it is nothing, it without its WAL is older than it was."""
    return [path, *(path.with_name(path.name + ending) for ending in ("-wal", "-shm", "-journal"))]


def _write_plan(path: Path, plan: Restored) -> None:
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        file.write(_PLANS.dump_json(plan))
        file.flush()
        os.fsync(file.fileno())
    part.rename(path)
    record.sync_folder(path.parent)


def _install(folder: Path, progress: Progress) -> Restored:
    """Carry out the plan; each step looks whether it was done already."""
    workshop = folder / _WORKSHOP
    with _said(workshop):
        try:
            plan = _PLANS.validate_json((folder / UNFINISHED).read_bytes())
            settings = config.load(workshop / "site").model_copy(update={"folder": folder})
        except (ValidationError, ConfigError) as error:
            raise BackupError(f"{workshop} cannot be read.", fix=f"Remove it and restore once more ({error}).") from None
        aside, path = Path(plan.aside), file_of(settings)
        if path is not None:
            _install_file(workshop / "ready.db", path, folder, aside)
        else:
            _install_on_server(workshop / "ready.db", settings, plan.replayed.identity, progress)
        for name in _files(workshop / "site"):
            _install_setting(folder, name, workshop / "site" / name, aside)
        for noted in ("record", "noted"):
            record.unite(folder / record.FOLDER, workshop / noted)
        (folder / UNFINISHED).unlink()
        shutil.rmtree(workshop, ignore_errors=True)
    return plan


def _install_setting(folder: Path, name: str, wanted: Path, aside: Path) -> None:
    """No moment without the file: without gazet.toml nobody could say that a restore is under way."""
    present = folder / name
    if _differs(present, wanted):
        aside.mkdir(mode=0o700, exist_ok=True)
        if not (aside / name).exists():
            _put(present, aside / name)
    if not present.exists() or _differs(present, wanted):
        _put(wanted, present)


def _install_file(ready: Path, path: Path, folder: Path, aside: Path) -> None:
    if not ready.exists():
        return
    for one in _database_files(path):
        _move_aside(one, folder, aside)
    _put(ready, path)
    ready.unlink()


def _install_on_server(ready: Path, settings: Settings, identity: str, progress: Progress) -> None:
    """One transaction: either the run of this restore is there, and all the rest, or nothing is."""
    store, server = open_file(ready), open_target(settings)
    try:
        _, empty = schema_state(server)
        if not empty:
            with server.read() as tx:
                if (run := runs.last(tx, RUN)) is not None and run.detail.get("id") == identity:
                    return
        copy_store(store, server, progress=progress)
    finally:
        store.close()
        server.close()


def _move_aside(path: Path, folder: Path, aside: Path) -> None:
    """To the same place below ``aside``. A file that was moved there before this was killed is not covered."""
    name = path.relative_to(folder) if path.is_relative_to(folder) else Path(path.name)
    target = aside / name
    if not path.exists() or target.exists():
        return
    aside.mkdir(mode=0o700, exist_ok=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(path, target)
    record.sync_folder(target.parent)


def _put(source: Path, path: Path) -> None:
    """A private copy under its name only when it is whole and on the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.restoring")
    part.unlink(missing_ok=True)
    with source.open("rb") as reading, os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as writing:
        shutil.copyfileobj(reading, writing)
        writing.flush()
        os.fsync(writing.fileno())
    part.rename(path)
    record.sync_folder(path.parent)
