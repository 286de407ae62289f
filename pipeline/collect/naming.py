"""Entries without a title, as most sitemaps give them: which those are, and what to call one that never gets another (pure)."""

from __future__ import annotations

import re
from dataclasses import replace
from urllib.parse import unquote, urlsplit

from pipeline.collect.markup import squeeze
from pipeline.models import CandidateItem
from pipeline.shown import shorten

_EXTENSION = re.compile(r"\.[A-Za-z]{2,5}$")
_JOINTS = re.compile(r"[-_+]")
_LONGEST = 200


def is_untitled(candidate: CandidateItem) -> bool:
    """Whether the title is no more than the address."""
    return candidate.title in ("", candidate.url)


def title_of_address(url: str) -> str:
    """A title made from the last part of an address's path, such as "Een nieuwe school"; the host where there is no path."""
    parts = urlsplit(url)
    last = next((part for part in reversed(parts.path.split("/")) if part), "")
    words = squeeze(_JOINTS.sub(" ", unquote(_EXTENSION.sub("", last))))
    return shorten(words[:1].upper() + words[1:], _LONGEST) or parts.hostname or url


def named_by_address(candidate: CandidateItem) -> CandidateItem:
    """The same with a title made from its address, where it has none; its hash stays what its source gave."""
    return replace(candidate, title=title_of_address(candidate.url)) if is_untitled(candidate) else candidate


def unnamed(candidate: CandidateItem) -> CandidateItem:
    """The same without any title, where it has none but its address: so it is stored until its article tells one."""
    return replace(candidate, title="") if is_untitled(candidate) else candidate
