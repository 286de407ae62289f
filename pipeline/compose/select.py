"""Which of a feed's new items a subscriber gets."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.models import Choice, FeedItem, ItemStatus, Selection


def select(items: Sequence[FeedItem], choice: Choice, *, max_items: int, min_items: int) -> Selection | None:
    """The newest ``max_items`` of the items that match, and how many more there are; None for fewer than ``min_items``.

    ``items`` are those after a subscription's cursor, in any order. Only released items that are to be mailed count.
    """
    matching = [found for found in items if _is_mailable(found) and _matches(found, choice)]
    if len(matching) < max(min_items, 1):
        return None
    matching.sort(key=lambda found: found.seq, reverse=True)
    return Selection(tuple(matching[:max_items]), max(len(matching) - max_items, 0))


def _is_mailable(found: FeedItem) -> bool:
    return found.mailed and found.item.status is ItemStatus.RELEASED


def _matches(found: FeedItem, choice: Choice) -> bool:
    """Any of the topics (categories, or the label above the title) and any of the words; an empty list asks for nothing."""
    return _has_topic(found, choice.topics) and _has_word(found, choice.words)


def _has_topic(found: FeedItem, topics: Sequence[str]) -> bool:
    names = {name.strip().casefold() for name in (*found.item.categories, found.item.kicker)}
    return not topics or any(topic.strip().casefold() in names for topic in topics)


def _has_word(found: FeedItem, words: Sequence[str]) -> bool:
    text = "\n".join((found.item.title, found.item.kicker, found.item.summary)).casefold()
    return not words or any(word.strip().casefold() in text for word in words)
