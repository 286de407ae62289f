"""What is answered at each address. Called in threads; whatever fails becomes a page and, where needed, a line."""

from __future__ import annotations

import functools
import ipaddress
import json
import re
import traceback
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Concatenate, ParamSpec

from starlette.requests import Request
from starlette.responses import Response

from pipeline import config
from pipeline.compose.links import WEB
from pipeline.config import Settings
from pipeline.errors import StoreError
from pipeline.jobs import leave
from pipeline.jobs.leave import How
from pipeline.jobs.publish_feed import public_folder
from pipeline.jobs.published_parts import published_parts
from pipeline.jobs.site import Site, feed_url, path_url
from pipeline.models import PartKind
from pipeline.publish import FORMATS
from pipeline.store import editions
from pipeline.web import choose, files, health, metrics
from pipeline.web.edge import OWN
from pipeline.web.pages import PRIVATE, Pages, foreign

P = ParamSpec("P")
_PROXIED = ("forwarded", "x-forwarded", "x-real-ip", "via", "cf-connecting-ip")
_RETRY_SECONDS = "30"
_PUBLISHED = re.compile(
    rf"/feeds/(?P<slug>[a-z0-9-]++)(?P<part>(?:/(?:{'|'.join(PartKind)})/[a-z0-9-]{{1,64}})?+)\.(?P<format>{'|'.join(FORMATS)})"
)
"""It goes into a header."""


def guarded(handle: Callable[Concatenate[Desk, Request, P], Response]) -> Callable[Concatenate[Desk, Request, P], Response]:
    """A store that does not answer is 503, a mistake of ours 500; what it was goes to the operator, never to the reader."""

    @functools.wraps(handle)
    def safe(desk: Desk, request: Request, /, *args: P.args, **kwargs: P.kwargs) -> Response:
        try:
            return handle(desk, request, *args, **kwargs)
        except StoreError as error:
            desk.say(f"web: {request.method} {_place(request)} must wait: {error}")
            return desk.pages.message(desk.site(), "busy", 503, {"retry-after": _RETRY_SECONDS})
        except Exception as error:
            desk.say(f"web: {request.method} {_place(request)} failed: {_where(error)}")
            return desk.pages.message(desk.site(), "failed", 500)

    return safe


