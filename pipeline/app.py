"""Wiring: settings, store, texts, fetcher, links, relay, lock and clock become one running site."""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import functools
import os
import secrets
import socket
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from pipeline import config
from pipeline.collect.apart import ReaderProcesses
from pipeline.compose.links import Links
from pipeline.config import OUTBOX, Settings
from pipeline.deliver.journal import boot_id
from pipeline.deliver.outbox import Outbox
from pipeline.deliver.relay import Relay
from pipeline.deliver.smtp import relay_from
from pipeline.errors import ConfigError, GazetError, Problem, SiteLockedError, UsageError
from pipeline.http import from_settings
from pipeline.http.robots import Robots
from pipeline.jobs import trust
from pipeline.jobs.owners import hand_over, make_folder
from pipeline.jobs.site import Outside, Site
from pipeline.jobs.take_settings import take_settings
from pipeline.jobs.try_templates import check_templates
from pipeline.store import Store, open_store, record, runs, subscribers
from pipeline.store.database import file_of
from pipeline.texts import Texts

_READERS = 2
_STILL = 0.2
"""Seconds for which no file changes before an edit counts as done."""
_LONGEST_EDIT = 10


def open_site(folder: Path) -> Site:
    """The site in that folder, ready for jobs. Raises ConfigError or StoreError."""
    settings = config.load(folder)
    secret_of(settings)  # before the store: where the disk with var is away, nothing is made in its place
    return wire(settings, open_store(settings))


def wire(settings: Settings, store: Store) -> Site:
    """The site of these settings on an open store. Raises ConfigError without its secret."""
    links = Links(secret_of(settings))
    if store.record is not None:
        store.record.address_hash = links.address_hash
    return _site(settings, store, Texts(settings.folder), links)


def _site(settings: Settings, store: Store, texts: Texts, links: Links) -> Site:
    fetcher = from_settings(settings)
    return Site(settings, store, texts, fetcher, Robots(fetcher), readers(settings.collect.read_timeout.total_seconds()), links)


def outside_of(settings: Settings) -> Outside:
    """What looks at sources without a store: for ``gazet check`` and ``gazet add``."""
    fetcher = from_settings(settings)
    return Outside(settings, fetcher, Robots(fetcher), readers(settings.collect.read_timeout.total_seconds()))


@functools.cache
def readers(seconds: float) -> ReaderProcesses:
    """The processes that read foreign bytes, shared by whatever this process opens; started when first needed."""
    made = ReaderProcesses(_READERS, seconds)
    atexit.register(made.close)
    return made


def reload(site: Site, now: datetime) -> Site:
    """The same site while no file of its settings changed, else a new one on the same store.

    Edits with a mistake, and those that need a restart, leave the old site in force as a whole; the problem ``settings`` names
    file and key until they are mended. Never raises.
    """
    if config.current_files(site.settings) == site.settings.files:
        _forget_bad_edit(site, now)
        return site
    try:
        return _edited(site, now)
    except ConfigError as error:
        first, more = error.problems[0], len(error.problems) - 1
        what = f"{first} (and {more} more)." if more else f"{first}."
    except (GazetError, OSError) as error:
        what = error.what if isinstance(error, GazetError) else f"{error.filename}: {error.strerror}."
    except Exception as error:  # its text may hold a secret; whatever it is, it must not end the run
        what = f"they cannot be used: {type(error).__name__}."
    with contextlib.suppress(GazetError), site.store.write() as tx:  # a store that is away is a problem of its own
        fix = 'What ran before goes on. "gazet check" names every mistake.'
        runs.problem(tx, "settings", f"the settings were edited and not taken: {what}", fix, now)
    return site


def _forget_bad_edit(site: Site, now: datetime) -> None:
    """The files are again what they were: an edit that was not taken was undone."""
    with contextlib.suppress(GazetError):
        with site.store.read() as tx:
            undone = any(problem.key == "settings" for problem in runs.problems(tx))
        if undone:
            with site.store.write() as tx:
                runs.mended(tx, "settings", now)


def _edited(site: Site, now: datetime) -> Site:
    settings = _when_written(site.settings)
    _refuse_what_needs_a_restart(site, settings)
    texts = Texts(settings.folder)
    check_templates(settings, texts, now)
    edited = _site(settings, site.store, texts, site.links)
    take_settings(edited, now)
    return edited


def _when_written(before: Settings) -> Settings:
    """The settings once no file changes any more: an editor writes in steps, and takes the file away in one of them."""
    seen = config.current_files(before)
    for _ in range(_LONGEST_EDIT):
        time.sleep(_STILL)
        last, seen = seen, config.current_files(before)
        if last == seen:
            break
    return config.load(before.folder)


def _refuse_what_needs_a_restart(site: Site, settings: Settings) -> None:
    """What was opened with the start: the store, the secret, the web server's address."""
    old = site.settings
    pairs = {"store.url": (old.store.url, settings.store.url), "web.listen": (old.web.listen, settings.web.listen)}
    changed = [key for key, (before, after) in pairs.items() if before != after]
    if Links(secret_of(settings)).address_hash("") != site.links.address_hash(""):
        changed.append("site.secret_file")
    if changed:
        fix = "restart gazet, or put it back; until then no edit counts"
        raise ConfigError([Problem(f"gazet.toml: {key}", "counts from the next start on", fix) for key in changed])


