"""What the commands share: the site folder, the clock, stopping, and speaking to people and programs."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict, is_dataclass
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

import typer

from pipeline.errors import UsageError

if TYPE_CHECKING:
    from pipeline.config import Settings
    from pipeline.jobs.site import Site

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")

SiteOption = Annotated[Path | None, typer.Option("--site", metavar="DIR", help="The folder with gazet.toml.", show_default=False)]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
NowOption = Annotated[str, typer.Option("--now", metavar="ISO", help="Act as if it were this moment, as 2026-11-24T08:00.")]


def folder_of(site: Path | None) -> Path:
    """The site folder: --site, GAZET_SITE, or here."""
    return site or Path(os.environ.get("GAZET_SITE") or ".")


def open_site(site: Path | None) -> Site:
    """The site, ready for jobs; its store is closed when the process ends."""
    from pipeline import app

    opened = app.open_site(folder_of(site))
    atexit.register(opened.store.close)
    return opened


def clock_of(settings: Settings, now: str) -> Callable[[], datetime]:
    """The real clock, or one that stands at ``--now`` (in the site's zone where it names none)."""
    if not now:
        return lambda: datetime.now(UTC)
    fixed = _moment(now, settings.site.timezone)
    return lambda: fixed


def _moment(text: str, zone: str) -> datetime:
    how = "Write it as 2026-11-24T08:00 or 2026-11-24T07:00Z."
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f'--now: "{text}" is not a moment.', fix=how) from None
    if not 1971 <= moment.year <= 2199:
        raise UsageError(f"--now: the year {moment.year} is not one in which Gazet can run.", fix=how)
    return (moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(zone))).astimezone(UTC)


@contextlib.contextmanager
def stopping() -> Iterator[threading.Event]:
    """An event that SIGTERM and Ctrl-C set, so that what is on the wire can finish; a second Ctrl-C ends at once."""
    stop = threading.Event()

    def on_signal(number: int, _frame: object) -> None:
        if stop.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        stop.set()

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def say(line: str) -> None:
    """One line to the operator."""
    typer.echo(showable(line))


def warn(line: str) -> None:
    """One line that needs attention, on standard error."""
    typer.echo(showable(line), err=True)


def showable(text: str) -> str:
    """Without characters that steer a terminal: titles and replies come from strangers (promise 7)."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def print_json(value: Any) -> None:
    """One JSON document with aware ISO times."""
    typer.echo(json.dumps(_plain(value), indent=2, ensure_ascii=False))


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return _plain(asdict(value))
    if isinstance(value, dict):
        return {str(_plain(key)): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set):
        return [_plain(one) for one in value]
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, Path) else value


def local(moment: datetime | None, zone: str) -> str:
    """A moment for people, in the site's zone."""
    return f"{moment.astimezone(ZoneInfo(zone)):%a %Y-%m-%d %H:%M}" if moment else "–"


def on_terminal() -> bool:
    """Whether a person watches."""
    return sys.stderr.isatty()
