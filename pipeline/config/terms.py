"""One text of a condition: words to look for, or a regular expression between slashes.

``kunst`` is the word, not "kunstmatig": letters, digits, marks and _ make a word, and case does not count. ``kunst*`` is what
begins so, ``*kunst`` what ends so, ``*kunst*`` what holds it. Several words must follow each other. ``/lera(ar|ren)/`` is a
regular expression of the module ``regex``, without regard to case unless it says ``(?-i:…)``.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

MAX_TERM = 500
_MAX_REPEATS = 10_000
_REPEATS = re.compile(r"\{\s*+([0-9]++)")
_ACCENTED = re.compile("[^\\W\\d_][\u0300-\u036f]{1,8}+")


@dataclass(frozen=True, slots=True)
class Term:
    """A text as it was said, and the compiled pattern to search with: in folded texts if it is ``words``, else in composed ones.

    Words are found in linear time, an expression may take any time.
    """

    said: str
    words: bool
    pattern: Any


def composed(text: str) -> str:
    """The text with a letter and its accents as one character, as most people type them.

    Only the accents of European scripts: normalising all of Unicode takes quadratic time for a long row of marks.
    """
    return text if text.isascii() else _ACCENTED.sub(lambda match: unicodedata.normalize("NFC", match[0]), text)


def folded(text: str) -> str:
    """The text as words are compared: composed, without regard to case."""
    return composed(composed(text).casefold())


@lru_cache(maxsize=2_000)
def parse_term(said: str) -> Term:
    """What a text of a condition means. Raises ValueError with one readable sentence."""
    if len(said) > MAX_TERM:
        raise ValueError(f"is longer than {MAX_TERM} characters")
    if said.startswith("/"):
        return Term(said, False, _expression(said))
    word = " ".join(folded(said).split())
    bare = word.removeprefix("*").removesuffix("*").strip()
    if not bare.strip("*"):
        raise ValueError("a text without words fits everything: leave the key out")
    if "*" in bare:
        raise ValueError(f'"{said}" has a * inside: it may only begin and end a text; a /regular expression/ can say more')
    return Term(said, True, _whole(bare, before=word.startswith("*"), behind=word.endswith("*")))


def _whole(word: str, *, before: bool, behind: bool) -> Any:
    """The word with nothing of a word beside it, except where it may go on. The literal comes first: that is far quicker."""
    import regex

    part, literal = r"[\w\p{M}]", regex.escape(word)
    left = f"(?<!{part}{literal})" if not before and regex.match(part, word[0]) else ""
    right = f"(?!{part})" if not behind and regex.match(part, word[-1]) else ""
    return regex.compile(f"{literal}{left}{right}")


def _expression(said: str) -> Any:
    if len(said) < 3 or not said.endswith("/"):
        raise ValueError(f'"{said}" begins with / like a regular expression: end it with /, too (flags go inside, as (?-i:…))')
    import regex

    inner = composed(said[1:-1])
    if _repeats(inner) > _MAX_REPEATS:  # they are written out when it is compiled: a{1000000000} would take all memory
        raise ValueError(f'"{said}" repeats something more than {_MAX_REPEATS:,} times')
    try:
        return regex.compile(inner, regex.IGNORECASE)
    except Exception as error:  # besides its own error there are RecursionError, OverflowError and more
        raise ValueError(f'"{said}" is not a regular expression: {error}') from None


def _repeats(pattern: str) -> int:
    """At most how often a part of the pattern is written out."""
    product = 1
    for match in _REPEATS.finditer(pattern):
        product *= max(int(match[1][-6:]), 1) if len(match[1]) < 7 else _MAX_REPEATS + 1
    return product
