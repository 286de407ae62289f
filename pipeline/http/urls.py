"""What an address means to HTTP: its origin, what stands in a request to it, and where a redirect leads."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import SplitResult, urljoin, urlsplit

from requests import PreparedRequest
from requests.exceptions import RequestException

from pipeline.errors import FetchError

_PORTS = {"http": 80, "https": 443}
_MAX_LENGTH = 8000
_NOT_SENT = re.compile(r"[^!-~]")


@dataclass(frozen=True, slots=True)
class Target:
    """An address, ready for a request. ``host`` without brackets, IDN in ASCII; ``authority`` is the Host header."""

    url: str
    scheme: str
    host: str
    port: int
    authority: str
    path: str


def target_of(asked: str, url: str) -> Target:
    """Raises FetchError, about ``asked``, for what is no http or https address, too long, or has a user name in it."""
    _check(asked, url)
    request = PreparedRequest()
    try:
        request.prepare_url(url, None)
        prepared = request.url or ""
        if prepared != url:
            _check(asked, prepared)
        return _target(urlsplit(prepared))
    except (RequestException, ValueError):
        raise _no_address(asked, "is not an address that can be asked for") from None


def _target(parts: SplitResult) -> Target:
    host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
    name = f"[{host}]" if ":" in host else host
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if _NOT_SENT.search(path) or _NOT_SENT.search(name):
        raise ValueError(path)
    authority = name if parts.port is None else f"{name}:{parts.port}"
    return Target(parts._replace(fragment="").geturl(), parts.scheme, host, port, authority, path)


def _check(asked: str, url: str) -> None:
    if len(url) > _MAX_LENGTH:
        raise _no_address(asked[:200], f"leads to an address of more than {_MAX_LENGTH:,} characters")
    try:
        parts = urlsplit(url)
        usable = parts.scheme in _PORTS and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise _no_address(asked, "does not lead to an http or https address")
    if parts.username is not None or parts.password is not None:
        shown = re.sub(r"//[^/]*@", "//", asked)
        raise FetchError(shown, "leads to an address with a user name in it", retryable=False, fix="Use a public address.")


def _no_address(asked: str, reason: str) -> FetchError:
    return FetchError(asked, reason, retryable=False, fix="Correct the address.")


def same_server(first: str, second: str) -> bool:
    """Whether both have one origin (RFC 6454 section 4), or the second is the first's https on the usual ports.

    The latter because a site that moved to https redirects every old address; its validators are those of https.
    """
    if first == second:
        return True
    try:
        one, two = origin(first), origin(second)
    except ValueError:  # it is refused as an address by the hop itself
        return False
    return two in (one, ("https", one[1], 443) if one[::2] == ("http", 80) else one)


def origin(url: str) -> tuple[str, str, int]:
    """Scheme, host in lower case, port. Raises ValueError for an impossible port."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 0)


def next_hop(asked: str, current: str, location: str) -> str:
    """Where a redirect leads. http.client reads headers as Latin-1; servers that send raw UTF-8 mean UTF-8."""
    try:
        target = location.encode("latin-1").decode("utf-8")
    except UnicodeError:
        target = location
    try:
        return urljoin(current, target.strip()).partition("#")[0]
    except ValueError:
        raise FetchError(asked, "redirects to something that is not an address", retryable=False) from None
