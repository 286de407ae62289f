"""The article behind the teaser on a whole site: fetched once and politely, published in full, never lost, never a login page."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import feedparser
import pytest

from tests import pictures
from tests.newsroom import RSS, XML, Newsroom, Story
from tests.servers.web import WebServer
from tests.world import World, moment

AT = "2026-11-24T08:00"
TEXT = "dat staat hier uitgelegd in een stuk dat veel langer is"
HEAD = '<meta property="og:image" content="/foto.jpg"><meta name="author" content="Ada Lovelace">'
FILE = '<p><a href="/files/rapport.pdf">Download hier de rapportage</a></p>'


@pytest.fixture
def room(web: WebServer) -> Newsroom:
    return Newsroom(web, 3)


@pytest.fixture
def full(world: World, room: Newsroom) -> World:
    """A world that reads a feed of teasers hourly, with the articles behind them."""
    world.write_feed(every="1h", source="full_text = true")
    world.web.serve("/feed.xml", room.rss(), content_type=RSS)
    room.serve_articles()
    return world


def at(hours: float) -> datetime:
    return moment(AT) + timedelta(hours=hours)


def serve(world: World, room: Newsroom) -> None:
    world.web.serve("/feed.xml", room.rss(), content_type=RSS)


def items(world: World) -> dict[str, dict[str, Any]]:
    """The published items by title."""
    document = json.loads((world.folder / "var/public/feeds/po.json").read_text(encoding="utf-8"))
    return {item["title"]: item for item in document["items"]}


def count_of(world: World) -> int:
    return len(json.loads((world.folder / "var/public/feeds/po.json").read_text(encoding="utf-8"))["items"])


def times(web: WebServer, path: str) -> int:
    return len(web.requested(path))


def text_of(world: World, story: Story) -> str:
    item = items(world)[story.title]
    return str(item.get("content_html") or item.get("content_text") or "")


def test_text_picture_author_and_download_are_published_in_every_format(full: World, room: Newsroom) -> None:
    room.serve_articles(head=HEAD, inside=FILE)
    full.web.serve("/files/rapport.pdf", b"x" * 4321, content_type="application/pdf")
    full.web.serve("/foto.jpg", pictures.photo(640, 360), content_type="image/jpeg")
    full.run(AT)
    story = room.stories[0]
    item = items(full)[story.title]
    assert TEXT in item["content_html"]
    assert item["image"] == full.web.url("/foto.jpg")
    assert [author["name"] for author in item["authors"]] == ["Ada Lovelace"]
    file = {"url": full.web.url("/files/rapport.pdf"), "mime_type": "application/pdf", "size_in_bytes": 4321}
    assert [{name: one[name] for name in file} for one in item["attachments"]] == [file]
    for name in ("po.rss", "po.atom"):
        parsed = feedparser.parse((full.folder / "var/public/feeds" / name).read_bytes())
        entry = next(one for one in parsed.entries if one.title == story.title)
        assert TEXT in entry.content[0].value
        assert entry.author == "Ada Lovelace"
        [linked] = [one for one in entry.enclosures if one.href == file["url"]]
        assert (linked.type, int(linked.length)) == ("application/pdf", 4321)
    page = (full.folder / "var/public/feeds/po.html").read_text(encoding="utf-8")
    assert story.title in page
    assert {one.method for one in full.web.requested("/files/rapport.pdf")} == {"HEAD"}, "nobody asked for the file itself"


def test_an_item_was_changed_when_its_article_says_so_until_its_listing_changes(full: World, room: Newsroom) -> None:
    late = room.stories[1]
    room.serve_articles(head='<meta property="article:modified_time" content="2026-11-24T05:30:00+00:00">')
    full.web.serve(late.path, status=503)
    full.run(AT)
    assert items(full)[room.stories[0].title]["date_modified"] == "2026-11-24T05:30:00+00:00"
    assert datetime.fromisoformat(items(full)[late.title]["date_modified"]) == at(0), "when it was first seen"
    room.serve_articles(head='<meta property="article:modified_time" content="2026-11-24T05:30:00+00:00">')
    room.renamed(0, teaser="Een heel ander begin van dit bericht, maar hetzelfde bericht.")
    serve(full, room)
    full.run(at(2).isoformat())
    assert items(full)[late.title]["date_modified"] == "2026-11-24T05:30:00+00:00"
    assert datetime.fromisoformat(items(full)[room.stories[0].title]["date_modified"]) == at(2)


def test_an_article_is_fetched_once(full: World, room: Newsroom) -> None:
    for hour in range(4):
        if hour == 2:
            room.renamed(0, teaser="Een ander begin van bericht 3, maar hetzelfde bericht.")
            serve(full, room)
        full.run(at(hour))
    assert [times(full.web, story.path) for story in room.stories] == [1, 1, 1]


def test_a_changed_teaser_is_taken_and_the_articles_text_stays(full: World, room: Newsroom) -> None:
    full.run(at(0))
    room.renamed(0, teaser="Een ander begin van bericht 3, maar hetzelfde bericht.")
    serve(full, room)
    full.run(at(1))
    item = items(full)[room.stories[0].title]
    assert item["summary"] == room.stories[0].teaser
    assert TEXT in item["content_html"]


def test_an_article_that_is_away_is_asked_for_again_an_hour_later_and_three_times_at_most(full: World, room: Newsroom) -> None:
    story = room.stories[0]
    full.web.serve(story.path, status=503)
    full.run(at(0))
    assert room.titles == sorted(items(full)), "its teaser is published meanwhile"
    full.write_feed(every="15m", source="full_text = true")
    full.reopen()
    asked = []
    for quarter in range(40):
        full.run(at(quarter / 4))
        asked.append(times(full.web, story.path))
    assert [asked.index(number) / 4 for number in (2, 3)] == [1, 3]
    assert asked[-1] == 3


def test_an_article_that_was_away_is_published_once_it_is_back(full: World, room: Newsroom) -> None:
    story = room.stories[0]
    full.web.serve(story.path, status=503)
    full.run(at(0))
    assert TEXT not in text_of(full, story)
    full.web.serve(story.path, room.article(story))
    full.run(at(1))
    assert TEXT in text_of(full, story)
    assert count_of(full) == 3


@pytest.mark.parametrize("how", ["in its place", "behind a redirect"])
def test_a_login_in_an_articles_place_leaves_the_teaser(full: World, room: Newsroom, how: str) -> None:
    story = room.stories[0]
    login = "<html lang=nl><title>Inloggen</title><main><h1>Inloggen</h1><form><input type=password></form>"
    page = f"{login}<p>Log in met uw account om dit artikel te lezen, of neem een abonnement bij de redactie.</p></main></html>"
    full.web.serve("/login" if how == "behind a redirect" else story.path, page)
    if how == "behind a redirect":
        full.web.redirect(story.path, "/login")
    full.run(at(0))
    full.run(at(2))
    item = items(full)[story.title]
    assert story.teaser in (item.get("content_html") or item["content_text"])
    assert "Inloggen" not in json.dumps(items(full))
    assert times(full.web, story.path) == 1, "it will not pass by itself"


def test_of_many_new_items_ten_articles_are_fetched_at_once_and_the_rest_at_the_next_collect(full: World, web: WebServer) -> None:
    many = Newsroom(web, 15)
    many.serve_articles()
    serve(full, many)
    full.run(at(0))
    assert [times(web, story.path) for story in many.stories] == [1] * 10 + [0] * 5
    assert sorted(items(full)) == many.titles
    full.run(at(1))
    assert [times(web, story.path) for story in many.stories] == [1] * 15
    assert all(TEXT in text_of(full, story) for story in many.stories)
    full.run(at(2))
    assert sum(times(web, story.path) for story in many.stories) == 15


def test_of_a_sitemap_the_titles_that_wait_come_with_the_next_collects_though_it_changes(world: World, web: WebServer) -> None:
    many = Newsroom(web, 14)
    many.serve_articles()
    world.write_feed(url=web.url("/sitemap.xml"), every="1h", source='kind = "sitemap"')
    for hour in range(2):
        many.renamed(13, path="/nieuws/bericht-1/")
        body = many.sitemap() + f"<!-- {hour} -->"
        web.serve("/sitemap.xml", body, content_type=XML)
        world.run(at(hour))
    assert sorted(items(world)) == many.titles


def test_nothing_is_fetched_any_more_once_full_text_is_off(full: World, web: WebServer) -> None:
    many = Newsroom(web, 12)
    many.serve_articles()
    serve(full, many)
    full.run(at(0))
    full.write_feed(every="1h")
    full.reopen()
    for hour in (1, 2):
        full.run(at(hour))
    assert [times(web, story.path) for story in many.stories] == [1] * 10 + [0] * 2


def listed(world: World, room: Newsroom) -> None:
    """As a listing, which knows no guids."""
    world.web.serve("/nieuws/", room.page())


@pytest.fixture
def paged(world: World, room: Newsroom) -> World:
    """A world that reads a listing hourly, with the articles behind it."""
    world.write_feed(url=world.web.url("/nieuws/"), every="1h", source='kind = "page"\nfull_text = true')
    room.serve_articles()
    listed(world, room)
    return world


def test_an_item_is_known_by_where_its_article_is_after_redirects(paged: World, room: Newsroom) -> None:
    story = room.stories[0]
    room.renamed(0, path="/n/33/")
    paged.web.redirect("/n/33/", story.path, status=302)
    listed(paged, room)
    paged.run(at(0))
    room.renamed(0, path=story.path, title=f"{story.title}, en dat is nu")
    listed(paged, room)
    paged.run(at(1))
    assert sorted(items(paged)) == room.titles
    assert count_of(paged) == 3


def test_an_item_is_known_by_the_address_that_its_article_calls_its_own(paged: World, room: Newsroom) -> None:
    story = room.stories[0]
    room.renamed(0, path="/lijst/33/")
    canonical = f'<link rel="canonical" href="{paged.web.url(story.path)}">'
    paged.web.serve("/lijst/33/", room.article(story, head=canonical))
    listed(paged, room)
    paged.run(at(0))
    room.renamed(0, path=story.path, title=f"{story.title}, en dat is nu")
    listed(paged, room)
    paged.run(at(1))
    assert sorted(items(paged)) == room.titles
    assert count_of(paged) == 3


def test_a_new_address_that_leads_to_a_known_one_is_the_same_item(paged: World, room: Newsroom) -> None:
    paged.run(at(0))
    story = room.stories[0]
    room.renamed(0, path="/kort/33/", title=f"{story.title}, en dat is nu")
    paged.web.redirect("/kort/33/", story.path, status=301)
    listed(paged, room)
    for hour in (1, 2):
        paged.run(at(hour))
    assert sorted(items(paged)) == room.titles
    assert count_of(paged) == 3
    assert times(paged.web, "/kort/33/") == 1


def test_new_stories_whose_articles_all_lead_to_one_place_stay_apart(paged: World, room: Newsroom) -> None:
    """Behind a consent wall, or after a move that went wrong."""
    paged.run(at(0))
    for number in (7, 8):
        one = room.tell(number, datetime(2026, 11, 24, number - 3, tzinfo=UTC))
        paged.web.redirect(one.path, room.stories[-1].path, status=302)
    listed(paged, room)
    for hour in (1, 2):
        paged.run(at(hour))
    assert sorted(items(paged)) == room.titles
    assert count_of(paged) == 5
    assert all(room.stories[-1].title not in text_of(paged, one) for one in room.stories[:2]), "another article's text"


def test_a_new_story_whose_article_leads_to_another_known_one_is_new_all_the_same(paged: World, room: Newsroom) -> None:
    paged.run(at(0))
    one = room.tell(7, datetime(2026, 11, 24, 6, tzinfo=UTC))
    paged.web.redirect(one.path, room.stories[-1].path, status=302)
    listed(paged, room)
    [done] = paged.run(at(1)).collected
    why = "it leads to a place that is not this article's alone"
    assert f"the article {paged.web.url(one.path)} was not read: {why}" in done.remarks
    paged.run(at(2))
    assert sorted(items(paged)) == room.titles
    assert count_of(paged) == 4
    assert one.teaser in text_of(paged, one)
    assert room.stories[-1].title not in text_of(paged, one)


def test_an_article_that_waited_and_leads_to_another_known_one_is_not_taken_either(paged: World, room: Newsroom) -> None:
    one = room.stories[0]
    paged.web.serve(one.path, status=503)
    [done] = paged.run(at(0)).collected
    why = "answered 503 (Service Unavailable); it is asked for again later"
    assert f"the article {paged.web.url(one.path)} was not read: {why}" in done.remarks
    paged.web.redirect(one.path, room.stories[-1].path, status=302)
    paged.run(at(1))
    assert count_of(paged) == 3
    assert room.stories[-1].title not in text_of(paged, one)
