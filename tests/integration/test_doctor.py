"""``gazet doctor``: every ill that can be found without sending a mail has a line, and that line says what to do."""

from __future__ import annotations

import contextlib
import json
import socket
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import dns.message
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.jobs import operate
from pipeline.jobs.doctor import outside, records
from pipeline.jobs.doctor.check import Check, Level, clock, side_by_side
from pipeline.jobs.doctor.lookup import Lookup, UnansweredError
from tests.integration.command import Ended, gazet
from tests.served import Served
from tests.servers.dns import DnsServer
from tests.servers.smtp import SmtpServer
from tests.servers.web import WebServer, closed_port
from tests.world import World

DOMAIN = "mail.school.nl"
SPF, DKIM, DMARC, MX = (f"{kind} {DOMAIN}" for kind in ("SPF", "DKIM", "DMARC", "MX"))
LONG_KEY = "M" * 392


@pytest.fixture
def names() -> Iterator[DnsServer]:
    """A name server that knows a sender's domain with everything in order."""
    with DnsServer() as server:
        server.add(DOMAIN, "TXT", '"v=spf1 include:_spf.host.nl " "~all"', '"something=else"')
        server.add("_spf.host.nl", "TXT", '"v=spf1 ip4:192.0.2.1 -all"')
        server.add("_dmarc.school.nl", "TXT", '"v=DMARC1; p=none; rua=mailto:x@school.nl"')
        server.add(DOMAIN, "MX", "10 mx.school.nl.")
        server.add(f"s1._domainkey.{DOMAIN}", "TXT", f'"v=DKIM1; k=rsa; p=" "{LONG_KEY[:200]}" "{LONG_KEY[200:]}"')
        yield server


class Patient(World):
    """A site to be looked after."""

    def change(self, name: str, old: str, new: str) -> None:
        path = self.folder / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def doctor(self, *words: str, env: dict[str, str] | None = None) -> Ended:
        self.close()
        return gazet("doctor", *words, site=self.folder, env=env)

    def checks(self, names: DnsServer, *words: str) -> dict[str, list[dict[str, Any]]]:
        """The lines by what they are about."""
        found: dict[str, list[dict[str, Any]]] = {}
        for check in self.doctor("--json", "--dns", names.address, *words).json["checks"]:
            found.setdefault(check["name"], []).append(check)
        return found

    def level(self, names: DnsServer, about: str, *words: str) -> tuple[str, str, str]:
        """The worst line about something."""
        found = max(self.checks(names, *words)[about], key=lambda one: ("ok", "note", "fail").index(one["level"]))
        return found["level"], found["text"], found["fix"]


@pytest.fixture
def smtp() -> Iterator[SmtpServer]:
    with SmtpServer(tls="starttls", users={"u": "sesam"}) as server:
        yield server


@pytest.fixture
def patient(tmp_path: Path, web: WebServer, smtp: SmtpServer) -> Iterator[Patient]:
    """A site in perfect health, whose relay is a test server."""
    relay = f'[[relay]]\nname = "hulp"\nhost = "127.0.0.1"\nport = {smtp.port}\nuser = "u"\npassword_file = "var/password"\n'
    alerts = '[alerts]\nmail = "beheer@school.nl"\n'
    made = Patient(tmp_path / "site", web, relay=f'{relay}ca_file = "{smtp.ca_file}"\n{alerts}')
    made.change("gazet.toml", "https://nieuws.example.org", web.url("").rstrip("/"))
    made.change("feeds/po.toml", "nieuws@example.org", f"nieuws@{DOMAIN}")
    (made.folder / "var").mkdir(exist_ok=True)
    (made.folder / "var/password").write_text("sesam\n")
    (made.folder / "var/password").chmod(0o600)
    made.news("Eerste bericht", "2026-11-20T09:00")
    made.close()
    gazet("run", "--once", site=made.folder)
    web.serve("/healthz", json.dumps({"site": made.site.mark}), content_type="application/json")
    yield made
    made.close()


def test_a_healthy_site_has_nothing_that_fails(patient: Patient, names: DnsServer, smtp: SmtpServer) -> None:
    ended = patient.doctor("--dns", names.address, "--selector", "s1")
    assert (ended.code, ended.err) == (0, ""), ended.out
    lines = ended.out.splitlines()
    assert not [line for line in lines if line.startswith("FAIL")]
    wanted = ("settings", "files", "disk", "templates", "database", "last run", "sources", "site.url", "clock", "relay", SPF, DKIM)
    for about in (*wanted, DMARC, MX, "sending"):
        assert any(line.startswith(f"ok    {about}: ") for line in lines), about
    assert smtp.messages == []
    assert "sesam" not in ended.out


