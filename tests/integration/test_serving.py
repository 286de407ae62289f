"""Published files over HTTP: codings, validators, whole answers while files are replaced, bounded memory (issue 5, item 2)."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import os
import random
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import brotli
import pytest

from pipeline.jobs.publish_feed import publish_feed
from pipeline.publish.compressed import with_siblings
from pipeline.publish.files import publish_files
from pipeline.web import files, server, shelf
from pipeline.web.server import WebServer
from tests.needs import missing
from tests.served import NOW, Served, digest_world
from tests.servers.web import WebServer as Source
from tests.world import World

UNPACK = {"": bytes, "gzip": gzip.decompress, "br": brotli.decompress}
FORMATS = ("rss", "atom", "json", "html")
AT = datetime(2026, 11, 24, 7, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One site for all tests that change nothing in it but files of their own."""
    with Source() as source:
        world = World(tmp_path_factory.mktemp("serving") / "site", source)
        with Served(world) as served:
            digest_world(world)
            yield served
        world.close()


@pytest.fixture
def served(world: World) -> Iterator[Served]:
    with Served(world) as made:
        digest_world(world)
        yield made


def feeds(served: Served) -> Path:
    return served.world.folder / "var/public/feeds"


def published(served: Served, slug: str, data: bytes, at: datetime = AT) -> str:
    """A file of one's own; its address."""
    publish_files(feeds(served), slug, with_siblings({"rss": data}), at)
    return f"/feeds/{slug}.rss"


@pytest.mark.parametrize("extension", FORMATS)
def test_every_coding_is_an_answer_of_its_own_that_head_describes_and_304_repeats(shared, extension):
    path = f"/feeds/po.{extension}"
    plain = (feeds(shared) / f"po.{extension}").read_bytes()
    tags = set()
    for coding, unpack in UNPACK.items():
        got = shared.get(path, Accept_Encoding=coding or "identity")
        assert (got.status, got.headers.get("content-encoding", ""), unpack(got.body)) == (200, coding, plain)
        assert got.headers["content-length"] == str(len(got.body))
        assert got.headers["vary"] == "Accept-Encoding"
        for _ in range(2):  # read, and from the shelf
            head = shared.send("HEAD", path, Accept_Encoding=coding or "identity")
            assert (head.status, head.body) == (200, b"")
            assert {**head.headers, "date": ""} == {**got.headers, "date": ""}
        same = shared.get(path, Accept_Encoding=coding or "identity", If_None_Match=f'"x, y", W/{got.headers["etag"]}')
        assert (same.status, same.body) == (304, b"")
        for name in ("etag", "last-modified", "cache-control", "vary"):
            assert same.headers[name] == got.headers[name]
        assert not {"content-length", "content-type", "content-encoding", "content-security-policy"} & set(same.headers)
        tags.add(got.headers["etag"])
    assert len(tags) == 3
    assert all(tag.startswith('"') for tag in tags), "strong"


def test_a_reader_keeps_the_coding_that_it_has_where_that_suits(shared):
    plain = shared.get("/feeds/po.rss").headers["etag"]
    small = shared.get("/feeds/po.rss", Accept_Encoding="gzip").headers["etag"]
    kept = shared.get("/feeds/po.rss", Accept_Encoding="gzip, br", If_None_Match=plain)
    assert (kept.status, kept.headers["etag"]) == (304, plain)
    assert shared.get("/feeds/po.rss", If_None_Match=small).status == 200, "it does not say that it can read that"
    assert shared.get("/feeds/po.rss", Accept_Encoding="gzip", If_None_Match=f"{plain}, {small}").headers["etag"] == small


def test_several_lines_of_one_header_are_one_list(shared):
    tag = shared.get("/feeds/po.rss").headers["etag"]
    lines = f'GET /feeds/po.rss HTTP/1.1\r\nHost: x\r\nIf-None-Match: "a"\r\nIf-None-Match: {tag}\r\nConnection: close\r\n\r\n'
    assert talk(shared, lines.encode()).startswith(b"HTTP/1.1 304")


