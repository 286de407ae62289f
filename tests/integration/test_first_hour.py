"""The first hour of an operator, and the accidents of the years after it: with the real commands, a real relay and the clock."""

from __future__ import annotations

import email
import email.policy
import sqlite3
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import chdir, closing
from datetime import datetime
from email.message import EmailMessage
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import create_engine

from pipeline.store import migrate
from tests.crash.servers import HoldingServer
from tests.integration.command import Ended, gazet, gazet_process
from tests.integration.real import RealRelay
from tests.integration.running import Running
from tests.needs import missing
from tests.servers.dns import DnsServer
from tests.servers.smtp import SmtpServer
from tests.servers.web import WebServer, closed_port

ANN, BOB, DIRK, EVA = "ann@lezers.nl", "bob@lezers.nl", "dirk@lezers.nl", "eva@lezers.nl"
EDITOR, OPERATOR = "redactie@krant.nl", "beheer@krant.nl"
READERS = f"email,feed,consent\n{ANN},nieuws,form 2026-10-01\n{BOB},nieuws,\n{DIRK},nieuws,\n{EVA},nieuws,\n"
RELAY = """\
[[relay]]
name = "provider"
host = "{host}"
port = {port}
tls = "none"

[collect]"""
FIRST = ("De school begint een week later", "Twee nieuwe besturen erbij", "Subsidie voor lerarenopleidingen")
LATER = ("Bob leest dit niet meer", "De kabel was doorgesneden", "Na de reservekopie", "Na het herstel")
ALL_TITLES = {*FIRST, *LATER}
KNOWN = ("add", "check", "collect", "doctor", "preview", "run", "send", "status", "subscribers", "verify")
MONTHS = (
    "januari",
    "februari",
    "maart",
    "april",
    "mei",
    "juni",
    "juli",
    "augustus",
    "september",
    "oktober",
    "november",
    "december",
)


class NewsPage:
    """A news page of somebody else: a list of blocks with a heading, a date in words and a teaser."""

    def __init__(self, web: WebServer) -> None:
        self.web = web
        self.titles: list[str] = []

    @property
    def url(self) -> str:
        return self.web.url("/nieuws/")

    def tells(self, *titles: str) -> None:
        """The newest stands first."""
        self.titles += titles
        today = datetime.now(ZoneInfo("Europe/Amsterdam"))
        date = f"{today.day} {MONTHS[today.month - 1]} {today.year}"
        blocks = "".join(
            f'<article><p>Nieuws {date}</p><h2><a href="/nieuws/{number}/">{title}</a></h2>'
            f"<p>Een teaser van enige lengte die over bericht {number} gaat en over niets anders.</p></article>"
            for number, title in reversed(list(enumerate(self.titles, 1)))
        )
        self.web.serve("/nieuws/", f"<html lang=nl><head><title>De Krant</title></head><body><main>{blocks}</main></body></html>")

    def is_gone(self) -> None:
        self.web.serve("/nieuws/", "weg", status=410)


class Relay(HoldingServer, RealRelay):
    """Counts as one that reaches real people, and can be stopped while it takes a mail."""


@pytest.fixture
def page(web: WebServer) -> NewsPage:
    made = NewsPage(web)
    made.tells(*FIRST)
    return made


@pytest.fixture
def relay() -> Iterator[Relay]:
    try:
        with Relay() as server:
            yield server
    except PermissionError:
        missing("only root may listen on port 587 here, and no other relay counts as a real one")