def test_each_line_that_is_not_ok_says_what_to_do(tmp_path: Path, web: WebServer, names: DnsServer) -> None:
    bare = Patient(tmp_path / "bare", web)
    for check in bare.doctor("--json", "--dns", names.address).json["checks"]:
        assert check["level"] == "ok" or check["fix"] or "no effect" in check["text"] or "does without" in check["text"], check


def test_wrong_settings_are_named_and_end_with_2(patient: Patient) -> None:
    patient.change("gazet.toml", "[site]", "[site]\ntitel = 1")
    ended = patient.doctor()
    assert ended.code == 2
    assert "gazet.toml" in ended.err


@pytest.mark.parametrize(("mode", "level"), [(0o644, "fail"), (0o604, "fail"), (0o640, "note"), (0o600, "ok"), (0o400, "ok")])
@pytest.mark.parametrize("name", ["var/secret", "var/gazet.db", "var/password"])
def test_secrets_that_others_can_read_are_told(patient: Patient, names: DnsServer, name: str, mode: int, level: str) -> None:
    path = patient.folder / name
    patient.close()
    path.chmod(mode)
    found = patient.level(names, "files")
    assert found[0] == level
    if level != "ok":
        assert f"chmod 600 {path}" in found[2]


def test_a_password_in_gazet_toml_makes_that_a_secret(patient: Patient, names: DnsServer) -> None:
    patient.change("gazet.toml", 'password_file = "var/password"', 'password = "sesam"')
    (patient.folder / "gazet.toml").chmod(0o644)
    assert patient.level(names, "files")[0] == "fail"


def test_var_that_cannot_be_written(tmp_path: Path) -> None:
    from pipeline.jobs.doctor import here

    (tmp_path / "var").write_text("not a folder")
    [check] = here._var(tmp_path / "var")
    assert check.level is Level.FAIL


def test_a_missing_secret_is_one_line_and_the_rest_is_still_looked_at(patient: Patient, names: DnsServer) -> None:
    patient.subscribe("ann@example.org", cadence="daily")
    patient.close()
    (patient.folder / "var/secret").unlink()
    ended = patient.doctor("--dns", names.address)
    assert ended.code == 1
    assert "FAIL  files: " in ended.out
    assert "restore it from a backup" in ended.out
    assert "ok    disk" in ended.out
    assert not (patient.folder / "var/secret").exists()


def test_a_template_with_a_mistake(patient: Patient, names: DnsServer) -> None:
    (patient.folder / "templates").mkdir()
    (patient.folder / "templates/digest.txt.j2").write_text("{{ nonsense(")
    level, text, fix = patient.level(names, "templates")
    assert (level, "digest.txt.j2" in text) == ("fail", True)
    assert fix


def test_a_damaged_database(patient: Patient, names: DnsServer) -> None:
    patient.close()
    path = patient.folder / "var/gazet.db"
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA foreign_keys=OFF")
        database.execute("INSERT INTO item_origins (source_id, key, item_id) VALUES (77, 'x', 99)")
    database.close()
    level, text, fix = patient.level(names, "database")
    assert level == "fail"
    assert "without their parent" in text
    assert "gazet restore" in fix


def test_a_store_of_a_newer_gazet_is_told_and_not_touched(patient: Patient, names: DnsServer) -> None:
    patient.close()
    with sqlite3.connect(patient.folder / "var/gazet.db") as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    database.close()
    level, text, _ = patient.level(names, "database")
    assert (level, "newer Gazet" in text) == ("fail", True)


def test_a_clock_that_was_ahead(patient: Patient, names: DnsServer) -> None:
    from pipeline.store import runs

    with patient.site.store.write() as tx:
        runs.start(tx, "tick", "p", datetime.now(UTC) + timedelta(days=365))
    level, text, fix = patient.level(names, "clock")
    assert level == "fail"
    assert "in the future" in text
    assert "NTP" in fix


