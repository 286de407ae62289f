"""The record: the facts that must outlive the database, in files beside it (promise 11).

    var/record/2026-11-24     one line a transaction: {"t": "07:00:03.120482", "facts": [[kind, value, …], …]}

A line is written and synced before its transaction commits, so whatever was committed is here. The reverse need not hold: a
process may die between the two. Facts carry identities and keyed hashes, never an address or a name. The day is that of the
machine's clock, in UTC: ``now`` may stand still or lie elsewhere.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

from sqlalchemy import Connection

from pipeline.errors import StoreError
from pipeline.models import DeliveryStatus, SubscriptionStatus

FOLDER = "var/record"
BACKUP = "backup"
RESTORE = "restore"
UPGRADE = "upgrade"
PERSON = "person"
_NOTES = "gazet_notes"
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_VOID = b'{"void":'
_KEPT = 90
_TAIL = 1_000_000


@dataclass(frozen=True, slots=True)
class EditionOpened:
    """Times are ISO texts in UTC; ``domain`` is that of its Message-IDs."""

    kind: ClassVar[str] = "edition"
    edition: int
    feed: str
    due_at: str
    opened_at: str
    label: str
    domain: str


@dataclass(frozen=True, slots=True)
class Queued:
    """Deliveries as an edition was opened with them; ``subscriptions`` are identities with commas between them."""

    kind: ClassVar[str] = "queued"
    edition: int
    from_seq: int
    to_seq: int
    subscriptions: str


@dataclass(frozen=True, slots=True)
class Became:
    """Deliveries of one edition that have this status now; ``relay`` where it is known."""

    kind: ClassVar[str] = "became"
    status: str
    edition: int
    subscriptions: str
    relay: str = ""


@dataclass(frozen=True, slots=True)
class Cancelled:
    """An edition of which nothing more is sent."""

    kind: ClassVar[str] = "cancelled"
    edition: int


@dataclass(frozen=True, slots=True)
class Numbered:
    """The number that an item has in a feed. ``identity`` and ``url``, with spaces between: all that it goes by (``numbers``)."""

    kind: ClassVar[str] = "numbered"
    feed: str
    seq: int
    identity: str
    url: str


@dataclass(frozen=True, slots=True)
class Left:
    """A subscription that ended, with the keyed hash of its address where that could be made."""

    kind: ClassVar[str] = "left"
    subscription: int
    status: str
    address_hash: str


@dataclass(frozen=True, slots=True)
class Began:
    """A subscription that became active, with its cursor."""

    kind: ClassVar[str] = "began"
    subscription: int
    settled_seq: int


@dataclass(frozen=True, slots=True)
class Suppressed:
    """An address that is never written to again; ``by`` is ``PERSON`` where its person wished so, and may change their mind."""

    kind: ClassVar[str] = "suppressed"
    address_hash: str
    by: str = ""


@dataclass(frozen=True, slots=True)
class Lifted:
    """The person behind an address that was written to no more has subscribed again."""

    kind: ClassVar[str] = "lifted"
    address_hash: str


@dataclass(frozen=True, slots=True)
class Erased:
    """An address of which all was erased: a restored store is told so, too."""

    kind: ClassVar[str] = "erased"
    address_hash: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A backup was made here, or a restore was done: all that stands before it is in the database."""

    kind: ClassVar[str] = "mark"
    what: str
    identity: str


Fact = EditionOpened | Queued | Became | Cancelled | Numbered | Left | Began | Suppressed | Lifted | Erased | Mark
_FACTS: dict[str, tuple[type[Fact], list[type]]] = {
    one.kind: (one, [{"int": int, "str": str}[str(field.type)] for field in fields(one)])
    for one in (EditionOpened, Queued, Became, Cancelled, Numbered, Left, Began, Suppressed, Lifted, Erased, Mark)
}


@dataclass(frozen=True, slots=True)
class Line:
    """The facts of one line; None: it cannot be read."""

    facts: tuple[Fact, ...] | None


class Notes:
    """What one transaction has to put on record; ``address_hash`` makes the keyed hash of an address, if anybody can."""

    def __init__(self, address_hash: Callable[[str], str]) -> None:
        self.facts: list[Fact] = []
        self.address_hash = address_hash