def test_a_reader_that_comes_back_after_a_restored_backup_gets_what_is_there_now(shared):
    path = published(shared, "terug", b"new" * 1000, AT + timedelta(hours=1))
    later = shared.get(path).headers["last-modified"]
    assert shared.get(path, If_Modified_Since=later).status == 304
    published(shared, "terug", b"old" * 1000, AT)
    assert shared.get(path, If_Modified_Since=later).status == 200
    assert shared.get(path, If_Modified_Since="Tue, 24 Nov 2099 07:00:00 GMT").status == 304


def test_scripts_of_other_sites_may_read_feeds_and_know_their_tags(shared):
    for extension in ("rss", "atom", "json"):
        got = shared.get(f"/feeds/po.{extension}", Origin="https://reader.example")
        assert got.headers["access-control-allow-origin"] == "*"
        assert got.headers["access-control-expose-headers"] == "ETag"
        asked = shared.send(
            "OPTIONS",
            f"/feeds/po.{extension}",
            Origin="https://reader.example",
            Access_Control_Request_Method="GET",
            Access_Control_Request_Headers="if-none-match",
        )
        assert (asked.status, asked.body) == (204, b"")
        assert asked.headers["access-control-allow-origin"] == "*"
        assert "If-None-Match" in asked.headers["access-control-allow-headers"]
        assert "GET" in asked.headers["access-control-allow-methods"]
    page = shared.send("OPTIONS", "/feeds/po.html")
    assert (page.status, page.headers["allow"]) == (204, "GET, HEAD, OPTIONS")
    assert not [name for name in [*page.headers, *shared.get("/feeds/po.html").headers] if name.startswith("access-control")]


@pytest.mark.parametrize("name", ["po.rss.gz", "po.rss.br", ".po.rss.1-2.tmp", ".po.rss.gz"])
def test_what_lies_beside_a_file_has_no_address_of_its_own(shared, name):
    (feeds(shared) / ".po.rss.1-2.tmp").write_bytes(b"half")
    (feeds(shared) / ".po.rss.gz").write_bytes(b"half")
    assert shared.get(f"/feeds/{name}").status == 404


def test_other_ways_of_writing_an_address_lead_to_the_same_file_and_to_no_other(shared):
    tag = shared.get("/feeds/po.rss").headers["etag"]
    (feeds(shared) / "a%20b.txt").write_text("a name with a per cent sign in it")
    for path in ("/feeds/po%2erss", "/feeds/po.rss?utm_source=x", f"{shared.url}/feeds/po.rss"):
        assert shared.get(path).headers["etag"] == tag, path
    assert shared.get("/feeds/a%2520b.txt").status == 200
    assert shared.get("/feeds/a%20b.txt").status == 404


@pytest.mark.parametrize(("every", "seconds"), [("1m", 300), ("20m", 1200), ("6h", 3600)])
def test_a_feed_may_be_kept_for_as_long_as_its_sources_are_not_asked(world, every, seconds):
    with Served(world) as served:
        digest_world(world)
        assert served.get("/feeds/po.rss").headers["cache-control"] == "public, max-age=300"
        world.write_feed(every=every)
        world.reopen()
        assert served.get("/feeds/po.rss").headers["cache-control"] == f"public, max-age={seconds}"


def test_a_sibling_of_other_bytes_is_not_sent_and_is_mended_when_the_feed_is_next_published(served):
    stale, missing_one = feeds(served) / "po.rss.gz", feeds(served) / "po.atom.br"
    stat = stale.stat()
    stale.write_bytes(gzip.compress(b"old", mtime=0))
    os.utime(stale, (stat.st_mtime, stat.st_mtime))
    missing_one.unlink()
    got = served.get("/feeds/po.rss", Accept_Encoding="gzip")
    assert ("content-encoding" in got.headers, b"Bericht 4" in got.body) == (False, True)
    assert publish_feed(served.world.site, "po", NOW).written
    assert not publish_feed(served.world.site, "po", NOW).written
    assert gzip.decompress(stale.read_bytes()) == (feeds(served) / "po.rss").read_bytes()
    assert brotli.decompress(missing_one.read_bytes()) == (feeds(served) / "po.atom").read_bytes()


