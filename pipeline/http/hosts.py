"""Who may ask which host when: a few requests at once, and a breath between two of them."""

from __future__ import annotations

import ipaddress
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from pipeline.http.urls import origin

_FORGET_AT = 2000

Wait = Callable[[threading.Condition, float | None], object]


@dataclass(slots=True)
class _Host:
    """``present`` requests want a turn, ``running`` ones have it; the next may start at ``opens``; ``spacing`` in seconds."""

    spacing: float
    opens: float
    present: int = 0
    running: int = 0
    slowed: bool = False


class HostGate:
    """Lets ``at_once`` requests to one host and port run together, each ``spacing`` after the start of the one before.

    Safe to share between threads. ``clock`` is monotonic, in seconds; ``wait(condition, seconds)`` waits on a condition
    that is held, for ever with None. Without spacing nothing waits, and nothing for this machine itself with ``spare_loopback``.
    """

    def __init__(
        self,
        spacing: timedelta,
        at_once: int = 2,
        *,
        spare_loopback: bool = False,
        clock: Callable[[], float] = time.monotonic,
        wait: Wait = threading.Condition.wait,
    ) -> None:
        self._spacing = spacing.total_seconds()
        self._at_once = at_once
        self._spare_loopback = spare_loopback
        self._clock = clock
        self._wait = wait
        self._changed = threading.Condition()
        self._hosts: dict[str, _Host] = {}

    @contextmanager
    def turn(self, url: str) -> Iterator[None]:
        """Waits until it is this request's turn; the turn lasts as long as the block. Raises ValueError for no address."""
        key = _host_of(url)
        if not self._spaced(key):
            yield
            return
        host = self._arrive(key)
        try:
            with self._place(host):
                self._breathe(host)
                yield
        finally:
            with self._changed:
                host.present -= 1

    def opens_in(self, url: str) -> float | None:
        """Seconds until a turn would start, 0 for at once; None while as many requests run as may."""
        key = _host_of(url)
        with self._changed:
            host = self._hosts.get(key)
            if host is None:
                return 0.0
            return None if host.running >= self._at_once else max(0.0, host.opens - self._clock())

    def ready(self, url: str) -> bool:
        """Whether a turn would start at once, so that no thread need wait for it."""
        return self.opens_in(url) == 0

    def slow(self, url: str, seconds: float) -> None:
        """Remember that this host asked for more time between two requests (Crawl-delay); never less than the settings say."""
        key = _host_of(url)
        with self._changed:
            slower = seconds > self._spacing
            if slower or key in self._hosts:
                host = self._hosts.setdefault(key, _Host(self._spacing, self._clock()))
                host.spacing, host.slowed = max(seconds, self._spacing), slower

    def _spaced(self, key: str) -> bool:
        if self._spare_loopback and _is_loopback(key.rpartition(":")[0]):
            return False
        if self._spacing:
            return True
        with self._changed:
            return key in self._hosts and self._hosts[key].slowed

    def _arrive(self, key: str) -> _Host:
        with self._changed:
            self._forget()
            host = self._hosts.setdefault(key, _Host(self._spacing, self._clock()))
            host.present += 1
            return host

    @contextmanager
    def _place(self, host: _Host) -> Iterator[None]:
        with self._changed:
            while host.running >= self._at_once:
                self._wait(self._changed, None)
            host.running += 1
        try:
            yield
        finally:
            with self._changed:
                host.running -= 1
                self._changed.notify_all()

    def _breathe(self, host: _Host) -> None:
        """Takes the next start that is free, and waits for it."""
        with self._changed:
            starts = max(host.opens, self._clock())
            host.opens = starts + host.spacing
            while (left := starts - self._clock()) > 0:
                self._wait(self._changed, left)

    def _forget(self) -> None:
        """Hosts that nobody waits for, once there are many: redirects could name any number of them."""
        if len(self._hosts) < _FORGET_AT:
            return
        now = self._clock()
        absent = {key: host for key, host in self._hosts.items() if not host.present}
        idle = [key for key, host in absent.items() if not host.slowed and host.opens <= now]
        for key in idle or list(absent)[: _FORGET_AT // 2]:
            del self._hosts[key]


def _host_of(url: str) -> str:
    _, host, port = origin(url)
    return f"{host.rstrip('.')}:{port}"


def _is_loopback(host: str) -> bool:
    """By its spelling alone: a name that only resolves to loopback waits like any other."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
