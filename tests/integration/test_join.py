"""Signing up: the same answer to everybody, one mail, and a subscription only by whoever reads that mailbox (issue 5, item 6)."""

from __future__ import annotations

import email
import email.policy
import json
import re
import threading
from collections.abc import Iterator
from datetime import timedelta
from email.message import EmailMessage
from typing import Any
from urllib.parse import urlencode

import pytest
from sqlalchemy import select

from pipeline.compose.links import FORM, Links
from pipeline.jobs import signups as jobs
from pipeline.models import DeliveryStatus, SubscriptionStatus
from pipeline.store import signups, subscribers
from pipeline.store.schema import ConsentRow, NoticeRow, SignupRow
from tests.integration.command import gazet
from tests.integration.ledger import RELAY
from tests.served import NOW, Got, Served, dump
from tests.servers.smtp import SmtpServer
from tests.servers.web import WebServer
from tests.world import World


class Door(Served):
    """The front door of a world, and whoever comes to it."""

    def form(self, path: str = "/subscribe/po") -> str:
        """A stamp as the page gives it, a few seconds old."""
        stamp = re.search(r'name="stamp" value="([^"]+)"', self.get(path).text)
        assert stamp
        self.now += timedelta(seconds=5)
        return stamp[1]

    def sign_up(self, address: str, path: str = "/subscribe/po", *, headers: dict[str, str] | None = None, **fields: Any) -> Got:
        body = urlencode({"stamp": self.stamp, "email": address, **fields}, doseq=True).encode()
        return self.post(path, body, **(headers or {}))

    @property
    def stamp(self) -> str:
        return self.world.site.links.token(FORM, int(self.now.timestamp()) - 5)

    def tick(self) -> None:
        self.world.run(self.now)

    def confirm(self, link: str, body: bytes = b"confirm=yes") -> Got:
        return self.post(self.path_of(link), body)

    def joined(self, address: str, **fields: Any) -> str:
        """Somebody signs up and confirms; returns the link."""
        assert self.sign_up(address, **fields).status == 200
        self.tick()
        link = confirm_link(self.world, address)
        assert "Je bent aangemeld" in self.confirm(link).text
        return link


def confirm_mails(world: World, address: str = "") -> list[EmailMessage]:
    return [mail for mail in world.mails if "/confirm/" in text_of(mail) and address in str(mail["To"])]


def text_of(mail: EmailMessage) -> str:
    body = mail.get_body(("plain",))
    assert body is not None
    return str(body.get_content())


def confirm_link(world: World, address: str) -> str:
    found = re.search(r"http\S+/confirm/\S+", text_of(confirm_mails(world, address)[-1]))
    assert found
    return found[0]


def statuses(world: World, address: str) -> dict[str, SubscriptionStatus]:
    with world.site.store.read() as tx:
        return {feed: status for feed, (_, status) in subscribers.statuses(tx, address).items()}


def rows(world: World) -> list[Any]:
    with world.site.store.read() as tx:
        return list(tx.execute(select(SignupRow.address, SignupRow.status, SignupRow.network, SignupRow.name)))


def settings(world: World, lines: str) -> None:
    toml = world.folder / "gazet.toml"
    toml.write_text(re.sub(r"(?s)\n\[subscribe\].*", "", toml.read_text()) + f"\n[subscribe]\n{lines}\n")
    world.reopen()


@pytest.fixture
def door(world: World) -> Iterator[Door]:
    with Door(world) as made:
        world.news("Eerste", "2026-11-20T09:00")
        world.run("2026-11-24T08:00")
        yield made


def test_a_stranger_subscribes_confirms_gets_the_digest_and_leaves(any_world: World) -> None:
    with Door(any_world) as door:
        any_world.news("Eerste", "2026-11-20T09:00")
        any_world.run("2026-11-24T08:00")
        door.joined("Bob@example.org", name="Bob", cadence="daily")
        assert statuses(any_world, "bob@example.org") == {"po": SubscriptionStatus.ACTIVE}
        any_world.run("2026-11-25T08:00")
        assert any_world.got("Bob@example.org")[-1] == ["Eerste"]
        assert "Bob" in str(any_world.mails[-1]["To"])
        header = next(str(mail["List-Unsubscribe"]) for mail in any_world.mails if "List-Id" in mail)
        link = header.partition(">")[0].strip("<")
        assert door.post(door.path_of(link), b"List-Unsubscribe=One-Click").status == 200
        any_world.news("Tweede", "2026-11-25T10:00")
        any_world.run("2026-11-26T08:00")
        assert len([mail for mail in any_world.mails if "List-Id" in mail]) == 1


