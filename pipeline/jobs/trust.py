"""Promise 12: what a relay that reaches real people needs before it writes to subscribers, and how each part is met.

    no --now ─▶ site.url is no example ─▶ this is no copy ─┬─▶ a test mail accepted with these settings ─▶ site.url answered as
                                                           │   this site ─▶ it writes to subscribers
                                                           └─▶ it carries alerts and eves to those who run the site

``gazet send FEED --test ADDRESS`` meets the last three. The outbox and a test server on loopback need none of it.
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
from pipeline.jobs import lasting
from pipeline.jobs.site import Site, host_of
from pipeline.store import Tx, relays, runs, signups, subscribers

ASK_AGAIN = timedelta(minutes=5)
_A_DAY = timedelta(days=1)
_SILENT = timedelta(hours=1)
_PATIENCE = timedelta(seconds=10)
_KIND = "site.url"
_HALF = 32
"""Hexadecimal digits of each half of a relay's hash: 128 bits."""
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
        _keep(tx, relay, refused, now)
    if refused is not None:
        raise refused


def require_place(site: Site, relay: RelaySettings, *, standing_clock: bool) -> None:
    """The same for mails to those who run the site: they may be what says that a test mail is missing."""
    refused = None if relay.on_loopback else _out_of_place(site, relay, standing_clock=standing_clock)
    if refused is not None:
        with site.store.write() as tx:
            _keep(tx, relay, refused, datetime.now(UTC))
        raise refused


def expect_moving_clock(site: Site) -> None:
    """Raises SendRefusedError where ``--now`` would open editions that the next run sends to real people."""
    for relay in site.settings.relay[:1]:
        if not relay.on_loopback:
            raise _standing(relay)


def expect_address(site: Site) -> None:
    """Raises SendRefusedError where an edition would be opened whose links lead nowhere, for they are frozen in its mails."""
    for relay in site.settings.relay[:1]:
        if not relay.on_loopback and is_example(host_of(site.settings)):
            raise _no_address(site, relay)


def watch(site: Site, now: datetime | None = None) -> None:
    """Say that mail will wait before it has to; and ask site.url each day whether people can still leave there.

    Never raises for what it finds. Without anybody to write to nothing is missing yet.
    """
    now = now or datetime.now(UTC)
    relay = next(iter(site.settings.relay), None)
    if relay is None or relay.on_loopback:
        return
    if _asked_daily(site, relay, now):
        ask(site, now)
    refused = missing(site, relay, ask_at=now)
    key = _problem_of(relay)
    with site.store.read() as tx:
        told = next((f"{one.what} {one.fix}" for one in runs.problems(tx) if one.key == key), "")
        needed = subscribers.any_active(tx) or signups.any_open(tx) or bool(told)
    if needed and told != (str(refused) if refused else ""):
        with site.store.write() as tx:
            _keep(tx, relay, refused, now)


def _keep(tx: Tx, relay: RelaySettings, refused: SendRefusedError | None, now: datetime) -> None:
    if refused is not None:
        runs.problem(tx, _problem_of(relay), refused.what, refused.fix, now)
    else:
        runs.mended(tx, _problem_of(relay), now)


def _problem_of(relay: RelaySettings) -> str:
    return f"relay:{relay.name}:trust"


def missing(
    site: Site, relay: RelaySettings, *, standing_clock: bool = False, ask_at: datetime | None = None
) -> SendRefusedError | None:
    """The first thing that keeps this relay from writing to subscribers; None when nothing does.

    ``ask_at`` is the moment at which site.url may be asked if that is all that is missing; None: nobody is asked.
    """
    if relay.on_loopback:
        return None
    if refused := _out_of_place(site, relay, standing_clock=standing_clock):
        return refused
    with site.store.read() as tx:
        proof = relays.proof(tx, relay.name)
    if not hmac.compare_digest(proof.tested_hash, settings_hash(site, relay)):
        return _not_yet(relay, "no test mail was accepted with its present settings", f"{_test_mail(site)} sends one.")
    if proof.answered_url == _address(site) or (ask_at is not None and _answers_now(site, proof.asked_at, ask_at)):
        return None
    fix = '"gazet doctor" says what it answers; "gazet run" and "gazet serve" are the web server it should lead to.'
    return _not_yet(relay, f"{site.settings.site.url} has not answered as this site", fix)


