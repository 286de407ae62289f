"""What a reader takes and what it has already, as its request says (pure; RFC 9110 §12.5.3, §13.1)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import NamedTuple

IDENTITY, GZIP, BROTLI = "", "gzip", "br"
_NAMES = {"gzip": GZIP, "x-gzip": GZIP, "br": BROTLI, "identity": IDENTITY}
_SMALLEST_FIRST = (BROTLI, GZIP, IDENTITY)
_QUALITY = re.compile(r"[01](?:\.[0-9]{0,3})?")
_TAG = re.compile(r'"([^"]*)"')
_ANY = "*"


class Asked(NamedTuple):
    """A request for a file: the ``codings`` it takes, the best one first, and what it has already; None: it names nothing."""

    method: str
    path: str
    codings: tuple[str, ...]
    tags: frozenset[str | None] | None
    since: float | None


def asked(method: str, path: str, headers: Iterable[tuple[bytes, bytes]]) -> Asked:
    """What a request with these headers, their names in small letters, asks. Lines of one name are one list (RFC 9110 §5.3)."""
    accepted = none_match = since = None
    for name, value in headers:
        if name == b"accept-encoding":
            accepted = value.decode("latin-1") if accepted is None else f"{accepted},{value.decode('latin-1')}"
        elif name == b"if-none-match":
            none_match = value.decode("latin-1") if none_match is None else f"{none_match},{value.decode('latin-1')}"
        elif name == b"if-modified-since":
            since = moment_of(value.decode("latin-1"))
    return Asked(method, path, codings(accepted), None if none_match is None else named(none_match), since)


@lru_cache(256)
def codings(accepted: str | None) -> tuple[str, ...]:
    """The content codings that Accept-Encoding allows, the best one first; never none.

    ``*`` stands for gzip and for no coding: who takes anything gets what everybody can read. Where nothing at all is
    allowed the plain bytes are sent, rather than 406.
    """
    if accepted is None:
        return (IDENTITY,)
    weights = _weights(accepted)
    if _ANY in weights:
        weights = {GZIP: weights[_ANY], IDENTITY: min(weights[_ANY], 0.001)} | weights
    weights.setdefault(IDENTITY, 0.001)  # allowed where nothing is said of it, after all that is named
    wanted = sorted((-weights.get(one, 0), place) for place, one in enumerate(_SMALLEST_FIRST) if weights.get(one, 0) > 0)
    return tuple(_SMALLEST_FIRST[place] for _, place in wanted) or (IDENTITY,)


def _weights(accepted: str) -> dict[str, float]:
    """What the header names, with its weight; an element that is no proper one is left out."""
    weights: dict[str, float] = {}
    for element in accepted.lower().split(","):
        name, _, rest = (part.strip() for part in element.partition(";"))
        key, _, value = (part.strip() for part in rest.partition("="))
        name = _NAMES.get(name, name)
        if name not in (*_SMALLEST_FIRST, _ANY) or (rest and key != "q"):
            continue
        if not rest:
            weights[name] = 1.0
        elif _QUALITY.fullmatch(value):
            weights[name] = min(float(value), 1.0)
    return weights


def named(if_none_match: str) -> frozenset[str | None]:
    """The entity tags of an If-None-Match without quotes and ``W/`` (weak comparison, RFC 9110 §8.8.3.2); None stands for any."""
    return frozenset([None] if if_none_match.strip() == _ANY else _TAG.findall(if_none_match))


def moment_of(if_modified_since: str) -> float | None:
    """The moment as POSIX seconds; None where it is no date (RFC 9110 §5.6.7)."""
    try:
        moment = parsedate_to_datetime(if_modified_since)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def is_unchanged(since: float, changed: int, placed: float) -> bool:
    """Whether what was last modified at ``changed`` and came to lie here at ``placed`` is what the reader had at ``since``.

    A later moment than ``changed`` alone does not say so: files that a backup brought back are older than what they replace.
    """
    return since == changed or since > max(changed, placed)
