"""The process in which foreign bytes are read: calls come in on stdin, answers go out on stdout, one at a time.

    request: length, pickle of ("module:function", args, named args, megabytes), from the trusted side
    answers: BEGUN once everything is imported, then one of RESULT, REFUSED, FAULT (see ``apart``), each length, kind, data

It ends when stdin does, when nothing was asked for ``IDLE`` seconds, after ``DOCUMENTS`` calls, or when memory it took for a
document does not come back; so a small process stays small. Start it only by ``apart.ReaderProcesses``.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import pickle
import resource
import select
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from pipeline.collect.apart_answers import BEGUN, FAULT, HEAD, NO_MEMORY, REFUSED, RESULT, pack
from pipeline.errors import ReadError

IDLE = 60.0
DOCUMENTS = 1_000
_GRACE = 1.0
"""Seconds after which this process ends itself where its parent, which should have killed it, is gone."""
_KEPT = 48 << 20
"""Bytes more than at the start that may stay taken between two documents."""
_MEGABYTE = 1 << 20


def main(seconds: float) -> None:
    """Serve until there is nothing more to do."""
    requests, answers = _take_pipes()
    first = 0
    for number in range(1, DOCUMENTS + 1):
        request = _next_request(requests)
        if request is None:
            return
        kind, data = _served(request, answers, seconds)
        del request
        first = first or _data_bytes()
        spent = number == DOCUMENTS or _data_bytes() > first + _KEPT
        _write(answers, kind.lower() if spent else kind, data)
        del data
        if spent:
            return


def _served(request: bytearray, answers: int, seconds: float) -> tuple[bytes, bytes]:
    """Kind and data of the answer; that work begins is said before."""
    try:
        call, megabytes = _understood(request)
        request.clear()
    except Exception as error:
        return FAULT, _json(f"{type(error).__name__}: {error}")
    _harmless()
    with _limited_memory(megabytes):
        _write(answers, BEGUN, b"")
        return _answer(call, seconds)


def _take_pipes() -> tuple[int, int]:
    """The two pipes, out of the way of a library that prints."""
    pipes = os.dup(0), os.dup(1)
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    os.dup2(nowhere, 1)
    return pipes


def _harmless() -> None:
    """No core files and no files written; and the alarm of ``_answer`` is heard, whatever the parent made of it."""
    for limit in (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE):
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(limit, (0, 0))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGALRM])


def _next_request(pipe: int) -> bytearray | None:
    """None where the parent is gone, or asks for nothing."""
    if not select.select([pipe], [], [], IDLE)[0]:
        return None
    head = _read(pipe, HEAD.size)
    return None if head is None else _read(pipe, HEAD.unpack(head)[0])


def _read(pipe: int, size: int) -> bytearray | None:
    data = bytearray(size)
    got = 0
    with memoryview(data) as view:
        while got < size:
            count = os.readv(pipe, [view[got:]])
            if not count:
                return None
            got += count
    return data


def _understood(request: bytearray) -> tuple[Callable[[], object], int]:
    """The call, with all modules that it needs, and the memory that it may take; what cannot be imported is a fault of the call."""
    name, args, named, megabytes = pickle.loads(request)  # noqa: S301  # the parent is trusted, and nobody else has this pipe
    module, _, function = name.partition(":")
    found = getattr(importlib.import_module(module), function)
    return lambda: found(*args, **named), megabytes


def _answer(call: Callable[[], object], seconds: float) -> tuple[bytes, bytes]:
    """SIGALRM is not handled: it ends the process, also in the middle of a library that never comes back to Python."""
    signal.setitimer(signal.ITIMER_REAL, seconds + _GRACE)
    try:
        return RESULT, pack(call())
    except MemoryError:
        os._exit(NO_MEMORY)
    except ReadError as error:
        if _for_want_of_memory(error):
            os._exit(NO_MEMORY)
        return REFUSED, _json(error.url, error.reason, error.fix)
    except BaseException as error:  # a panic of a Rust library is no Exception
        if _for_want_of_memory(error):
            os._exit(NO_MEMORY)
        return FAULT, _json(f"{type(error).__name__} {_place(error)}".strip())
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _json(*texts: str) -> bytes:
    return json.dumps(texts).encode()


def _for_want_of_memory(error: BaseException) -> bool:
    """A reader that forgives everything may have forgiven a MemoryError; selectolax gives lexbor's a name of its own."""
    seen: BaseException | None = error
    for _ in range(20):
        if seen is None:
            return False
        if isinstance(seen, MemoryError) or type(seen).__name__ == "SelectolaxError":
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def _place(error: BaseException) -> str:
    """File and line in Gazet, for whoever reports it; no text of the error, which may be a stranger's."""
    trace, place = error.__traceback__, ""
    while trace is not None:
        path = Path(trace.tb_frame.f_code.co_filename)
        if "pipeline" in path.parts and path.name != Path(__file__).name:
            place = f"at {path.name}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place


def _data_bytes() -> int:
    """What RLIMIT_DATA counts: private memory that can be written; 0 where the system does not say."""
    with contextlib.suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/self/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmData")).split()[1]) * 1024
    return 0


@contextlib.contextmanager
def _limited_memory(megabytes: int) -> Iterator[None]:
    """Inside, so much more than now. Where the system does not limit it, the parent's time limit remains."""
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = _data_bytes() + megabytes * _MEGABYTE
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_DATA, (wanted if hard < 0 else min(wanted, hard), hard))
    try:
        yield
    finally:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def _write(pipe: int, kind: bytes, data: bytes) -> None:
    for part in (HEAD.pack(len(data)) + kind, data):
        view = memoryview(part)
        while view:
            view = view[os.write(pipe, view) :]


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        main(float(sys.argv[1]))
