"""An edition that was opened or begun as a rehearsal never reaches people unasked, once there is a relay (promise 12)."""

from __future__ import annotations

from datetime import datetime
from urllib.parse import urlsplit

from pipeline.config import OUTBOX
from pipeline.jobs.site import Site
from pipeline.jobs.trust import is_example
from pipeline.models import EditionStatus
from pipeline.store import Tx, deliveries, editions, runs
from pipeline.store.editions import EditionRecord

GOES_ON = "goes on by hand"
"""The reason of an edition of which a person said that a relay may finish what the outbox began."""


def keep_back(site: Site, now: datetime) -> None:
    """Pause such editions, each with a problem that says why, where the relay in use reaches people."""
    if all(relay.on_loopback for relay in site.settings.relay[:1]):
        return
    with site.store.read() as tx:
        found = [(one, why_not(tx, one)) for one in editions.open_editions(tx, EditionStatus.SENDING)]
    for edition, (why, fix) in found:
        if why:
            with site.store.write() as tx:
                editions.set_status(tx, edition.id, EditionStatus.PAUSED, why)
                runs.problem(tx, f"edition:{edition.label}", f"edition {edition.label} was paused: {why}", fix, now)


def why_not(tx: Tx, edition: EditionRecord) -> tuple[str, str]:
    """Why it must not go on by itself, and what to do; both empty when it may."""
    cancel = f'"gazet cancel {edition.label}" puts what is open into the next digest.'
    if leads_nowhere(edition):
        return "it was opened while site.url was an example, so no link in its mails works", cancel
    if edition.reason != GOES_ON and deliveries.first_accepted_by(tx, edition.id) == OUTBOX:
        fix = f'"gazet resume {edition.label}" sends the rest to people; {cancel}'
        return "the outbox took some of its mails, so it was begun as a rehearsal", fix
    return "", ""


def leads_nowhere(edition: EditionRecord) -> bool:
    """Whether the links in its mails, frozen when it was opened, are examples."""
    return is_example(urlsplit(edition.base_url).hostname or "")