@pytest.mark.parametrize("harm", [lambda data: data[:-9], lambda data: data + b"x", lambda _: b"", lambda data: data * 2])
@pytest.mark.parametrize("suffix", ["gz", "br"])
def test_half_a_sibling_or_more_than_one_is_none(tmp_path, harm, suffix):
    publish_files(tmp_path, "po", with_siblings({"rss": b"news " * 5000}), AT)
    path = tmp_path / f"po.rss.{suffix}"
    path.write_bytes(harm(path.read_bytes()))
    found = files.read(tmp_path / "po.rss", 300)
    assert found is not None
    assert set(found.coded) == {"", *{"gz": "gzip", "br": "br"}.values()} - {{"gz": "gzip", "br": "br"}[suffix]}


def test_a_sibling_that_unpacks_to_gigabytes_is_given_up_early(tmp_path, monkeypatch):
    (tmp_path / "po.rss").write_bytes(b"news" * 1000)
    (tmp_path / "po.rss.br").write_bytes(brotli.compress(bytes(50_000_000), quality=1))
    seen: list[int] = []
    real = files._unbrotli
    monkeypatch.setattr(files, "_unbrotli", lambda packed: (seen.append(len(piece)) or piece for piece in real(packed)))
    found = files.read(tmp_path / "po.rss", 300)
    assert found is not None
    assert set(found.coded) == {""}
    assert sum(seen) < 2_000_000


def test_siblings_that_come_after_their_file_are_found(shared, monkeypatch):
    monkeypatch.setattr(shelf, "_LOOK_AGAIN_SECONDS", 0.0)
    path, made = "/feeds/eerst.rss", with_siblings({"rss": b"news " * 1000})
    publish_files(feeds(shared), "eerst", {"rss": made["rss"]}, AT)
    assert "content-encoding" not in shared.get(path, Accept_Encoding="br").headers
    publish_files(feeds(shared), "eerst", made, AT)
    assert shared.get(path, Accept_Encoding="br").headers["content-encoding"] == "br"


def test_a_file_that_is_too_large_to_keep_is_sent_piece_by_piece_and_who_takes_nothing_is_let_go(served, monkeypatch):
    monkeypatch.setattr(files, "KEPT_BYTES", 100_000)
    monkeypatch.setattr(server, "HEAD_SECONDS", 0.3)
    data = random.Random(5).randbytes(12_000_000)
    path = published(served, "groot", data)
    got = served.get(path)
    assert (got.status, got.body == data, got.headers["content-length"]) == (200, True, str(len(data)))
    assert served.send("HEAD", path).headers["content-length"] == str(len(data))
    assert served.get(path, If_None_Match=got.headers["etag"]).status == 304
    published(served, "groot", data[::-1], AT + timedelta(seconds=1))
    assert served.get(path).body == data[::-1]
    with served.talk() as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        line.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        connections = served.server._server.server_state.connections
        assert any(not connections or time.sleep(0.05) for _ in range(400)), "nobody is waited for who reads nothing"
    assert published_bytes(served) < 1_000_000


def published_bytes(served: Served) -> int:
    """What the server's memory holds of published files."""
    return served.server._server.config.app._shelf.bytes  # type: ignore[union-attr,no-any-return]


def test_memory_is_bounded_however_many_files_are_asked_for(shared, monkeypatch):
    monkeypatch.setattr(shelf, "MOST_BYTES", 300_000)
    for number in range(60):
        (feeds(shared) / f"veel{number}.txt").write_bytes(b"%d" % number * 10_000)
        assert shared.get(f"/feeds/veel{number}.txt").status == 200
        assert published_bytes(shared) <= 300_000
    assert shared.get("/feeds/veel0.txt").body == b"0" * 10_000, "read anew"


