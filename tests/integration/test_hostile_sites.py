"""Sites that lead inside, or send too much: nothing of one's own network is asked, each is one line, the others are collected."""

from __future__ import annotations

import gzip
import json
import socket
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from pipeline.http import connection
from tests.newsroom import JSON, RSS, XML, Newsroom
from tests.servers.web import WebServer
from tests.world import World, moment

AT = "2026-11-24T08:00"
FULL = "full_text = true"
FILE = '<p><a href="{}">Download hier de rapportage</a></p>'


@pytest.fixture
def room(web: WebServer) -> Newsroom:
    return Newsroom(web, 3)


@pytest.fixture
def inner() -> Iterator[WebServer]:
    """What only this machine may reach; any request there is a breach."""
    with WebServer() as server:
        yield server


def allow(world: World, *entries: str) -> World:
    path = world.folder / "gazet.toml"
    path.write_text(path.read_text(encoding="utf-8").replace('allow = ["127.0.0.1"]', f"allow = {json.dumps(entries)}"))
    world.reopen()
    return world


def published(world: World, slug: str) -> list[str]:
    path = world.folder / f"var/public/feeds/{slug}.json"
    return sorted(item["title"] for item in json.loads(path.read_text(encoding="utf-8"))["items"])


def needs(world: World) -> list[str]:
    return [problem.what for problem in world.engine(AT).fresh_problems()]


@pytest.mark.parametrize("source", ['kind = "auto"', 'kind = "feed"', 'kind = "page"', 'kind = "sitemap"', 'kind = "wordpress"'])
def test_without_allow_nothing_of_this_machine_is_requested(world: World, room: Newsroom, source: str) -> None:
    for number, host in enumerate(("127.0.0.1", "localhost", "127.1", "2130706433", "[::ffff:127.0.0.1]")):
        url = f"http://{host}:{world.web.port}/feed.xml"
        world.write_feed("po" if not number else f"po-{number}", url=url, source=f"{source}\n{FULL}")
    world.web.serve("/feed.xml", room.rss(), content_type=RSS)
    allow(world)
    report = world.run(AT)
    assert world.web.requests == []
    assert all("private address" in one.problem for one in report.collected), [one.problem for one in report.collected]
    assert len(needs(world)) == 5


Lead = Callable[[Newsroom, WebServer], None]


def by_redirect(room: Newsroom, inner: WebServer) -> None:
    room.web.redirect("/nieuws/", inner.url("/feed.xml"))


def by_permanent_redirect(room: Newsroom, inner: WebServer) -> None:
    room.web.redirect("/nieuws/", inner.url("/feed.xml"), status=301)


def by_linked_feed(room: Newsroom, inner: WebServer) -> None:
    room.web.serve("/nieuws/", room.page(head=f'<link rel="alternate" type="{RSS}" href="{inner.url("/feed.xml")}">'))


def by_usual_place(room: Newsroom, inner: WebServer) -> None:
    room.web.serve("/nieuws/", room.page())
    room.web.redirect("/nieuws/feed/", inner.url("/feed.xml"))


def by_wordpress(room: Newsroom, inner: WebServer) -> None:
    room.web.serve("/nieuws/", room.page(head=f'<link rel="https://api.w.org/" href="{inner.url("/wp-json/")}">'))


def by_robots(room: Newsroom, inner: WebServer) -> None:
    room.web.serve("/nieuws/", room.page())
    room.web.redirect("/robots.txt", inner.url("/robots.txt"))


def by_news_sitemap(room: Newsroom, inner: WebServer) -> None:
    room.web.serve("/nieuws/", room.page())
    room.web.serve("/robots.txt", f"Sitemap: {inner.url('/news.xml')}\n", content_type="text/plain")


def by_sitemap_index(room: Newsroom, inner: WebServer) -> None:
    index = room.sitemap_index(("/a.xml", "2026-11-01")).replace(room.web.url("/a.xml"), inner.url("/a.xml"))
    room.web.serve("/nieuws/", index, content_type=XML)


def by_article(room: Newsroom, inner: WebServer) -> None:
    room.web.serve("/nieuws/", room.rss().replace(room.web.url("/nieuws/bericht"), inner.url("/nieuws/bericht")), content_type=RSS)


def by_article_redirect(room: Newsroom, inner: WebServer) -> None:
    room.web.serve("/nieuws/", room.rss(), content_type=RSS)
    for one in room.stories:
        room.web.redirect(one.path, inner.url(one.path))


