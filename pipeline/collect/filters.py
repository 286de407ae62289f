"""What of a source is taken, and which topics it has, as the operator's conditions say.

    candidates ─include, exclude─▶ apply ─▶ kept ─topic─▶ with_topics ─▶ with categories added

A regular expression gets a short time for each text, and all of a collect together get ``_ALL``: one that is too slow decides
nothing. The item is then kept, and a remark names the expression; nothing is lost that nobody decided on.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from pipeline.collect.markup import squeeze, to_text
from pipeline.config import Condition, SourceSettings, Term, TopicSettings, Wanted, composed, folded, parse_term, value_text
from pipeline.models import CandidateItem
from pipeline.shown import shorten

_EACH = 0.1
_ALL = 1.0
_TRIES = 3
_LONGEST = 160
_KEYS = ("title", "category", "author", "text")
"""Cheapest first: ``text`` makes plain text of the content."""


@dataclass(slots=True)
class _Patience:
    """The time left for regular expressions in one collect, in seconds, and how often each one was too slow."""

    left: float = _ALL
    slow: Counter[str] = field(default_factory=Counter)

    def search(self, term: Term, text: str) -> bool | None:
        """Whether the expression is found in a text; None: it was too slow, now or before."""
        if self.left <= 0 or self.slow[term.said] >= _TRIES:
            self.slow[term.said] += 1
            return None
        begun = time.monotonic()
        try:
            return term.pattern.search(text, timeout=min(_EACH, self.left)) is not None
        except (TimeoutError, MemoryError):
            self.slow[term.said] += 1
            return None
        finally:
            self.left -= time.monotonic() - begun


class _Reading:
    """One item's texts as conditions look at them, each made when first asked for."""

    def __init__(self, item: CandidateItem) -> None:
        self.item = item
        self._plain: dict[str, tuple[str, ...]] = {}
        self._folded: dict[str, tuple[str, ...]] = {}

    def plain(self, key: str) -> tuple[str, ...]:
        if key not in self._plain:
            self._plain[key] = tuple(composed(text) for text in self._values(key) if text)
        return self._plain[key]

    def folded(self, key: str) -> tuple[str, ...]:
        if key not in self._folded:
            self._folded[key] = tuple(map(folded, self.plain(key)))
        return self._folded[key]

    def _values(self, key: str) -> tuple[str, ...]:
        item = self.item
        if key == "title":
            return (item.title,)
        if key == "category":
            return (*item.categories, item.kicker)
        if key == "author":
            return item.authors
        return (item.title, item.kicker, squeeze(item.summary), to_text(item.content_html))


def apply(
    candidates: Sequence[CandidateItem], source: SourceSettings, now: datetime
) -> tuple[tuple[CandidateItem, ...], tuple[str, ...]]:
    """The candidates that a source's conditions let through, in their order, and a remark for whatever was left out and why.

    An item must fit one ``include``, where there is any, and no ``exclude``.
    """
    if not source.include and not source.exclude:
        return tuple(candidates), ()
    patience = _Patience()
    kept: list[CandidateItem] = []
    against: Counter[str] = Counter()
    for candidate in candidates:
        reason = _against(_Reading(candidate), source, now, patience)
        if reason:
            against[reason] += 1
        else:
            kept.append(candidate)
    remarks = [f"{number} of {len(candidates)} left out {reason}" for reason, number in against.items()]
    return tuple(kept), (*remarks, *_too_slow(patience, "and their items were kept"))


def _against(item: _Reading, source: SourceSettings, now: datetime, patience: _Patience) -> str:
    """Why an item is left out; empty: it is not."""
    if source.include and _any(_fits(item, wanted, now, patience) for wanted in source.include) is False:
        return f"as no [[source.include]] fits ({' · '.join(map(describe, source.include))})"[:_LONGEST]
    refused = next((wanted for wanted in source.exclude if _fits(item, wanted, now, patience)), None)
    return f"by [[source.exclude]] {describe(refused)}" if refused else ""


