"""Put a site back from a backup, and let the record tell it what happened since (promise 11).

    file ─unpack─▶ var/restoring ─replay─▶ one database that is ready ─plan─▶ install ─▶ the site, paused

Until the plan is written nothing of the site is touched: a restore that is killed there is simply begun anew. From then on
every command refuses, and "gazet restore" goes on where the plan was left; each step of it can be done twice.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pipeline import config
from pipeline.config import Settings
from pipeline.errors import BackupError, ConfigError, StoreError, UnfitStoreError, UsageError
from pipeline.jobs.backup import Manifest, read_backup
from pipeline.jobs.install import WORKSHOP, Restored, database_files, differs, files_of, install, read_plan, said, write_plan
from pipeline.jobs.owners import make_folder
from pipeline.jobs.replay import RUN, Replayed, Traces, backup_anchor, edition_anchor, replay
from pipeline.jobs.site import Site
from pipeline.models import SubscriptionStatus
from pipeline.store import Store, bring_up_to_date, personal, record, runs
from pipeline.store.copy import Progress, snapshot
from pipeline.store.crowd import suppressed
from pipeline.store.database import UNFINISHED, file_of, open_file, open_target, schema_state
from pipeline.store.record import Became, Began, Erased, Left, Lifted, Record, Suppressed
from pipeline.store.replay import end_subscription, known_editions, still_waiting, suppress

_SQLITE = b"SQLite format 3\0"
_ROOM = 100_000
"""Bytes that must be free beside what is written: names, and lines of the record."""
Wire = Callable[[Settings, Store], Site]
"""How ``app`` makes a site of settings and an open store."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What the operator asked for."""

    file: Path
    keep_settings: bool
    other_site: bool
    doubt: bool
    moment: Callable[[Settings], datetime]
    process: str


def expect_newest(site: Site) -> None:
    """Raises StoreError where the record knows more of what was sent than the store: an old copy was put in its place.

    Looks at the end of the record alone, so it costs next to nothing. Opt-outs and erasures that the store does not know are
    applied.
    """
    outcomes: dict[tuple[int, int], str] = {}
    people: dict[int, Left | Began] = {}
    barred: dict[str, Suppressed] = {}
    erased: set[str] = set()
    for fact in record.newest_facts(site.settings.path(record.FOLDER)):
        if isinstance(fact, Became):
            outcomes |= {(fact.edition, one): fact.status for one in record.identities(fact)}
        elif isinstance(fact, Left | Began):
            people[fact.subscription] = fact
        elif isinstance(fact, Suppressed):
            barred[fact.address_hash] = fact
        elif isinstance(fact, Erased):
            erased.add(fact.address_hash)
        elif isinstance(fact, Lifted):
            barred.pop(fact.address_hash, None)
            erased.discard(fact.address_hash)
    told = {edition for (edition, _), status in outcomes.items() if status != "sending"}
    ended = {key for key, status in outcomes.items() if status in ("accepted", "failed")}
    with site.store.read() as tx:
        # A crash between the record and its COMMIT leaves such a delivery on the wire, never waiting.
        older = bool(told - known_editions(tx, told)) or bool(ended & still_waiting(tx, told))
        unknown = barred.keys() - suppressed(tx, list(barred))
    if older:
        raise UnfitStoreError(
            f"The store {site.store.where} is older than its record: it does not know what was sent last.",
            fix='Stop every Gazet of this site, then "gazet restore --replay" tells it; or, to begin anew, move var/record away.',
        )

    left = {one: fact for one, fact in people.items() if isinstance(fact, Left)}
    if left or unknown:
        with site.store.write() as tx:
            for one, fact in left.items():
                end_subscription(tx, one, SubscriptionStatus(fact.status), datetime.now(UTC))
            suppress(tx, [barred[one] for one in unknown], datetime.now(UTC))
            if again := erased & unknown:
                personal.scrub_hashed(tx, lambda address: site.links.address_hash(address) in again)


def expect_same(folder: Path, file: Path | None) -> None:
    """Raises UsageError where the restore that was not finished is one of another file."""
    if file is not None and os.path.abspath(file) != (begun := read_plan(folder).file):  # noqa: PTH100
        raise UsageError(
            f"A restore of {begun} was not finished.", fix='"gazet restore" without FILE ends it; then restore the other.'
        )


def finish(folder: Path, progress: Progress = lambda *_: None) -> Restored:
    """Go on with a restore that was killed while it put files in place."""
    return install(folder, progress)


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
    other_site: bool = False,
    doubt: bool = False,
    progress: Progress = lambda *_: None,
) -> Restored:
    """Restore the site in ``folder`` from a backup or from a plain copy of its SQLite store; it is paused then.

    ``moment``: what time it is for a site with these settings. ``keep_settings``: files of the site that are there win over
    those of the backup. ``other_site``: a site with another secret may be replaced. ``doubt``: see ``replay``. The caller holds
    the lock of the folder. Raises BackupError, ConfigError, StoreError or UsageError; the site is then as it was, unless
    ``unfinished`` says otherwise: places are looked at before, but a disk may fill up or break at any moment.
    """
    folder = folder.absolute()
    workshop = folder / WORKSHOP
    with said(workshop):
        shutil.rmtree(workshop, ignore_errors=True)
        make_folder(workshop.parent)
        workshop.mkdir(mode=0o700)
        try:
            _prepare(folder, workshop, _Wanted(file, keep_settings, other_site, doubt, moment, process), wire)
        except BaseException:
            shutil.rmtree(workshop, ignore_errors=True)
            raise
        return install(folder, progress)


