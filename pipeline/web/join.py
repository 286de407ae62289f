"""Subscribing on the web: the form, its answer, and the page of the link that confirms it.

GET /subscribe ─▶ form with a stamp ─POST─▶ mistakes? ─▶ the form again, with what was typed
                                       ├─▶ no stamp, too quick, bait taken? ─▶ the form again, one more press
                                       ├─▶ too many of late ─▶ 429
                                       └─▶ one row ─▶ "check your mail", whoever it is
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from starlette.requests import Request
from starlette.responses import Response

from pipeline.compose.links import FORM
from pipeline.config import FeedSettings
from pipeline.jobs import confirm as confirming
from pipeline.jobs import signups
from pipeline.jobs.confirm import Standing, State
from pipeline.jobs.signups import Asked, Wish
from pipeline.jobs.site import Site
from pipeline.models import Cadence
from pipeline.shown import one_line
from pipeline.web.desk import Desk, guarded
from pipeline.web.forms import Form
from pipeline.web.pages import PRIVATE
from pipeline.web.visitors import network

LEAST_SECONDS = 3
MOST_SECONDS = 86_400
"""How long after a form was shown it is believed that a person filled it in."""
BAIT = "comment"
"""A field that nobody sees, so that whoever fills it in is no person; not one that browsers know how to fill."""
_LONGEST_NAME = 100
_LONGEST_ADDRESS = 320
_PLAIN = {"cache-control": "no-store"}
_RETRY = {"retry-after": "3600", **PRIVATE}


@dataclass(frozen=True, slots=True)
class _Place:
    """What is subscribed to at an address: one feed, or whatever is open. ``page`` is its public address."""

    feeds: tuple[FeedSettings, ...]
    language: str
    page: str
    single: bool


@dataclass(frozen=True, slots=True)
class Typed:
    """What stands in the form."""

    email: str = ""
    name: str = ""
    feeds: tuple[str, ...] = ()
    cadence: str = ""
    topics: tuple[str, ...] = ()


@guarded
def show(desk: Desk, request: Request) -> Response:
    """The form; nothing is changed."""
    site = desk.site()
    place = _place(site, request)
    if place is None:
        return desk.pages.message(site, "closed", 404)
    return _form(desk, site, place, Typed(), _stamp(site, desk.clock()))


@guarded
def act(desk: Desk, request: Request, body: bytes) -> Response:
    """Take a sign-up, or say what is missing, before anything is stored."""
    site, now, form = desk.site(), desk.clock(), Form(body)
    place = _place(site, request)
    if place is None:
        return desk.pages.message(site, "closed", 404)
    typed = _typed(place, form)
    stamp = form.one("stamp")[:100]
    age = _age(site, stamp, now)
    if age is None:
        stamp = _stamp(site, now)
    address, faults = _checked(typed)
    if faults:
        return _form(desk, site, place, typed, stamp, faults=faults, status=422)
    if age is None or age < LEAST_SECONDS or form.one(BAIT):
        return _form(desk, site, place, typed, stamp, again=True)
    asked = signups.ask(site, _wish(desk, site, place, typed, address, request), now)
    if asked is not Asked.STORED:
        return desk.pages.message(site, "flood", 429, _RETRY)
    return desk.pages.page(site, "subscribed.html.j2", place.language, headers=PRIVATE, confirm=site.settings.subscribe.confirm)


def _place(site: Site, request: Request) -> _Place | None:
    feeds = tuple(site.settings.open_feeds())
    slug = request.path_params.get("slug", "")
    base, about = f"{site.settings.site.url}/subscribe", site.settings.site
    if slug:
        current = site.settings.current_slug(slug)
        feeds = tuple(feed for feed in feeds if feed.slug == current)
        base = f"{base}/{current}"
    if not feeds:
        return None
    language = feeds[0].language if len(feeds) == 1 else about.language
    return _Place(feeds, language, base, single=len(feeds) == 1)


def _typed(place: _Place, form: Form) -> Typed:
    """Only what is offered; the texts as they were typed."""
    offered = [feed.slug for feed in place.feeds]
    feeds = offered if place.single else [slug for slug in offered if slug in form.many("feed")]
    cadence, topics = form.one("cadence"), form.many("topic")
    return Typed(
        email=form.one("email")[:_LONGEST_ADDRESS],
        name=person_name(form.one("name")),
        feeds=tuple(feeds),
        cadence=cadence if cadence in tuple(Cadence) else "",
        topics=tuple(topic for topic in offered_topics(place.feeds) if topic in topics),
    )


def person_name(text: str) -> str:
    """A name in one line, without what would turn the text around it or that nobody sees (Unicode category Cf)."""
    seen = "".join(character for character in text if unicodedata.category(character) != "Cf")
    return one_line(seen)[:_LONGEST_NAME].strip()


def offered_topics(feeds: tuple[FeedSettings, ...]) -> list[str]:
    """The topics of a feed's sources, in the order of its file; none for several feeds."""
    if len(feeds) != 1:
        return []
    return list(dict.fromkeys(topic.name for source in feeds[0].source for topic in source.topic))


