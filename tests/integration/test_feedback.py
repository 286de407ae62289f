"""What comes back changes what it proves and nothing else: hard bounces at once, soft ones after a while, forged ones never."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pipeline.deliver.mail_folder import Maildir
from pipeline.engines.local import TickReport
from pipeline.jobs import feedback as job
from pipeline.jobs import report
from pipeline.models import DeliveryStatus, FeedbackDone, FeedbackKind
from pipeline.store import runs, subscribers, suppressions
from tests import bounced
from tests.integration.command import gazet
from tests.servers.imap import ImapServer
from tests.servers.smtp import SmtpServer
from tests.servers.web import WebServer
from tests.world import World, moment

TUESDAY = "2026-11-24T08:00"
ANN, BOB, EVA = "ann@example.org", "bob@example.org", "eva@example.org"
UNKNOWN = "550 5.1.1 <ann@example.org>: Recipient address rejected: User unknown"
MAILDIR = '[feedback]\nmaildir = "bounces"\n'
RELAY = '[[relay]]\nname = "provider"\nhost = "127.0.0.1"\nport = {port}\ntls = "none"\nverp = true\n'
IMAP = '[feedback]\nhost = "127.0.0.1"\nport = {port}\nuser = "nieuws@example.org"\npassword = "geheim"\ntls = "none"\n{more}'


class Returns:
    """A world whose digest went to three people, and a Maildir for what comes back."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.count = 0
        for part in ("new", "cur", "tmp"):
            (world.folder / "bounces" / part).mkdir(parents=True, exist_ok=True)

    @property
    def folder(self) -> Path:
        return self.world.folder / "bounces"

    def come(self, *mails: bytes) -> None:
        """Mails are delivered into the Maildir."""
        for mail in mails:
            self.count += 1
            (self.folder / f"new/{self.count:04}.host").write_bytes(mail)

    def read(self, at: str | datetime = "2026-11-24T09:00") -> job.Heard:
        now = moment(at) if isinstance(at, str) else at
        return job.read_feedback(self.world.site, lambda: now, threading.Event())

    def mail_to(self, address: str) -> bytes:
        """The bytes of the newest mail to that address."""
        paths = sorted((self.world.folder / "var/outbox/new").iterdir(), key=lambda path: path.stat().st_mtime_ns)
        return [data for path in paths if address.encode() in (data := path.read_bytes())][-1]

    def statuses(self) -> dict[str, str]:
        with self.world.site.store.read() as tx:
            return {one.address: str(one.status) for one in subscribers.records(tx)}

    def suppressed(self) -> list[str]:
        with self.world.site.store.read() as tx:
            return [one.reason for one in suppressions.listed(tx)]

    def problems(self) -> dict[str, str]:
        with self.world.site.store.read() as tx:
            return {one.key: one.what for one in runs.problems(tx)}


@pytest.fixture
def returns(tmp_path: Path, web: WebServer) -> Iterator[Returns]:
    made = World(tmp_path / "site", web, relay=MAILDIR)
    yield _opened(made)
    made.close()


def _opened(world: World) -> Returns:
    world.news("Eerste", "2026-11-23T09:00")
    for address in (ANN, BOB, EVA):
        world.subscribe(address, cadence="daily", at="2026-11-23T10:00")
    made = Returns(world)
    world.run(TUESDAY)
    return made


def hard(mail: bytes, recipient: str = ANN, **options: Any) -> bytes:
    return bounced.postfix(mail, recipient, status="5.1.1", said=UNKNOWN, **options)


def soft(mail: bytes, recipient: str = ANN) -> bytes:
    return bounced.postfix(mail, recipient, status="4.2.2", said="452 4.2.2 mailbox full")


def test_a_hard_bounce_suppresses_its_address_and_nobody_else(returns: Returns) -> None:
    returns.come(hard(returns.mail_to(ANN)))
    heard = returns.read()
    assert heard.done == {FeedbackDone.SUPPRESSED: 1}
    assert returns.statuses() == {ANN: "bounced", BOB: "active", EVA: "active"}
    [reason] = returns.suppressed()
    assert reason.startswith("bounced: 5.1.1 550 5.1.1")
    assert ANN not in reason
    assert set(returns.world.statuses("po/2026-11-24T08:00").values()) == {DeliveryStatus.ACCEPTED}
    returns.world.news("Tweede", "2026-11-24T10:00")
    returns.world.run("2026-11-25T08:00")
    assert (len(returns.world.got(ANN)), len(returns.world.got(BOB))) == (1, 2)


