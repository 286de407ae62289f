"""Leaving: one POST, with any body and from anywhere, and never a GET (RFC 8058; promises 7 to 9)."""

from __future__ import annotations

import shutil
import sqlite3
import threading

import pytest
from sqlalchemy import event

from pipeline import app
from pipeline.compose.links import WEB, Links
from pipeline.models import SubscriptionStatus
from pipeline.store import record, subscribers
from pipeline.store.schema import new_id
from tests.integration.command import gazet
from tests.integration.ledger import RELAY, run_watched, sites
from tests.served import Served, digest_world, dump, links, read_link, unsubscribe_link
from tests.servers.smtp import SmtpServer
from tests.world import World

ONE_CLICK = b"List-Unsubscribe=One-Click"
FORM = "application/x-www-form-urlencoded"
MULTIPART = b'--b\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n--b--\r\n'
BODIES = [
    pytest.param(ONE_CLICK, {"Content_Type": FORM}, "one-click", id="urlencoded"),
    pytest.param(MULTIPART, {"Content_Type": "multipart/form-data; boundary=b"}, "one-click", id="multipart"),
    pytest.param(b"", {"Content_Type": FORM}, "page", id="the button of the page"),
    pytest.param(None, {}, "page", id="no body at all"),
    pytest.param(b"\xff\x00{]" * 500, {"Content_Type": "application/json"}, "page", id="any bytes"),
    pytest.param(
        ONE_CLICK,
        {"Content_Type": FORM, "Origin": "https://evil.example", "Referer": "https://evil.example/x", "Cookie": "a=b"},
        "one-click",
        id="from elsewhere",
    ),
]


def status(world: World, address: str = "ann@example.org") -> SubscriptionStatus:
    with world.site.store.read() as tx:
        return next(one.status for one in subscribers.records(tx, address=address))


def evidence(world: World) -> list[str]:
    return [row for row in dump(world)["consents"] if "'left'" in row]


@pytest.fixture
def served(any_world: World):
    with Served(any_world) as server:
        digest_world(any_world)
        yield server


@pytest.mark.parametrize(("body", "headers", "how"), BODIES)
def test_a_post_unsubscribes_whatever_its_body_says_and_wherever_it_comes_from(served, body, headers, how):
    link = served.path_of(unsubscribe_link(served.world))
    for _ in range(3):
        got = served.send("POST", link, body, **headers)
        assert got.status == 200
        assert "Je bent afgemeld" in got.text
        assert "Samen Opleiden: nieuws" in got.text
        assert "ann@example.org" not in got.text
        assert not {"set-cookie", "location"} & set(got.headers)
    assert status(served.world) is SubscriptionStatus.UNSUBSCRIBED
    assert [how in row for row in evidence(served.world)] == [True], "the evidence is written once"
    served.world.news("Nieuw", "2026-11-24T09:00")
    assert not served.world.run("2026-11-25T08:00").opened[0].label, "nobody is left to send to"


def test_get_and_head_of_every_link_in_a_digest_change_nothing(served):
    before = dump(served.world)
    asked = [url for url in links(served.world) if url.startswith(served.url)]
    assert [url.removeprefix(served.url).split("/")[1:2] for url in asked] == [[], ["preferences"], ["read"], ["unsubscribe"]]
    for url in asked:
        for method in ("GET", "HEAD", "GET"):
            got = served.send(method, served.path_of(url))
            assert got.status == 200
            assert (method == "HEAD") == (got.body == b"")
    assert dump(served.world) == before
    page = served.get(served.path_of(unsubscribe_link(served.world))).text
    assert page.count("<form") == page.count("<button") == 1
    assert "ann@example.org" not in page
    assert "<script" not in page


