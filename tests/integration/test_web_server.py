"""Feeds, health and figures over HTTP, behind proxies and under attack; and the server as a process (issue 3, item 3)."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from pipeline.errors import GazetError
from pipeline.jobs.report import status
from pipeline.models import EditionStatus
from pipeline.store import editions, runs
from pipeline.web import edge, server
from pipeline.web.server import WebServer
from tests.integration.command import gazet
from tests.served import NOW, Served, digest_world, dump, read_link, unsubscribe_link
from tests.world import World

TYPES = {
    "rss": "application/rss+xml",
    "atom": "application/atom+xml",
    "json": "application/feed+json",
    "html": "text/html",
}
EVERYWHERE = ("content-security-policy", "x-content-type-options")


@pytest.fixture
def served(world: World) -> Iterator[Served]:
    with Served(world) as made:
        digest_world(world)
        yield made


@pytest.mark.parametrize("extension", TYPES)
def test_a_feed_is_served_with_its_type_and_validators(served, extension):
    path = f"/feeds/po.{extension}"
    got = served.get(path)
    assert got.status == 200
    assert got.body == (served.world.folder / f"var/public/feeds/po.{extension}").read_bytes()
    assert got.headers["content-type"] == f"{TYPES[extension]}; charset=utf-8"
    assert got.headers["last-modified"] == "Tue, 24 Nov 2026 07:00:00 GMT"
    head = served.send("HEAD", path)
    assert (head.status, head.body) == (200, b"")
    assert head.headers["content-length"] == str(len(got.body))
    assert head.headers["etag"] == got.headers["etag"]


def test_a_reader_that_has_it_already_gets_304_and_only_then(served):
    got = served.get("/feeds/po.rss")
    etag, changed = got.headers["etag"], got.headers["last-modified"]
    earlier = "Tue, 24 Nov 2026 06:59:59 GMT"
    for asked, answer in [
        ({"If_None_Match": etag}, 304),
        ({"If_None_Match": f'"other", W/{etag}'}, 304),
        ({"If_None_Match": "*"}, 304),
        ({"If_None_Match": '"other"'}, 200),
        ({"If_Modified_Since": changed}, 304),
        ({"If_Modified_Since": earlier}, 200),
        ({"If_Modified_Since": "yesterday"}, 200),
        ({"If_Modified_Since": "Mon, 01 Jan 2024 00:00:00 +99999999999999"}, 200),
        ({"If_None_Match": '"other"', "If_Modified_Since": changed}, 200),
    ]:
        again = served.get("/feeds/po.rss", **asked)
        assert again.status == answer, asked
        assert (again.headers["etag"], again.headers["last-modified"]) == (etag, changed)
        assert bool(again.body) == (answer == 200)
    served.world.run("2026-11-24T09:00")
    assert served.get("/feeds/po.rss").headers["etag"] == etag, "nothing new, nothing changed"


def test_nothing_but_published_files_is_served(served):
    public = served.world.folder / "var/public"
    (public / ".htpasswd").write_text("hidden")
    (public / "leak").symlink_to(served.world.folder / "var/gazet.db")
    for path in (
        "/feeds/",
        "/feeds",
        "/.htpasswd",
        "/leak",
        "/feeds/../../gazet.db",
        "/feeds/..%2f..%2fgazet.db",
        "/feeds/%2e%2e/%2e%2e/gazet.db",
        "/%2e%2e/secret",
        "/..%5csecret",
        "/feeds/po.rss%00",
        "/feeds/po.rss%00.html",
        "//feeds/po.rss",
        "/gazet.toml",
        "/docs",
        "/openapi.json",
        "/" + "x" * 5000,
    ):
        got = served.get(path)
        assert got.status == 404, path
        assert str(served.world.folder) not in got.text
        assert b"SQLite" not in got.body


def test_a_former_slug_leads_to_the_present_one_for_ever(served):
    old = served.world.folder / "var/public/feeds/oud.rss"
    old.write_text("what was published under the former name")
    served.world.write_feed(top='aliases = ["oud", "nog-ouder"]')
    served.world.reopen()
    for slug in ("oud", "nog-ouder"):
        for extension in TYPES:
            got = served.get(f"/feeds/{slug}.{extension}", Host="evil.example")
            assert (got.status, got.headers["location"]) == (301, f"{served.url}/feeds/po.{extension}")
    assert served.get("/feeds/oud.exe").status == 404
    assert served.get("/oud.rss").status == 404


def test_the_first_page_lists_the_feeds_by_the_address_in_the_settings_not_by_the_host_header(served):
    got = served.get("/", Host="evil.example")
    assert got.status == 200
    assert f'href="{served.url}/feeds/po.html"' in got.text
    assert "evil" not in got.text


@pytest.mark.parametrize("kept", [True, False], ids=["prefix kept", "prefix stripped"])
def test_everything_works_under_a_path_behind_a_proxy(world, kept):
    with Served(world, prefix="/nieuws/brief") as served:
        digest_world(world)
        links = {"unsubscribe": unsubscribe_link(world), "read": read_link(world)}
        assert all(url.startswith(f"{served.url}/{name}/") for name, url in links.items())
        paths = [served.path_of(url) for url in links.values()]
        paths += [f"{served.prefix}/{rest}" for rest in ("", "feeds/po.rss", "healthz")]
        proxied = {"X_Forwarded_For": "203.0.113.9", "X_Forwarded_Host": "evil.example", "Host": "evil.example"}
        for path in paths:
            got = served.get(path if kept else path.removeprefix(served.prefix), **proxied)
            assert got.status == 200, path
            assert "evil" not in got.text
            assert not re.findall(r'(?:href|src|action)="/', got.text), "a link from the root leads out of the path"
        assert served.get(served.prefix).status == 200
        page = served.get(served.path_of(links["unsubscribe"])).text
        assert "action=" not in page, "the button goes to where the page is"
        posted = served.path_of(links["unsubscribe"])
        assert served.post(posted if kept else posted.removeprefix(served.prefix)).status == 200


def test_every_answer_carries_the_headers_of_safety(served):
    token = unsubscribe_link(served.world).rpartition("/")[2]
    asked = [
        served.get(f"/unsubscribe/{token}"),
        served.post(f"/unsubscribe/{token}"),
        served.get(f"/unsubscribe/{token}x"),
        served.get(served.path_of(read_link(served.world))),
        served.post(f"/unsubscribe/{token}", b"x" * 9000),
    ]
    for got in asked:
        assert got.headers["referrer-policy"] == "no-referrer"
        assert got.headers["cache-control"] == "no-store"
        assert "noindex" in got.headers["x-robots-tag"]
    asked += [served.get(path) for path in ("/", "/feeds/po.html", "/feeds/po.rss", "/nope", "/healthz", "/metrics")]
    asked += [served.send(method, "/") for method in ("DELETE", "PUT", "OPTIONS", "TRACE", "PROPFIND", "BREW")]
    for got in asked:
        assert "strict-transport-security" not in got.headers, "site.url is http"
        assert "server" not in got.headers
        assert got.headers["x-content-type-options"] == "nosniff"
        policy = got.headers["content-security-policy"]
        for rule in ("default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'", "img-src 'self'"):
            assert rule in policy
        assert "script-src" not in policy
    assert asked[-1].status == 400, "no method of any kind"
    assert {got.status for got in asked[:-1]} == {200, 404, 405, 413}
    refused = served.send("DELETE", f"/unsubscribe/{token}")
    assert (refused.status, set(refused.headers["allow"].split(", "))) == (405, {"GET", "HEAD", "POST"})
    assert "'unsafe-inline'" not in served.get(f"/unsubscribe/{token}").headers["content-security-policy"]


def test_hsts_is_said_only_where_site_url_is_https(world):
    with Served(world) as served:
        toml = world.folder / "gazet.toml"
        toml.write_text(toml.read_text().replace("http://127", "https://127"))
        world.reopen()
        assert served.get("/healthz").headers["strict-transport-security"] == "max-age=31536000"


def test_a_large_body_is_refused_without_being_read(served):
    link = served.path_of(unsubscribe_link(served.world))
    before = dump(served.world)
    with served.talk() as line:
        line.sendall(f"POST {link} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n".encode())
        assert line.recv(15) == b"HTTP/1.1 413 Re"
    with served.talk() as line:
        line.sendall(f"POST {link} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        line.sendall(b"2000\r\n" + b"x" * 8192 + b"\r\n1\r\nx\r\n")
        assert line.recv(15) == b"HTTP/1.1 413 Re"
    assert dump(served.world) == before


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_body_that_nobody_wants_is_not_taken_for_the_next_request(served, method):
    link = served.path_of(unsubscribe_link(served.world))
    smuggled = f"POST {link} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".encode()
    before = dump(served.world)
    with served.talk() as line:
        line.sendall(f"{method} /nope HTTP/1.1\r\nHost: x\r\nContent-Length: {len(smuggled)}\r\n\r\n".encode() + smuggled)
        answers = b"".join(iter(lambda: line.recv(65536), b""))
    assert answers.count(b"HTTP/1.1") == 1
    assert dump(served.world) == before


def test_slow_heads_and_slow_bodies_end(world, monkeypatch):
    monkeypatch.setattr(server, "HEAD_SECONDS", 0.3)
    monkeypatch.setattr(edge, "BODY_SECONDS", 0.3)
    with Served(world) as served:
        link = served.path_of(unsubscribe_link(digest_world(world)))
        before = dump(world)
        with served.talk() as line:
            line.sendall(b"GET / HTTP/1.1\r\nHos")
            assert _ends(line) == b""
        with served.talk() as line:
            line.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /heal")
            assert _ends(line).startswith(b"HTTP/1.1 200"), "the first is answered, the second never comes"
        with served.talk() as line:
            line.sendall(f"POST {link} HTTP/1.1\r\nHost: x\r\nContent-Length: 26\r\n\r\nList-Unsub".encode())
            assert _ends(line).startswith(b"HTTP/1.1 408")
        assert dump(world) == before


def _ends(line: socket.socket) -> bytes:
    try:
        return b"".join(iter(lambda: line.recv(65536), b""))
    except ConnectionResetError:
        return b""


def test_heads_that_are_too_long_or_no_http_are_refused_and_nothing_is_said_of_it(served, capfd):
    for data in (
        b"GET / HTTP/1.1\r\nX: " + b"x" * 20_000,
        b"\x16\x03\x01 hello\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nA: \0\r\n\r\n",
    ):
        with served.talk() as line:
            line.sendall(data)
            answer = _ends(line)
        assert answer.startswith(b"HTTP/1.1 400")
        for name in EVERYWHERE:
            assert name.encode() in answer
    with served.talk() as line:  # a broken body in the middle of a request
        line.sendall(b"POST /unsubscribe/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
        _ends(line)
    assert served.get("/healthz").status == 200
    said = capfd.readouterr()
    assert "Traceback" not in said.out + said.err


def test_too_many_connections_are_turned_away_and_those_who_leave_make_room(served, monkeypatch):
    monkeypatch.setattr(server, "MAX_CONNECTIONS", 4)
    lines = [served.talk() for _ in range(6)]
    gone = [line for line in lines if _closed(line)]
    assert len(gone) == 2
    for line in lines:
        line.close()
    assert any(_answers(served) for _ in range(200))


def _closed(line: socket.socket) -> bool:
    line.settimeout(0.5)
    try:
        return line.recv(1) == b""
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False


def _answers(served: Served) -> bool:
    try:
        return served.get("/healthz").status == 200
    except OSError:
        return False


def test_too_many_requests_at_once_are_told_to_come_back(served, monkeypatch):
    monkeypatch.setattr(edge, "MAX_RUNNING", 0)
    got = served.get("/")
    assert (got.status, got.headers["retry-after"]) == (503, "10")
    assert set(EVERYWHERE) < set(got.headers)


def test_a_mistake_of_ours_is_a_page_without_inner_life_and_a_line_without_a_token(world):
    broken = False

    def site():
        if broken:
            return replace(world.site, links=None)
        return world.site

    with Served(world, site=site) as served:
        link = served.path_of(unsubscribe_link(digest_world(world)))
        broken = True
        got = served.get(link)
        assert got.status == 500
        assert "Er ging iets mis" in got.text
        assert "AttributeError" not in got.text
        assert len(served.said) == 1
        assert re.fullmatch(r"web: GET /unsubscribe/… failed: AttributeError in leave\.py:\d+", served.said[0])


# Health and figures


def test_health_names_the_site_and_nothing_that_is_secret(served):
    with served.world.site.store.write() as tx:
        runs.problem(tx, "source:x", "https://user:password@intranet.example is down", "", NOW)
    got = served.get("/healthz")
    assert (got.status, got.headers["content-type"], got.headers["cache-control"]) == (200, "application/json", "no-store")
    assert json.loads(got.text) == {
        "site": served.world.site.mark,
        "status": "attention",
        "reason": "",
        "problems": 1,
        "last_tick": "2026-11-24T07:00:00+00:00",
    }
    head = served.send("HEAD", "/healthz")
    assert (head.status, head.body) == (200, b"")


def test_a_site_on_which_nothing_has_run_is_well(world):
    with Served(world) as served:
        got = served.get("/healthz")
        assert (got.status, json.loads(got.text)["reason"]) == (200, "nothing has run yet")


def test_health_is_503_when_a_standing_run_ticks_no_more_and_not_between_two_runs_of_cron(served):
    assert served.get("/healthz").status == 200, "run --once: the next one comes when cron wants"
    _tick(served.world, finished=True)
    served.now = NOW + timedelta(minutes=4)
    assert served.get("/healthz").status == 200
    served.now = NOW + timedelta(minutes=6)
    got = served.get("/healthz")
    assert (got.status, json.loads(got.text)["reason"]) == (503, "the last tick is too long ago")
    assert served.send("HEAD", "/healthz").status == 503
    served.now = NOW - timedelta(days=1)
    assert served.get("/healthz").status == 200, "a clock that went back is no reason"


def test_health_is_503_when_a_tick_never_ends(served):
    _tick(served.world, finished=True)
    _tick(served.world, finished=False)
    served.now = NOW + timedelta(minutes=6)
    assert served.get("/healthz").status == 503


def _tick(world: World, *, finished: bool) -> None:
    with world.site.store.write() as tx:
        run = runs.start(tx, "tick", "x", NOW)
        if finished:
            runs.finish(tx, run, NOW, {"standing": True})


def test_health_says_when_the_store_is_away(world):
    with Served(world) as served:
        digest_world(world)
        world.site.store.engine.dispose()
        (world.folder / "var/gazet.db").write_bytes(b"not a database" * 1000)
        for beside in world.folder.glob("var/gazet.db-*"):
            beside.unlink()
        got = served.get("/healthz")
        assert (got.status, json.loads(got.text)["reason"]) == (503, "the store does not answer")
        assert served.get("/feeds/po.rss").status == 200, "feeds need no store"
        for path in ("/unsubscribe/" + world.site.links.token("unsubscribe", 1), "/metrics"):
            assert served.get(path).status == 503


def test_figures_are_read_from_the_store_when_asked(any_world):
    with Served(any_world) as served:
        digest_world(any_world, "ann", "bob")
        got = served.get("/metrics")
        assert got.status == 200
        assert got.headers["content-type"].startswith("text/plain; version=0.0.4")
        figures = _figures(got.text)
        assert figures["gazet_deliveries", "accepted"] == 2
        assert figures["gazet_deliveries", "queued"] == 0
        assert figures["gazet_sources", "ok"] == 1
        assert figures["gazet_subscriptions", "po", "active"] == 2
        assert figures["gazet_problems",] == 0
        assert figures["gazet_oldest_due_seconds",] == 0
        assert figures["gazet_last_tick_timestamp_seconds",] == NOW.timestamp() - 5 * 3600
        assert not any("example.org" in part for name in figures for part in name)


def test_a_source_that_nobody_asks_any_more_is_seen(served):
    served.now = NOW - timedelta(hours=4, minutes=59)  # 08:01 in Amsterdam, the minute in which it is due
    assert _figures(served.get("/metrics").text)["gazet_oldest_poll_seconds",] == 0
    served.now = NOW
    assert _figures(served.get("/metrics").text)["gazet_oldest_poll_seconds",] == 4 * 3600 + 59 * 60


def test_the_oldest_due_edition_is_seen_whether_it_was_opened_or_not(served):
    world = served.world
    served.now = NOW + timedelta(days=1)  # 13:00 in Amsterdam; 08:00 was due, and nothing has run
    assert _figures(served.get("/metrics").text)["gazet_oldest_due_seconds",] == 5 * 3600
    world.news("Nieuw", "2026-11-25T07:00")
    assert gazet("collect", "--now", "2026-11-25T08:00", site=world.folder).code == 0
    assert gazet("compose", "--now", "2026-11-25T08:00", site=world.folder).code == 0
    assert _figures(served.get("/metrics").text)["gazet_oldest_due_seconds",] == 5 * 3600
    with world.site.store.write() as tx:
        [edition] = editions.open_editions(tx, EditionStatus.SENDING)
        editions.set_status(tx, edition.id, EditionStatus.CANCELLED)
    assert _figures(served.get("/metrics").text)["gazet_oldest_due_seconds",] == 0


def _figures(text: str) -> dict[tuple[str, ...], float]:
    samples = (sample for family in text_string_to_metric_families(text) for sample in family.samples)
    return {(sample.name, *sample.labels.values()): sample.value for sample in samples}


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "X-Forwarded-Proto", "Via"])
def test_figures_are_not_for_those_behind_a_proxy(served, header):
    assert served.get("/metrics", **{header.replace("-", "_"): "203.0.113.9"}).status == 404


def test_figures_are_for_this_machine_alone(served):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("203.0.113.1", 9))  # sends nothing; it only chooses an address of this machine
        except OSError:
            pytest.skip("this machine has no address but loopback")
        own = probe.getsockname()[0]
    other = WebServer(served.server._server.config.app, f"{own}:0")
    other.start()
    try:
        host = other.url.removeprefix("http://")
        served.host = host
        assert served.get("/metrics").status == 404
        assert served.get("/healthz").status == 200
    finally:
        other.stop()


# As a process


@contextlib.contextmanager
def start(world: World, *words: str, listen: str) -> Iterator[subprocess.Popen[str]]:
    """A command in a process of its own, gone at the end."""
    command = [sys.executable, "-m", "pipeline", *words, "--site", str(world.folder)]
    env = {**os.environ, "GAZET_WEB__LISTEN": listen}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd="/", env=env) as process:
        try:
            yield process
        finally:
            process.kill()


def ended(process: subprocess.Popen[str]) -> str:
    """What else it says until its end after SIGTERM."""
    process.terminate()
    rest, _ = process.communicate(timeout=20)
    assert process.returncode == 0, rest
    assert "Traceback" not in rest
    return rest


def said_until(process: subprocess.Popen[str], word: str) -> list[str]:
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if word in line:
            return said
    raise AssertionError("".join(said))


@pytest.mark.parametrize("words", [("serve",), ("run",)], ids=["serve", "run"])
def test_serve_and_run_serve_and_end_on_sigterm(world, words):
    digest_world(world)
    link = unsubscribe_link(world).removeprefix(world.site.settings.site.url)
    with start(world, *words, listen="127.0.0.1:0") as process:
        line = json.loads(said_until(process, '"event": "serving"')[-1])
        served = Served(world)
        served.host = line["url"].removeprefix("http://")
        assert served.get("/feeds/po.rss").status == 200
        assert served.post(link).status == 200
        with served.talk():  # somebody who only keeps the line open does not keep it from ending
            rest = ended(process)
    assert link.rpartition("/")[2] not in rest
    assert "left" in "".join(dump(world)["consents"])


def test_serve_takes_edited_settings_without_a_restart(world):
    digest_world(world)
    with start(world, "serve", "--listen", "127.0.0.1:0", listen="127.0.0.1:1") as process:
        served = Served(world)
        served.host = json.loads(said_until(process, '"event": "serving"')[-1])["url"].removeprefix("http://")
        world.write_feed(top='aliases = ["oud"]')
        waited = threading.Event()
        assert any(served.get("/feeds/oud.rss").status == 301 or waited.wait(0.1) for _ in range(300))
        ended(process)


def test_serve_says_in_one_line_that_its_place_is_taken(world, free_port):
    with (
        socket.create_server(("127.0.0.1", free_port)),
        start(world, "serve", "--log-format", "text", listen=f"127.0.0.1:{free_port}") as process,
    ):
        said, _ = process.communicate(timeout=30)
    assert process.returncode == 1
    assert len(said.splitlines()) == 1
    assert f"cannot listen on 127.0.0.1:{free_port}: address already in use" in said
    assert status(world.site).problems == (), "typed beside gazet run it is no problem of that one, and nobody would ever mend it"
    with start(world, "serve", "--listen", "nowhere", listen="127.0.0.1:0") as process:
        said, _ = process.communicate(timeout=30)
        assert process.returncode == 2, said


def test_run_goes_on_where_its_web_server_cannot_listen_and_keeps_that_as_a_problem(world, free_port):
    world.news("Eerste", "2026-11-20T09:00")
    with (
        socket.create_server(("127.0.0.1", free_port)),
        start(world, "run", listen=f"127.0.0.1:{free_port}") as process,
    ):
        said = said_until(process, '"event": "published"')
        said += said_until(process, "cannot listen") if not any("cannot listen" in line for line in said) else []
        ended(process)
    assert sum("cannot listen" in line for line in said) == 1
    assert [problem.key for problem in status(world.site).problems] == ["web"]
    with start(world, "serve", listen=f"127.0.0.1:{free_port}") as process:  # and run --no-web from now on
        said_until(process, '"event": "serving"')
        assert status(world.site).problems == ()
        ended(process)


def test_run_leaves_the_place_to_another_server_when_told_so(world, free_port):
    world.news("Eerste", "2026-11-20T09:00")
    with start(world, "run", "--no-web", listen=f"127.0.0.1:{free_port}") as process:
        said = said_until(process, '"event": "published"')
        socket.create_server(("127.0.0.1", free_port)).close()
        said += [ended(process)]
    assert "serving" not in "".join(said)


@pytest.fixture
def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def test_a_port_that_cannot_be_had_is_said_with_its_fix():
    with pytest.raises(GazetError, match="cannot assign") as caught:
        WebServer(lambda *_: None, "203.0.113.1:0").start()  # type: ignore[arg-type]
    assert "[web]" in caught.value.fix


def test_a_feed_that_was_removed_is_still_served(served):
    shutil.move(served.world.folder / "feeds/po.toml", served.world.folder / "po.toml")
    served.world.reopen()
    assert served.get("/feeds/po.rss").status == 200
    assert served.get("/").status == 200


def test_the_page_of_a_digest_holds_no_personal_token(served):
    page = served.get(served.path_of(read_link(served.world)))
    stored = Path(served.world.folder / "var/gazet.db").read_bytes()
    assert b"Bericht 4" in page.body
    assert "ann@example.org" not in page.text
    assert "/unsubscribe/" not in page.text
    assert stored
    unknown = "/read/" + served.world.site.links.token("web", 5)
    assert (served.get(unknown).status, "staat hier niet meer" in served.get(unknown).text) == (404, True)
