"""Where a visitor comes from: the other end of the connection, or what a proxy that is trusted says of it (pure)."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from pipeline.jobs.signups import shortened

_MOST_HOPS = 20
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def network(peer: str, forwarded: Sequence[str], proxies: Sequence[str]) -> str:
    """The visitor's network, shortened; "" where only proxies are known.

    ``forwarded`` are the X-Forwarded-For headers, in order: each proxy adds who came to it at the right, so from there the first
    that is no trusted proxy counts. What stands left of that may be anybody's invention.
    """
    trusted = [ipaddress.ip_network(one) for one in proxies]
    hops = [hop.strip() for hop in ",".join(forwarded).split(",")][-_MOST_HOPS:] if forwarded else []
    at = _address(peer)
    while at is not None and _within(at, trusted):
        at = _address(hops.pop()) if hops else None
    return shortened(str(at)) if at is not None else ""


def _within(at: _Address, trusted: Sequence[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> bool:
    return any(at in one for one in trusted if one.version == at.version)


def _address(text: str) -> _Address | None:
    """With or without brackets and a port; None for what is no address."""
    host = text.strip('"')
    if host.startswith("["):
        host = host[1:].partition("]")[0]
    elif host.count(":") == 1:
        host = host.partition(":")[0]
    try:
        found = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return (found.ipv4_mapped or found) if isinstance(found, ipaddress.IPv6Address) else found