def secret_of(settings: Settings, *, make: bool = False) -> bytes:
    """The site's secret. It signs links for ever, so it is never replaced, and only made (``make``) for a site that begins."""
    path = settings.path(settings.site.secret_file)
    try:
        secret = path.read_bytes().strip()
        if len(secret) >= 32:
            return secret
        raise ConfigError([Problem(str(path), "is too short to be this site's secret", "restore it from a backup")])
    except FileNotFoundError:
        if make:
            return _make_secret(path)
        raise ConfigError([Problem(str(path), "the site's secret is missing", _NO_SECRET)]) from None
    except OSError as error:
        raise ConfigError([Problem(str(path), f"cannot be read: {error.strerror}")]) from None


_NO_SECRET = (
    "is the disk with var there? if so, restore it from a backup: every unsubscribe link that was ever sent needs it; "
    'for a site that never sent anything, "gazet init --new-secret" makes one'
)


def first_secret(settings: Settings) -> Path:
    """Make the secret of a site whose settings somebody wrote by hand. Raises UsageError where it has one, or people have links."""
    path = settings.path(settings.site.secret_file)
    if path.exists():
        raise UsageError(f"{path} is there already.", fix="Keep it: every unsubscribe link that was ever sent needs it.")
    if _has_run(settings):
        raise UsageError(f"This site has run before, and its secret {path} is missing.", fix="Restore it from a backup.")
    secret_of(settings, make=True)
    return path


def _has_run(settings: Settings) -> bool:
    file = file_of(settings)
    if file is not None and not file.exists():
        return bool(record.days(settings.path(record.FOLDER))) or settings.path("var/public").exists()
    with contextlib.closing(open_store(settings)) as store, store.read() as tx:
        return subscribers.any_subscription(tx)


def _make_secret(path: Path) -> bytes:
    secret = secrets.token_hex(32).encode()
    try:
        make_folder(path.parent)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secret + b"\n")
            file.flush()
            os.fsync(file.fileno())
        hand_over(path)
    except OSError as error:
        raise ConfigError([Problem(str(path), f"the site's secret cannot be made: {error.strerror}")]) from None
    return secret


def relay_for(site: Site, *, standing_clock: bool = False) -> Relay:
    """The relay that mail goes to: the first one named, or the outbox. ``standing_clock``: --now was given.

    Raises SendRefusedError while promise 12 is not met (``jobs/trust.py``); then that is kept as a problem, too.
    """
    if not site.settings.relay:
        return Outbox(site.settings.path("var/outbox"), OUTBOX)
    settings = site.settings.relay[0]
    if not settings.on_loopback:
        trust.require(site, settings, standing_clock=standing_clock)
    return relay_from(settings, site.settings.folder)


def carrier_for(site: Site, *, standing_clock: bool = False) -> Relay:
    """The same for mails to those who run the site: alerts and eves need no test mail, for one of them may say so.

    Raises SendRefusedError for a copy of a site, with a standing clock, and with an example address.
    """
    if site.settings.relay:
        trust.require_place(site, site.settings.relay[0], standing_clock=standing_clock)
        return relay_from(site.settings.relay[0], site.settings.folder)
    return relay_for(site)


def process_name() -> str:
    """Names this process in lease tokens: host and pid namespace, boot, pid and start time tell it from any other."""
    return f"{_machine()}/{boot_id()}/{os.getpid()}/{_start_time(os.getpid())}"


def dead_process(site: Site) -> _DeadProcess:
    """Judges lease tokens. On SQLite, whose site lock this process holds, every other holder is dead."""
    return dead_process_on(site.store)


def dead_process_on(store: Store) -> _DeadProcess:
    """The same for a store that no site is made of yet."""
    return _DeadProcess(process_name(), alone=store.is_sqlite)


def is_running(process: str) -> bool | None:
    """Whether the process of that name lives; None where only another machine or container knows."""
    dead = _DeadProcess(process_name(), alone=False)(process)
    return None if dead is None else not dead


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
        return boot != boot_id() or _start_time(int(pid)) != started


def _machine() -> str:
    try:
        namespace = Path("/proc/self/ns/pid").readlink().name
    except OSError:
        namespace = ""
    return f"{socket.gethostname()}:{namespace}".replace("/", "_")


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
    with folder_lock(settings.folder):
        yield


@contextlib.contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """The same for a folder whatever its store: a restore takes it. Raises SiteLockedError."""
    with _lock_file(folder / "var/lock") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise SiteLockedError(file.read(200).strip() or "unknown") from None
        _name_holder(file.fileno())
        yield


@contextlib.contextmanager
def serving(folder: Path, *, alone: bool = False) -> Iterator[None]:
    """Held by every ``gazet serve``; ``alone``, by what puts another store in place: it must know of whoever leaves meanwhile.

    Raises SiteLockedError for a restore, a copy or a migration while somebody serves, and the other way round.
    """
    with _lock_file(folder / "var/serve.lock") as file:
        try:
            fcntl.flock(file, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)  # the kernel knows those that share it, not by name
            raise SiteLockedError("gazet serve" if alone else file.read(200).strip() or "gazet restore") from None
        if alone:
            _name_holder(file.fileno())
        yield


def _lock_file(path: Path) -> IO[str]:
    try:
        make_folder(path.parent)
        file = path.open("a+", encoding="utf-8")
        hand_over(path)
        return file
    except OSError as error:
        raise GazetError(f"{path}: {error.strerror}.", fix="Gazet must be able to write in the site's var folder.") from None


def _name_holder(lock: int) -> None:
    """Say who holds the lock; on a full disk it is held without a name."""
    holder = f"pid {os.getpid()}: {' '.join(['gazet', *sys.argv[1:2]])}, since {datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    with contextlib.suppress(OSError):
        os.ftruncate(lock, 0)
        os.pwrite(lock, holder.encode(), 0)
