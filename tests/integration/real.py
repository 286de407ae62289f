"""A site whose relay reaches real people, as far as Gazet can know, and whose address is a web server of the test's own."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

from sqlalchemy import select

from pipeline.store import runs
from pipeline.store.schema import Base
from tests.integration.command import Ended, gazet
from tests.needs import missing
from tests.servers.smtp import SmtpServer
from tests.servers.web import WebServer
from tests.world import World

NOW = datetime.now(UTC)
LONG_AGO = "2026-01-01T00:00"
ANN, BOB, ME = "ann@echt.nl", "bob@echt.nl", "ik@redactie.nl"
SUBMISSION = 587
_hosts = count(1)


class RealRelay(SmtpServer):
    """On port 587 of an address of its own in 127/8, where somebody's own mail server may be: so it counts as the world."""

    def __init__(self, **options: Any) -> None:
        self.host = f"127.{1 + os.getpid() // 250 % 250}.{os.getpid() % 250}.{1 + next(_hosts) % 250}"
        super().__init__(port=SUBMISSION, **options)


def real_relay() -> Iterator[SmtpServer]:
    """What a fixture yields from."""
    try:
        with RealRelay(users={"u": "sesam"}) as server:
            yield server
    except PermissionError:
        missing("only root may listen on port 587 here, and no other relay counts as a real one")


def relay_toml(server: SmtpServer, password: str = "sesam") -> str:
    login = f'user = "u"\npassword = "{password}"\n' if password else ""
    return f'[[relay]]\nname = "echt"\nhost = "{server.host}"\nport = {server.port}\n{login}tls = "none"\n'


class Site(World):
    """A world whose address is its own web server, with a relay that reaches real people."""

    def __init__(self, folder: Path, web: WebServer, relay: SmtpServer, store: str = "") -> None:
        super().__init__(folder, web, relay=relay_toml(relay), store=store)
        self.change("https://nieuws.example.org", web.url("").rstrip("/"))
        self.write_feed(digest='uncertain = "resend"')
        path = folder / "feeds/po.toml"
        path.write_text(path.read_text().replace("nieuws@example.org", "nieuws@redactie.nl"))
        self.news("Eerste bericht", (NOW - timedelta(hours=1)).isoformat())
        self.subscribe(ANN, at=LONG_AGO, cadence="instant")
        self.subscribe(BOB, at=LONG_AGO, cadence="instant")

    def change(self, old: str, new: str) -> None:
        path = self.folder / "gazet.toml"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))
        self.reopen()

    def answers(self, mark: str | None = None) -> None:
        """The site's address answers as this site, or with that mark."""
        body = json.dumps({"site": mark or self.site.mark, "status": "ok"})
        self.web.serve("/healthz", body, content_type="application/json")

    def is_silent(self) -> None:
        self.web.serve("/healthz", "niet hier", status=404)

    def once(self, *words: str) -> Ended:
        self.close()
        return gazet("run", "--once", *words, site=self.folder)

    def test(self, *words: str) -> Ended:
        """Collect, so that there is something to show, and send it to ourselves."""
        self.close()
        gazet("collect", site=self.folder)
        return self.command("send", "po", "--test", ME, *words)

    def command(self, *words: str) -> Ended:
        return gazet(*words, site=self.folder)

    def problems(self) -> dict[str, str]:
        with self.site.store.read() as tx:
            return {one.key: f"{one.what} {one.fix}" for one in runs.problems(tx)}

    @property
    def label(self) -> str:
        from pipeline.store import editions

        with self.site.store.read() as tx:
            return editions.latest(tx, 1)[0].label

    def dump(self, *but: str) -> dict[str, Any]:
        """Every table, so that what should change nothing can be seen to."""
        with self.site.store.read() as tx:
            tables = [table for name, table in Base.metadata.tables.items() if name not in but]
            return {table.name: sorted(map(repr, tx.execute(select(table)))) for table in tables}
