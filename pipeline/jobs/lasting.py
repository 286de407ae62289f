"""For how long something has failed: what heals by itself is no problem yet. A run that has not ended remembers since when."""

from __future__ import annotations

from datetime import datetime, timedelta

from pipeline.store import Tx, runs


def failed(tx: Tx, kind: str, about: str, now: datetime) -> timedelta:
    """It failed now; returns for how long it has done nothing else."""
    last = runs.last(tx, kind)
    if last is not None and last.finished_at is None and last.started_at <= now:
        return now - last.started_at
    runs.start(tx, kind, about, now)
    return timedelta()


def fails(tx: Tx, kind: str) -> bool:
    """Whether it failed when it was last tried."""
    last = runs.last(tx, kind)
    return last is not None and last.finished_at is None


def worked(tx: Tx, kind: str, now: datetime) -> None:
    """It does not fail any more."""
    last = runs.last(tx, kind)
    if last is not None and last.finished_at is None:
        runs.finish(tx, last.id, now, {})