def note(tx: Connection, *facts: Fact) -> None:
    """Put these facts on record when the transaction commits. Nothing happens in a store that keeps no record."""
    if (notes := _notes(tx)) is not None:
        notes.facts += facts


def address_hash(tx: Connection, address: str) -> str:
    """The keyed hash of an address, empty where the store was opened without the site's secret."""
    notes = _notes(tx)
    return notes.address_hash(address) if notes is not None else ""


def mark(tx: Connection, what: str, identity: str) -> None:
    """A place in the record: ``BACKUP`` before the database is copied, ``RESTORE`` when all that stands before is replayed,
    ``UPGRADE`` of a database whose editions may be older than any record.
    """
    note(tx, Mark(what, identity))


def _notes(tx: Connection) -> Notes | None:
    return tx.get_execution_options().get(_NOTES)


def options(notes: Notes | None) -> dict[str, Any]:
    """The execution options by which a transaction knows its notes."""
    return {_NOTES: notes}


class Record:
    """The files of one site. Several processes may append: each line is one write to a file opened for appending.

    ``beside`` is a record that is read before this one.
    """

    def __init__(self, folder: Path, beside: Path | None = None) -> None:
        self.folder = folder
        self.beside = beside
        self._day = self._file = ""
        self.address_hash: Callable[[str], str] = lambda address: ""  # noqa: ARG005

    def write(self, notes: Notes) -> bytes:
        """Append the facts and sync; returns the line, empty when there is nothing to say. Raises StoreError."""
        if not notes.facts:
            return b""
        line = _encode({"t": f"{datetime.now(UTC):%H:%M:%S.%f}", "facts": [_plain(fact) for fact in notes.facts]})
        try:
            self._append(line)
        except BaseException:
            self.void(line)  # it may stand there all the same
            raise
        return line

    def void(self, line: bytes) -> None:
        """The COMMIT that this line was written for has failed. A record that cannot be written is said elsewhere."""
        with contextlib.suppress(StoreError):
            self._append(_encode({"void": _digest(line)}))

    def _append(self, line: bytes) -> None:
        path = self.folder / self._file_of(f"{datetime.now(UTC):%Y-%m-%d}")
        try:
            append_lines(path, [line])
        except OSError as error:
            full = "Free some space on its disk" if error.errno in (28, 122) else "Correct the rights of that folder"
            fix = f"{full}; nothing was changed or sent that is not on record."
            raise StoreError(f"The record {path} cannot be written: {error.strerror}.", fix=fix) from error

    def _file_of(self, day: str) -> str:
        """Never an earlier file than the newest there is: the last word counts, also when a clock was ahead and is right again."""
        if day != self._day:
            newest = [found[-1] for folder in (self.folder, self.beside) if folder and (found := days(folder))]
            self._day, self._file = day, max((day, self._file, *newest))
        return self._file


def append_lines(path: Path, lines: Sequence[bytes]) -> None:
    """Append to a day's file and sync it; a torn last line stays alone on its line. Raises OSError."""
    try:
        file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except FileNotFoundError:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        size = os.fstat(file).st_size
        torn = size > 0 and os.pread(file, 1, size - 1) != b"\n"
        rest = memoryview(b"\n" * torn + b"".join(line + b"\n" for line in lines))
        while rest:
            rest = rest[os.write(file, rest) :]
        os.fdatasync(file)
    finally:
        os.close(file)
    if not size:
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Names in a folder are on disk only when the folder is synced, too."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _encode(value: Any) -> bytes:
    # An item's address may hold an @. Written like this, nothing in the record even looks like a mail address.
    return json.dumps(value, separators=(",", ":")).replace("@", "\\u0040").encode()


