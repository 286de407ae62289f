"""The journal: what one connection was about to send, and what became of it, in a file that outlives its process.

    B LEASE BOOT │ C 1 DELIVERIES │ I 41 │ O 41 ["dot",250,"2.0.0","ok",true] │ I 42 │ …    each line ends with its CRC-32

A claim is on file before the first of its messages is begun, with each delivery's edition and subscription. An intent is on
file before the content goes out, an outcome as soon as it is heard. So of a process that was killed at most the last intent of
each connection has no outcome. Whoever lost power (another boot id) may have lost the end of the file: what it says is true,
what it does not say proves nothing. Claims are numbered, and the number is part of each checksum, so that a line of an earlier
claim that a disk kept is none of this one. Lines hold numbers and a relay's masked words, no address.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
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

    ``claimed``: the edition and the subscription of each delivery, of the last two claims: the first of them may not be in the
    database yet, or the second.

    ``whole``: no line is damaged but for the last one, whose write then did not end, so that nothing was sent after it.
    """

    lease: str
    boot: str
    claimed: dict[int, tuple[int, int]] = field(default_factory=dict)
    intended: set[int] = field(default_factory=set)
    outcomes: dict[int, RelayAnswer] = field(default_factory=dict)
    whole: bool = True
    _latest: set[int] = field(default_factory=set, compare=False)

    def begin(self, claim: dict[int, tuple[int, int]]) -> None:
        """Another claim; nothing is known yet of those that are claimed again, since the relay had nothing of them."""
        kept = self._latest - claim.keys()
        self.claimed = {one: who for one, who in self.claimed.items() if one in kept} | claim
        self.intended &= kept
        self.outcomes = {one: answer for one, answer in self.outcomes.items() if one in kept}
        self._latest = set(claim)


class Journal:
    """The file of one connection, under ``folder``, begun anew. Raises JournalError where it cannot be written.

    It is written through memory that the kernel shares with the file: that outlives the process as a write does, and costs no
    call that lets other threads go first. Its room is taken from the disk before, so that a full disk is an error here.
    """

    def __init__(self, folder: Path, lease: str) -> None:
        self.path = folder / f"{hashlib.sha256(lease.encode()).hexdigest()[:20]}.journal"
        self.sealed = False
        self._claims, self._claim = 0, b""
        new = self.path.with_suffix(".new")  # nobody reads it before it says whose it is
        with self._failing():
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = os.open(new, os.O_CREAT | os.O_TRUNC | os.O_RDWR, 0o600)
            fcntl.flock(self._file, fcntl.LOCK_EX)  # until this process ends, however it ends
            _reserve(self._file, _ROOM)
            self._memory = mmap.mmap(self._file, _ROOM)
        self._end = 0
        self._write(_line(f"B {json.dumps([lease, boot_id()])}", 0))
        self._begin = self._end
        with self._failing():
            new.replace(self.path)

    def claim(self, deliveries: Iterable[tuple[int, int, int]]) -> None:
        """Deliveries with their editions and subscriptions: on file when this returns, to be called before they are committed."""
        self._claims += 1
        self._claim = _line(f"C {self._claims} {json.dumps(list(deliveries))}", 0)
        self._write(self._claim)

    def intend(self, delivery_id: int) -> None:
        """On file when this returns. Raises JournalError where the journal is sealed: nothing may be sent any more."""
        self._write(_line(f"I {delivery_id}", self._claims))
        # Written first and asked then: either whoever sealed it reads this intent, or the seal is seen here.
        if self.sealed:
            raise JournalError("Its claim was taken away from a connection that did not answer in time.")

    def outcome(self, delivery_id: int, answer: RelayAnswer) -> None:
        """On file when this returns: it outlives this process, though not a power cut."""
        said = [answer.stage, answer.code, answer.enhanced, answer.text, answer.handed_over]
        self._write(_line(f"O {delivery_id} {json.dumps(said)}", self._claims))

    def seal(self) -> None:
        """Somebody else decides on the claim now: what was not begun is not begun any more."""
        self.sealed = True

    def sync(self) -> None:
        """Everything so far outlives a power cut."""
        with self._failing():
            self._memory.flush()

    def forget(self) -> None:
        """All but the last claim is in the database now: when the file is half full, it begins anew with that."""
        if self._end > len(self._memory) // 2:
            self._memory[self._begin : self._end] = bytes(self._end - self._begin)
            self._end = self._begin
            self._write(self._claim)

    def close(self, *, remove: bool) -> None:
        """``remove``: nothing in it is news to the database."""
        with contextlib.suppress(OSError, BufferError):
            if remove:
                self.path.unlink()
            self._memory.close()
            os.close(self._file)

    def _write(self, data: bytes) -> None:
        end = self._end + len(data)
        if end > len(self._memory):
            self._grow(max(end, 2 * len(self._memory)))
        self._memory[self._end : end] = data
        self._end = end

    def _grow(self, size: int) -> None:
        with self._failing():
            _reserve(self._file, size)
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


def is_held(path: Path) -> bool:
    """Whether the process that writes it lives; of another machine too, where they share a file system that can tell."""
    with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def read(path: Path) -> Account | None:
    """What a journal says; None where not even its first line is whole, so that nothing was sent under it. Raises OSError."""
    lines = path.read_bytes().partition(b"\0")[0].split(b"\n")
    head = _checked(lines[0], 0)
    if not head.startswith("B "):
        return None
    lease, boot = json.loads(head[2:])
    found = Account(lease, boot)
    claim = 0
    for index, line in enumerate(lines[1:], 1):
        try:
            if text := _checked(line, 0 if line.startswith(b"C ") else claim):
                claim = _learn(found, text, claim)
                continue
        except (ValueError, TypeError, KeyError):  # of another version
            found.whole = False
            continue
        found.whole = found.whole and (not line or index == len(lines) - 1)
    return found


def _learn(found: Account, text: str, claim: int) -> int:
    """Take one line; returns the number of the claim that it is of."""
    kind, number, rest = (text + " ").split(" ", 2)
    if kind == "C":
        found.begin({delivery: (edition, subscription) for delivery, edition, subscription in json.loads(rest)})
        return int(number)
    if kind == "I":
        found.intended.add(int(number))
        found.outcomes.pop(int(number), None)
    elif kind == "O":
        stage, code, enhanced, words, handed_over = json.loads(rest)
        found.outcomes[int(number)] = RelayAnswer(Stage(stage), code, enhanced, words, handed_over)
    else:
        raise ValueError(kind)
    return claim


def _line(text: str, claim: int) -> bytes:
    data = text.encode()
    return b"%b %08x\n" % (data, zlib.crc32(data, claim))


def _checked(line: bytes, claim: int) -> str:
    """The text of a whole line, empty for a damaged one."""
    data, _, crc = line.rpartition(b" ")
    return data.decode() if crc == b"%08x" % zlib.crc32(data, claim) else ""


def _reserve(file: int, size: int) -> None:
    """Take room from the disk; where the file system cannot promise it, by writing. Raises OSError."""
    try:
        os.posix_fallocate(file, 0, size)
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):
            raise
        have = os.fstat(file).st_size
        os.pwrite(file, bytes(size - have), have)