def _checked(typed: Typed) -> tuple[str, dict[str, str]]:
    """The address to write to, and what is wrong by field."""
    faults, address = {}, ""
    try:
        address = signups.written_address(typed.email)
    except ValueError:
        faults["email"] = "missing" if not typed.email else "invalid"
    if not typed.feeds:
        faults["feed"] = "missing"
    return address, faults


def _stamp(site: Site, now: datetime) -> str:
    return site.links.token(FORM, int(now.timestamp()))


def _age(site: Site, stamp: str, now: datetime) -> float | None:
    """Seconds since the form was shown; None where it was not, or too long ago."""
    shown = site.links.identity(FORM, stamp) if stamp else None
    age = now.timestamp() - shown if shown is not None else None
    return age if age is not None and 0 <= age <= MOST_SECONDS else None


def _form(
    desk: Desk,
    site: Site,
    place: _Place,
    typed: Typed,
    stamp: str,
    *,
    faults: Mapping[str, str] = {},
    again: bool = False,
    status: int = 200,
) -> Response:
    headers = PRIVATE if typed != Typed() else _PLAIN
    return desk.pages.page(
        site,
        "subscribe.html.j2",
        place.language,
        status,
        headers,
        feeds=place.feeds,
        single=place.single,
        topics=offered_topics(place.feeds),
        cadences=[str(one) for one in Cadence],
        usual=str(place.feeds[0].digest.cadence) if place.single else "",
        said=_said(site, place),
        typed=typed,
        faults=faults,
        again=again,
        stamp=stamp,
        bait=BAIT,
    )


def _said(site: Site, place: _Place) -> str:
    """What a person agrees to, in the words of the page."""
    feed = place.feeds[0].title if place.single else ""
    return one_line(site.texts.render("consent.txt.j2", place.language, site=site.settings.site, feed=feed))


def _wish(desk: Desk, site: Site, place: _Place, typed: Typed, address: str, request: Request) -> Wish:
    blank = bytes(_form(desk, site, place, Typed(), "").body)
    return Wish(
        address=address,
        name=typed.name,
        feeds=typed.feeds,
        cadence=typed.cadence,
        topics=typed.topics,
        language=place.language,
        network=visitor(site, request),
        page=place.page,
        wording=_digest(blank),
        said=_said(site, place),
    )


def _digest(page: bytes) -> str:
    """The version of a page's wording: a hash of the page without what anybody typed."""
    return hashlib.sha256(page).hexdigest()[:32]


def visitor(site: Site, request: Request) -> str:
    """The shortened network that a request came from, "" where it is not known."""
    peer = request.client.host if request.client else ""
    return network(peer, request.headers.getlist("x-forwarded-for"), site.settings.web.proxies)


@guarded
def look(desk: Desk, request: Request) -> Response:
    """What the link is about, and a button; nothing is changed, for scanners follow links."""
    site = desk.site()
    return _standing(desk, site, confirming.look(site, request.path_params["token"], desk.clock()))


@guarded
def confirm(desk: Desk, request: Request, body: bytes) -> Response:
    """Subscribe. Only with the button's own word: a program that posts to every address it finds has not read it."""
    site, now, form, token = desk.site(), desk.clock(), Form(body), request.path_params["token"]
    if form.one("confirm") != "yes":
        return _standing(desk, site, confirming.look(site, token, now))
    chosen = set(form.many("feed")) if form.has("choice") else None

    def how(found: Standing) -> dict[str, str]:
        page = bytes(_confirm_page(desk, site, replace(found, name="")).body)
        return {
            "how": "the link in a mail to this address, and the button on its page",
            "confirmed": now.isoformat(timespec="seconds"),
            "confirm_wording": _digest(page),
            "confirm_network": visitor(site, request) or "unknown",
        }

    found = confirming.confirm(site, token, chosen, how, now)
    return _standing(desk, site, found, nothing=chosen == set())


def _standing(desk: Desk, site: Site, found: Standing | None, *, nothing: bool = False) -> Response:
    if found is None:
        return _confirm_page(desk, site, Standing(State.GONE, site.settings.site.language), 404)
    return _confirm_page(desk, site, found, 410 if found.state is State.GONE else 200, nothing=nothing)


def _confirm_page(desk: Desk, site: Site, found: Standing, status: int = 200, *, nothing: bool = False) -> Response:
    return desk.pages.page(site, "confirm.html.j2", found.language, status, PRIVATE, found=found, nothing=nothing)
