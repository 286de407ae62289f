"""All checks of one site, side by side."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from pipeline.compose.message import ascii_domain
from pipeline.config import Settings
from pipeline.errors import ConfigError, GazetError
from pipeline.jobs import sample, signing, trust
from pipeline.jobs.doctor import here, inside, outside, own_keys, records
from pipeline.jobs.doctor.check import Check, Level, Look, fail, side_by_side
from pipeline.jobs.doctor.lookup import Lookup
from pipeline.jobs.site import Site

_SECONDS = 50.0
_MOST_DOMAINS = 5


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the operator asks for: a DKIM selector, a name server as HOST:PORT, and whether sources are fetched."""

    selector: str = ""
    dns: str = ""
    fetch: bool = False


def examine(settings: Settings, open_site: Callable[[], Site], wishes: Wishes, now: datetime) -> list[Check]:
    """Every line, in the order in which a person would mend things. Raises UsageError for a wrong wish."""
    lookup = Lookup(wishes.dns)
    looks: dict[str, Look] = {
        "files": partial(here.files, settings),
        "disk": partial(here.disk, settings),
        "templates": partial(here.templates, settings, now),
    }
    site, obstacles = _open(open_site)
    if site is not None:
        looks |= _of_site(site, wishes, now)
        looks |= _of_domains(site, wishes, lookup)
    found = [*here.settings(settings), *obstacles, *side_by_side(looks, _SECONDS)]
    if site is not None:
        found += outside.sending(site)
    return found


def _open(open_site: Callable[[], Site]) -> tuple[Site | None, list[Check]]:
    """The site, or why it cannot be opened."""
    try:
        return open_site(), []
    except ConfigError as error:  # the secret: the settings themselves were read before
        return None, [fail("files", f"{one.where}: {one.what}", one.fix) for one in error.problems]
    except GazetError as error:
        return None, [fail("database", error.what, error.fix)]


def _of_site(site: Site, wishes: Wishes, now: datetime) -> dict[str, Look]:
    return {
        "database": partial(inside.database, site),
        "last run": partial(inside.last_run, site, now),
        "images": partial(inside.pictures, site),
        "record": partial(inside.kept_record, site),
        "backup": partial(inside.backup, site, now),
        "sign-ups": partial(inside.signups, site),
        "sources": partial(inside.sources, site, now, fetch=wishes.fetch),
        "site.url": partial(_soft, site, partial(outside.web, site, now)),
        "relay": partial(outside.relay, site, now),
    }


def _of_domains(site: Site, wishes: Wishes, lookup: Lookup) -> dict[str, Look]:
    """SPF, DKIM, DMARC and MX of every domain that a feed sends from."""
    senders = {sample.sender_address(site, feed).rpartition("@")[2].lower() for feed in site.settings.feeds.values()}
    relay = site.settings.relay[0] if site.settings.relay else None
    looks: dict[str, Look] = {}
    for domain in sorted(senders)[:_MOST_DOMAINS]:
        if trust.is_example(domain):
            looks[f"sender {domain}"] = partial(_soft, site, partial(_example, domain))
        else:
            found = records.looks(domain, site.settings.site.contact, relay, wishes.selector, lookup)
            place, name = ascii_domain(domain), f"DKIM {domain}"
            if keys := signing.keys(site.settings, place):
                found[f"own {name}" if wishes.selector else name] = partial(own_keys.look, name, place, keys, lookup)
            looks |= {name: partial(_soft, site, look) for name, look in found.items()}
    return looks


def _example(domain: str) -> list[Check]:
    fix = "Put your own address as contact under [site] into gazet.toml, or as from under [digest]."
    return [fail("sender", f"{domain} is an example, which no mailbox takes mail from", fix)]


def _soft(site: Site, look: Look) -> list[Check]:
    """What only matters to real people is a note while the site rehearses."""
    real = any(not relay.on_loopback for relay in site.settings.relay[:1])
    return [one if real or one.level is not Level.FAIL else replace(one, level=Level.NOTE) for one in look()]
