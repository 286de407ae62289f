"""The pages of the web server: rendered from templates, with a style that its own hash allows and nothing else."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Mapping

from starlette.responses import Response

from pipeline.errors import TemplateFault
from pipeline.jobs.leave import Left
from pipeline.jobs.site import Site
from pipeline.texts import Texts
from pipeline.web.edge import CSP

PRIVATE = {"cache-control": "no-store", "x-robots-tag": "noindex, nofollow, noarchive"}
"""Of what a token leads to."""
_STYLE = re.compile(r"<style>(.*?)</style>", re.DOTALL)
_HTML = "text/html; charset=utf-8"
_EMAIL = 'aria-roledescription="email"'
_MAIL = re.compile(f"<div[^>]*{_EMAIL}[^>]*>")
_built_in = Texts(None)


class Pages:
    """Renders pages; ``say`` hears of a template that does not."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say

    def page(
        self, site: Site, template: str, language: str, status: int = 200, headers: Mapping[str, str] = {}, **values: object
    ) -> Response:
        """A page of our own. When the site's own template fails, the built-in one is shown: people must be able to leave."""
        body = self.text(site, template, language, **values)
        return Response(body, status, {"content-type": _HTML, "content-security-policy": _policy(body), **headers})

    def text(self, site: Site, template: str, language: str, **values: object) -> str:
        """The same, or a part of a page, as text."""
        values |= {"site": site.settings.site}
        try:
            return site.texts.render(template, language, **values)
        except TemplateFault as fault:
            self._say(f"web: the built-in page was shown instead of the site's own: {fault}")
            return _built_in.render(template, language, **values)

    def unsubscribe(self, site: Site, left: Left, *, done: bool) -> Response:
        """What is about to end and a button, or that it has ended."""
        return self.page(site, "unsubscribe.html.j2", left.language, headers=PRIVATE, feed=left.feed, done=done)

    def message(self, site: Site, kind: str, status: int, headers: Mapping[str, str] = {}) -> Response:
        """A page that only says something; ``kind`` names the text in ``message.html.j2``."""
        cache = {} if "cache-control" in headers else {"cache-control": "no-store"}
        return self.page(site, "message.html.j2", site.settings.site.language, status, {**cache, **headers}, kind=kind)


def foreign(body: str, headers: Mapping[str, str] = PRIVATE) -> Response:
    """A digest as it was sent: full of inline styles, as mails are, and nothing in it can run or fetch.

    What was an e-mail in a mailbox is the main part of this page, for whoever hears it instead of seeing it.
    """
    body = _MAIL.sub(lambda tag: tag[0].replace('role="article"', 'role="main"').replace(_EMAIL, ""), body, count=1)
    policy = CSP.format(style="style-src 'unsafe-inline'; ")
    return Response(body, headers={"content-type": _HTML, "content-security-policy": policy, **headers})


def _policy(body: str) -> str:
    hashes = [hashlib.sha256(style.encode()).digest() for style in _STYLE.findall(body)]
    allowed = " ".join(f"'sha256-{base64.b64encode(one).decode()}'" for one in hashes)
    return CSP.format(style=f"style-src {allowed}; " if allowed else "")