def _of_exchange(mail: bytes) -> bytes:
    return bounced.exchange(mail, ANN)


def _of_gmail(mail: bytes) -> bytes:
    return bounced.gmail(b"Subject: cut\r\n\r\n", ANN, _message_id(mail))


def _of_exim(mail: bytes) -> bytes:
    return bounced.exim(mail, ANN)


def _with_another_message_id(mail: bytes) -> bytes:
    return hard(mail.replace(_message_id(mail).encode(), b"<0102018e@eu-west-1.amazonses.com>"))


def _message_id(mail: bytes) -> str:
    return next(line for line in mail.decode().split("\r\n") if line.startswith("Message-ID:")).partition(" ")[2]


@pytest.mark.parametrize("form", [_of_exchange, _of_gmail, _of_exim, _with_another_message_id])
def test_whatever_a_server_leaves_of_our_mail_is_enough(returns: Returns, form: Callable[[bytes], bytes]) -> None:
    returns.come(form(returns.mail_to(ANN)))
    returns.read()
    assert returns.statuses() == {ANN: "bounced", BOB: "active", EVA: "active"}


def test_a_forged_bounce_changes_nothing(returns: Returns) -> None:
    """Eva knows all about her own mail, and Bob's address."""
    hers = returns.mail_to(EVA)
    forged = b"Message-ID: <" + b"a" * 32 + b"@nieuws.example.org>\r\n\r\nhoi"
    returns.come(
        hard(hers, BOB),
        hard(hers, BOB, action="FAILED"),
        bounced.exchange(hers, BOB),
        bounced.exim(hers, BOB),
        hard(forged, BOB),
        hard(b"", BOB),
        hard(hers, BOB, to="nieuws+" + "a" * 40 + "@example.org"),
        bounced.arf(forged, recipient=BOB),
        bounced.arf(b"", recipient=BOB),
        bounced.unsubscribe("KzR4Cd1E860.Tq62GwwZrhai44jM8260RSq2pllXcflOVtcO-7hCD08", sender=BOB),
    )
    heard = returns.read()
    assert heard.done == {FeedbackDone.UNMATCHED: 10}
    assert set(returns.statuses().values()) == {"active"}
    assert returns.suppressed() == []


def test_a_complaint_with_somebody_elses_mail_cannot_end_that_persons_subscription(returns: Returns) -> None:
    """Whoever holds a mail may end its subscription, as by its link; no more than that, and nobody else's."""
    returns.come(bounced.arf(returns.mail_to(EVA), recipient=BOB))
    returns.read()
    assert returns.statuses() == {ANN: "active", BOB: "active", EVA: "complained"}
    assert returns.suppressed() == []


@pytest.mark.parametrize(("kind", "status"), [("abuse", "complained"), ("auth-failure", "active"), ("not-spam", "active")])
def test_only_a_complaint_of_abuse_unsubscribes(returns: Returns, kind: str, status: str) -> None:
    returns.come(bounced.arf(returns.mail_to(ANN), kind=kind, recipient=ANN))
    returns.read()
    assert returns.statuses() == {ANN: status, BOB: "active", EVA: "active"}
    assert returns.suppressed() == (["complained"] if status == "complained" else [])


def test_a_mail_to_the_unsubscribe_address_unsubscribes_once(returns: Returns) -> None:
    [link] = [line for line in returns.mail_to(ANN).decode().split("\r\n") if line.startswith(" <mailto:")]
    token = link.partition("unsubscribe%20")[2].rstrip(">")
    returns.come(
        bounced.unsubscribe(token, sender="somebody@else.example"), bounced.unsubscribe(token, sender="again@else.example")
    )
    heard = returns.read()
    assert heard.done == {FeedbackDone.UNSUBSCRIBED: 1, FeedbackDone.NOTHING: 1}
    assert returns.statuses() == {ANN: "unsubscribed", BOB: "active", EVA: "active"}


