"""Reading foreign bytes where it can be stopped: in a few processes that are killed when they take too long or too much.

    call ──▶ a free process ──▶ function(bytes, …) ──▶ result, or a ReadError that says why not
                    │
                    └─ too long: killed · too large, crashed: ended · idle, or used up: ends by itself

Threads cannot be killed, and a regular expression, a parser or Python's own loops keep all of them waiting. Measured with
10 MB: a feed with 800,000 attributes or a page of unreadable dates takes longer than a minute, nested items 190 MB.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import pickle
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from pydantic import BaseModel, SecretBytes, SecretStr

import pipeline
from pipeline.collect.apart_answers import BEGUN, FAULT, HEAD, LAST, NO_MEMORY, REFUSED, RESULT, unpack
from pipeline.collect.apart_settings import plain_settings
from pipeline.errors import ReadError

MEGABYTES = 64
"""What one document may need beside its own bytes: 500 items of 20 KB need 40, a page of 20,000 cards 60."""
MAX_ANSWER = 16_000_000
_START = 30.0
"""Seconds for starting a process and importing what it needs: once for many documents, and not the document's fault."""
_TURNS = 4
_ENDING = 1.0
_KEPT_VARIABLES = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PYTHONHOME", "PYTHONTZPATH", "TZ", "SYSTEMROOT")
_SIMPLER = "Give the address of a feed with fewer items, or of a simpler page."

Function = Callable[..., Any] | str
"""A module-level function, or its name as "module:function", which this process then need not import."""


class Reading(Protocol):
    """Calls a pure function of ``pipeline.collect``; whatever foreign bytes do to it is a ReadError about ``url``."""

    def call(self, function: Function, /, *args: Any, about: str = "", megabytes: int = 0, **named: Any) -> Any:
        """The function's result. ``about`` is the address for errors where there is no argument ``url``.

        ``megabytes``: what it may need beside its bytes, if that is more than a document's.
        """


class InProcess:
    """The same call in this process: for a command that reads one source, and where no process can be started."""

    def call(self, function: Function, /, *args: Any, about: str = "", megabytes: int = 0, **named: Any) -> Any:  # noqa: ARG002
        """Without a limit of time or memory."""
        url = about or str(named.get("url", ""))
        try:
            found = _found(function) if isinstance(function, str) else function
            return found(*args, **named)
        except ReadError:
            raise
        except Exception as error:
            raise _fault(url, type(error).__name__) from error

    def close(self) -> None:
        """There is nothing to end."""


