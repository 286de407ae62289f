"""Choosing and leaving by the link in every digest: a look changes nothing, a save changes all or nothing (promises 4, 8, 9)."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from urllib.parse import urlencode

import pytest
from sqlalchemy import update

from pipeline.compose.links import MY_DATA, PREFERENCES, UNSUBSCRIBE, Links
from pipeline.jobs.people import export_row
from pipeline.models import Cadence, SubscriptionStatus
from pipeline.store import subscribers
from pipeline.store.schema import SubscriptionRow, new_id
from pipeline.store.subscribers import SubscriptionRecord
from tests.served import NOW, Got, Served, digest_world, dump, links, read_link
from tests.world import World, moment

TOPICS = '[[source.topic]]\nname = "Onderzoek"\n[[source.topic]]\nname = "Agenda van de regio"\n'
KEPT = {"cadence.po": "daily", "time.po": "08:00", "zone.po": "Europe/Amsterdam", "format.po": "html", "snooze.po": "none"}


def body(**changes: str) -> bytes:
    """A whole form as the page sends it, with changes; ``__`` stands for the dot."""
    return urlencode({**KEPT, **{name.replace("__", "."): value for name, value in changes.items()}, "do": "save"}).encode()


def record(world: World, feed: str = "po", address: str = "ann@example.org") -> SubscriptionRecord:
    with world.site.store.read() as tx:
        return next(subscribers.records(tx, feed=feed, address=address))


def preferences_link(world: World, address: str = "ann@example.org") -> str:
    return next(url for url in links(world, address) if "/preferences/" in url)


def said(got: Got) -> str:
    found = re.search(r'role="status">\s*(.*?)\s*</p>', got.text, re.DOTALL)
    return found[1] if found else ""


@pytest.fixture
def served(world: World):
    world.write_feed("po", source=TOPICS)
    world.write_feed("vo", source=TOPICS)
    with Served(world) as server:
        world.subscribe("ann@example.org", feed="vo", name="Ann Jansen", cadence="monthly")
        digest_world(world)
        yield server


@pytest.fixture
def path(served: Served) -> str:
    return served.path_of(preferences_link(served.world))


def test_the_page_shows_every_subscription_of_a_person_and_not_their_address(served: Served, path: str) -> None:
    before = dump(served.world)
    for method in ("GET", "HEAD", "GET"):
        got = served.send(method, path)
        assert got.status == 200
        assert got.headers["cache-control"] == "no-store"
        assert "noindex" in got.headers["x-robots-tag"]
        assert not {"set-cookie", "location"} & set(got.headers)
    assert dump(served.world) == before
    assert {"cadence.po", "cadence.vo", "time.po", "zone.po", "language.po", "topics.po", "snooze.po"} <= set(
        re.findall(r'name="([a-z.]+)"', got.text)
    )
    assert "a…@example.org" in got.text
    assert "ann@" not in got.text
    assert "Jansen" not in got.text
    assert "<script" not in got.text
    assert "Agenda van de regio" in got.text


def test_a_save_takes_everything_at_once_and_is_said(served: Served, path: str) -> None:
    wish = {"cadence.po": "weekly", "weekday.po": "friday", "time.po": "07:30", "zone.po": "america/new_york", "language.po": "en"}
    wish |= {"format.po": "text", "topics.po": "onderzoek", "snooze.po": "none", "cadence.vo": "instant", "format.vo": "html"}
    wish |= {"snooze.vo": "2", "do": "save"}
    before = record(served.world)
    got = served.post(path, urlencode(wish).encode())
    assert got.status == 200
    assert said(got) in ("Opgeslagen.", "Saved.")
    po, vo = record(served.world), record(served.world, "vo")
    rhythm = po.rhythm
    assert (rhythm.cadence, rhythm.weekday, rhythm.time, rhythm.zone) == ("weekly", 4, "07:30", "America/New_York")
    assert (po.choice.topics, po.choice.language, po.choice.format) == (("onderzoek",), "en", "text")
    assert po.settled_seq == before.settled_seq
    assert (vo.rhythm.cadence, vo.status) == (Cadence.INSTANT, SubscriptionStatus.SNOOZED)
    assert vo.snoozed_until == moment("2026-12-08T00:00")


WRONG = [
    ({"time.po": "7"}, "time"),
    ({"zone.po": "Mars"}, "zone"),
    ({"zone.po": "../../etc/passwd"}, "zone"),
    ({"cadence.po": "hourly"}, "cadence"),
    ({"cadence.po": "weekly", "weekday.po": "8"}, "weekday"),
    ({"cadence.po": "monthly", "day.po": "32"}, "day"),
    ({"language.po": "tlh"}, "language"),
    ({"format.po": "exe"}, "format"),
    ({"topics.po": "weg"}, "topics"),
    ({"snooze.po": "3"}, "snooze"),
    ({"snooze.po": "date", "until.po": ""}, "until"),
    ({"snooze.po": "date", "until.po": "2026-11-24"}, "until"),
    ({"snooze.po": "date", "until.po": "2028-01-01"}, "until"),
    ({"snooze.po": "date", "until.po": "2026-W50-1"}, "until"),
]


def test_what_cannot_be_taken_keeps_what_was_typed_and_saves_nothing(served: Served, path: str) -> None:
    before = dump(served.world)
    for change, field in WRONG:
        wish = {**KEPT, "zone.po": "Europe/Paris", "cadence.vo": "daily", "time.vo": "06:00", "zone.vo": "UTC", "format.vo": "text"}
        wish |= {"snooze.vo": "none", "do": "save", **change}
        got = served.post(path, urlencode(wish).encode())
        assert got.status == 422, change
        assert 'role="alert"' in got.text
        assert f'id="fault.{field}.po"' in got.text, change
        assert f'href="#{field}.po"' in got.text
        assert said(got) == ""
        assert 'value="06:00"' in got.text, "what was right is kept too"
        if field not in ("zone", "cadence", "weekday", "topics", "language", "format", "snooze"):
            assert f'value="{change[f"{field}.po"]}"' in got.text
    assert dump(served.world) == before
    hostile = served.post(path, body(zone__po='"><script>x</script>'))
    assert "<script" not in hostile.text


def test_any_bytes_at_all_are_a_form_that_changes_nothing(served: Served, path: str) -> None:
    before = dump(served.world)
    for raw in (b"", b"\xff\x00{", b"do=save", b"do=steal po", b"&=&=&" * 100, b"do=leave nope", b"do=back po", b"cadence.x=daily"):
        assert served.post(path, raw).status == 200
    assert served.post(path, b"x" * 140_000).status == 413
    many = b"&".join(b"topics.po=%d" % number for number in range(5000))
    assert served.post(path, many).status == 200, "too many fields are no form"
    assert dump(served.world) == before


def test_a_token_for_something_else_or_not_whole_opens_nothing(served: Served, path: str) -> None:
    token = path.rpartition("/")[2]
    who = record(served.world).id
    made = served.world.site.links
    before = dump(served.world)
    bad = [token[:-1], token + "x", token[::-1], "x" * 5000, "", ".", "%00", Links(b"y" * 64).token(PREFERENCES, who)]
    bad += [made.token(UNSUBSCRIBE, who), made.fresh_token(MY_DATA, who, NOW), read_link(served.world).rpartition("/")[2]]
    for one in bad:
        for got in (served.get(f"/preferences/{one}"), served.post(f"/preferences/{one}", body())):
            assert got.status == 404, one
    fresh = made.fresh_token(MY_DATA, who, NOW)
    assert served.get(f"/unsubscribe/{fresh}").status == 404
    for one in [*bad[:-2], token, made.token(MY_DATA, who), made.fresh_token(MY_DATA, who, NOW - timedelta(hours=24))]:
        for ending in ("", "/json", "/erase"):
            assert served.get(f"/my-data/{one}{ending}").status == 404, one
        assert served.post(f"/my-data/{one}/erase", b"erase=yes").status == 404, one
    unknown = f"/preferences/{made.token(PREFERENCES, new_id())}"
    assert (served.get(unknown).status, served.post(unknown, body()).status) == (404, 404)
    assert dump(served.world) == before
    assert served.said == []


def test_leaving_one_or_all_is_one_click_and_so_is_the_way_back(served: Served, path: str) -> None:
    world = served.world
    got = served.post(path, b"do=leave+po")
    assert "Je krijgt geen mail meer" in said(got)
    assert "weer krijgen" in got.text
    assert [record(world).status, record(world, "vo").status] == [SubscriptionStatus.UNSUBSCRIBED, SubscriptionStatus.ACTIVE]
    cursor = record(world).settled_seq
    world.news("Terwijl ze weg was", "2026-11-24T10:00")
    assert "net als eerst" in said(served.post(path, b"do=back+po"))
    found = record(world)
    assert (found.status, found.settled_seq) == (SubscriptionStatus.ACTIVE, cursor)
    assert found.consent == "came back by a button on the preferences page"
    world.run("2026-11-25T08:00")
    assert ["Terwijl ze weg was"] in world.got("ann@example.org"), "as if she had not left"
    served.post(path, b"do=leave-all")
    assert {record(world, feed).status for feed in ("po", "vo")} == {SubscriptionStatus.UNSUBSCRIBED}
    assert sum("preferences page" in row and "'left'" in row for row in dump(world)["consents"]) == 3
    served.now = NOW + timedelta(days=2)
    before = dump(world)
    page = served.post(path, b"do=back+po")
    assert 'value="back' not in page.text, "whoever got a forwarded mail must not subscribe others"
    assert said(page) == ""
    assert dump(world) == before


def test_who_bounced_or_whose_feed_is_gone_sees_it(served: Served, path: str) -> None:
    world = served.world
    world.subscribe("ann@example.org", feed="vo", status="bounced")
    (world.folder / "feeds/po.toml").unlink()
    world.reopen()
    got = served.get(path)
    assert got.status == 200
    assert "kwamen niet aan" in got.text
    assert "rust" in got.text
    assert "Je krijgt geen mail meer" in said(served.post(path, b"do=leave+po"))


def test_while_snoozed_nothing_is_sent_and_the_first_digest_afterwards_holds_what_came(served: Served, path: str) -> None:
    world = served.world
    served.post(path, b"do=leave+vo")
    served.post(path, body(snooze__po="date", until__po="2026-12-02"))
    assert "2 december 2026" in served.get(path).text
    assert record(world).snoozed_until == moment("2026-12-02T00:00")
    for day in range(25, 31):
        world.news(f"Nieuws van {day}", f"2026-11-{day}T07:00")
        world.run(f"2026-11-{day}T08:00")
    world.run("2026-12-01T08:00")
    assert len(world.got("ann@example.org")) == 1
    text = export_row(record(world))
    assert (text["status"], text["snoozed_until"]) == ("snoozed", "2026-12-01T23:00:00+00:00")
    world.run("2026-12-02T08:00")
    assert world.got("ann@example.org")[1] == [f"Nieuws van {day}" for day in range(30, 24, -1)]
    world.run("2026-12-03T08:00")
    assert len(world.got("ann@example.org")) == 2
    assert (record(world).status, record(world).snoozed_until) == (SubscriptionStatus.ACTIVE, None)


@pytest.mark.parametrize("claimed", [False, True])
def test_who_pauses_while_an_edition_waits_gets_its_items_afterwards(served: Served, path: str, claimed: bool) -> None:
    world = served.world
    served.post(path, b"do=leave+vo")
    world.news("Wacht", "2026-11-25T07:00")
    served.now = moment("2026-11-25T08:00")
    world.engine(served.now)._tick()  # the edition is open, nothing is sent yet
    if claimed:  # the pause comes between opening and sending, as from another process
        with world.site.store.write() as tx:
            values = {"status": SubscriptionStatus.SNOOZED, "snoozed_until": moment("2026-11-27T00:00")}
            tx.execute(update(SubscriptionRow).where(SubscriptionRow.feed == "po").values(values))
    else:
        served.post(path, body(snooze__po="date", until__po="2026-11-27"))
    world.run("2026-11-25T08:01")
    assert world.sums("po/2026-11-25T08:00") == {"cancelled": 1}
    world.run("2026-11-27T08:00")
    assert world.got("ann@example.org")[1:] == [["Wacht"]]


def test_a_page_that_is_older_than_a_feed_s_new_name_still_does_what_it_says(served: Served, path: str) -> None:
    file = served.world.folder / "feeds/po.toml"
    file.with_name("nieuw.toml").write_text('aliases = ["po"]\n' + file.read_text())
    file.unlink()
    served.world.reopen()
    served.world.run(NOW)
    assert said(served.post(path, body(cadence__po="instant"))) == "Opgeslagen."
    assert record(served.world, "nieuw").rhythm.cadence is Cadence.INSTANT
    assert "Je krijgt geen mail meer" in said(served.post(path, b"do=leave+po"))
    assert record(served.world, "nieuw").status is SubscriptionStatus.UNSUBSCRIBED


def test_a_pause_can_be_ended_and_saving_the_page_again_changes_nothing(served: Served, path: str) -> None:
    served.post(path, body(snooze__po="4"))
    assert record(served.world).snoozed_until == moment("2026-12-22T00:00")
    before = dump(served.world)
    served.now = NOW + timedelta(days=3)
    served.post(path, body(snooze__po="date", until__po="2026-12-22"))
    assert dump(served.world) == before
    served.post(path, body(until__po="2026-12-22"))
    assert (record(served.world).status, record(served.world).snoozed_until) == (SubscriptionStatus.ACTIVE, None)
    assert "Tot een datum" in served.post(path, body(until__po="2026-12-23")).text
    assert record(served.world).snoozed_until == moment("2026-12-23T00:00"), "a date that was written is meant"


def test_the_link_stands_in_both_parts_of_a_digest_and_never_on_the_web(served: Served) -> None:
    [mail] = [mail for mail in served.world.mails if "ann@" in str(mail["To"])]
    link = preferences_link(served.world)
    for kind in ("plain", "html"):
        part = mail.get_body((kind,))
        assert part is not None
        assert link in part.get_content()
    page = served.get(served.path_of(read_link(served.world)))
    assert page.status == 200
    assert "/preferences/" not in page.text
    assert "/unsubscribe/" not in page.text


def mailed_link(world: World) -> list[str]:
    found = [mail for mail in world.mails if mail["Auto-Submitted"]]
    return [re.findall(r"http\S+/my-data/\S+", mail.get_content())[0] for mail in found]


def test_my_data_needs_a_link_mailed_to_the_address_at_most_one_an_hour_and_for_a_day(served: Served, path: str) -> None:
    world = served.world
    with world.site.store.write() as tx:
        subscribers.add_consent(tx, record(world).id, "joined", json.dumps({"page": "https://x/subscribe"}), NOW)
    for minutes in (0, 20, 59):
        served.now = NOW + timedelta(minutes=minutes)
        assert "hooguit één per uur" in said(served.post(path, b"do=my-data"))
    world.run(NOW)
    [link] = mailed_link(world)
    mine = served.path_of(link)
    before = dump(world)
    page = served.get(mine)
    assert page.status == 200
    for text in ("ann@example.org", "Ann Jansen", "Samen Opleiden: nieuws", "imported as active", "po/2026-11-24T08:00", "my-data"):
        assert text in page.text, text
    assert "no-store" in page.headers["cache-control"]
    got = served.get(mine + "/json")
    assert got.headers["content-disposition"] == 'attachment; filename="my-data.json"'
    told = json.loads(got.body)
    assert (told["address"], told["name"]) == ("ann@example.org", "Ann Jansen")
    assert [one["feed"] for one in told["subscriptions"]] == ["po", "vo"]
    assert told["editions"][0]["status"] == "accepted"
    assert told["consents"][-1]["evidence"] == {"page": "https://x/subscribe"}
    assert ", page: https://x/subscribe</li>" in page.text, "nobody reads JSON"
    assert "<form" in served.get(mine + "/erase").text
    assert served.post(mine, b"erase=yes").status == 200, "only behind the question"
    assert served.post(mine + "/erase", b"").status == 200
    assert dump(world) == before
    served.now = NOW + timedelta(hours=25)
    assert served.get(mine).status == 404
    served.post(path, b"do=my-data")
    served.world.run(served.now)
    assert len(mailed_link(world)) == 2