def test_delays_vacations_and_letters_change_nothing_and_letters_stay_unread(returns: Returns) -> None:
    mail = returns.mail_to(ANN)
    delay = bounced.postfix(mail, ANN, status="4.4.1", said="timed out", action="delayed")
    returns.come(delay, bounced.vacation(mail), b"From: ann@example.org\r\nSubject: vraag\r\n\r\nKan dat ook op maandag?")
    heard = returns.read()
    assert heard.kinds == {FeedbackKind.DELAY: 1, FeedbackKind.AUTO_REPLY: 1, FeedbackKind.UNKNOWN: 1}
    assert heard.done == {FeedbackDone.NOTHING: 3}
    assert set(returns.statuses().values()) == {"active"}
    assert sorted(path.name for path in (returns.folder / "cur").iterdir()) == ["0001.host:2,S", "0002.host:2,S", "0003.host:2,"]
    assert list((returns.folder / "new").iterdir()) == []


def test_soft_bounces_count_once_an_edition_and_only_many_over_a_week_end_a_subscription(returns: Returns) -> None:
    for day in range(8):
        at = moment(TUESDAY) + timedelta(days=day)
        if day:
            returns.world.news(f"Bericht {day}", (at - timedelta(hours=12)).isoformat())
            returns.world.run(at)
        mail = returns.mail_to(ANN)
        returns.come(soft(mail), soft(mail) + b"twice\r\n")
        assert returns.statuses()[ANN] == "active", day
        returns.read(at + timedelta(hours=1))
    assert returns.statuses() == {ANN: "bounced", BOB: "active", EVA: "active"}
    assert returns.suppressed() == []  # the person may subscribe again


def test_one_edition_that_comes_back_again_and_again_counts_once(returns: Returns) -> None:
    for day in range(12):
        returns.come(soft(returns.mail_to(ANN)) + b"again\r\n" * day)
        returns.read(moment(TUESDAY) + timedelta(days=day, hours=1))
    assert returns.statuses()[ANN] == "active"


def test_who_subscribes_again_begins_without_old_bounces(returns: Returns) -> None:
    for day in range(9):
        at = moment(TUESDAY) + timedelta(days=day)
        if day:
            returns.world.news(f"Bericht {day}", (at - timedelta(hours=12)).isoformat())
            returns.world.run(at)
        returns.come(soft(returns.mail_to(ANN)))
        if day == 6:
            with returns.world.site.store.write() as tx:
                [one] = subscribers.records(tx, address=ANN)
                subscribers.add_consent(tx, one.id, "joined", "a form", at + timedelta(hours=2))
        returns.read(at + timedelta(hours=1))
    assert returns.statuses()[ANN] == "active"


def test_old_soft_bounces_fade() -> None:
    now = moment(TUESDAY)
    assert job.score([now], now) == 1
    assert job.score([now - job.HALF_LIFE], now) == 0.5
    assert job.score([now - timedelta(days=30 * months) for months in range(24)], now) < 2 < job.TOO_MANY
    weekly = [now - timedelta(days=7 * week) for week in range(6)]
    assert job.score(weekly[:5], now) < job.TOO_MANY <= job.score(weekly, now)


def test_what_is_our_own_fault_blames_no_address_but_tells_the_operator(returns: Returns) -> None:
    said = "550 5.7.515 Access denied, sending domain example.org does not meet the required authentication level"
    returns.come(bounced.postfix(returns.mail_to(ANN), ANN, status="5.7.515", said=said))
    returns.read()
    assert returns.statuses()[ANN] == "active"
    assert "5.7.515" in returns.problems()["feedback:ours"]
    returns.read("2026-11-26T09:00")
    assert "feedback:ours" in returns.problems()
    returns.read("2026-11-28T09:00")
    assert returns.problems() == {}


class _Killed(BaseException):
    pass


