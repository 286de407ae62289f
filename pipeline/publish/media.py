"""Copies of images below var/public/media: named by what they hold, so a name never shows anything else."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Collection
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from pipeline.errors import PublishError

EXTENSIONS = {"image/jpeg": "jpg", "image/png": "png"}


def keep(folder: Path, data: bytes, media_type: str, now: datetime) -> str:
    """Store a copy, whole or not at all; returns its file below the folder, as ``ab/<hash>.jpg``. Raises PublishError."""
    name = hashlib.sha256(data).hexdigest()
    file = f"{name[:2]}/{name[:40]}.{EXTENSIONS[media_type]}"
    path = folder / file
    try:
        if path.is_file() and path.stat().st_size == len(data):
            os.utime(path, (now.timestamp(), now.timestamp()))  # it is needed now, whatever it was kept for before
        else:
            _write(path, data, now.timestamp())
    except OSError as error:
        raise PublishError(str(path), error.strerror or type(error).__name__) from error
    return file


def _write(path: Path, data: bytes, seconds: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    for folder in (path.parent, path.parent.parent):
        folder.chmod(0o755)  # a web server reads them, whatever the umask says
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), 0o644)
            os.utime(file.fileno(), (seconds, seconds))
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def remove_others(folder: Path, kept: Collection[str], before: datetime) -> None:
    """Take away what lies there and is not among ``kept``, unless it was written after ``before``. Raises PublishError."""
    for path in folder.glob("??/*"):
        try:
            if path.relative_to(folder).as_posix() not in kept and path.stat().st_mtime < before.timestamp():
                path.unlink(missing_ok=True)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise PublishError(str(path), error.strerror or type(error).__name__) from error
