"""How Gazet behaves towards servers, and how little they can do to it: one test per manner."""

from __future__ import annotations

import gzip
import re
import socket
import ssl
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import brotli
import pytest
import requests.adapters
import trustme
from urllib3.connection import HTTPConnection

from pipeline.collect.polling import Known, Move, PollHistory, move_after, next_poll, settled_move, to_ask
from pipeline.config.sections import CollectSettings
from pipeline.errors import AddressRefusedError, FetchError, ReadError
from pipeline.http import Accept, Fetcher, HostGate, Measured, connection, from_settings
from pipeline.http import fetch as fetching
from pipeline.http.robots import MAX_CRAWL_DELAY, Robots
from pipeline.models import PollHints
from tests.servers.web import WebServer, closed_port

NOW = datetime(2026, 11, 24, 8, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)
LIMIT = 100_000


def fetcher(allow: bool | tuple[str, ...] = True, *, seconds: float = 5, gate: HostGate | None = None) -> Fetcher:
    agent = "Gazet/test (+https://x.example)"
    return Fetcher(allow=allow, timeout=timedelta(seconds=seconds), max_bytes=LIMIT, user_agent=agent, gate=gate)


@pytest.fixture
def web() -> Iterator[WebServer]:
    with WebServer() as server:
        yield server


# Polling: the server's words reach next_poll.


def test_a_304_with_max_age_postpones_the_next_poll(web: WebServer) -> None:
    web.serve("/feed", "x", headers={"ETag": '"1"', "Cache-Control": "max-age=14400"}, conditional=True)
    found = fetcher().fetch(web.url("/feed"), etag='"1"')
    assert found.not_modified
    following = next_poll(PollHistory(HOUR, status=304), found.headers, PollHints(), NOW)
    assert (following.when, following.why) == (NOW + 4 * HOUR, "the server's max-age says 4 h")


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("value", ["7200", "Tue, 24 Nov 2026 10:30:00 GMT"])
def test_retry_after_in_both_forms_is_waited_for(web: WebServer, status: int, value: str) -> None:
    sent = f"HTTP/1.1 {status} Busy\r\nDate: Tue, 24 Nov 2026 08:30:00 GMT\r\nRetry-After: {value}\r\nContent-Length: 0\r\n\r\n"
    web.drop("/feed", after=sent.encode())
    with pytest.raises(FetchError) as caught:
        fetcher().fetch(web.url("/feed"))
    history = PollHistory(HOUR, 1, status, caught.value.retry_after or 0)
    assert next_poll(history, {}, PollHints(), NOW).when == NOW + 2 * HOUR


def test_a_source_is_asked_without_conditions_exactly_once_at_the_start_and_then_daily(web: WebServer) -> None:
    headers = {"ETag": '"1"', "Last-Modified": "Mon, 23 Nov 2026 11:46:40 GMT"}
    web.serve("/feed", "x", headers=headers, conditional=True)
    known = Known()
    for hour in range(26):
        now = NOW + hour * HOUR
        asked = to_ask(known, now)
        found = fetcher().fetch(web.url("/feed"), etag=asked.etag, last_modified=asked.last_modified)
        whole_at = known.whole_at if asked.conditional else now
        known = Known(found.etag or known.etag, found.last_modified or known.last_modified, whole_at)
    plain = [number for number, request in enumerate(web.requests) if "if-none-match" not in request.headers]
    assert plain == [0, 24]
    given = {(one.headers["if-none-match"], one.headers["if-modified-since"]) for one in web.requests[1:24]}
    assert given == {('"1"', headers["Last-Modified"])}


def test_gone_for_good_is_for_a_person(web: WebServer) -> None:
    web.serve("/feed", status=410)
    with pytest.raises(FetchError) as caught:
        fetcher().fetch(web.url("/feed"))
    assert (caught.value.status, caught.value.retryable) == (410, False)


@pytest.mark.parametrize(
    ("codes", "lasting"),
    [((301,), True), ((308, 301), True), ((301, 302), False), ((307, 301), False), ((302,), False), ((), False)],
)
def test_a_move_is_permanent_if_every_redirect_is(web: WebServer, codes: tuple[int, ...], lasting: bool) -> None:
    for number, code in enumerate(codes):
        web.redirect(f"/{number}", f"/{number + 1}", status=code)
    end = web.url(f"/{len(codes)}")
    web.serve(f"/{len(codes)}", "x")
    assert fetcher().fetch(web.url("/0")).moved_to == (end if lasting else "")


