"""Promise 12: a relay that reaches real people writes to subscribers only when everything was tried before."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from pipeline import app
from pipeline.errors import SendRefusedError
from pipeline.jobs import trust
from pipeline.jobs.trust import Identity
from pipeline.models import DeliveryStatus
from pipeline.store import runs
from pipeline.store.schema import Base
from tests.integration.command import Ended, gazet, gazet_process
from tests.needs import missing
from tests.servers.smtp import SmtpServer
from tests.servers.web import WebServer, closed_port
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


@pytest.fixture
def relay() -> Iterator[SmtpServer]:
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
        body = json.dumps({"site": mark or self.site.links.site_mark(), "status": "ok"})
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
        """In a process of its own on PostgreSQL: a command that only reads keeps its connections until its process ends."""
        if self.site.store.is_sqlite:
            return gazet(*words, site=self.folder)
        return gazet_process(*words, "--site", str(self.folder))

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


@pytest.fixture
def site(tmp_path: Path, web: WebServer, relay: SmtpServer) -> Iterator[Site]:
    made = Site(tmp_path / "site", web, relay)
    yield made
    made.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def any_site(request: pytest.FixtureRequest, tmp_path: Path, web: WebServer, relay: SmtpServer) -> Iterator[Site]:
    store = request.getfixturevalue("postgres_url") if request.param == "postgresql" else ""
    made = Site(tmp_path / "site", web, relay, store)
    yield made
    made.close()


def nothing_left(site: Site, relay: SmtpServer) -> None:
    assert relay.connections == 0
    assert set(site.statuses(site.label).values()) == {DeliveryStatus.QUEUED}


def test_first_everything_is_missing_and_each_step_is_said_in_one_line(any_site: Site, relay: SmtpServer) -> None:
    site = any_site
    site.change(site.web.url("").rstrip("/"), "https://nieuws.example.org")

    ended = site.once()
    assert ended.code == 1
    assert len(ended.faults) == 1
    assert "site.url is still the example https://nieuws.example.org" in ended.err
    assert site.once().err == "", "cron is told once"
    nothing_left(site, relay)

    site.change("https://nieuws.example.org", site.web.url("").rstrip("/"))
    site.is_silent()
    ended = site.once()
    assert (ended.code, len(ended.faults)) == (1, 1)
    assert 'no test mail was accepted with its present settings. "gazet send po --test YOUR-ADDRESS" sends one.' in ended.err
    nothing_left(site, relay)

    tested = site.test()
    assert tested.code == 0, tested.err
    assert "echt" in tested.out
    assert "has not answered as this site" in tested.out
    assert [kept.recipient for kept in relay.messages] == [ME]
    ended = site.once()
    assert (ended.code, len(ended.faults)) == (1, 1)
    assert "has not answered as this site" in ended.err
    assert set(site.statuses(site.label).values()) == {DeliveryStatus.QUEUED}

    site.answers()
    assert site.command("doctor", "--dns", "127.0.0.1:9").out.count("answers as this site") == 1
    ended = site.once()
    assert (ended.code, ended.err) == (0, "")
    assert sorted(kept.recipient for kept in relay.messages) == [ANN, BOB, ME]
    assert site.problems() == {}
    site.sums(site.label)


def test_a_test_mail_and_an_answer_open_the_way_at_once(site: Site, relay: SmtpServer) -> None:
    site.answers()
    site.once()
    tested = site.test()
    assert tested.out.endswith("ready    this relay writes to subscribers from now on\n")
    assert site.once().code == 0
    assert sorted(kept.recipient for kept in relay.messages) == [ANN, BOB, ME]


@pytest.mark.parametrize("way", [("run", "--once"), ("deliver",)], ids=" ".join)
def test_a_clock_that_stands_still_sends_nothing_to_real_people(site: Site, relay: SmtpServer, way: tuple[str, ...]) -> None:
    site.answers()
    site.test()
    site.close()
    gazet("compose", site=site.folder)
    before = relay.connections
    ended = gazet(*way, "--now", NOW.isoformat(), site=site.folder)
    assert (ended.code, len(ended.faults)) == (1, 1)
    assert 'Relay "echt" reaches real people, so it sends nothing with --now.' in ended.err
    assert relay.connections == before
    assert set(site.statuses(site.label).values()) == {DeliveryStatus.QUEUED}
    refused = site.test("--now", NOW.isoformat())
    assert (refused.code, relay.connections) == (1, before)
    assert site.once().code == 0, "and without --now all goes on"
    assert site.problems() == {}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('password = "sesam"', 'password = "anders"'),
        ('user = "u"', 'user = "v"'),
        ("port = 587", "port = 25"),
        ('"echt"', '"ander"'),
    ],
    ids=["password", "user", "port", "another relay"],
)
def test_other_settings_need_another_test_mail(site: Site, relay: SmtpServer, old: str, new: str) -> None:
    site.answers()
    site.test()
    site.change(old, new)
    with pytest.raises(SendRefusedError, match="no test mail was accepted with its present settings"):
        app.relay_for(site.site)
    site.change(new, old)
    app.relay_for(site.site)


def test_settings_that_only_change_how_fast_need_none(site: Site) -> None:
    site.answers()
    site.test()
    site.change('tls = "none"', 'tls = "none"\nconnections = 7\nrate = "5/s"\ntimeout = "1m"')
    app.relay_for(site.site)


def test_a_password_in_a_file_counts_as_it_is_now(site: Site) -> None:
    (site.folder / "password").write_text("sesam\n")
    site.change('password = "sesam"', 'password_file = "password"')
    site.answers()
    site.test()
    app.relay_for(site.site)
    (site.folder / "password").write_text("anders\n")
    with pytest.raises(SendRefusedError):
        app.relay_for(site.site)


def test_the_store_does_not_give_the_password_to_who_guesses(site: Site) -> None:
    """A plain hash of short settings could be tried out against a stolen backup."""
    site.answers()
    site.test()
    own = trust.settings_hash(site.site, site.site.settings.relay[0])
    (site.folder / "var/secret").write_text("f" * 64 + "\n")
    site.reopen()
    assert trust.settings_hash(site.site, site.site.settings.relay[0]) != own
    assert "sesam" not in repr(site.dump())


@pytest.mark.parametrize(
    ("stage", "reply", "hint"),
    [
        ("connect", "554 5.7.1 go away", "Many hosters block port 25"),
        ("auth", "535 5.7.8 wrong", "Check user and password"),
        ("mail", "553 5.7.1 not verified", "does not let nieuws@redactie.nl send"),
        ("rcpt", "550 5.1.1 unknown", "is the address right"),
        ("data", "451 4.3.0 later", "its words say why"),
        ("dot", "554 5.7.1 spam", "its words say why"),
        ("dot", "drop", "nobody knows whether it kept the mail"),
    ],
    ids=["connect", "auth", "mail", "rcpt", "data", "dot", "silence after the dot"],
)
def test_a_refused_test_mail_proves_nothing(site: Site, relay: SmtpServer, stage: str, reply: str, hint: str) -> None:
    site.answers()
    relay.answer(stage, reply)
    ended = site.test()
    assert (ended.code, ended.out) == (1, "")
    [line] = ended.faults
    assert hint in line
    with pytest.raises(SendRefusedError, match="no test mail"):
        app.relay_for(site.site)
    relay.behave()
    assert site.test("--json").json["accepted"] is True
    app.relay_for(site.site)


def test_a_test_mail_makes_no_delivery_and_moves_no_cursor(site: Site, relay: SmtpServer) -> None:
    site.answers()
    gazet("collect", site=site.folder)
    before = site.dump("relays", "site")
    gazet("send", "po", "--test", ME, "--for", ANN, site=site.folder)
    assert len(relay.messages) == 1
    assert site.dump("relays", "site") == before


def test_its_unsubscribe_link_is_nobodys_and_its_bytes_are_those_of_the_edition(site: Site, relay: SmtpServer) -> None:
    import email
    import email.policy

    site.answers()
    gazet("collect", site=site.folder)
    site.test("--for", ANN)
    site.test()
    first, second = (email.message_from_bytes(kept.data, policy=email.policy.default) for kept in relay.messages)
    assert first["Message-ID"] != second["Message-ID"], "mailboxes hide a mail they have seen"
    assert str(first["To"]) == ME
    token = str(first["List-Unsubscribe"]).partition("/unsubscribe/")[2].partition(">")[0]
    assert site.site.links.identity("unsubscribe", token) == 0
    site.once()
    [real] = [kept for kept in relay.messages if kept.recipient == ANN]
    sent = email.message_from_bytes(real.data, policy=email.policy.default)
    assert str(first["Subject"]) == f"[Test] {sent['Subject']}"
    assert set(first.keys()) == set(sent.keys())
    text = [mail.get_body(("plain",)).get_content() for mail in (first, sent)]  # type: ignore[union-attr]
    assert text[0].partition("Je krijgt")[0] == text[1].partition("Je krijgt")[0]
    assert max(map(len, relay.messages[0].data.split(b"\r\n"))) <= 78 + len("List-Unsubscribe") + 120


def test_nothing_new_is_shown_by_the_newest_items_and_said(site: Site) -> None:
    site.answers()
    assert "no items yet" in gazet("send", "po", "--test", ME, site=site.folder).err
    site.test()
    site.once()
    again = site.test()
    assert again.code == 0
    assert "nothing is new for a new subscriber" not in again.out, "a new subscriber gets the newest"
    assert "this shows the newest items as a sample" in site.test("--for", ANN).out


def test_an_example_sender_is_told_before_a_mailbox_refuses_it(site: Site, relay: SmtpServer) -> None:
    path = site.folder / "feeds/po.toml"
    path.write_text(path.read_text().replace("nieuws@redactie.nl", "nieuws@example.org"))
    ended = site.test()
    assert (ended.code, len(ended.faults), relay.connections) == (2, 1, 0)
    assert "nieuws@example.org is an example address" in ended.err


@pytest.mark.parametrize("address", ["no", "a@b@c.nl", "a b@c.nl", "a@c.nl\r\nBcc: d@e.nl", ""])
def test_only_an_address_is_written_to(site: Site, relay: SmtpServer, address: str) -> None:
    ended = gazet("send", "po", "--test", address, site=site.folder)
    assert (ended.code, relay.connections) == (2, 0)


def test_nobody_on_the_suppression_list_gets_a_test(site: Site, relay: SmtpServer) -> None:
    from pipeline.store import subscribers

    with site.site.store.write() as tx:
        subscribers.suppress(tx, site.site.links.address_hash(ME), "asked for it", NOW)
    ended = site.test()
    assert (ended.code, relay.connections) == (2, 0)
    assert "suppression list" in ended.err


def test_the_address_is_asked_at_most_every_five_minutes_while_that_is_missing(site: Site) -> None:
    site.is_silent()
    site.test()
    [relay] = site.site.settings.relay
    asked = len(site.web.requested("/healthz"))
    start = datetime.now(UTC)
    for seconds in range(0, 900, 20):
        with pytest.raises(SendRefusedError):
            trust.require(site.site, relay, standing_clock=False, now=start + timedelta(seconds=seconds))
    assert len(site.web.requested("/healthz")) - asked in (2, 3)
    with pytest.raises(SendRefusedError):  # a clock that was ahead does not keep it from asking
        trust.require(site.site, relay, standing_clock=False, now=start - timedelta(days=1))
    assert len(site.web.requested("/healthz")) - asked in (3, 4)
    site.answers()
    trust.require(site.site, relay, standing_clock=False, now=start + timedelta(days=1))
    done = len(site.web.requested("/healthz"))
    site.is_silent()
    trust.require(site.site, relay, standing_clock=False, now=start + timedelta(days=2))
    assert len(site.web.requested("/healthz")) == done, "what answered once is not asked again"


def test_a_web_server_that_rests_is_forgiven_and_another_site_is_not(site: Site) -> None:
    site.answers()
    site.test()
    site.is_silent()
    assert trust.ask(site.site, NOW).identity is Identity.NOBODY
    app.relay_for(site.site)
    site.answers("x" * 22)
    assert trust.ask(site.site, NOW).identity is Identity.ANOTHER
    with pytest.raises(SendRefusedError, match="has not answered as this site"):
        app.relay_for(site.site)


def test_another_address_must_answer_too(site: Site) -> None:
    site.answers()
    site.test()
    site.change(site.web.url("").rstrip("/"), f"http://127.0.0.1:{closed_port()}")
    with pytest.raises(SendRefusedError, match="has not answered as this site"):
        app.relay_for(site.site)


@pytest.mark.parametrize(
    ("body", "status", "hint"),
    [
        (b"<html>Welcome to nginx!</html>", 200, "not by Gazet"),
        (b"[" * 50_000, 200, "not by Gazet"),
        (b"{" + b" " * 100_000 + b"}", 200, "larger than"),
        (b'{"site": 7}', 200, "not by Gazet"),
        (b'{"site": "\\ud800"}', 200, "another Gazet site"),
        (b"\xff\xfe\x00", 200, "not by Gazet"),
        (b'{"site": "x"}', 503, "503"),
        (b"", 401, "401"),
    ],
)
def test_whatever_answers_there_is_never_taken_for_this_site(site: Site, body: bytes, status: int, hint: str) -> None:
    site.web.serve("/healthz", body, status=status, content_type="application/json")
    answer = trust.ask(site.site, NOW)
    assert answer.identity is not Identity.THIS_SITE
    assert hint in answer.what
    assert answer.fix


def test_an_address_that_redirects_is_not_the_one_to_write_into_mails(site: Site) -> None:
    site.web.redirect("/healthz", site.web.url("/elders/healthz"))
    site.web.serve("/elders/healthz", json.dumps({"site": site.site.links.site_mark()}))
    answer = trust.ask(site.site, NOW)
    assert answer.identity is Identity.NOBODY
    assert "redirects to" in answer.what
    assert "RFC 8058" in answer.fix


def test_a_test_server_on_loopback_and_the_outbox_need_nothing(tmp_path: Path, web: WebServer) -> None:
    with SmtpServer() as server:
        world = World(tmp_path / "site", web, relay=relay_toml(server, ""))
        world.news("Eerste bericht", "2026-11-20T09:00")
        world.subscribe(ANN, at=LONG_AGO, cadence="daily")
        world.run("2026-11-21T08:00")
        assert [kept.recipient for kept in server.messages] == [ANN]
        world.close()
    rehearsal = World(tmp_path / "outbox", web)
    rehearsal.news("Eerste bericht", "2026-11-20T09:00")
    gazet("collect", site=rehearsal.folder)
    ended = gazet("send", "po", "--test", ME, site=rehearsal.folder)
    assert ended.code == 0
    assert "none is named, so it is in" in ended.out
    assert [str(mail["To"]) for mail in rehearsal.mails] == [ME]
    assert gazet("send", "po", "--test", ME, "--json", site=rehearsal.folder).json["rehearsal"] is True


def test_a_relay_that_is_taken_out_leaves_no_complaint_behind(site: Site, relay: SmtpServer) -> None:
    site.once()
    assert "relay:echt:trust" in site.problems()
    site.change(relay_toml(relay), "")
    site.once()
    assert "relay:echt:trust" not in site.problems()
    assert len(site.mails) == 2


@given(st.binary(max_size=300))
def test_no_bytes_make_the_question_who_is_there_fail(body: bytes) -> None:
    trust._mark(body)


@pytest.mark.parametrize(
    ("host", "example"),
    [
        ("example.org", True),
        ("nieuws.example.com.", True),
        ("a.b.EXAMPLE.net", True),
        ("site.test", True),
        ("localhost", True),
        ("x.localhost", True),
        ("invalid", True),
        ("example.nl", False),
        ("myexample.org", False),
        ("example.org.nl", False),
        ("test.nl", False),
        ("127.0.0.1", False),
    ],
)
def test_example_addresses_are_those_of_the_promise(host: str, example: bool) -> None:
    assert trust.is_example(host) is example


def test_the_refusal_names_the_first_thing_in_the_order_of_doing(site: Site) -> None:
    [relay] = site.site.settings.relay
    refused = trust.missing(site.site, relay)
    assert refused is not None
    assert "no test mail" in str(refused)
    assert "\n" not in str(refused)
