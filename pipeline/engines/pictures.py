"""Images beside the tick: a few at a time, one of each host, and never waited for long."""

from __future__ import annotations

import functools
import threading
import time
from collections import Counter
from concurrent.futures import Future, wait
from datetime import datetime
from urllib.parse import urlsplit

from pipeline.engines.workers import Workers
from pipeline.jobs import due, images
from pipeline.jobs.images import LookedAt
from pipeline.jobs.site import Site

_AT_ONCE = 4
_UNDER_WAY, _OF_ONE_HOST = 90, 30
"""Images that are being fetched or wait for their host's turn: the others are not begun yet, so that a slow host fills no queue."""
_CANDIDATES = 200
_PATIENCE = 15.0
"""Seconds that a tick waits for the images that it has begun: so much later may an edition open."""
_LOOK_UP_SECONDS = 0.5


class Pictures:
    """What is being fetched goes on when a tick does not wait any longer, and is not begun a second time."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self._workers: Workers[LookedAt] = Workers(_AT_ONCE, "image", per_host=1)
        self._under_way: dict[str, Future[LookedAt]] = {}
        self._checked = False

    def look(self, site: Site, now: datetime) -> list[LookedAt]:
        """Begin what is due and wait a little; returns all that has ended since the last call, and raises the first error of it."""
        images.note_images(site, due.due_feeds(site), now, check=not self._checked)
        self._checked = True
        begun = self._begin(site, now)
        ends = time.monotonic() + _PATIENCE
        pending = set(begun)
        while pending and not self._stop.is_set() and (left := ends - time.monotonic()) > 0:
            _, pending = wait(pending, timeout=min(left, _LOOK_UP_SECONDS))
        return self._ended()

    def _begin(self, site: Site, now: datetime) -> list[Future[LookedAt]]:
        begun = []
        hosts = Counter(map(_host, self._under_way))
        for one in images.due_images(site, now, _CANDIDATES, self._under_way.keys()):
            host = _host(one.url)
            if hosts.total() < _UNDER_WAY and hosts[host] < _OF_ONE_HOST:
                hosts[host] += 1
                job = functools.partial(images.fetch_image, site, one, now)
                self._under_way[one.url] = self._workers.submit(job, host)
                begun.append(self._under_way[one.url])
        return begun

    def _ended(self) -> list[LookedAt]:
        ended = {url: future for url, future in self._under_way.items() if future.done()}
        for url in ended:
            del self._under_way[url]
        for future in ended.values():
            if (error := future.exception()) is not None:
                raise error
        return [future.result() for future in ended.values()]


def _host(url: str) -> str:
    return urlsplit(url).netloc