def build(number: int) -> bytes:
    return b"%d\n" % number + random.Random(number).randbytes(200).hex().encode() * (10 + number % 40)


def test_every_answer_is_whole_while_a_feed_is_rebuilt_a_thousand_times(shared, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda _: None)  # what the disk is told makes no difference to readers
    path = published(shared, "druk", build(0))
    done, tags, faults, counts = threading.Event(), {}, [], {"": 0, "gzip": 0, "br": 0}

    def loop(coding: str) -> None:
        line = http.client.HTTPConnection(shared.host, timeout=30)
        tag = ""
        while not done.is_set():
            line.request("GET", path, headers={"Accept-Encoding": coding or "identity", "If-None-Match": tag})
            answer = line.getresponse()
            body, headers = answer.read(), answer.headers
            counts[coding] += 1
            if answer.status == 304:
                faults.extend([] if headers["etag"] == tag else [headers["etag"]])
                continue
            tag = headers["etag"]
            plain = UNPACK[headers["content-encoding"] or ""](body)
            whole = plain == build(int(plain.split(b"\n")[0])) and int(headers["content-length"]) == len(body)
            if answer.status != 200 or not whole or tags.setdefault(tag, body) != body:
                faults.append(answer.status)
        line.close()

    readers = [threading.Thread(target=loop, args=(coding,)) for coding in counts]
    for reader in readers:
        reader.start()
    for number in range(1, 1001):
        published(shared, "druk", build(number), AT + timedelta(seconds=number))
    done.set()
    for reader in readers:
        reader.join()
    assert faults == []
    assert len({*tags.values()}) == len(tags), "the same bytes have the same tag"
    assert min(counts.values()) > 10


def test_a_tag_changes_only_with_the_bytes(served):
    tag = served.get("/feeds/po.rss").headers["etag"]
    (feeds(served) / "po.rss").touch()
    assert served.get("/feeds/po.rss").headers["etag"] == tag
    publish_feed(served.world.site, "po", NOW)
    assert served.get("/feeds/po.rss").headers["etag"] == tag
    served.world.news("Nog een", "2026-11-24T08:30")
    served.world.run("2026-11-24T09:00")
    assert served.get("/feeds/po.rss").headers["etag"] != tag


# The protocol below


def talk(served: Served, data: bytes) -> bytes:
    """All that is answered until the other side ends the connection."""
    with served.talk() as line, contextlib.suppress(ConnectionResetError):
        line.sendall(data)
        return b"".join(iter(lambda: line.recv(65536), b""))
    return b""


def test_requests_that_come_together_are_answered_in_their_order(shared):
    tag = shared.get("/feeds/po.rss").headers["etag"].encode()
    one = b"GET /feeds/po.rss HTTP/1.1\r\nHost: x\r\nIf-None-Match: " + tag + b"\r\n\r\n"
    slow, last = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", b"GET /nope HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    answers = talk(shared, one + slow + one + last)
    assert [line.split()[1] for line in answers.splitlines() if line.startswith(b"HTTP/1.1")] == [b"304", b"200", b"304", b"404"]


def test_too_many_requests_at_once_on_one_connection_end_it(shared):
    assert talk(shared, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 500).count(b"HTTP/1.1 200") < 20


