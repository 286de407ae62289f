"""A few daemon threads that take work from one queue."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Generic, TypeVar

T = TypeVar("T")


class Workers(Generic[T]):
    """At most ``count`` jobs at a time; the others wait their turn.

    A ThreadPoolExecutor would do but for its end: Python joins its threads at exit, so a source that hangs would hold up
    SIGTERM for as long as it likes. What these were doing when the process ends was no finished transaction.
    """

    def __init__(self, count: int, name: str) -> None:
        self._queue: SimpleQueue[tuple[Future[T], Callable[[], T]]] = SimpleQueue()
        self._count = count
        self._name = name
        self._threads: list[threading.Thread] = []

    def submit(self, job: Callable[[], T]) -> Future[T]:
        """The future result of the job; an exception of the job is raised by ``result()``."""
        future: Future[T] = Future()
        self._queue.put((future, job))
        if len(self._threads) < self._count:
            thread = threading.Thread(target=self._work, name=f"{self._name}-{len(self._threads)}", daemon=True)
            self._threads.append(thread)
            thread.start()
        return future

    def _work(self) -> None:
        while True:
            future, job = self._queue.get()
            try:
                future.set_result(job())
            except BaseException as error:
                future.set_exception(error)