class ReaderProcesses:
    """At most ``count`` processes, started when needed, each reading one document at a time.

    One document may take ``seconds`` of wall clock and ``megabytes`` beside its bytes. Safe for any number of threads.
    """

    def __init__(self, count: int = 2, seconds: float = 20.0, megabytes: int = MEGABYTES) -> None:
        self.count = count
        self.seconds = seconds
        self.megabytes = megabytes
        self._changed = threading.Condition()
        self._idle: list[_Child] = []
        self._lent: set[_Child] = set()
        self._busy = 0
        self._closed = False

    def __enter__(self) -> ReaderProcesses:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def call(self, function: Function, /, *args: Any, about: str = "", megabytes: int = 0, **named: Any) -> Any:
        """The function's result; waits for a free process at most as long as four documents may take. Raises ReadError.

        Arguments are bytes, plain values, dataclasses and settings without secrets; results what ``apart_answers`` packs.
        """
        url = about or str(named.get("url", ""))
        most = max(megabytes, self.megabytes)
        request = _request(function, args, named, most)
        self._wait_for_turn(url)
        try:
            kind, data = self._exchange(request, url, most)
        finally:
            with self._changed:
                self._busy -= 1
                self._changed.notify_all()
        return _result(kind, data, url)

    def close(self) -> None:
        """End all processes; calls that are under way fail."""
        with self._changed:
            self._closed = True
            idle, self._idle = self._idle, []
            for child in (*idle, *self._lent):
                child.kill()
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._lent, _START)  # whoever has one clears it away
        for child in idle:
            child.end()

    def processes(self) -> list[int]:
        """The ids of the processes that live now."""
        with self._changed:
            return [child.pid for child in (*self._idle, *self._lent) if child.lives()]

    def _wait_for_turn(self, url: str) -> None:
        with self._changed:
            if not self._changed.wait_for(lambda: self._closed or self._busy < self.count, _TURNS * self.seconds):
                raise ReadError(url, "was not read: all reading processes are busy with other sources", fix="It is tried again.")
            self._busy += 1

    def _exchange(self, request: bytes, url: str, megabytes: int) -> tuple[bytes, bytes]:
        """A process may end of idleness in the moment in which it is asked; then another one is."""
        while True:
            child = self._borrow(url)
            kept = False
            try:
                kind, data = child.exchange(request, self.seconds)
                kept = kind not in LAST
                return kind.upper(), data
            except _Idle:
                if not child.used:
                    raise _broken(url, "ended at its start") from None
            except _Late:
                raise self._too_long(url) from None
            except _Ended as ended:
                raise self._what_ended_it(ended.code, url, megabytes) from None
            finally:
                self._give_back(child, kept=kept)

    def _borrow(self, url: str) -> _Child:
        with self._changed:
            if self._closed:
                raise ReadError(url, "was not read: Gazet is ending", fix="It is read after the next start.")
            dead = [child for child in self._idle if not child.lives()]
            self._idle = [child for child in self._idle if child not in dead]
            child = self._idle.pop() if self._idle else None
            if child is not None:
                self._lent.add(child)
        for one in dead:
            one.end()
        return child or self._started(url)

    def _started(self, url: str) -> _Child:
        try:
            child = _Child(self.seconds)
        except OSError as error:
            fix = "Look at the limits on memory and processes (ulimit -u, TasksMax)."
            raise ReadError(url, f"no process could be started to read it: {error.strerror}", fix=fix) from None
        with self._changed:
            self._lent.add(child)
            if self._closed:
                child.kill()
        return child

    def _give_back(self, child: _Child, *, kept: bool) -> None:
        if not kept:
            child.end()
        with self._changed:
            self._lent.discard(child)
            kept = kept and not self._closed
            if kept:
                child.used = True
                self._idle.append(child)
            self._changed.notify_all()
        if not kept:
            child.end()

    def _too_long(self, url: str) -> ReadError:
        limit = f"{self.seconds:g} s"
        fix = "Give the address of a smaller or simpler one, or raise read_timeout under [collect]."
        return ReadError(url, f"took longer than {limit} to read", fix=fix)

    def _what_ended_it(self, code: int, url: str, megabytes: int) -> ReadError:
        with self._changed:
            if self._closed:
                return ReadError(url, "was not read: Gazet is ending", fix="It is read after the next start.")
        if code == -signal.SIGALRM:
            return self._too_long(url)
        if code in (NO_MEMORY, -signal.SIGKILL):
            return ReadError(url, f"needs more memory than {megabytes} MB to be read", fix=_SIMPLER)
        if code == -signal.SIGABRT:
            why = f"needs more memory than {megabytes} MB to be read, or broke the process that read it (SIGABRT)"
            return ReadError(url, why, fix=_SIMPLER)
        if code < 0:
            return _broken(url, f"was ended by {_signal_name(-code)}")
        return _broken(url, f"ended with exit code {code}")


class _Late(Exception):
    """No answer within the time limit."""


class _Idle(Exception):
    """The process had ended by itself before it was asked."""