def test_a_moved_source_is_asked_at_its_old_address_for_a_week_and_conditionally_there(web: WebServer) -> None:
    with WebServer() as new:
        new.serve("/feed", "x", headers={"ETag": '"1"'}, conditional=True)
        web.redirect("/feed", new.url("/feed"), status=301)
        move, etag = Move(), ""
        for day in range(9):
            now = NOW + timedelta(days=day)
            url = settled_move(move.to, move.since, now) or web.url("/feed")
            found = fetcher().fetch(url, etag=etag, given_by=move.to)
            move, etag = move_after(move, url, found.moved_to, now), found.etag or etag
        assert len(web.requests) == 7
        assert ["if-none-match" in request.headers for request in new.requests] == [False] + [True] * 8
        assert not any("if-none-match" in request.headers for request in web.requests)


# What is sent, and what is not.


@pytest.mark.parametrize("accept", list(Accept))
def test_each_kind_of_document_has_its_own_accept_and_no_request_more_than_it_needs(web: WebServer, accept: Accept) -> None:
    web.serve("/a", "x", headers={"Set-Cookie": "id=1; Path=/"})
    one = fetcher()
    one.fetch(web.url("/a"))
    one.fetch(web.url("/a"), accept=accept)
    sent = {"host", "user-agent", "accept", "accept-encoding", "connection"}
    assert [set(request.headers) for request in web.requests] == [sent, sent]
    assert web.requests[1].headers["accept"] == accept.value


