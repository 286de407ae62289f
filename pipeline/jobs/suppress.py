"""Addresses that an operator never wants to write to again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pipeline.config import valid_address
from pipeline.jobs.site import Site
from pipeline.models import SubscriptionStatus
from pipeline.shown import one_line
from pipeline.store import subscribers, suppressions
from pipeline.store.subscribers import OPTED_OUT

_BATCH = 500
_LONGEST_REASON = 200


@dataclass(slots=True)
class Suppressed:
    """What was done: how many are new on the list or were on it, subscriptions that ended, and (line, why it is no address)."""

    added: int = 0
    known: int = 0
    ended: int = 0
    refused: list[tuple[int, str]] = field(default_factory=list)


def add(site: Site, lines: Sequence[str], reason: str, now: datetime) -> Suppressed:
    """Put the address of each line on the list, 500 a transaction; empty lines are passed over."""
    done, addresses = Suppressed(), []
    for number, line in enumerate(lines, 1):
        if not (text := line.strip()):
            continue
        try:
            addresses.append(valid_address(text))
        except ValueError as error:
            done.refused.append((number, str(error)))
    for start in range(0, len(addresses), _BATCH):
        _add(site, addresses[start : start + _BATCH], one_line(reason)[:_LONGEST_REASON], now, done)
    return done


def _add(site: Site, addresses: Sequence[str], reason: str, now: datetime, done: Suppressed) -> None:
    with site.store.write() as tx:
        for address in addresses:
            hashed = site.links.address_hash(address)
            known = suppressions.find(tx, hashed) is not None
            done.known, done.added = done.known + known, done.added + (not known)
            if not known:
                subscribers.suppress(tx, hashed, reason, now)
            for one in list(subscribers.records(tx, address=address)):
                if one.status not in OPTED_OUT:
                    subscribers.leave(tx, one.id, SubscriptionStatus.UNSUBSCRIBED, now)
                    subscribers.add_consent(tx, one.id, "left", f"suppressed by the operator: {reason}", now)
                    done.ended += 1
