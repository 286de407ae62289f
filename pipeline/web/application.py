"""Which address does what, as one ASGI application.

/                        the feeds of this site
/feeds/<slug>.<format>   published files, answered before anything else; a former slug leads to the present one
/unsubscribe/<token>     GET shows a page, POST acts (RFC 8058)
/preferences/<token>     GET shows what a person gets and when, POST changes it
/my-data/<token>         what is stored about a person, /json as a file; /erase asks, and POST there erases
/subscribe, /subscribe/<slug>   GET shows a form, POST stores one row (web/join.py)
/confirm/<token>         GET shows what was asked for, POST subscribes
/archive/<slug>          earlier editions, newest first; below it each one, by its moment (web/archive.py)
/read/<token>            a digest as it was sent, without anything personal
/healthz                 how the site is
/metrics                 for Prometheus, to this machine alone
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial
from typing import Protocol

import anyio
from anyio import CapacityLimiter
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from pipeline.jobs.site import Site
from pipeline.web import archive, choose, join
from pipeline.web.desk import Desk, moved_to
from pipeline.web.edge import MAX_BODY_BYTES, BodyTooLarge, ClientDisconnect, Edge, read_body
from pipeline.web.public_files import PublicFiles

_READERS = 32
_WRITERS = 8
"""A writer may wait 30 s for the store; so many do not keep readers waiting."""
_PUBLIC = ("GET", "HEAD")
_FORM = (*_PUBLIC, "POST")


def application(site: Callable[[], Site], clock: Callable[[], datetime], say: Callable[[str], None]) -> ASGIApp:
    """The web server's application.

    ``site`` gives the site as it is now (settings change while it runs), ``clock`` aware UTC, and ``say`` hears one
    line for the operator when something fails that should not.
    """
    desk = Desk(site, clock, say)
    reading = _in_threads(CapacityLimiter(_READERS))
    form = _with_forms(desk, reading)
    app = Starlette(
        routes=[
            Route("/", reading(desk.index), methods=_PUBLIC),
            Route("/healthz", reading(desk.health), methods=_PUBLIC),
            Route("/metrics", reading(desk.metrics), methods=_PUBLIC),
            Route("/read/{token:path}", reading(desk.read), methods=_PUBLIC),
            Route("/unsubscribe/{token:path}", form(desk.ask, desk.leave), methods=_FORM),
            Route("/preferences/{token:path}", form(desk.preferences, desk.choose, most=choose.MOST_BYTES), methods=_FORM),
            Route("/my-data/{token:path}", form(desk.my_data, desk.erase), methods=_FORM),
            Route("/subscribe", form(partial(join.show, desk), partial(join.act, desk)), methods=_FORM),
            Route("/subscribe/{slug}", form(partial(join.show, desk), partial(join.act, desk)), methods=_FORM),
            Route("/confirm/{token:path}", form(partial(join.look, desk), partial(join.confirm, desk)), methods=_FORM),
            Route("/archive/{slug}", reading(partial(archive.listing, desk)), methods=_PUBLIC),
            Route("/archive/{slug}/{moment}", reading(partial(archive.edition, desk)), methods=_PUBLIC),
            Route("/{path:path}", reading(desk.file), methods=_PUBLIC),
        ],
        exception_handlers={HTTPException: _refused(desk)},
    )
    app.router.redirect_slashes = False  # it would send people to whatever the Host header says
    return PublicFiles(Edge(app, lambda: site().settings), lambda: site().settings, moved_to)


Handler = Callable[[Request], Response]
FormHandler = Callable[[Request, bytes], Response]
Endpoint = Callable[[Request], Awaitable[Response]]


def _in_threads(limiter: CapacityLimiter) -> Callable[[Handler], Endpoint]:
    def threaded(handle: Handler) -> Endpoint:
        async def endpoint(request: Request) -> Response:
            return await anyio.to_thread.run_sync(handle, request, limiter=limiter)

        return endpoint

    return threaded


class _Forms(Protocol):
    def __call__(self, show: Handler, act: FormHandler, *, most: int = MAX_BODY_BYTES) -> Endpoint: ...


def _with_forms(desk: Desk, reading: Callable[[Handler], Endpoint]) -> _Forms:
    """For addresses where GET shows something and POST acts, with the body that it got."""
    writing = CapacityLimiter(_WRITERS)

    def form(show: Handler, act: FormHandler, *, most: int = MAX_BODY_BYTES) -> Endpoint:
        shown = reading(show)

        async def endpoint(request: Request) -> Response:
            if request.method != "POST":
                return await shown(request)
            try:
                body = await read_body(request, most)
            except BodyTooLarge:
                return await anyio.to_thread.run_sync(desk.too_large, request)
            except (TimeoutError, ClientDisconnect):
                return Response(status_code=408, headers={"connection": "close"})
            return await anyio.to_thread.run_sync(act, request, body, limiter=writing)

        return endpoint

    return form


def _refused(desk: Desk) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def handler(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return await anyio.to_thread.run_sync(desk.refused, request, error.status_code, dict(error.headers or {}))

    return handler