def people(world: World) -> None:
    """One of each kind of address there is."""
    now = NOW - timedelta(days=10)
    for name, status in (("known", "active"), ("left", "unsubscribed"), ("bounced", "bounced"), ("angry", "complained")):
        world.subscribe(f"{name}@example.org", status=status)
    with world.site.store.write() as tx:
        for name, reason in (("erased", subscribers.ERASED), ("barred", "by the operator")):
            subscribers.suppress(tx, world.site.links.address_hash(f"{name}@example.org"), reason, now)


KINDS = ("new", "known", "left", "erased", "bounced", "angry", "barred")


def test_the_answer_and_the_work_are_the_same_whoever_it_is_and_only_the_mails_differ(door: Door) -> None:
    people(door.world)
    answers, changes = set(), set()
    for name in KINDS:
        before = dump(door.world)
        got = door.sign_up(f"{name}@example.org")
        after = dump(door.world)
        headers = tuple(sorted((key, one) for key, one in got.headers.items() if key != "date"))
        answers.add((got.status, got.body, headers))
        changed = [table for table in after if after[table] != before[table]]
        changes.add(tuple((table, len(after[table]) - len(before[table])) for table in changed))
    assert len(answers) == 1
    assert changes == {(("signups", 1),)}, "one row, for everybody"
    door.tick()
    told = [mail for mail in door.world.mails if "List-Id" not in mail]
    mails = {name: [str(mail["Subject"]) for mail in told if f"{name}@" in str(mail["To"])] for name in KINDS}
    asked = ["Bevestig even: “Samen Opleiden: nieuws” per mail"]
    assert mails == {
        **dict.fromkeys(("new", "left", "erased"), asked),
        "known": ["Je bent al aangemeld bij Platform Samen Opleiden"],
        **{name: [] for name in ("bounced", "angry", "barred")},
    }
    assert "/preferences/" in text_of(next(m for m in told if "known@" in str(m["To"])))
    door.tick()
    assert len([m for m in door.world.mails if "List-Id" not in m]) == 4, "each once"


def test_who_left_or_was_erased_comes_back_by_their_own_will_and_a_restore_agrees(door: Door) -> None:
    people(door.world)
    door.sign_up("bob@example.org")
    backup = door.world.folder.parent / "b.tar.gz"
    assert gazet("backup", backup, site=door.world.folder).code == 0
    for name in ("left", "erased"):
        door.joined(f"{name}@example.org")
        assert statuses(door.world, f"{name}@example.org") == {"po": SubscriptionStatus.ACTIVE}
    door.world.run("2026-12-01T08:00")
    for name in ("left", "erased"):
        assert door.world.got(f"{name}@example.org")[-1] == ["Eerste"]
    door.world.close()
    ended = gazet("restore", backup, site=door.world.folder)
    assert ended.code in (0, 1), ended.err
    assert statuses(door.world, "left@example.org") == {"po": SubscriptionStatus.ACTIVE}
    with door.world.site.store.read() as tx:
        reasons = [subscribers.suppression(tx, hash_of(door, name)) for name in ("left", "erased", "barred")]
    assert reasons == [None, None, "by the operator"]
    assert {row.status for row in rows(door.world)} == {"silent"}, "nobody is asked a second time"


def test_having_one_feed_and_asking_for_it_again_is_told_once_and_bars_no_other_feed(door: Door) -> None:
    door.world.write_feed("two", url=door.world.web.url("/two.xml"))
    door.world.reopen()
    door.world.subscribe("known@example.org")
    for path in ("/subscribe/po", "/subscribe/po", "/subscribe/two", "/subscribe/two"):
        door.sign_up("known@example.org", path)
        door.tick()
    mails = [str(mail["Subject"]) for mail in door.world.mails if "known@" in str(mail["To"]) and "List-Id" not in mail]
    assert sorted(subject.partition(" ")[0] for subject in mails) == ["Bevestig", "Je"]
    assert door.confirm(confirm_link(door.world, "known@example.org")).status == 200
    assert set(statuses(door.world, "known@example.org")) == {"po", "two"}


