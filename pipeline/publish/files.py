"""Published files: always whole, and never touched without need.

A web server that looks for compressed siblings sends those without a look at the file. So they go before their file is
replaced and come back after it: at no moment, and after no accident, does one lie beside a file that it is not a copy of.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from pipeline.errors import PublishError
from pipeline.publish.compressed import SUFFIXES, names


def file_hash(path: Path) -> str | None:
    """The SHA-256 of a file's bytes in hex; None where there is no such file. Raises PublishError if it is unreadable."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _fault(path, error) from error


def publish_files(folder: Path, slug: str, files: Mapping[str, bytes], mtime: datetime) -> None:
    """Write ``<slug>.<extension>`` for those that are missing or differ in bytes or modification time.

    Siblings (``rss.gz``) that are not among them are removed, and what a publisher that was killed left. All new files are
    on the disk before the first old one is replaced, so that a full disk leaves every old file. Raises PublishError.
    """
    _clear_up(folder, slug)
    wanted = {folder / f"{slug}.{extension}": data for extension, data in files.items()}
    new = {path: data for path, data in wanted.items() if not _is_current(path, data, mtime)}
    beside = [(path, sibling) for path in wanted for sibling in _siblings(path)]
    _replace(new, [one for path, one in beside if one not in wanted or (one in new and path in new)], mtime)


def names_in(folder: Path, extensions: Iterable[str]) -> set[str]:
    """The names of what was published in a folder, without their extensions; of one that is not there none."""
    known = {f".{extension}" for extension in extensions}
    try:
        return {path.stem for path in folder.iterdir() if path.suffix in known}
    except OSError:
        return set()


def remove_files(folder: Path, slug: str, extensions: Iterable[str]) -> None:
    """Take away ``<slug>.<extension>`` and its siblings: the feed has another name now. Raises PublishError."""
    for path in (folder / f"{slug}.{name}" for name in reversed(names(extensions))):
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise _fault(path, error) from error


def remove_empty(*folders: Path) -> None:
    """Take folders away in this order, up to one that still holds something."""
    with suppress(OSError):
        for folder in folders:
            folder.rmdir()


def _siblings(path: Path) -> list[Path]:
    return [path.with_name(f"{path.name}.{suffix}") for suffix in SUFFIXES] if path.suffix[1:] not in SUFFIXES else []


def _is_current(path: Path, data: bytes, mtime: datetime) -> bool:
    try:
        return int(path.stat().st_mtime) == _seconds(mtime) and path.read_bytes() == data
    except FileNotFoundError:
        return False
    except OSError as error:
        raise _fault(path, error) from error


def _clear_up(folder: Path, slug: str) -> None:
    for left in folder.glob(f".{slug}.*.tmp"):
        pid, _, thread = left.name.split(".")[-2].partition("-")
        if pid.isdecimal() and thread.isdecimal() and not _is_being_written(int(pid), int(thread)):
            with suppress(OSError):
                left.unlink(missing_ok=True)


def _is_being_written(pid: int, thread: int) -> bool:
    """Whether its writer lives. Our own number may be that of a process before us: in a container all are number 1."""
    if pid == os.getpid():
        return thread != threading.get_ident() and thread in {living.ident for living in threading.enumerate()}
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _replace(files: Mapping[Path, bytes], stale: Iterable[Path], mtime: datetime) -> None:
    """Files without a suffix of siblings come first. ``stale``: taken away before any of them is replaced."""
    written: dict[Path, Path] = {}
    path, replaced = Path(), False
    try:
        for path, data in files.items():
            _make_folders(path.parent)
            _write_beside(path, data, _seconds(mtime), written)
        for path in stale:
            path.unlink(missing_ok=True)
        for path in sorted(written, key=lambda path: path.suffix[1:] in SUFFIXES):
            written[path].replace(path)
            replaced = True
        for folder in {path.parent for path in files}:
            _sync_folder(folder)
    except OSError as error:
        raise _fault(path, error, replaced=replaced) from error
    finally:
        for temporary in written.values():
            with suppress(OSError):
                temporary.unlink(missing_ok=True)


def _make_folders(folder: Path) -> None:
    """Those that are not there: a web server may read them, and where root makes them the owner of the site may write."""
    for place in reversed([one for one in (folder, *folder.parents) if not one.exists()]):
        place.mkdir(exist_ok=True)
        place.chmod(0o755)
        if os.geteuid() == 0:
            owner = place.parent.stat()
            os.chown(place, owner.st_uid, owner.st_gid)


def _write_beside(path: Path, data: bytes, seconds: int, written: dict[Path, Path]) -> None:
    """The name says whose it is, so that one left by a process that was killed can be told from one being written."""
    written[path] = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.tmp")
    with written[path].open("wb") as file:
        file.write(data)
        file.flush()
        os.fchmod(file.fileno(), 0o644)  # a web server reads them, whatever the umask says
        os.utime(file.fileno(), (seconds, seconds))
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _seconds(at: datetime) -> int:
    return int(at.astimezone(UTC).timestamp())


def _fault(path: Path, error: OSError, *, replaced: bool = False) -> PublishError:
    return PublishError(str(path), error.strerror or type(error).__name__, replaced=replaced)
