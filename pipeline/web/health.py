"""Whether the site is well, in a word for machines: ``/healthz``. It names the site, and nothing that is secret."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from pipeline.errors import StoreError
from pipeline.jobs.site import Site
from pipeline.store import runs

RECENT = timedelta(minutes=5)
"""A tick begins every 20 s, and waits 60 s for its collects at most."""


@dataclass(frozen=True, slots=True)
class Health:
    """``well``: 200, else 503 with the reason. ``problems``: how many things need a person; they do not make it unwell."""

    well: bool
    reason: str
    problems: int
    last_tick: datetime | None

    def body(self, mark: str) -> dict[str, object]:
        """The answer as JSON; ``mark`` tells this site from any other."""
        return {
            "site": mark,
            "status": "ok" if self.well and not self.problems else "attention",
            "reason": self.reason,
            "problems": self.problems,
            "last_tick": self.last_tick.isoformat(timespec="seconds") if self.last_tick else None,
        }


def health(site: Site, now: datetime) -> Health:
    """How it is. Ticks must go on where ``gazet run`` made them; after ``run --once`` the next one comes when cron wants."""
    try:
        with site.store.read() as tx:
            last, finished = runs.last(tx, "tick"), runs.last_finished(tx, "tick")
            problems = len(runs.problems(tx))
    except StoreError:
        return Health(False, "the store does not answer", 0, None)
    if last is None:
        return Health(True, "nothing has run yet", problems, None)
    goes_on = finished is None or bool(finished.detail.get("standing"))
    late = now - max(last.started_at, last.finished_at or last.started_at) > RECENT
    return Health(not (goes_on and late), "the last tick is too long ago" if goes_on and late else "", problems, last.started_at)