def test_a_kill_between_recording_and_moving_has_no_double_effect(returns: Returns, monkeypatch: pytest.MonkeyPatch) -> None:
    returns.come(hard(returns.mail_to(ANN)), soft(returns.mail_to(BOB), BOB))

    def killed(*_: object, **__: object) -> None:
        raise _Killed

    with monkeypatch.context() as patched:
        patched.setattr(Maildir, "put_away", killed)
        with pytest.raises(_Killed):
            returns.read()
    assert len(list((returns.folder / "new").iterdir())) == 2
    assert returns.statuses()[ANN] == "bounced"
    with returns.world.site.store.write() as tx:  # meanwhile the operator lets Ann in again
        suppressions.remove(tx, returns.world.site.links.address_hash(ANN))
    heard = returns.read()
    assert (heard.known, heard.done) == (1, {FeedbackDone.NOTED: 1})
    assert returns.suppressed() == []
    assert list((returns.folder / "new").iterdir()) == []


def test_what_is_no_plain_file_is_left_alone_and_never_waited_for(returns: Returns) -> None:
    os.mkfifo(returns.folder / "new/a.pipe")
    (returns.folder / "new/b.link").symlink_to("/etc/passwd")
    (returns.folder / "new/c.folder").mkdir()
    returns.come(hard(returns.mail_to(ANN)))
    assert returns.read().done == {FeedbackDone.SUPPRESSED: 1}
    assert len(list((returns.folder / "new").iterdir())) == 3


def test_the_pipeline_reads_by_itself_and_a_folder_that_is_away_is_one_problem_until_it_is_back(returns: Returns) -> None:
    (returns.folder / "new").rename(returns.folder / "away")
    ran: TickReport = returns.world.run("2026-11-24T08:05")
    assert any("Maildir for bounces" in problem for problem in ran.problems)
    assert "feedback" in returns.problems()
    (returns.folder / "away").rename(returns.folder / "new")
    returns.come(hard(returns.mail_to(ANN)))
    returns.world.run("2026-11-24T08:10")
    assert returns.problems() == {}
    assert returns.statuses()[ANN] == "bounced"
    assert any(line == "came back: 1 bounce (1 suppressed)" for line in returns.world.said)


def test_a_running_gazet_reads_beside_its_ticks(returns: Returns) -> None:
    returns.come(hard(returns.mail_to(ANN)))
    stop, came = threading.Event(), threading.Event()
    engine = returns.world.engine("2026-11-24T08:05", stop=stop)
    engine.say = lambda line: came.set() if line.startswith("came back: 1 bounce") else None
    running = threading.Thread(target=engine.forever)
    running.start()
    assert came.wait(30)
    stop.set()
    running.join(30)
    assert returns.statuses()[ANN] == "bounced"


def test_a_folder_that_left_the_settings_is_no_problem_any_more(returns: Returns) -> None:
    (returns.folder / "new").rmdir()
    returns.world.run("2026-11-24T08:05")
    assert "feedback" in returns.problems()
    path = returns.world.folder / "gazet.toml"
    path.write_text(path.read_text(encoding="utf-8").replace(MAILDIR, ""), encoding="utf-8")
    returns.world.reopen()
    returns.world.run("2026-11-24T08:10")
    assert returns.problems() == {}


def test_the_command_says_what_came_back_and_explain_remembers(returns: Returns) -> None:
    returns.come(hard(returns.mail_to(ANN)), b"Subject: vraag\r\n\r\nHoi")
    said = gazet("feedback", "--now", "2026-11-24T09:00", site=returns.world.folder)
    assert (said.code, said.out) == (0, "came back: 1 bounce, 1 unknown (1 suppressed)\n")
    again = gazet("feedback", "--json", site=returns.world.folder)
    assert again.json == {"kinds": {}, "done": {}, "known": 0}
    told = gazet("explain", ANN, site=returns.world.folder).out
    assert "came back Tue 2026-11-24 09:00: bounce (hard) of po/2026-11-24T08:00: suppressed  5.1.1 550" in told
    assert [one.reason for one in report.explain(returns.world.site, BOB, None).feedback] == []


def test_without_a_folder_the_command_says_where_to_name_one(world: World) -> None:
    said = gazet("feedback", site=world.folder)
    assert (said.code, said.out) == (2, "")
    assert "[feedback]" in said.err