class Operator:
    """Who has never seen Gazet: the folder, the commands typed, and what arrived."""

    def __init__(self, folder: Path, relay: SmtpServer, *, known: tuple[str, ...] = ()) -> None:
        """``known``: commands that another test types on an SQLite store as an operator does."""
        self.folder = folder
        self.relay = relay
        self.typed = {(command, False) for command in known}
        self.address = f"127.0.0.1:{closed_port()}"
        self.seen = 0

    def types(self, *words: str | Path, code: int = 0) -> Ended:
        """A command begun in the root folder; it ends with that code and no traceback.

        The first time on each kind of store it has a process of its own, later ones are spared its start.
        """
        command = str(words[0]), "postgresql" in (self.folder / "gazet.toml").read_text()
        with chdir("/"):
            done = (gazet if command in self.typed else gazet_process)(*words, "--site", self.folder)
        self.typed.add(command)
        assert done.code == code, done
        assert "Traceback" not in done.err
        return done

    def edits(self, old: str, new: str) -> None:
        path = self.folder / "gazet.toml"
        text = path.read_text()
        assert text.count(old) == 1, (old, text)
        path.write_text(text.replace(old, new))

    def runs(self) -> Running:
        """``gazet run``, as a service."""
        return Running(self.folder, env={"GAZET_WEB__LISTEN": self.address})

    def mails(self) -> list[tuple[str, EmailMessage]]:
        """Recipient and mail of all that came since this was asked last."""
        kept = self.relay.messages[self.seen :]
        self.seen += len(kept)
        return [(one.recipient, email.message_from_bytes(one.data, policy=email.policy.default)) for one in kept]

    def mail_of(self, recipient: str) -> EmailMessage:
        """The first mail that ever came for this person."""
        data = next(kept.data for kept in self.relay.messages if kept.recipient == recipient)
        return email.message_from_bytes(data, policy=email.policy.default)

    def got(self, *recipients: str, title: str) -> None:
        """Exactly these got a mail since the last look, and it tells of that item."""
        mails = self.mails()
        assert sorted(recipient for recipient, _ in mails) == sorted(recipients)
        for _, mail in mails:
            assert title in text_of(mail)


def text_of(mail: EmailMessage) -> str:
    body = mail.get_body(("plain",))
    assert body is not None
    return str(body.get_content())


def link_of(mail: EmailMessage) -> str:
    """The address that a mail program posts to when its reader says "unsubscribe" (RFC 8058)."""
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    return str(mail["List-Unsubscribe"]).partition("<http")[2].partition(">")[0].join(("http", ""))


def one_click(link: str) -> int:
    with urllib.request.urlopen(link, data=b"List-Unsubscribe=One-Click", timeout=10) as answer:
        return int(answer.status)


def older(folder: Path) -> None:
    """Leave the store as the previous version of Gazet did: its schema, with every row that fits into it."""
    path, before = folder / "var/gazet.db", folder / "var/before.db"
    path.rename(before)
    engine = create_engine(f"sqlite:///{path}")
    migrate.migrate(engine, "0001")
    engine.dispose()
    with closing(sqlite3.connect(path)) as new:
        new.execute("ATTACH ? AS old", (str(before),))
        tables = [name for (name,) in new.execute("SELECT name FROM main.sqlite_master WHERE type = 'table'")]
        for table in set(tables) - {"alembic_version", "sqlite_sequence", "notices"}:  # which it never wrote
            names = ", ".join(f'"{row[1]}"' for row in new.execute(f"PRAGMA main.table_info({table})"))
            new.execute(f"INSERT OR REPLACE INTO main.{table} ({names}) SELECT {names} FROM old.{table}")
        new.commit()
    before.unlink()


@pytest.mark.timeout(400)
def test_the_first_hour_and_the_years_after(tmp_path: Path, page: NewsPage, relay: Relay) -> None:
    operator = Operator(tmp_path / "krant", relay)
    makes_a_site(operator, page)
    imports_readers(operator)
    tries_before_sending(operator)
    bob = the_first_edition_leaves(operator)
    leaves(operator, bob)
    the_next_edition_leaves_without_bob(operator, page)
    the_source_breaks_and_an_alert_says_so(operator, page)
    a_kill_in_the_middle_of_sending(operator, page)
    upgrades(operator)
    operator.types("backup", tmp_path / "krant.tar.gz")
    eva = link_of(operator.mail_of(EVA))
    leaves(operator, eva)
    an_edition_of_after_the_backup(operator, page)
    the_disk_is_lost_and_the_backup_put_back(operator, tmp_path / "krant.tar.gz")
    goes_on(operator, page)
    nobody_was_written_to_twice(relay)


