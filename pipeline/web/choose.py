"""The pages of a person who has a link of their own: preferences, and what is stored about them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response

from pipeline import config
from pipeline.config import WEEKDAYS
from pipeline.errors import StoreError
from pipeline.jobs import my_data, preferences
from pipeline.jobs.preference_fields import WEEKS
from pipeline.jobs.preferences import Nobody, Page
from pipeline.jobs.site import Site
from pipeline.models import Cadence
from pipeline.web.forms import Form
from pipeline.web.pages import PRIVATE

if TYPE_CHECKING:
    from pipeline.web.desk import Desk

MOST_BYTES = 131_072
"""A form with a fieldset for each of a person's subscriptions: some 300 bytes each, and their topics."""
_MOST_FIELDS = 4000
_JSON, _ERASE = "/json", "/erase"


def show(desk: Desk, request: Request) -> Response:
    """The page as it is; nothing is changed."""
    site = desk.site()
    return _preferences(desk, site, preferences.look(site, request.path_params["token"], desk.clock()))


def act(desk: Desk, request: Request, body: bytes) -> Response:
    """The same page after what its form asked for."""
    site = desk.site()
    found = preferences.act(site, request.path_params["token"], Form(body, most=_MOST_FIELDS), desk.clock())
    _expect_this_store(site)
    return _preferences(desk, site, found)


def _expect_this_store(site: Site) -> None:
    if config.names_other_store(site.settings):
        raise StoreError("store.url was edited, so nobody can choose or leave here.", fix="Restart gazet.")


def _preferences(desk: Desk, site: Site, found: Page | Nobody | None) -> Response:
    if not isinstance(found, Page):
        return desk.pages.message(site, "token" if found is None else "nobody", 404, PRIVATE)
    choices = {"cadences": [str(one) for one in Cadence], "weekdays": WEEKDAYS, "weeks": WEEKS}
    status = 422 if found.faulty else 200
    return desk.pages.page(site, "preferences.html.j2", found.language, status, PRIVATE, page=found, **choices)


def show_data(desk: Desk, request: Request) -> Response:
    """Everything, as a page or with /json behind the link as a file; with /erase the question whether to erase it."""
    site, token = desk.site(), request.path_params["token"]
    path, ending = _parted(token)
    about = my_data.about(site, path, desk.clock())
    if about is None:
        return _no_data(desk, site)
    if ending == _JSON:
        body = json.dumps(about.document(), indent=2, ensure_ascii=False) + "\n"
        named = {"content-disposition": 'attachment; filename="my-data.json"'}
        return Response(body, headers={**PRIVATE, **named, "content-type": "application/json; charset=utf-8"})
    template = "erase.html.j2" if ending == _ERASE else "my_data.html.j2"
    values = {"about": about, "base": f"{site.settings.site.url}/my-data/{path}", "zone": site.settings.site.timezone}
    values["evidence"] = my_data.evidence
    values["titles"] = {slug: feed.title for slug, feed in site.settings.feeds.items()}
    return desk.pages.page(site, template, about.language, 200, PRIVATE, done=None, **values)


def erase(desk: Desk, request: Request, body: bytes) -> Response:
    """Erase it all, when the question was answered with yes; the answer holds nothing of the person."""
    site = desk.site()
    path, ending = _parted(request.path_params["token"])
    if ending != _ERASE or Form(body).one("erase") != "yes":
        return show_data(desk, request)
    done = my_data.erase_behind(site, path, desk.clock())
    _expect_this_store(site)
    if done is None:
        return _no_data(desk, site)
    erased, about = done
    return desk.pages.page(site, "erase.html.j2", about.language, 200, PRIVATE, done=erased, about=None, base="", zone="")


def _parted(token: str) -> tuple[str, str]:
    for ending in (_JSON, _ERASE):
        if token.endswith(ending):
            return token.removesuffix(ending), ending
    return token, ""


def _no_data(desk: Desk, site: Site) -> Response:
    return desk.pages.message(site, "stale", 404, PRIVATE)
