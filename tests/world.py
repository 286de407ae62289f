"""A whole site to play with: settings in a folder, a web server as source, the outbox or a real SMTP server as relay.

world = World(tmp_path)
world.news("Eerste bericht", "2026-11-20T09:00")
world.subscribe("ann@example.org", cadence="daily", time="08:00")
world.run("2026-11-24T08:00")           # one tick with everything due, at that moment in Amsterdam
world.mails                              # what the outbox holds, parsed
"""

from __future__ import annotations

import email
import email.policy
import functools
import io
import secrets
import tempfile
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime
from html import escape
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from pipeline import app
from pipeline.deliver.relay import Relay
from pipeline.engines.local import LocalEngine, TickReport
from pipeline.jobs import people, report
from pipeline.jobs.site import Site
from pipeline.models import DeliveryStatus
from pipeline.store.database import bring_up_to_date, open_file
from tests.servers.web import WebServer

AMSTERDAM = ZoneInfo("Europe/Amsterdam")

GAZET_TOML = """\
[site]
title = "Platform Samen Opleiden"
url = "https://nieuws.example.org"
language = "nl"
timezone = "Europe/Amsterdam"
contact = "redactie@example.org"
postal_address = "Postbus 1, 3500 AA Utrecht"
{store}
[collect]
allow = ["127.0.0.1"]
spacing = "0s"
{relay}
"""
FEED_TOML = """\
title = "Samen Opleiden: nieuws"
language = "nl"
{top}
[[source]]
url = "{url}"
every = "{every}"
{source}
[digest]
from = "Samen Opleiden <nieuws@example.org>"
{digest}
"""


def moment(text: str) -> datetime:
    """A moment in Amsterdam (or as its offset says), in UTC."""
    read = datetime.fromisoformat(text)
    return (read if read.tzinfo else read.replace(tzinfo=AMSTERDAM)).astimezone(UTC)


def make_secret(folder: Path) -> None:
    """What ``gazet init`` makes, in a folder that has none."""
    if not (path := folder / "var/secret").exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(secrets.token_hex(32) + "\n", encoding="utf-8")
        path.chmod(0o600)