def with_topics(candidates: Sequence[CandidateItem], source: SourceSettings) -> tuple[tuple[CandidateItem, ...], tuple[str, ...]]:
    """The candidates with their topics behind their categories, and remarks; a new topic changes an item's content hash."""
    if not source.topic:
        return tuple(candidates), ()
    patience = _Patience()
    told = tuple(add_topics(candidate, _topics(candidate, source.topic, patience)) for candidate in candidates)
    return told, _too_slow(patience, "and their items may lack a topic")


def add_topics(candidate: CandidateItem, topics: Iterable[str]) -> CandidateItem:
    """The candidate with these categories, too, unless it has them in upper or lower case; its hash is another then."""
    has = {name.strip().casefold() for name in candidate.categories}
    added = tuple(topic for topic in topics if topic.casefold() not in has)
    if not added:
        return candidate
    seen = json.dumps([candidate.content_hash, *added]).encode("utf-8", "replace")
    return replace(candidate, categories=(*candidate.categories, *added), content_hash=hashlib.sha256(seen).hexdigest())


def _topics(candidate: CandidateItem, topics: Sequence[TopicSettings], patience: _Patience) -> tuple[str, ...]:
    item, names = _Reading(candidate), dict[str, str]()
    for topic in topics:
        if topic.name.casefold() not in names and _fits(item, topic, None, patience):
            names[topic.name.casefold()] = topic.name
    return tuple(names.values())


def _fits(item: _Reading, wanted: Wanted, now: datetime | None, patience: _Patience) -> bool | None:
    """Whether every key that is given fits; None: that hangs on an expression that was too slow."""
    if wanted.language and not any(_speaks(item.item.language, language) for language in wanted.language):
        return False
    if now is not None and isinstance(wanted, Condition) and not _has_age(item.item, wanted, now):
        return False
    doubt = False
    for key in _KEYS:
        if terms := getattr(wanted, key):
            found = _finds(item, key, terms, patience)
            if found is False:
                return False
            doubt = doubt or found is None
    return None if doubt else True


def _finds(item: _Reading, key: str, said: Sequence[str], patience: _Patience) -> bool | None:
    """Whether any of the texts is found in any of the item's values; words first, for they are quick."""
    terms = [parse_term(one) for one in said]
    if any(term.pattern.search(text) for term in terms if term.words for text in item.folded(key)):
        return True
    return _any(patience.search(term, text) for term in terms if not term.words for text in item.plain(key))


def _any(answers: Iterable[bool | None]) -> bool | None:
    """True if one is, None if one might be."""
    doubt = False
    for answer in answers:
        if answer:
            return True
        doubt = doubt or answer is None
    return None if doubt else False


def _speaks(language: str, wanted: str) -> bool:
    """A wanted "nl" fits "nl-NL", not the other way round (RFC 4647, basic filtering)."""
    has = language.strip().replace("_", "-").lower()
    return has == wanted.lower() or has.startswith(f"{wanted.lower()}-")


def _has_age(item: CandidateItem, wanted: Condition, now: datetime) -> bool:
    age = now - item.published.at if item.published is not None else timedelta()
    return (wanted.older_than is None or age > wanted.older_than) and (wanted.newer_than is None or age < wanted.newer_than)


def describe(wanted: Wanted) -> str:
    """A condition in one line, as it stands in the file."""
    said = ", ".join(f"{key} = {value_text(value)}" for key, value in wanted.model_dump(exclude_defaults=True).items())
    return shorten(said, _LONGEST)


def _too_slow(patience: _Patience, outcome: str) -> tuple[str, ...]:
    """A remark for each expression that did not end in time."""
    return tuple(
        f"{shorten(said, 80)} is too slow: it decided nothing about {number} texts, {outcome}; write it more simply"
        for said, number in patience.slow.items()
    )