@pytest.mark.timeout(400)
def test_a_move_to_postgresql_and_back_changes_nothing_for_anybody(
    tmp_path: Path, page: NewsPage, relay: Relay, empty_postgres_url: str
) -> None:
    operator = Operator(tmp_path / "krant", relay, known=KNOWN)
    makes_a_site(operator, page)
    imports_readers(operator)
    tries_before_sending(operator)
    bob = the_first_edition_leaves(operator)
    moves(operator, "sqlite:///var/gazet.db", empty_postgres_url)
    leaves(operator, bob)
    the_next_edition_leaves_without_bob(operator, page)
    moves(operator, empty_postgres_url, "sqlite:///var/terug.db")
    page.tells(LATER[1])
    operator.types("collect")
    operator.types("run", "--once")
    operator.got(ANN, DIRK, EVA, title=LATER[1])
    operator.types("verify")


def moves(operator: Operator, source: str, target: str) -> None:
    """store copy, and what it says to do then; whatever is started on the new store finds nothing to do."""
    copied = operator.types("store", "copy", target).out
    assert "all sums are equal" in copied
    assert "gazet send FEED --test" in copied
    operator.edits(f'url = "{source}"  #', f'url = "{target}"  #')
    assert "is a copy or was moved" in operator.types("run", "--once", code=1).err
    with operator.runs() as run:
        run.wait_for('"serving"')
        assert "ready" in operator.types("send", "nieuws", "--test", EDITOR).out
    assert [recipient for recipient, _ in operator.mails()] == [EDITOR]
    assert operator.types("run", "--once").out == ""


def makes_a_site(operator: Operator, page: NewsPage) -> None:
    """init, a look at gazet.toml, add, check."""
    about = ("--title", "De Krant", "--url", f"http://{operator.address}", "--contact", EDITOR, "--language", "nl")
    assert gazet_process("init", operator.folder, *about, cwd=Path("/")).code == 0
    operator.edits("allow = []", 'allow = ["127.0.0.1"]\nspacing = "0s"')
    operator.edits('mail = ""', f'mail = "{OPERATOR}"')
    operator.edits('cadence = "weekly"', 'cadence = "instant"')
    operator.edits("[collect]", RELAY.format(host=operator.relay.host, port=operator.relay.port))
    added = operator.types("add", page.url, "--slug", "nieuws", "--yes").out
    assert "3 items by: listing article" in added
    assert "Subsidie voor lerarenopleidingen" in added
    checked = operator.types("check").out
    assert "De school begint een week later" in checked
    assert operator.types("status").out.startswith("De Krant: well")


def imports_readers(operator: Operator) -> None:
    table = operator.folder.parent / "lezers.csv"
    table.write_text(READERS)
    assert operator.types("subscribers", "import", table).out == "imported: 4 added\n"


def tries_before_sending(operator: Operator) -> None:
    """collect, preview, an eager run that is refused, and the test mail: nothing has reached a reader."""
    operator.types("collect")
    seen = operator.types("preview", "nieuws").out
    assert "Twee nieuwe besturen erbij" in seen
    assert "4 people as things stand" in seen
    eager = operator.types("run", "--once", code=1)
    assert len(eager.faults) == 1
    assert "no test mail was accepted" in eager.err
    assert "gazet send nieuws --test YOUR-ADDRESS" in eager.err
    assert operator.relay.connections == 0
    tried = operator.types("send", "nieuws", "--test", EDITOR).out
    assert "accepted it: 250" in tried
    [(recipient, mail)] = operator.mails()
    assert recipient == EDITOR
    assert mail["Subject"].startswith("[Test] ")


def the_first_edition_leaves(operator: Operator) -> str:
    """As soon as the site's address answers, what had waited is sent. Returns the link by which Bob can leave."""
    with operator.runs() as run:
        operator.relay.wait_for(5, timeout=60)
        answers(operator, run)
    operator.got(ANN, BOB, DIRK, EVA, title="De school begint een week later")
    return link_of(operator.mail_of(BOB))


def answers(operator: Operator, run: Running) -> None:
    """The doctor asks the site's address who it is; krant.nl has no records, which is another matter."""
    run.wait_for('"serving"')
    with DnsServer() as dns:
        assert "answers as this site" in operator.types("doctor", "--dns", dns.address, code=1).out


def leaves(operator: Operator, link: str) -> None:
    """One click, also twice; looking at the page is none."""
    with operator.runs() as run:
        run.wait_for('"serving"')
        before = operator.types("subscribers", "list").out
        with urllib.request.urlopen(link, timeout=10) as answer:
            assert answer.status == 200
        assert operator.types("subscribers", "list").out == before
        assert one_click(link) == one_click(link) == 200
        assert operator.types("subscribers", "list").out != before
        assert run.ended() == 0