@pytest.mark.parametrize(("seconds", "level"), [(0, "ok"), (-59, "ok"), (90, "note"), (-90, "note"), (7200, "fail")])
def test_the_clock_is_compared_with_that_of_the_web(seconds: int, level: str) -> None:
    now = datetime.now(UTC)
    [check] = clock(now + timedelta(seconds=seconds), "school.nl", now)
    assert check.level == level


def test_a_sources_clock_counts_when_sources_are_fetched(patient: Patient, names: DnsServer) -> None:
    body = b'<rss version="2.0"><channel><title>x</title><item><title>a</title><link>http://a.nl/1</link></item></channel></rss>'
    ago = format_datetime(datetime.now(UTC) - timedelta(hours=3), usegmt=True)

    def answer(handler: Any) -> None:
        head = f"HTTP/1.1 200 OK\r\nDate: {ago}\r\nContent-Type: application/rss+xml\r\nContent-Length: {len(body)}\r\n\r\n"
        handler.raw(head.encode() + body)

    patient.web.behave("/feed.xml", answer)
    assert patient.level(names, "clock", "--fetch")[0] == "fail"
    assert "1 item by: " in patient.checks(names, "--fetch")["sources"][0]["text"]


def test_a_source_in_attention(patient: Patient, names: DnsServer) -> None:
    patient.web.serve("/feed.xml", "weg", status=500)
    gazet("collect", site=patient.folder)
    level, text, fix = patient.level(names, "sources")
    assert level == "fail"
    assert "500" in text
    assert "gazet check http://" in fix
    assert patient.level(names, "sources", "--fetch")[0] == "fail"


@pytest.mark.parametrize(
    ("stage", "reply", "hint"),
    [
        ("connect", "554 5.7.1 go away", "587 or 465"),
        ("ehlo", "550 5.7.1 who are you", "submission"),
        ("starttls", "454 4.7.0 no TLS", "465"),
        ("auth", "535 5.7.8 wrong", "password"),
        ("connect", "drop", "587 or 465"),
        ("connect", b"\x1b[31mrood\r\n", "587 or 465"),
    ],
)
def test_a_relay_that_does_not_let_us_in(
    patient: Patient, names: DnsServer, smtp: SmtpServer, stage: str, reply: str | bytes, hint: str
) -> None:
    smtp.answer(stage, reply)
    level, text, fix = patient.level(names, "relay")
    assert level == "fail"
    assert f"at {stage}" in text
    assert hint in fix
    assert text.isprintable()
    assert smtp.messages == []


def test_a_relay_that_is_not_there_or_not_to_be_trusted(patient: Patient, names: DnsServer, smtp: SmtpServer) -> None:
    patient.change("gazet.toml", str(smtp.ca_file), "")
    assert "certificate is not trusted" in patient.level(names, "relay")[1]
    patient.change("gazet.toml", f"port = {smtp.port}", f"port = {closed_port()}")
    assert patient.level(names, "relay")[0] == "fail"


@pytest.mark.parametrize(
    ("body", "status", "level"), [("<html>", 200, "note"), ("{}", 200, "note"), ("", 404, "note"), ('{"site": "x"}', 200, "note")]
)
def test_somebody_else_at_site_url_is_a_note_in_rehearsal(
    patient: Patient, names: DnsServer, body: str, status: int, level: str
) -> None:
    patient.web.serve("/healthz", body, status=status)
    found = patient.checks(names)["site.url"][0]
    assert (found["level"], bool(found["fix"])) == (level, True)


def test_figures_that_the_public_can_read_are_told(patient: Patient, names: DnsServer) -> None:
    """As nginx passes them on without X-Forwarded-For."""
    with Served(patient):
        found = [one for one in patient.checks(names)["site.url"] if "/metrics shows everybody" in one["text"]]
        assert [one["level"] for one in found] == ["note"], "a rehearsal has no FAIL of this kind"
        assert "X-Forwarded-For" in found[0]["fix"]
        told = [one for one in outside.web(patient.site, datetime.now(UTC)) if "/metrics" in one.text]
        assert [one.level for one in told] == [Level.FAIL]


@pytest.mark.parametrize(("status", "level"), [(404, "ok"), (403, "ok"), (401, "ok"), (500, "note")])
def test_figures_that_nobody_can_read_are_well(patient: Patient, names: DnsServer, status: int, level: str) -> None:
    patient.web.serve("/metrics", "", status=status)
    [found] = [one for one in patient.checks(names)["site.url"] if "/metrics" in one["text"]]
    assert found["level"] == level


