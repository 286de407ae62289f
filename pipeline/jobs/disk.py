"""What a site stands on: its disk, said before it is full, because a full one stops everything; and its record."""

from __future__ import annotations

import shutil
from datetime import datetime
from pathlib import Path

from pipeline.jobs.site import Site
from pipeline.store import record, runs
from pipeline.store.replay import newest_edition

_LITTLE, _ENOUGH = 200_000_000, 300_000_000
"""Bytes: below the first it is a problem, above the second it is none any more."""
_KEY, _RECORD = "disk", "record"
RECORD_FIX = (
    'Put it back from a backup if it was removed, then "gazet backup FILE": no older backup can be told what was sent since.'
)


def watch_disk(site: Site, now: datetime) -> None:
    """Keep the problem ``disk`` while the file system that holds ``var`` has little room, and that of the record."""
    watch_record(site, now)
    free = _free(site.settings.path("var"))
    if free is None or _LITTLE <= free < _ENOUGH:
        return
    with site.store.write() as tx:
        if free >= _ENOUGH:
            runs.mended(tx, _KEY, now)
            return
        what = f"the disk with {site.settings.folder} has less than {_LITTLE // 1_000_000} MB left"
        runs.problem(tx, _KEY, what, 'Free some space: "df -h" shows the disk, "du -sh var/*" what takes it.', now)


def watch_record(site: Site, now: datetime, *, closely: bool = False) -> None:
    """Keep the problem ``record`` while that is lost; ``closely``: also where it goes on, with what came before removed."""
    with site.store.read() as tx:
        said = any(problem.key == _RECORD for problem in runs.problems(tx))
    if not (closely or said or not record.days(site.settings.path(record.FOLDER))):
        return
    lost = record_lost(site)
    if lost or said:
        with site.store.write() as tx:
            if lost:
                runs.problem(tx, _RECORD, lost, RECORD_FIX, now)
            else:
                runs.mended(tx, _RECORD, now)


def record_lost(site: Site) -> str:
    """What is wrong, in words, where the record knows neither the newest edition nor any backup, restore or upgrade."""
    folder = site.settings.path(record.FOLDER)
    with site.store.read() as tx:
        newest = newest_edition(tx)
    if newest is None:
        return ""
    known = (record.begin_of_edition(newest), record.begin_of_mark())
    if any(record.holds(folder, day, text) for day in reversed(record.days(folder)) for text in known):
        return ""
    return f"the record {folder} does not know the newest edition: it was removed, or its disk is not there"


def _free(folder: Path) -> int | None:
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None