def _prepare(folder: Path, workshop: Path, wanted: _Wanted, wire: Wire) -> None:
    """Everything up to the plan, in the workshop alone."""
    manifest = _unpack(wanted.file, workshop)
    foreign = manifest is not None and not wanted.keep_settings and _another_lives_here(folder, workshop / "site")
    if foreign and manifest and not wanted.other_site:
        fix = "Name its own folder with --site; or say --other-site, and the one here is moved aside."
        raise UsageError(f"{wanted.file} is not of the site that lives in {folder}: their secrets differ.", fix=fix)
    leaving = tuple(_all_of(folder, workshop / "site")) if foreign else ()
    kept = () if foreign else _overlay(folder, workshop / "site", manifest is not None, wanted.keep_settings)
    settings = config.load(workshop / "site")
    now = wanted.moment(settings)
    target = settings.model_copy(update={"folder": folder})
    _expect_empty_server(target)
    own = workshop / "noted" if foreign else folder / record.FOLDER
    store = open_file(workshop / "gazet.db")
    try:
        migrated = _migrate(store, wanted.file)
        store.record = Record(workshop / "noted", beside=own)
        site = wire(settings, store)
        anchor = backup_anchor(manifest.id) if manifest else edition_anchor(site)
        traces = Traces((own, workshop / "record"), anchor)
        since = manifest.made_at if manifest else None
        done = replay(site, traces, now, process=wanted.process, since=since, doubt=wanted.doubt)
    finally:
        store.close()
    snapshot(ready := open_file(workshop / "gazet.db"), workshop / "ready.db")
    ready.close()
    aside = folder / "var" / f"before-restore-{now.astimezone(UTC):%Y%m%dT%H%M%SZ}"
    path = file_of(target)
    moved = [str(one) for one in database_files(path) if one.exists()] if path else []
    moved += [str(folder / name) for name in files_of(workshop / "site") if differs(folder / name, workshop / "site" / name)]
    moved += [str(folder / name) for name in leaving]
    _expect_place(folder, workshop, path, leaving)
    plan = Restored(
        file=os.path.abspath(wanted.file),  # noqa: PTH100
        made_at=manifest.made_at if manifest else None,
        store=str(path) if path else "the database server",
        migrated=migrated,
        aside=str(_unused(aside)),
        moved=tuple(moved),
        kept=kept,
        outside=manifest.outside if manifest else (),
        environment=manifest.environment if manifest else (),
        replayed=done,
        leaving=leaving,
    )
    write_plan(folder / UNFINISHED, plan)


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


def _another_lives_here(folder: Path, archived: Path) -> bool:
    """Whether a site with another secret has run in this folder; one that was only begun has nothing to lose."""
    name = config.load(archived).site.secret_file
    present = file = None
    with contextlib.suppress(ConfigError, StoreError):
        present = config.load(folder)
        file = file_of(present)
    has_run = bool(record.days(folder / record.FOLDER)) or (file or folder / "var/gazet.db").exists()
    ours, theirs = (present.path(present.site.secret_file) if present else folder / name), archived / name
    return has_run and ours.exists() and theirs.exists() and ours.read_bytes().strip() != theirs.read_bytes().strip()


def _all_of(folder: Path, archived: Path) -> Iterator[str]:
    """What must not become part of the site that comes: names of files that it does not replace, the record, what is public."""
    for place in ("feeds", "templates"):
        names = sorted(str(path.relative_to(folder)) for path in (folder / place).rglob("*") if path.is_file())
        yield from (name for name in names if not (archived / name).exists())
    yield from (name for name in (record.FOLDER, "var/public") if (folder / name).exists())


def _expect_place(folder: Path, workshop: Path, database: Path | None, leaving: tuple[str, ...]) -> None:
    """Raises BackupError where something could not be put in place: before the plan, the site is still whole."""
    site = workshop / "site"
    sizes = {folder / name: (site / name).stat().st_size for name in files_of(site) if not _same(folder / name, site / name)}
    sizes |= dict.fromkeys((folder / name for name in leaving), 0)
    sizes[folder / "var/before-restore"] = sum(path.stat().st_size for path in sizes if path.is_file())
    if database is not None:
        sizes[database] = (workshop / "ready.db").stat().st_size if _other_disk(workshop, database) else 0
    for day in {*record.days(workshop / "record"), *record.days(workshop / "noted")}:
        sizes[folder / record.FOLDER / day] = 0
    for path, size in sizes.items():
        _expect_writable(path, size)


def _expect_writable(path: Path, size: int) -> None:
    place = next(one for one in path.parents if one.exists())
    try:
        with tempfile.TemporaryFile(dir=place):
            free = shutil.disk_usage(place).free
        if path.is_file() and path.parent.name == Path(record.FOLDER).name:  # it is appended to, not replaced
            path.open("ab").close()
    except OSError as error:
        fix = "Say it as root (sudo): what is written keeps its owner and rights. Nothing was changed."
        raise BackupError(f"{path} cannot be written: {error.strerror} ({place}).", fix=fix) from None
    if free < size + _ROOM:
        raise BackupError(f"{path} does not fit: {free} bytes are free in {place}.", fix="Free some space; nothing was changed.")


def _other_disk(workshop: Path, database: Path) -> bool:
    place = next(one for one in database.parents if one.exists())
    return place.stat().st_dev != workshop.stat().st_dev


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


def _same(present: Path, wanted: Path) -> bool:
    return present.exists() and not differs(present, wanted)


def _unused(folder: Path) -> Path:
    number, found = 1, folder
    while found.exists():
        number += 1
        found = folder.with_name(f"{folder.name}-{number}")
    return found
