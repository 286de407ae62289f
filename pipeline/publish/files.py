"""Published files: always whole, and never touched without need."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from pipeline.errors import PublishError


def file_hash(path: Path) -> str | None:
    """The SHA-256 of a file's bytes in hex; None where there is no such file. Raises PublishError if it is unreadable."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _fault(path, error) from error


def write_atomic(path: Path, data: bytes, mtime: datetime) -> None:
    """Put ``data`` at ``path`` as a whole, with that modification time (in whole seconds, as HTTP shows it).

    Raises PublishError on a full disk or missing rights; the old file is whole then, and nothing is left beside it.
    """
    _replace({path: data}, mtime)


def publish_files(folder: Path, slug: str, files: Mapping[str, bytes], mtime: datetime) -> None:
    """Write ``<slug>.<extension>`` for those that are missing or differ in bytes or modification time.

    All new files are on the disk before the first old one is replaced, so that a full disk leaves every old file.
    Raises PublishError.
    """
    wanted = {folder / f"{slug}.{extension}": data for extension, data in files.items()}
    _replace({path: data for path, data in wanted.items() if not _is_current(path, data, mtime)}, mtime)


def _is_current(path: Path, data: bytes, mtime: datetime) -> bool:
    try:
        return int(path.stat().st_mtime) == _seconds(mtime) and path.read_bytes() == data
    except FileNotFoundError:
        return False
    except OSError as error:
        raise _fault(path, error) from error


def _replace(files: Mapping[Path, bytes], mtime: datetime) -> None:
    written: dict[Path, Path] = {}
    path = Path()
    try:
        for path, data in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            _write_beside(path, data, _seconds(mtime), written)
        for path, temporary in written.items():
            temporary.replace(path)
        for folder in {path.parent for path in files}:
            _sync_folder(folder)
    except OSError as error:
        raise _fault(path, error) from error
    finally:
        for temporary in written.values():
            with suppress(OSError):
                temporary.unlink(missing_ok=True)


def _write_beside(path: Path, data: bytes, seconds: int, written: dict[Path, Path]) -> None:
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    written[path] = Path(name)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fchmod(descriptor, 0o644)  # mkstemp's 0600 would keep the web server out
        os.utime(descriptor, (seconds, seconds))
        os.fsync(descriptor)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _seconds(at: datetime) -> int:
    return int(at.astimezone(UTC).timestamp())


def _fault(path: Path, error: OSError) -> PublishError:
    return PublishError(str(path), error.strerror or type(error).__name__)