@pytest.mark.parametrize("hosts", ["", "Host: a\r\nHost: b\r\n"])
def test_a_request_for_no_host_or_two_is_refused(shared, hosts):
    assert talk(shared, f"GET /feeds/po.rss HTTP/1.1\r\n{hosts}\r\n".encode()).startswith(b"HTTP/1.1 400")
    assert talk(shared, b"GET /feeds/po.rss HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"OPTIONS"])
def test_an_address_that_is_no_path_is_none_of_ours_and_tells_the_operator_nothing(shared, method):
    asked = b" * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    answer = talk(shared, method + asked).partition(b"\r\n\r\n")[0]
    assert answer.split()[1] in (b"404", b"405")
    assert b"nosniff" in answer


def test_what_never_ends_behind_a_body_is_cut_off(shared):
    head = b"POST /unsubscribe/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert b"200 OK" not in talk(shared, head + b"1\r\nx\r\n0\r\n" + b"X-More: yes\r\n" * 200_000)
    assert b"200 OK" not in talk(shared, head + b"1;" + b"x" * 1_000_000)
    assert shared.get("/healthz").status == 200


def test_a_body_with_a_get_of_a_feed_is_not_the_next_request(shared):
    smuggled = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    head = b"GET /feeds/po.rss HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(smuggled)
    answers = talk(shared, head + smuggled)
    assert answers.startswith(b"HTTP/1.1 200")
    assert answers.count(b"HTTP/1.1 ") == 1


def test_a_body_that_is_refused_before_it_came_is_not_the_next_request(shared):
    with shared.talk() as line, contextlib.suppress(OSError):
        line.sendall(b"POST /unsubscribe/x HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n")
        answers = line.recv(65536)
        assert answers.startswith(b"HTTP/1.1 413")
        line.sendall(b"GET /feeds/po.rss HTTP/1.1\r\nHost: x\r\n\r\n")
        answers += b"".join(iter(lambda: line.recv(65536), b""))
    assert answers.count(b"HTTP/1.1 ") == 1


def test_a_request_inside_the_head_of_another_is_none(shared):
    assert shared.get("/feeds/po.rss").status == 200
    with shared.talk() as line:
        line.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Rest: ")
        while not any(one._unfinished for one in list(shared.server._server.server_state.connections)):
            time.sleep(0.005)
        line.sendall(b"GET /feeds/po.rss HTTP/1.1\r\nHost: y\r\n\r\n")
        assert b"".join(iter(lambda: line.recv(65536), b"")).startswith(b"HTTP/1.1 400"), "a head with two hosts"


@pytest.mark.parametrize("pieces", [(1, 2), (20, 27), (3, 40)])
def test_a_request_that_comes_in_pieces_behind_another_has_its_answer_behind_the_others(shared, pieces):
    tag = shared.get("/feeds/po.rss").headers["etag"].encode()
    one = b"GET /feeds/po.rss HTTP/1.1\r\nHost: x\r\nIf-None-Match: " + tag + b"\r\n\r\n"
    sent = [b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", one[: pieces[0]], one[pieces[0] : pieces[1]], one[pieces[1] :], one]
    with shared.talk() as line:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in [*sent, b"GET /nope HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"]:
            line.sendall(piece)
        answers = b"".join(iter(lambda: line.recv(65536), b""))
    assert [line.split()[1] for line in answers.splitlines() if line.startswith(b"HTTP/1.1")] == [b"200", b"304", b"304", b"404"]


def test_who_asks_and_never_reads_costs_little(served, monkeypatch):
    monkeypatch.setattr(server, "HEAD_SECONDS", 0.3)
    path = published(served, "stil", random.Random(1).randbytes(200_000))
    assert served.get(path).status == 200
    connections, held = served.server._server.server_state.connections, [0]
    with served.talk() as line, contextlib.suppress(OSError):
        line.settimeout(5)
        for _ in range(200):
            line.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode() * 5)
        for _ in range(400):
            held += [one.transport.get_write_buffer_size() for one in list(connections)]
            if not connections:
                break
            time.sleep(0.05)
    assert not connections, "it is let go"
    assert max(held) < 1_000_000, "of 200 MB that were asked for"


# Others


def test_nginx_serves_the_same_folder_just_as_well_as_the_handbook_says(shared, tmp_path):
    if not shutil.which("nginx"):
        missing("nginx is not installed")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (tmp_path / "nginx.conf").write_text(_nginx_conf(tmp_path, port, shared.server.url))
    shutil.copytree(shared.world.folder / "var/public", tmp_path / "public")
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    with subprocess.Popen(["nginx", "-c", str(tmp_path / "nginx.conf")], stderr=subprocess.PIPE) as process:
        try:
            assert any(_listens(port) or time.sleep(0.05) for _ in range(200))
            static = Served(shared.world)
            static.host = f"127.0.0.1:{port}"
            _serves_as_well(static, shared)
        finally:
            process.terminate()


def _nginx_conf(folder: Path, port: int, gazet: str) -> str:
    handbook = (Path(__file__).parents[2] / "docs/operations.md").read_text(encoding="utf-8")
    block = next(block for block in handbook.split("```nginx\n") if "gzip_static" in block).partition("```")[0]
    block = block.replace("/srv/news/var/public", f"{folder}/public").replace("http://127.0.0.1:8080", gazet)
    temporary = "".join(f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    challenge = "location /.well-known/acme-challenge/ { return 200; }"
    return (
        f"daemon off; master_process off; pid {folder}/pid; error_log {folder}/log; events {{}}\n"
        f"http {{ access_log off; {temporary} server {{ listen 127.0.0.1:{port}; {block} {challenge} }} }}\n"
    )


def _serves_as_well(static: Served, shared: Served) -> None:
    for extension in FORMATS:
        path = f"/feeds/po.{extension}"
        ours, small = shared.get(path), static.get(path, Accept_Encoding="gzip")
        assert small.headers["content-encoding"] == "gzip"
        assert gzip.decompress(small.body) == static.get(path).body == ours.body
        for name in ("content-type", "last-modified", "vary", "access-control-allow-origin"):
            assert small.headers[name] == ours.headers.get(name, "*"), name
        assert static.get(path, Accept_Encoding="gzip", If_None_Match=small.headers["etag"]).status == 304
    for name in ("/feeds/po.rss.gz", "/feeds/po.rss.br", "/feeds/.po.rss.1-1.tmp"):
        assert static.get(name).text.count("nginx"), "neither a sibling nor half a file, and Gazet is not asked"
    challenge = static.get("/.well-known/acme-challenge/x")
    assert challenge.status == 200, "the other locations of the server go on, as that by which certificates are renewed"
    assert "Platform Samen Opleiden" in static.get("/feeds/weg.rss").text, "Gazet answers for what is not there"


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


class Heard:
    """An application and the statuses that it answered with."""

    def __init__(self, app) -> None:
        self.app = app
        self.statuses: list[int] = []

    async def __call__(self, scope, receive, send) -> None:
        async def hearing(message) -> None:
            if message["type"] == "http.response.start":
                self.statuses.append(message["status"])
            await send(message)

        await self.app(scope, receive, hearing)

    def at_once(self, *request):
        if answer := self.app.at_once(*request):
            self.statuses.append(answer.status)
        return answer


NEWSBOAT = (("newsboat", "-u", "urls", "-c", "cache.db", "-C", "config", "-x", "reload"),)
RSS2EMAIL = tuple(
    ("r2e", "-c", "r2e.cfg", "-d", "r2e.json", *words)
    for words in (("new", "ann@example.org"), ("add", "po", "URL"), ("run", "--no-send"))
)


@pytest.mark.parametrize(
    ("commands", "statuses"),
    # newsboat keeps no validators of a feed that it sees for the first time.
    [(NEWSBOAT, [200, 200, 304]), (RSS2EMAIL, [200, 304, 304])],
    ids=["newsboat", "rss2email"],
)
def test_readers_of_debian_that_come_again_get_304(shared, tmp_path, commands, statuses):
    if not shutil.which(commands[0][0]):
        missing(f"{commands[0][0]} is not installed")
    heard = Heard(shared.server._server.config.app)
    other = WebServer(heard, "127.0.0.1:0")
    other.start()
    url = f"{other.url}/feeds/po.rss"
    (tmp_path / "urls").write_text(f"{url}\n")
    (tmp_path / "config").write_text("")
    env = {**os.environ, "HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path)}
    env.pop("PYTHONPATH", None)
    for words in (*commands, commands[-1], commands[-1]):
        command = [url if word == "URL" else word for word in words]
        done = subprocess.run(command, cwd=tmp_path, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
    other.stop()
    assert heard.statuses == statuses