def _out_of_place(site: Site, relay: RelaySettings, *, standing_clock: bool) -> SendRefusedError | None:
    """Why nothing at all may leave from here through this relay, but for a test mail."""
    if standing_clock:
        return _standing(relay)
    if is_example(host_of(site.settings)):
        return _no_address(site, relay)
    if _copied(site):
        fix = f"For a rehearsal take [[relay]] out of this gazet.toml; if no other one runs any more, {_test_mail(site)} is needed."
        return _not_yet(relay, "this site is a copy or was moved, its test mail was sent elsewhere", fix)
    return None


def _no_address(site: Site, relay: RelaySettings) -> SendRefusedError:
    return _not_yet(relay, f"site.url is still the example {site.settings.site.url}", "Put the public address into gazet.toml.")


def _standing(relay: RelaySettings) -> SendRefusedError:
    return SendRefusedError(
        f'Relay "{relay.name}" reaches real people, so it sends nothing with --now.',
        fix="Leave --now out, or rehearse on a copy of the site without [[relay]]; nothing is lost.",
    )


def _copied(site: Site) -> bool:
    """Whether test mails were accepted, but none of them here."""
    with site.store.read() as tx:
        hashes = relays.tested_hashes(tx)
    return bool(hashes) and not any(one.endswith(_here(site)) for one in hashes)


def _here(site: Site) -> str:
    return site.links.place_hash(site.store.place)[:_HALF]


def _address(site: Site) -> str:
    """What is remembered of an answer: which address gave it, and for which place."""
    return f"{site.settings.site.url} {_here(site)}"


def _test_mail(site: Site) -> str:
    return f'"gazet send {next(iter(sorted(site.settings.feeds)), "FEED")} --test YOUR-ADDRESS"'


def _not_yet(relay: RelaySettings, why: str, fix: str) -> SendRefusedError:
    return SendRefusedError(f'Relay "{relay.name}" writes to no subscriber yet: {why}.', fix=f"{fix} Until then mail waits.")


def settings_hash(site: Site, relay: RelaySettings) -> str:
    """A keyed hash of all that decides where mail goes and as whom we log in, and behind it one of where the store is.

    Another one needs another test mail. The From of a feed is not among it: a relay that does not know a sender refuses at
    MAIL and nothing is lost, and a new feed must not stop the mail of the others. Raises ConfigError when the password's
    file cannot be read.
    """
    password = password_of(relay, site.settings.folder)
    parts = [relay.host.lower(), relay.effective_port, relay.tls, relay.ca_file, relay.user, password]
    return site.links.settings_hash(json.dumps(parts))[:_HALF] + _here(site)


def accepted(site: Site, relay: RelaySettings, tested_hash: str, now: datetime) -> None:
    """Remember that a test mail was accepted with the settings of that hash."""
    with site.store.write() as tx:
        relays.tested(tx, relay.name, tested_hash, now)


def _answers_now(site: Site, asked_at: datetime | None, now: datetime) -> bool:
    """Ask unless that was done a moment ago; a moment in the future was written by a clock that was ahead."""
    if asked_at is not None and timedelta() <= now - asked_at < ASK_AGAIN:
        return False
    return ask(site, now).identity is Identity.THIS_SITE


def _asked_daily(site: Site, relay: RelaySettings, now: datetime) -> bool:
    """Whether the address, which did answer once, is to be asked again: once a day, more often while it does not."""
    with site.store.read() as tx:
        proof, silent = relays.proof(tx, relay.name), lasting.fails(tx, _KIND)
    if proof.answered_url != _address(site):
        return False
    asked_at, patience = proof.asked_at, ASK_AGAIN if silent else _A_DAY
    return asked_at is None or not timedelta() <= now - asked_at < patience


def ask(site: Site, now: datetime) -> WebAnswer:
    """Ask ``site.url``/healthz who it is, and remember it.

    An answer as this site is forgotten only when the address turns out to be another one's, not when a web server rests:
    mail goes on then, but when it rests for an hour somebody must know, for nobody can leave.
    """
    answer, url = _ask(site), site.settings.site.url
    with site.store.write() as tx:
        if answer.identity is not Identity.NOBODY:
            relays.answered(tx, _address(site) if answer.identity is Identity.THIS_SITE else "", now)
            lasting.worked(tx, _KIND, now)
            runs.mended(tx, f"{_KIND}:{url}", now)
            return answer
        relays.asked(tx, now)
        if lasting.failed(tx, _KIND, host_of(site.settings), now) >= _SILENT and relays.answered_url(tx) == _address(site):
            what = f"{answer.what} for more than an hour: nobody can unsubscribe"
            runs.problem(tx, f"{_KIND}:{url}", what, answer.fix, now)
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
    if mark != site.mark:
        fix = "Correct site.url, or let that address lead to this site; a copy of it, or one with another secret, is another site."
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