def test_with_verp_the_address_alone_says_which_delivery_came_back(tmp_path: Path, web: WebServer) -> None:
    with SmtpServer() as server:
        world = World(tmp_path / "site", web, relay=RELAY.format(port=server.port) + MAILDIR)
        try:
            returns = _opened(world)
            senders = {kept.recipient: kept.envelope_from for kept in server.messages}
            assert len(set(senders.values())) == 3
            assert all(sender.startswith("nieuws+") and sender.endswith("@example.org") for sender in senders.values())
            returns.come(hard(b"", ANN, to=senders[ANN].upper()), hard(b"", BOB, to=senders[EVA]))
            assert returns.read().done == {FeedbackDone.SUPPRESSED: 1, FeedbackDone.UNMATCHED: 1}
            assert returns.statuses() == {ANN: "bounced", BOB: "active", EVA: "active"}
        finally:
            world.close()


@pytest.fixture
def imap() -> Iterator[ImapServer]:
    with ImapServer() as server:
        yield server


def point_at(returns: Returns, server: ImapServer, more: str = "") -> None:
    """The site reads its bounces from that server from now on."""
    path = returns.world.folder / "gazet.toml"
    text = path.read_text(encoding="utf-8").partition("[feedback]")[0]
    path.write_text(text + IMAP.format(port=server.port, more=more), encoding="utf-8")
    returns.world.reopen()


def test_an_imap_folder_is_read_and_only_what_is_ours_is_moved(returns: Returns, imap: ImapServer) -> None:
    imap.put("INBOX", b"Subject: vraag\r\n\r\nHoi")
    imap.put("INBOX", hard(returns.mail_to(ANN)))
    point_at(returns, imap, 'processed = "Gazet bounces"\n')
    assert returns.read().kinds == {FeedbackKind.UNKNOWN: 1, FeedbackKind.BOUNCE: 1}
    assert imap.flags("INBOX") == {1: set()}
    assert list(imap.flags("Gazet bounces").values()) == [{r"\Seen"}]
    assert returns.statuses()[ANN] == "bounced"
    assert imap.commands[-1] == "LOGOUT"
    assert returns.read() == job.Heard()
    imap.put("INBOX", soft(returns.mail_to(BOB), BOB))
    heard = returns.read()
    assert (heard.kinds, heard.known) == ({FeedbackKind.BOUNCE: 1}, 0)  # what is read once is not fetched again
    assert "geheim" not in " ".join(imap.commands)


def test_another_uidvalidity_reads_all_again_and_does_nothing_twice(returns: Returns, imap: ImapServer) -> None:
    imap.put("INBOX", hard(returns.mail_to(ANN)))
    point_at(returns, imap)
    assert returns.read().done == {FeedbackDone.SUPPRESSED: 1}
    assert imap.flags("INBOX") == {1: {r"\Seen"}}
    imap.validity += 1
    heard = returns.read()
    assert (heard.known, heard.done) == (1, {})


@pytest.mark.parametrize("before", ["UID MOVE", "UID STORE", "UID FETCH", "UID SEARCH", "SELECT", "LOGOUT"])
def test_a_line_that_breaks_anywhere_loses_nothing_and_does_nothing_twice(returns: Returns, imap: ImapServer, before: str) -> None:
    imap.put("INBOX", soft(returns.mail_to(ANN)))
    imap.put("INBOX", hard(returns.mail_to(BOB), BOB))
    point_at(returns, imap, 'processed = "Klaar"\n')
    imap.drop_before = before
    first = returns.world.run("2026-11-24T08:30")
    assert imap.drop_before == "", (first.problems, imap.commands)
    assert bool(first.problems) == (before != "LOGOUT")
    assert ("feedback" in returns.problems()) == (before != "LOGOUT")
    second = returns.world.run("2026-11-24T08:40")
    assert second.problems == []
    assert returns.problems() == {}
    assert returns.statuses() == {ANN: "active", BOB: "bounced", EVA: "active"}
    assert (len(imap.flags("INBOX")), len(imap.flags("Klaar"))) == (0, 2)
    assert [len(report.explain(returns.world.site, one, None).feedback) for one in (ANN, BOB)] == [1, 1]


