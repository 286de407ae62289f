from __future__ import annotations

import gzip
import socket
import ssl
import threading
import time
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests.adapters
import trustme

from pipeline import __version__
from pipeline.config.sections import CollectSettings
from pipeline.errors import AddressRefusedError, FetchError
from pipeline.http import Fetcher, from_settings
from pipeline.http.urls import same_server
from tests.servers.web import WebServer, closed_port


def _zip(data: bytes) -> bytes:
    """Without the time of day: it would give a test another name in each process."""
    return gzip.compress(data, mtime=0)


def fetcher(allow: bool | tuple[str, ...] = True, *, seconds: float = 5, max_bytes: int = 100_000) -> Fetcher:
    return Fetcher(
        allow=allow, timeout=timedelta(seconds=seconds), max_bytes=max_bytes, user_agent="Gazet/test (+https://x.example)"
    )


@pytest.fixture
def web() -> Any:
    with WebServer() as server:
        yield server


def test_a_page_arrives_whole_with_its_validators(web: WebServer) -> None:
    web.serve("/a", "één", headers={"ETag": 'W/"x"', "Last-Modified": "Mon, 23 Nov 2026 11:46:40 GMT"})
    found = fetcher().fetch(web.url("/a"))
    assert (found.status, found.body.decode(), found.content_type) == (200, "één", "text/html; charset=utf-8")
    assert (found.etag, found.last_modified) == ('W/"x"', "Mon, 23 Nov 2026 11:46:40 GMT")
    assert found.final_url == web.url("/a")


def test_validators_go_back_byte_for_byte_and_304_is_an_answer(web: WebServer) -> None:
    web.serve("/a", "x", headers={"ETag": '"a b"'}, conditional=True)
    found = fetcher().fetch(web.url("/a"), etag='"a b"')
    assert found.not_modified
    assert found.body == b""
    assert web.requests[0].headers["if-none-match"] == '"a b"'


def test_304_without_having_asked_is_an_error(web: WebServer) -> None:
    web.serve("/a", status=304)
    with pytest.raises(FetchError, match="304"):
        fetcher().fetch(web.url("/a"))


