"""Whether two texts tell one story: word shingles, min-hash bands to find who may, and exact shares to decide. Pure.

The limits were measured on the pairs of ``tests/data/likeness_pairs.json``. A false merge hides a story from everybody, a
missed one only shows it twice: where something speaks against it (other figures, other names) they are two.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import pairwise

ROWS, BANDS = 2, 20
LEAD = 60
SHORTEST = 12
"""Words of a lead; with fewer there is nothing to compare."""
ENOUGH_OF_LEAD, ENOUGH_OF_TITLE = 0.65, 0.25
MUCH_OF_LEAD = 0.8
NEARLY_ALL_OF_LEAD = 0.9
_WORD = re.compile(r"\w+")
_SENTENCE = re.compile(r"[.!?:|–—-]\s")


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_NUMERALS = _set("ii iii iv vi vii viii ix xi xii")
_DATES = _set(
    "januari februari maart april mei juni juli augustus september oktober november december january february march may june july"
    " august october januar februar märz dezember janvier février mars avril juin juillet août septembre octobre novembre décembre"
    " maandag dinsdag woensdag donderdag vrijdag zaterdag zondag monday tuesday wednesday thursday friday saturday sunday"
)


_MASKS = tuple(int.from_bytes(blake2b(f"gazet {number}".encode(), digest_size=8).digest()) for number in range(ROWS * BANDS))
"""Each orders the shingles' hashes anew: by what they are after exclusive or with it, which Python does fast."""


@dataclass(frozen=True, slots=True)
class Told:
    """A title and a lead as words, with what tells alike stories apart.

    Figures also are numerals, months and weekdays; names are words with a capital inside a sentence.
    """

    title: tuple[str, ...]
    lead: tuple[str, ...]
    title_figures: frozenset[str]
    figures: frozenset[str]
    title_names: frozenset[str]
    names: frozenset[str]


def told(title: str, summary: str) -> Told:
    """The words of an item's title and of the start of its summary."""
    lead = " ".join(summary.split()[: LEAD * 2])
    words = _words(title), _words(lead)[:LEAD]
    return Told(words[0], words[1], _figures(words[0]), _figures(words[1]), _names(title), _names(lead))


def _words(text: str) -> tuple[str, ...]:
    return tuple(_WORD.findall(unicodedata.normalize("NFKC", text).casefold()))


def _figures(words: Sequence[str]) -> frozenset[str]:
    return frozenset(word for word in words if word in _NUMERALS or word in _DATES or any(letter.isdigit() for letter in word))


def _names(text: str) -> frozenset[str]:
    """Words with a capital that do not begin a sentence, casefolded."""
    found: set[str] = set()
    for sentence in _SENTENCE.split(unicodedata.normalize("NFKC", text)):
        found.update(word.casefold() for word in _WORD.findall(sentence)[1:] if word[0].isupper())
    return frozenset(found)


def bands(story: Told) -> tuple[str, ...]:
    """The bands under which a story is kept and looked up; none where its lead is too short to be compared."""
    if len(story.lead) < SHORTEST:
        return ()
    marks = [_mark(shingle) for shingle in _shingles((*story.title, *story.lead))]
    least = [min(map(mask.__xor__, marks)) for mask in _MASKS]
    rows = (least[start : start + ROWS] for start in range(0, len(least), ROWS))
    return tuple(f"{number:02}{blake2b(repr(row).encode(), digest_size=8).hexdigest()}" for number, row in enumerate(rows))


def _mark(shingle: tuple[str, ...]) -> int:
    return int.from_bytes(blake2b(" ".join(shingle).encode("utf-8", "replace"), digest_size=8).digest())


def _shingles(words: Sequence[str]) -> set[tuple[str, ...]]:
    return set(pairwise(words))


def jaccard(one: set[tuple[str, ...]] | frozenset[str], other: set[tuple[str, ...]] | frozenset[str]) -> float:
    """What both share of what there is, 0–1; 0 where there is nothing."""
    return len(one & other) / len(one | other) if one or other else 0.0


def same_story(one: Told, other: Told) -> float:
    """How surely both tell the same story, 0–1; 0: they do not, or it cannot be said."""
    length = min(len(one.lead), len(other.lead))
    if length < SHORTEST or _apart(one, other):
        return 0.0
    lead = jaccard(_shingles(one.lead[:length]), _shingles(other.lead[:length]))
    titles = frozenset(one.title), frozenset(other.title)
    title = jaccard(*titles)
    if (
        lead < NEARLY_ALL_OF_LEAD
        and len(titles[0] - titles[1]) == len(titles[1] - titles[0]) == 1
        and len(titles[0] & titles[1]) > 1
    ):
        return 0.0  # one word in the place of another, as in a series
    alike = lead >= MUCH_OF_LEAD or (lead >= ENOUGH_OF_LEAD and title >= ENOUGH_OF_TITLE)
    return (lead + title) / 2 if alike else 0.0


def _apart(one: Told, other: Told) -> bool:
    """Whether each has figures, names or a subject that the other lacks: another part, year, day, school or town."""
    if one.title_figures != other.title_figures and one.title_figures and other.title_figures:
        return True
    titles = frozenset(one.title), frozenset(other.title)
    whole = _all(one), _all(other)
    figures = (one.title_figures | one.figures) - whole[1], (other.title_figures | other.figures) - whole[0]
    names = (one.title_names | one.names) - whole[1], (other.title_names | other.names) - whole[0]
    subjects = titles[0].intersection(one.lead) - whole[1], titles[1].intersection(other.lead) - whole[0]
    return all(figures) or all(names) or all(subjects)


def _all(story: Told) -> frozenset[str]:
    return frozenset((*story.title, *story.lead))


def unlike(title: str, summary: str, other_title: str, other_summary: str) -> bool:
    """Whether both title and text are other ones altogether. A missing text says nothing."""
    if _overlap(title, other_title) >= 0.34:
        return False
    return not (summary and other_summary) or _overlap(summary, other_summary) < 0.34


def _overlap(one: str, other: str) -> float:
    """What the shorter text's words of some length have in common with the longer's."""
    words, others = ({word for word in _words(text) if len(word) > 3 or word.isdigit()} for text in (one, other))
    return len(words & others) / min(len(words), len(others)) if words and others else float(one == other)
