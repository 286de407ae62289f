"""Where the bounces of a delivery come back to."""

from __future__ import annotations

from pipeline.compose import verp
from pipeline.jobs.site import Site


def return_path(site: Site, relay_name: str, envelope_from: str, edition_id: int, subscription_id: int) -> str:
    """The envelope sender: with a token that names the delivery where the relay of that name says ``verp = true``."""
    if any(relay.verp for relay in site.settings.relay if relay.name == relay_name):
        return verp.sender(site.links, envelope_from, edition_id, subscription_id)
    return envelope_from
