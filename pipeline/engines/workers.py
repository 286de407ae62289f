"""A few daemon threads that take work from one queue, few at a time for one host."""

from __future__ import annotations

import contextlib
import ctypes
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import Generic, TypeVar

T = TypeVar("T")

_M_ARENA_MAX = -8
_ARENAS = 2


class Workers(Generic[T]):
    """At most ``count`` jobs at a time and ``per_host`` of one host; the others wait, and hold up no job of another host.

    A ThreadPoolExecutor would do but for its end: Python joins its threads at exit, so a source that hangs would hold up
    SIGTERM for as long as it likes. What these were doing when the process ends was no finished transaction.
    A thread ends when there is nothing for it to do: idle ones would hold the site of their last job, also one whose
    settings were edited since.
    """

    def __init__(self, count: int, name: str, *, per_host: int) -> None:
        self._count = count
        self._name = name
        self._per_host = per_host
        self._waiting: dict[str, deque[tuple[Future[T], Callable[[], T]]]] = {}
        self._busy: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._threads = 0
        _share_heaps()

    def submit(self, job: Callable[[], T], host: str) -> Future[T]:
        """The future result of the job; an exception of the job is raised by ``result()``."""
        return self.submit_all([(job, host)])[0]

    def submit_all(self, jobs: Iterable[tuple[Callable[[], T], str]]) -> list[Future[T]]:
        """The same for many jobs with their hosts: all wait before the first begins.

        Handed in one at a time, each would find the last one's thread ended and start another: a thread for each job, and the
        caller in their way.
        """
        futures: list[Future[T]] = []
        with self._lock:
            for job, host in jobs:
                futures.append(Future())
                self._waiting.setdefault(host, deque()).append((futures[-1], job))
            for _ in range(min(len(futures), self._count - self._threads)):
                if self._free_host() is None:
                    break
                threading.Thread(target=self._work, name=f"{self._name}-{self._threads + 1}", daemon=True).start()
                self._threads += 1
        return futures

    def _work(self) -> None:
        """One job after another. Each end of a job lets at most one more begin, so nobody else need look for it."""
        while (taken := self._take()) is not None:
            host, future, job = taken
            try:
                future.set_result(job())
            except BaseException as error:
                future.set_exception(error)
            with self._lock:
                self._busy[host] -= 1

    def _take(self) -> tuple[str, Future[T], Callable[[], T]] | None:
        """The next job; None, and one thread fewer, where there is none that may begin."""
        with self._lock:
            host = self._free_host()
            if host is None:
                self._threads -= 1
                return None
            jobs = self._waiting[host]
            future, job = jobs.popleft()
            if not jobs:
                del self._waiting[host]
            self._busy[host] += 1
            return host, future, job

    def _free_host(self) -> str | None:
        """The host whose jobs have waited longest among those that may take one more."""
        return next((host for host in self._waiting if self._busy[host] < self._per_host), None)


def _share_heaps() -> None:
    """Else glibc gives nearly each new thread a heap of its own, and keeps in each what its busiest moment took (mallopt(3))."""
    with contextlib.suppress(OSError, AttributeError):  # another C library has no such habit
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _ARENAS)
