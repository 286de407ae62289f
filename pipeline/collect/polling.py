"""When to ask a source again, with which validators, and at which address. Pure.

The settings' interval is a floor: a max-age or ttl below it permits more requests, it does not ask for them. By default it
is an hour, so that nobody is asked more often than hourly unless the settings say so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from hashlib import sha256

from pipeline.models import PollHints

BY_SETTINGS = ", as the settings say"
"""How ``why`` ends where nothing but the settings' interval counts."""
_MINUTE = timedelta(minutes=1)
_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)
_WEEK = timedelta(days=7)
_LONGEST = timedelta(days=8)
_AS_SPREAD = timedelta(minutes=10)
_REPEATS = 3
_AGE = re.compile(r"max-age\s*+=\s*+\"?([0-9]{1,18})", re.IGNORECASE)
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@dataclass(frozen=True, slots=True)
class PollHistory:
    """What is known when an answer has come, or none has.

    ``every``: the settings' interval. ``failures`` in a row, this one included; ``status`` of this answer, 0: none;
    ``retry_after`` in seconds, 0: not said. ``seed``: the source's address, by which sources that failed together come back
    apart.
    """

    every: timedelta
    failures: int = 0
    status: int = 0
    retry_after: float = 0.0
    seed: str = ""


@dataclass(frozen=True, slots=True)
class NextPoll:
    """``when`` (UTC) a source is due again, and ``why`` then, as one clause."""

    when: datetime
    why: str


@dataclass(frozen=True, slots=True)
class Known:
    """What is remembered of a source's answers. ``whole_at``: of the last unconditional request, None: there was none.

    ``repeats``: see ``repeats_after``. ``settings_changed``: the same bytes would be read differently now.
    """

    etag: str = ""
    last_modified: str = ""
    whole_at: datetime | None = None
    repeats: int = 0
    settings_changed: bool = False


@dataclass(frozen=True, slots=True)
class Ask:
    """The validators to send, byte for byte, and ``why`` these."""

    etag: str
    last_modified: str
    why: str

    @property
    def conditional(self) -> bool:
        """False: the whole document is asked for."""
        return bool(self.etag or self.last_modified)


@dataclass(frozen=True, slots=True)
class Move:
    """Where all permanent redirects led, and since when they do. Empty: nowhere."""

    to: str = ""
    since: datetime | None = None


def next_poll(history: PollHistory, headers: Mapping[str, str], hints: PollHints, now: datetime) -> NextPoll:
    """When a source is due again: later than ``now``, at most eight days.

    The longest of: the settings' interval, twice as long after each further failure (up to a day); what the answer's caching
    headers (also of a 304) and the document itself ask for (at most a day more than the interval); Retry-After (at most a
    week). Then the hours and days that the document wants to be left alone are passed over. ``headers``: names in lower case.
    """
    every = min(max(history.every, _MINUTE), _WEEK)
    waits = [_by_failures(history, every) if history.failures else (every, f"{_rhythm(every)}{BY_SETTINGS}")]
    waits += [_capped(wait, why, every) for wait, why in (_by_server(headers, now), _by_document(hints))]
    if history.retry_after > 0:
        asked = timedelta(seconds=min(history.retry_after, _WEEK.total_seconds()))
        waits.append((asked, f"it asked for {_span(asked)} by Retry-After"))
    wait, why = max(waits, key=lambda one: one[0])  # of equal ones the first, which is the settings'
    return _passing_over(NextPoll(now + wait, why), hints, history.seed, now)


def _by_failures(history: PollHistory, every: timedelta) -> tuple[timedelta, str]:
    longest = max(every, _DAY)
    spread = _share(f"{history.seed} {history.failures}") / 10
    doubled = min(every * 2 ** min(history.failures - 1, 20), longest)
    wait = max(every, min(doubled * (1 + spread), longest * (0.9 + spread)))
    nth = f"{_ordinal(history.failures)} failure"
    if history.status == 410:
        return wait, f"{nth}: the source says that it is gone for good"
    if doubled >= longest:
        return wait, f"{nth}: {_rhythm(longest)} until it is back"
    return wait, f"{nth}: " + ("once more after the usual time" if history.failures == 1 else "twice as long each time")


def _by_server(headers: Mapping[str, str], now: datetime) -> tuple[timedelta, str]:
    """How long the answer stays fresh (RFC 9111 section 4.2); nothing where the server says no-cache or no-store."""
    control = headers.get("cache-control", "").lower()
    if any(part.strip() in ("no-cache", "no-store") for part in control.split(",")):
        return timedelta(0), ""
    if found := _AGE.search(control):
        wait = _seconds(found[1]) - _seconds(headers.get("age", ""))
        return wait, f"the server's max-age says {_span(wait)}"
    expires = _http_date(headers.get("expires", ""))
    if expires is None:
        return timedelta(0), ""
    wait = expires - (_http_date(headers.get("date", "")) or now)
    return wait, f"the server's Expires says {_span(wait)}"


