"""Is what a source shows believable? A flood is held for a person, a source that reads oddly is named (pure).

A site that is rebuilt shows its whole archive as new, one that is redesigned shows less or nothing, one that broke shows the
same for months. Each of these looks like a good answer to a machine, so it is compared with what the source did before.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import dropwhile, pairwise
from statistics import median
from urllib.parse import urlsplit

from pipeline.models import CandidateItem

_FEW = 5
"""Fewer items than this prove nothing."""
_FLOOD = 8
_BURST = 10
_QUIET = 4
"""How many times its usual pace a source may be late before its silence is worth a line."""
_LEAST_SILENCE = timedelta(days=60)
_LEAST_PACE = timedelta(days=1)
_WALL = re.compile(
    r"(?:^|[/._-])(?:log-?in|sign-?in|sign-?on|sso|oauth2?|aanmelden|inloggen|anmelden|connexion|consent|cookie-?wall|captcha)"
    r"(?:$|[/._?-])",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Glance:
    """What one successful reading found: how many items, with a date, with different titles."""

    at: datetime
    found: int
    dated: int
    titles: int


@dataclass(frozen=True, slots=True)
class Past:
    """What is known of a source: ``readings`` newest first; ``arrivals`` when its newest items were first seen, newest first.

    ``read_at``: the last time it was read or unchanged, None before the first.
    """

    readings: Sequence[Glance] = ()
    arrivals: Sequence[datetime] = ()
    read_at: datetime | None = None


def summary(candidates: Sequence[CandidateItem], now: datetime) -> Glance:
    """A reading as the next ones are compared with it."""
    dated = sum(candidate.published is not None for candidate in candidates)
    return Glance(now, len(candidates), dated, len({candidate.title.casefold() for candidate in candidates}))


def judge(candidates: Sequence[CandidateItem], past: Past, now: datetime, *, asked: str, answered: str) -> str:
    """What is odd about a reading, the worst first; empty where nothing is.

    ``asked`` and ``answered`` are the addresses before and after redirects.
    """
    this = summary(candidates, now)
    return _wall(asked, answered) or _fewer(this, past) or _titles(this) or _dates(this, past) or silence(past, now)


def _wall(asked: str, answered: str) -> str:
    """A redirect to a login or consent page is answered with 200 like everything else."""
    before, after = urlsplit(asked), urlsplit(answered)
    moved = (before.netloc, before.path.rstrip("/")) != (after.netloc, after.path.rstrip("/"))
    if moved and _WALL.search(f"{after.netloc}{after.path}") and not _WALL.search(f"{before.netloc}{before.path}"):
        return f"it leads to {answered[:200]}, which looks like a login or a cookie wall"
    return ""


def _fewer(this: Glance, past: Past) -> str:
    """A third of what it used to show, of a source that showed enough to tell."""
    usual = [one.found for one in past.readings[:10]]
    if this.found == 0:
        return _nothing(past)
    if not usual:
        return ""
    middle = median(usual)
    if len(usual) >= 2 and middle > _FEW and this.found * 3 <= middle:
        return f"it shows {this.found} items where it used to show {middle:g}"
    return ""


def _nothing(past: Past) -> str:
    """No items, however long that lasts, of a source that ever showed some."""
    full = next((one for one in past.readings if one.found), None)
    if full is not None:
        return f"it shows no items; it showed {full.found} on {full.at:%d %B %Y}"
    return f"it shows no items; it showed some until {max(past.arrivals):%d %B %Y}" if past.arrivals else ""


def _titles(this: Glance) -> str:
    """A selector that took a label for the title, or a page of placeholders."""
    if this.found >= _FEW and this.titles * 3 <= this.found:
        return f"its {this.found} items have only {this.titles} different titles"
    return ""


def _dates(this: Glance, past: Past) -> str:
    """Dates that all disappeared at once; that stays odd for as long as a reading with dates is remembered."""
    before = list(dropwhile(lambda one: one.dated == 0, past.readings))[:5]
    had = [one for one in before if one.found >= 3 and one.dated * 5 >= one.found * 4]
    if this.found >= 3 and this.dated == 0 and had and len(had) == len(before):
        return f"none of its {this.found} items has a date any more"
    return ""


def silence(past: Past, now: datetime) -> str:
    """Nothing new for much longer than is usual there: at least sixty days and four times the middle gap."""
    days = sorted({at.date() for at in past.arrivals}, reverse=True)
    if len(days) < _FEW:
        return ""
    gaps = [(later - earlier).days for later, earlier in pairwise(days)]
    usual = max(timedelta(days=median(gaps)), _LEAST_PACE)
    silent = now - max(past.arrivals)
    if silent >= max(_LEAST_SILENCE, usual * _QUIET):
        return f"nothing new for {silent.days} days, though it used to bring something every {_days(usual)}"
    return ""


def _days(span: timedelta) -> str:
    return "day" if span.days <= 1 else f"{span.days} days"


def is_flood(new: Sequence[CandidateItem], found: int, past: Past, now: datetime) -> str:
    """Why most of a document being new is not believed, empty where it is: a rebuilt site shows its archive as new.

    News is dated after the last reading; a whole page of entries that are older, or undated, is not news. And a burst of
    many times the source's pace, however dated, waits for a person too. A first reading is no flood (``first_items``).
    """
    if past.read_at is None or len(new) < _FEW or len(new) * 2 <= found:
        return ""
    known_by = past.read_at - timedelta(days=2)  # dates without a time, slow editors
    stale = sum(one.published is None or one.published.at < known_by for one in new)
    if len(new) >= _FLOOD and stale * 2 > len(new):
        return f"{len(new)} of {found} items are new at once, {stale} of them older than the last reading or undated"
    return _burst(len(new), found, past, now)


def is_burst(new: Sequence[CandidateItem], found: int, past: Past, now: datetime) -> str:
    """The same for a source that is read in another way now, where what is older or undated is not mailed anyway.

    A rebuilt site dates its archive by the day of the import: that looks like news.
    """
    if past.read_at is None:
        return ""
    since = past.read_at - timedelta(days=1)
    fresh = sum(one.published is not None and one.published.at >= since for one in new)
    return _burst(fresh, found, past, now)


def _burst(new: int, found: int, past: Past, now: datetime) -> str:
    """Many times the source's pace."""
    expected = _pace(past, now) * max((now - (past.read_at or now)) / timedelta(days=1), 1.0)
    if new > max(_BURST, _QUIET * expected):
        return f"{new} of {found} items are new at once, where about {max(expected, 1):.0f} would be usual"
    return ""


def _pace(past: Past, now: datetime) -> float:
    """Items a day over the last sixty days that are known."""
    recent = [at for at in past.arrivals if now - at <= _LEAST_SILENCE]
    if not recent:
        return 0.0
    span = max((now - min(recent)) / timedelta(days=1), 1.0)
    return len(recent) / span