def hash_of(door: Door, name: str) -> str:
    return door.world.site.links.address_hash(f"{name}@example.org")


def test_looking_changes_nothing_and_pressing_twice_does_no_more_than_once(door: Door) -> None:
    door.sign_up("bob@example.org")
    door.tick()
    link = confirm_link(door.world, "bob@example.org")
    before = dump(door.world)
    for method in ("GET", "HEAD"):
        got = door.send(method, door.path_of(link))
        assert got.status == 200
        assert (got.headers["cache-control"], got.headers["x-robots-tag"][:7]) == ("no-store", "noindex")
    for body in (b"", b"List-Unsubscribe=One-Click", b"\xff\x00"):
        assert door.post(door.path_of(link), body).status == 200
    assert "bob@example.org" not in door.get(door.path_of(link)).text
    assert dump(door.world) == before, "a scanner that follows links, or posts to them, subscribes nobody"
    answers: list[str] = []
    threads = [threading.Thread(target=lambda: answers.append(door.confirm(link).text)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all("Je bent aangemeld" in text for text in answers)
    with door.world.site.store.read() as tx:
        [consent] = tx.execute(select(ConsentRow.action, ConsentRow.evidence)).all()
    kept = json.loads(consent.evidence)
    assert consent.action == "joined"
    assert kept["page"] == f"{door.url}/subscribe/po"
    assert kept["said"].startswith("Met deze knop vraag je Platform Samen Opleiden om je “Samen Opleiden: nieuws”")
    assert re.fullmatch("[0-9a-f]{32}", kept["wording"])
    assert (kept["asked"][:10], kept["confirmed"][:10], kept["network"]) == ("2026-11-24", "2026-11-24", "unknown")
    assert "button" in kept["how"]
    assert rows(door.world) == [("", "confirmed", "", "")], "the subscription has the address now"


def test_a_link_used_after_leaving_brings_nobody_back(door: Door) -> None:
    link = door.joined("bob@example.org")
    with door.world.site.store.write() as tx:
        identity = subscribers.statuses(tx, "bob@example.org")["po"][0]
        subscribers.leave(tx, identity, SubscriptionStatus.UNSUBSCRIBED, door.now)
    got = door.confirm(link)
    assert got.status == 410
    assert "/subscribe" in got.text
    assert statuses(door.world, "bob@example.org") == {"po": SubscriptionStatus.UNSUBSCRIBED}


def test_mails_about_somebody_known_go_to_the_address_that_is_known(door: Door) -> None:
    """ß and ss fold to one text, and are two domains (IDNA 2008)."""
    door.joined("ann@strasse.example")
    before = len(door.world.mails)
    door.now += timedelta(days=4)
    door.sign_up("ann@straße.example")
    door.tick()
    new = door.world.mails[before:]
    assert any("/preferences/" in text_of(mail) for mail in new)
    assert {str(mail["To"]) for mail in new} == {"ann@strasse.example"}


def test_what_nobody_confirms_expires_and_is_forgotten_and_one_can_ask_again(door: Door) -> None:
    door.sign_up("bob@example.org", name="Bob")
    door.tick()
    link = confirm_link(door.world, "bob@example.org")
    door.now += timedelta(days=3)
    got = door.confirm(link)
    assert got.status == 410
    assert f'href="{door.url}/subscribe"' in got.text
    door.tick()
    told = dump(door.world)
    assert "bob@example.org" not in repr({name: told[name] for name in ("signups", "subscribers", "notices")})
    assert "Bob" not in repr(told["signups"])
    door.sign_up("bob@example.org")
    door.tick()
    assert len(confirm_mails(door.world)) == 2
    door.now += timedelta(days=40)
    door.tick()
    assert rows(door.world) == [], "and then nothing is known at all"


# Limits


def test_a_thousand_sign_ups_for_one_victim_bring_one_mail(door: Door) -> None:
    settings(door.world, "per_hour = 100000")
    wish = jobs.Wish("victim@gmail.com", "", ("po",), "", (), "nl", "", "", "", "")
    with door.world.site.store.write() as tx:
        for number in range(1000):
            address = ("victim@gmail.com", "Vic.Tim@gmail.com", f"victim+{number}@googlemail.com")[number % 3]
            signups.add(tx, new_signup(door, address, f"10.{number // 256}.{number % 256}.0/24", wish))
    assert door.sign_up("victim@gmail.com").status == 200
    door.tick()
    assert len(confirm_mails(door.world)) == 1
    for day in (4, 8, 12, 29, 31):
        door.now = NOW + timedelta(days=day)
        for _ in range(2):
            door.sign_up("victim@gmail.com")
        door.tick()
        assert len(confirm_mails(door.world)) == {4: 2, 8: 3, 12: 3, 29: 3, 31: 4}[day], "at most three in thirty days"


def new_signup(door: Door, address: str, network: str, wish: jobs.Wish) -> signups.NewSignup:
    mailbox = door.world.site.links.mailbox_hash(jobs.mailbox(address))
    expires = door.now + timedelta(days=3)
    return signups.NewSignup(address, mailbox, "", wish.feeds, {}, "nl", {}, network, door.now, expires)


def test_a_network_and_all_together_have_limits_that_are_said_and_store_nothing_more(door: Door) -> None:
    settings(door.world, "per_network = 2\nper_hour = 4")
    here, there = {"X_Forwarded_For": "9.9.9.9, 203.0.113.7"}, {"X_Forwarded_For": "2001:db8:5:6::1"}
    found = [door.sign_up(f"a{number}@example.org", headers=here).status for number in range(3)]
    assert found == [200, 200, 429]
    assert door.sign_up("b@example.org", headers={"X_Forwarded_For": "203.0.113.200"}).status == 429
    assert [door.sign_up(f"c{number}@example.org", headers=there).status for number in range(2)] == [200, 200]
    refused = door.sign_up("d@example.org", headers={"X_Forwarded_For": "198.51.100.1"})
    assert (refused.status, refused.headers["retry-after"]) == (429, "3600")
    assert "Er is niets opgeslagen" in refused.text
    assert {row.network for row in rows(door.world)} == {"203.0.113.0/24", "2001:db8:5::/48"}
    assert len(rows(door.world)) == 4
    door.now += timedelta(hours=1, seconds=1)
    assert door.sign_up("d@example.org", headers=here).status == 200


def test_programs_and_forms_elsewhere_get_the_form_filled_in_and_one_more_button(door: Door) -> None:
    fresh = door.world.site.links.token(FORM, int(door.now.timestamp()))
    old = door.world.site.links.token(FORM, int(door.now.timestamp()) - 90_000)
    ahead = door.world.site.links.token(FORM, int(door.now.timestamp()) + 3600)
    foreign = Links(b"x" * 64).token(FORM, int(door.now.timestamp()) - 5)
    wrong = ({"stamp": ""}, {"stamp": fresh}, {"stamp": old}, {"stamp": ahead}, {"stamp": foreign}, {"stamp": "x" * 5000})
    for fields in (*wrong, {"stamp": door.stamp, "comment": "buy"}):
        body = urlencode({"email": "bob@example.org", "cadence": "daily", **fields}).encode()
        got = door.post("/subscribe/po", body, Origin="https://elsewhere.example", Cookie="a=b")
        assert got.status == 200
        assert 'value="bob@example.org"' in got.text
        assert '<option value="daily" selected>' in got.text
        assert "buy" not in got.text
        assert "set-cookie" not in got.headers
    assert rows(door.world) == []
    stamp = re.search(r'name="stamp" value="([^"]+)"', got.text)
    assert stamp
    door.now += timedelta(seconds=5)
    body = urlencode({"email": "bob@example.org", "stamp": stamp[1]}).encode()
    assert "Kijk in je mail" in door.post("/subscribe/po", body).text


def test_the_embedded_form_leads_here_and_is_refused_for_a_closed_feed(door: Door) -> None:
    ended = gazet("subscribers", "form", "po", site=door.world.folder)
    assert ended.code == 0
    assert f'action="{door.url}/subscribe/po"' in ended.out
    assert not re.search("<script|src=|https?://(?!127)", ended.out)
    assert re.search(r'<label for="(\S+)">', ended.out)[1] in ended.out.partition("<input")[2]  # type: ignore[index]
    door.world.write_feed(digest="open = false")
    door.world.reopen()
    assert gazet("subscribers", "form", "po", site=door.world.folder).code == 2
    for path in ("/subscribe", "/subscribe/po", "/subscribe/none"):
        assert door.get(path).status == door.sign_up("bob@example.org", path).status == 404
    assert "/subscribe" not in door.get("/").text


# What people and others type


WRONG = ["", "a@b", '"a b"@example.org', "a@[127.0.0.1]", "-oQ/tmp@x", "-oQ/tmp@example.org", "a%b.org@example.org"]
WRONG += ["a!b@example.org", "a@example.org,b@example.org", "Ann <a@example.org>", "a@localhost", "x" * 400 + "@example.org"]
WRONG += ["a\u202eb@example.org"]


def test_what_is_no_address_is_told_with_what_was_typed_before_anything_is_stored(door: Door) -> None:
    door.world.write_feed("two", top="", url=door.world.web.url("/two.xml"))
    door.world.reopen()
    for wrong in WRONG:
        got = door.sign_up(wrong, "/subscribe", name="<b>Ann", feed=["po", "none"])
        assert got.status == 422, wrong
        assert 'aria-invalid="true" aria-describedby="email-fault" autofocus' in got.text
        assert 'value="&lt;b&gt;Ann"' in got.text
        assert 'value="po" checked' in got.text
        assert got.text.count("checked") == 1
    nothing = door.sign_up("a@example.org", "/subscribe", feed=["none"])
    assert nothing.status == 422
    assert 'role="alert"' in nothing.text
    assert rows(door.world) == []
    for good in ("jörg@example.org", "a@exämple.org", "a+b@example.org", "o'neil@example.org"):
        assert door.sign_up(good, "/subscribe", feed=["po"]).status == 200, good
    door.tick()
    assert len(confirm_mails(door.world)) == 4


def test_a_name_reaches_no_header_no_page_and_no_stranger(door: Door) -> None:
    evil = "Ann\r\nBcc: all@example.org\0\u202e\u2066<script>alert(1)</script>\N{ZERO WIDTH SPACE}"
    door.sign_up("ann@example.org", name=evil)
    door.tick()
    [mail] = confirm_mails(door.world)
    assert "Bcc" not in mail
    assert "Ann" not in mail.as_string(), "a stranger's words are sent to nobody"
    page = door.get(door.path_of(confirm_link(door.world, "ann@example.org"))).text
    assert "<bdi>Ann Bcc: all@example.org&lt;script&gt;alert(1)&lt;/script&gt;</bdi>" in page
    door.confirm(confirm_link(door.world, "ann@example.org"))
    door.world.run("2026-12-01T08:00")
    digest = door.world.mails[-1]
    assert "Bcc" not in digest
    assert [address.addr_spec for address in digest["To"].addresses] == ["ann@example.org"]


def test_a_token_of_another_kind_or_site_or_length_confirms_nothing(door: Door) -> None:
    door.sign_up("bob@example.org")
    door.tick()
    token = confirm_link(door.world, "bob@example.org").rpartition("/")[2]
    identity = door.world.site.links.identity("confirm", token)
    assert identity is not None
    crossed = [door.world.site.links.token(purpose, identity) for purpose in ("unsubscribe", "web", "preferences", FORM)]
    before = dump(door.world)
    crossed += [Links(b"x" * 64).token("confirm", identity), token.split(".")[0], token[:-1], token + "x"]
    for bad in (*crossed, "x" * 5000, "%00"):
        assert door.confirm(f"/confirm/{bad}").status == 404, bad
        assert door.get(f"/confirm/{bad}").status == 404
    assert door.get(f"/unsubscribe/{token}").status == 404
    assert dump(door.world) == before


def test_host_headers_large_and_odd_bodies_do_nothing(door: Door) -> None:
    page = door.get("/subscribe/po", Host="evil.example", X_Forwarded_Host="evil.example")
    assert "evil" not in page.text + repr(page.headers)
    assert door.sign_up("bob@example.org", headers={"Host": "evil.example"}).status == 200
    door.tick()
    assert "evil" not in confirm_mails(door.world)[0].as_string()
    with door.talk() as line:
        line.sendall(b"POST /subscribe/po HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\nemail=")
        assert b" 413 " in line.recv(200)
    for body in (b"\xff\xfe", b"{}", b"email", b"&" * 8000, b"email=a&" * 900, "email=bob@é".encode()):
        assert door.post("/subscribe/po", body).status == 422
    for path in ("/subscribe?next=https://evil.example", "/subscribe//evil.example", "/confirm/"):
        assert "location" not in door.get(path).headers
    assert len(rows(door.world)) == 1


def test_several_feeds_in_one_mail_and_what_was_asked_later_is_not_agreed_to_yet(door: Door) -> None:
    for slug in ("two", "three"):
        door.world.write_feed(slug, url=door.world.web.url(f"/{slug}.xml"))
    door.world.reopen()
    door.sign_up("bob@example.org", "/subscribe", feed=["po", "two"])
    door.tick()
    door.sign_up("bob@example.org", "/subscribe/three")
    door.tick()
    assert len(confirm_mails(door.world)) == 1
    link = confirm_link(door.world, "bob@example.org")
    page = door.get(door.path_of(link)).text
    assert re.findall(r'value="(\w+)"( checked)?>', page)[1:4] == [("po", " checked"), ("two", " checked"), ("three", "")]
    assert door.confirm(link, b"confirm=yes&choice=yes").status == 200
    assert statuses(door.world, "bob@example.org") == {}, "nothing was ticked"
    door.confirm(link, b"confirm=yes&choice=yes&feed=po&feed=three&feed=none")
    assert set(statuses(door.world, "bob@example.org")) == {"po", "three"}


# Welcome, without confirmation, and the relay


def test_a_welcome_mail_shows_the_latest_items_and_the_first_digest_goes_on_from_there(door: Door) -> None:
    door.world.write_feed(digest='welcome = true\ncadence = "daily"')
    door.world.reopen()
    door.joined("bob@example.org")
    assert all("Welkom" not in str(mail["Subject"]) for mail in door.world.mails)
    door.now += timedelta(minutes=1)
    door.tick()
    [welcome] = [mail for mail in door.world.mails if mail["Subject"] == "Welkom bij “Samen Opleiden: nieuws”"]
    assert "\n- Eerste\n  http" in text_of(welcome).replace("\r\n", "\n")
    assert "/unsubscribe/" in text_of(welcome)
    assert welcome["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    door.world.run("2026-11-25T08:00")
    assert [mail for mail in door.world.mails if "List-Id" in mail] == [], "nothing is new"
    door.world.news("Tweede", "2026-11-25T10:00")
    door.world.run("2026-11-26T08:00")
    assert [door.world.titles(mail) for mail in door.world.mails if "List-Id" in mail] == [["Tweede"]]


def test_what_a_welcome_that_was_refused_would_have_shown_comes_in_the_first_digest(tmp_path: Any, web: WebServer) -> None:
    with SmtpServer() as server:
        relay = RELAY.format(host="127.0.0.1", port=server.port, tls="none", connections=1, more="")
        world = World(tmp_path / "site", web, relay=relay, digest='welcome = true\ncadence = "daily"')
        with Door(world) as door:
            world.news("Eerste", "2026-11-20T09:00")
            world.run("2026-11-24T08:00")
            door.sign_up("bob@example.org")
            door.tick()
            mail = email.message_from_bytes(server.messages[-1].data, policy=email.policy.default)
            link = re.search(r"http\S+/confirm/\S+", text_of(mail))  # type: ignore[arg-type]
            assert link
            assert "Je bent aangemeld" in door.confirm(link[0]).text
            server.refuse("bob@example.org", 550, "5.7.1", "not today")
            door.tick()
            with world.site.store.read() as tx:
                outcome = dict(tx.execute(select(NoticeRow.kind, NoticeRow.status)).all())  # type: ignore[arg-type]
                identity = subscribers.statuses(tx, "bob@example.org")["po"][0]
                assert outcome["welcome"] == DeliveryStatus.FAILED
                assert subscribers.settled(tx, identity) == 0
        world.close()


def test_who_got_no_mail_because_the_relay_has_a_rule_against_it_can_ask_again_at_once(tmp_path: Any, web: WebServer) -> None:
    with SmtpServer() as server:
        relay = RELAY.format(host="127.0.0.1", port=server.port, tls="none", connections=1, more="")
        world = World(tmp_path / "site", web, relay=relay)
        with Door(world) as door:
            world.news("Eerste", "2026-11-20T09:00")
            server.refuse("bob@example.org", 550, "5.7.1", "no such sender here", times=1)
            door.sign_up("bob@example.org")
            door.tick()
            assert server.messages == []
            door.now += timedelta(minutes=5)
            door.sign_up("bob@example.org")
            door.tick()
            assert len(server.messages) == 1
        world.close()


def test_without_confirmation_people_begin_at_once_but_nobody_who_left_is_brought_back(door: Door) -> None:
    settings(door.world, "confirm = false")
    door.world.subscribe("left@example.org", status="unsubscribed")
    assert "op de knop achter de link" not in door.sign_up("new@example.org").text
    door.sign_up("left@example.org")
    door.tick()
    assert statuses(door.world, "new@example.org") == {"po": SubscriptionStatus.ACTIVE}
    assert statuses(door.world, "left@example.org") == {"po": SubscriptionStatus.UNSUBSCRIBED}
    assert [str(mail["To"]) for mail in confirm_mails(door.world)] == ["left@example.org"]
    assert [str(mail["To"]) for mail in door.world.mails if "Welkom" in str(mail["Subject"])] == ["new@example.org"]


def test_mails_to_strangers_wait_until_the_relay_may_write_to_subscribers(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    relay = '[[relay]]\nname = "provider"\nhost = "127.0.0.1"\nport = 587\ntls = "none"\ntimeout = "1s"\n'
    toml = door.world.folder / "gazet.toml"
    toml.write_text(toml.read_text() + relay)
    door.world.reopen()
    door.sign_up("bob@example.org")
    assert jobs.answer(door.world.site, door.now) == 1
    from pipeline.jobs import notices

    assert not notices.waiting(door.world.site, "provider", door.now), "no test mail was accepted"
    monkeypatch.setattr("pipeline.jobs.trust.missing", lambda *_, **__: None)
    assert notices.waiting(door.world.site, "provider", door.now)
    toml.write_text(re.sub(r'(?m)^url = "http://127.*"$', 'url = "https://news.example.org"', toml.read_text()))
    door.world.reopen()
    with door.world.site.store.write() as tx:
        signups.add(tx, new_signup(door, "ann@example.org", "", jobs.Wish("", "", ("po",), "", (), "", "", "", "", "")))
    assert jobs.answer(door.world.site, door.now) == 0, "its links would lead to an example"


def test_status_doctor_and_check_know_of_sign_ups(door: Door) -> None:
    door.sign_up("bob@example.org")
    door.tick()
    door.sign_up("ann@example.org")
    assert "sign-ups 1 waiting to be confirmed, 1 not answered yet" in gazet("status", site=door.world.folder).out
    assert gazet("status", "--json", site=door.world.folder).json["signups"] == {"asked": 1, "told": 1}
    settings(door.world, 'expire = "5m"\nper_network = 0\nconfrim = true')
    said = gazet("check", site=door.world.folder).err
    for mistake in ("subscribe.expire: is less than 1h", "subscribe.per_network", 'did you mean "confirm"?'):
        assert mistake in said


def test_a_template_that_fails_is_said_and_stops_no_other_mail(door: Door) -> None:
    (door.world.folder / "templates").mkdir()
    (door.world.folder / "templates/confirm.txt.j2").write_text("{{ nothing.there }}")
    (door.world.folder / "templates/subscribe.html.j2").write_text("{{ nothing.there }}")
    door.world.reopen()
    assert "<form" in door.get("/subscribe/po").text, "the built-in page stands in"
    door.sign_up("bob@example.org")
    report = door.world.run(door.now)
    assert any("confirm.txt.j2" in problem for problem in report.problems)
    (door.world.folder / "templates/confirm.txt.j2").unlink()
    door.world.reopen()
    door.now += timedelta(minutes=1)
    door.tick()
    assert len(confirm_mails(door.world)) == 1, "it was kept"
