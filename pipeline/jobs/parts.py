"""Which feeds of its parts a feed has: settings │ labels of its items │ names │ the items of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pipeline.config import FeedSettings, Settings
from pipeline.jobs.credits import host_of
from pipeline.jobs.site import path_url
from pipeline.models import Part, PartKind
from pipeline.publish import FORMATS
from pipeline.publish.parts import assign, fold, names_for, names_for_source, spelled
from pipeline.store import Tx, labels
from pipeline.store.labels import Labels
from pipeline.store.outputs import OutputState

MOST_CATEGORIES = 50
_DEPTH = 5_000
"""So many of a feed's newest items are looked through."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A feed of a part: where it lies, and the numbers of its items, the highest first. ``word`` as in ``OutputRow``."""

    kind: PartKind
    word: str
    title: str
    path: str
    numbers: tuple[int, ...] = ()

    def as_part(self, settings: Settings) -> Part:
        """As the feed that it is a part of shows it."""
        return Part(self.kind, self.title, {extension: path_url(settings, self.path, extension) for extension in FORMATS})


def plan(tx: Tx, feed: FeedSettings, had: Iterable[OutputState]) -> list[Planned]:
    """The feeds of parts that the settings ask for, with their items. ``had``: what was published before, which keeps its name."""
    if not (feed.publish.topics or feed.publish.categories or feed.publish.sources):
        return []
    known = [one for one in had if one.kind]
    found = labels.newest(tx, feed.slug, _DEPTH, sources=feed.publish.sources)
    wanted = _topics(feed) | _categories(feed, found, known)
    wanted |= {(PartKind.SOURCE, url): title for url, title in source_titles(tx, feed).items()} if feed.publish.sources else {}
    numbers = _numbers(found, wanted, feed.publish.items)
    return [
        Planned(kind, word, wanted[kind, word], path, tuple(numbers.get((kind, word), ())))
        for (kind, word), path in _paths(feed.slug, wanted, known).items()
    ]


def foreseen(feed: FeedSettings) -> list[Planned]:
    """Those that the settings alone tell, where nothing was published before."""
    sources = {source.url: source.title or host_of(source.url) for source in feed.source} if feed.publish.sources else {}
    wanted = _topics(feed) | _categories(feed, [], []) | {(PartKind.SOURCE, url): title for url, title in sources.items()}
    return [Planned(kind, word, wanted[kind, word], path) for (kind, word), path in _paths(feed.slug, wanted, []).items()]


Key = tuple[PartKind, str]


def _topics(feed: FeedSettings) -> dict[Key, str]:
    said = feed.publish.topics
    named = [topic.name for source in feed.source for topic in source.topic] if said is True else said or ()
    return {(PartKind.TOPIC, word): title for word, title in spelled(named).items()}


def _categories(feed: FeedSettings, found: Sequence[Labels], known: Sequence[OutputState]) -> dict[Key, str]:
    """With ``true`` those that there were keep their place while an item has them; then those with most items."""
    said = feed.publish.categories
    if said is not True:
        return {(PartKind.CATEGORY, word): title for word, title in spelled(said or ()).items()}
    titles = spelled(name for one in reversed(found) for name in one.categories)
    titles |= {one.word: one.title for one in known if one.kind is PartKind.CATEGORY and one.word in titles}
    before = {one.word for one in known if one.kind is PartKind.CATEGORY}
    counted = Counter(word for one in found for word in {fold(name) for name in one.categories})
    chosen = sorted(titles, key=lambda word: (word not in before, -counted[word], word))[:MOST_CATEGORIES]
    return {(PartKind.CATEGORY, word): titles[word] for word in sorted(chosen)}


def source_titles(tx: Tx, feed: FeedSettings) -> dict[str, str]:
    """How readers see the feed's sources named, by address."""
    told = labels.titles(tx, [source.url for source in feed.source])
    return {source.url: source.title or told.get(source.url) or host_of(source.url) for source in feed.source}


def _numbers(found: Sequence[Labels], wanted: Mapping[Key, str], most: int) -> dict[Key, list[int]]:
    """A topic is what a subscriber's is: a category or the label above the title."""
    numbers: dict[Key, list[int]] = {}
    for one in found:
        categories = {fold(name) for name in one.categories}
        mine = [(PartKind.TOPIC, word) for word in categories | {fold(one.kicker)}]
        mine += [(PartKind.CATEGORY, word) for word in categories]
        mine += [(PartKind.SOURCE, url) for url in one.sources]
        for key in mine:
            if key in wanted and len(listed := numbers.setdefault(key, [])) < most:
                listed.append(one.seq)
    return numbers


def _paths(slug: str, wanted: Mapping[Key, str], known: Sequence[OutputState]) -> dict[Key, str]:
    paths: dict[Key, str] = {}
    for kind in PartKind:
        names = {word: names_for_source(word) if kind is PartKind.SOURCE else names_for(word) for of, word in wanted if of is kind}
        had = {one.word: one.path.rpartition("/")[2] for one in known if one.kind is kind}
        paths |= {(kind, word): f"feeds/{slug}/{kind}/{name}" for word, name in assign(names, had).items()}
    return paths
