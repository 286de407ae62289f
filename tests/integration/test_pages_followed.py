"""``pages = 3``: where a listing goes on, it is followed at the first collect, and later only while nothing known was met."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from tests.newsroom import JSON, RSS, Newsroom, Story
from tests.servers.web import WebServer
from tests.world import World, moment

AT = "2026-11-24T08:00"


@pytest.fixture
def room(web: WebServer) -> Newsroom:
    return Newsroom(web, 24)


@pytest.fixture
def paged(world: World, room: Newsroom) -> World:
    """A world that reads three pages of a listing of four, hourly."""
    world.write_feed(url=world.web.url("/nieuws/"), every="1h", source="pages = 3")
    serve(world.web, room)
    return world


def at(hours: float) -> datetime:
    return moment(AT) + timedelta(hours=hours)


def place(number: int) -> str:
    return "/nieuws/" if number == 1 else f"/nieuws/page/{number}/"


def onward(number: int) -> str:
    return f'<nav class="pagination"><a class="next" rel="next" href="{place(number)}">Volgende</a></nav>'


def serve(web: WebServer, room: Newsroom, size: int = 6) -> None:
    """The stories, so many on each page."""
    parts = [room.stories[start : start + size] for start in range(0, len(room.stories), size)]
    for number, part in enumerate(parts, 1):
        web.serve(place(number), room.page(stories=part, foot=onward(number + 1) if number < len(parts) else ""))


def published(world: World) -> list[str]:
    document = json.loads((world.folder / "var/public/feeds/po.json").read_text(encoding="utf-8"))
    return sorted(item["title"] for item in document["items"])


def titles(stories: list[Story]) -> list[str]:
    return sorted(one.title for one in stories)


def asked(web: WebServer) -> list[str]:
    """The pages asked for since the last time."""
    paths = [one.path for one in web.requests if one.path.startswith("/nieuws/") and "bericht" not in one.path]
    web.requests.clear()
    return [path for path in paths if not path.endswith(("feed/", "rss.xml"))]


def remarks(world: World, hours: float) -> tuple[str, ...]:
    [done] = world.run(at(hours)).collected
    assert done.problem == ""
    return done.remarks


def test_all_are_followed_at_the_first_collect_and_no_more_than_that(paged: World, room: Newsroom) -> None:
    paged.run(at(0))
    assert asked(paged.web) == [place(1), place(2), place(3)]
    assert published(paged) == titles(room.stories[:18])


def test_later_only_the_first_where_something_on_it_is_known(paged: World, room: Newsroom) -> None:
    paged.run(at(0))
    asked(paged.web)
    room.tell(30, datetime(2026, 11, 24, 7, 30, tzinfo=UTC))
    serve(paged.web, room)
    paged.run(at(1))
    assert asked(paged.web) == [place(1)]
    assert published(paged) == titles(room.stories[:19])


def test_later_the_next_ones_too_as_long_as_nothing_is_known(paged: World, room: Newsroom) -> None:
    paged.run(at(0))
    asked(paged.web)
    for number in range(7):
        room.tell(30 + number, datetime(2026, 11, 24, 7, number, tzinfo=UTC))
    serve(paged.web, room)
    paged.run(at(1))
    assert asked(paged.web) == [place(1), place(2)]
    assert published(paged) == titles(room.stories[:25])


def test_where_even_the_last_holds_nothing_known_a_person_hears_of_the_gap(paged: World, room: Newsroom) -> None:
    paged.run(at(0))
    for number in range(30):
        room.tell(30 + number, datetime(2026, 11, 24, 6, number, tzinfo=UTC))
    serve(paged.web, room)
    assert "none of its items was known: some may have come and gone in between" in remarks(paged, 1)


def test_pages_that_lead_to_each_other_end(paged: World, room: Newsroom) -> None:
    paged.write_feed(url=paged.web.url("/nieuws/"), every="1h", source="pages = 20")
    for number, following in ((1, 2), (2, 3), (3, 2)):
        part = room.stories[(number - 1) * 6 : number * 6]
        paged.web.serve(place(number), room.page(stories=part, foot=onward(following)))
    paged.run(at(0))
    assert asked(paged.web) == [place(1), place(2), place(3)]
    assert published(paged) == titles(room.stories[:18])


def test_pages_that_go_on_for_ever_with_the_same_items_end_with_the_settings(paged: World, room: Newsroom) -> None:
    for number in range(1, 30):
        paged.web.serve(place(number), room.page(stories=room.stories[:6], foot=onward(number + 1)))
    paged.run(at(0))
    assert len(asked(paged.web)) <= 3
    assert published(paged) == titles(room.stories[:6])


@pytest.mark.parametrize(("status", "said"), [(500, "answered 500 (Internal Server Error)"), (404, "answered 404 (Not Found)")])
def test_a_page_that_fails_leaves_a_remark_and_the_others_count(paged: World, room: Newsroom, status: int, said: str) -> None:
    paged.web.serve(place(2), status=status)
    assert f"page 2 ({paged.web.url(place(2))}): {said}" in remarks(paged, 0)
    assert published(paged) == titles(room.stories[:6])


def test_a_page_that_robots_txt_forbids_leaves_a_remark(paged: World, room: Newsroom) -> None:
    paged.web.serve("/robots.txt", "User-agent: *\nDisallow: /nieuws/page/\n", content_type="text/plain")
    [said] = [remark for remark in remarks(paged, 0) if remark.startswith("page 2")]
    assert "asks programs not to read this address" in said
    assert asked(paged.web) == [place(1)]


def test_an_item_that_moves_on_while_the_pages_are_read_is_one_item(paged: World, room: Newsroom) -> None:
    paged.web.serve(place(2), room.page(stories=room.stories[5:11], foot=onward(3)))  # by then another one had come
    paged.run(at(0))
    assert published(paged) == titles(room.stories[:11] + room.stories[12:18])


def described(room: Newsroom) -> None:
    """A listing that describes its items itself, too."""
    for number in (1, 2, 3):
        part = room.stories[(number - 1) * 6 : number * 6]
        room.web.serve(place(number), room.page(head=room.json_ld(part), stories=part, foot=onward(number + 1)))


def of_feeds(room: Newsroom) -> None:
    """JSON Feed's next_url."""
    for number in (1, 2, 3):
        told = json.loads(room.json_feed())
        told["items"] = told["items"][(number - 1) * 6 : number * 6]
        told["next_url"] = room.web.url(place(number + 1))
        room.web.serve(place(number), json.dumps(told), content_type=JSON)


def of_atom(room: Newsroom) -> None:
    """RFC 5005: a feed's own link to what came before."""
    for number in (1, 2, 3):
        link = f'<atom:link xmlns:atom="http://www.w3.org/2005/Atom" rel="next" href="{room.web.url(place(number + 1))}"/>'
        part = room.stories[(number - 1) * 6 : number * 6]
        room.web.serve(place(number), room.rss(channel=link, stories=part), content_type=RSS)


@pytest.mark.parametrize("build", [described, of_feeds, of_atom])
def test_pages_of_every_kind_of_document_are_followed(world: World, room: Newsroom, build: Callable[[Newsroom], None]) -> None:
    world.write_feed(url=world.web.url("/nieuws/"), every="1h", source="pages = 3")
    build(room)
    world.run(at(0))
    assert asked(world.web) == [place(1), place(2), place(3)]
    assert published(world) == titles(room.stories[:18])
