"""A line of the doctor's, and running many checks at the same time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from pipeline.errors import GazetError

_OFF = timedelta(seconds=60)
_FAR_OFF = timedelta(minutes=10)


class Level(StrEnum):
    """``note``: works, but a person may want to know. ``fail``: something does not work, or will not when it is needed."""

    OK = "ok"
    NOTE = "note"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Check:
    """What was looked at, how it is, and what to do about it."""

    name: str
    level: Level
    text: str
    fix: str = ""


Look = Callable[[], list[Check]]


def ok(name: str, text: str) -> Check:
    """All is well."""
    return Check(name, Level.OK, text)


def note(name: str, text: str, fix: str = "") -> Check:
    """Nothing is broken, but worth a line."""
    return Check(name, Level.NOTE, text, fix)


def fail(name: str, text: str, fix: str) -> Check:
    """Needs a person."""
    return Check(name, Level.FAIL, text, fix)


def clock(date: datetime | None, host: str, now: datetime) -> list[Check]:
    """Another machine's clock against this one's; nothing where it did not say."""
    if date is None:
        return []
    off = abs(now - date)
    text = f"{off.total_seconds():.0f} s from that of {host}"
    fix = "Set this machine's clock with NTP (timedatectl set-ntp true)."
    if off > _FAR_OFF:
        return [fail("clock", text, fix)]
    return [note("clock", text, fix) if off > _OFF else ok("clock", text)]


def side_by_side(looks: Mapping[str, Look], seconds: float) -> list[Check]:
    """All results in the order given; what has not ended after so many seconds is left behind with a note.

    Daemon threads, because Python would wait at its end for others, and some calls (name resolution) have no time limit.
    """
    results: dict[str, list[Check]] = {}
    threads = [threading.Thread(target=_run, args=(name, look, results), daemon=True) for name, look in looks.items()]
    for thread in threads:
        thread.start()
    end = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    return [one for name in looks for one in results.get(name) or _late(name, name in results)]


def _late(name: str, ended: bool) -> list[Check]:
    return [] if ended else [note(name, "was not done in time", "Try again; if it stays so, what it looks at hangs.")]


def _run(name: str, look: Look, results: dict[str, list[Check]]) -> None:
    try:
        results[name] = look()
    except GazetError as error:
        results[name] = [fail(name, error.what, error.fix)]
    except Exception as error:  # a doctor who falls ill over one patient helps nobody
        results[name] = [note(name, f"could not be looked at: {error!r}", "Please report this: it is a mistake in Gazet.")]
