"""The journals of dead processes, folded into the store before anything else is sent (promise 2)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from pipeline.deliver import journal
from pipeline.deliver.journal import Account
from pipeline.jobs import outcomes
from pipeline.jobs.outcomes import Outcome
from pipeline.jobs.site import Site
from pipeline.store import Tx, deliveries, editions


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
    heard = deliveries.claims_of(tx, list(account.outcomes), account.lease)
    for edition_id in sorted({claim.edition_id for claim in heard}):
        edition = editions.record(tx, edition_id)
        mine = [claim for claim in heard if claim.edition_id == edition_id]
        answers = [(claim, account.outcomes[claim.id]) for claim in mine]
        decided = [Outcome(claim, outcomes.decide(edition, claim, answer, now), answer) for claim, answer in answers]
        outcomes.write(site, tx, edition, decided, now)
    if account.whole and account.boot == journal.boot_id():
        unsent = [claim.id for claim in deliveries.held_by(tx, account.lease) if claim.id not in account.intended]
        deliveries.hand_back(tx, account.lease, unsent, now)


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()