def test_no_password_is_taken_from_this_machines_files(web: WebServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login ann password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    web.serve("/a", "x")
    fetcher().fetch(web.url("/a"))
    assert "authorization" not in web.requests[0].headers


def test_an_encoded_validator_goes_back_as_the_bytes_that_came(web: WebServer) -> None:
    etag = b'W/"caf\xc3\xa9 \x80\xff, 1"'
    web.drop("/a", after=b"HTTP/1.1 200 OK\r\nETag: " + etag + b"\r\nContent-Length: 1\r\n\r\nx")
    found = fetcher().fetch(web.url("/a"))
    fetcher().fetch(web.url("/a"), etag=found.etag)
    assert web.requests[1].headers["if-none-match"].encode("latin-1") == etag


@pytest.mark.parametrize("value", ['"1"\r\nX: y', '"1"\0', '"\u20ac"', ' "1"', '\x0b"1"'])
def test_a_validator_that_no_server_can_have_sent_is_not_sent(web: WebServer, value: str) -> None:
    web.serve("/a", "x")
    fetcher().fetch(web.url("/a"), etag=value, last_modified="x")
    assert "if-none-match" not in web.requests[0].headers
    assert web.requests[0].headers["if-modified-since"] == "x"


def test_only_what_is_new_is_accepted_where_it_was_offered_and_nowhere_else(web: WebServer) -> None:
    web.serve("/feed", "new", status=226, headers={"IM": "feed", "ETag": '"2"'})
    found = fetcher().fetch(web.url("/feed"), etag='"1"', deltas=True)
    assert (found.status, found.body, found.etag) == (226, b"new", '"2"')
    assert web.requests[0].headers["a-im"] == "feed"
    for asked in ({"etag": '"1"'}, {"deltas": True}):
        with pytest.raises(FetchError, match="226"):
            fetcher().fetch(web.url("/feed"), **asked)  # type: ignore[arg-type]
    assert not any("a-im" in request.headers for request in web.requests[1:])


def test_a_header_that_is_repeated_or_folded_is_read_whole(web: WebServer) -> None:
    head = b"HTTP/1.1 200 OK\r\nCache-Control: public\r\ncache-control:\r\n max-age=7200 \r\nContent-Length: 0\r\n\r\n"
    web.drop("/a", after=head)
    assert fetcher().fetch(web.url("/a")).headers["cache-control"] == "public, max-age=7200"


# Measuring files.


def test_a_file_is_measured_without_being_read(web: WebServer) -> None:
    web.serve("/rapport.pdf", b"x" * 9, content_type="Application/PDF; q=1", headers={"Content-Length": "123456789"})
    assert fetcher().measure(web.url("/rapport.pdf")) == Measured("application/pdf", 123456789)
    assert [request.method for request in web.requests] == ["HEAD"]


def test_where_head_is_unknown_one_byte_is_asked_for(web: WebServer) -> None:
    def answer(handler: Any) -> None:
        if handler.command == "HEAD":
            handler.raw(b"HTTP/1.1 405 No\r\nContent-Length: 0\r\n\r\n")
        else:
            handler.raw(
                b"HTTP/1.1 206 Part\r\nContent-Type: image/png\r\nContent-Range: bytes 0-0/5000\r\nContent-Length: 1\r\n\r\nx"
            )

    web.behave("/a.png", answer)
    assert fetcher().measure(web.url("/a.png")) == ("image/png", 5000)
    assert web.requests[1].headers["range"] == "bytes=0-0"


def test_an_endless_file_without_a_length_is_measured_too(web: WebServer) -> None:
    web.drip("/a", head=b"HTTP/1.1 200 OK\r\nContent-Type: video/mp4\r\nContent-Length: 99999999999999999999\r\n\r\n")
    assert fetcher().measure(web.url("/a")) == ("video/mp4", 0)
    with pytest.raises(FetchError, match="404"):
        fetcher().measure(web.url("/missing"))


# Hostile answers.


@pytest.mark.parametrize("pieces", [1, 7, 100_000])
def test_a_brotli_answer_is_unpacked(web: WebServer, pieces: int) -> None:
    text = "Vergrößerung één ".encode() * 4000
    packed = brotli.compress(text)
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in _cut(packed, pieces))
    web.drop("/a", after=b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n")
    assert fetcher().fetch(web.url("/a")).body == text


def _cut(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


@pytest.mark.parametrize("encoding", ["gzip", "br"])
def test_a_bomb_is_stopped_by_the_limit_and_takes_no_memory(web: WebServer, encoding: str) -> None:
    zeros = b"\0" * 200_000_000
    bomb = brotli.compress(zeros, quality=1) if encoding == "br" else gzip.compress(zeros, 6, mtime=0)
    del zeros
    web.serve("/a", bomb, headers={"Content-Encoding": encoding})
    tracemalloc.start()
    try:
        with pytest.raises(FetchError, match="100,000 bytes"):
            fetcher().fetch(web.url("/a"))
        assert tracemalloc.get_traced_memory()[1] < 3_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("body", [brotli.compress(b"x" * 999)[:-4], b"plain text", b""])
def test_broken_brotli_is_no_answer(web: WebServer, body: bytes) -> None:
    web.serve("/a", body, headers={"Content-Encoding": "br"})
    with pytest.raises(FetchError):
        fetcher().fetch(web.url("/a"))


def _endless(*, head: bytes, again: bytes) -> Callable[[Any], None]:
    def send(handler: Any) -> None:
        handler.close_connection = True
        handler.wfile.write(head)
        try:
            while not handler.server.owner.stopped.is_set():
                handler.wfile.write(again * 500)
        except OSError:
            return

    return send


HEAD = b"HTTP/1.1 200 OK\r\n"
ENDLESS = {
    "status line": (b"HTTP/1.1 200 ", b"x", "headers"),
    "interim answers": (b"", b"HTTP/1.1 100 Continue\r\n\r\n", "headers"),
    "headers": (HEAD, b"A: b\r\n", "headers"),
    "long headers": (HEAD, b"A: " + b"b" * 9000 + b"\r\n", "headers"),
    "header line": (HEAD, b"A", "headers"),
    "body": (HEAD + b"\r\n", b"x", "100,000 bytes"),
    "chunks": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n", "100,000 bytes"),
    "chunk extension": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;", b"x", "connection broke"),
    "trailers": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"A: b\r\n", "100,000 bytes"),
}


@pytest.mark.parametrize("part", ENDLESS)
def test_no_part_of_an_answer_can_go_on_for_ever(web: WebServer, part: str) -> None:
    head, again, reason = ENDLESS[part]
    web.behave("/a", _endless(head=head, again=again))
    with pytest.raises(FetchError, match=reason):
        fetcher(seconds=60).fetch(web.url("/a"))


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200 + b"\r\n", "too many or too long headers"),
        (b"SSH-2.0-OpenSSH\r\n", "does not answer in HTTP"),
        (HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n", "transfer encoding"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", "broke"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n-5\r\nxxxxx", "broke"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nxx", "broke"),
        (HEAD + b"Content-Length: 9\r\n\r\nxx", "broke"),
        (HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx", "contradict"),
        (b"HTTP/1.1 two OK\r\n\r\n", "does not answer in HTTP"),
    ],
)
def test_a_broken_answer_says_what_is_wrong_with_it(web: WebServer, sent: bytes, reason: str) -> None:
    web.drop("/a", after=sent)
    with pytest.raises(FetchError, match=reason):
        fetcher().fetch(web.url("/a"))


