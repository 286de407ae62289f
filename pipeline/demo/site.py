"""The sample news site, served on loopback."""

from __future__ import annotations

import hashlib
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

_PAGES = Path(__file__).parent / "pages"
_TYPES = {".pdf": "application/pdf", ".jpg": "image/jpeg"}
_LISTINGS = ("nieuws.html", "nieuws-vervolg.html")


class SampleSite:
    """A context manager: ``url`` is the news page; ``publish_one_more()`` adds an item to it."""

    def __init__(self) -> None:
        self._listing = _LISTINGS[0]
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def __enter__(self) -> SampleSite:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        """The address of the news page."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/nieuws/"

    def publish_one_more(self) -> None:
        """From now on the news page shows its newest item too."""
        self._listing = _LISTINGS[1]

    def page(self, path: str) -> bytes | None:
        """The document at a path: the listing at /nieuws/, an article or a file below it."""
        name = path.partition("?")[0].strip("/").removeprefix("nieuws").strip("/")
        file = _PAGES / (self._listing if not name else name if "." in name else f"{name}.html")
        inside = file.resolve().is_relative_to(_PAGES.resolve())
        return file.read_bytes() if inside and file.is_file() else None

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        site = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                body = site.page(self.path)
                tag = f'"{hashlib.sha256(body or b"").hexdigest()[:16]}"'
                if body is not None and self.headers.get("If-None-Match") == tag:
                    self._answer(HTTPStatus.NOT_MODIFIED, tag, b"")
                else:
                    self._answer(HTTPStatus.OK if body else HTTPStatus.NOT_FOUND, tag, body or b"<h1>Niet gevonden</h1>")

            def _answer(self, status: HTTPStatus, tag: str, body: bytes) -> None:
                self.send_response(status)
                self.send_header("ETag", tag)
                suffix = Path(self.path.partition("?")[0]).suffix if status == HTTPStatus.OK else ""
                self.send_header("Content-Type", _TYPES.get(suffix, "text/html; charset=utf-8"))
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """The demo speaks for itself."""

        return Handler
