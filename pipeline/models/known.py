"""What is known of items, and what a collect is going to write: ``CandidateItem`` ──decide──▶ ``CollectPlan``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pipeline.models.read import CandidateItem


@dataclass(frozen=True, slots=True)
class KnownItem:
    """What decide needs to know of a stored item.

    ``elsewhere``: this source has not brought it under this key yet; ``theirs``: its text is another source's.
    """

    item_id: int
    content_hash: str
    url: str = ""
    title: str = ""
    summary: str = ""
    published_at: datetime | None = None
    elsewhere: bool = False
    theirs: bool = False


@dataclass(frozen=True, slots=True)
class Theirs:
    """An item whose text is another source's that is still read: its address and title, and that ``source``'s address."""

    url: str
    title: str
    source: str


@dataclass(frozen=True, slots=True)
class PastVersion:
    """How an item read before it was changed at ``until``; ``number`` 1 is the oldest."""

    number: int
    until: datetime
    url: str
    title: str
    summary: str
    content_html: str
    content_hash: str


@dataclass(frozen=True, slots=True)
class ItemUpdate:
    """A known item that now reads differently, or is known under a new key."""

    item_id: int
    candidate: CandidateItem
    changed: bool


@dataclass(frozen=True, slots=True)
class Merge:
    """An entry that is taken for a known item by another key than its strongest; ``reason`` in words, for a person."""

    item_id: int
    candidate: CandidateItem
    reason: str


@dataclass(frozen=True, slots=True)
class CollectPlan:
    """What a collect is going to write. ``new`` is oldest first, so that numbers follow time, and so is ``seen``.

    ``seen``: the known items of the document, each with one entry; ``named``: with all of them. ``taken``: keys that the source
    has given to another entry than before; they are its from now on.
    """

    new: tuple[CandidateItem, ...] = ()
    updates: tuple[ItemUpdate, ...] = ()
    unchanged: int = 0
    remarks: tuple[str, ...] = ()
    seen: tuple[tuple[int, CandidateItem], ...] = ()
    named: tuple[tuple[int, CandidateItem], ...] = ()
    merges: tuple[Merge, ...] = ()
    taken: frozenset[str] = frozenset()
