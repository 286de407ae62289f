"""Which keys sign a mail: those of ``[[dkim]]`` for the domain in its From; for an edition those that it was opened with.

An edition whose keys are no longer there is paused: it never goes out unsigned, nor signed by others (promise 3).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from pipeline.compose.message import Template
from pipeline.config import Settings
from pipeline.errors import GazetError
from pipeline.jobs.site import Site
from pipeline.models import EditionStatus, Personal
from pipeline.store import editions, runs
from pipeline.store.editions import EditionRecord

if TYPE_CHECKING:
    from pipeline.compose.dkim import Key, Signer
    from pipeline.jobs.signing_pool import SigningPool

_WORTH_PROCESSES = 1000
"""Deliveries; RSA takes a quarter of a second for so many."""
_MOST_PROCESSES = 8


class KeyGoneError(GazetError):
    """A key that an edition was opened with is not there, or another one is in its place."""


class Fillable(Protocol):
    """A message for many, taken apart once; ``plain`` as of ``compose.message.Template``."""

    plain: bool

    def fill(self, personal: Personal) -> bytes:
        """The exact message for one delivery."""


def mark(settings: Settings, sender: str) -> str:
    """What an edition from ``sender`` (an address, or with a name) remembers of the keys that sign it; "" for none."""
    found = _signer(settings, sender)
    return found.mark if found else ""


def template(settings: Settings, edition_mark: str, data: bytes, pool: SigningPool | None = None) -> Fillable:
    """A stored variant, ready to be filled and signed with the keys of its edition. Raises KeyGoneError without one of them."""
    if not edition_mark:
        return Template(data)
    from pipeline.compose.dkim import Key, Signed

    return Signed(Template(data), _frozen(settings, edition_mark), pool.sign if pool else Key.sign)


def pool_for(settings: Settings, waiting: Sequence[EditionRecord]) -> SigningPool | None:
    """Processes that sign with the RSA keys of these editions, where so much is to be signed that they are worth their start."""
    many = [edition.dkim for edition in waiting if edition.dkim and edition.audience >= _WORTH_PROCESSES]
    if not many or (processes := min(os.cpu_count() or 1, _MOST_PROCESSES)) < 2:
        return None
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    from pipeline.jobs.signing_pool import SigningPool

    found = {key: None for each in many for key in _frozen(settings, each).keys if isinstance(key.private, RSAPrivateKey)}
    with contextlib.suppress(OSError):  # no more processes here: the threads sign themselves
        return SigningPool(list(found), processes) if found else None
    return None


def signed(settings: Settings, sender: str, data: bytes) -> bytes:
    """A finished message as it goes out: with signatures where there is a key for its sender's domain."""
    found = _signer(settings, sender)
    if found is None:
        return data
    from pipeline.compose.dkim import sign

    return sign(data, found)


def able(site: Site, waiting: Sequence[EditionRecord], now: datetime) -> list[EditionRecord]:
    """The editions whose keys are there; each of the others is paused with a problem that says so."""
    found = []
    for edition in waiting:
        try:
            if edition.dkim:
                _frozen(site.settings, edition.dkim)
            found.append(edition)
        except KeyGoneError as error:
            _pause(site, edition, error, now)
    return found


def _pause(site: Site, edition: EditionRecord, error: KeyGoneError, now: datetime) -> None:
    what = f"edition {edition.label} was paused: {error.what}"
    then = f'then "gazet resume {edition.label}"; if it is lost, "gazet cancel {edition.label}" leaves its items to the next.'
    with site.store.write() as tx:
        editions.set_status(tx, edition.id, EditionStatus.PAUSED, error.what)
        runs.problem(tx, f"edition:{edition.label}", what, f"{error.fix}, {then}", now)


def _signer(settings: Settings, sender: str) -> Signer | None:
    if not settings.dkim:
        return None
    from pipeline.compose.dkim import Signer, domain_of

    domain = domain_of(sender)
    found = keys(settings, domain)
    return Signer(domain, tuple(found)) if found else None


def keys(settings: Settings, domain: str) -> list[Key]:
    """The keys that sign for that domain, in the order of the settings."""
    if not settings.dkim:
        return []
    from pipeline.compose.dkim import Key
    from pipeline.config.signing_key import parse_key

    tables = [table for table in settings.dkim if table.domain in ("", domain)]
    return [Key(table.selector, parse_key(settings.dkim_keys[table.key_file].get_secret_value())) for table in tables]


def _frozen(settings: Settings, edition_mark: str) -> Signer:
    from pipeline.compose.dkim import Signer

    domain, *wanted = edition_mark.split(" ")
    here = {key.mark: key for key in keys(settings, domain)}
    if gone := [one.partition(":")[0] for one in wanted if one not in here]:
        names = " and ".join(gone)
        raise KeyGoneError(
            f"its mails are signed with the DKIM key {names} of {domain}, which is no longer in the settings",
            fix="Put that key and its [[dkim]] back into gazet.toml",
        )
    return Signer(domain, tuple(here[one] for one in wanted))
