"""Whether another reading of an item is a change: clocks, counters and rotating texts that ``lasting`` does not know move too."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum

from pipeline.collect.lasting import without_figures
from pipeline.models import CandidateItem, PastVersion

DAY = timedelta(days=1)
LOOK_BACK = timedelta(days=7)
_FIGURES_ONLY = 2
_MOST_A_DAY = 6


class Verdict(StrEnum):
    """``take`` it as an update; put it ``back`` as it was before, which is none; ``wait`` until it has been quiet for a while."""

    TAKE = "take"
    BACK = "back"
    WAIT = "wait"


def judge(stored: PastVersion, candidate: CandidateItem, past: Sequence[PastVersion], now: datetime) -> Verdict:
    """What to do with a reading that differs from the stored one; ``past``: the versions of the last week.

    One that returns to how it read within a day is put back; from then on it waits, so that what alternates comes to rest.
    What changed in nothing but figures more than twice in a week is a clock or a counter. More than six changes a day wait.
    """
    recent = {version.content_hash: version for version in past if now - version.until < DAY}
    if candidate.content_hash in recent:
        return Verdict.WAIT if stored.content_hash in recent else Verdict.BACK
    if sum(now - version.until < DAY for version in past) >= _MOST_A_DAY:
        return Verdict.WAIT
    if len(past) >= _FIGURES_ONLY:
        shape = without_figures(candidate.title, candidate.summary, candidate.content_html)
        alike = [one for one in (stored, *past) if without_figures(one.title, one.summary, one.content_html) == shape]
        if stored in alike and len(alike) > _FIGURES_ONLY:
            return Verdict.WAIT
    return Verdict.TAKE
