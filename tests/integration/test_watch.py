"""Sources that go wrong in a way a machine takes for right: a person hears of it, old items stay, nothing empty is published."""

from __future__ import annotations

import json

import pytest

from pipeline.store import runs
from tests.integration.command import gazet
from tests.world import World, moment


def titles(world: World) -> list[str]:
    document = json.loads((world.folder / "var/public/feeds/po.json").read_text(encoding="utf-8"))
    return sorted(item["title"] for item in document["items"])


def serve(world: World, entries: list[tuple[str, str, str]], path: str = "/feed.xml", made: str = "") -> None:
    """Title, guid and date of each entry; ``made`` is what differs each time the document is made."""
    from email.utils import format_datetime

    items = "".join(
        f"<item><title>{title}</title><link>{world.web.url(f'/{guid}')}</link><guid isPermaLink='false'>{guid}</guid>"
        + (f"<pubDate>{format_datetime(moment(at))}</pubDate>" if at else "")
        + "<description>Een bericht.</description></item>"
        for title, guid, at in entries
    )
    body = f'<rss version="2.0"><channel><title>Bron</title><link>{world.web.url("/")}</link>{items}</channel></rss><!--{made}-->'
    world.web.serve(path, body.encode(), content_type="application/rss+xml")


def archive(count: int, mark: str = "a", at: str = "2026-10-01T09:00") -> list[tuple[str, str, str]]:
    return [(f"Bericht {number}", f"{mark}{number}", at) for number in range(count)]


def settled(world: World, entries: list[tuple[str, str, str]]) -> World:
    """A source that has shown these for a while, with a reader who has had what there is."""
    serve(world, entries)
    world.run("2026-11-20T09:00")
    world.subscribe("ann@example.org", cadence="daily", at="2026-11-20T10:00")
    return world


def problems(world: World) -> list[str]:
    with world.site.store.read() as tx:
        return [problem.what for problem in runs.problems(tx)]


def needs(world: World, at: str) -> list[str]:
    return [problem.what for problem in world.engine(at).fresh_problems()]


def test_an_archive_that_turns_new_is_held_and_said_once_until_a_person_decides(world: World) -> None:
    settled(world, archive(10))
    serve(world, [(f"Oud bericht {number}", f"b{number}", "2026-09-01T09:00") for number in range(12)])
    world.run("2026-11-21T09:00")
    [line] = needs(world, "2026-11-21T09:00")
    assert "12 of 12 items are new at once, 12 of them older than the last reading or undated; they are held" in line
    assert titles(world) == sorted(title for title, _, _ in archive(10)), "what was published stays"
    assert world.mails == []
    world.run("2026-11-21T10:00")
    assert needs(world, "2026-11-21T10:00") == [], "said once"
    released = gazet("items", "release", "--source", world.web.url("/feed.xml"), "--no-mail", site=world.folder)
    assert released.out == f"released 12 items of {world.web.url('/feed.xml')} in po, published only\n"
    world.run("2026-11-22T08:00")
    assert len(titles(world)) == 22
    assert world.mails == []
    assert problems(world) == []
    assert "attention" not in gazet("status", site=world.folder).out, "nothing is held any more"


def test_a_discarded_flood_never_comes_back_and_news_after_it_is_news(world: World) -> None:
    settled(world, archive(10))
    flood = [(f"Oud bericht {number}", f"b{number}", "2026-09-01T09:00") for number in range(12)]
    serve(world, flood)
    world.run("2026-11-21T09:00")
    assert gazet("items", "discard", "--source", world.web.url("/feed.xml"), site=world.folder).code == 0
    serve(world, [("Vers nieuws", "c1", "2026-11-22T07:00"), *flood])
    world.run("2026-11-22T08:00")
    assert "Vers nieuws" in titles(world)
    assert len(titles(world)) == 11
    [mail] = world.mails
    assert "Vers nieuws" in mail["Subject"]


