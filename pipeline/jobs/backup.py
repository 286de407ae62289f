"""A site in one file: written while Gazet runs, read back only when it is whole.

    gazet.db        the store as it was at one moment, always SQLite
    record/<day>    the record, copied after the store and so never behind it
    site/…          gazet.toml, feeds/, templates/, the secret and the other files that the settings name
    manifest.json   the last member: what this is, and every other member with its size and SHA-256

The archive is a gzipped tar, so that a person can open it without Gazet. What is read back may come from anywhere: nothing
is written before every name, size and checksum was looked at, and links and paths out of the folder are refused.
"""

from __future__ import annotations

import contextlib
import fcntl
import gzip
import hashlib
import io
import os
import re
import shutil
import tarfile
import tempfile
import uuid
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from pydantic import TypeAdapter, ValidationError

from pipeline import __version__
from pipeline.config import Settings
from pipeline.errors import BackupError, GazetError, UsageError
from pipeline.jobs.site import Site, host_of
from pipeline.store import record
from pipeline.store.copy import Progress, snapshot

FORMAT = 1
DATABASE = "gazet.db"
RECORD = "record/"
SITE = "site/"
BACKED_UP = "backed up"
"""The mark in the record behind a backup that stands; ``record.BACKUP`` is there from its beginning, also if it failed."""
_MANIFEST = "manifest.json"
_WORKSHOP = ".gazet-backup-"
_BLOCK = 65536
_LARGEST_BLOCK = 1_000_000
_LARGEST_MANIFEST = 50_000_000
_MOST_MEMBERS = 100_000
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_UNREADABLE = (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, ValueError, LookupError, ArithmeticError, RecursionError)
_STRANGE = re.compile(r"[\x00-\x1f\x7f\\]")


@dataclass(frozen=True, slots=True)
class Member:
    """One file in the archive: its name there, bytes, and SHA-256 in hex."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup is: who made it, when, of which store.

    ``outside`` are files that the settings name outside the site's folder, and ``environment`` the variables that were set:
    neither is in the archive.
    """

    format: int
    id: str
    gazet: str
    schema: str
    made_at: datetime
    site: str
    store: str
    members: tuple[Member, ...]
    outside: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Written:
    """A backup that stands under its name, and the older ones that were removed for it."""

    file: Path
    size: int
    manifest: Manifest
    removed: tuple[Path, ...] = ()


_MANIFESTS: TypeAdapter[Manifest] = TypeAdapter(Manifest)


def write_backup(
    site: Site, file: Path, now: datetime, *, keep: int | None = None, progress: Progress = lambda *_: None
) -> Written:
    """Write a backup to ``file``, or into it when it is a folder; ``keep``: how many of this site's stay in that folder.

    It appears under its name only when it is whole and on the disk. Raises BackupError, UsageError or StoreError.
    """
    named = file / f"gazet-{host_of(site.settings)}-{now.astimezone(UTC):%Y%m%dT%H%M%SZ}.tar.gz" if file.is_dir() else file
    target = Path(os.path.abspath(named))  # noqa: PTH100 (a link to the folder stays as it was written)
    _check_place(site.settings, target, keep)
    try:
        with _workshop(target.parent) as folder:
            manifest = _write(site, folder, now, progress)
            (folder / "whole").rename(target)
            record.sync_folder(target.parent)
        removed = tuple(_remove_older(site.settings, target, keep)) if keep else ()
        with site.store.write() as tx:
            record.mark(tx, BACKED_UP, manifest.id)
        return Written(target, target.stat().st_size, manifest, removed)
    except OSError as error:
        where = error.filename if isinstance(error.filename, str) else str(target)
        raise BackupError(f"The backup could not be written: {where}: {error.strerror or error}.", fix=_FIX) from error


_FIX = "Free some space, or correct the rights; what stood there before is unchanged."


def _check_place(settings: Settings, target: Path, keep: int | None) -> None:
    if not target.parent.is_dir():
        raise UsageError(f"There is no folder {target.parent}.", fix="Make it, or name another one.")
    for place in ("feeds", "templates"):
        if target.resolve().is_relative_to(settings.path(place).resolve()):
            raise UsageError(f"{target} would be in every later backup.", fix=f"Name a place outside {place}.")
    if target.resolve().is_relative_to(settings.path("var/public").resolve()):
        raise UsageError(
            f"{target} would be public.", fix="Name a place outside var/public: a backup holds addresses and the secret."
        )
    if target.exists() and not _is_backup(target):
        raise UsageError(f"{target} is there and is no whole backup of Gazet.", fix="Name another file, or a folder.")
    if keep is not None and not _of_this_site(settings).fullmatch(target.name):
        raise UsageError("--keep needs a folder, in which the backups get names by their time.", fix=f"Name {target.parent}.")


def _is_backup(path: Path) -> bool:
    """To the last byte: nothing but a backup may be written over by one."""
    try:
        return path.is_file() and bool(read_backup(path))
    except BackupError:
        return False