def the_next_edition_leaves_without_bob(operator: Operator, page: NewsPage) -> None:
    page.tells("Bob leest dit niet meer")
    operator.types("collect")
    operator.types("run", "--once")
    operator.got(ANN, DIRK, EVA, title="Bob leest dit niet meer")


def the_source_breaks_and_an_alert_says_so(operator: Operator, page: NewsPage) -> None:
    page.is_gone()
    assert "answered 410 (Gone)" in operator.types("collect", code=1).err
    assert "answered 410 (Gone)" in operator.types("run", "--once", code=1).err
    assert operator.types("run", "--once").err == "", "cron is told once"
    [(recipient, mail)] = operator.mails()
    assert recipient == OPERATOR
    assert page.url in text_of(mail)
    assert "remove the source, or give its new address" in text_of(mail)
    assert "answered 410" in " ".join(operator.types("status", code=1).out.split())


def a_kill_in_the_middle_of_sending(operator: Operator, page: NewsPage) -> None:
    """Two mails were to go, and the relay had nothing of them yet: the journal knows that, so nobody may have one twice."""
    page.tells("De kabel was doorgesneden")
    operator.types("collect")
    operator.relay.hold("mail")
    with operator.runs() as run:
        operator.relay.wait_for_held(2)
        run.killed()
    operator.relay.go_on()
    assert "2 on the wire when its process ended" in " ".join(operator.types("status").out.split())
    assert "on the wire when a process ended" not in operator.types("run", "--once").out
    assert "may have come twice" not in " ".join(operator.types("status").out.split())
    operator.got(ANN, DIRK, EVA, title="De kabel was doorgesneden")


def upgrades(operator: Operator) -> None:
    """The store of the previous version is not touched until the operator says so, and then copied first."""
    older(operator.folder)
    refused = operator.types("run", "--once", code=2)
    assert len(refused.faults) == 1
    assert '"gazet migrate", which copies it first' in refused.err
    done = operator.types("migrate").out
    assert "0001 → 0006" in done
    assert "the way back" in done
    assert list(operator.folder.glob("var/backups/before-0006-*.db"))
    with operator.runs() as run:
        answers(operator, run)
    assert operator.types("run", "--once").out == ""
    operator.types("verify")
    assert operator.mails() == []


def an_edition_of_after_the_backup(operator: Operator, page: NewsPage) -> None:
    page.tells("Na de reservekopie")
    operator.types("collect")
    operator.types("run", "--once")
    operator.got(ANN, DIRK, title="Na de reservekopie")


def the_disk_is_lost_and_the_backup_put_back(operator: Operator, backup: Path) -> None:
    """The record beside the database tells the old store what it missed; nothing begins by itself."""
    for path in operator.folder.glob("var/gazet.db*"):
        path.unlink()
    assert "restore the store" in operator.types("run", "--once", code=2).err
    told = operator.types("restore", backup).out
    assert "1 edition sent since" in told
    assert "1 subscription ended" in told
    assert '"gazet resume"' in told
    assert "PAUSED" in operator.types("status").out
    operator.types("run", "--once", code=0)
    assert operator.mails() == []


def goes_on(operator: Operator, page: NewsPage) -> None:
    operator.types("resume")
    operator.types("collect")
    operator.types("run", "--once")
    assert operator.mails() == []
    page.tells("Na het herstel")
    operator.types("collect")
    operator.types("run", "--once")
    operator.got(ANN, DIRK, title="Na het herstel")
    operator.types("verify")


def nobody_was_written_to_twice(relay: SmtpServer) -> None:
    """Each reader was told of each item at most once, and each mail has an identity of its own."""
    told = Counter(
        (kept.recipient, line)
        for kept in relay.messages
        if kept.recipient in (ANN, BOB, DIRK, EVA)
        for line in text_of(email.message_from_bytes(kept.data, policy=email.policy.default)).splitlines()
        if line in ALL_TITLES
    )
    assert set(told.values()) == {1}
    assert Counter(recipient for recipient, _ in told) == {ANN: 7, DIRK: 7, EVA: 5, BOB: 3}
    assert len({kept.message_id for kept in relay.messages}) == len(relay.messages)