def _digest(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()[:32]


def _plain(fact: Fact) -> list[Any]:
    return [fact.kind, *(getattr(fact, field.name) for field in fields(fact))]


def days(folder: Path) -> list[str]:
    """The days of which there is a file, oldest first."""
    try:
        return sorted(path.name for path in folder.iterdir() if _DAY.fullmatch(path.name))
    except (FileNotFoundError, NotADirectoryError):
        return []


def raw_lines(folder: Path, day: str) -> list[bytes]:
    """The lines of one day as they stand in its file; none when there is no such file. Raises StoreError."""
    path = folder / day
    try:
        return [line for line in path.read_bytes().split(b"\n") if line]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> StoreError:
    return StoreError(f"The record {path} cannot be read: {error.strerror}.", fix="Correct the rights of that file.")


def holds(folder: Path, day: str, text: bytes) -> bool:
    """Whether a day's file has this text somewhere. Raises StoreError."""
    try:
        return text in (folder / day).read_bytes()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise _unreadable(folder / day, error) from error


def parse(lines: Sequence[bytes]) -> Iterator[Line]:
    """What the lines say, without those that were taken back and those that take back; unreadable ones have no facts."""
    void = {line for line in lines if line.startswith(_VOID)}
    for line in lines:
        if line not in void and not (void and _encode({"void": _digest(line)}) in void):
            yield _parse(line)


def _parse(text: bytes) -> Line:
    try:
        return Line(tuple(_fact(*one) for one in json.loads(text)["facts"]))
    except (ValueError, TypeError, KeyError, RecursionError):
        return Line(None)


def _fact(kind: str, *values: Any) -> Fact:
    """Raises ValueError, KeyError or TypeError for what is none."""
    made, types = _FACTS[kind]
    if made is Suppressed:
        types = types[: max(len(values), 1)]  # an earlier version did not say by whom
    if [type(value) for value in values] != types or any(type(value) is int and not 0 <= value < 2**63 for value in values):
        raise ValueError(f"this is no {kind}")
    fact = made(*values)
    _check(fact)
    return fact


def _check(fact: Fact) -> None:
    """Raises ValueError for words that nobody could use later."""
    match fact:
        case Became():
            DeliveryStatus(fact.status)
            identities(fact)
        case Queued():
            identities(fact)
        case Left():
            SubscriptionStatus(fact.status)
        case EditionOpened():
            if None in (datetime.fromisoformat(fact.due_at).tzinfo, datetime.fromisoformat(fact.opened_at).tzinfo):
                raise ValueError("a moment without a zone")


def identities(fact: Queued | Became) -> list[int]:
    """The subscriptions it speaks of. Raises ValueError."""
    found = [int(one) for one in fact.subscriptions.split(",")]
    if max(found) >= 2**63:
        raise ValueError("no identity is as large")
    return found


def newest_facts(folder: Path) -> list[Fact]:
    """The facts at the end of the two newest files, at most a megabyte of each, behind the last restore. Raises StoreError."""
    found: list[Fact] = []
    for day in days(folder)[-2:]:
        for line in parse(_tail(folder / day)):
            for fact in line.facts or ():
                if isinstance(fact, Mark) and fact.what == RESTORE:
                    found.clear()
                found.append(fact)
    return found


def _tail(path: Path) -> list[bytes]:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _TAIL))
            return [line for line in file.read().split(b"\n") if line]
    except OSError as error:
        raise _unreadable(path, error) from error


def unite(folder: Path, other: Path) -> int:
    """Append to each day's file what the other folder has and this one has not; returns how many lines. Raises StoreError."""
    added = 0
    for day in days(other):
        known = set(raw_lines(folder, day))
        missing = [line for line in raw_lines(other, day) if line not in known]
        if missing:
            try:
                append_lines(folder / day, missing)
            except OSError as error:
                raise StoreError(f"The record {folder / day} cannot be written: {error.strerror}.") from error
        added += len(missing)
    return added


def prune(folder: Path) -> None:
    """Keep the newest 90 files: at least 90 days, and nothing is lost by a clock that was ahead. Never raises."""
    for day in days(folder)[:-_KEPT]:
        with contextlib.suppress(OSError):
            (folder / day).unlink()


def needle(fact: Fact) -> bytes:
    """How a fact stands in its line."""
    return _encode(_plain(fact))


def begin_of_edition(edition: int) -> bytes:
    """How the opening of that edition begins in its line."""
    return f'["{EditionOpened.kind}",{edition},'.encode()


def begin_of_mark() -> bytes:
    """How a mark begins in its line, whatever it is of."""
    return f'["{Mark.kind}",'.encode()


def moment_of(day: str, line: bytes) -> datetime | None:
    """When a line of that day was written; None where it cannot be read."""
    try:
        return datetime.fromisoformat(f"{day}T{json.loads(line)['t']}+00:00")
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
