"""What a document may do to the process that reads it; called there by name (see ``pipeline.collect.apart``)."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline.errors import ReadError
from pipeline.models import Confidence, ParsedItem

KEPT: list[bytes] = []


class Panic(BaseException):
    """As Rust libraries raise it."""


def echo(*values: Any) -> Any:
    return values


def refuse(url: str) -> None:
    raise ReadError(url, "is not a feed", fix="Give another.")


def mistake(url: str) -> None:
    raise {"key": KeyError, "panic": Panic, "exit": SystemExit}[url]("a stranger's words")


def forgiven_memory() -> None:
    try:
        bytearray(1 << 40)
    except Exception as error:
        raise ReadError("", "cannot be read") from error


def stall(fifo: str = "") -> None:
    """Never returns, and never gives the interpreter to another thread; opens ``fifo`` before."""
    if fifo:
        os.close(os.open(fifo, os.O_WRONLY))
    sys.setswitchinterval(1e6)
    while True:
        pass


def stall_outside_python() -> None:
    ctypes.PyDLL(None).pause()


def allocate(megabytes: int) -> int:
    return len([bytes(1 << 20) for _ in range(megabytes)])


def keep(megabytes: int) -> int:
    KEPT.extend(bytes(1 << 20) for _ in range(megabytes))
    return os.getpid()


def crash() -> None:
    ctypes.string_at(0)


def end_by(number: int) -> None:
    os.kill(os.getpid(), number)
    time.sleep(60)


def end_with(code: int) -> None:
    os._exit(code)


def say(text: str) -> str:
    """As a library that prints."""
    print(text, flush=True)
    os.write(1, text.encode())
    return text


def pid() -> int:
    return os.getpid()


def wait_for(path: str) -> int:
    """Until somebody makes that file."""
    while not Path(path).exists():
        time.sleep(0.01)
    return os.getpid()


def surroundings() -> tuple[dict[str, str], list[str], list[str], bool]:
    """Environment, other open files than its own, loaded modules, and whether Ctrl-C in the parent's terminal reaches it."""
    files = []
    for path in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # the listing's own is gone by now
            files += [str(path.readlink())] if int(path.name) > 2 else []
    return dict(os.environ), files, sorted(sys.modules), os.getsid(0) == os.getsid(os.getppid())


def write_file(path: str) -> str:
    try:
        Path(path).write_bytes(b"x" * 100)
    except OSError as error:
        return type(error).__name__
    return "written"


def alarm_is_heard() -> bool:
    return signal.getsignal(signal.SIGALRM) is signal.SIG_DFL


def title_of(settings: Any) -> tuple[str, str, bool]:
    """Settings have the same names here, without pydantic."""
    return settings.url, settings.page.item, "pydantic" in sys.modules


def not_a_result() -> object:
    return socket.AF_INET, object()


def lie() -> object:
    """A title that is no text."""
    return ParsedItem(url="/a", title=3)  # type: ignore[arg-type]


def confidence() -> Confidence:
    return Confidence.GUESSED


def garbage(data: bytes) -> None:
    """What a parser that somebody took over may write instead of an answer."""
    for descriptor in range(3, 20):
        try:
            os.write(descriptor, data)
        except OSError:
            continue
    os._exit(0)


def survey_or_not(body: bytes, *arguments: Any) -> Any:
    """As ``survey``, but for three documents that do what the worst ones do, at once and on every machine."""
    from pipeline.collect.document import survey

    worst: dict[bytes, Callable[[], Any]] = {b"STALL": stall, b"CRASH": crash, b"GROW": lambda: allocate(1_000)}
    return worst[body]() if body in worst else survey(body, *arguments)
