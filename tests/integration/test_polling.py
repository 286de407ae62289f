"""Manners on the wire, seen by the servers that a whole site polls: what is sent, when it comes again, and what is left alone."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from pipeline.engines import local
from pipeline.http import HostGate
from tests.integration.command import gazet
from tests.newsroom import RSS, Newsroom
from tests.servers.web import Answer, WebServer
from tests.world import World, moment

AT = "2026-11-24T08:00"
START = moment(AT)
MODIFIED = "Mon, 23 Nov 2026 11:46:40 GMT"


@pytest.fixture
def room(web: WebServer) -> Newsroom:
    return Newsroom(web)


@pytest.fixture
def hourly(world: World, room: Newsroom) -> World:
    """A world whose one feed is asked hourly, as is the default."""
    world.write_feed(every="1h")
    world.web.serve("/feed.xml", room.rss(), content_type=RSS)
    return world


def at(hours: float) -> datetime:
    return START + timedelta(hours=hours)


def source(world: World, hours: float = 0, place: int = 0) -> dict[str, Any]:
    """A source as ``gazet status --json`` tells of it."""
    told = gazet("status", "--json", "--now", at(hours).isoformat(), site=world.folder).json["sources"][place]
    return dict(told)


def published(world: World, slug: str = "po") -> list[str]:
    document = json.loads((world.folder / f"var/public/feeds/{slug}.json").read_text(encoding="utf-8"))
    return sorted(item["title"] for item in document["items"])


def paths(web: WebServer) -> list[str]:
    return [request.path for request in web.requests]


def needs(world: World, hours: float) -> list[str]:
    """The new lines for the operator."""
    return [problem.what for problem in world.engine(at(hours)).fresh_problems()]


def busy(status: int, retry_after: str, now: datetime) -> bytes:
    date = format_datetime(now, usegmt=True)
    return f"HTTP/1.1 {status} No\r\nDate: {date}\r\nRetry-After: {retry_after}\r\nContent-Length: 0\r\n\r\n".encode()


def test_one_unconditional_request_at_the_start_and_then_the_validators_byte_for_byte(hourly: World, room: Newsroom) -> None:
    etag = 'W/"a ~odd+ one=="'
    headers = {"ETag": etag, "Last-Modified": MODIFIED}
    hourly.web.serve("/feed.xml", room.rss(), content_type=RSS, headers=headers, conditional=True)
    for hour in range(5):
        hourly.run(at(hour))
    first, *later = hourly.web.requests
    assert not {"if-none-match", "if-modified-since"} & first.headers.keys()
    assert [(one.headers["if-none-match"], one.headers["if-modified-since"]) for one in later] == [(etag, MODIFIED)] * 4
    hourly.run(at(4.5))
    assert len(hourly.web.requests) == 5, "not before the hour is over"


def test_new_validators_count_though_the_body_is_the_same_and_older_dates_go_back_as_they_came(
    hourly: World, room: Newsroom
) -> None:
    older = "Sun, 22 Nov 2026 07:00:00 GMT"
    for hour, (etag, date) in enumerate([('"1"', MODIFIED), ('"2"', older), ('"2"', older)]):
        hourly.web.serve("/feed.xml", room.rss(), content_type=RSS, headers={"ETag": etag, "Last-Modified": date})
        hourly.run(at(hour))
    assert [one.headers.get("if-none-match") for one in hourly.web.requests] == [None, '"1"', '"2"']
    assert [one.headers.get("if-modified-since") for one in hourly.web.requests] == [None, MODIFIED, older]


def test_a_304_with_max_age_postpones_the_next_poll_and_status_says_why(hourly: World, room: Newsroom) -> None:
    hourly.web.serve("/feed.xml", room.rss(), content_type=RSS, headers={"ETag": '"1"'})
    hourly.run(at(0))
    assert datetime.fromisoformat(source(hourly)["next_poll_at"]) == at(1)
    assert source(hourly)["why"] == "hourly, as the settings say"
    kept = {"ETag": '"1"', "Cache-Control": "max-age=21600"}
    hourly.web.serve("/feed.xml", room.rss(), content_type=RSS, headers=kept, conditional=True)
    hourly.run(at(1))
    told = source(hourly, 1)
    assert (datetime.fromisoformat(told["next_poll_at"]), told["why"]) == (at(7), "the server's max-age says 6 h")
    for hour in (2, 6.9, 7):
        hourly.run(at(hour))
    assert len(hourly.web.requests) == 3


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_is_waited_for_in_both_forms(hourly: World, room: Newsroom, status: int, form: str) -> None:
    hourly.run(at(0))
    value = "18000" if form == "seconds" else format_datetime(at(6), usegmt=True)
    hourly.web.drop("/feed.xml", after=busy(status, value, at(1)))
    hourly.run(at(1))
    told = source(hourly, 1)
    assert datetime.fromisoformat(told["next_poll_at"]) == at(6)
    assert told["why"] == "it asked for 5 h by Retry-After"
    hourly.web.serve("/feed.xml", room.rss(), content_type=RSS)
    hourly.run(at(5.9))
    assert len(hourly.web.requests) == 2
    hourly.run(at(6))
    assert len(hourly.web.requests) == 3
    assert source(hourly, 6)["state"] == "ok"


def test_a_permanent_redirect_is_remembered_after_a_week_and_forgotten_after_a_failure(hourly: World, room: Newsroom) -> None:
    web = hourly.web
    hourly.run(at(0))
    web.redirect("/feed.xml", "/new.xml", status=301)
    web.serve("/new.xml", room.rss(), content_type=RSS, headers={"ETag": '"n"'}, conditional=True)
    for day in range(1, 8):
        hourly.run(at(24 * day))
    assert paths(web).count("/feed.xml") == 8, "a week of a redirect may still be a mistake"
    web.requests.clear()
    hourly.run(at(24 * 8 + 1))
    hourly.run(at(24 * 8 + 2))
    assert paths(web) == ["/new.xml"] * 2
    assert web.requests[1].headers["if-none-match"] == '"n"'
    web.serve("/new.xml", status=500)
    hourly.run(at(24 * 8 + 3))
    web.serve("/feed.xml", room.rss(), content_type=RSS)
    web.requests.clear()
    hourly.run(at(24 * 8 + 5))
    assert paths(web) == ["/feed.xml"], "at its own address it is well"
    assert source(hourly)["state"] == "ok"
    assert published(hourly) == room.titles


def test_a_temporary_redirect_is_never_remembered(hourly: World, room: Newsroom) -> None:
    hourly.web.redirect("/feed.xml", "/tijdelijk.xml", status=302)
    hourly.web.serve("/tijdelijk.xml", room.rss(), content_type=RSS)
    for day in range(10):
        hourly.run(at(24 * day))
    assert paths(hourly.web) == ["/feed.xml", "/tijdelijk.xml"] * 10


@pytest.mark.parametrize("status", [301, 302])
def test_validators_go_back_to_the_server_that_gave_them_behind_a_redirect(hourly: World, room: Newsroom, status: int) -> None:
    with WebServer() as other:
        other.serve("/feed.xml", room.rss(), content_type=RSS, headers={"ETag": '"1"'}, conditional=True)
        hourly.web.redirect("/feed.xml", other.url("/feed.xml"), status=status)
        for hour in range(3):
            hourly.run(at(hour))
        assert [one.headers.get("if-none-match") for one in other.requests] == [None, '"1"', '"1"']
        assert [one.headers.get("if-none-match") for one in hourly.web.requests] == [None, None, None]


def test_a_source_that_is_gone_for_good_is_said_once_and_not_asked_any_more(hourly: World, room: Newsroom) -> None:
    hourly.run(at(0))
    hourly.web.serve("/feed.xml", status=410)
    hourly.run(at(1))
    [line] = needs(hourly, 1)
    assert "answered 410 (Gone)" in line
    assert source(hourly, 1)["state"] == "gone"
    for day in (1, 5, 40):
        hourly.run(at(24 * day))
        assert needs(hourly, 24 * day) == []
    assert len(hourly.web.requests) == 2
    assert published(hourly) == room.titles, "what it brought stays"


def test_where_a_source_had_moved_to_gone_means_that_its_own_address_is_asked_once_more(hourly: World, room: Newsroom) -> None:
    web = hourly.web
    web.redirect("/feed.xml", "/new.xml", status=308)
    web.serve("/new.xml", room.rss(), content_type=RSS)
    for day in (0, 8, 9):
        hourly.run(at(24 * day))
    web.serve("/new.xml", status=410)
    web.serve("/feed.xml", room.rss(), content_type=RSS)
    hourly.run(at(24 * 10))
    assert source(hourly)["state"] == "attention"
    hourly.run(at(24 * 11))
    assert source(hourly)["state"] == "ok"


def test_a_backdated_post_of_wordpress_is_found_within_a_day_though_its_validators_stay(world: World, room: Newsroom) -> None:
    headers = {"ETag": '"wp"', "Last-Modified": MODIFIED}
    world.write_feed(every="1h")
    world.web.serve("/feed.xml", room.rss(), content_type=RSS, headers=headers, conditional=True)
    world.run(at(0))
    room.tell(9, datetime(2026, 11, 12, 9, tzinfo=UTC))
    world.web.serve("/feed.xml", room.rss(), content_type=RSS, headers=headers, conditional=True)
    for hour in range(1, 26):
        world.run(at(hour))
    whole = [place for place, one in enumerate(world.web.requests) if "if-none-match" not in one.headers]
    assert whole == [0, 24]
    assert published(world) == room.titles


def test_behind_a_proxy_that_weakens_etags_one_validator_alone_is_tried_and_kept(hourly: World, room: Newsroom) -> None:
    body = room.rss().encode()
    named = {"Content-Type": RSS, "ETag": 'W/"x"', "Last-Modified": MODIFIED}

    def never_matches_an_etag(handler: Any) -> None:
        alone = handler.headers.get("If-Modified-Since") == MODIFIED and "If-None-Match" not in handler.headers
        handler.answer(Answer(b"" if alone else body, 304 if alone else 200, named))

    hourly.web.behave("/feed.xml", never_matches_an_etag)
    for hour in range(8):
        hourly.run(at(hour))
    sent = [("if-none-match" in one.headers, "if-modified-since" in one.headers) for one in hourly.web.requests]
    assert sent == [(False, False), *[(True, True)] * 3, *[(False, True)] * 4]


def test_no_cookies_no_referrer_no_date_of_our_own_and_an_honest_name(world: World, room: Newsroom) -> None:
    web = world.web
    world.write_feed(url=web.url("/nieuws/"), every="1h", source="full_text = true\npages = 2")
    cookie = {"Set-Cookie": "id=1; Path=/", "ETag": '"1"'}
    foot = '<nav class="pagination"><a rel="next" href="/nieuws/page/2/">Volgende</a></nav>'
    web.serve("/nieuws/", room.page(foot=foot, stories=room.stories[:3]), headers=cookie)
    web.serve("/nieuws/page/2/", room.page(stories=room.stories[3:]), headers=cookie)
    web.serve("/robots.txt", "User-agent: *\n", content_type="text/plain", headers=cookie)
    room.serve_articles(inside='<p><a href="/rapport.pdf">Download het rapport</a></p>')
    web.serve("/rapport.pdf", b"%PDF", content_type="application/pdf", headers=cookie)
    for hour in range(3):
        world.run(at(hour))
    assert {"/nieuws/", "/nieuws/page/2/", "/robots.txt", "/nieuws/bericht-6/", "/rapport.pdf"} <= set(paths(web))
    for request in web.requests:
        assert not {"cookie", "referer", "if-modified-since", "authorization", "from"} & request.headers.keys()
        assert request.headers["user-agent"].startswith("Gazet/")
        assert request.headers["user-agent"].endswith("(+https://nieuws.example.org)")
    assert [one.path for one in web.requests if "if-none-match" in one.headers] == ["/nieuws/"] * 2


def test_robots_txt_is_asked_for_pages_and_not_for_feeds(world: World, room: Newsroom) -> None:
    web = world.web
    web.serve("/robots.txt", "User-agent: *\nDisallow: /\n", content_type="text/plain")
    web.serve("/feed.xml", room.rss(), content_type=RSS)
    world.run(at(0))
    assert published(world) == room.titles
    assert paths(web) == ["/feed.xml"]


def disallowed(world: World, room: Newsroom, source_lines: str = "") -> WebServer:
    web = world.web
    world.write_feed(url=web.url("/nieuws/"), every="1h", source=source_lines)
    web.serve("/robots.txt", "User-agent: *\nDisallow: /nieuws/\n", content_type="text/plain")
    web.serve("/nieuws/", room.page())
    return web


@pytest.mark.parametrize("kind", ["auto", "page"])
def test_disallow_is_respected_with_one_line_to_the_operator(world: World, room: Newsroom, kind: str) -> None:
    web = disallowed(world, room, f'kind = "{kind}"')
    world.run(at(0))
    [line] = needs(world, 0)
    assert line.startswith(f"source {web.url('/nieuws/')}: robots.txt of ")
    assert line.endswith(" asks programs not to read this address")
    [problem] = gazet("status", "--json", "--now", AT, site=world.folder).json["needs"]
    assert problem["fix"] == "Respect that, or set robots = false for this source if the site allowed it."
    for hour in (1, 3, 9):
        world.run(at(hour))
        assert needs(world, hour) == []
    assert paths(web).count("/nieuws/") <= (1 if kind == "page" else 4)
    checked = gazet("check", "po", "--now", AT, site=world.folder)
    assert checked.code == 1
    assert "asks programs not to read this address" in checked.err


def test_robots_false_reads_what_the_site_has_allowed_in_words(world: World, room: Newsroom) -> None:
    web = disallowed(world, room, "robots = false")
    world.run(at(0))
    assert published(world) == room.titles
    assert "/robots.txt" not in paths(web)
    assert gazet("check", "po", "--now", AT, site=world.folder).code == 0


def test_articles_and_downloads_that_robots_txt_forbids_are_not_asked_for(world: World, room: Newsroom) -> None:
    web = world.web
    world.write_feed(every="1h", source="full_text = true")
    web.serve("/feed.xml", room.rss(), content_type=RSS)
    rules = "User-agent: *\nDisallow: /nieuws/bericht-6/\nDisallow: /files/\n"
    web.serve("/robots.txt", rules, content_type="text/plain")
    room.serve_articles(inside='<p><a href="/files/rapport.pdf">Download het rapport</a></p>')
    world.run(at(0))
    assert published(world) == room.titles
    assert "/nieuws/bericht-5/" in paths(web)
    assert not {"/nieuws/bericht-6/", "/files/rapport.pdf"} & set(paths(web))


def test_hours_that_a_feed_wants_to_be_left_alone_in_are_passed_over(hourly: World, room: Newsroom) -> None:
    skip = "<skipHours><hour>8</hour><hour>9</hour></skipHours>"  # UTC: 9 and 10 o'clock in Amsterdam
    hourly.web.serve("/feed.xml", room.rss(channel=skip), content_type=RSS, headers={"ETag": '"1"'}, conditional=True)
    for _ in range(2):  # also where a 304 repeats nothing of it
        hourly.run(at(0) if not hourly.web.requests else at(24))
        told = source(hourly)
        assert datetime.fromisoformat(told["next_poll_at"]).strftime("%H") == "10"
        assert told["why"] == "no polls at 9:00 UTC (skipHours)"


def test_a_ttl_of_the_feed_is_kept_to(hourly: World, room: Newsroom) -> None:
    hourly.web.serve("/feed.xml", room.rss(channel="<ttl>180</ttl>"), content_type=RSS)
    hourly.run(at(0))
    told = source(hourly)
    assert datetime.fromisoformat(told["next_poll_at"]) == at(3)
    assert told["why"] == "the document itself asks for 3 h (ttl or updatePeriod)"


def test_two_feeds_with_one_source_poll_it_once(hourly: World, room: Newsroom) -> None:
    hourly.write_feed("twee", every="1h")
    hourly.run(at(0))
    hourly.run(at(1))
    assert paths(hourly.web) == ["/feed.xml"] * 2
    assert published(hourly) == published(hourly, "twee") == room.titles


def test_a_source_that_is_due_while_another_hangs_is_begun_in_the_same_tick(
    hourly: World, room: Newsroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "_LOOK_FOR_MORE_SECONDS", 0.02)
    monkeypatch.setattr(local, "_LOOK_UP_SECONDS", 0.02)
    hourly.run(at(0))  # the feed is due again at one
    asked, go_on = threading.Event(), threading.Event()

    def slow(handler: Any) -> None:
        asked.set()
        go_on.wait(20)
        handler.answer(Answer(room.rss().encode(), 200, {"Content-Type": RSS}))

    def quick(handler: Any) -> None:
        go_on.set()  # the slow one only ends because this one was asked
        handler.answer(Answer(room.rss().encode(), 200, {"Content-Type": RSS}))

    with WebServer() as other:
        other.behave("/traag.xml", slow)
        hourly.web.behave("/feed.xml", quick)
        hourly.write_feed("traag", url=other.url("/traag.xml"), every="1h")
        hourly.reopen()
        engine = hourly.engine(at(0.9))
        engine.clock = lambda: at(1) if asked.is_set() else at(0.9)
        report = engine.once()
    assert sorted(one.feeds[0] for one in report.collected) == ["po", "traag"]
    assert [one.problem for one in report.collected] == ["", ""]


class Breath:
    """A gate's clock that moves only when somebody waits."""

    def __init__(self) -> None:
        self.now = 0.0

    def wait(self, condition: threading.Condition, seconds: float | None) -> object:
        if seconds is None:
            return condition.wait(5)
        self.now += seconds
        return True


