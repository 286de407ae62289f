"""Wiring: settings, store, texts, fetcher, links, relay, lock and clock become one running site."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import socket
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from pipeline import config
from pipeline.compose.links import Links
from pipeline.config import OUTBOX, Settings
from pipeline.deliver.outbox import Outbox
from pipeline.deliver.relay import Relay
from pipeline.deliver.smtp import relay_from
from pipeline.errors import ConfigError, GazetError, Problem, SendRefusedError, SiteLockedError
from pipeline.http import from_settings
from pipeline.jobs.site import Site
from pipeline.store import open_store, subscribers
from pipeline.texts import Texts


def open_site(folder: Path) -> Site:
    """The site in that folder, ready for jobs. Raises ConfigError or StoreError."""
    settings = config.load(folder)
    store = open_store(settings)
    with store.read() as tx:
        in_use = subscribers.any_subscription(tx)
    links = Links(secret_of(settings, make=not in_use))
    return Site(settings, store, Texts(settings.folder), from_settings(settings), links)


def secret_of(settings: Settings, *, make: bool) -> bytes:
    """The site's secret; made when it is missing and ``make``. It signs links for ever, so it is never replaced."""
    path = settings.path(settings.site.secret_file)
    try:
        secret = path.read_bytes().strip()
        if len(secret) >= 32:
            return secret
        raise ConfigError([Problem(str(path), "is too short to be this site's secret", "restore it from a backup")])
    except FileNotFoundError:
        if make:
            return _make_secret(path)
        fix = "restore it from a backup: every unsubscribe link that was ever sent needs it"
        raise ConfigError([Problem(str(path), "the site's secret is missing", fix)]) from None
    except OSError as error:
        raise ConfigError([Problem(str(path), f"cannot be read: {error.strerror}")]) from None


def _make_secret(path: Path) -> bytes:
    secret = secrets.token_hex(32).encode()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secret + b"\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise ConfigError([Problem(str(path), f"the site's secret cannot be made: {error.strerror}")]) from None
    return secret


def relay_for(site: Site) -> Relay:
    """The relay that deliveries go to: the first one named, or the outbox. Raises SendRefusedError (promise 12)."""
    if not site.settings.relay:
        return Outbox(site.settings.path("var/outbox"), OUTBOX)
    settings = site.settings.relay[0]
    if not settings.on_loopback:
        raise SendRefusedError(
            f'Relay "{settings.name}" ({settings.host}:{settings.effective_port}) reaches real people, and this version sends '
            "only to the outbox or to a test server on loopback.",
            fix="Remove [[relay]] to rehearse into var/outbox; nothing was sent and nothing is lost.",
        )
    return relay_from(settings, site.settings.folder)


def process_name() -> str:
    """Names this process in lease tokens: host and pid namespace, boot, pid and start time tell it from any other."""
    return f"{_machine()}/{_boot_id()}/{os.getpid()}/{_start_time(os.getpid())}"


def dead_process(site: Site) -> _DeadProcess:
    """Judges lease tokens. On SQLite, whose site lock this process holds, every other holder is dead."""
    return _DeadProcess(process_name(), alone=site.store.is_sqlite)


class _DeadProcess:
    def __init__(self, me: str, *, alone: bool) -> None:
        self.me = me
        self.alone = alone

    def __call__(self, lease: str) -> bool | None:
        """None: another machine's process, of which only the end of its lease tells."""
        holder = lease.partition("#")[0]
        if holder == self.me or self.alone:
            return holder != self.me
        machine, boot, pid, started = holder.rsplit("/", 3)
        if machine != _machine():
            return None
        return boot != _boot_id() or _start_time(int(pid)) != started


def _machine() -> str:
    try:
        namespace = Path("/proc/self/ns/pid").readlink().name
    except OSError:
        namespace = ""
    return f"{socket.gethostname()}:{namespace}".replace("/", "_")


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return "boot"


def _start_time(pid: int) -> str:
    """Clock ticks after boot at which the process started (proc(5), field 22); empty when there is none or only its zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]


@contextlib.contextmanager
def site_lock(settings: Settings) -> Iterator[None]:
    """One process at a time runs jobs on an SQLite site. Raises SiteLockedError naming the holder.

    The kernel gives the lock back when its process ends, however it ends. PostgreSQL needs none: claims are by row.
    """
    if not settings.store.url.startswith("sqlite"):
        yield
        return
    path = settings.path("var/lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+", encoding="utf-8")
    except OSError as error:
        raise GazetError(f"{path}: {error.strerror}.", fix="Gazet must be able to write in the site's var folder.") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise SiteLockedError(file.read(200).strip() or "unknown") from None
        file.truncate(0)
        file.write(f"pid {os.getpid()}: {' '.join(['gazet', *sys.argv[1:2]])}, since {datetime.now(UTC):%Y-%m-%d %H:%M} UTC")
        file.flush()
        yield
