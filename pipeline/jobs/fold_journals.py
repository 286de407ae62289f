"""The journals of dead processes, folded into the store before anything else is sent (promise 2)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

from pipeline.deliver import journal
from pipeline.deliver.journal import Account
from pipeline.jobs import outcomes
from pipeline.jobs.outcomes import Outcome
from pipeline.jobs.site import Site
from pipeline.models import DeliveryStatus, RelayAnswer
from pipeline.store import Tx, deliveries, editions, runs
from pipeline.store.record import Became


def fold_journals(site: Site, is_dead: Callable[[str], bool | None], now: datetime) -> None:
    """Record what relays said, and queue again what surely was not sent; the rest is for ``sweep.recover`` to judge.

    A claim without an intent in a whole journal of this boot was surely not sent. After a power cut (another boot) the end
    of the file may be lost, so all that is left of the claim is in doubt. Each file goes once its transaction is committed; a
    second reading, after a crash between the two, changes nothing.
    """
    for path in journal.journals(site.settings.path(journal.FOLDER)):
        try:
            account = journal.read(path)
        except FileNotFoundError:  # its process has ended well
            continue
        except OSError as error:
            _report(site, path, error, now)
            continue
        if account is not None and not _is_over(path, account, is_dead):
            continue
        if account is not None:
            with site.store.write() as tx:
                _fold(site, tx, account, now)
        _remove(path)


def _is_over(path: Path, account: Account, is_dead: Callable[[str], bool | None]) -> bool:
    """Of a process that cannot be looked for, because it has its own names for processes, its lock on the file tells."""
    dead = is_dead(account.lease)
    return not journal.is_held(path) if dead is None else dead


def _report(site: Site, path: Path, error: OSError, now: datetime) -> None:
    what = f"the journal {path} cannot be read: {error.strerror}"
    fix = "Correct its rights; until then what was on the wire in it is taken for uncertain."
    with site.store.write() as tx:
        runs.problem(tx, f"journal:{path.name}", what, fix, now)


def _fold(site: Site, tx: Tx, account: Account, now: datetime) -> None:
    held = {claim.id: claim for claim in deliveries.held_by(tx, account.lease)}
    known = deliveries.claims_of(tx, list(account.outcomes), account.lease)
    # In a store that was put back, a number may be another delivery's. What somebody else has decided since stays, but for an
    # acceptance, which is a fact whenever it is heard of.
    mine = [claim for claim in known if account.claimed.get(claim.id) == (claim.edition_id, claim.subscription_id)]
    heard = [claim for claim in mine if claim.id in held or account.outcomes[claim.id].accepted]
    for edition_id in sorted({claim.edition_id for claim in heard}):
        edition = editions.record(tx, edition_id)
        answers = [(claim, account.outcomes[claim.id]) for claim in heard if claim.edition_id == edition_id]
        decided = [Outcome(claim, outcomes.decide(edition, claim, answer, now), answer) for claim, answer in answers]
        outcomes.write(site, tx, edition, decided, now)
    if account.whole and account.boot == journal.boot_id():
        of_claim = held.keys() & account.claimed.keys()
        deliveries.hand_back(tx, account.lease, sorted(of_claim - account.intended), now)


def facts(folder: Path) -> Iterator[Became]:
    """What the journals under ``folder`` know of deliveries that the record says were on the wire, as the record would say it."""
    for account in accounts(folder):
        became = {one: _became(answer) for one, answer in account.outcomes.items()}
        if account.whole and account.boot == journal.boot_id():
            became |= dict.fromkeys(account.claimed.keys() - account.intended - became.keys(), DeliveryStatus.QUEUED)
        for one, status in became.items():
            if status is not None and one in account.claimed:
                edition, subscription = account.claimed[one]
                yield Became(status, edition, str(subscription))


def accounts(folder: Path) -> Iterator[Account]:
    """What the journals say that can be read."""
    for path in journal.journals(folder):
        with contextlib.suppress(OSError):
            if (account := journal.read(path)) is not None:
                yield account


def _became(answer: RelayAnswer) -> DeliveryStatus | None:
    """What surely became of a delivery: taken, or not; None: nobody knows."""
    if answer.accepted:
        return DeliveryStatus.ACCEPTED
    return None if answer.code is None and answer.handed_over else DeliveryStatus.QUEUED


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()
