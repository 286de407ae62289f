"""Merges, likenesses and versions, on both databases."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from pipeline.models import Attachment, Confidence, Image, ItemStatus, Merge, Precision, ReadDate
from pipeline.store import Store, feed_items, feeds, items, merges, numbers, versions
from pipeline.store import sources as stored_sources
from pipeline.store.record import Numbered, newest_facts
from tests.store.builders import NOW, SOURCE, add_feed, add_items, candidate

OTHER = "https://zij.example.org/"
DAY = timedelta(days=1)


@pytest.fixture
def sources(store: Store) -> tuple[int, int]:
    """Two sources of the feed ``po``."""
    with store.write() as tx:
        feeds.name_in_settings(tx, {"po": (SOURCE, OTHER)})
        by_url = {one.url: one.id for one in stored_sources.sources(tx, "po")}
        return by_url[SOURCE], by_url[OTHER]


def test_an_entry_that_was_merged_comes_back_as_it_was() -> None:
    entry = candidate(
        published=ReadDate(NOW, Precision.DAY, "24 november", "dutch", Confidence.GUESSED),
        updated=ReadDate(NOW + DAY, Precision.TIME, "", "iso"),
        image=Image("https://example.org/a.jpg", "een \U0001f3eb", 1, 2),
        attachments=(Attachment("https://example.org/a.pdf", "application/pdf", 3, "b"),),
        authors=("Zoë",),
        former_keys=("url:x",),
        title_key="title:y",
    )
    assert merges.from_json(merges.as_json(entry)) == entry
    assert merges.from_json(merges.as_json(candidate()) | {"of a later version": 1}) == candidate()


def test_undoing_a_merge_gives_the_entry_its_keys_and_an_identity_of_its_own(store: Store, sources: tuple[int, int]) -> None:
    with store.write() as tx:
        [kept] = add_items(tx, [1])
        items.add_keys(tx, sources[1], [(kept, candidate(2))])
        merges.note(tx, sources[1], [Merge(kept, candidate(2), "the same text")], NOW)
        [merge] = merges.of_item(tx, kept)
        made = merges.undo(tx, merge, merges.candidate_of(tx, merge.id), status=ItemStatus.RELEASED, now=NOW + DAY)
        keys = candidate(2).keys
        assert {one.item_id for one in items.known(tx, sources[1], keys).values()} == {made}
        assert {one.item_id for one in items.known(tx, sources[0], candidate(1).keys).values()} == {kept}
        [undone] = merges.of_item(tx, kept)
        assert (undone.undone_at, undone.other, undone.keys, undone.source) == (NOW + DAY, made, keys, OTHER)


def test_an_item_that_became_part_of_another_is_itself_again_once_undone(store: Store, sources: tuple[int, int]) -> None:
    with store.write() as tx:
        [kept] = add_items(tx, [1])
        other = items.add(tx, sources[1], OTHER, candidate(2), status=ItemStatus.RELEASED, now=NOW)
        feed_items.release(tx, "po", [other], {other}, NOW)
        merges.add_bands(tx, {kept: ("a",), other: ("a", "b")})
        assert merges.join(tx, kept, other, "one story", NOW)
        assert [one.item.id for one in feed_items.newest(tx, "po", 9)] == [kept]
        assert {one.item_id for one in items.known(tx, sources[1], candidate(2).keys).values()} == {kept}
        [merge] = merges.of_item(tx, kept)
        assert (merge.other, merge.keys[0], merge.undone_at) == (other, "guid:2", None)
        assert not merges.join(tx, kept, other, "one story", NOW), "it is withdrawn"
        assert merges.undo(tx, merge, merges.candidate_of(tx, merge.id), status=ItemStatus.RELEASED, now=NOW) == other
        assert [(one.seq, one.item.id) for one in feed_items.newest(tx, "po", 9)] == [(2, other), (1, kept)]
        assert {one.item_id for one in items.known(tx, sources[1], candidate(2).keys).values()} == {other}
        assert not merges.join(tx, kept, other, "one story", NOW), "a person has parted them"
        assert not merges.join(tx, other, kept, "one story", NOW)


def test_the_record_names_what_an_item_goes_by_until_a_merge_is_undone(store: Store, sources: tuple[int, int]) -> None:
    def told() -> Numbered:
        assert store.record is not None
        return [fact for fact in newest_facts(store.record.folder) if isinstance(fact, Numbered)][-1]

    with store.write() as tx:
        [kept] = add_items(tx, [1])
        merges.note(tx, sources[1], [Merge(kept, candidate(2), "the same text")], NOW)
    own, theirs = numbers.identity_of(SOURCE, "guid:1"), numbers.identity_of(OTHER, "guid:2")
    assert told() == Numbered("po", 1, f"{own} {theirs}", f"{candidate(1).url} {candidate(2).url}")
    with store.write() as tx:
        [merge] = merges.of_item(tx, kept)
        merges.undo(tx, merge, merges.candidate_of(tx, merge.id), status=ItemStatus.HELD, now=NOW)
    assert told() == Numbered("po", 1, own, candidate(1).url)


def test_only_released_items_of_other_sources_that_were_never_parted_are_alike(store: Store, sources: tuple[int, int]) -> None:
    with store.write() as tx:
        made = add_items(tx, [1, 2, 3, 4])
        merges.add_bands(tx, dict.fromkeys(made, ("a", "b")))
        items.set_status(tx, made[1], ItemStatus.HELD, NOW)
        items.add_keys(tx, sources[1], [(made[2], candidate(3))])
        merges.note(tx, sources[1], [Merge(made[3], candidate(5), "the same text")], NOW)
        merges.undo(tx, merges.of_item(tx, made[3])[0], candidate(5), status=ItemStatus.RELEASED, now=NOW)
        [found] = merges.alike(tx, sources[1], ["po"], ["a", "b", "c"], NOW - DAY)
        assert (found.item_id, found.bands) == (made[0], {"a", "b"})
        assert merges.alike(tx, sources[1], ["vo"], ["a"], NOW - DAY) == []
        assert merges.alike(tx, sources[1], ["po"], ["a"], NOW + DAY) == []
        assert merges.alike(tx, sources[0], ["po"], ["a"], NOW - DAY) == []


def test_items_are_looked_at_once_and_forgotten_in_time(store: Store, sources: tuple[int, int]) -> None:
    with store.write() as tx:
        made = add_items(tx, [1, 2])
        assert {row[0] for row in merges.unlooked_at(tx, ["po"], NOW - DAY)} == set(made)
        merges.add_bands(tx, {made[0]: ("a",), made[1]: ()})
        assert merges.unlooked_at(tx, ["po"], NOW - DAY) == []
        assert merges.forget_bands(tx, NOW) == 0
        assert merges.forget_bands(tx, NOW + DAY) == 2


def test_a_lonely_source_has_no_neighbours(store: Store) -> None:
    with store.write() as tx:
        lonely = add_feed(tx)
        assert not merges.has_neighbours(tx, lonely)
        feeds.name_in_settings(tx, {"po": (SOURCE, OTHER)})
        assert merges.has_neighbours(tx, lonely)


def test_the_newest_twenty_versions_of_each_item_are_kept_and_can_be_brought_back(store: Store, sources: tuple[int, int]) -> None:
    def at(number: int) -> datetime:
        return NOW + number * DAY

    with store.write() as tx:
        first, second = add_items(tx, [1, 2])
        for number in range(1, 26):
            versions.keep(tx, [first, second] if number < 3 else [first], at(number))
            items.change(tx, sources[0], first, candidate(1, title=f"Kop {number}", content_hash=f"h{number}"), at(number))
        found = versions.since(tx, [first, second], NOW)
        assert [one.number for one in found[first]] == list(range(6, 26))
        assert [one.number for one in found[second]] == [1, 2]
        assert (found[first][-1].title, found[first][-1].until) == ("Kop 24", at(25))
        assert versions.bring_back(tx, first, at(20), at(26))
        assert versions.present(tx, [first])[first].title == "Kop 19"
        assert not versions.bring_back(tx, second, at(20), at(26))


def test_many_items_are_stored_and_changed_in_a_few_statements_in_their_order(store: Store, sources: tuple[int, int]) -> None:
    many = [candidate(number) for number in range(1_200)]
    with store.write() as tx:
        made = items.add_all(tx, sources[0], SOURCE, many, status=ItemStatus.HELD, now=NOW)
        found = items.known(tx, sources[0], [one.keys[0] for one in many])
        assert [found[one.keys[0]].item_id for one in many] == made
        dated = ReadDate(NOW - DAY, Precision.DAY, "gisteren", "dutch")
        changed = [(item_id, replace(one, title="Anders", published=dated)) for item_id, one in zip(made, many, strict=True)]
        items.change_all(tx, sources[0], changed[:600], NOW + DAY)
        items.change_all(tx, sources[0], changed[600:1_000], NOW + DAY, quiet=True)
        found = items.known(tx, sources[0], [one.keys[0] for one in many])
        assert [one.title for one in found.values()].count("Anders") == 1_000
        present = versions.present(tx, made)
        assert sum(one.until == NOW + DAY for one in present.values()) == 600


def test_a_key_that_names_another_item_leaves_its_new_owner_an_identity_of_its_own(store: Store, sources: tuple[int, int]) -> None:
    with store.write() as tx:
        [first] = add_items(tx, [1])
        items.forget_keys(tx, sources[0], ["guid:1"])
        again = candidate(2, keys=("guid:1", "url:elsewhere"))
        second = items.add(tx, sources[0], SOURCE, again, status=ItemStatus.RELEASED, now=NOW)
        assert second != first
        assert items.known(tx, sources[0], ["guid:1"])["guid:1"].item_id == second
        third = items.add(tx, sources[1], SOURCE, again, status=ItemStatus.RELEASED, now=NOW)
        assert third not in (first, second)
