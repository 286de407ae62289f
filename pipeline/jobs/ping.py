"""``[alerts] ping``: an address that is called after each healthy tick, so that somebody else notices silence."""

from __future__ import annotations

from datetime import datetime, timedelta
from urllib.parse import urlsplit

from pipeline import __version__
from pipeline.config import Settings
from pipeline.errors import FetchError
from pipeline.http import Fetcher
from pipeline.jobs import lasting
from pipeline.jobs.site import Site
from pipeline.store import runs

_UNHEALTHY = ("tick", "sweep", "store", "relay", "trust", "deliver", "compose", "disk", "web", "site.url", "notice", "notices")
_SECONDS = 10
_ANSWER_BYTES = 100_000
_FAILING = timedelta(hours=1)
_KIND = "ping"


def healthy(site: Site) -> bool:
    """Whether nothing stands in the way of the next digest, of leaving it, or of an alert. Raises StoreError."""
    with site.store.read() as tx:
        return not any(one.key.partition(":")[0] in _UNHEALTHY for one in runs.problems(tx))


def ping(site: Site, now: datetime) -> bool:
    """Call the address; whether it answered with 2xx. That it fails is a problem once it has done so for an hour.

    Its path is a secret: only its host is ever shown. A private one must be named by ``allow`` under [collect], as for
    every other request.
    """
    url = site.settings.alerts.ping
    reason = _call(site.settings, url)
    if reason:
        _failed(site, urlsplit(url).hostname or "", reason, now)
    else:
        _answered(site, now)
    return not reason


def _call(settings: Settings, url: str) -> str:
    """Why it was in vain; empty when it was not."""
    fetcher = Fetcher(
        allow=settings.collect.allow,
        timeout=timedelta(seconds=_SECONDS),
        max_bytes=_ANSWER_BYTES,
        user_agent=f"Gazet/{__version__} (+{settings.site.url})",
    )
    try:
        fetcher.fetch(url)
    except FetchError as error:
        if error.status is not None and 200 <= error.status < 300:
            return ""
        return f"{error.reason}. {error.fix}".rstrip(". ")
    return ""


def _failed(site: Site, host: str, reason: str, now: datetime) -> None:
    with site.store.write() as tx:
        if lasting.failed(tx, _KIND, host, now) >= _FAILING:
            what = f"the ping to {host} fails for more than an hour: {reason}"
            runs.problem(tx, _KIND, what, "Correct ping under [alerts] in gazet.toml, or remove it.", now)


def _answered(site: Site, now: datetime) -> None:
    with site.store.read() as tx:
        over = lasting.fails(tx, _KIND) or any(one.key == _KIND for one in runs.problems(tx))
    if over:
        with site.store.write() as tx:
            lasting.worked(tx, _KIND, now)
            runs.mended(tx, _KIND, now)
