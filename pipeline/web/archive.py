"""Earlier editions for everybody: a list, newest first, and each one as it was sent, with what was withdrawn since."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

from starlette.requests import Request
from starlette.responses import Response

from pipeline.config import FeedSettings
from pipeline.jobs.site import Site, feed_url
from pipeline.store import archive
from pipeline.store.archive import KeptEdition, KeptItem
from pipeline.web import conditions
from pipeline.web.desk import Desk, guarded
from pipeline.web.pages import foreign

PAGE_LENGTH = 20
_CACHED = {"cache-control": "public, max-age=300"}
"""Not long: an item that is withdrawn should be marked soon."""
_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(?:-[0-9]{1,6})?", re.ASCII)
_NUMBER = re.compile(r"[1-9][0-9]{0,5}", re.ASCII)
_HEAD, _BODY = re.compile(r"</head>"), re.compile(r"<body[^>]*>")


@guarded
def listing(desk: Desk, request: Request) -> Response:
    """A page of a feed's editions, with the titles of what each brought."""
    site, feed = desk.site(), _feed(desk, request)
    number = request.query_params.get("page", "1")
    if feed is None or not _NUMBER.fullmatch(number):
        return desk.pages.message(site, "nothing", 404)
    if moved := _moved(site, request, feed):
        return moved
    start = (int(number) - 1) * PAGE_LENGTH
    with site.store.read() as tx:
        pages = max(-(-archive.count(tx, feed.slug) // PAGE_LENGTH), 1)
        found = archive.page(tx, feed.slug, start, PAGE_LENGTH)
        items = archive.items_of(tx, feed.slug, {number for one in found for number in one.items})
    if int(number) > pages:
        return desk.pages.message(site, "nothing", 404)
    editions = [{"edition": one, "url": _url(site, feed, one), "items": _shown(one, items)} for one in found]
    page = {
        "number": int(number),
        "count": pages,
        "url": _list_url(site, feed),
        "feed_url": feed_url(site.settings, feed.slug, "html"),
    }
    return _cached(
        request, desk.pages.page(site, "archive.html.j2", feed.language, headers=_CACHED, feed=feed, editions=editions, page=page)
    )


@guarded
def edition(desk: Desk, request: Request) -> Response:
    """An edition as everybody got it, below a line for each of its items that was withdrawn since."""
    site, feed = desk.site(), _feed(desk, request)
    if feed is None:
        return desk.pages.message(site, "nothing", 404)
    if moved := _moved(site, request, feed):
        return moved
    moment = request.path_params["moment"]
    labels = [f"{slug}/{moment}" for slug in (feed.slug, *feed.aliases)]  # a label keeps the name that the feed had then
    with site.store.read() as tx:
        found = archive.find(tx, feed.slug, labels) if _MOMENT.fullmatch(moment) else None
        if found is None:
            return desk.pages.message(site, "past", 404)
        one, html = found
        items = archive.items_of(tx, feed.slug, one.items)
        before, after = archive.beside(tx, feed.slug, one)
    values = {
        "feed": feed,
        "edition": one,
        "list_url": _list_url(site, feed),
        "before": (before, _url(site, feed, before)) if before else None,
        "after": (after, _url(site, feed, after)) if after else None,
        "withdrawn": [item for item in _shown(one, items) if item.withdrawn_at],
    }
    style = desk.pages.text(site, "edition.css.j2", one.language)
    bar = desk.pages.text(site, "edition.html.j2", one.language, **values)
    return _cached(request, foreign(_framed(html, style, bar), _CACHED))


def _feed(desk: Desk, request: Request) -> FeedSettings | None:
    settings = desk.site().settings
    return settings.feeds.get(settings.current_slug(request.path_params["slug"]))


def _moved(site: Site, request: Request, feed: FeedSettings) -> Response | None:
    """A former slug leads to the present one."""
    if request.path_params["slug"] == feed.slug:
        return None
    moment = request.path_params.get("moment", "")
    rest = f"/{moment}" if _MOMENT.fullmatch(moment) else ""
    return Response(status_code=301, headers={"location": _list_url(site, feed) + rest, "cache-control": "public, max-age=3600"})


def _list_url(site: Site, feed: FeedSettings) -> str:
    return f"{site.settings.site.url}/archive/{feed.slug}"


def _url(site: Site, feed: FeedSettings, one: KeptEdition) -> str:
    return f"{_list_url(site, feed)}/{one.moment}"


def _shown(one: KeptEdition, items: dict[int, KeptItem]) -> list[KeptItem]:
    return [items[number] for number in one.items if number in items]


def _framed(html: str, style: str, bar: str) -> str:
    """The stored page with a style of ours at the end of its head and a bar at the start of its body."""
    html = _HEAD.sub(lambda tag: f"<style>\n{style}</style>\n{tag[0]}", html, count=1)
    return _BODY.sub(lambda tag: f"{tag[0]}\n{bar}", html, count=1)


def _cached(request: Request, response: Response) -> Response:
    """With a validator; 304 and nothing more for whoever has these very bytes."""
    tag = hashlib.sha256(bytes(response.body)).hexdigest()[:32]
    response.headers["etag"] = f'"{tag}"'
    if not _has(request.headers.getlist("if-none-match"), tag):
        return response
    kept = {name: response.headers[name] for name in ("etag", "cache-control", "content-security-policy")}
    return Response(status_code=304, headers=kept)


def _has(asked: Iterable[str], tag: str) -> bool:
    tags = [conditions.named(one) for one in asked]
    return any(one is None or tag in one for one in tags)
