"""A process of its own without the second that a new Python takes to load Gazet: a process that has loaded it divides itself.

    test ──▶ one per test process, started when first needed ──fork──▶ one that waits for ──fork──▶ the code, as python -c
                                                                                │
    test ◀───────────────────────── pid, exit code ─────────────────────────────┘

What runs is a whole process with its own pid, files, locks, signals and end, so it can be killed at any moment. That each
command also starts in a new Python is for tests/integration/test_first_hour.py and those with ``gazet_process``.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO

GAZET = "from pipeline.cli import main\nmain()\n"
_LOADED = (
    "alembic.command",
    "apscheduler.schedulers.background",
    "pipeline.app",
    "pipeline.cli",
    "pipeline.cli.screen",
    "pipeline.engines.local",
    "pipeline.jobs.backup",
    "pipeline.jobs.copy_store",
    "pipeline.jobs.report",
    "pipeline.jobs.restore",
    "pipeline.web.application",
    "pipeline.web.server",
    "psycopg",
    "structlog",
)


class Forked:
    """``python -c CODE ARGUMENTS`` with pipes for what it says; to be used as ``subprocess.Popen`` is.

    ``quiet``: nobody is going to read its standard output.
    """

    def __init__(
        self, code: str, *arguments: str | Path, env: Mapping[str, str] | None = None, cwd: Path | None = None, quiet: bool = False
    ) -> None:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("GAZET_")}
        order = {
            "code": code,
            "argv": ["gazet", *map(str, arguments)],
            "env": {**clean, **(env or {})},
            "cwd": str(cwd or Path.cwd()),
            "quiet": quiet,
        }
        self.returncode: int | None = None
        self._talk, theirs = socket.socketpair()
        (out, their_out), (err, their_err) = os.pipe(), os.pipe()
        self.stdout: IO[str] = os.fdopen(out, encoding="utf-8")
        self.stderr: IO[str] = os.fdopen(err, encoding="utf-8")
        socket.send_fds(_server(), [b"+"], [theirs.fileno(), their_out, their_err])
        theirs.close()
        os.close(their_out)
        os.close(their_err)
        self._talk.sendall(json.dumps(order).encode())
        self._talk.shutdown(socket.SHUT_WR)
        self.pid = self._answer()

    def _answer(self) -> int:
        line = b""
        while not line.endswith(b"\n"):
            got = self._talk.recv(1)
            assert got, "the process that loads Gazet has ended; its last words are on standard error"
            line += got
        return int(line)

    def __enter__(self) -> Forked:
        return self

    def __exit__(self, *_: object) -> None:
        self.stdout.close()
        self.stderr.close()
        self.wait(60)

    def wait(self, timeout: float) -> int:
        """The exit code, below zero for a signal. Raises subprocess.TimeoutExpired."""
        if self.returncode is None:
            self._talk.settimeout(timeout)
            try:
                self.returncode = self._answer()
            except TimeoutError:
                raise subprocess.TimeoutExpired("gazet", timeout) from None
            self._talk.close()
        return self.returncode

    def communicate(self, timeout: float) -> tuple[str, str]:
        """All that it says until it ends. Raises subprocess.TimeoutExpired."""
        end = time.monotonic() + timeout
        with ThreadPoolExecutor(2) as pool:
            said = [pool.submit(stream.read) for stream in (self.stdout, self.stderr)]
            try:
                self.wait(timeout)
                out, err = (one.result(end - time.monotonic() + 1) for one in said)
            except BaseException:
                self.kill()  # so that the threads end
                raise
        self.stdout.close()
        self.stderr.close()
        return out, err

    def send_signal(self, number: int) -> None:
        """Nothing where it has ended."""
        with contextlib.suppress(subprocess.TimeoutExpired, BlockingIOError):
            self.wait(0)
        if self.returncode is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def run(code: str, *arguments: str | Path, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of one that ends by itself."""
    process = Forked(code, *arguments, env=env, cwd=cwd)
    out, err = process.communicate(timeout=60)
    assert process.returncode is not None
    return process.returncode, out, err


@functools.cache
def _server() -> socket.socket:
    """The way to this process's own one, which ends when this end is closed."""
    ours, theirs = socket.socketpair()
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.forked", str(theirs.fileno())],
        pass_fds=[theirs.fileno()],
        cwd=Path(__file__).parents[1],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    theirs.close()

    def end() -> None:
        ours.close()
        process.wait(10)

    atexit.register(end)
    return ours


def _serve(control: socket.socket) -> str:
    """Returns in the new process alone, with the code that is to be run there."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that wait
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the tests
    while True:
        word, descriptors, _flags, _address = socket.recv_fds(control, 1, 3)
        if not word:
            os._exit(0)
        if os.fork() == 0:
            control.close()
            return _begin(*descriptors)
        for descriptor in descriptors:
            os.close(descriptor)


def _begin(talk: int, out: int, err: int) -> str:
    """Start the process proper and wait for it: that one returns the code, this one never returns."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    with socket.socket(fileno=talk) as test:
        order = json.loads(b"".join(iter(lambda: test.recv(65_536), b"")))
        pid = os.fork()
        if pid:
            os.close(out)
            os.close(err)
            test.sendall(b"%d\n" % pid)
            _, status = os.waitpid(pid, 0)
            test.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
            os._exit(0)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, descriptor in ((1, out), (2, err)):
        os.dup2(descriptor, number)
        os.close(descriptor)
    if order["quiet"]:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115  # as long as the process
    sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)  # noqa: SIM115
    os.environ.clear()
    os.environ.update(order["env"])
    time.tzset()
    os.chdir(order["cwd"])
    sys.argv = order["argv"]
    return str(order["code"])


if __name__ == "__main__":
    for name in _LOADED:
        importlib.import_module(name)
    code = _serve(socket.socket(fileno=int(sys.argv[1])))
    exec(compile(code, "<test>", "exec"), {"__name__": "__main__"})  # what a test wrote