def test_a_refused_login_is_one_problem_without_the_password(returns: Returns, imap: ImapServer) -> None:
    imap.password = "nieuw"
    point_at(returns, imap)
    returns.world.run("2026-11-24T08:30")
    returns.world.run("2026-11-24T08:40")
    said = returns.problems()["feedback"]
    assert "AUTHENTICATIONFAILED" in said
    assert "geheim" not in said
    assert "nieuws@" not in said


def test_an_imap_server_without_plain_or_move_is_good_enough(returns: Returns) -> None:
    with ImapServer(without=("AUTH=PLAIN", "MOVE")) as imap:
        imap.put("INBOX", hard(returns.mail_to(ANN)))
        point_at(returns, imap, 'processed = "Klaar"\n')
        returns.read()
        assert imap.flags("INBOX") == {1: {r"\Seen"}}
    assert returns.statuses()[ANN] == "bounced"


@pytest.mark.parametrize("tls", ["tls", "starttls"])
def test_a_password_goes_over_a_checked_line_or_not_at_all(returns: Returns, tls: str) -> None:
    with ImapServer(tls=tls) as imap:
        point_at(returns, imap)
        path = returns.world.folder / "gazet.toml"
        text = path.read_text(encoding="utf-8").replace('tls = "none"\n', f'tls = "{tls}"\n')
        path.write_text(text, encoding="utf-8")
        returns.world.reopen()
        assert any("certificate" in problem.lower() for problem in returns.world.run("2026-11-24T08:30").problems)
        assert not any(command.startswith(("LOGIN", "AUTHENTICATE")) for command in imap.commands)
        path.write_text(text + f'ca_file = "{imap.ca_file}"\n', encoding="utf-8")
        returns.world.reopen()
        imap.put("INBOX", hard(returns.mail_to(ANN)))
        assert returns.read().done == {FeedbackDone.SUPPRESSED: 1}
    with ImapServer() as plain:
        path.write_text(text.replace(str(imap.port), str(plain.port)).replace(f'"{tls}"', '"starttls"'), encoding="utf-8")
        returns.world.reopen()
        assert returns.world.run("2026-11-24T08:40").problems
        assert not any(command.startswith(("LOGIN", "AUTHENTICATE")) for command in plain.commands)


def test_who_is_erased_leaves_no_words_behind(returns: Returns) -> None:
    returns.come(bounced.postfix(returns.mail_to(ANN), ANN, status="5.2.1", said="550 5.2.1 Ann Jansen has left"))
    returns.read()
    assert gazet("subscribers", "erase", ANN, "--yes", site=returns.world.folder).code == 0
    data = b"".join(path.read_bytes() for path in (returns.world.folder / "var").glob("gazet.db*"))
    assert b"Ann Jansen" not in data


def test_the_suppression_list_goes_out_and_comes_back_but_not_into_another_site(returns: Returns, tmp_path: Path) -> None:
    returns.come(hard(returns.mail_to(ANN)))
    returns.read()
    site, file = returns.world.folder, tmp_path / "list.csv"
    assert gazet("suppressions", "export", file, site=site).code == 0
    assert ANN not in file.read_text(encoding="utf-8")
    assert gazet("suppressions", "export", site=site).out == file.read_text(encoding="utf-8")
    assert gazet("suppressions", "remove", ANN, site=site).code == 0
    assert gazet("suppressions", "import", file, site=site).out == "suppressed: 1 new, 0 known before\n"
    assert gazet("suppressions", "import", file, site=site).out == "suppressed: 0 new, 1 known before\n"
    [reason] = returns.suppressed()
    assert reason.startswith("bounced: 5.1.1")
    file.write_text(file.read_text(encoding="utf-8") + "nobody,x\n", encoding="utf-8")
    assert gazet("suppressions", "import", file, site=site).code == 1
    file.write_text("hash of 0123456789abcdef,reason,since\n", encoding="utf-8")
    assert "another site" in gazet("suppressions", "import", file, site=site).err
    file.write_text("ann@example.org\n", encoding="utf-8")
    assert "gazet suppressions add" in gazet("suppressions", "import", file, site=site).err