def test_guard_false_takes_whatever_comes(world: World) -> None:
    world.write_feed(source="guard = false")
    settled(world, archive(10))
    serve(world, archive(12, "b", "2026-11-01T09:00"))
    world.run("2026-11-21T09:00")
    assert needs(world, "2026-11-21T09:00") == []
    assert len(titles(world)) == 22


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ([], "it shows no items; it showed 10 on 20 November 2026"),
        ([("Lees meer", f"a{number}", "2026-10-01T09:00") for number in range(10)], "its 10 items have only 1 different titles"),
        ([(title, guid, "") for title, guid, _ in archive(10)], "none of its 10 items has a date any more"),
    ],
)
def test_what_reads_oddly_is_named_and_old_items_stay(world: World, entries: list[tuple[str, str, str]], said: str) -> None:
    settled(world, archive(10))
    before = titles(world)
    serve(world, entries)
    world.run("2026-11-21T09:00")
    [line] = needs(world, "2026-11-21T09:00")
    assert said in line
    assert len(titles(world)) == len(before)
    serve(world, entries, made="at ten")
    world.run("2026-11-21T10:30")
    assert [said in what for what in problems(world)] == [True], "another document that is as odd mends nothing"
    serve(world, archive(10))
    world.run("2026-11-21T12:00")
    assert problems(world) == [], "it is as before again"


def test_a_page_that_turns_into_a_login_is_no_news(world: World) -> None:
    settled(world, archive(10))
    serve(world, [("Log in", "x", "")], "/login")
    world.web.redirect("/feed.xml", world.web.url("/login"))
    world.run("2026-11-21T09:00")
    [line] = needs(world, "2026-11-21T09:00")
    assert "looks like a login or a cookie wall" in line
    assert len(titles(world)) >= 10


def test_a_source_that_fell_silent_is_named_once_it_is_much_too_long(world: World) -> None:
    shown: list[tuple[str, str, str]] = []
    for week in range(6):
        at = f"2026-0{1 + week // 4}-{1 + 7 * (week % 4):02}T09:00"
        shown.insert(0, (f"Bericht {week}", f"a{week}", at))
        serve(world, shown)
        world.run(at)
    for at in ("2026-03-15T09:00", "2026-04-01T09:00"):
        world.run(at)
        assert needs(world, at) == []
    world.run("2026-05-10T09:00")
    [line] = needs(world, "2026-05-10T09:00")
    assert "though it used to bring something every 7 days" in line


def test_an_article_that_is_not_read_is_said_with_the_reason_and_its_item_keeps_the_teaser(world: World) -> None:
    world.write_feed(source="full_text = true")
    serve(world, [("Bericht achter een wachtwoord", "a1", "2026-11-20T08:00"), ("Bericht dat weg is", "a2", "2026-11-20T07:00")])
    world.web.serve("/a1", "<title>Log in</title><main><h1>Log in</h1><form><input type=password></form></main>")
    world.web.serve("/a2", "gone", status=410)
    said = gazet("collect", "--now", "2026-11-20T09:00", site=world.folder).out
    assert f"\n  the article {world.web.url('/a1')} was not read: " in said
    assert said.endswith("(and 1 more)\n")
    world.run("2026-11-20T10:00")
    assert titles(world) == ["Bericht achter een wachtwoord", "Bericht dat weg is"]


def test_an_article_that_is_given_up_later_is_said_then(world: World) -> None:
    world.write_feed(source="full_text = true")
    serve(world, [("Bericht op een server die hapert", "a1", "2026-11-20T08:00")])
    world.web.serve("/a1", "busy", status=503)
    for at in ("2026-11-20T09:00", "2026-11-20T11:00"):
        gazet("collect", "--now", at, site=world.folder)
    said = gazet("collect", "--now", "2026-11-20T15:00", site=world.folder).out
    assert said.endswith(f"the article {world.web.url('/a1')} was not read: answered 503 (Service Unavailable)\n")
    assert "was not read" not in gazet("collect", "--now", "2026-11-20T20:00", site=world.folder).out
