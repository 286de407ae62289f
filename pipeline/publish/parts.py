"""Feeds of the parts of a feed: which items belong to each, and under which name its files lie (pure).

A name is made of the word alone, so that it can be told beforehand. Where two words would give the same one, whoever had it
first keeps it, and the other's ends in a hash of its word (decision 0036).
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import urlsplit

_LONGEST = 60
_HASH = 8
_PLAIN = str.maketrans(
    {"ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ħ": "h", "ı": "i", "ŋ": "ng"}
)
_SAYING = frozenset("#%*@")
"""Punctuation that is more than a gap between words: "C#" is not "C"."""


def fold(word: str) -> str:
    """A topic or category as it is compared: without case, and with single spaces."""
    return " ".join(unicodedata.normalize("NFKC", word).casefold().split())


def names_for(word: str) -> tuple[str, ...]:
    """The file names that a word may have, best first: a-z, 0-9 and -; the last one is surely its own.

    Accents go and gaps become "-". Where something else would go, such as letters of another script, there is only the last.
    """
    folded = fold(word)
    spelled = unicodedata.normalize("NFKD", folded).translate(_PLAIN)
    plain = re.sub(r"[^a-z0-9]+", "-", re.sub(r"[\u0300-\u036f]", "", spelled)).strip("-")
    digest = hashlib.sha256(folded.encode("utf-8", "replace")).hexdigest()
    own = (f"{plain[: _LONGEST - _HASH - 1]}-{digest[:_HASH]}".replace("--", "-").strip("-"), digest)
    return own if not plain or len(plain) > _LONGEST or any(map(_is_lost, spelled)) else (plain, *own)


def _is_lost(letter: str) -> bool:
    """Whether a letter, digit or sign goes that made a difference."""
    if letter.isascii():
        return letter in _SAYING or unicodedata.category(letter)[0] == "S"
    return unicodedata.category(letter)[0] in "LNS" or unicodedata.category(letter) in ("Mc", "Me")


def names_for_source(url: str) -> tuple[str, ...]:
    """The same for a source: its host; where another has that, with its path; the last one is surely its own."""
    parts = urlsplit(url)
    host = (parts.hostname or "").removeprefix("www.")
    path = f"{host} {parts.path}"
    own = hashlib.sha256(url.encode("utf-8", "replace")).hexdigest()
    short = [names_for(text)[0] for text in (host, path)]
    return tuple(dict.fromkeys([*short, f"{short[0]}-{own[:_HASH]}", own]))


def assign(wanted: Mapping[str, Sequence[str]], had: Mapping[str, str]) -> dict[str, str]:
    """A name for each key: the one that it had, else the first of its names that is free, in this order."""
    taken = {name: key for key, name in had.items() if key in wanted}
    found = {key: name for name, key in taken.items()}
    for key, names in wanted.items():
        if key not in found:
            name = next(one for one in names if one not in taken)
            taken[name] = key
            found[key] = name
    return {key: found[key] for key in wanted}


def spelled(words: Iterable[str]) -> dict[str, str]:
    """Words by what they are folded to, each as it is first spelled; what holds nothing to read is left out."""
    found: dict[str, str] = {}
    for word in words:
        if folded := fold(word):
            found.setdefault(folded, " ".join(word.split()))
    return found