def test_manners_no_cookies_no_referrer_no_proxy_an_honest_name(web: WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{closed_port()}")
    monkeypatch.delenv("no_proxy", raising=False)
    web.serve("/b", status=302, headers={"Location": "/a", "Set-Cookie": "id=1; Path=/"})
    web.serve("/a", "x")
    one = fetcher()
    one.fetch(web.url("/b"))
    one.fetch(web.url("/a"))
    for request in web.requests:
        assert not {"cookie", "referer", "authorization"} & set(request.headers)
        assert request.headers["user-agent"] == "Gazet/test (+https://x.example)"
        assert request.headers["accept-encoding"] == "gzip, br"
        assert request.headers["host"] == web.address


def test_the_settings_name_the_site_in_the_user_agent(web: WebServer) -> None:
    collect = CollectSettings(allow=True)
    web.serve("/a", "x")
    from_settings(SimpleNamespace(site=SimpleNamespace(url="https://gazet.example"), collect=collect)).fetch(web.url("/a"))  # type: ignore[arg-type]
    assert web.requests[0].headers["user-agent"] == f"Gazet/{__version__} (+https://gazet.example)"


@pytest.mark.parametrize("codes", [(301, 308), (301, 302), (307,)])
def test_redirects_are_followed_to_where_they_end(web: WebServer, codes: tuple[int, ...]) -> None:
    for number, code in enumerate(codes):
        web.redirect(f"/{number}", f"/{number + 1}", status=code)
    end = f"/{len(codes)}"
    web.serve(end, "x")
    found = fetcher().fetch(web.url("/0"))
    assert (found.url, found.final_url) == (web.url("/0"), web.url(end))


def test_validators_are_told_to_the_server_that_gave_them_and_to_no_other(web: WebServer) -> None:
    with WebServer() as other:
        other.serve("/there", "x", headers={"ETag": '"1"'}, conditional=True)
        web.redirect("/here", other.url("/there"))
        web.redirect("/same", "/end")
        web.serve("/end", "x", headers={"ETag": '"1"'}, conditional=True)
        assert fetcher().fetch(web.url("/here"), etag='"1"').status == 200
        assert "if-none-match" not in other.requests[0].headers
        assert fetcher().fetch(web.url("/same"), etag='"1"').not_modified


def test_another_server_cannot_say_that_nothing_changed(web: WebServer) -> None:
    with WebServer() as other:
        other.serve("/there", "", status=304)
        web.redirect("/here", other.url("/there"))
        with pytest.raises(FetchError, match="304"):
            fetcher().fetch(web.url("/here"), etag='"1"', last_modified="Mon, 23 Nov 2026 11:46:40 GMT")
        assert not {"if-none-match", "if-modified-since"} & set(other.requests[0].headers)


@pytest.mark.parametrize(
    ("asked", "current", "same"),
    [
        ("https://a.example/x", "https://a.example:443/y", True),
        ("http://a.example/x", "https://a.example/x", True),
        ("https://a.example/x", "http://a.example/x", False),
        ("http://a.example:8080/x", "https://a.example/x", False),
        ("http://a.example/x", "http://a.example:8080/x", False),
        ("http://a.example/x", "https://www.a.example/x", False),
        ("http://a.example/x", "http://a.example:99999/", False),
    ],
)
def test_a_server_is_its_origin_or_its_own_https(asked: str, current: str, same: bool) -> None:
    assert same_server(asked, current) is same


def test_a_redirect_loop_ends(web: WebServer) -> None:
    web.redirect("/a", "/a")
    with pytest.raises(FetchError, match="more than 5 times"):
        fetcher().fetch(web.url("/a"))
    assert len(web.requests) == 6


@pytest.mark.parametrize("to", ["file:///etc/passwd", "ftp://x/", "http://u:p@127.0.0.1/", "http://[", "//"])
def test_a_redirect_to_something_else_is_refused(web: WebServer, to: str) -> None:
    web.redirect("/a", to)
    with pytest.raises(FetchError) as caught:
        fetcher().fetch(web.url("/a"))
    assert not caught.value.retryable


def test_the_body_of_a_redirect_is_not_read(web: WebServer) -> None:
    web.drip("/a", head=b"HTTP/1.1 302 Found\r\nLocation: /b\r\n\r\n")
    web.serve("/b", "there")
    assert fetcher(seconds=3).fetch(web.url("/a")).body == b"there"


PRIVATE = [
    "127.0.0.1", "127.1", "0x7f.1", "2130706433", "017700000001", "localhost", "[::1]", "[::]", "[::ffff:127.0.0.1]",
    "[::127.0.0.1]",
    "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "192.0.2.1", "198.18.0.1", "224.0.0.1",
    "255.255.255.255", "[64:ff9b::7f00:1]", "[64:ff9b:1::1]", "[2002:7f00:1::]", "[fd00::1]", "[fe80::1]", "[fec0::1]", "[ff02::1]",
    "[2001:db8::1]", "[2001::1]", "127.0.0.1.",
]  # fmt: skip


@pytest.mark.parametrize("host", PRIVATE)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_no_spelling_of_a_private_address_is_reached_unasked(host: str, scheme: str) -> None:
    with pytest.raises(FetchError) as caught:
        fetcher(()).fetch(f"{scheme}://{host}/")
    assert (
        isinstance(caught.value, AddressRefusedError) or "not known" in str(caught.value) or "not an address" in str(caught.value)
    )


def test_a_redirect_to_a_private_address_is_refused_at_its_hop(web: WebServer) -> None:
    web.redirect("/a", "http://127.0.0.2:80/secret")
    with pytest.raises(AddressRefusedError, match=r"127\.0\.0\.2") as caught:
        fetcher((web.address,)).fetch(web.url("/a"))
    assert not caught.value.retryable
    assert caught.value.fix == "It redirects to a private address: tell the site, or give the address it should lead to."
    with pytest.raises(AddressRefusedError) as caught:
        fetcher(()).fetch("http://127.0.0.2/")
    assert 'add "127.0.0.2" to allow' in caught.value.fix


def test_a_name_with_one_private_address_among_others_is_refused(web: WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 80)) for address in ("93.184.215.14", "127.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: answers)
    with pytest.raises(AddressRefusedError):
        fetcher(()).fetch("http://two.example/")


def test_the_name_is_resolved_once_so_that_it_cannot_change_after_the_check(
    web: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    real = socket.getaddrinfo

    def resolve(host: str, port: int, *args: Any, **kwargs: Any) -> Any:
        if host == "rebind.example":
            asked.append(host)
            host = "127.0.0.1"
        return real(host, port, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    web.serve("/a", "x")
    url = f"http://rebind.example:{web.port}/a"
    assert fetcher(("127.0.0.0/8",)).fetch(url).body == b"x"
    assert asked == ["rebind.example"]
    assert web.requests[0].headers["host"] == f"rebind.example:{web.port}"


@pytest.mark.parametrize("entry", ["127.0.0.1", "{address}", "127.0.0.0/8", "127.0.0.1/32"])
def test_what_is_allowed_by_name_port_or_network_is_reached(web: WebServer, entry: str) -> None:
    web.serve("/a", "x")
    assert fetcher((entry.format(address=web.address),)).fetch(web.url("/a")).body == b"x"


def test_another_port_of_an_allowed_pair_is_refused(web: WebServer) -> None:
    with pytest.raises(AddressRefusedError):
        fetcher((f"127.0.0.1:{web.port + 1}",)).fetch(web.url("/a"))


def test_unusual_ports_of_public_addresses_are_refused() -> None:
    with pytest.raises(FetchError, match="port 25"):
        fetcher(()).fetch("http://93.184.215.14:25/")


@pytest.mark.parametrize("way", ["hang", "body", "headers", "status line"])
def test_the_deadline_covers_silence_and_dripping(web: WebServer, way: str) -> None:
    heads = {"body": b"HTTP/1.1 200 OK\r\n\r\n", "headers": b"HTTP/1.1 200 OK\r\nX: ", "status line": b"HTT"}
    if way == "hang":
        web.hang("/a")
    else:
        web.drip("/a", head=heads[way])
    started = time.monotonic()
    with pytest.raises(FetchError, match=r"within 0\.5 s") as caught:
        fetcher(seconds=0.5).fetch(web.url("/a"))
    assert caught.value.retryable
    assert time.monotonic() - started < 3


def test_a_gzip_answer_is_unpacked(web: WebServer) -> None:
    web.serve("/a", _zip(b"een ") + _zip(b"twee") + b"\0\0", headers={"Content-Encoding": "gzip"})
    assert fetcher().fetch(web.url("/a")).body == b"een twee"


@pytest.mark.parametrize("body", [_zip(b"\0" * 50_000_000), _zip(b"x" * 200_000)])
def test_a_gzip_bomb_stops_at_the_limit(web: WebServer, body: bytes) -> None:
    web.serve("/a", body, headers={"Content-Encoding": "gzip"})
    with pytest.raises(FetchError, match="100,000 bytes"):
        fetcher().fetch(web.url("/a"))


def test_a_page_that_is_too_long_stops_at_the_limit(web: WebServer) -> None:
    web.serve("/a", b"x" * 100_001)
    web.serve("/b", b"x" * 100_000)
    with pytest.raises(FetchError, match="larger"):
        fetcher().fetch(web.url("/a"))
    assert len(fetcher().fetch(web.url("/b")).body) == 100_000


@pytest.mark.parametrize(
    ("body", "encoding"), [(_zip(b"x" * 999)[:-9], "gzip"), (b"plain", "gzip"), (b"x", "br"), (b"x", "gzip, gzip")]
)
def test_what_cannot_be_unpacked_whole_is_no_answer(web: WebServer, body: bytes, encoding: str) -> None:
    web.serve("/a", body, headers={"Content-Encoding": encoding})
    with pytest.raises(FetchError):
        fetcher().fetch(web.url("/a"))


BROKEN = [
    b"",
    b"garbage\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nabc",
    b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 500 + b"\r\n",
    b"HTTP/1.1 200 OK\r\nA: " + b"x" * 200_000 + b"\r\n\r\n",
]


def test_word_that_an_answer_is_coming_is_no_answer(web: WebServer) -> None:
    hint = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n"
    web.drop("/a", after=hint + b"HTTP/1.1 100 Continue\r\n\r\n" + hint + b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
    found = fetcher().fetch(web.url("/a"))
    assert (found.status, found.body, "link" in found.headers) == (200, b"hi", False)
    web.drop("/b", after=hint * 5000)
    with pytest.raises(FetchError, match="too many or too long headers"):
        fetcher().fetch(web.url("/b"))


@pytest.mark.parametrize("sent", BROKEN)
def test_broken_answers_are_retryable_errors(web: WebServer, sent: bytes) -> None:
    web.drop("/a", after=sent)
    with pytest.raises(FetchError) as caught:
        fetcher().fetch(web.url("/a"))
    assert caught.value.retryable


def test_a_closed_port_and_an_unknown_name_read_as_what_they_are() -> None:
    with pytest.raises(FetchError, match="connection refused"):
        fetcher().fetch(f"http://127.0.0.1:{closed_port()}/")
    with pytest.raises(FetchError, match="not known"):
        fetcher().fetch("http://nowhere.invalid/")


@pytest.mark.parametrize(
    ("status", "retryable"),
    [(400, False), (401, False), (403, True), (404, True), (410, False), (429, True), (500, True), (503, True), (204, True)],
)
def test_statuses_say_whether_to_come_back(web: WebServer, status: int, retryable: bool) -> None:
    web.serve("/a", status=status)
    with pytest.raises(FetchError, match=str(status)) as caught:
        fetcher().fetch(web.url("/a"))
    assert (caught.value.status, caught.value.retryable, caught.value.retry_after) == (status, retryable, None)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        ("Mon, 23 Nov 2026 12:01:00 GMT", 60.0),
        ("Mon, 23 Nov 2026 11:00:00 GMT", 0.0),
        ("soon", None),
        ("-5", None),
        ("9" * 5000, None),
    ],
)
def test_retry_after_is_read_in_seconds_and_as_a_date_by_the_servers_clock(
    web: WebServer, value: str, seconds: float | None
) -> None:
    sent = f"HTTP/1.1 503 Busy\r\nDate: Mon, 23 Nov 2026 12:00:00 GMT\r\nRetry-After: {value}\r\nContent-Length: 0\r\n\r\n"
    web.drop("/a", after=sent.encode())
    with pytest.raises(FetchError) as caught:
        fetcher().fetch(web.url("/a"))
    assert caught.value.retry_after == seconds


def test_a_password_in_an_address_is_neither_used_nor_shown() -> None:
    with pytest.raises(FetchError) as caught:
        fetcher().fetch("http://user:secret@127.0.0.1/")
    assert "secret" not in str(caught.value)
    assert "secret" not in caught.value.url


def test_tls_checks_the_name_that_was_asked_for_though_the_address_is_dialled(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setattr(requests.adapters, "DEFAULT_CA_BUNDLE_PATH", str(tmp_path / "ca.pem"))
    real = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *args, **kwargs: real("127.0.0.1", *args, **kwargs))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("news.example").configure_cert(context)
    with WebServer(tls=context) as web:
        web.serve("/a", "safe")
        assert fetcher().fetch(f"https://news.example:{web.port}/a").body == b"safe"
        assert web.requests[0].headers["host"] == f"news.example:{web.port}"
        with pytest.raises(FetchError, match="no safe TLS connection"):
            fetcher().fetch(f"https://other.example:{web.port}/a")


def test_a_certificate_nobody_vouches_for_is_refused_and_no_request_is_sent() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    refused: list[bool] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _peer = listener.accept()
            try:
                context.wrap_socket(connection, server_side=True).close()
            except (ssl.SSLError, OSError):
                refused.append(True)
                connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(FetchError, match="no safe TLS connection"):
            fetcher().fetch(f"https://127.0.0.1:{listener.getsockname()[1]}/")
        thread.join(5)
    assert refused == [True]
