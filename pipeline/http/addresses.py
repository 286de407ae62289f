"""Which addresses may be reached: a name is resolved once, every answer checked, and one of them connected to."""

from __future__ import annotations

import ipaddress
import socket
import threading
from functools import lru_cache
from typing import Any

from requests_hardened.ip_filter import EXTRA_BLOCKED_NET_RANGES
from urllib3.util.connection import allowed_gai_family

from pipeline.errors import AddressRefusedError, FetchError
from pipeline.http.urls import Target

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class AddressGuard:
    """Decides which addresses may be reached: public ones on ports 80 and 443, and what ``allow`` names."""

    def __init__(self, allow: bool | tuple[str, ...]) -> None:
        self._all = allow is True
        self._hosts: set[tuple[str, int | None]] = set()
        self._networks: list[Network] = []
        for entry in allow if isinstance(allow, tuple) else ():
            self._add(entry.strip().lower())

    def _add(self, entry: str) -> None:
        try:
            self._networks.append(ipaddress.ip_network(entry.strip("[]"), strict=False))
        except ValueError:
            host, colon, port = entry.rpartition(":")
            named = (host, int(port)) if colon and port.isdigit() else (entry, None)
            self._hosts.add((named[0].strip("[]").rstrip("."), named[1]))

    def addresses(self, url: str, target: Target, seconds: float, source: Target) -> list[str]:
        """The addresses to connect to, best first. Every address of the host must be allowed, not only the first.

        ``url`` is what errors are about, ``source`` whose fetch this is: a public one leads to no private address, whatever
        ``allow`` names for others.
        """
        found = _literal(target.host) or _resolve(url, target.host, target.port, seconds)
        if not self._all:
            led = (target.host, target.port) != (source.host, source.port)
            inside = not led or self._is_inside(url, source, found, seconds)
            for address in found:
                self._check(url, target, address, led=led, inside=inside)
        return [str(address) for address in found]

    def _is_inside(self, url: str, source: Target, found: list[Address], seconds: float) -> bool:
        """Whether the source is at a private address that is allowed; looked up only where another one is to be reached."""
        if all(map(_is_public, found)):
            return False
        own = _literal(source.host) or _resolve(url, source.host, source.port, seconds)
        return not any(map(_is_public, own)) and all(self._allows(source, address) for address in own)

    def _allows(self, target: Target, address: Address) -> bool:
        name = target.host.lower().rstrip(".")
        named = (name, None) in self._hosts or (name, target.port) in self._hosts
        return named or any(address in network for network in self._networks)

    def _check(self, url: str, target: Target, address: Address, *, led: bool, inside: bool) -> None:
        public = _is_public(address)
        if self._allows(target, address) and (public or inside):
            return
        if not public:
            raise AddressRefusedError(url, target.host, str(address), led=led)
        if target.port not in (80, 443):
            fix = f'If that is intended, add "{target.host}:{target.port}" to allow under [collect] in gazet.toml.'
            fix = "Tell the site, or give the address it should lead to." if led else fix
            raise FetchError(url, f"port {target.port} is not one of 80 and 443", retryable=False, fix=fix)


@lru_cache(maxsize=4096)
def _is_public(address: Address) -> bool:
    """Global unicast (IANA special-purpose registries); an address that carries an IPv4 one is judged by that too."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
        if inner is not None:
            return False
        if address in _NAT64 or address.is_site_local:
            return False
    if any(address in network for network in EXTRA_BLOCKED_NET_RANGES):
        return False
    special = address.is_private or address.is_multicast or address.is_reserved or address.is_unspecified
    return address.is_global and not special


def _literal(host: str) -> list[Address]:
    """The address that the host is, in its one canonical spelling; others ("0x7f.1") are for the resolver to understand."""
    try:
        return [] if "%" in host else [_unmapped(ipaddress.ip_address(host))]
    except ValueError:
        return []


def _resolve(url: str, host: str, port: int, seconds: float) -> list[Address]:
    """Each address once, in the system's order; in a thread, because getaddrinfo has no time limit of its own."""
    found: list[Any] = []

    def ask() -> None:
        try:
            found.append(socket.getaddrinfo(host, port, family=allowed_gai_family(), type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            found.append(error)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(seconds)
    if not found:
        raise FetchError(url, f"the name {host} was not resolved in time")
    if isinstance(found[0], Exception):
        raise FetchError(url, f"the host {host} is not known", fix="Check the address, and this machine's DNS.")
    unique = dict.fromkeys(_unmapped(ipaddress.ip_address(entry[4][0].partition("%")[0])) for entry in found[0])
    return list(unique)


def _unmapped(address: Address) -> Address:
    """::ffff:127.0.0.1 is 127.0.0.1 to the kernel, so it is to every rule (RFC 4291 section 2.5.5.2)."""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
