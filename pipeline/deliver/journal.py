"""The journal: what one connection was about to send, and what became of it, in a file that outlives its process.

    B LEASE BOOT │ C DELIVERIES │ I 41 │ O 41 ["dot",250,"2.0.0","ok",true] │ I 42 │ …    each line ends with its CRC-32

A claim is on file before the first of its messages is begun, with each delivery's edition and subscription. An intent is on
file before the content goes out, an outcome at the latest with the next intent. So of a process that was killed at most the
last intent of each connection has no outcome. Whoever lost power (another boot id) may have lost the end of the file: what
it says is true, what it does not say proves nothing. Lines hold numbers and a relay's masked words, no address.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import mmap
import os
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.errors import JournalError
from pipeline.models import RelayAnswer, Stage

FOLDER = "var/journal"
_ROOM = 64 * 1024


@dataclass(slots=True)
class Account:
    """What a journal says: ``intended`` are deliveries whose content was about to go out, ``outcomes`` what was heard of some.

    ``claimed``: the edition and the subscription of each delivery.

    ``whole``: no line is damaged but for the last one, whose write then did not end, so that nothing was sent after it.
    """

    lease: str
    boot: str
    claimed: dict[int, tuple[int, int]] = field(default_factory=dict)
    intended: set[int] = field(default_factory=set)
    outcomes: dict[int, RelayAnswer] = field(default_factory=dict)
    whole: bool = True


class Journal:
    """The file of one connection, under ``folder``, begun anew. Raises JournalError where it cannot be written.

    It is written through memory that the kernel shares with the file: that outlives the process as a write does, and costs no
    call that lets other threads go first. Its room is taken from the disk before, so that a full disk is an error here.
    """

    def __init__(self, folder: Path, lease: str) -> None:
        self.path = folder / f"{hashlib.sha256(lease.encode()).hexdigest()[:20]}.journal"
        self._pending: list[bytes] = []
        with self._failing():
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = os.open(self.path, os.O_CREAT | os.O_TRUNC | os.O_RDWR, 0o600)
            os.posix_fallocate(self._file, 0, _ROOM)
            self._memory = mmap.mmap(self._file, _ROOM)
        self._end = 0
        self._write(_line(f"B {json.dumps([lease, boot_id()])}"))
        self._begin = self._end

    def claim(self, deliveries: Iterable[tuple[int, int, int]]) -> None:
        """Deliveries with their editions and subscriptions: on file when this returns."""
        self._pending.append(_line(f"C {json.dumps(list(deliveries))}"))
        self.flush()

    def intend(self, delivery_id: int) -> None:
        """On file with all outcomes so far when this returns."""
        self._pending.append(_line(f"I {delivery_id}"))
        self.flush()

    def outcome(self, delivery_id: int, answer: RelayAnswer) -> None:
        """On file with the next intent or ``flush``."""
        said = [answer.stage, answer.code, answer.enhanced, answer.text, answer.handed_over]
        self._pending.append(_line(f"O {delivery_id} {json.dumps(said)}"))

    def flush(self) -> None:
        """Everything so far is with the kernel: it outlives this process, though not a power cut."""
        if self._pending:
            pending, self._pending = self._pending, []
            self._write(b"".join(pending))

    def sync(self) -> None:
        """Everything so far outlives a power cut."""
        self.flush()
        with self._failing():
            self._memory.flush()

    def clear(self) -> None:
        """What it said is in the database now."""
        self._memory[self._begin : self._end] = bytes(self._end - self._begin)
        self._end = self._begin

    def close(self, *, remove: bool) -> None:
        """``remove``: nothing in it is news to the database."""
        with contextlib.suppress(OSError, BufferError):
            self._memory.close()
            os.close(self._file)
            if remove:
                self.path.unlink()

    def _write(self, data: bytes) -> None:
        end = self._end + len(data)
        if end > len(self._memory):
            self._grow(max(end, 2 * len(self._memory)))
        self._memory[self._end : end] = data
        self._end = end

    def _grow(self, size: int) -> None:
        with self._failing():
            os.posix_fallocate(self._file, 0, size)
            self._memory.resize(size)

    @contextlib.contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            what = f"The journal {self.path} cannot be written: {error.strerror}."
            raise JournalError(what, fix="Free some space on its disk, or correct the rights of its folder.") from error


def boot_id() -> str:
    """Names the time since this machine was started (proc(5))."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return "boot"


def journals(folder: Path) -> list[Path]:
    """The journals that are there."""
    return sorted(folder.glob("*.journal"))


def read(path: Path) -> Account | None:
    """What a journal says; None where not even its first line is readable, so that nothing was sent under it."""
    try:
        lines = path.read_bytes().partition(b"\0")[0].split(b"\n")
    except OSError:
        return None
    head = _checked(lines[0])
    if not head.startswith("B "):
        return None
    lease, boot = json.loads(head[2:])
    found = Account(lease, boot)
    for index, line in enumerate(lines[1:], 1):
        text = _checked(line)
        if text:
            _learn(found, text)
        elif line:
            found.whole = found.whole and index == len(lines) - 1
    return found


def _learn(found: Account, text: str) -> None:
    kind, number, *rest = text.split(" ", 2) if text[0] != "C" else ("C", text[2:])
    if kind == "C":
        found.claimed |= {delivery: (edition, subscription) for delivery, edition, subscription in json.loads(number)}
    elif kind == "I":
        found.intended.add(int(number))
        found.outcomes.pop(int(number), None)
    else:
        stage, *said = json.loads(rest[0])
        found.outcomes[int(number)] = RelayAnswer(Stage(stage), *said)


def _line(text: str) -> bytes:
    data = text.encode()
    return b"%b %08x\n" % (data, zlib.crc32(data))


def _checked(line: bytes) -> str:
    """The text of a whole line, empty for a damaged one."""
    data, _, crc = line.rpartition(b" ")
    return data.decode() if crc == b"%08x" % zlib.crc32(data) else ""