def bad_tokens(world: World, token: str) -> list[str]:
    identity, signature = token.split(".")
    other = Links(b"x" * 64)
    return [
        token + "x",
        token[:-1],
        token[: len(token) // 2],
        identity,
        f"{identity}.",
        f"{identity[::-1]}.{signature}",
        *(token[:-1] + other for other in "ABCDwxyz0123-_" if other != token[-1]),
        f"{identity}.{signature[::-1]}",
        other.token("unsubscribe", 5),
        world.site.links.token(WEB, 5),
        read_link(world).rpartition("/")[2],
        "x" * 5000,
        "%00",
        "%ff.%fe",
        "é".encode().hex(),
        ".",
        "%20",
    ]


def test_a_token_that_was_not_made_for_this_leads_to_a_page_that_says_whom_to_write_to(served):
    before = dump(served.world)
    token = unsubscribe_link(served.world).rpartition("/")[2]
    for bad in bad_tokens(served.world, token):
        for method in ("GET", "POST"):
            got = served.send(method, f"/unsubscribe/{bad}", ONE_CLICK if method == "POST" else None, Content_Type=FORM)
            assert got.status == 404, bad
            assert "redactie@example.org" in got.text
    for crossed in (token, "x" * 5000, token[:-1]):
        assert served.get(f"/read/{crossed}").status == 404
    assert dump(served.world) == before


def test_whoever_the_store_does_not_know_any_more_is_told_that_it_is_done(served):
    identity = new_id()
    link = "/unsubscribe/" + served.world.site.links.token("unsubscribe", identity)
    before = dump(served.world)
    asked, done = served.get(link), served.post(link, ONE_CLICK)
    assert (asked.status, done.status) == (200, 200)
    assert "<button" in asked.text
    assert "Je bent afgemeld" in done.text
    assert dump(served.world) == before
    kept = record.newest_facts(served.world.folder / "var/record")
    assert record.Left(identity, "unsubscribed", "") in kept, "a store that is restored once more may know who that is"


@pytest.mark.parametrize("word", ["bounced", "complained"])
def test_who_bounced_or_complained_stays_so(served, word):
    served.world.subscribe("ann@example.org", status=word)
    before = dump(served.world)
    assert "Je bent afgemeld" in served.post(served.path_of(unsubscribe_link(served.world)), ONE_CLICK).text
    assert dump(served.world) == before


def test_one_can_leave_a_feed_whose_file_is_gone(served):
    link = served.path_of(unsubscribe_link(served.world))
    shutil.move(served.world.folder / "feeds/po.toml", served.world.folder / "po.toml")
    served.world.reopen()
    assert served.get(link).status == 200
    assert "Je bent afgemeld" in served.post(link, ONE_CLICK).text
    assert status(served.world) is SubscriptionStatus.UNSUBSCRIBED


def test_a_template_that_fails_keeps_nobody_from_leaving(world):
    with Served(world) as served:
        digest_world(world)
        (world.folder / "templates").mkdir()
        (world.folder / "templates/unsubscribe.html.j2").write_text("{{ nothing.there }}")
        world.reopen()
        assert "Je bent afgemeld" in served.post(served.path_of(unsubscribe_link(world)), ONE_CLICK).text
        assert len(served.said) == 1
        assert "unsubscribe.html.j2" in served.said[0]
        ended = gazet("check", site=world.folder)
        assert ended.code == 1
        assert "unsubscribe.html.j2:1" in ended.err


def test_a_busy_store_is_said_and_the_same_link_works_later(world):
    with Served(world) as served:
        link = served.path_of(unsubscribe_link(digest_world(world)))
        engine = world.site.store.engine
        engine.dispose()
        event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA busy_timeout=20"))
        other = sqlite3.connect(world.folder / "var/gazet.db")
        other.execute("BEGIN IMMEDIATE")
        busy = served.post(link, ONE_CLICK)
        assert (busy.status, busy.headers["retry-after"]) == (503, "30")
        assert "er is niets veranderd" in busy.text
        assert "Traceback" not in busy.text
        assert str(world.folder) not in busy.text
        assert served.get(link).status == 200, "reading goes on"
        other.close()
        assert served.post(link, ONE_CLICK).status == 200
        assert link.rpartition("/")[2] not in "".join(served.said), "a token is a key"


class Leaver(SmtpServer):
    """An SMTP server that takes its time at one stage; meanwhile somebody leaves."""

    def __init__(self, stage: str, who: str) -> None:
        super().__init__()
        self.stage, self.who = stage, who
        self.leave = lambda: None
        self.waited = threading.Event()

    def pick(self, stage, recipient):
        if (stage, recipient) == (self.stage, f"{self.who}@example.org") and not self.waited.is_set():
            self.leave()
            self.waited.wait(0.6)  # the promise is about a second, so a part of one must pass
            self.waited.set()
        return super().pick(stage, recipient)


@pytest.mark.parametrize("stage", ["rcpt", "data"])
@pytest.mark.parametrize("connections", [1, 2])
def test_who_leaves_while_an_edition_is_sent_gets_nothing_of_it_a_second_later(tmp_path, web, stage, connections):
    with Leaver(stage, "bob") as server:
        relay = RELAY.format(host="127.0.0.1", port=server.port, tls="none", connections=connections, more="")
        world = World(tmp_path / "site", web, relay=relay)
        with Served(world) as served:
            world.news("Eerste", "2026-11-23T09:00")
            for name in ("ann", "bob", "cor", "dot"):
                world.subscribe(f"{name}@example.org", cadence="daily", at="2026-11-23T10:00")
            with world.site.store.read() as tx:
                bob = next(one.id for one in subscribers.records(tx, address="bob@example.org"))
            link = "/unsubscribe/" + world.site.links.token("unsubscribe", bob)
            answers = []
            server.leave = lambda: answers.append(served.post(link, ONE_CLICK).status)
            world.run("2026-11-24T08:00")
            assert answers == [200]
        assert sorted(kept.recipient for kept in server.messages) == [f"{name}@example.org" for name in ("ann", "cor", "dot")]
        assert world.sums("po/2026-11-24T08:00") == {"accepted": 3, "suppressed": 1}
        assert world.statuses("po/2026-11-24T08:00")["bob@example.org"] == "suppressed"
        bobs = [row for row in dump(world)["deliveries"] if "bob@example.org" in row]
        assert "the subscription is unsubscribed" in bobs[0]
        assert not dump(world)["problems"], "the relay is not to blame for a connection that we closed"
        world.close()


def test_who_leaves_while_the_relays_rate_is_waited_for_is_not_even_named_to_it(tmp_path, web):
    with SmtpServer() as server, sites(tmp_path / "site", web) as place:
        world = place(server, "ann", "bob", more='rate = "60/min"')
        with Served(world) as served:
            with world.site.store.read() as tx:
                who = {one.address: one.id for one in subscribers.records(tx)}

            def the_other_leaves():
                [first] = server.messages
                [(_, other)] = [each for each in who.items() if each[0] != first.recipient]
                served.post("/unsubscribe/" + world.site.links.token("unsubscribe", other), ONE_CLICK)

            run_watched(world, the_other_leaves)
        assert world.sums("po/2026-11-24T08:00") == {"accepted": 1, "suppressed": 1}
        assert sum(command.startswith("RCPT") for command in server.commands) == 1


def test_a_mail_to_the_unsubscribe_address_is_acted_on_by_the_operator(world):
    with Served(world):
        token = unsubscribe_link(digest_world(world)).rpartition("/")[2]
        world.close()
        ended = gazet("subscribers", "unsubscribe", "--token", f"unsubscribe {token}", site=world.folder)
        assert (ended.code, ended.out) == (0, "left Samen Opleiden: nieuws\n")
        assert "had left" in gazet("subscribers", "unsubscribe", "--token", token, site=world.folder).out
        for wrong in (("--token", token[:-1]), ("--token", " "), ("ann@example.org", "--token", token), ()):
            ended = gazet("subscribers", "unsubscribe", *wrong, site=world.folder)
            assert ended.code == 2
            assert len(ended.faults) == 1
        assert status(world) is SubscriptionStatus.UNSUBSCRIBED
        assert [("'mail'" in row) for row in evidence(world)] == [True]


def test_the_site_mark_tells_sites_apart_and_is_no_key(world):
    mark = world.site.mark
    assert len(mark) == 22
    assert mark == app.open_site(world.folder).mark
    assert mark != Links(b"x" * 64).site_mark(world.site.store.place)
    assert mark != world.site.links.site_mark("elsewhere")
    assert mark not in world.site.links.token("unsubscribe", 1)


def test_nobody_is_told_that_they_left_once_the_settings_name_another_store(served: Served) -> None:
    """Only that one is sent from when Gazet starts again, and it may know nothing of them."""
    link, toml = served.path_of(unsubscribe_link(served.world)), served.world.folder / "gazet.toml"
    before = toml.read_text()
    assert "[collect]" in before
    site = served.world.site
    lines = [line for line in before.splitlines() if line != "[store]" and "postgresql" not in line]
    toml.write_text("\n".join(lines).replace("[collect]", '[store]\nurl = "sqlite:///var/new.db"\n[collect]'))
    got = served.post(link, ONE_CLICK)
    assert got.status == 503
    assert "Restart gazet" in served.said[-1]
    assert served.get(link).status == 200, "a look changes nothing"
    toml.write_text(before + "# the same store\n")
    assert served.world.site is site
    assert served.post(link, ONE_CLICK).status == 200
    toml.write_text("[site")
    assert served.post(link, ONE_CLICK).status == 200, "nothing can be started with these"
    toml.write_text(before)


def test_a_web_server_ends_once_the_settings_name_another_store(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.cli.serve._LOOK_UP_SECONDS", 0.05)
    assert world.site
    toml = world.folder / "gazet.toml"

    def edit() -> None:
        toml.write_text(toml.read_text().replace("[collect]", '[store]\nurl = "sqlite:///var/new.db"\n[collect]'))

    timer = threading.Timer(1, edit)
    timer.start()
    done = gazet("serve", "--listen", "127.0.0.1:0", "--log-format", "text", site=world.folder)
    timer.join()
    assert done.code == 1, "so that its service starts it again"
    assert "store.url was edited" in done.err
