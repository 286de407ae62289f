"""A sitemap names no titles: nothing is shown or mailed before an article told what it is called, nothing is lost or doubled."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from pipeline.jobs import operate
from pipeline.jobs.collect_source import collect_source
from pipeline.store import items, runs, sources
from tests.integration.command import gazet
from tests.newsroom import RSS, XML, Newsroom, Story
from tests.servers.web import WebServer
from tests.world import World, moment

AT = "2026-11-24T08:00"
NEWEST = datetime(2026, 11, 24, 6, tzinfo=UTC)


def at(hours: float) -> datetime:
    return moment(AT) + timedelta(hours=hours)


def shown(world: World, file: str = "po") -> list[str]:
    document = json.loads((world.folder / f"var/public/feeds/{file}.json").read_text(encoding="utf-8"))
    return [item["title"] for item in document["items"]]


def mailed(world: World) -> list[str]:
    """Every line of every mail that may be a title, as often as it was mailed."""
    bodies = [mail.get_body(("plain",)) for mail in world.mails]
    return [line for body in bodies if body is not None for line in body.get_content().splitlines()]


def serve(world: World, stories: list[Story], room: Newsroom) -> None:
    world.web.serve("/sitemap.xml", room.sitemap(stories=stories), content_type=XML)


@pytest.fixture
def room(web: WebServer) -> Newsroom:
    """Twenty stories, an hour apart."""
    made = Newsroom(web, 20, newest=NEWEST)
    made.stories = [Story(one.path, one.title, one.teaser, NEWEST - timedelta(hours=n)) for n, one in enumerate(made.stories)]
    made.serve_articles()
    return made


@pytest.fixture
def mapped(world: World, room: Newsroom) -> World:
    """A world that has read a sitemap of the three oldest stories, with a reader at once."""
    world.write_feed(
        url=world.web.url("/sitemap.xml"), every="1h", source='kind = "sitemap"\nguard = false', digest="first_items = 3"
    )
    serve(world, room.stories[17:], room)
    world.run(at(0))
    world.subscribe("ann@example.org", cadence="instant", at="2026-11-24T08:30")
    world.run(at(0.6))
    return world


def test_of_a_burst_each_title_is_mailed_once_and_no_address_stands_for_one(mapped: World, room: Newsroom) -> None:
    before = mailed(mapped)
    serve(mapped, room.stories, room)
    mapped.run(at(1))
    assert len(shown(mapped)) == 13
    mapped.run(at(2))
    mapped.run(at(3))
    assert sorted(shown(mapped)) == room.titles
    fresh = mailed(mapped)[len(before) :]
    assert [fresh.count(one.title) for one in room.stories] == [1] * 17 + [0] * 3
    assert not any("bericht-" in title.lower() for title in shown(mapped))


def test_of_a_first_collect_what_waits_is_never_mailed_and_does_not_push_newer_items_out(world: World, room: Newsroom) -> None:
    feed = world.folder / "feeds/po.toml"
    world.write_feed(url=world.web.url("/sitemap.xml"), every="1h", source='kind = "sitemap"', digest="first_items = 3")
    feed.write_text(feed.read_text(encoding="utf-8").replace("[digest]", "[publish]\nitems = 12\n[digest]"), encoding="utf-8")
    serve(world, room.stories, room)
    world.run(at(0))
    assert shown(world) == [one.title for one in room.stories[:10]]
    world.subscribe("ann@example.org", cadence="instant", at="2026-11-24T08:01")
    for hour in (1, 2):
        world.run(at(hour))
    assert shown(world) == [one.title for one in room.stories[:12]]
    lines = mailed(world)
    assert [lines.count(one.title) for one in room.stories] == [1] * 3 + [0] * 17


def test_an_article_that_tells_nothing_leaves_a_title_made_from_its_address_and_says_so(mapped: World, room: Newsroom) -> None:
    room.renamed(16, path="/nieuws/een-nieuwe%20school-voor-100-kinderen.html")
    login = "<html><title>Inloggen</title><main><h1>Inloggen</h1><form><input type=password></form>"
    mapped.web.serve("/nieuws/een-nieuwe%20school-voor-100-kinderen.html", f"{login}<p>Log in om dit te lezen.</p></main></html>")
    serve(mapped, room.stories[16:], room)
    with mapped.site.store.read() as tx:
        [source] = sources.sources(tx)
    done = collect_source(mapped.site, source, at(1))
    title = "Een nieuwe school voor 100 kinderen"
    assert f'"{title}" is made from the address of its article, which tells no title' in done.remarks
    for hour in (2, 3):
        serve(mapped, room.stories[16 if hour == 2 else 17 :], room)
        mapped.run(at(hour))
    assert title in shown(mapped)
    assert mailed(mapped).count(title) == 1


def test_an_article_that_is_away_keeps_its_item_back_until_it_is_given_up(mapped: World, room: Newsroom) -> None:
    mapped.web.serve(room.stories[16].path, status=503)
    serve(mapped, room.stories[16:], room)
    seen = []
    for hour in (1, 2, 3, 4, 5):
        mapped.run(at(hour))
        seen.append([title for title in shown(mapped) if title not in room.titles])
    assert seen == [[], [], [], ["Bericht 4"], ["Bericht 4"]]
    assert mailed(mapped).count("Bericht 4") == 1


def test_a_flood_that_is_released_by_hand_waits_for_its_titles_too(mapped: World, room: Newsroom) -> None:
    mapped.write_feed(url=mapped.web.url("/sitemap.xml"), every="1h", source='kind = "sitemap"', digest="first_items = 3")
    mapped.reopen()
    mapped.run(at(1))
    serve(mapped, room.stories, room)
    with mapped.site.store.read() as tx:
        [source] = sources.sources(tx)
    assert "are held" in collect_source(mapped.site, source, at(2)).problem
    done = operate.release_held(mapped.site, source.url, at(2))
    assert (done.items, done.waiting) == (17, 7)
    listed = gazet("items", "list", site=mapped.folder).out
    assert listed.count("(shown once its article told its title)") == 7
    for hour in (3, 4):
        mapped.run(at(hour))
    assert sorted(shown(mapped)) == room.titles
    assert [mailed(mapped).count(one.title) for one in room.stories[:17]] == [1] * 17


def test_what_a_person_dropped_while_it_waited_stays_away(mapped: World, room: Newsroom) -> None:
    mapped.web.serve(room.stories[16].path, status=503)
    serve(mapped, room.stories[16:], room)
    mapped.run(at(1))
    with mapped.site.store.read() as tx:
        [waiting] = [one for one in items.listing(tx) if not one.title]
    operate.discard(mapped.site, waiting.id, at(1))
    mapped.web.serve(room.stories[16].path, room.article(room.stories[16]))
    for hour in (2, 3):
        mapped.run(at(hour))
    assert sorted(shown(mapped)) == sorted(one.title for one in room.stories[17:])


@pytest.mark.parametrize("how", ["gone", "a feed"])
def test_what_waits_for_a_title_that_nobody_will_read_any_more_is_not_lost(mapped: World, room: Newsroom, how: str) -> None:
    mapped.web.serve(room.stories[16].path, status=503)
    serve(mapped, room.stories[16:], room)
    mapped.run(at(1))
    assert len(shown(mapped)) == 3
    if how == "gone":
        mapped.web.serve("/sitemap.xml", status=410)
    else:
        mapped.write_feed(url=mapped.web.url("/sitemap.xml"), every="1h", source="guard = false")
        mapped.reopen()
        mapped.web.serve("/sitemap.xml", room.rss(stories=room.stories[17:]), content_type=RSS)
    mapped.run(at(2))
    assert "Bericht 4" in shown(mapped)
    assert mailed(mapped).count("Bericht 4") == 1


def test_an_entry_of_another_source_gives_a_waiting_item_its_title_and_it_is_mailed_once(mapped: World, room: Newsroom) -> None:
    story = room.stories[16]
    mapped.web.serve(story.path, status=503)
    feed = mapped.folder / "feeds/po.toml"
    more = f'[[source]]\nurl = "{mapped.web.url("/feed.xml")}"\nevery = "1h"\n[digest]'
    feed.write_text(feed.read_text(encoding="utf-8").replace("[digest]", more), encoding="utf-8")
    mapped.reopen()
    mapped.web.serve("/feed.xml", room.rss(stories=room.stories[18:]), content_type=RSS)
    mapped.run(at(1))
    serve(mapped, room.stories[16:], room)
    mapped.run(at(2))
    mapped.web.serve("/feed.xml", room.rss(stories=[story]), content_type=RSS)
    mapped.run(at(3))
    assert sorted(shown(mapped)) == sorted(one.title for one in room.stories[16:])
    mapped.web.serve(story.path, room.article(story))
    for hour in (4, 5, 6):
        mapped.run(at(hour))
    assert mailed(mapped).count(story.title) == 1
    assert len(shown(mapped)) == 4
    with mapped.site.store.read() as tx:
        assert runs.problems(tx) == []


def test_a_sitemap_that_moves_to_https_shows_no_item_anew(mapped: World, room: Newsroom) -> None:
    body = room.sitemap(stories=room.stories[17:]).replace("http://127.0.0.1", "https://127.0.0.1")
    mapped.web.serve("/sitemap.xml", body, content_type=XML)
    with mapped.site.store.read() as tx:
        [source] = sources.sources(tx)
    done = collect_source(mapped.site, source, at(1))
    assert (done.new, done.problem) == (0, "")


@pytest.mark.parametrize("kind", ["sitemap", "page"])
def test_what_waits_when_the_address_of_its_source_is_edited_gets_its_title_and_is_mailed_once(
    mapped: World, room: Newsroom, kind: str
) -> None:
    story = room.stories[16]
    mapped.web.serve(story.path, status=503)
    serve(mapped, room.stories[16:], room)
    mapped.run(at(1))
    assert len(shown(mapped)) == 3
    mapped.web.serve(story.path, room.article(story))
    mapped.web.serve("/kaart.xml", room.sitemap(stories=room.stories[16:]), content_type=XML)
    mapped.web.serve("/nieuws/", room.page(stories=room.stories[16:]))
    path = "/kaart.xml" if kind == "sitemap" else "/nieuws/"
    mapped.write_feed(url=mapped.web.url(path), every="1h", source=f'kind = "{kind}"\nguard = false')
    mapped.reopen()
    for hour in (2, 4):
        mapped.run(at(hour))
    assert sorted(shown(mapped)) == sorted(one.title for one in room.stories[16:])
    assert mailed(mapped).count(story.title) == 1