def _by_document(hints: PollHints) -> tuple[timedelta, str]:
    wait = hints.at_least or timedelta(0)
    return wait, f"the document itself asks for {_span(wait)} (ttl or updatePeriod)"


def _capped(wait: timedelta, why: str, every: timedelta) -> tuple[timedelta, str]:
    """A year must not silence a source, be it meant or not."""
    if wait <= every + _DAY:
        return wait, why
    return every + _DAY, f"{why}; that is shortened to {_span(every + _DAY)}"


def _passing_over(poll: NextPoll, hints: PollHints, seed: str, now: datetime) -> NextPoll:
    """The first moment from then on that is in no skipHours and skipDays (RSS 2.0, UTC); all hours or all days are no wish."""
    hours = hints.skip_hours if len(hints.skip_hours & frozenset(range(24))) < 24 else frozenset()
    days = hints.skip_days if len(hints.skip_days & frozenset(range(7))) < 7 else frozenset()
    when, why = poll.when.astimezone(UTC), poll.why
    while when.hour in hours or when.weekday() in days:
        skips_day = when.weekday() in days
        why = f"no polls on {_DAYS[when.weekday()]} (skipDays)" if skips_day else f"no polls at {when.hour}:00 UTC (skipHours)"
        start = when.replace(minute=0, second=0, microsecond=0)
        when = start.replace(hour=0) + _DAY if skips_day else start + _HOUR
    if when == poll.when:
        return poll
    when += _AS_SPREAD * _share(seed)
    return NextPoll(when, why) if when <= now + _LONGEST else poll


def to_ask(known: Known, now: datetime) -> Ask:
    """Which validators to send now.

    None with the first request, when the settings have changed, and once a day: WordPress gives a post with a past date no
    new validators. One alone where both together were answered with the same bytes again and again: behind some proxies one
    of them never matches.
    """
    etag, modified = known.etag, known.last_modified
    if known.whole_at is None:
        return Ask("", "", "the first request")
    if known.settings_changed:
        return Ask("", "", "the settings have changed")
    if not etag and not modified:
        return Ask("", "", "the source gave no validators")
    if not timedelta(0) <= now - known.whole_at < _DAY:  # a clock that was put back must not postpone it for ever
        return Ask("", "", "once a day without conditions, to see what validators do not show")
    if not (etag and modified) or known.repeats < _REPEATS:
        return Ask(etag, modified, "only if it has changed")
    why = f"{known.repeats} times the same bytes though it was asked for changes"
    ways = (
        Ask("", modified, f"{why}: Last-Modified alone"),
        Ask(etag, "", f"{why}: ETag alone"),
        Ask(etag, modified, f"{why}: both again"),
    )
    return ways[(known.repeats - _REPEATS) % len(ways)]


def repeats_after(known: Known, asked: Ask, *, not_modified: bool, same_bytes: bool) -> int:
    """How often in a row a conditional request brought the same bytes all the same, after one more answer.

    Once validators are tried alone the number stays where it is as long as that works, for ``to_ask`` chooses by it.
    """
    if not asked.conditional:
        return known.repeats
    if not not_modified and same_bytes:
        return known.repeats + 1 if known.repeats < 1_000_000 else _REPEATS
    return known.repeats if known.repeats >= _REPEATS else 0


def settled_move(moved_to: str, since: datetime | None, now: datetime) -> str:
    """The address to ask instead, once the permanent redirect there has held for a week; before that empty."""
    return moved_to if moved_to and since is not None and now - since >= _WEEK else ""


def move_after(move: Move, asked: str, moved_to: str, now: datetime) -> Move:
    """What is remembered after an answer to a request to ``asked`` that led to ``moved_to`` (``Fetched.moved_to``).

    An answer of the remembered address itself, without a further redirect, confirms it. After a failure there, remember
    nothing (``Move()``): the next request then begins at the source's own address.
    """
    if moved_to and moved_to != move.to:
        return Move(moved_to, now)
    return move if moved_to or asked == move.to else Move()


def _seconds(text: str) -> timedelta:
    """Of a header's number; more than a century is a century."""
    digits = text.strip()
    known = digits.isascii() and digits.isdigit()
    return timedelta(seconds=min(int(digits[:18]), 3_155_760_000) if known else 0)


def _http_date(value: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(value)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def _share(text: str) -> float:
    """From 0 to less than 1, always the same for the same text."""
    return int.from_bytes(sha256(text.encode("utf-8", "surrogatepass")).digest()[:4]) / 2**32


def _rhythm(every: timedelta) -> str:
    return {_HOUR: "hourly", _DAY: "daily", _WEEK: "weekly"}.get(every, f"every {_span(every)}")


def _span(length: timedelta) -> str:
    """Its two largest units, such as "6 h", "1 d 2 h", "45 s"."""
    left, parts = max(0, int(length.total_seconds())), []
    for unit, seconds in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, left = divmod(left, seconds)
        if count:
            parts.append(f"{count:,} {unit}")
    return " ".join(parts[:2]) or "0 s"


def _ordinal(number: int) -> str:
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th") if number % 100 not in (11, 12, 13) else "th"
    return f"{number}{ending}"