def by_download(room: Newsroom, inner: WebServer) -> None:
    room.web.serve("/nieuws/", room.rss(), content_type=RSS)
    room.serve_articles(inside=FILE.format(inner.url("/rapport.pdf")))


def by_download_redirect(room: Newsroom, inner: WebServer) -> None:
    room.web.serve("/nieuws/", room.rss(), content_type=RSS)
    room.serve_articles(inside=FILE.format("/rapport.pdf"))
    room.web.redirect("/rapport.pdf", inner.url("/rapport.pdf"))


def by_next_page(room: Newsroom, inner: WebServer) -> None:
    foot = f'<nav class="pagination"><a rel="next" href="{inner.url("/nieuws/page/2/")}">Volgende</a></nav>'
    room.web.serve("/nieuws/", room.page(foot=foot))


def by_next_page_of_a_feed(room: Newsroom, inner: WebServer) -> None:
    told = json.loads(room.json_feed()) | {"next_url": inner.url("/2.json")}
    room.web.serve("/nieuws/", json.dumps(told), content_type=JSON)


def by_redirected_page(room: Newsroom, inner: WebServer) -> None:
    foot = '<nav class="pagination"><a rel="next" href="/nieuws/page/2/">Volgende</a></nav>'
    room.web.serve("/nieuws/", room.page(foot=foot))
    room.web.redirect("/nieuws/page/2/", inner.url("/nieuws/page/2/"))


LEADS: tuple[tuple[Lead, bool], ...] = (
    (by_redirect, False),
    (by_permanent_redirect, False),
    (by_linked_feed, True),
    (by_usual_place, True),
    (by_wordpress, True),
    (by_robots, False),
    (by_news_sitemap, True),
    (by_sitemap_index, False),
    (by_article, True),
    (by_article_redirect, True),
    (by_download, True),
    (by_download_redirect, True),
    (by_next_page, True),
    (by_next_page_of_a_feed, True),
    (by_redirected_page, True),
)


@pytest.mark.parametrize(("lead", "read"), LEADS)
def test_no_site_leads_inside_by_any_kind_of_fetch(world: World, room: Newsroom, inner: WebServer, lead: Lead, read: bool) -> None:
    """``read``: the site's own news is read all the same; else one line says why not."""
    world.write_feed(url=world.web.url("/nieuws/"), every="1h", source=f"{FULL}\npages = 3")
    lead(room, inner)
    allow(world, world.web.address)
    [done] = world.run(AT).collected
    assert inner.requests == []
    assert (done.problem == "") is read, done
    said = needs(world)
    assert len(said) == (0 if read else 1)
    if read:
        assert published(world, "po") == room.titles
        if lead in (by_article, by_article_redirect):
            assert any("was not read: " in remark and "private address" in remark for remark in done.remarks)
    else:
        assert "private" in done.problem
        assert "add " not in done.problem  # nobody is told to open what a stranger chose
    world.run(moment(AT) + timedelta(days=1, hours=2))
    assert inner.requests == []


@pytest.fixture
def at_a_public_address(world: World, monkeypatch: pytest.MonkeyPatch) -> str:
    """The site's own host, which resolves to a public address; what is sent there comes to its server here."""
    resolve, dial = socket.getaddrinfo, connection._Pinned._dial
    here, public = world.web.address.replace("127.0.0.1", "news.example"), "93.184.215.14"
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (public, world.web.port))]
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda host, *more, **how: found if host == "news.example" else resolve(host, *more, **how)
    )
    monkeypatch.setattr(
        connection._Pinned, "_dial", lambda self, to, seconds: dial(self, "127.0.0.1" if to == public else to, seconds)
    )
    monkeypatch.setattr(world.web, "url", lambda path="/": f"http://{here}{path}")
    return here


@pytest.mark.parametrize(("lead", "read"), LEADS)
def test_a_private_address_that_is_allowed_is_not_for_public_sites_to_lead_to(
    world: World, at_a_public_address: str, inner: WebServer, lead: Lead, read: bool
) -> None:
    """What an operator opens for a source of their own, no stranger's feed can have fetched and published."""
    room = Newsroom(world.web, 3)
    world.write_feed(url=world.web.url("/nieuws/"), every="1h", source=f"{FULL}\npages = 3")
    lead(room, inner)
    allow(world, at_a_public_address, inner.address)
    [done] = world.run(AT).collected
    assert inner.requests == []
    assert (done.problem == "") is read, done
    assert "add " not in done.problem


