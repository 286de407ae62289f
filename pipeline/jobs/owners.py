"""Whose files are: what root makes in a site belongs to whom its folder belongs to, so that the service can use it."""

from __future__ import annotations

import os
import stat
from pathlib import Path


def hand_over(path: Path) -> None:
    """Where root runs this, give the file or folder to the owner of the folder it is in."""
    if os.geteuid() == 0:
        owner = path.parent.stat()
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


def make_folder(path: Path, mode: int = 0o777) -> None:
    """The folder and those it lies in, each handed over where it is new."""
    missing = [place for place in (path, *path.parents) if not place.exists()]
    for place in reversed(missing):
        place.mkdir(mode)
        hand_over(place)


def take_after(descriptor: int, path: Path, source: Path) -> None:
    """Owner and mode of the open file as ``path`` has them, which it will replace; a new one gets the mode of ``source``."""
    like = path if path.exists() else source
    if os.geteuid() == 0:
        owner = (path if like is path else path.parent).stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(like.stat().st_mode))