def test_what_is_paused_is_said_instead_of_that_mail_is_sent(patient: Patient, names: DnsServer) -> None:
    assert [one["level"] for one in patient.checks(names)["sending"]] == ["ok"]
    for target in ("po", "hulp", None):
        operate.set_paused(patient.site, target, True)
    found = [(one["level"], one["text"], one["fix"]) for one in patient.checks(names)["sending"][1:]]
    assert found == [
        ("note", "the site is paused", '"gazet resume" goes on.'),
        ("note", "relay hulp is paused: paused by hand", '"gazet resume hulp" goes on.'),
        ("note", "feed po is paused", '"gazet resume po" goes on.'),
    ]


@pytest.mark.parametrize(
    ("name", "values", "level", "hint"),
    [
        (DOMAIN, (), "fail", 'mail.school.nl. TXT "v=spf1'),
        (DOMAIN, ('"v=spf1 a ~all"', '"v=spf1 mx ~all"'), "fail", "Make one"),
        (DOMAIN, ('"v=spf1 mx"',), "note", "~all"),
        (DOMAIN, ('"v=spf1 mx ?all"',), "note", "~all"),
        (DOMAIN, ('"v=spf1 +all"',), "fail", "~all"),
        (DOMAIN, ('"v=spf1 redirect=_spf.host.nl"',), "ok", ""),
        (DOMAIN, ('"v=spf10 mx ~all"',), "fail", "v=spf1"),
        (DOMAIN, ('"' + "v=spf1 " + " ".join(f"a:h{n}.nl" for n in range(11)) + ' ~all"',), "fail", "Take out"),
        (DOMAIN, ('"' + "v=spf1 " + " ".join(f"a:h{n}.nl" for n in range(10)) + ' ~all"',), "ok", ""),
        (DOMAIN, (f'"v=spf1 include:{DOMAIN} ~all"',), "fail", "Take out"),
    ],
    ids=["none", "two", "no end", "neutral", "all the world", "redirect", "another version", "eleven", "ten", "a loop"],
)
def test_spf(names: DnsServer, name: str, values: tuple[str, ...], level: str, hint: str) -> None:
    names.add(name, "TXT", *values)
    found = records.spf(SPF, DOMAIN, None, Lookup(names.address))
    assert (found.level, hint in found.fix) == (level, True), found


@pytest.mark.parametrize(
    ("selector", "values", "level"),
    [
        ("s1", (f'"v=DKIM1; k=rsa; p={"M" * 216}"',), "note"),
        ("s1", ('"v=DKIM1; k=ed25519; p=11qYAYKxCrfVS"',), "ok"),
        ("s1", ('"v=DKIM1; k=ed25519; p=11qYAYKxCrfVS"', '"of=another; kind=1"'), "ok"),
        ("s1", ('"of=another; kind=1"', '"v=DKIM1; k=ed25519; p=11qYAYKxCrfVS"'), "ok"),
        ("s1", ('"v=DKIM1; p="',), "fail"),
        ("s1", ('"p; ;=;=="',), "fail"),
        ("s2", ('"v=DKIM1; p=x"',), "fail"),
        ("a b", ('"v=DKIM1; p=x"',), "fail"),
        ("", ('"v=DKIM1; p=x"',), "note"),
    ],
    ids=[
        "short",
        "ed25519",
        "a stranger's record behind it",
        "a stranger's record before it",
        "revoked",
        "nonsense",
        "no such selector",
        "no selector",
        "unknown",
    ],
)
def test_dkim(names: DnsServer, selector: str, values: tuple[str, ...], level: str) -> None:
    names.add(f"s1._domainkey.{DOMAIN}", "TXT", *values)
    found = records.dkim(DKIM, DOMAIN, (selector,) if selector else (), Lookup(names.address))
    assert found.level == level, found
    assert found.fix or found.level is Level.OK


