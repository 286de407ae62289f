"""The disk of a site: said before it is full, because a full one stops everything."""

from __future__ import annotations

import shutil
from datetime import datetime
from pathlib import Path

from pipeline.jobs.site import Site
from pipeline.store import runs

_LITTLE, _ENOUGH = 200_000_000, 300_000_000
"""Bytes: below the first it is a problem, above the second it is none any more."""
_KEY = "disk"


def watch_disk(site: Site, now: datetime) -> None:
    """Keep the problem ``disk`` while the file system that holds ``var`` has little room."""
    free = _free(site.settings.path("var"))
    if free is None or _LITTLE <= free < _ENOUGH:
        return
    with site.store.write() as tx:
        if free >= _ENOUGH:
            runs.mended(tx, _KEY, now)
            return
        what = f"the disk with {site.settings.folder} has less than {_LITTLE // 1_000_000} MB left"
        runs.problem(tx, _KEY, what, 'Free some space: "df -h" shows the disk, "du -sh var/*" what takes it.', now)


def _free(folder: Path) -> int | None:
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None
