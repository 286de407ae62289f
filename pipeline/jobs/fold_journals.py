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
from pipeline.store import Tx, deliveries, editions
from pipeline.store.record import Became


def fold_journals(site: Site, is_dead: Callable[[str], bool | None], now: datetime) -> None:
    """Record what relays said, and queue again what surely was not sent; the rest is for ``sweep.recover`` to judge.

    A claim without an intent in a whole journal of this boot was surely not sent. After a power cut (another boot) the end
    of the file may be lost, so all that is left of the claim is in doubt. Each file goes once its transaction is committed; a
    second reading, after a crash between the two, changes nothing.
    """
    for path in journal.journals(site.settings.path(journal.FOLDER)):
        account = journal.read(path)
        if account is not None:
            if not is_dead(account.lease):
                continue
            with site.store.write() as tx:
                _fold(site, tx, account, now)
        _remove(path)


def _fold(site: Site, tx: Tx, account: Account, now: datetime) -> None:
    known = deliveries.claims_of(tx, list(account.outcomes), account.lease)
    # In a store that was put back, a number may be another delivery's.
    heard = [claim for claim in known if account.claimed.get(claim.id) == (claim.edition_id, claim.subscription_id)]
    for edition_id in sorted({claim.edition_id for claim in heard}):
        edition = editions.record(tx, edition_id)
        mine = [claim for claim in heard if claim.edition_id == edition_id]
        answers = [(claim, account.outcomes[claim.id]) for claim in mine]
        decided = [Outcome(claim, outcomes.decide(edition, claim, answer, now), answer) for claim, answer in answers]
        outcomes.write(site, tx, edition, decided, now)
    if account.whole and account.boot == journal.boot_id():
        unsent = [claim.id for claim in deliveries.held_by(tx, account.lease) if claim.id not in account.intended]
        deliveries.hand_back(tx, account.lease, unsent, now)


def facts(folder: Path) -> Iterator[Became]:
    """What the journals under ``folder`` know of deliveries that the record says were on the wire, as the record would say it."""
    for account in filter(None, map(journal.read, journal.journals(folder))):
        became = {one: _became(answer) for one, answer in account.outcomes.items()}
        if account.whole and account.boot == journal.boot_id():
            became |= dict.fromkeys(account.claimed.keys() - account.intended - became.keys(), DeliveryStatus.QUEUED)
        for one, status in became.items():
            if status is not None and one in account.claimed:
                edition, subscription = account.claimed[one]
                yield Became(status, edition, str(subscription))


def _became(answer: RelayAnswer) -> DeliveryStatus | None:
    """What surely became of a delivery: taken, or not; None: nobody knows."""
    if answer.accepted:
        return DeliveryStatus.ACCEPTED
    return None if answer.code is None and answer.handed_over else DeliveryStatus.QUEUED


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()
