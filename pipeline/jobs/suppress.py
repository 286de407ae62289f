"""Addresses that an operator never wants to write to again."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pipeline.config import valid_address
from pipeline.errors import UsageError
from pipeline.jobs.site import Site
from pipeline.models import SubscriptionStatus
from pipeline.shown import one_line
from pipeline.store import subscribers, suppressions
from pipeline.store.subscribers import OPTED_OUT

_BATCH = 500
_LONGEST_REASON = 200
_HASH = re.compile(r"[0-9a-f]{64}")
_HASH_COLUMN = "hash of "


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


def listed(site: Site) -> Iterator[tuple[str, str, str]]:
    """The list as lines of a CSV, its header first: hash, reason, since when. The header's mark tells this site's hashes apart."""
    yield _mark(site), "reason", "since"
    with site.store.read() as tx:
        found = suppressions.listed(tx)
    yield from ((one.address_hash, one.reason, one.created_at.isoformat()) for one in found)


def take_back(site: Site, rows: Iterable[Sequence[str]], now: datetime) -> Suppressed:
    """Put hashes of such a list back on it, 500 a transaction. Raises UsageError for a list of another site, or none at all."""
    given, done = iter(rows), Suppressed()
    header = next(given, [""])
    if not header or header[0] != _mark(site):
        what = "this list is of another site" if header and header[0].startswith(_HASH_COLUMN) else "this is no list of hashes"
        fix = 'Hashes mean something only to the site that made them. "gazet suppressions add FILE" takes addresses.'
        raise UsageError(f"{what}.", fix=fix)
    batch: list[tuple[str, str]] = []
    for number, row in enumerate(given, 2):
        if not row or not _HASH.fullmatch(row[0]):
            done.refused.append((number, "is no hash"))
            continue
        batch.append((row[0], one_line(row[1])[:_LONGEST_REASON] if len(row) > 1 else ""))
        if len(batch) == _BATCH:
            _take_back(site, batch, now, done)
            batch = []
    _take_back(site, batch, now, done)
    return done


def _take_back(site: Site, batch: Sequence[tuple[str, str]], now: datetime, done: Suppressed) -> None:
    with site.store.write() as tx:
        for hashed, reason in batch:
            known = suppressions.find(tx, hashed) is not None
            done.known, done.added = done.known + known, done.added + (not known)
            if not known:
                subscribers.suppress(tx, hashed, reason or "imported", now)


def _mark(site: Site) -> str:
    return f"{_HASH_COLUMN}{site.links.address_hash('')[:16]}"