def test_a_source_at_an_allowed_private_address_leads_to_its_articles_at_another_one(
    world: World, room: Newsroom, inner: WebServer
) -> None:
    world.write_feed(url=world.web.url("/nieuws/"), every="1h", source=FULL)
    by_article(room, inner)
    allow(world, world.web.address, inner.address)
    world.run(AT)
    assert {one.path for one in inner.requests} >= {one.path for one in room.stories}


def test_what_sends_too_much_is_one_line_each_and_the_others_are_collected(world: World, room: Newsroom) -> None:
    web = world.web
    bomb = gzip.compress(b"\0" * 60_000_000, 9)
    packed = {"Content-Encoding": "gzip"}
    web.serve("/feed.xml", room.rss(), content_type=RSS)
    web.serve("/bom.xml", bomb, content_type=RSS, headers=packed)
    web.serve("/groot.xml", b"<rss><channel>" + b"x" * 10_000_001, content_type=RSS)
    web.redirect("/rond.xml", "/rond.xml")
    reasons = {
        "bom": "is larger than 10,000,000 bytes",
        "groot": "is larger than 10,000,000 bytes",
        "rond": "redirects more than 5 times",
    }
    for slug in reasons:
        world.write_feed(slug, url=web.url(f"/{slug}.xml"), every="1h")
    report = world.run(AT)
    assert published(world, "po") == room.titles
    problems = {one.feeds[0]: one.problem for one in report.collected if one.problem}
    assert problems.keys() == reasons.keys()
    said = needs(world)
    assert len(said) == len(reasons)
    for slug, reason in reasons.items():
        assert reason in problems[slug], problems[slug]
        [line] = [line for line in said if f"/{slug}.xml" in line]
        assert "\n" not in line
    assert needs(world) == []


def test_a_bomb_as_robots_txt_says_nothing_and_the_page_is_read(world: World, room: Newsroom) -> None:
    world.write_feed(url=world.web.url("/nieuws/"), every="1h")
    bomb = gzip.compress(b"\0" * 60_000_000, 9)
    world.web.serve("/robots.txt", bomb, content_type="text/plain", headers={"Content-Encoding": "gzip"})
    world.web.serve("/nieuws/", room.page())
    world.run(AT)
    assert published(world, "po") == room.titles
    assert needs(world) == []


@pytest.mark.parametrize("how", ["bomb", "large", "loop", "binary"])
def test_an_article_made_to_hurt_leaves_the_teaser_and_the_other_articles(world: World, room: Newsroom, how: str) -> None:
    web, bad = world.web, room.stories[1]
    world.write_feed(every="1h", source=FULL)
    web.serve("/feed.xml", room.rss(), content_type=RSS)
    room.serve_articles()
    if how == "bomb":
        web.serve(bad.path, gzip.compress(b"<p>" * 20_000_000, 9), headers={"Content-Encoding": "gzip"})
    elif how == "large":
        web.serve(bad.path, "<p>" * 1_000_000)
    elif how == "loop":
        web.redirect(bad.path, bad.path)
    else:
        web.serve(bad.path, b"%PDF" + bytes(range(256)) * 1000, content_type="application/pdf")
    world.run(AT)
    items = json.loads((world.folder / "var/public/feeds/po.json").read_text(encoding="utf-8"))["items"]
    assert sorted(item["title"] for item in items) == room.titles
    long = {item["title"] for item in items if "uitgelegd" in json.dumps(item)}
    assert long == {one.title for one in room.stories if one is not bad}
    world.run(moment(AT) + timedelta(hours=1))
    assert len(web.requested(bad.path)) <= 6


@pytest.mark.parametrize("kind", ["auto", "feed", "page", "sitemap", "wordpress"])
def test_a_list_of_feeds_is_said_to_be_one_to_import(world: World, kind: str) -> None:
    listed = '<?xml version="1.0"?><opml version="2.0"><body><outline type="rss" xmlUrl="https://a.example/rss"/></body></opml>'
    world.write_feed(url=world.web.url("/feeds.opml"), source=f'kind = "{kind}"')
    world.web.serve("/feeds.opml", listed, content_type=XML)
    [done] = world.run(AT).collected
    assert '"gazet opml import FILE"' in done.problem