def test_sources_of_one_host_are_asked_a_breath_apart_and_another_host_waits_for_none_of_them(
    hourly: World, room: Newsroom
) -> None:
    breath = Breath()
    with WebServer() as other:
        for slug in ("a", "b", "c"):
            hourly.web.serve(f"/{slug}.xml", room.rss(), content_type=RSS)
            hourly.write_feed(slug, url=hourly.web.url(f"/{slug}.xml"), every="1h")
        other.serve("/d.xml", room.rss(), content_type=RSS)
        hourly.write_feed(url=other.url("/d.xml"), every="1h")
        hourly.site.fetcher.gate = HostGate(timedelta(seconds=7), clock=lambda: breath.now, wait=breath.wait)
        report = hourly.run(at(0))
    assert [one.problem for one in report.collected] == [""] * 4
    assert breath.now == 14, "the second after 7 s, the third after 14 s, the other at once"


def test_failures_wait_longer_each_time_and_the_source_is_never_given_up(hourly: World, room: Newsroom) -> None:
    hourly.run(at(0))
    hourly.web.serve("/feed.xml", status=500)
    hours, waits = 1.0, []
    for _ in range(8):
        hourly.run(at(hours))
        told = datetime.fromisoformat(source(hourly, hours)["next_poll_at"])
        waits.append((told - at(hours)) / timedelta(hours=1))
        hours += waits[-1]
    assert waits == sorted(waits[:5]) + waits[5:]
    assert waits[0] < 1.5
    assert 20 < waits[-1] < 27
    hourly.web.serve("/feed.xml", room.rss(), content_type=RSS)
    hourly.run(at(hours))
    assert source(hourly, hours)["state"] == "ok"
