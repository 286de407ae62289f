"""Promise 12: a relay that reaches real people writes to subscribers only when everything was tried before."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import update

from pipeline import app
from pipeline.config import OUTBOX
from pipeline.errors import SendRefusedError
from pipeline.jobs import trust
from pipeline.jobs.ping import healthy
from pipeline.jobs.trust import Identity
from pipeline.models import DeliveryStatus
from pipeline.store import editions
from pipeline.store.schema import DeliveryRow, ProblemRow
from tests.integration.command import gazet
from tests.integration.real import ANN, BOB, LONG_AGO, ME, NOW, Site, real_relay, relay_toml
from tests.integration.running import Running
from tests.servers.smtp import SmtpServer
from tests.servers.web import WebServer, closed_port
from tests.world import World


@pytest.fixture
def relay() -> Iterator[SmtpServer]:
    yield from real_relay()


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
    assert "still the example" in site.command("compose").err
    assert relay.connections == 0
    with site.site.store.read() as tx:
        assert editions.latest(tx, 1) == [], "its mails would hold links that lead nowhere"

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
    site.web.serve("/elders/healthz", json.dumps({"site": site.site.mark}))
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


def test_with_a_clock_that_stands_still_no_edition_is_opened_that_the_next_run_would_send(site: Site, relay: SmtpServer) -> None:
    site.answers()
    site.test()
    site.once()
    site.news("Van volgende week", (NOW - timedelta(minutes=1)).isoformat())
    site.subscribe("cas@echt.nl", cadence="weekly")
    site.close()
    gazet("collect", site=site.folder)
    before = len(relay.messages)
    later = (NOW + timedelta(days=8)).isoformat()
    for way in (("run", "--once"), ("compose",)):
        ended = gazet(*way, "--now", later, site=site.folder)
        assert (ended.code, "sends nothing with --now" in ended.err) == (1, True)
    site.once()
    assert sorted(kept.recipient for kept in relay.messages[before:]) == [ANN, BOB], "whoever is due next week waits for next week"


def rehearsing(site: Site, relay: SmtpServer, url: str) -> str:
    """A site without a relay that has opened an edition for two and put one mail into the outbox; then it gets its relay."""
    own = site.web.url("").rstrip("/")
    site.change(relay_toml(relay), "")
    site.change(own, url or own)
    site.close()
    gazet("collect", site=site.folder)
    gazet("compose", site=site.folder)
    [first, *_] = sorted(site.statuses(site.label))
    with site.site.store.write() as tx:
        mine = DeliveryRow.address == first
        tx.execute(update(DeliveryRow).where(mine).values(status=DeliveryStatus.ACCEPTED, relay=OUTBOX))
    if url:
        site.change(url, own)
    site.change("[collect]", relay_toml(relay) + "[collect]")
    site.answers()
    assert "ready" in site.test().out
    return site.label


def test_what_the_outbox_began_no_relay_goes_on_with_unasked(site: Site, relay: SmtpServer) -> None:
    label = rehearsing(site, relay, "")
    ended = site.once()
    assert (ended.code, len(ended.faults)) == (1, 1)
    assert f'begun as a rehearsal. "gazet resume {label}" sends the rest' in ended.err
    assert [kept.recipient for kept in relay.messages] == [ME]
    gazet("resume", label, site=site.folder)
    assert site.once().code == 0
    assert sorted(kept.recipient for kept in relay.messages) == [BOB, ME]
    assert gazet("retry", label, "--from-outbox", site=site.folder).code == 0
    assert site.once().code == 0
    assert sorted(kept.recipient for kept in relay.messages) == [ANN, BOB, ME]
    site.sums(label)


def test_mails_with_links_that_lead_nowhere_are_never_sent_to_people(site: Site, relay: SmtpServer) -> None:
    """site.url is frozen in them: nobody who gets one could unsubscribe."""
    label = rehearsing(site, relay, "https://nieuws.example.org")
    ended = site.once()
    assert "site.url was an example" in ended.err
    assert f"gazet cancel {label}" in ended.err
    gazet("resume", label, site=site.folder)
    assert "site.url was an example" in site.once().err
    refused = gazet("retry", label, "--from-outbox", site=site.folder)
    assert (refused.code, "no link in its mails would work" in refused.err) == (2, True)
    assert [kept.recipient for kept in relay.messages] == [ME]
    gazet("cancel", label, site=site.folder)
    site.once()
    assert sorted(kept.recipient for kept in relay.messages) == [BOB, ME], "who had nothing gets the items in the next digest"
    assert site.web.url("").encode().rstrip(b"/") in relay.messages[-1].data


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


ALERTS = '[alerts]\nmail = "beheer@redactie.nl"\n'


def sent_and_edited(site: Site) -> None:
    """A site that has sent everything, and whose relay was edited then."""
    site.answers()
    site.test()
    assert site.once().code == 0
    site.change('tls = "none"', 'tls = "none"\nca_file = "gazet.toml"')
    site.close()


def test_a_relay_that_lost_its_trust_is_a_problem_before_there_is_anything_to_send(site: Site, relay: SmtpServer) -> None:
    sent_and_edited(site)
    ended = site.once()
    assert (ended.code, len(ended.faults)) == (1, 1)
    assert "no test mail was accepted with its present settings" in ended.err
    assert site.once().err == "", "said once"
    assert not healthy(site.site)
    assert "needs you: 1 thing" in gazet("status", site=site.folder).out
    assert site.test().code == 0
    assert site.problems() == {}
    assert healthy(site.site)


def test_nothing_is_missing_where_nobody_has_subscribed(site: Site) -> None:
    for address in (ANN, BOB):
        gazet("subscribers", "unsubscribe", address, site=site.folder)
    assert site.once().err == ""


def test_gazet_run_says_so_soon_after_the_edit(site: Site) -> None:
    site.answers()
    site.test()
    assert site.once().code == 0
    site.close()
    with Running(site.folder) as running:
        running.wait_for('"serving"')
        site.change('tls = "none"', 'tls = "none"\nca_file = "gazet.toml"')
        assert running.wait_for("writes to no subscriber yet")["level"] == "warning"


def test_alerts_go_through_a_relay_that_must_not_write_to_subscribers(site: Site, relay: SmtpServer) -> None:
    sent_and_edited(site)
    with (site.folder / "gazet.toml").open("a") as file:
        file.write(ALERTS)
    before = len(relay.messages)
    site.news("Nog een bericht", NOW.isoformat())
    site.once()
    assert len(relay.messages) == before, "a relay that is being edited is worth a mail after ten minutes"
    with site.site.store.write() as tx:
        tx.execute(update(ProblemRow).values(since=NOW - timedelta(minutes=11)))
    site.once()
    [alert] = relay.messages[before:]
    assert alert.recipient == "beheer@redactie.nl"
    assert b"no test mail was accepted" in alert.data.replace(b"=\r\n", b"").replace(b"\r\n", b" ")
    assert b"gazet send po --test" in alert.data.replace(b"=\r\n", b"").replace(b"\r\n", b" ")


def test_no_alert_leaves_with_a_clock_that_stands_still_or_from_an_example_address(site: Site) -> None:
    app.carrier_for(site.site)
    with pytest.raises(SendRefusedError, match="--now"):
        app.carrier_for(site.site, standing_clock=True)
    site.change(site.web.url("").rstrip("/"), "https://nieuws.example.org")
    with pytest.raises(SendRefusedError, match="example"):
        app.carrier_for(site.site)


def watched(site: Site, *hours: float) -> list[str]:
    """The problems of site.url after looking at these hours from now."""
    for hour in hours:
        trust.watch(site.site, NOW + timedelta(days=500, hours=hour))
    return [what for key, what in site.problems().items() if key.startswith("site.url")]


def test_site_url_is_asked_each_day_and_is_a_problem_when_it_has_been_silent_for_an_hour(site: Site) -> None:
    site.answers()
    site.test()
    asked = len(site.web.requested("/healthz"))
    assert watched(site, 0, 1, 2, 23.9) == []
    assert len(site.web.requested("/healthz")) == asked + 1
    site.is_silent()
    assert watched(site, 24.1, 24.2, 25) == []
    [problem] = watched(site, 25.2)
    assert "404" in problem
    assert "nobody can unsubscribe" in problem
    assert not healthy(site.site)
    app.relay_for(site.site)  # mail goes on: a web server that rests must not stop it
    site.answers()
    assert watched(site, 25.3) == []
    assert healthy(site.site)


def test_an_hour_of_silence_begins_anew_after_an_answer(site: Site) -> None:
    site.answers()
    site.test()
    site.is_silent()
    watched(site, 0)
    site.answers()
    watched(site, 0.5)
    site.is_silent()
    assert watched(site, 24.6, 25) == []


def test_mail_waits_when_site_url_becomes_another_site(site: Site) -> None:
    site.answers()
    site.test()
    app.relay_for(site.site)
    site.answers("x" * 22)
    watched(site, 0)
    assert "has not answered as this site" in site.problems()["relay:echt:trust"]
    with pytest.raises(SendRefusedError, match="has not answered as this site"):
        app.relay_for(site.site)


def test_a_site_that_rehearses_is_not_asked_every_day(site: Site, relay: SmtpServer) -> None:
    site.answers()
    site.test()
    site.is_silent()
    assert watched(site, 0, 2) != []
    site.change(relay_toml(relay), "")
    site.once()
    assert site.problems() == {}
    asked = len(site.web.requested("/healthz"))
    watched(site, 48)
    assert len(site.web.requested("/healthz")) == asked
