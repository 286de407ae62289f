"""Processes that sign: RSA in ``cryptography`` holds Python's lock, so threads wait for one another, and other cores rest.

    Signed(template, signer, pool.sign) ─(key, SHA-256)─▶ a process that is free ─▶ signature

A process gets the keys on its standard input, never on its command line. Where none is free, or one is gone, the hash is signed
by the thread that asks, so nothing waits and nothing goes out unsigned.
"""

from __future__ import annotations

import contextlib
import os
import queue
import select
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING

from cryptography.hazmat.primitives import serialization

import pipeline

if TYPE_CHECKING:
    from pipeline.compose.dkim import Key

_MODULE = "pipeline.jobs.signing_child"
_PATIENCE = 5.0
"""Seconds for one signature; a process that takes longer is stopped."""


class SigningPool:
    """That many processes with these keys, inside ``with``; ``sign`` may be called by any thread."""

    def __init__(self, keys: Sequence[Key], processes: int) -> None:
        self._places = {key: place for place, key in enumerate(keys)}
        self._made = [_start(keys) for _ in range(processes)]
        self._free: queue.SimpleQueue[subprocess.Popen[bytes]] = queue.SimpleQueue()
        for child in self._made:
            self._free.put(child)

    def __enter__(self) -> SigningPool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def sign(self, key: Key, digest: bytes) -> bytes:
        """As ``Key.sign`` does."""
        place = self._places.get(key)
        if place is None:
            return key.sign(digest)
        try:
            child = self._free.get_nowait()
        except queue.Empty:
            return key.sign(digest)
        try:
            found = _ask(child, place, digest)
        except (OSError, EOFError):  # it is gone, and is asked no more
            return key.sign(digest)
        self._free.put(child)
        return found

    def close(self) -> None:
        """End the processes: they end when their input does."""
        for child in self._made:
            for pipe in (child.stdin, child.stdout):
                with contextlib.suppress(OSError):
                    _there(pipe).close()
            child.wait()


def _start(keys: Sequence[Key]) -> subprocess.Popen[bytes]:
    """Nothing of the environment but where modules are: it may hold passwords."""
    here = Path(pipeline.__file__).absolute().parent.parent
    places = [str(here), *(str(Path(place).absolute()) for place in sys.path)]
    child = subprocess.Popen(
        [sys.executable, "-P", "-m", _MODULE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
        cwd="/",
        env={"PYTHONPATH": os.pathsep.join(dict.fromkeys(places)), "PYTHONUTF8": "1", "PYTHONDONTWRITEBYTECODE": "1"},
        start_new_session=True,
    )
    with contextlib.suppress(OSError):
        _there(child.stdin).write(b"".join(_packed(key) for key in keys) + bytes(4))
    return child


def _packed(key: Key) -> bytes:
    form, cipher = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    data = key.private.private_bytes(serialization.Encoding.PEM, form, cipher)
    return len(data).to_bytes(4) + data


def _ask(child: subprocess.Popen[bytes], place: int, digest: bytes) -> bytes:
    """One write and, nearly always, one read. Raises OSError or EOFError when the process is gone."""
    _there(child.stdin).write(bytes((place,)) + digest)
    answers = _there(child.stdout)
    found = b""
    while len(found) < 2 or len(found) < 2 + int.from_bytes(found[:2]):
        ready, _, _ = select.select([answers], [], [], _PATIENCE)
        more = answers.read(1 << 12) if ready else b""
        if not more:
            child.kill()
            raise EOFError
        found += more
    return found[2:]


def _there(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None
    return pipe
