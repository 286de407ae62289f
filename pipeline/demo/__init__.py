"""``gazet demo``: two weeks of a small newsletter in a few seconds, on a sample site on loopback and into the outbox.

The clock starts on 22 May 2019 and is moved by hand; nothing but the clock and the sample site is made up: the settings,
the store, the published files and the mails are what a real site has.
"""

from __future__ import annotations

import contextlib
import email
import email.policy
import hashlib
import os
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path
from zoneinfo import ZoneInfo

from pipeline import app, config
from pipeline.config import OUTBOX
from pipeline.deliver.outbox import Outbox
from pipeline.demo.site import SampleSite
from pipeline.engines.local import LocalEngine, TickReport
from pipeline.errors import GazetError, UsageError
from pipeline.jobs import people
from pipeline.jobs.site import Site
from pipeline.publish import FORMATS

SLUG = "samen-opleiden"
_ZONE = ZoneInfo("Europe/Amsterdam")
_MARK = "made-by-gazet-demo"
_GAZET_TOML = """\
[site]
title = "Platform Samen Opleiden"
url = "https://nieuws.example.org"
language = "nl"
timezone = "Europe/Amsterdam"
contact = "redactie@example.org"
postal_address = "Postbus 1, 3500 AA Utrecht"

[collect]
allow = ["127.0.0.1"]               # the sample site is on loopback; a real one needs no such line
spacing = "0s"                      # nor this one: it need not be spared
"""
_SUBSCRIBERS = """\
email,feed,name,cadence,timezone,consent
grace@example.org,samen-opleiden,Grace Hopper,daily,America/New_York,demo
jan@example.org,samen-opleiden,Jan de Vries,weekly,,demo
noor@example.org,samen-opleiden,Noor Yılmaz,weekly,,demo
"""


def run(folder: Path, say: Callable[[str], None]) -> None:
    """Make the demo site in ``folder``, play it, and say what happened. Raises UsageError for a folder that is not a demo's."""
    _clear(folder)
    with _no_variables(), SampleSite() as sample:
        _write_site(folder, sample.url)
        app.secret_of(config.load(folder), make=True)
        site = app.open_site(folder)
        try:
            with app.site_lock(site.settings):
                _play(site, sample, say)
        finally:
            site.store.close()
    _tell_where(folder, say)


@contextlib.contextmanager
def _no_variables() -> Iterator[None]:
    """Without the GAZET_ variables of whoever tries it: they name a real relay or store, and the demo uses none (promise 12)."""
    taken = {name: os.environ.pop(name) for name in list(os.environ) if name.upper().startswith("GAZET_")}
    try:
        yield
    finally:
        os.environ.update(taken)


def _clear(folder: Path) -> None:
    if folder.exists() and any(folder.iterdir()) and not (folder / _MARK).exists():
        raise UsageError(f"{folder} is not empty and no earlier demo made it.", fix="Name another folder: gazet demo DIR.")
    shutil.rmtree(folder, ignore_errors=True)


def _write_site(folder: Path, url: str) -> None:
    shipped = _shipped_feed()
    try:
        (folder / "feeds").mkdir(parents=True)
        (folder / _MARK).touch()
        (folder / "gazet.toml").write_text(_GAZET_TOML, encoding="utf-8")
        (folder / "subscribers.csv").write_text(_SUBSCRIBERS, encoding="utf-8")
        feed = shipped.replace("https://www.example.org/nieuws/", url)
        (folder / "feeds" / f"{SLUG}.toml").write_text(feed, encoding="utf-8")
    except OSError as error:
        raise GazetError(f"{folder}: {error.strerror}.", fix="Name a folder that can be written: gazet demo DIR.") from None


def _shipped_feed() -> str:
    """The feed's file: in the wheel inside the package, in a checkout beside it."""
    inside = resources.files("pipeline") / "feeds" / f"{SLUG}.toml"
    if inside.is_file():
        return inside.read_text(encoding="utf-8")
    return (Path(__file__).parents[2] / "feeds" / f"{SLUG}.toml").read_text(encoding="utf-8")


