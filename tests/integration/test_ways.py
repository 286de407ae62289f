"""``kind = "auto"`` on whole sites: the best way to read a source is found, explained, kept, and found again when it is gone."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from tests.integration.command import Ended, gazet
from tests.newsroom import JSON, RSS, XML, Newsroom, story
from tests.servers.web import WebServer
from tests.world import World

AT = "2026-11-24T08:00"
FEED_LINK = '<link rel="alternate" type="application/rss+xml" href="/feed.xml">'
API_LINK = '<link rel="https://api.w.org/" href="/wp-json/">'


@pytest.fixture
def room(web: WebServer) -> Newsroom:
    return Newsroom(web)


def published(world: World) -> list[str]:
    document = json.loads((world.folder / "var/public/feeds/po.json").read_text(encoding="utf-8"))
    return sorted(item["title"] for item in document["items"])


def checked(world: World, path: str) -> str:
    """What ``gazet check`` says of an address."""
    done = gazet("check", world.web.url(path), "--now", AT, site=world.folder)
    assert done.code == 0, done
    return done.out


def added(world: World, path: str) -> str:
    """What ``gazet add`` says of an address."""
    done: Ended = gazet("add", world.web.url(path), "--slug", "twee", "--now", AT, site=world.folder)
    assert done.code == 0, done
    return done.out


def paths(web: WebServer) -> list[str]:
    return [request.path for request in web.requests]


def on_the_hour(world: World, hours: int) -> str:
    return (datetime.fromisoformat(AT) + timedelta(hours=hours)).isoformat()


@pytest.fixture
def sited(world: World, room: Newsroom) -> World:
    """A world whose only source is the page /nieuws/, asked hourly."""
    world.write_feed(url=world.web.url("/nieuws/"), every="1h")
    return world


Build = Callable[[Newsroom], str]
FEEDS: dict[str, tuple[Build, str]] = {
    "RSS 0.91": (lambda room: room.rss("0.91"), RSS),
    "RSS 1.0": (lambda room: room.rdf(), "application/rdf+xml"),
    "RSS 2.0": (lambda room: room.rss(), RSS),
    "Atom 1.0": (lambda room: room.atom(), "application/atom+xml"),
    "JSON Feed 1.1": (lambda room: room.json_feed(), "application/feed+json"),
}


@pytest.mark.parametrize("name", FEEDS)
def test_an_address_of_a_feed_is_read_as_that_and_nothing_else_is_asked_for(sited: World, room: Newsroom, name: str) -> None:
    build, media = FEEDS[name]
    sited.web.serve("/nieuws/", build(room), content_type=media)
    for said in (checked(sited, "/nieuws/"), added(sited, "/nieuws/")):
        assert f"6 items by: a feed, {name}\n  read as feed: it is what the address leads to\n" in said
    sited.run(AT)
    assert published(sited) == room.titles
    assert set(paths(sited.web)) == {"/nieuws/"}, "robots.txt is for pages"


def test_a_linked_feed_that_tells_the_pages_news_wins_and_later_polls_ask_only_it_conditionally(
    sited: World, room: Newsroom
) -> None:
    web = sited.web
    web.serve("/nieuws/", room.page(head=FEED_LINK))
    web.serve("/feed.xml", room.rss(), content_type=RSS, headers={"ETag": 'W/"a-1"'}, conditional=True)
    where = f"read as feed: {web.url('/feed.xml')}: the page names it (rel=alternate)"
    assert where in checked(sited, "/nieuws/")
    assert where in added(sited, "/nieuws/")
    (sited.folder / "feeds/twee.toml").unlink()
    web.requests.clear()
    sited.run(AT)
    assert paths(web) == ["/nieuws/", "/robots.txt", "/feed.xml"]
    web.requests.clear()
    for hour in (1, 2, 3):
        sited.run(on_the_hour(sited, hour))
    assert paths(web) == ["/feed.xml"] * 3
    assert [request.headers["if-none-match"] for request in web.requests] == ['W/"a-1"'] * 3
    assert published(sited) == room.titles


def test_a_linked_feed_with_other_news_loses_to_the_listing_and_add_says_why(sited: World, room: Newsroom) -> None:
    web = sited.web
    web.serve("/nieuws/", room.page(head=FEED_LINK))
    web.serve("/feed.xml", Newsroom(web, 8, folder="/sport/").rss(), content_type=RSS)
    why = "no feed or sitemap tells its news"
    assert f"read as page: {why}" in checked(sited, "/nieuws/")
    said = added(sited, "/nieuws/")
    assert f"read as page: {why}" in said
    lost = f"not taken: {web.url('/feed.xml')} (the page names it (rel=alternate)): 0% of it is what the page shows"
    assert lost in said
    (sited.folder / "feeds/twee.toml").unlink()
    sited.run(AT)
    assert published(sited) == room.titles
    web.requests.clear()
    sited.run(on_the_hour(sited, 1))
    assert paths(web) == ["/nieuws/"], "what was found is kept: feeds are not looked for again at each poll"


def test_a_feed_at_a_usual_place_that_nothing_names_is_found(sited: World, room: Newsroom) -> None:
    sited.web.serve("/nieuws/", room.page())
    sited.web.serve("/nieuws/feed/", room.rss(), content_type=RSS)
    assert f"read as feed: {sited.web.url('/nieuws/feed/')}: feeds are often there" in checked(sited, "/nieuws/")
    assert f"read as feed: {sited.web.url('/nieuws/feed/')}: feeds are often there" in added(sited, "/nieuws/")


def test_the_rest_api_of_wordpress_is_read_where_there_is_no_feed(sited: World, room: Newsroom) -> None:
    sited.web.serve("/nieuws/", room.page(head=API_LINK))
    sited.web.serve("/wp-json/wp/v2/posts", room.wordpress(), content_type=JSON)
    said = checked(sited, "/nieuws/")
    assert "6 items by: posts of the WordPress REST API" in said
    assert "read as wordpress" in said
    assert ": the page names its WordPress REST API" in added(sited, "/nieuws/")
    (sited.folder / "feeds/twee.toml").unlink()
    sited.run(AT)
    assert published(sited) == room.titles
    sited.web.requests.clear()
    sited.run(on_the_hour(sited, 1))
    [request] = sited.web.requests
    assert request.path.startswith("/wp-json/wp/v2/posts?")


def test_a_feed_goes_before_the_rest_api_and_that_before_what_the_page_says_itself(sited: World, room: Newsroom) -> None:
    web = sited.web
    web.serve("/nieuws/", room.page(head=FEED_LINK + API_LINK + room.json_ld()))
    web.serve("/robots.txt", f"Sitemap: {web.url('/news-sitemap.xml')}\n", content_type="text/plain")
    web.serve("/news-sitemap.xml", room.sitemap(news=True), content_type=XML)
    web.serve("/feed.xml", room.rss(), content_type=RSS)
    web.serve("/wp-json/wp/v2/posts", room.wordpress(), content_type=JSON)
    for path, kind in (("/feed.xml", "feed"), ("/wp-json/wp/v2/posts", "wordpress"), ("/news-sitemap.xml", "page")):
        assert f"read as {kind}: " in checked(sited, "/nieuws/")
        web.serve(path, status=404)
    web.serve("/nieuws/", room.page())
    web.serve("/news-sitemap.xml", room.sitemap(news=True), content_type=XML)
    assert "read as sitemap: " in checked(sited, "/nieuws/")


@pytest.mark.parametrize("how", ["JSON-LD", "microdata"])
def test_a_page_that_describes_its_news_is_read_by_that(sited: World, room: Newsroom, how: str) -> None:
    sited.web.serve("/nieuws/", room.page(head=room.json_ld()) if how == "JSON-LD" else room.microdata())
    said = checked(sited, "/nieuws/")
    assert "read as page: it describes its news itself" in said
    assert how in said.split("\n")[1]
    assert "read as page: it describes its news itself" in added(sited, "/nieuws/")
    (sited.folder / "feeds/twee.toml").unlink()
    sited.run(AT)
    assert published(sited) == room.titles


def test_a_news_sitemap_that_robots_txt_names_is_read(sited: World, room: Newsroom) -> None:
    web = sited.web
    elsewhere = Newsroom(web, 3, folder="/sport/").stories
    web.serve("/nieuws/", room.page())
    web.serve("/robots.txt", f"User-agent: *\nSitemap: {web.url('/news-sitemap.xml')}\n", content_type="text/plain")
    web.serve("/news-sitemap.xml", room.sitemap(news=True, stories=[*room.stories, *elsewhere]), content_type=XML)
    where = f"read as sitemap: {web.url('/news-sitemap.xml')}: robots.txt names it"
    assert where in checked(sited, "/nieuws/")
    assert where in added(sited, "/nieuws/")
    (sited.folder / "feeds/twee.toml").unlink()
    for hour in (0, 1):
        sited.run(on_the_hour(sited, hour))
        assert published(sited) == room.titles, "only what lies below the page"


def test_a_plain_listing_is_read_where_nothing_else_is(sited: World, room: Newsroom) -> None:
    sited.web.serve("/nieuws/", room.page())
    assert "6 items by: listing article.card\n  read as page: no feed or sitemap tells its news" in checked(sited, "/nieuws/")
    sited.run(AT)
    assert published(sited) == room.titles


@pytest.mark.parametrize("place", ["/sitemap.xml", "/sitemaps/posts.xml"])
@pytest.mark.parametrize("kind", ["auto", "sitemap"])
def test_a_plain_sitemap_gets_its_titles_from_the_articles(world: World, room: Newsroom, place: str, kind: str) -> None:
    world.write_feed(url=world.web.url(place), every="1h", source=f'kind = "{kind}"')
    world.web.serve(place, room.sitemap(), content_type=XML)
    room.serve_articles()
    world.run(AT)
    assert published(world) == room.titles
    one = room.tell(7, datetime(2026, 11, 24, 7, tzinfo=UTC))
    world.web.serve(one.path, room.article(one))
    world.web.serve(place, room.sitemap(), content_type=XML)
    world.run(on_the_hour(world, 1))
    assert published(world) == room.titles
    assert [paths(world.web).count(one.path) for one in room.stories] == [1] * 7


@pytest.mark.parametrize("kind", ["auto", "sitemap"])
def test_of_a_sitemap_index_the_newest_is_read_and_a_newer_one_is_noticed_within_a_day(
    world: World, room: Newsroom, kind: str
) -> None:
    web = world.web
    world.write_feed(url=web.url("/sitemaps/index.xml"), every="1h", source=f'kind = "{kind}"')
    october, november = ("/sitemaps/2026-10.xml", "2026-10-31"), ("/sitemaps/2026-11.xml", "2026-11-23")
    web.serve("/sitemaps/index.xml", room.sitemap_index(october, november), content_type=XML)
    web.serve(november[0], room.sitemap(), content_type=XML, headers={"ETag": '"nov"'}, conditional=True)
    room.serve_articles()
    assert f"{web.url(november[0])}: the sitemap index names it first" in checked(world, "/sitemaps/index.xml")
    web.requests.clear()
    world.run(AT)
    assert published(world) == room.titles
    assert october[0] not in paths(web)
    web.requests.clear()
    world.run(on_the_hour(world, 1))
    assert paths(web) == [november[0]]
    fresh = room.tell(7, datetime(2026, 11, 25, 7, tzinfo=UTC))
    web.serve(fresh.path, room.article(fresh))
    december = ("/sitemaps/2026-12.xml", "2026-11-25")
    web.serve("/sitemaps/index.xml", room.sitemap_index(december, october, november), content_type=XML)
    web.serve(december[0], room.sitemap(stories=[fresh]), content_type=XML)
    world.run(on_the_hour(world, 25))
    assert published(world) == room.titles
    assert [problem.what for problem in world.engine(on_the_hour(world, 25)).fresh_problems()] == []


def test_a_feed_that_is_gone_for_three_polls_is_replaced_and_nothing_is_new_or_mailed_again(sited: World, room: Newsroom) -> None:
    web = sited.web
    web.serve("/nieuws/", room.page(head=FEED_LINK))
    web.serve("/feed.xml", room.rss(stories=room.stories[:5]), content_type=RSS)
    sited.run(AT)
    sited.subscribe("ann@example.org", cadence="instant", at="2026-11-24T08:30")
    sited.run(on_the_hour(sited, 1))
    before = len(sited.mails)
    web.serve("/feed.xml", status=404)
    for hour in (2, 4, 8):
        web.requests.clear()
        sited.run(on_the_hour(sited, hour))
        assert paths(web) == ["/feed.xml"], "it may be back soon"
    older = [story(30 + day, datetime(2026, 11, 17 - day, 9, tzinfo=UTC)) for day in range(8)]  # the feed did not go so far back
    web.serve("/nieuws/", room.page(stories=[*room.stories, *older]))
    sited.run(on_the_hour(sited, 14))
    sited.run(on_the_hour(sited, 15))
    assert len(sited.mails) == before
    assert published(sited) == sorted([*room.titles, *(one.title for one in older)])
    assert sited.engine(on_the_hour(sited, 15)).fresh_problems() == []
    fresh = room.tell(20, datetime(2026, 11, 24, 23, tzinfo=UTC))
    web.serve("/nieuws/", room.page(stories=[*room.stories, *older]))
    sited.run(on_the_hour(sited, 26))
    [mail] = sited.mails[before:]
    assert fresh.title in mail["Subject"]


def test_a_feed_that_comes_back_later_is_the_way_again_within_a_week_and_makes_nothing_new(sited: World, room: Newsroom) -> None:
    web = sited.web
    sited.subscribe("ann@example.org", cadence="instant", at="2026-11-24T07:30")
    web.serve("/nieuws/", room.page(head=FEED_LINK), headers={"ETag": '"page"'}, conditional=True)
    web.serve("/feed.xml", status=404)
    assert "; in place of " not in checked(sited, "/nieuws/")
    web.serve("/feed.xml", room.rss(), content_type=RSS)
    sited.run(AT)
    web.serve("/feed.xml", status=404)
    for hour in (2, 4, 8, 14):
        sited.run(on_the_hour(sited, hour))
    told = gazet("status", "--json", site=sited.folder).out
    assert (
        f"no feed or sitemap tells its news; in place of {web.url('/feed.xml')}, which failed: it is looked for again each week"
        in told
    )
    before, mails = published(sited), len(sited.mails)
    web.requests.clear()
    for day in (1, 6):
        sited.run(on_the_hour(sited, 24 * day + 14))
    assert set(paths(web)) == {"/nieuws/"}, "no more than its page is asked for"
    sited.run(on_the_hour(sited, 24 * 8))
    assert "/feed.xml" in paths(web), "in vain"
    web.serve("/feed.xml", room.rss(), content_type=RSS)
    web.requests.clear()
    for day in (9, 14):
        sited.run(on_the_hour(sited, 24 * day))
    assert set(paths(web)) == {"/nieuws/"}
    sited.run(on_the_hour(sited, 24 * 15 + 1))
    web.requests.clear()
    sited.run(on_the_hour(sited, 24 * 15 + 3))
    assert paths(web) == ["/feed.xml"]
    assert (published(sited), len(sited.mails)) == (before, mails)
    assert sited.engine(on_the_hour(sited, 24 * 15 + 3)).fresh_problems() == []


def test_a_page_that_fails_when_a_better_way_is_looked_for_again_leaves_the_way_that_works(sited: World, room: Newsroom) -> None:
    web = sited.web
    web.serve("/nieuws/", room.page(head=FEED_LINK + API_LINK))
    web.serve("/feed.xml", room.rss(), content_type=RSS)
    sited.run(AT)
    web.serve("/feed.xml", status=404)
    web.serve("/wp-json/wp/v2/posts", room.wordpress(), content_type=JSON)
    for hour in (2, 4, 8, 14):
        sited.run(on_the_hour(sited, hour))
    web.serve("/nieuws/", status=503)
    for day in (7, 8, 9, 10):
        fresh = room.tell(20 + day, datetime(2026, 11, 24 + day % 7, 9, tzinfo=UTC))
        web.serve("/wp-json/wp/v2/posts", room.wordpress(), content_type=JSON)
        sited.run(on_the_hour(sited, 24 * day + 15))
        assert fresh.title in published(sited)
    assert sited.engine(on_the_hour(sited, 24 * 10 + 15)).fresh_problems() == []
    web.serve("/nieuws/", room.page(head=FEED_LINK))
    web.serve("/feed.xml", room.rss(), content_type=RSS)
    sited.run(on_the_hour(sited, 24 * 11 + 15))
    web.requests.clear()
    sited.run(on_the_hour(sited, 24 * 11 + 17))
    assert paths(web) == ["/feed.xml"]


def test_a_feed_that_comes_back_after_one_404_is_still_the_way(sited: World, room: Newsroom) -> None:
    web = sited.web
    web.serve("/nieuws/", room.page(head=FEED_LINK))
    web.serve("/feed.xml", room.rss(), content_type=RSS)
    sited.run(AT)
    web.serve("/feed.xml", status=404)
    sited.run(on_the_hour(sited, 1))
    web.serve("/feed.xml", room.rss(), content_type=RSS)
    web.requests.clear()
    sited.run(on_the_hour(sited, 4))
    assert paths(web) == ["/feed.xml"]
    assert sited.engine(on_the_hour(sited, 4)).fresh_problems() == []


def test_an_edited_source_is_looked_at_from_its_own_address_though_its_way_had_moved(sited: World, room: Newsroom) -> None:
    web = sited.web
    web.serve("/nieuws/", room.page(head=FEED_LINK))
    web.serve("/feed.xml", room.rss(), content_type=RSS)
    sited.run(AT)
    web.redirect("/feed.xml", "/rss/new.xml", status=301)
    web.serve("/rss/new.xml", room.rss(), content_type=RSS)
    for day in (1, 9):
        sited.run(on_the_hour(sited, 24 * day))
    web.requests.clear()
    sited.run(on_the_hour(sited, 24 * 10))
    assert paths(web) == ["/rss/new.xml"]
    sited.write_feed(url=web.url("/nieuws/"), every="1h", source="pages = 2")
    sited.reopen()
    web.requests.clear()
    sited.run(on_the_hour(sited, 24 * 11))
    assert paths(web)[0] == "/nieuws/"
    sited.run(on_the_hour(sited, 24 * 12))
    assert sited.engine(on_the_hour(sited, 24 * 12)).fresh_problems() == []
    assert published(sited) == room.titles


def test_a_kind_that_is_set_later_is_obeyed_though_another_way_was_found_before(sited: World, room: Newsroom) -> None:
    web = sited.web
    web.serve("/nieuws/", room.page(head=FEED_LINK))
    web.serve("/feed.xml", room.rss(), content_type=RSS)
    sited.run(AT)
    sited.write_feed(url=web.url("/nieuws/"), every="1h", source='kind = "page"')
    sited.reopen()
    web.requests.clear()
    for hour in (1, 2):
        sited.run(on_the_hour(sited, hour))
    assert paths(web) == ["/robots.txt", "/nieuws/", "/nieuws/"]
    assert published(sited) == room.titles
