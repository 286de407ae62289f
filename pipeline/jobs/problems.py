"""Keeping what went wrong until it is mended, so that it is known, said once, and stops nothing else (promise 6)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import datetime

from pipeline.errors import GazetError, SendRefusedError
from pipeline.jobs.site import Site
from pipeline.store import runs
from pipeline.store.runs import ProblemRecord


@contextlib.contextmanager
def noted(site: Site, key: str, now: datetime, *, mends: bool = True) -> Iterator[None]:
    """Records what the body raises under ``key`` and raises it again; a body that ends well mends the problem.

    ``mends`` off: the body does that itself, in a transaction that it has anyway.
    """
    try:
        yield
    except SendRefusedError:  # kept under a key of its own by what refused: jobs/trust.py
        raise
    except GazetError as error:
        _record(site, key, error.what, error.fix, now)
        raise
    except Exception as error:
        _record(
            site, key, f"{key} failed unexpectedly: {error!r}", "Please report this with the log: it is a mistake in Gazet.", now
        )
        raise
    if mends:
        with site.store.write() as tx:
            runs.mended(tx, key, now)


def fresh(site: Site, now: datetime) -> list[ProblemRecord]:
    """What needs a person and was not said by an earlier run; from now on it counts as said."""
    with site.store.write() as tx:
        return runs.report(tx, now)


def _record(site: Site, key: str, what: str, fix: str, now: datetime) -> None:
    # When the store itself is what failed (a full disk), the error that is on its way says so already.
    with contextlib.suppress(GazetError), site.store.write() as tx:
        runs.problem(tx, key, what, fix, now)
