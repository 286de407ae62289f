"""Erase a person, in one go: rows │ mails in the outbox │ WAL and freed pages │ older copies of the store.

Only a keyed hash remains, so that no import brings them back, and the record says so, so that no restore does. What lies
elsewhere, above all backups, cannot be reached: the answer names what in the site's folder may still hold the address.
"""

from __future__ import annotations

import contextlib
import quopri
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import idna

from pipeline.compose import message
from pipeline.config import OUTBOX
from pipeline.deliver.outbox import file_name
from pipeline.errors import StoreError
from pipeline.jobs.site import Site
from pipeline.store import personal, record, runs, subscribers
from pipeline.store.erased_files import erase_in_copy, holds, is_copy, settle, spellings
from pipeline.store.personal import Mailed

_PATIENCE_SECONDS = 5.0
_PAUSE_SECONDS = 0.1
_BACKUP = "gazet-*.tar.gz"


@dataclass(frozen=True, slots=True)
class Erased:
    """What was erased. ``rows``: by table, ``mails``: files of the outbox, ``copies``: older databases in the site's folder.

    ``holding``: files there that still hold the address, ``backups``: those that nobody can look into. ``on_the_wire``: mails
    that were being sent at this moment.
    """

    rows: Counter[str]
    mails: int
    copies: tuple[str, ...]
    holding: tuple[str, ...]
    backups: tuple[str, ...]
    on_the_wire: int

    @property
    def anything(self) -> bool:
        """Whether there was anything about that address here."""
        return bool(self.rows or self.mails or self.copies)


def erase(site: Site, address: str, now: datetime) -> Erased:
    """Erase everything about the address that can be reached. Can be repeated. Raises StoreError."""
    with site.store.write() as tx:
        person = subscribers.person_at(tx, address)
        ids = personal.subscription_ids(tx, person.id) if person else []
        mails = personal.mails_to(tx, address)
        rows = personal.erase(tx, address, site.links.address_hash(address), now)
    wire = _wait_for(site, ids)
    needles = spellings(address)
    removed = _empty_outbox(site, address, mails)
    holding = [] if settle(site.store, needles) else [Path(site.store.where)]
    copies, unclean = _clean_copies(site, address, now)
    holding += [*unclean, *_holding(site, needles, {*copies, *unclean})]
    backups = [path for path in _files(site.settings.folder) if path.match(_BACKUP)]
    folder = site.settings.folder
    return Erased(rows, removed, _named(folder, copies), _named(folder, holding), _named(folder, backups), wire)


def report(site: Site, done: Erased, now: datetime) -> None:
    """Tell the operator of files that still hold what somebody erased by themselves."""
    if done.holding:
        what = f"somebody erased what is stored about them, and these files still hold their address: {', '.join(done.holding)}"
        with site.store.write() as tx:
            runs.problem(tx, "erased", what, "Delete these files, or what they hold about people.", now)


def _wait_for(site: Site, ids: list[int]) -> int:
    """A mail on the wire ends within a second, and only then is its file in the outbox; returns how many did not."""
    end = time.monotonic() + _PATIENCE_SECONDS
    while True:
        with site.store.read() as tx:
            count = personal.on_the_wire(tx, ids)
        if not count or time.monotonic() > end:
            return count
        time.sleep(_PAUSE_SECONDS)


def _empty_outbox(site: Site, address: str, mails: Iterable[Mailed]) -> int:
    """Remove the mails to this person: those that the store knew, and whatever else names the address."""
    known = {file_name(_key(site, mail)) for mail in mails}
    needles = {one.encode() for one in (address, address.casefold(), _ascii(address))}
    removed = 0
    for path in _files(site.settings.path("var") / OUTBOX):
        with contextlib.suppress(OSError):
            if path.name.partition(":")[0] in known or _names(path.read_bytes(), needles):
                path.unlink()
                removed += 1
    return removed


def _key(site: Site, mail: Mailed) -> str:
    if mail.edition is not None:
        return message.key_of(message.message_id(mail.edition, mail.subscription, mail.domain))
    return message.key_of(message.notice_id(mail.key, mail.at, site.host)) if mail.at else ""


def _ascii(address: str) -> str:
    """As it stands in a header (IDNA 2008)."""
    local, _, domain = address.rpartition("@")
    try:
        return f"{local}@{idna.encode(domain, uts46=True).decode('ascii')}"
    except idna.IDNAError:
        return address


def _names(data: bytes, needles: set[bytes]) -> bool:
    lowered = (data.lower(), quopri.decodestring(data).lower())
    return any(needle.lower() in text for needle in needles for text in lowered)


def _clean_copies(site: Site, address: str, now: datetime) -> tuple[list[Path], list[Path]]:
    """Those that held something and do not any more, and those that could not be cleaned."""
    cleaned, unclean = [], []
    for path in _files(site.settings.path("var"), without=(OUTBOX, "public", "record")):
        try:
            if is_copy(path, site.store) and erase_in_copy(path, address, site.links.address_hash(address), now):
                cleaned.append(path)
        except FileNotFoundError:  # the WAL of a copy, which is one file now
            pass
        except (StoreError, OSError):
            unclean.append(path)
    return cleaned, unclean


def _holding(site: Site, needles: tuple[bytes, ...], seen: set[Path]) -> Iterator[Path]:
    """Other files of the site's folder that hold the address, such as an export."""
    settings = site.settings
    own = [path for path in settings.folder.iterdir() if path.is_file()]
    live = Path(site.store.where).name if site.store.is_sqlite else ""
    below = [
        *_files(settings.path("var"), without=(OUTBOX, "public", record.FOLDER.rpartition("/")[2])),
        *_files(settings.path("feeds")),
    ]
    for path in [*own, *below]:
        if path in seen or (live and path.name.startswith(live) and path.parent == Path(site.store.where).parent):
            continue
        try:
            if holds(path, needles):
                yield path
        except FileNotFoundError:
            pass
        except OSError:
            yield path


def _files(folder: Path, *, without: tuple[str, ...] = ()) -> list[Path]:
    """Every file below the folder, hidden ones too, that is no link; none where there is no such folder."""
    if not folder.is_dir():
        return []
    skipped = [folder / name for name in without]
    found = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return sorted(path for path in found if not any(path.is_relative_to(one) for one in skipped))


def _named(folder: Path, paths: Iterable[Path]) -> tuple[str, ...]:
    return tuple(str(path.relative_to(folder)) if path.is_relative_to(folder) else str(path) for path in paths)
