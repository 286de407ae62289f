"""The whole store into another database, checked on both sides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from pipeline.errors import StoreError
from pipeline.jobs import report
from pipeline.jobs.site import Site
from pipeline.store import Store
from pipeline.store.copy import Progress, TableSum, copy_store
from pipeline.store.running import workers

_SILENT = timedelta(minutes=2)
"""gazet run is seen every 20 s; a process of another machine that was not seen for so long has ended."""


@dataclass(frozen=True, slots=True)
class Copied:
    """What went over. ``tables`` are equal on both sides; ``faults`` are those of ``gazet verify``, by edition."""

    source: str
    target: str
    tables: tuple[TableSum, ...]
    faults: tuple[str, ...]

    @property
    def rows(self) -> int:
        """Of all tables."""
        return sum(one.rows for one in self.tables)


def copy_site(site: Site, target: Store, *, progress: Progress = lambda *_: None) -> Copied:
    """Copy the site's store into an empty one and run the checks of ``gazet verify`` on both. Raises StoreError.

    The caller holds the site lock, or has called ``expect_nobody_works``.
    """
    tables = copy_store(site.store, target, hold=True, progress=progress)
    faults: list[str] = []
    for one in (site, replace(site, store=target)):
        found = report.verify(one, None)
        faults += [f"{one.store.where}: {edition.label}: {fault}" for edition in found for fault in edition.faults]
    return Copied(site.store.where, target.where, tuple(tables), tuple(faults))


def expect_nobody_works(store: Store, me: str, is_dead: Callable[[str], bool | None], now: datetime) -> None:
    """Raises StoreError when a living process works on this store, or one of another machine did so just now."""
    with store.read() as tx:
        found = workers(tx, now)
    for one in found:
        named = one.process.count("/") >= 3  # as app.process_name() does; anything else is judged by its age alone
        dead = one.process == me or (is_dead(one.process) if named else None)
        if dead is False or (dead is None and (one.seen_at is None or now - one.seen_at < _SILENT)):
            raise StoreError(
                f"Another process works on the store {store.where} ({_named(one.process)}).",
                fix="Stop every Gazet of this site; one on another machine counts as stopped 2 minutes later (killed: an hour).",
            )


def _named(process: str) -> str:
    """``host:namespace/boot/pid/start`` for a person."""
    machine, _, pid, *_ = [*process.rsplit("/", 3), "", "", ""]
    return f"pid {pid} on {machine.partition(':')[0]}"