class _Ended(Exception):
    """The process ended before its answer; ``code`` as in ``subprocess``, negative for a signal."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class _Child:
    """One process and its two pipes. Used by one thread at a time, but for ``kill`` and ``lives``."""

    def __init__(self, seconds: float) -> None:
        self.used = False
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "pipeline.collect.apart_child", str(seconds)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_environment(),
            cwd="/",
            start_new_session=True,  # Ctrl-C in a terminal is for the parent, which lets them end
            bufsize=0,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._requests, self._answers = self._process.stdin, self._process.stdout
        os.set_blocking(self._requests.fileno(), False)
        os.set_blocking(self._answers.fileno(), False)

    @property
    def pid(self) -> int:
        return self._process.pid

    def lives(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        with contextlib.suppress(OSError):
            self._process.kill()

    def end(self) -> None:
        """Kill it, close the pipes and take the exit code; twice does no harm."""
        self.kill()
        for pipe in (self._requests, self._answers):
            with contextlib.suppress(OSError):
                pipe.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_START)

    def exchange(self, request: bytes, seconds: float) -> tuple[bytes, bytes]:
        """Kind and data of the answer. The document's time starts when its process has imported what it needs."""
        self._send(request, time.monotonic() + _START)
        kind, data = self._receive(time.monotonic() + _START, begun=False)
        if kind == BEGUN:
            kind, data = self._receive(time.monotonic() + seconds, begun=True)
        return kind, data

    def _send(self, request: bytes, deadline: float) -> None:
        view = memoryview(HEAD.pack(len(request)) + request)
        while view:
            self._wait(self._requests.fileno(), select.POLLOUT, deadline)
            try:
                view = view[os.write(self._requests.fileno(), view) :]
            except BlockingIOError:
                continue
            except BrokenPipeError:
                return  # its end is told by what it answers, or does not

    def _receive(self, deadline: float, *, begun: bool) -> tuple[bytes, bytes]:
        head = self._read(HEAD.size + 1, deadline, begun=begun)
        size = HEAD.unpack(head[: HEAD.size])[0]
        if size > MAX_ANSWER:
            raise _Ended(NO_MEMORY)
        return bytes(head[HEAD.size :]), bytes(self._read(size, deadline, begun=True))

    def _read(self, size: int, deadline: float, *, begun: bool) -> bytearray:
        data = bytearray()
        while len(data) < size:
            self._wait(self._answers.fileno(), select.POLLIN, deadline)
            try:
                some = os.read(self._answers.fileno(), min(size - len(data), 1 << 20))
            except BlockingIOError:
                continue
            if not some:
                raise self._end(begun=begun or bool(data))
            data += some
        return data

    def _wait(self, pipe: int, events: int, deadline: float) -> None:
        poll = select.poll()
        poll.register(pipe, events)
        left = deadline - time.monotonic()
        if left <= 0 or not poll.poll(left * 1000):
            raise _Late

    def _end(self, *, begun: bool) -> _Idle | _Ended:
        """A process that closes its pipe and lives on is one that somebody else took over."""
        try:
            code = self._process.wait(_ENDING)
        except subprocess.TimeoutExpired:
            return _Ended(-signal.SIGKILL)
        return _Idle() if code == 0 and not begun else _Ended(code)


class _Request(pickle.Pickler):
    """Settings travel as plain values, so that the child need not load pydantic; a secret does not travel at all."""

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, SecretStr | SecretBytes):
            raise TypeError("a secret is not for the reader of foreign bytes")
        if isinstance(value, BaseModel):
            return plain_settings, (dict(value),)
        return NotImplemented


def _request(function: Function, args: tuple[Any, ...], named: dict[str, Any], megabytes: int) -> bytes:
    name = function if isinstance(function, str) else f"{function.__module__}:{function.__qualname__}"
    written = io.BytesIO()
    _Request(written, protocol=5).dump((name, args, named, megabytes))
    return written.getvalue()


def _result(kind: bytes, data: bytes, url: str) -> Any:
    """The answer is foreign, too: whatever it holds is a result of the right types, or a ReadError."""
    try:
        if kind == RESULT:
            return unpack(data)
        texts = [str(text)[:1000] for text in json.loads(data)]
        if kind == REFUSED:
            found, reason, fix = texts
            raise ReadError(found, reason, fix=fix)
        if kind == FAULT:
            raise _fault(url, texts[0])
    except (ValueError, IndexError, TypeError, RecursionError):
        pass
    raise _broken(url, "answered something else than a result")


def _fault(url: str, what: str) -> ReadError:
    return ReadError(url, f"could not be read: {what}", fix="This is a mistake in Gazet: please report it with the address.")


def _broken(url: str, how: str) -> ReadError:
    return ReadError(url, f"could not be read: the process that read it {how}", fix=_SIMPLER)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _found(name: str) -> Callable[..., Any]:
    module, _, function = name.partition(":")
    return getattr(importlib.import_module(module), function)  # type: ignore[no-any-return]


def _environment() -> dict[str, str]:
    """Nothing of the parent's, where passwords may stand, but what Python needs to find itself and this same ``pipeline``."""
    kept = {name: value for name in _KEPT_VARIABLES if (value := os.environ.get(name)) is not None}
    here = Path(pipeline.__file__).absolute().parent.parent
    places = [str(here), *(str(Path(place).absolute()) for place in sys.path)]
    own = {"PYTHONPATH": os.pathsep.join(dict.fromkeys(places)), "PYTHONUTF8": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    return {**kept, **own, "MALLOC_ARENA_MAX": "1"}
