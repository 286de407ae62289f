"""Promise 12: what a relay that reaches real people needs before it writes to subscribers, and how each part is met.

    no --now ─▶ site.url is no example ─▶ a test mail accepted with these settings ─▶ site.url answered as this site ─▶ it writes

``gazet send FEED --test ADDRESS`` meets the last two. The outbox and a test server on loopback need none of it.
"""

from __future__ import annotations

import hmac
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from urllib.parse import urlsplit

from pipeline import __version__
from pipeline.config import RelaySettings, Settings
from pipeline.deliver.smtp import password_of
from pipeline.errors import FetchError, SendRefusedError
from pipeline.http import Fetched, Fetcher
from pipeline.jobs.site import Site, host_of
from pipeline.store import relays, runs

ASK_AGAIN = timedelta(minutes=5)
_PATIENCE = timedelta(seconds=10)
_MOST_BYTES = 65536
_EXAMPLES = ("example.com", "example.net", "example.org", "example", "test", "invalid", "localhost")
"""Names that never lead anywhere (RFC 2606, RFC 6761), and everything below them."""


class Identity(StrEnum):
    """Who answers at site.url."""

    THIS_SITE = "this site"
    ANOTHER = "another"
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class WebAnswer:
    """What came from ``site.url``/healthz. ``what`` and ``fix`` are for a person; ``date`` is the server's clock, where it says."""

    identity: Identity
    what: str
    fix: str = ""
    date: datetime | None = None


def is_example(host: str) -> bool:
    """Whether it is a name from the examples, or below one."""
    name = host.rstrip(".").lower()
    return any(name == example or name.endswith(f".{example}") for example in _EXAMPLES)


def require(site: Site, relay: RelaySettings, *, standing_clock: bool, now: datetime | None = None) -> None:
    """Raises SendRefusedError with the first thing that is missing, and keeps it as a problem until it is met.

    When only the answer of site.url is missing, it is asked for, at most every five minutes. ``now`` is the machine's
    time if left out: a relay that needs all this is never used with another clock.
    """
    now = now or datetime.now(UTC)
    refused = missing(site, relay, standing_clock=standing_clock, ask_at=now)
    with site.store.write() as tx:
        if refused is not None:
            runs.problem(tx, f"relay:{relay.name}:trust", refused.what, refused.fix, now)
        else:
            runs.mended(tx, f"relay:{relay.name}:trust", now)
    if refused is not None:
        raise refused


def missing(
    site: Site, relay: RelaySettings, *, standing_clock: bool = False, ask_at: datetime | None = None
) -> SendRefusedError | None:
    """The first thing that keeps this relay from writing to subscribers; None when nothing does.

    ``ask_at`` is the moment at which site.url may be asked if that is all that is missing; None: nobody is asked.
    """
    if relay.on_loopback:
        return None
    if standing_clock:
        return SendRefusedError(
            f'Relay "{relay.name}" reaches real people, so it sends nothing with --now.',
            fix="Leave --now out, or rehearse on a copy of the site without [[relay]]; nothing is lost.",
        )
    if is_example(host_of(site.settings)):
        return _not_yet(relay, f"site.url is still the example {site.settings.site.url}", "Put the public address into gazet.toml.")
    with site.store.read() as tx:
        proof = relays.proof(tx, relay.name)
    if not hmac.compare_digest(proof.tested_hash, settings_hash(site, relay)):
        fix = f'"gazet send {next(iter(sorted(site.settings.feeds)), "FEED")} --test YOUR-ADDRESS" sends one.'
        return _not_yet(relay, "no test mail was accepted with its present settings", fix)
    if proof.answered_url == site.settings.site.url or (ask_at is not None and _answers_now(site, proof.asked_at, ask_at)):
        return None
    fix = '"gazet doctor" says what it answers; "gazet run" and "gazet serve" are the web server it should lead to.'
    return _not_yet(relay, f"{site.settings.site.url} has not answered as this site", fix)


def _not_yet(relay: RelaySettings, why: str, fix: str) -> SendRefusedError:
    return SendRefusedError(f'Relay "{relay.name}" writes to no subscriber yet: {why}.', fix=f"{fix} Until then mail waits.")


