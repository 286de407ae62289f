"""What others answer: the relay, and the web at site.url with its clock."""

from __future__ import annotations

from datetime import datetime, timedelta
from ipaddress import ip_address
from urllib.parse import urlsplit

from pipeline.config import RelaySettings
from pipeline.deliver.line import Offer
from pipeline.errors import FetchError
from pipeline.jobs import sample, trust
from pipeline.jobs.doctor.check import Check, clock, fail, note, ok
from pipeline.jobs.site import Site
from pipeline.jobs.trust import Identity
from pipeline.jobs.try_relay import log_in
from pipeline.models import EditionStatus
from pipeline.store import editions, feeds, runs

_PATIENCE = timedelta(seconds=15)
_ENDS_SOON = timedelta(days=14)
_FIGURES_BYTES = 10_000_000
_HIDE = "Let your web server send X-Forwarded-For with all that it passes on: see docs/operations.md."
_WANTED = ("PIPELINING", "8BITMIME", "SIZE")


def relay(site: Site, now: datetime) -> list[Check]:
    """Connect, TLS, log in, goodbye: no mail is sent. Then whether it may write to subscribers (promise 12)."""
    if not site.settings.relay:
        return [
            note("relay", "none is named: mails go to var/outbox, a rehearsal", "Add [[relay]] to gazet.toml when that is over.")
        ]
    first = site.settings.relay[0]
    sender = next((sample.sender_address(site, feed) for feed in site.settings.feeds.values()), site.settings.site.contact)
    login = log_in(first, site, sender, patience=_PATIENCE)
    place = f"{first.name} ({first.host}:{first.effective_port})"
    if login.answer is not None:
        said = " ".join(part for part in (str(login.answer.code or ""), login.answer.enhanced, login.answer.text) if part)
        return [fail("relay", f"{place} at {login.answer.stage}: {said}", login.advice)]
    assert login.offer is not None, "an SMTP session has an offer"
    return [ok("relay", f"{place}: {_offered(first, login.offer)}"), *_certificate(login.offer, now), *_missing(login.offer)]


def _offered(relay: RelaySettings, offer: Offer) -> str:
    login = "logged in" if relay.user else "no login"
    size = offer.extensions.get("SIZE", "")
    limit = f", messages up to {int(size) / 1e6:.0f} MB" if size.isdecimal() and len(size) < 15 and int(size) else ""
    return f"{offer.tls or 'clear text'}, {login}{limit}"


def _certificate(offer: Offer, now: datetime) -> list[Check]:
    if offer.certificate_ends is None or offer.certificate_ends - now > _ENDS_SOON:
        return []
    days = max((offer.certificate_ends - now).days, 0)
    return [note("relay", f"its certificate ends in {days} days", "Its operator should renew it; without, nothing can be sent.")]


def _missing(offer: Offer) -> list[Check]:
    absent = [name for name in _WANTED if name not in offer.extensions]
    return [note("relay", f"it does not offer {', '.join(absent)}; Gazet does without")] if absent else []


def sending(site: Site) -> list[Check]:
    """Whether mail goes to subscribers now, and if not, what is missing or rests. After site.url was asked."""
    resting = _paused(site)
    if not site.settings.relay:
        return resting
    first = site.settings.relay[0]
    if first.on_loopback:
        return [ok("sending", f"{first.name} is a test server on this machine: it may be used at any time"), *resting]
    if refused := trust.missing(site, first):
        return [note("sending", refused.what, refused.fix), *resting]
    return resting or [ok("sending", f"{first.name} writes to subscribers")]


def _paused(site: Site) -> list[Check]:
    """What a person stopped, or what waits for one: mail that does not leave although everything works."""
    with site.store.read() as tx:
        resting = [("the site", "", "")] if feeds.site_paused(tx) else []
        resting += [
            (f"relay {one.name}", one.name, one.reason) for one in runs.relays(tx) if one.paused and one.name == site.relay_name
        ]
        resting += [(f"feed {slug}", slug, "") for slug in feeds.paused(tx) if slug in site.settings.feeds]
        resting += [(f"edition {one.label}", one.label, one.reason) for one in editions.open_editions(tx, EditionStatus.PAUSED)]
    return [
        note("sending", f"{what} is paused" + (f": {reason}" if reason else ""), f'"gazet resume{name and " "}{name}" goes on.')
        for what, name, reason in resting
    ]


def web(site: Site, now: datetime) -> list[Check]:
    """site.url answers as this site, over https; its server's clock agrees with ours."""
    url, host = site.settings.site.url, site.host
    if trust.is_example(host):
        return [note("site.url", f"{url} is an example", "Put the public address into gazet.toml before anything is sent.")]
    answer = trust.ask(site, now)
    here = answer.identity is Identity.THIS_SITE
    checks = [ok("site.url", answer.what) if here else fail("site.url", answer.what, answer.fix)]
    if _private(host):
        checks.append(note("site.url", f"{host} is an address that only this network reaches", "Readers need a public name."))
    elif urlsplit(url).scheme != "https":
        checks.append(fail("site.url", f"{url} is not https", "One-click unsubscribe needs https (RFC 8058): get a certificate."))
    return [*checks, *(_figures(site) if here else []), *clock(answer.date, host, now)]


def _figures(site: Site) -> list[Check]:
    """/metrics is for this machine alone; a web server before it that does not say for whom it asks opens it to everybody."""
    url = f"{site.settings.site.url}/metrics"
    try:
        found = trust.asker(site.settings, most_bytes=_FIGURES_BYTES).fetch(url)
    except FetchError as error:
        closed = error.status is not None and 400 <= error.status < 500
        return (
            [ok("site.url", "/metrics is closed to the public")] if closed else [note("site.url", f"{url}: {error.reason}", _HIDE)]
        )
    if b"gazet_" in found.body:
        return [fail("site.url", f"{url} shows everybody how many subscribers there are", _HIDE)]
    return [ok("site.url", "/metrics is closed to the public")]


def _private(host: str) -> bool:
    try:
        return not ip_address(host.strip("[]")).is_global
    except ValueError:
        return False