def _play(site: Site, sample: SampleSite, say: Callable[[str], None]) -> None:
    say(f"The sample news site answers at {sample.url}\n")
    first, last = _at("2019-05-22T09:00"), _at("2019-06-04T08:00")
    _import(site, first, say)
    _tick(site, first, say, "the first collect")
    _let_pass(site, _at("2019-05-22T14:00"), _at("2019-05-28T08:00"), say)
    sample.publish_one_more()
    say("\nThe site publishes one more item.")
    _let_pass(site, _at("2019-05-28T09:00"), _at("2019-05-28T09:00"), say)
    _let_pass(site, _at("2019-05-28T14:00"), last, say)
    before = _fingerprint(site.settings.folder)
    report = _tick(site, last, lambda _: None, "")
    if before != _fingerprint(site.settings.folder) or report.sent is not None:
        raise GazetError("The second run of the same moment changed something; that is a mistake in Gazet.")
    say("\nThe same moment once more: nothing is due, no mail was sent, not a byte of the published files changed.\n")
    _who_got_what(site.settings.folder, say)


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=_ZONE).astimezone(UTC)


def _let_pass(site: Site, start: datetime, end: datetime, say: Callable[[str], None]) -> None:
    """Tick every six hours, as a scheduler would every few seconds; only ticks in which something happened are told."""
    while start <= end:
        told: list[str] = []
        _tick(site, start, told.append, "")
        if any(not line.endswith("not modified") for line in told[1:]):
            for line in told:
                say(line)
        start += timedelta(hours=6)


def _import(site: Site, now: datetime, say: Callable[[str], None]) -> None:
    with (site.settings.folder / "subscribers.csv").open(encoding="utf-8", newline="") as file:
        done = people.import_subscribers(site, people.read_csv(site, file), now)
    say(f"imported subscribers.csv: {done.counts['added']} subscribers, one daily in New York, two weekly")


def _tick(site: Site, now: datetime, say: Callable[[str], None], what: str) -> TickReport:
    local = f"{now.astimezone(_ZONE):%a %d %B %Y %H:%M}"
    say(f"── {local}" + (f", {what}" if what else ""))
    engine = LocalEngine(
        site,
        lambda: Outbox(site.settings.path("var/outbox"), OUTBOX),  # never a relay, whatever the settings say
        process=app.process_name(),
        is_dead=app.dead_process(site),
        clock=lambda: now,
        stop=threading.Event(),
        say=lambda line: say("   " + line.replace("\n", "\n   ")),
    )
    report = engine.once()
    if report.problems:
        raise GazetError(f"The demo met a problem: {report.problems[0]}")
    return report


def _fingerprint(folder: Path) -> list[tuple[str, int, str]]:
    """Name, time and content of every published file and mail."""
    files = sorted(path for part in ("public", "outbox") for path in (folder / "var" / part).rglob("*") if path.is_file())
    return [(path.name, path.stat().st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest()) for path in files]


def _who_got_what(folder: Path, say: Callable[[str], None]) -> None:
    mails = [email.message_from_bytes(path.read_bytes(), policy=email.policy.default) for path in _mails(folder)]
    say("Who got what:")
    for mail in sorted(mails, key=lambda mail: (mail["Date"].datetime, str(mail["To"]))):
        moment = mail["Date"].datetime.astimezone(_ZONE)
        say(f"   {moment:%a %d %b %H:%M}  {mail['To']}\n       {mail['Subject']}")


def _mails(folder: Path) -> list[Path]:
    return sorted((folder / "var" / "outbox" / "new").iterdir())


def _tell_where(folder: Path, say: Callable[[str], None]) -> None:
    feeds = folder / "var" / "public" / "feeds"
    say("\nLook at:")
    for extension in FORMATS:
        say(f"   {feeds / SLUG}.{extension}")
    say(f"   {_mails(folder)[0]}   (and {len(_mails(folder)) - 1} more mails beside it)")
    say(f"   {folder / 'gazet.toml'} and {folder / 'feeds' / SLUG}.toml, all that a site needs")
    say(f"Try: {_command()} status --site {folder}")


def _command() -> str:
    """How this shell reaches gazet: by name, or by the path that was typed."""
    return "gazet" if shutil.which("gazet") else sys.argv[0]