class Desk:
    """Answers with the site as it is at that moment."""

    def __init__(self, site: Callable[[], Site], clock: Callable[[], datetime], say: Callable[[str], None]) -> None:
        self.site = site
        self.clock = clock
        self.say = say
        self.pages = Pages(say)

    @guarded
    def index(self, request: Request) -> Response:  # noqa: ARG002
        """The feeds that were published, by title, with their addresses."""
        site = self.site()
        listed = sorted(site.settings.feeds.values(), key=lambda feed: feed.title.casefold())
        feeds = [
            {"title": feed.title, "description": feed.description, "language": feed.language, "urls": _urls(site, feed.slug)}
            | {"archive": f"{site.settings.site.url}/archive/{feed.slug}", "parts": published_parts(site, feed)}
            for feed in listed
            if (public_folder(site) / f"{feed.slug}.html").is_file()
        ]
        subscribe = f"{site.settings.site.url}/subscribe" if site.settings.open_feeds() else ""
        return self.pages.page(site, "index.html.j2", site.settings.site.language, feeds=feeds, subscribe=subscribe)

    @guarded
    def ask(self, request: Request) -> Response:
        """Which feed the token is about, and a button; nothing is changed."""
        site = self.site()
        found = leave.who(site, request.path_params["token"])
        return self._no_token(site) if found is None else self.pages.unsubscribe(site, found, done=found.gone)

    @guarded
    def leave(self, request: Request, body: bytes) -> Response:
        """The person leaves, now or long ago: the answer is the same. Any body does: it only tells how (RFC 8058 §3.2).

        Looked at afterwards, so that a Gazet on another store can only have begun later, and reads of it in the record.
        """
        site = self.site()
        how = How.ONE_CLICK if b"List-Unsubscribe" in body and b"One-Click" in body else How.PAGE
        found = leave.leave(site, request.path_params["token"], self.clock(), how)
        if config.names_other_store(site.settings):
            raise StoreError("store.url was edited, so nobody can leave here.", fix="Restart gazet.")
        return self._no_token(site) if found is None else self.pages.unsubscribe(site, found, done=True)

    @guarded
    def preferences(self, request: Request) -> Response:
        """What a person gets, and when."""
        return choose.show(self, request)

    @guarded
    def choose(self, request: Request, body: bytes) -> Response:
        """The same after what they chose."""
        return choose.act(self, request, body)

    @guarded
    def my_data(self, request: Request) -> Response:
        """What is stored about a person."""
        return choose.show_data(self, request)

    @guarded
    def erase(self, request: Request, body: bytes) -> Response:
        """It is erased."""
        return choose.erase(self, request, body)

    @guarded
    def read(self, request: Request) -> Response:
        """The stored page of a variant."""
        site = self.site()
        identity = site.links.identity(WEB, request.path_params["token"])
        if identity is None:
            return self._no_token(site)
        with site.store.read() as tx:
            found = editions.page(tx, identity)
        if found is None:
            return self.pages.message(site, "past", 404, PRIVATE)
        return foreign(found[0])

    @guarded
    def file(self, request: Request) -> Response:
        """Where a published file is now; one that is where it was asked for was answered before (``public_files``)."""
        site = self.site()
        if moved := moved_to(site.settings, request.scope["path"]):
            return Response(status_code=301, headers={"location": moved, "cache-control": "public, max-age=3600", **files.CORS})
        return self.pages.message(site, "nothing", 404)

    @guarded
    def health(self, request: Request) -> Response:  # noqa: ARG002
        """200 or 503, and why."""
        site = self.site()
        found = health.health(site, self.clock())
        body = json.dumps(found.body(site.mark)) + "\n"
        return Response(body, 200 if found.well else 503, {"cache-control": "no-store"}, "application/json")

    @guarded
    def metrics(self, request: Request) -> Response:
        """To this machine alone, and not to what a proxy on it passes on."""
        if not _from_here(request):
            return self.pages.message(self.site(), "nothing", 404)
        body = metrics.metrics(self.site(), self.clock())
        return Response(body, headers={"content-type": metrics.MEDIA_TYPE, "cache-control": "no-store"})

    @guarded
    def too_large(self, request: Request) -> Response:  # noqa: ARG002
        """Nothing here needs so much."""
        return self.pages.message(self.site(), "large", 413, {"connection": "close", **PRIVATE})

    @guarded
    def refused(self, request: Request, status: int, headers: Mapping[str, str]) -> Response:  # noqa: ARG002
        """No such address, or not with this method."""
        return self.pages.message(self.site(), "nothing" if status == 404 else "method", status, headers)

    def _no_token(self, site: Site) -> Response:
        return self.pages.message(site, "token", 404, PRIVATE)


def _urls(site: Site, slug: str) -> dict[str, str]:
    return {extension: feed_url(site.settings, slug, extension) for extension in FORMATS}


def moved_to(settings: Settings, path: str) -> str:
    """The present address of a published file, of the feed or of a part, under a feed's former slug; "" where it is none."""
    found = _PUBLISHED.fullmatch(path)
    if found is None or found["slug"] in settings.feeds:
        return ""
    present = next((feed.slug for feed in settings.feeds.values() if found["slug"] in feed.aliases), "")
    return path_url(settings, f"feeds/{present}{found['part']}", found["format"]) if present else ""


def _from_here(request: Request) -> bool:
    if request.client is None or any(name.startswith(_PROXIED) for name in request.headers):
        return False
    address = ipaddress.ip_address(request.client.host.partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def _place(request: Request) -> str:
    """The first part of the path: what follows may be a token, and a token is a key."""
    path: str = request.scope["path"]
    first = path.split("/")[1]
    return f"/{first}/…" if first in OWN else "/…"


def _where(error: Exception) -> str:
    """The kind of error and where it arose. Not its text: that may hold an address."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {Path(last.filename).name}:{last.lineno}"
