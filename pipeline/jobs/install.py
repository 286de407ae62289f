"""Put in place what a restore has made ready: the plan, and its steps, each of which can be done twice (promise 11)."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from pipeline import config
from pipeline.config import Settings
from pipeline.errors import BackupError, ConfigError
from pipeline.jobs.owners import hand_over, make_folder, take_after
from pipeline.jobs.replay import RUN, Replayed
from pipeline.store import record, runs
from pipeline.store.copy import Progress, copy_store
from pipeline.store.database import UNFINISHED, file_of, open_file, open_target, schema_state

WORKSHOP = Path(UNFINISHED).parent


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did. ``moved`` lie in ``aside`` now; ``kept`` are files of the site that the backup does not have.

    ``leaving``: names in the folder of what another site leaves there.
    """

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
    leaving: tuple[str, ...] = ()


_PLANS: TypeAdapter[Restored] = TypeAdapter(Restored)


def unfinished(folder: Path) -> bool:
    """Whether a restore was killed while it put files in place."""
    return (folder / UNFINISHED).exists()


def write_plan(path: Path, plan: Restored) -> None:
    """From here on the restore is under way: whole and on the disk, or not there."""
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        file.write(_PLANS.dump_json(plan))
        file.flush()
        os.fsync(file.fileno())
    part.rename(path)
    record.sync_folder(path.parent)


def read_plan(folder: Path) -> Restored:
    """The plan of the restore that is under way in this folder. Raises BackupError."""
    try:
        return _PLANS.validate_json((folder / UNFINISHED).read_bytes())
    except ValidationError as error:
        raise _unreadable(folder / WORKSHOP, error) from None


def _unreadable(workshop: Path, error: Exception) -> BackupError:
    return BackupError(f"{workshop} cannot be read.", fix=f"Remove it and restore once more ({error}).")


def install(folder: Path, progress: Progress) -> Restored:
    """Carry out the plan; each step looks whether it was done already."""
    workshop = folder / WORKSHOP
    with said(workshop):
        plan = read_plan(folder)
        try:
            settings = config.load(workshop / "site").model_copy(update={"folder": folder})
        except ConfigError as error:
            raise _unreadable(workshop, error) from None
        aside, path = Path(plan.aside), file_of(settings)
        for name in plan.leaving:
            _move_aside(folder / name, folder, aside)
        if path is not None:
            _install_file(workshop / "ready.db", path, folder, aside)
        else:
            _install_on_server(workshop / "ready.db", settings, plan.replayed.identity, progress)
        for name in files_of(workshop / "site"):
            _install_setting(folder, name, workshop / "site" / name, aside)
        for noted in ("record", "noted"):
            record.unite(folder / record.FOLDER, workshop / noted)
        for one in (folder / record.FOLDER, *(folder / record.FOLDER / day for day in record.days(folder / record.FOLDER))):
            hand_over(one)
        (folder / UNFINISHED).unlink()
        shutil.rmtree(workshop, ignore_errors=True)
    return plan


@contextlib.contextmanager
def said(workshop: Path) -> Iterator[None]:
    """A disk that fails or is full becomes a BackupError that names the place."""
    try:
        yield
    except OSError as error:
        where = error.filename or workshop
        raise BackupError(f"The restore stopped: {where}: {error.strerror}.", fix="Mend that, then run the same again.") from error


def files_of(site: Path) -> list[str]:
    """The names of all files in a folder and below, sorted."""
    return sorted(str(path.relative_to(site)) for path in site.rglob("*") if path.is_file())


def _install_setting(folder: Path, name: str, wanted: Path, aside: Path) -> None:
    """No moment without the file: without gazet.toml nobody could say that a restore is under way."""
    present = folder / name
    if differs(present, wanted):
        make_folder(aside, 0o700)
        if not (aside / name).exists():
            _put(present, aside / name)
    if not present.exists() or differs(present, wanted):
        _put(wanted, present)


def differs(present: Path, wanted: Path) -> bool:
    """Whether there is a file in the place of the wanted one, with other bytes."""
    return present.exists() and present.read_bytes() != wanted.read_bytes()


def _install_file(ready: Path, path: Path, folder: Path, aside: Path) -> None:
    if not ready.exists():
        return
    for one in database_files(path):
        _move_aside(one, folder, aside)
    make_folder(path.parent)
    try:
        ready.rename(path)
        hand_over(path)
        record.sync_folder(path.parent)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _put(ready, path)
        ready.unlink()


def database_files(path: Path) -> list[Path]:
    """The database first: a WAL without it is nothing, it without its WAL is older than it was."""
    return [path, *(path.with_name(path.name + ending) for ending in ("-wal", "-shm", "-journal"))]


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
    make_folder(aside, 0o700)
    make_folder(target.parent)
    shutil.move(path, target)
    record.sync_folder(target.parent)


def _put(source: Path, path: Path) -> None:
    """A copy under its name only when it is whole and on the disk, with owner and mode of what it replaces."""
    make_folder(path.parent)
    part = path.with_name(f".{path.name}.restoring")
    part.unlink(missing_ok=True)
    with source.open("rb") as reading, os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as writing:
        shutil.copyfileobj(reading, writing)
        take_after(writing.fileno(), path, source)
        writing.flush()
        os.fsync(writing.fileno())
    part.rename(path)
    record.sync_folder(path.parent)
