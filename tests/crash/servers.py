"""Mail servers to be killed at: one in a process of its own with a synced log, one that holds on to a moment."""

from __future__ import annotations

import contextlib
import hashlib
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.crash.sites import Kept
from tests.servers.smtp import Reply, SmtpServer


@dataclass(frozen=True)
class LoggingServer:
    """``tests.servers.smtp`` in another process. Its log is on disk before it answers."""

    port: int
    log: Path
    _lines: Iterator[str]
    _seen: list[None]

    def wait_for(self, more: int) -> None:
        """Return as soon as so many more messages were kept."""
        for _ in range(more):
            next(self._lines)
            self._seen.append(None)

    def skip(self) -> None:
        """Forget those that were kept meanwhile: the next wait is for later ones."""
        self.wait_for(len(self.kept) - len(self._seen))

    @property
    def kept(self) -> list[Kept]:
        """Everything the server has ever kept, in that order."""
        entries = [json.loads(line) for line in self.log.read_text(encoding="utf-8").splitlines()]
        return [Kept(entry["rcpt"], entry["message_id"], entry["sha256"]) for entry in entries]


@contextlib.contextmanager
def logging_server(log: Path) -> Iterator[LoggingServer]:
    """The server, until the end of ``with``."""
    log.touch()
    serve = [sys.executable, "-m", "tests.servers.smtp", "--log", str(log)]
    with (
        subprocess.Popen(serve, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as server,
        subprocess.Popen(["tail", "-f", "-n", "+1", str(log)], stdout=subprocess.PIPE, text=True) as follower,
    ):
        try:
            assert server.stdout is not None
            assert follower.stdout is not None
            yield LoggingServer(int(server.stdout.readline()), log, iter(follower.stdout), [])
        finally:
            server.kill()
            follower.kill()


class HoldingServer(SmtpServer):
    """A server that stops at a moment of every conversation until it is told to go on."""

    def __init__(self) -> None:
        super().__init__()
        self._stage = ""
        self._held = threading.Semaphore(0)
        self._go_on = threading.Event()

    def hold(self, stage: str) -> None:
        """From now on, stop at that stage ("mail", "content", "dot", "kept") of every message."""
        self._go_on.clear()
        self._stage = stage

    def wait_for_held(self, count: int) -> None:
        """Return once so many conversations have stopped there."""
        for _ in range(count):
            assert self._held.acquire(timeout=30), "too few conversations came that far"

    def go_on(self) -> None:
        """Let them all go on, and stop nobody more."""
        self._stage = ""
        self._go_on.set()

    def pick(self, stage: str, recipient: str) -> Reply | None:
        """As any server, after the moment has passed."""
        if stage == self._stage:
            self._held.release()
            self._go_on.wait()
        return super().pick(stage, recipient)

    def close(self) -> None:
        """Nobody waits for ever."""
        self.go_on()
        super().close()

    @property
    def kept(self) -> list[Kept]:
        """Everything kept, in that order."""
        return [Kept(one.recipient, one.message_id, hashlib.sha256(one.data).hexdigest()) for one in self.messages]