@functools.cache
def empty_store() -> bytes:
    """An SQLite file with all tables and no rows."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "empty.db"
        store = open_file(path)
        bring_up_to_date(store)
        store.close()
        return path.read_bytes()


class World:
    """One site with one feed ``po`` that reads an RSS feed of the world's own web server."""

    def __init__(
        self, folder: Path, web: WebServer, *, store: str = "", relay: str = "", digest: str = "", every: str = "1m"
    ) -> None:
        self.folder = folder
        self.web = web
        self.entries: list[tuple[str, str, str, tuple[str, ...]]] = []
        self.said: list[str] = []
        self._untouched = True
        (folder / "feeds").mkdir(parents=True, exist_ok=True)
        make_secret(folder)
        store_lines = f'[store]\nurl = "{store}"\n' if store else ""
        (folder / "gazet.toml").write_text(GAZET_TOML.format(store=store_lines, relay=relay), encoding="utf-8")
        self.write_feed(digest=digest, every=every)
        self._serve()

    def write_feed(
        self, slug: str = "po", *, digest: str = "", every: str = "1m", top: str = "", url: str = "", source: str = ""
    ) -> None:
        """Write feeds/<slug>.toml; ``source``: further lines of its one source."""
        text = FEED_TOML.format(url=url or self.web.url("/feed.xml"), digest=digest, every=every, top=top, source=source)
        (self.folder / "feeds" / f"{slug}.toml").write_text(text, encoding="utf-8")

    def news(self, title: str, at: str, *, text: str = "Een bericht.", topics: tuple[str, ...] = ()) -> None:
        """The source publishes an item; its guid is its place in the list."""
        self.entries.append((title, at, text, topics))
        self._serve()

    def rewrite(self, number: int, title: str) -> None:
        """The source gives its item of that number another title."""
        self.entries[number - 1] = (title, *self.entries[number - 1][1:])
        self._serve()

    def _serve(self) -> None:
        items = "".join(
            f"<item><title>{escape(title)}</title><link>{self.web.url(f'/{number}/')}</link>"
            f'<guid isPermaLink="false">{number}</guid><pubDate>{format_datetime(moment(at))}</pubDate>'
            + "".join(f"<category>{escape(topic)}</category>" for topic in topics)
            + f"<description>{escape(text)}</description></item>"
            for number, (title, at, text, topics) in reversed(list(enumerate(self.entries, 1)))
        )
        body = f'<rss version="2.0"><channel><title>Bron</title><link>{self.web.url("/")}</link>{items}</channel></rss>'
        self.web.serve("/feed.xml", body.encode(), content_type="application/rss+xml")

    @property
    def site(self) -> Site:
        """The site, opened once and kept until ``reopen``."""
        if not hasattr(self, "_site"):
            self._lay_out_tables()
            self._site = app.open_site(self.folder)
        return self._site

    def _lay_out_tables(self) -> None:
        """A world of its own kind of store begins with a copy of an empty one, which is ten times quicker than the migrations.

        Not where a command was there first or where something was laid out already: that must do with what is there.
        """
        if self._untouched and "[store]" not in (self.folder / "gazet.toml").read_text(encoding="utf-8"):
            path = self.folder / "var/gazet.db"
            if {one.name for one in path.parent.iterdir()} == {"secret"}:
                path.touch(mode=0o600)
                path.write_bytes(empty_store())
        self._untouched = False

    def reopen(self) -> None:
        """Read the settings anew, as another process would."""
        self.close()

    def close(self) -> None:
        """Give the database back."""
        if hasattr(self, "_site"):
            self._site.store.close()
            del self._site

    def subscribe(self, address: str, *, at: str = "2026-01-01T00:00", feed: str = "po", **columns: str) -> None:
        """Import one line of CSV."""
        row = {"email": address, "feed": feed, **columns}
        text = ",".join(row) + "\n" + ",".join(row.values()) + "\n"
        done = people.import_subscribers(self.site, people.read_csv(self.site, io.StringIO(text)), moment(at))
        assert not done.refused, done.refused

    def engine(
        self, at: str | datetime, *, relay: Callable[[], Relay] | None = None, stop: threading.Event | None = None
    ) -> LocalEngine:
        """The engine of ``gazet run`` with a clock that stands at ``at``."""
        now = moment(at) if isinstance(at, str) else at
        return LocalEngine(
            self.site,
            relay or (lambda: app.relay_for(self.site)),
            process=app.process_name(),
            is_dead=app.dead_process(self.site),
            clock=lambda: now,
            stop=stop or threading.Event(),
            say=self.said.append,
        )

    def run(self, at: str | datetime, **options: Any) -> TickReport:
        """``gazet run --once --now AT``."""
        return self.engine(at, **options).once()

    @property
    def mails(self) -> list[EmailMessage]:
        """Every mail in the outbox, by date and recipient."""
        folder = self.folder / "var/outbox/new"
        paths = list(folder.iterdir()) if folder.exists() else []
        parsed = [email.message_from_bytes(path.read_bytes(), policy=email.policy.default) for path in paths]
        return sorted(parsed, key=lambda mail: (mail["Date"].datetime, str(mail["To"])))

    def titles(self, mail: EmailMessage) -> list[str]:
        """Which of this world's items a mail shows, in its order."""
        body = mail.get_body(("plain",))
        assert body is not None
        titles = {title for title, *_ in self.entries}
        return [line for line in body.get_content().splitlines() if line in titles]

    def got(self, address: str) -> list[list[str]]:
        """The titles of each digest this address got, oldest first."""
        return [self.titles(mail) for mail in self.mails if address in str(mail["To"])]

    def sums(self, label: str) -> dict[str, int]:
        """The non-zero sums of an edition, after checking that it adds up."""
        [found] = report.verify(self.site, label)
        assert found.faults == (), found.faults
        return {str(status): count for status, count in found.sums.items() if count}

    def statuses(self, label: str) -> dict[str, DeliveryStatus]:
        """What became of each recipient of an edition."""
        from pipeline.jobs import operate
        from pipeline.store import deliveries

        with self.site.store.read() as tx:
            edition = operate.find_edition(tx, label)
            return {one.address: one.status for one in deliveries.of_edition(tx, edition.id)}