@pytest.mark.parametrize(
    ("name", "values", "level"),
    [
        (f"_dmarc.{DOMAIN}", ('"v=DMARC1; p=reject"',), "ok"),
        ("_dmarc.school.nl", ('"v=DMARC1;p=QUARANTINE"',), "ok"),
        ("_dmarc.school.nl", (), "fail"),
        ("_dmarc.school.nl", ('"v=DMARC1; p=none"', '"v=DMARC1; p=reject"'), "fail"),
        ("_dmarc.school.nl", ('"v=DMARC1; rua=mailto:x@y.nl"',), "fail"),
        ("_dmarc.nl", ('"v=DMARC1; p=none"',), "ok"),
    ],
    ids=["own", "above", "none", "two", "no policy", "a top-level domain is not asked"],
)
def test_dmarc(names: DnsServer, name: str, values: tuple[str, ...], level: str) -> None:
    names.add(name, "TXT", *values)
    found = records.dmarc(DMARC, DOMAIN, "beheer@school.nl", Lookup(names.address))
    assert found.level == level, found
    assert ("_dmarc.nl", "TXT") not in names.asked
    if level == "fail":
        assert "v=DMARC1; p=none; rua=mailto:beheer@school.nl" in found.fix or "Make one" in found.fix


@pytest.mark.parametrize(("values", "level"), [((), "fail"), (("0 .",), "fail"), (("20 b.nl.", "10 a.nl."), "ok")], ids=str)
def test_mx(names: DnsServer, values: tuple[str, ...], level: str) -> None:
    names.add(DOMAIN, "MX", *values)
    found = records.mx(MX, DOMAIN, Lookup(names.address))
    assert found.level == level
    assert level == "fail" or "a.nl" in found.text


def test_without_mx_the_name_itself_takes_mail(names: DnsServer) -> None:
    names.add("los.nl", "A", "192.0.2.1")
    assert records.mx("MX", "los.nl", Lookup(names.address)).level is Level.OK


def test_the_provider_of_the_relay_is_looked_for_in_spf(names: DnsServer) -> None:
    from pipeline.config import RelaySettings

    google = RelaySettings(name="g", host="smtp-relay.gmail.com")
    found = records.spf(SPF, DOMAIN, google, Lookup(names.address))
    assert (found.level, "include:_spf.google.com" in found.fix) == (Level.NOTE, True)
    names.add("_spf.host.nl", "TXT", '"v=spf1 include:_spf.google.com -all"')
    assert records.spf(SPF, DOMAIN, google, Lookup(names.address)).level is Level.OK
    names.add(f"google._domainkey.{DOMAIN}", "TXT", f'"v=DKIM1; p={LONG_KEY[:200]}" "{LONG_KEY[200:]}"')
    assert records.dkim(DKIM, DOMAIN, records._selectors(google, ""), Lookup(names.address)).level is Level.OK


def test_without_a_network_dns_is_a_note(patient: Patient) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        gone = f"127.0.0.1:{sock.getsockname()[1]}"
    ended = patient.doctor("--dns", gone)
    assert ended.code == 0, ended.out
    assert ended.out.count("could not be looked up") == 3


@given(st.binary(max_size=600), st.lists(st.tuples(st.integers(3, 700), st.integers(0, 255)), max_size=3))
@settings(max_examples=40, deadline=None)
def test_no_answer_of_a_name_server_breaks_the_doctor(noise: bytes, changes: list[tuple[int, int]]) -> None:
    """Noise, or a good answer with bytes turned over; what is no answer is waited out, so there are few."""

    def behave(query: dns.message.Message) -> bytes:
        wire = bytearray(dns.message.make_response(query).to_wire() + noise)
        for place, value in changes:
            wire[place % (len(wire) - 3) + 3] = value
        return bytes(wire)

    with DnsServer() as server:
        server.behave(behave)
        lookup = Lookup(server.address, 0.05)
        for ask in (lookup.texts, lookup.mail_servers):
            with contextlib.suppress(UnansweredError):
                assert all(text.isprintable() for text in ask(DOMAIN))


@given(st.text(max_size=300))
@settings(deadline=None)
def test_no_text_in_a_record_breaks_its_reading(text: str) -> None:
    class Told:
        def texts(self, name: str) -> list[str]:
            return [text, f"v=spf1 {text}", f"v=DMARC1; {text}", f"v=DKIM1; p={text}"][len(name) % 4 :]

        def mail_servers(self, name: str) -> list[str]:
            return [text]

    looks = records.looks("x.nl", "c@x.nl", None, "s1", Told())  # type: ignore[arg-type]
    assert [len(look()) for look in looks.values()] == [1, 1, 1, 1]


