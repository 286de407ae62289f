"""What lets a relay write to subscribers (promise 12): the settings a test mail was accepted with, and who answered at site.url."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, update

from pipeline.store import runs, upsert
from pipeline.store.database import Tx
from pipeline.store.schema import RelayRow, SiteRow


@dataclass(frozen=True, slots=True)
class Proof:
    """``tested_hash`` is empty before the first accepted test mail, ``answered_url`` before an address answered as this site.

    Behind the address stands for which place it did.
    ``asked_at`` is when that address was asked last, whatever it answered.
    """

    tested_hash: str
    tested_at: datetime | None
    answered_url: str
    asked_at: datetime | None


def proof(tx: Tx, name: str) -> Proof:
    """What is known of the relay of that name and of the site's address."""
    relay = tx.execute(select(RelayRow.tested_settings_hash, RelayRow.tested_at).where(RelayRow.name == name)).first()
    site = tx.execute(select(SiteRow.answered_url, SiteRow.answered_at)).first()
    return Proof(*(relay or ("", None)), *(site or ("", None)))


def answered_url(tx: Tx) -> str:
    """The address that answered as this site, and the place; "" when none did, or as another one since."""
    return tx.execute(select(SiteRow.answered_url)).scalar() or ""


def tested_hashes(tx: Tx) -> list[str]:
    """Of every relay that a test mail was ever accepted by."""
    return list(tx.execute(select(RelayRow.tested_settings_hash).where(RelayRow.tested_settings_hash != "")).scalars())


def tested(tx: Tx, name: str, settings_hash: str, now: datetime) -> None:
    """A test mail was accepted with these settings; whatever the relay could not do before, it can now."""
    runs.relay(tx, name)
    values = {"tested_settings_hash": settings_hash, "tested_at": now}
    tx.execute(update(RelayRow).where(RelayRow.name == name).values(values))
    runs.relay_works(tx, name)
    if not runs.relay(tx, name).paused:
        runs.mended(tx, f"relay:{name}", now)


def asked(tx: Tx, now: datetime) -> None:
    """The site's address was asked and did not answer as this site; an answer that it gave before still counts."""
    upsert.ignore(tx, SiteRow, [{"id": 1, "paused": False}])
    tx.execute(update(SiteRow).values(answered_at=now))


def never_asked(tx: Tx) -> None:
    """Forget when the site's address was asked last, so that it may be asked at once."""
    tx.execute(update(SiteRow).values(answered_at=None))


def answered(tx: Tx, url: str, now: datetime) -> None:
    """An address answered as this site (``url`` names the place, too); "" when it turned out to be another one's."""
    asked(tx, now)
    tx.execute(update(SiteRow).values(answered_url=url))