def _of_this_site(settings: Settings) -> re.Pattern[str]:
    return re.compile(rf"gazet-{re.escape(host_of(settings))}-\d{{8}}T\d{{6}}Z\.tar\.gz")


def _remove_older(settings: Settings, newest: Path, keep: int) -> Iterator[Path]:
    """By name, which is by time; the one just made stays, also when the clock went back."""
    pattern = _of_this_site(settings)
    others = sorted(path for path in newest.parent.iterdir() if pattern.fullmatch(path.name) and path != newest)
    for path in others[: max(0, len(others) - (keep - 1))]:
        path.unlink()
        yield path


@contextlib.contextmanager
def _workshop(parent: Path) -> Iterator[Path]:
    """A private folder on the same disk as the backup. What killed processes left of theirs is removed: nobody locks it."""
    for left in parent.glob(f"{_WORKSHOP}*"):
        with contextlib.suppress(OSError), _locked(left):
            shutil.rmtree(left)
    with tempfile.TemporaryDirectory(prefix=_WORKSHOP, dir=parent, ignore_cleanup_errors=True) as name, _locked(Path(name)):
        yield Path(name)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def _write(site: Site, folder: Path, now: datetime, progress: Progress) -> Manifest:
    """The archive as ``folder/whole``. The mark comes first: whatever the copied store does not know stands behind it."""
    identity = str(uuid.uuid4())
    with site.store.write() as tx:
        record.mark(tx, record.BACKUP, identity)
    revision = snapshot(site.store, folder / DATABASE, progress=progress)
    inside, outside = _named_files(site.settings)
    with _new_file(folder / "whole") as file:
        with tarfile.open(fileobj=file, mode="w:gz", compresslevel=6) as archive:
            members = [_add(archive, DATABASE, folder / DATABASE, now)]
            records = site.settings.path(record.FOLDER)
            members += [_add(archive, f"{RECORD}{day}", records / day, now) for day in record.days(records)]
            members += [_add(archive, f"{SITE}{name}", site.settings.folder / name, now, keep_mode=True) for name in inside]
            manifest = Manifest(
                format=FORMAT,
                id=identity,
                gazet=__version__,
                schema=revision,
                made_at=now,
                site=site.settings.site.url,
                store="sqlite" if site.store.is_sqlite else "postgresql",
                members=tuple(members),
                outside=outside,
                environment=tuple(sorted(name for name in os.environ if name.startswith("GAZET_") and name != "GAZET_SITE")),
            )
            data = _MANIFESTS.dump_json(manifest, indent=2)
            archive.addfile(_info(_MANIFEST, len(data), now), io.BytesIO(data))
        file.flush()
        os.fsync(file.fileno())
    return manifest


def _named_files(settings: Settings) -> tuple[list[str], tuple[str, ...]]:
    """What of the site goes into the archive, by names relative to its folder; and the files that lie outside it."""
    inside, outside = {"gazet.toml"}, set()
    for place in ("feeds", "templates"):
        found = (path for path in settings.path(place).rglob("*") if path.is_file())
        inside |= {str(path.relative_to(settings.folder)) for path in found}
    for name in settings.named_files():
        path = Path(os.path.normpath(settings.path(name)))
        if path.is_relative_to(settings.folder):
            inside.add(str(path.relative_to(settings.folder)))
        else:
            outside.add(str(path))
    return sorted(inside), tuple(sorted(outside))


def _info(name: str, size: int, now: datetime, mode: int = 0) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = size, _private(mode), int(now.timestamp())
    return info


def _private(mode: int) -> int:
    """At most as open as settings are: its owner writes, others may read it where they could."""
    return 0o600 | mode & 0o044


def _add(archive: tarfile.TarFile, name: str, path: Path, now: datetime, *, keep_mode: bool = False) -> Member:
    """As many bytes as the file has when it is opened: the record grows meanwhile."""
    with path.open("rb") as file:
        status, hashing = os.fstat(file.fileno()), _Hashing(file)
        info = _info(name, status.st_size, now, status.st_mode if keep_mode else 0)
        archive.addfile(info, hashing)  # type: ignore[arg-type]
    return Member(name, status.st_size, hashing.hash.hexdigest())


