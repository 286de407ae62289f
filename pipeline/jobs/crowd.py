"""Many lines of a CSV in one transaction: what needs no thought is looked up and written together, the rest goes one by one.

    lines │ by person │ known? suppressed? │ plain ones: decide in memory, write at the end │ others: ``join``, in their order

Plain is who joins a feed anew, stays as they are, changes rhythm or choice, or stays away. Whoever comes twice for one feed,
changes name, leaves or is confirmed here goes through ``join``, where those rules are. What becomes of a line depends on the
lines of the same person alone, so both ways come to the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Protocol

from pipeline.models import SubscriptionStatus
from pipeline.store import Tx, crowd
from pipeline.store.crowd import Known, Newcomer, NewSubscription, Standing
from pipeline.store.subscribers import OPTED_OUT, fold

if TYPE_CHECKING:
    from datetime import datetime

    from pipeline.jobs.people import WantedSubscription

_PLAIN = (SubscriptionStatus.ACTIVE, SubscriptionStatus.PENDING, *OPTED_OUT)


class Desk(Protocol):
    """Where one line after the other joins, and what it knows of a feed."""

    def join(self, wish: WantedSubscription) -> str:
        """Store one line by all the rules; returns what was done."""

    def arrangement(self, wish: WantedSubscription) -> tuple[int, int]:
        """The schedule and the choice of this wish."""

    def begin(self, person: int, wish: WantedSubscription) -> NewSubscription:
        """The subscription that this wish begins for that subscriber, not yet written."""


class Crowd:
    """The people of one batch; ``take`` them all, then ``write``."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.newcomers: list[Newcomer] = []
        self.beginning: list[NewSubscription] = []
        self.moving: list[tuple[int, int, int]] = []
        self.done: Counter[str] = Counter()

    def write(self, tx: Tx, now: datetime) -> None:
        """What was decided, in a statement a table."""
        crowd.add(tx, self.newcomers, self.beginning, now)
        crowd.rearrange(tx, self.moving, now)

    def take(self, folded: str, wishes: Sequence[WantedSubscription], known: Known | None) -> None:
        """All lines of one plain person."""
        person = known.id if known else self._newcomer(folded, wishes)
        for wish in wishes:
            standing = known.subscriptions.get(wish.feed) if known else None
            opt_out = wish.status in OPTED_OUT
            if standing is None:
                self.beginning.append(self.desk.begin(person, wish))
                self.done["opted out" if opt_out else "added"] += 1
            elif standing.status in OPTED_OUT:
                self.done["opted out" if opt_out else "left before"] += 1
            else:
                self.done[self._arrange(standing, wish)] += 1

    def _newcomer(self, folded: str, wishes: Sequence[WantedSubscription]) -> int:
        name = next((wish.name for wish in reversed(wishes) if wish.name), "")
        made = Newcomer(wishes[0].address, folded, name)
        self.newcomers.append(made)
        return made.id

    def _arrange(self, standing: Standing, wish: WantedSubscription) -> str:
        arrangement = self.desk.arrangement(wish)
        if arrangement == (standing.schedule_id, standing.choice_id):
            return "unchanged"
        self.moving.append((standing.id, *arrangement))
        return "changed"


def join_all(
    tx: Tx, desk: Desk, hash_of: Callable[[str], str], wishes: Iterable[WantedSubscription], now: datetime
) -> Counter[str]:
    """Add or change all these subscriptions; returns how many came to what, in ``join``'s words."""
    people: dict[str, list[WantedSubscription]] = {}
    for wish in wishes:
        people.setdefault(fold(wish.address), []).append(wish)
    known = crowd.look_up(tx, list(people))
    hashes = {folded: hash_of(mine[0].address) for folded, mine in people.items()}
    away = crowd.suppressed(tx, list(hashes.values()))
    plain, others = Crowd(desk), []
    for folded, mine in people.items():
        if hashes[folded] in away and not any(wish.status in OPTED_OUT for wish in mine):
            plain.done["left before"] += len(mine)
        elif hashes[folded] in away or not _is_plain(mine, known.get(folded)):
            others += mine
        else:
            plain.take(folded, mine, known.get(folded))
    plain.write(tx, now)
    return plain.done + Counter(desk.join(wish) for wish in others)


def _is_plain(wishes: Sequence[WantedSubscription], known: Known | None) -> bool:
    """Whether what becomes of each line can be told without the others."""
    if len({wish.feed for wish in wishes}) < len(wishes) or any(wish.status not in _PLAIN for wish in wishes):
        return False
    return known is None or all(_is_plain_for(wish, known) for wish in wishes)


def _is_plain_for(wish: WantedSubscription, known: Known) -> bool:
    if wish.name and wish.name != known.name:
        return False
    standing = known.subscriptions.get(wish.feed)
    if standing is None or standing.status in OPTED_OUT:
        return True
    leaves = wish.status in OPTED_OUT
    begins = standing.status is SubscriptionStatus.PENDING and wish.status is SubscriptionStatus.ACTIVE
    return not leaves and not begins