def settings_hash(site: Site, relay: RelaySettings) -> str:
    """A keyed hash of all that decides where mail goes and as whom we log in; another one needs another test mail.

    The From of a feed is not among it: a relay that does not know a sender refuses at MAIL and nothing is lost, and a new
    feed must not stop the mail of the others. Raises ConfigError when the password's file cannot be read.
    """
    password = password_of(relay, site.settings.folder)
    parts = [relay.host.lower(), relay.effective_port, relay.tls, relay.ca_file, relay.user, password]
    return site.links.settings_hash(json.dumps(parts))


def accepted(site: Site, relay: RelaySettings, tested_hash: str, now: datetime) -> None:
    """Remember that a test mail was accepted with the settings of that hash."""
    with site.store.write() as tx:
        relays.tested(tx, relay.name, tested_hash, now)


def _answers_now(site: Site, asked_at: datetime | None, now: datetime) -> bool:
    """Ask unless that was done a moment ago; a moment in the future was written by a clock that was ahead."""
    if asked_at is not None and timedelta() <= now - asked_at < ASK_AGAIN:
        return False
    return ask(site, now).identity is Identity.THIS_SITE


def ask(site: Site, now: datetime) -> WebAnswer:
    """Ask ``site.url``/healthz who it is, and remember it.

    An answer as this site is forgotten only when the address turns out to be another one's, not when a web server rests.
    """
    answer = _ask(site)
    with site.store.write() as tx:
        if answer.identity is Identity.NOBODY:
            relays.asked(tx, now)
        else:
            relays.answered(tx, site.settings.site.url if answer.identity is Identity.THIS_SITE else "", now)
    return answer


def ask_soon(site: Site) -> None:
    """The site's own web server has just begun, so that site.url may answer now: the next tick asks without waiting."""
    with site.store.write() as tx:
        relays.never_asked(tx)


def _ask(site: Site) -> WebAnswer:
    url = f"{site.settings.site.url}/healthz"
    try:
        found = asker(site.settings).fetch(url)
    except FetchError as error:
        return WebAnswer(Identity.NOBODY, f"{url}: {error.reason}", _fix(site.settings, error))
    if found.final_url != url:
        fix = "Write the address that it leads to: a one-click unsubscribe must not be redirected (RFC 8058)."
        return WebAnswer(Identity.NOBODY, f"{url} redirects to {found.final_url}", fix, served_at(found))
    mark = _mark(found.body)
    if mark is None:
        fix = f"Let your web server pass {site.settings.site.url}/ on to {site.settings.web.listen}."
        return WebAnswer(Identity.NOBODY, f"{url} is answered, but not by Gazet", fix, served_at(found))
    if mark != site.links.site_mark():
        fix = "Correct site.url, or let that address lead to this site; another secret makes another site."
        return WebAnswer(Identity.ANOTHER, f"{url} is answered by another Gazet site", fix, served_at(found))
    return WebAnswer(Identity.THIS_SITE, f"{url} answers as this site", date=served_at(found))


def asker(settings: Settings, *, most_bytes: int = _MOST_BYTES) -> Fetcher:
    """Asks site.url. The operator named this address, so it may be a private one and have any port."""
    parts = urlsplit(settings.site.url)
    port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    allow = settings.collect.allow
    named = True if allow is True else (f"{host_of(settings)}:{port}", *(allow or ()))
    return Fetcher(allow=named, timeout=_PATIENCE, max_bytes=most_bytes, user_agent=f"Gazet/{__version__} (+{settings.site.url})")


def _fix(settings: Settings, error: FetchError) -> str:
    if error.status == 503:
        return 'Its web server is there, but "gazet run" does not run: start it.'
    if error.status is not None:
        return f"Let your web server pass {settings.site.url}/ on to {settings.web.listen}."
    return 'Start "gazet run" (or "gazet serve") and what stands before it, and check DNS and firewall.'


def _mark(body: bytes) -> str | None:
    """The mark that a Gazet site shows; None for whatever else is served there."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    mark = found.get("site") if isinstance(found, dict) else None
    return mark if isinstance(mark, str) else None


def served_at(found: Fetched) -> datetime | None:
    """The answer's Date header: another machine's clock (RFC 9110 section 6.6.1)."""
    try:
        date = parsedate_to_datetime(found.headers.get("date", ""))
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)
