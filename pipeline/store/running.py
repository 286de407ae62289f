"""Who works on this store, as far as its rows tell. On SQLite the site lock says it better."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import column, select, table

from pipeline.models import DeliveryStatus
from pipeline.store.database import Tx
from pipeline.store.schema import UtcDateTime


@dataclass(frozen=True, slots=True)
class Worker:
    """A process, by its name in leases, and when it was last seen (None: it holds claims)."""

    process: str
    seen_at: datetime | None


_RUNS = table("runs", column("id"), column("process"), column("started_at", UtcDateTime()), column("finished_at", UtcDateTime()))
_DELIVERIES = table("deliveries", column("lease"), column("status"), column("lease_until", UtcDateTime()))


def workers(tx: Tx, now: datetime) -> list[Worker]:
    """The process of the latest run, and those that hold claims still. Reads columns that every revision has."""
    query = select(_RUNS.c.process, _RUNS.c.started_at, _RUNS.c.finished_at).order_by(_RUNS.c.id.desc()).limit(1)
    found = [Worker(process, finished or started) for process, started, finished in tx.execute(query)]
    claims = (
        select(_DELIVERIES.c.lease)
        .distinct()
        .where(_DELIVERIES.c.status == DeliveryStatus.SENDING, _DELIVERIES.c.lease_until > now)
    )
    return found + [Worker(lease.partition("#")[0], None) for lease in tx.execute(claims).scalars()]