class _Hashing:
    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.hash = hashlib.sha256()

    def read(self, size: int) -> bytes:
        data = self.file.read(size)
        self.hash.update(data)
        return data


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup whose members are all there, with the bytes that its manifest names."""

    file: Path
    manifest: Manifest

    def extract(self, folder: Path) -> None:
        """Write every member below ``folder``, which is new or empty; synced, and as private as it was. Raises BackupError."""
        wanted = {member.name: member for member in self.manifest.members}
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if any(folder.iterdir()):
                raise BackupError(f"{folder} is not empty.", fix="Name a new folder.")
            if (needed := sum(member.size for member in wanted.values())) > (free := shutil.disk_usage(folder).free):
                fix = f"Free some space there: {needed} bytes are needed."
                raise BackupError(f"The backup does not fit into {folder}, where {free} bytes are free.", fix=fix)
            for member in _walk(self.file, lambda name: (folder / name) if name in wanted else None):
                if member.name != _MANIFEST and member != wanted.get(member.name):
                    raise _broken(self.file, "it changed while it was read")
        except OSError as error:
            raise BackupError(f"The backup cannot be unpacked into {folder}: {error.strerror or error}.") from error


def read_backup(file: Path) -> Backup:
    """Look at every byte of a backup and write nothing. Raises BackupError when it is not whole, not ours, or hostile."""
    manifest = io.BytesIO()
    try:
        found = [member for member in _walk(file, lambda name: manifest if name == _MANIFEST else None) if member.name != _MANIFEST]
    except OSError as error:
        raise BackupError(f"{file} cannot be read: {error.strerror or error}.") from error
    if not manifest.getbuffer():
        raise _broken(file, "its end is missing")
    try:
        read = _MANIFESTS.validate_json(manifest.getvalue())
    except ValidationError:
        raise _broken(file, "its manifest cannot be read") from None
    if read.format != FORMAT:
        raise BackupError(f"{file} was made by Gazet {read.gazet}, in a newer format.", fix="Install that version.")
    if sorted(found, key=lambda one: one.name) != sorted(read.members, key=lambda one: one.name):
        raise _broken(file, "its members are not those that its manifest names")
    if not {DATABASE, f"{SITE}gazet.toml"} <= {one.name for one in found}:
        raise _broken(file, f"{DATABASE} or gazet.toml is missing")
    return Backup(file, read)


def _broken(file: Path, why: str) -> BackupError:
    return BackupError(f"{file} is not a whole backup of Gazet: {why}.", fix="Use another backup; nothing was changed.")


def _walk(file: Path, out: Callable[[str], Path | io.BytesIO | None]) -> Iterator[Member]:
    """Each member once its bytes were read, and written to where ``out`` says. Raises BackupError or OSError."""
    seen: set[str] = set()
    with file.open("rb") as raw:
        try:
            with gzip.GzipFile(fileobj=raw) as unpacked, tarfile.open(fileobj=_Forward(unpacked), mode="r:") as archive:
                while (info := archive.next()) is not None:
                    archive.members = []  # type: ignore[attr-defined]  # it remembers each one, however many come
                    _check_member(info, seen)
                    data = archive.extractfile(info)
                    assert data is not None
                    yield Member(info.name, info.size, _pass_on(data, to := out(info.name)))
                    if isinstance(to, Path) and info.name.startswith(SITE):
                        to.chmod(_private(info.mode))
                while unpacked.read(_BLOCK):  # to the checksum of gzip itself
                    pass
        except GazetError as error:
            raise _broken(file, str(error)) from None
        except _UNREADABLE:
            raise _broken(file, "it is cut off, damaged, or something else") from None


def _check_member(info: tarfile.TarInfo, seen: set[str]) -> None:
    """Raises BackupError that says why this cannot be a member of a backup."""
    top, _, rest = info.name.partition("/")
    parts = info.name.split("/")
    right = info.name in (DATABASE, _MANIFEST) or (top == "record" and _DAY.fullmatch(rest)) or (top == "site" and rest)
    if not right or "" in parts or "." in parts or ".." in parts or _STRANGE.search(info.name) or len(info.name) > 1000:
        raise BackupError(f"it holds {info.name[:100]!r}, which is no part of one")
    if not info.isreg() or info.sparse is not None or info.size < 0:
        raise BackupError(f"{info.name} is no ordinary file")
    if info.name in seen:
        raise BackupError(f"{info.name} is in it twice")
    if _MANIFEST in seen or (info.name == _MANIFEST and info.size > _LARGEST_MANIFEST) or len(seen) >= _MOST_MEMBERS:
        raise BackupError("its manifest is not its end, or too large")
    seen.add(info.name)


def _pass_on(data: IO[bytes], to: Path | io.BytesIO | None) -> str:
    """Read all, write it where that is wanted (a new file, synced); returns the SHA-256."""
    hashing = hashlib.sha256()
    with contextlib.ExitStack() as stack:
        target: IO[bytes] | None = to if isinstance(to, io.BytesIO) else None
        if isinstance(to, Path):
            to.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            target = stack.enter_context(_new_file(to))
        while block := data.read(_BLOCK):
            hashing.update(block)
            if target is not None:
                target.write(block)
        if isinstance(to, Path) and target is not None:
            target.flush()
            os.fsync(target.fileno())
    return hashing.hexdigest()


def _new_file(path: Path) -> IO[bytes]:
    """For its owner alone; never one that is there, nor where a link leads."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "wb")


class _Forward(io.RawIOBase):
    """A stream that tarfile cannot be led to go back in, nor to take into memory as a whole (its own headers have no limit)."""

    def __init__(self, stream: gzip.GzipFile) -> None:
        self.stream = stream

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _LARGEST_BLOCK:
            raise tarfile.ReadError("a header is too large")
        return self.stream.read(size)

    def tell(self) -> int:
        return self.stream.tell()

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if whence != os.SEEK_SET or offset < self.stream.tell():
            raise tarfile.ReadError("a header points back")
        return self.stream.seek(offset)