def test_control_characters_of_strangers_are_not_shown(names: DnsServer) -> None:
    names.add(DOMAIN, "TXT", r'"v=spf1 \027[31mrood\007 ~all"')
    found = records.spf(SPF, DOMAIN, None, Lookup(names.address))
    assert found.text.isprintable()


@pytest.mark.parametrize("server", ["nonsense", "127.0.0.1:port", "127.0.0.1:", "[::1", "dns.school.nl:53"])
def test_a_name_server_that_is_none(patient: Patient, server: str) -> None:
    ended = patient.doctor("--dns", server)
    assert (ended.code, len(ended.faults)) == (2, 1)


def test_what_hangs_holds_up_nobody() -> None:
    import threading

    end = threading.Event()

    def hangs() -> list[Check]:
        end.wait(30)
        return []

    def fails() -> list[Check]:
        raise ZeroDivisionError

    found = side_by_side({"hangs": hangs, "fails": fails, "well": lambda: [Check("well", Level.OK, "fine")]}, 0.2)
    end.set()
    assert [(one.name, one.level) for one in found] == [("hangs", Level.NOTE), ("fails", Level.NOTE), ("well", Level.OK)]


def test_with_a_real_relay_what_real_people_need_fails(tmp_path: Path, web: WebServer, names: DnsServer) -> None:
    """The host name is one that nobody can look up, so nothing leaves this machine."""
    relay = '[[relay]]\nname = "echt"\nhost = "127.0.0.1"\nport = 25\ntls = "none"\n'
    made = Patient(tmp_path / "site", web, relay=relay)
    made.change("gazet.toml", "https://nieuws.example.org", web.url("").rstrip("/"))
    found = made.checks(names)
    assert found["sender"][0]["level"] == "fail"
    assert found["site.url"][0]["level"] == "fail"
    assert found["sending"][0]["level"] == "note"
    assert "no test mail" in found["sending"][0]["text"]


def test_an_old_backup_and_none(patient: Patient, names: DnsServer, tmp_path: Path) -> None:
    assert patient.level(names, "backup")[0] == "note"
    assert gazet("backup", tmp_path / "backup.tar.gz", site=patient.folder).code == 0
    level, text, _ = patient.level(names, "backup")
    assert (level, f"{datetime.now(UTC):%Y-%m-}" in text) == ("ok", True)
    [day] = (patient.folder / "var/record").iterdir()
    day.rename(day.with_name(f"{datetime.now(UTC) - timedelta(days=8):%Y-%m-%d}"))
    assert patient.level(names, "backup")[0] == "note"


def test_a_lock_of_another_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root may write everywhere, so the kernel's answer is replaced."""
    from pipeline.jobs.doctor import here

    (tmp_path / "lock").write_text("")
    monkeypatch.setattr(here.os, "access", lambda path, mode: False)
    [check] = here._var(tmp_path)
    assert (check.level, "belongs to another user" in check.text) == (Level.FAIL, True)


def test_a_full_disk(patient: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    from pipeline import config
    from pipeline.jobs.doctor import here

    usage = type("Usage", (), {"total": 10**12, "free": 10**9})
    monkeypatch.setattr(here.shutil, "disk_usage", lambda path: usage)
    [check] = here.disk(config.load(patient.folder))
    assert (check.level, bool(check.fix)) == (Level.FAIL, True)


@pytest.mark.parametrize(("days", "told"), [(13, True), (-1, True), (15, False)])
def test_a_certificate_that_ends_soon(days: int, told: bool) -> None:
    from pipeline.deliver.line import Offer
    from pipeline.jobs.doctor import outside

    now = datetime.now(UTC)
    found = outside._certificate(Offer("TLSv1.3", now + timedelta(days=days, hours=1), {}), now)
    assert [check.level for check in found] == ([Level.NOTE] if told else [])


def test_what_a_relay_does_not_offer_is_a_note(tmp_path: Path, web: WebServer, names: DnsServer) -> None:
    with SmtpServer(without=("PIPELINING", "SIZE")) as smtp:
        relay = f'[[relay]]\nname = "oud"\nhost = "127.0.0.1"\nport = {smtp.port}\ntls = "none"\n'
        made = Patient(tmp_path / "site", web, relay=relay)
        found = made.checks(names)["relay"]
    assert [one["level"] for one in found] == ["ok", "note"]
    assert "PIPELINING, SIZE" in found[1]["text"]
    assert "clear text, no login" in found[0]["text"]
