"""Noticing that a file of the settings was edited, without reading it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

Fingerprint = tuple[tuple[str, int, int, int], ...]
"""Name, modification time in ns, size and inode of each file, by name. A folder that cannot be listed has an entry too."""


def fingerprint(folder: Path, others: Iterable[str] = ()) -> Fingerprint:
    """Of ``gazet.toml``, the feeds, the site's templates, and the ``others`` that the settings name; missing ones are left out."""
    names = {"gazet.toml", *_listed(folder, "feeds"), *_below(folder, "templates"), *others}
    return tuple(sorted(entry for name in names if (entry := _entry(folder, name))))


def _listed(folder: Path, name: str) -> Iterator[str]:
    try:
        found = (path.name for path in (folder / name).iterdir())
        yield from (f"{name}/{entry}" for entry in found if entry.endswith(".toml") and not entry.startswith("."))
    except OSError as error:
        yield f"{name}/.{error.errno}"


def _below(folder: Path, name: str) -> Iterator[str]:
    for place, _folders, files in os.walk(folder / name):
        yield from (os.path.relpath(Path(place) / file, folder) for file in files)


def _entry(folder: Path, name: str) -> tuple[str, int, int, int] | None:
    try:
        status = (folder / name).stat()
    except OSError as error:
        return (name, 0, error.errno or 0, 0) if name.startswith("feeds/.") else None
    return (name, status.st_mtime_ns, status.st_size, status.st_ino)