def test_what_is_odd_about_a_servers_headers_is_no_line_in_the_log(web: WebServer, caplog: pytest.LogCaptureFixture) -> None:
    odd = b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\nno colon\r\nA: b\r\n\r\n1\r\nx\r\n0\r\n\r\n"
    web.drop("/a", after=HEAD + odd)
    assert fetcher().fetch(web.url("/a")).body == b"x"
    assert caplog.records == []


@pytest.mark.parametrize("head", [HEAD + b"\r\n", HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;"])
def test_a_byte_now_and_then_does_not_outlast_the_deadline(web: WebServer, head: bytes) -> None:
    web.drip("/a", head=head)
    with pytest.raises(FetchError, match=r"within 0\.3 s"):
        fetcher(seconds=0.3).fetch(web.url("/a"))


def test_a_silent_tls_handshake_does_not_outlast_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, pytest.raises(FetchError, match=r"within 0\.3 s"):
        fetcher(seconds=0.3).fetch(f"https://127.0.0.1:{listener.getsockname()[1]}/")


@pytest.fixture
def vouched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[tuple[WebServer, Path]]:
    """A server whose certificate is in order, and the file of authorities that says so."""
    authority, authorities = trustme.CA(), tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(authorities)
    monkeypatch.setattr(requests.adapters, "DEFAULT_CA_BUNDLE_PATH", str(authorities))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with WebServer(tls=context) as server:
        yield server, authorities


@pytest.mark.parametrize("head", [HEAD + b"X: ", HEAD + b"\r\n"])
def test_limits_hold_over_tls_too(vouched: tuple[WebServer, Path], head: bytes) -> None:
    web, _ = vouched
    web.drip("/a", head=head)
    web.behave("/b", _endless(head=head, again=b"x"))
    with pytest.raises(FetchError, match=r"within 0\.3 s"):
        fetcher(seconds=0.3).fetch(f"https://{web.address}/a")
    with pytest.raises(FetchError, match=r"headers|100,000 bytes"):
        fetcher(seconds=60).fetch(f"https://{web.address}/b")


def test_the_authorities_are_not_read_again_for_each_fetch(vouched: tuple[WebServer, Path]) -> None:
    web, authorities = vouched
    web.serve("/a", "x")
    one = fetcher()
    one.fetch(f"https://{web.address}/a")
    authorities.unlink()
    assert one.fetch(f"https://{web.address}/a").body == b"x"


def test_fetches_in_many_threads_do_not_mix(web: WebServer) -> None:
    one = fetcher()
    wrong: list[str] = []

    def work(server: WebServer, path: str) -> None:
        for _ in range(10):
            found = one.fetch(server.url(path), etag=f'"{server.port}{path}"')
            if found.body.decode() != f"{server.port}{path}":
                wrong.append(path)

    with WebServer() as other:
        pairs = [(server, f"/{number}") for server in (web, other) for number in range(4)]
        for server, path in pairs:
            server.serve(path, f"{server.port}{path}")
        threads = [threading.Thread(target=work, args=pair) for pair in pairs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        sent = {(request.path, request.headers["if-none-match"]) for server in (web, other) for request in server.requests}
        assert sent == {(path, f'"{server.port}{path}"') for server, path in pairs}
    assert wrong == []


def test_a_connection_that_the_library_would_make_by_itself_sends_nothing(web: WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if an update of urllib3 no longer asked us: it would resolve the name again, and nobody would have checked that."""
    monkeypatch.setattr(connection._Pinned, "_new_conn", HTTPConnection._new_conn)
    with pytest.raises(TypeError):
        fetcher().fetch(web.url("/a"))
    assert web.requests == []


def test_one_deadline_covers_all_redirects(web: WebServer) -> None:
    for number in range(4):
        web.redirect(f"/{number}", f"/{number + 1}")
    web.hang("/4")
    with pytest.raises(FetchError, match=r"within 0\.5 s"):
        fetcher(seconds=0.5).fetch(web.url("/0"))


def test_redirects_in_a_circle_end(web: WebServer) -> None:
    web.redirect("/a", "/b", status=301)
    web.redirect("/b", "/a", status=308)
    with pytest.raises(FetchError, match="more than 5 times"):
        fetcher().fetch(web.url("/a"))
    assert len(web.requests) == 6


# Private addresses: 127.0.0.1:PORT is allowed by that name, so that whatever else leads there must be refused.

SPELLINGS = [
    "2130706433", "0x7f000001", "017700000001", "0177.0.0.1", "0x7f.0.0.1", "127.1", "127.0.1", "0.0.0.0", "0", "localhost",
    "LOCALHOST.", "[::1]", "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:127.0.0.1]", "[::127.0.0.1]", "[::]", "[64:ff9b::7f00:1]",
    "[64:ff9b::127.0.0.1]", "[2002:7f00:1::]", "１２７.０.０.2", "①②⑦.⓪.⓪.2", "127。0。0。2", "127.0.0.2.", "%31%32%37.0.0.2",
]  # fmt: skip


@pytest.mark.parametrize("host", SPELLINGS)
def test_no_redirect_reaches_a_private_address_in_any_spelling(web: WebServer, host: str) -> None:
    web.behave("/a", lambda handler: handler.raw(f"HTTP/1.1 302 x\r\nLocation: http://{host}:{web.port}/secret\r\n\r\n".encode()))
    web.serve("/secret", "secret")
    with pytest.raises(FetchError) as caught:
        fetcher((f"news.example:{web.port}", f"127.0.0.1:{web.port}")).fetch(web.url("/a"))
    refused = isinstance(caught.value, AddressRefusedError)
    assert refused or "not known" in str(caught.value) or "not an address" in str(caught.value)
    assert web.requested("/secret") == []


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "10.1.2.3", "169.254.169.254", "::1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "fd00::1"]
)
@pytest.mark.parametrize("first", [True, False])
def test_no_name_that_resolves_to_a_private_address_is_asked(address: str, first: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    both = [address, "93.184.215.14"] if first else ["93.184.215.14", address]
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, 80)) for one in both]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: found)
    for ask in (fetcher(()).fetch, fetcher(()).measure, Robots(fetcher(())).check):
        with pytest.raises(AddressRefusedError):
            ask("http://rebind.example/a")


def test_the_next_address_of_a_name_is_tried_where_one_does_not_answer(web: WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, web.port)) for one in ("127.0.0.9", "127.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: found)
    web.serve("/a", "x")
    assert fetcher().fetch(f"http://two.example:{web.port}/a").body == b"x"


@pytest.mark.parametrize(
    "url", ["http://x/" + "a" * 9000, "http://a b/", "http:///", "http://[::1", "http://*/", "http://x:99999/", "http://\x00/"]
)
def test_what_is_no_address_is_said_to_be_none(url: str) -> None:
    with pytest.raises(FetchError) as caught:
        fetcher().fetch(url)
    assert not caught.value.retryable
    assert caught.value.fix


# robots.txt.


class Ticking:
    """A monotonic clock that stands until it is moved; waiting moves it."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.waits: list[float] = []

    def __call__(self) -> float:
        return self.now

    def wait(self, condition: threading.Condition, seconds: float | None) -> None:
        assert seconds is not None
        self.waits.append(seconds)
        self.now += seconds


ROBOTS = """\ufeff# for everybody
User-agent: *
Disallow: /private/
Allow: /private/open$

User-agent: GAZET/2.0 # and its friend
User-agent: other
Disallow: /drafts/
Disallow: /*?print=

User-agent: gaz
User-agent: gazetteer
Disallow: /
"""


@pytest.mark.parametrize(
    ("path", "allowed"),
    [("/news", True), ("/private/a", True), ("/drafts/1", False), ("/a?print=1", False), ("/robots.txt", True), ("/Drafts/", True)],
)
def test_robots_txt_is_read_for_our_name(web: WebServer, path: str, allowed: bool) -> None:
    web.serve("/robots.txt", ROBOTS)
    reason = Robots(fetcher()).may(web.url(path))
    assert (reason == "") is allowed
    assert allowed or reason == f"robots.txt of {web.address} asks programs not to read this address"


@pytest.mark.parametrize(
    "text",
    [
        "User-agent: *\nDisallow: /",
        "user-agent gazet\ndisallow: /",
        "User-Agent: *\r\rDISALLOW: /*\r",
        "User-agent:*\nDisallow:/ #x",
    ],
)
def test_robots_txt_in_every_handwriting(web: WebServer, text: str) -> None:
    web.serve("/robots.txt", text)
    assert Robots(fetcher()).may(web.url("/a"))


def test_robots_txt_is_asked_for_once_a_day_also_by_many_threads(web: WebServer) -> None:
    clock = Ticking()
    robots = Robots(fetcher(), clock)
    threads = [threading.Thread(target=robots.may, args=(web.url(f"/{number}"),)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(web.requests) == 1
    assert web.requests[0].headers["accept"].startswith("text/plain")
    clock.now += 24 * 3600 - 1
    robots.may(web.url("/a"))
    assert len(web.requests) == 1
    clock.now += 1
    robots.may(web.url("/a"))
    assert len(web.requests) == 2


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 451])
def test_a_site_without_robots_txt_may_be_read(web: WebServer, status: int) -> None:
    web.serve("/robots.txt", "User-agent: *\nDisallow: /", status=status)
    assert Robots(fetcher()).may(web.url("/a")) == ""


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_site_whose_robots_txt_cannot_be_read_is_left_alone_for_now(web: WebServer, status: int) -> None:
    clock = Ticking()
    robots = Robots(fetcher(), clock)
    web.serve("/robots.txt", status=status)
    with pytest.raises(FetchError, match=f"could not be read .answered {status}") as caught:
        robots.check(web.url("/a"))
    assert (caught.value.retryable, caught.value.retry_after) == (True, 1800)
    web.serve("/robots.txt", "")
    assert robots.may(web.url("/a"))
    clock.now += 1800
    assert robots.may(web.url("/a")) == ""


def test_rules_that_were_read_hold_while_the_site_is_down(web: WebServer) -> None:
    clock = Ticking()
    robots = Robots(fetcher(), clock)
    web.serve("/robots.txt", "User-agent: *\nDisallow: /a")
    robots.may(web.url("/"))
    clock.now += 24 * 3600
    web.serve("/robots.txt", status=500)
    assert (bool(robots.may(web.url("/a"))), robots.may(web.url("/b"))) == (True, "")


def test_nobody_there_is_for_now_too() -> None:
    assert "could not be read (no connection" in Robots(fetcher()).may(f"http://127.0.0.1:{closed_port()}/a")


def test_robots_txt_may_redirect_five_times_also_to_another_server(web: WebServer) -> None:
    with WebServer() as other:
        other.serve("/r", "User-agent: *\nDisallow: /a")
        web.redirect("/robots.txt", other.url("/r"))
        assert Robots(fetcher()).may(web.url("/a"))
    web.redirect("/robots.txt", "/robots.txt")
    assert Robots(fetcher()).may(web.url("/a")) == ""


def test_of_a_huge_robots_txt_the_first_500_kib_count(web: WebServer) -> None:
    rule = b"User-agent: *\nDisallow: /"
    web.serve("/robots.txt", rule + b"a\n#" + b"x" * 600_000 + b"\n" + rule + b"b\n")
    robots = Robots(fetcher())
    assert (bool(robots.may(web.url("/a"))), robots.may(web.url("/b"))) == (True, "")


def test_many_names_times_many_rules_do_not_keep_us_busy(web: WebServer) -> None:
    names = "".join(f"User-agent: n{number}\n" for number in range(12_000))
    web.serve("/robots.txt", names + "User-agent: gazet\n" + "Disallow: /a\n" * 20_000)
    assert Robots(fetcher()).may(web.url("/a"))


def test_every_hop_of_a_page_asks_the_robots_txt_of_its_own_site(web: WebServer) -> None:
    with WebServer() as other:
        other.serve("/robots.txt", "User-agent: *\nDisallow: /secret")
        other.serve("/secret", "x")
        web.redirect("/a", other.url("/secret"))
        one = fetcher()
        with pytest.raises(FetchError, match="asks programs not to read"):
            one.fetch(web.url("/a"), accept=Accept.PAGE, permit=Robots(one).check)
        assert other.requested("/secret") == []


@pytest.mark.parametrize(("asked", "spacing"), [("10", 10.0), ("0.5", 1.0), ("86400", MAX_CRAWL_DELAY), ("nan", 1.0), ("-3", 1.0)])
def test_crawl_delay_raises_the_spacing_within_bounds(web: WebServer, asked: str, spacing: float) -> None:
    clock = Ticking()
    gate = HostGate(timedelta(seconds=1), clock=clock, wait=clock.wait)
    web.serve("/robots.txt", f"User-agent: *\nCrawl-delay: {asked}")
    Robots(fetcher(gate=gate), clock).may(web.url("/a"))
    clock.now += 100
    for _ in range(2):
        with gate.turn(web.url("/a")):
            pass
    assert clock.waits[-1] == spacing


# Turns per host.


def test_requests_to_one_host_start_apart_and_those_to_another_do_not_wait(web: WebServer) -> None:
    clock = Ticking()
    gate = HostGate(timedelta(seconds=2), clock=clock, wait=clock.wait)
    starts: list[tuple[str, float]] = []
    web.behave("/feed", lambda handler: (starts.append(("web", clock.now)), handler.raw(b"HTTP/1.1 200 x\r\n\r\n"))[-1])
    web.redirect("/old", "/feed")
    with WebServer() as other:
        other.behave("/feed", lambda handler: (starts.append(("other", clock.now)), handler.raw(b"HTTP/1.1 200 x\r\n\r\n"))[-1])
        one = fetcher(gate=gate)
        for url in (web.url("/feed"), web.url("/old"), other.url("/feed"), web.url("/feed")):
            one.fetch(url)
    # /old is redirected: that is a request, and its next hop another one.
    assert starts == [("web", 1000.0), ("web", 1004.0), ("other", 1004.0), ("web", 1006.0)]


def test_no_more_than_two_requests_run_at_one_host_and_an_engine_can_see_it(web: WebServer) -> None:
    clock = Ticking()
    gate = HostGate(timedelta(seconds=1), at_once=2, clock=clock, wait=_hurry(clock))
    inside, leave = threading.Semaphore(0), threading.Event()
    running: list[int] = []
    most: list[int] = []

    def work() -> None:
        with gate.turn("http://A.example/x"):
            running.append(1)
            most.append(len(running))
            inside.release()
            leave.wait(10)
            running.pop()

    threads = [threading.Thread(target=work) for _ in range(5)]
    for thread in threads:
        thread.start()
    for _ in range(2):
        assert inside.acquire(timeout=10)
    assert gate.opens_in("http://a.example:80/y") is None
    assert not gate.ready("http://a.example./")
    assert gate.ready("https://a.example/")
    leave.set()
    for thread in threads:
        thread.join(10)
    assert max(most) == 2
    assert len(most) == 5


def _hurry(clock: Ticking) -> Callable[[threading.Condition, float | None], object]:
    """Waits for others really, and for time by moving the clock."""

    def wait(condition: threading.Condition, seconds: float | None) -> None:
        if seconds is None:
            condition.wait()
        else:
            clock.now += seconds

    return wait


def test_a_turn_ends_also_with_an_error_and_the_spacing_is_told() -> None:
    clock = Ticking()
    gate = HostGate(timedelta(seconds=3), at_once=1, clock=clock, wait=clock.wait)
    with pytest.raises(RuntimeError), gate.turn("http://a.example/"):
        raise RuntimeError
    assert gate.opens_in("http://a.example/") == 3
    clock.now += 2
    assert gate.opens_in("http://a.example/") == 1
    with gate.turn("http://a.example/"):
        assert clock.now == 1003


def test_without_spacing_nothing_waits() -> None:
    gate = HostGate(timedelta(0), at_once=1)
    with gate.turn("http://a.example/"), gate.turn("http://a.example/"), gate.turn("http://a.example/"):
        assert gate.ready("http://a.example/")


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost", "[::1]:81", "127.3.2.1"])
def test_this_machine_itself_does_not_wait_unless_the_settings_name_a_spacing(host: str) -> None:
    for said in ({}, {"spacing": "5s"}):
        settings: Any = SimpleNamespace(site=SimpleNamespace(url="https://x.example"), collect=CollectSettings(**said))
        gate = from_settings(settings).gate
        assert gate is not None
        for url in (f"http://{host}/", "http://news.example/"):
            with gate.turn(url):
                pass
        assert gate.ready(f"http://{host}/") is not bool(said)
        assert not gate.ready("http://news.example/")


def test_waiting_for_a_turn_takes_nothing_of_the_deadline(web: WebServer) -> None:
    entered = threading.Event()

    def wait(condition: threading.Condition, seconds: float | None) -> None:
        entered.set()
        condition.wait(0.4 if seconds is None else seconds)

    gate = HostGate(timedelta(microseconds=1), at_once=1, wait=wait)
    web.serve("/a", "x")
    found: list[bytes] = []
    thread = threading.Thread(target=lambda: found.append(fetcher(seconds=0.3, gate=gate).fetch(web.url("/a")).body))
    with gate.turn(web.url("/")):
        thread.start()
        assert entered.wait(10)
        thread.join(0.4)
    thread.join(10)
    assert found == [b"x"]


def test_the_gate_does_not_remember_every_host_it_ever_saw() -> None:
    clock = Ticking()
    gate = HostGate(timedelta(seconds=1), clock=clock, wait=clock.wait)
    for number in range(5000):
        with gate.turn(f"http://{number}.example/"):
            pass
    assert len(gate._hosts) <= 2001


def test_robots_txt_of_many_sites_is_not_remembered_without_end(web: WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
    here = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", web.port))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: here)
    robots = Robots(fetcher())
    web.serve("/robots.txt", "User-agent: *\n" + "Disallow: /a\n" * 30_000)
    for number in range(8):
        assert robots.may(f"http://site{number}.example:{web.port}/a")
    assert robots.may(f"http://site7.example:{web.port}/a")
    assert len(web.requests) == 8
    assert len(robots._origins) <= 6


def test_the_name_in_the_user_agent_is_the_one_that_robots_txt_is_read_for() -> None:
    assert re.match("gazet/", "Gazet/test".lower())


# Crumbs and control characters: what is small for the network may be large here, and what is odd must stay one line.


def _crumbs(size: int, count: int) -> bytes:
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"%x\r\n%b\r\n" % (size, b"a" * size) * count + b"0\r\n\r\n"


def test_a_body_in_crumbs_takes_no_more_memory_than_its_bytes(web: WebServer) -> None:
    sent = _crumbs(2, 25_000)
    web.behave("/feed", lambda handler: handler.raw(sent))
    tracemalloc.start()
    try:
        assert fetcher().fetch(web.url("/feed")).body == b"a" * 50_000
        assert tracemalloc.get_traced_memory()[1] < 700_000
    finally:
        tracemalloc.stop()


def test_a_body_in_absurdly_many_crumbs_is_refused_in_words(web: WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "_MANY_READS", 1000)
    web.behave("/crumbs", lambda handler: handler.raw(_crumbs(3, 1100)))
    web.behave("/pieces", lambda handler: handler.raw(_crumbs(80, 1100)))
    with pytest.raises(FetchError, match="is sent in more than 1,000 pieces of 3 bytes each") as caught:
        fetcher().fetch(web.url("/crumbs"))
    assert (caught.value.retryable, caught.value.fix) == (False, "Tell the site.")
    assert len(fetcher().fetch(web.url("/pieces")).body) == 80 * 1100


@pytest.mark.parametrize("odd", ["\0", "\x01", "\x1b", "\x7f"])
def test_a_header_with_a_control_character_is_none(web: WebServer, odd: str) -> None:
    head = f'HTTP/1.1 200 OK\r\nETag: "a{odd}b"\r\nLast-Modified: x{odd}\r\nContent-Encoding: a{odd}b\r\nX-Good: a\tb\r\n\r\nx'
    web.behave("/feed", lambda handler: handler.raw(head.encode()))
    found = fetcher().fetch(web.url("/feed"))
    assert (found.etag, found.last_modified, found.body) == ("", "", b"x")
    assert dict(found.headers) == {"x-good": "a\tb"}


def test_every_reason_is_one_printable_line() -> None:
    odd = "a\0b\nc\u2028d\x1b[2Je\ud800" + "x" * 9000
    for error in (FetchError("http://x/\0", odd, fix="a\nb"), ReadError("x", odd, fix="\0")):
        assert error.reason.isprintable()
        assert len(error.reason) <= 500
        assert str(error).isprintable()
    assert FetchError("x", "y" * 500).reason == "y" * 500
