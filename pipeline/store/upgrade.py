"""Bringing a store up to date, with a copy of what it was beside it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pipeline.errors import StoreError
from pipeline.store import migrate, record
from pipeline.store.copy import Progress, snapshot
from pipeline.store.database import Store, bring_up_to_date, newer, schema_state
from pipeline.store.record import sync_folder


@dataclass(frozen=True, slots=True)
class Waiting:
    """The revisions a store stands at (empty: it has no tables yet) and belongs at; equal: nothing is to be done."""

    before: str
    after: str

    @property
    def pending(self) -> bool:
        """Whether there is something to do."""
        return self.before != self.after


def waiting(store: Store) -> Waiting:
    """How the store stands. Raises StoreError for a newer one."""
    state, _ = schema_state(store)
    if state is migrate.State.NEWER:
        raise newer(store)
    with store.read() as tx:
        return Waiting(migrate.revision(tx), migrate.head())


def upgrade(store: Store, folder: Path, now: datetime, *, progress: Progress = lambda *_: None) -> Path | None:
    """Bring the store up to date; returns the copy of it as it was, in ``folder`` (None: it had no tables yet).

    The copy is whole and on the disk before the first step; all steps are one transaction. Raises StoreError: the store
    is then as it was.
    """
    found = waiting(store)
    if not found.pending:
        return None
    copy = (
        _keep(store, folder / f"before-{found.after}-{now.astimezone(UTC):%Y%m%dT%H%M%SZ}.db", progress) if found.before else None
    )
    with store.write() as tx:
        record.mark(tx, record.UPGRADE, found.after)
    bring_up_to_date(store)
    return copy


def _keep(store: Store, path: Path, progress: Progress) -> Path:
    """Under its name only once it is whole: a copy that a kill left half is removed by the next one."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        for left in path.parent.glob(".before-*"):
            left.unlink()
        part = path.with_name(f".{path.name}")
        try:
            snapshot(store, part, progress=progress)
            part.rename(path)
        finally:
            part.unlink(missing_ok=True)
        sync_folder(path.parent)
    except OSError as error:
        fix = "Gazet must be able to write there; nothing was changed."
        raise StoreError(f"The store cannot be copied to {path.parent}: {error.strerror}.", fix=fix) from None
    return path
