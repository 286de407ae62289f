from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from pipeline.collect.decide import decide, is_owner
from pipeline.models import CandidateItem, ItemUpdate, KnownItem, Precision, ReadDate, Theirs

NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)


def candidate(title: str, *, keys: tuple[str, ...] = (), day: int = 0, content: str = "h") -> CandidateItem:
    date = ReadDate(datetime(2026, 11, day, 12, 0, tzinfo=UTC), Precision.DAY, "", "iso") if day else None
    return CandidateItem(
        keys=keys or (f"url:{title}",),
        url="",
        title=title,
        kicker="",
        summary="",
        content_html="",
        published=date,
        updated=None,
        authors=(),
        categories=(),
        image=None,
        attachments=(),
        language="nl",
        content_hash=content,
    )


def test_new_items_come_oldest_first_and_undated_ones_keep_their_place() -> None:
    page = [candidate("top"), candidate("c", day=20), candidate("under c"), candidate("pinned", day=2), candidate("b", day=10)]
    plan = decide(page, {}, now=NOW)
    assert [item.title for item in plan.new] == ["pinned", "b", "under c", "c", "top"]


def test_without_dates_the_last_in_the_document_is_the_oldest() -> None:
    assert [item.title for item in decide([candidate("new"), candidate("old")], {}, now=NOW).new] == ["old", "new"]
    assert [item.title for item in decide([candidate("b", day=3), candidate("a", day=3)], {}, now=NOW).new] == ["a", "b"]


def test_what_is_known_and_unchanged_is_only_counted() -> None:
    plan = decide([candidate("a")], {"url:a": KnownItem(1, "h")}, now=NOW)
    assert (plan.new, plan.updates, plan.unchanged, plan.remarks) == ((), (), 1, ())


def test_a_known_item_that_reads_differently_is_a_change() -> None:
    seen = candidate("a", content="other")
    assert decide([seen], {"url:a": KnownItem(1, "h")}, now=NOW).updates == (ItemUpdate(1, seen, changed=True),)


def test_a_new_key_for_a_known_item_is_stored_and_nothing_is_called_changed() -> None:
    seen = candidate("a", keys=("guid:new", "url:a"))
    plan = decide([seen], {"url:a": KnownItem(1, "h")}, now=NOW)
    assert plan.new == ()
    assert plan.updates == (ItemUpdate(1, seen, changed=False),)


def test_a_renamed_page_with_its_old_guid_is_the_same_item() -> None:
    plan = decide(
        [candidate("a", keys=("guid:1", "url:renamed"))], {"guid:1": KnownItem(1, "h"), "url:a": KnownItem(1, "h")}, now=NOW
    )
    assert plan.new == ()


def test_keys_of_two_items_go_to_the_strongest_with_a_remark() -> None:
    known = {"guid:1": KnownItem(1, "x"), "url:a": KnownItem(2, "y")}
    plan = decide([candidate("a", keys=("guid:1", "url:a"))], known, now=NOW)
    assert [update.item_id for update in plan.updates] == [1]
    assert len(plan.remarks) == 1


def test_twins_of_one_stored_item_do_not_take_turns_in_changing_it() -> None:
    known = {"guid:1": KnownItem(1, "h"), "url:a": KnownItem(1, "h")}
    twins = [candidate("one", keys=("guid:1",), content="other"), candidate("two", keys=("url:a",), content="h")]
    plan = decide(twins, known, now=NOW)
    assert (plan.updates, plan.unchanged) == ((), 1)


URL = "https://www.example.org/"
OLD = KnownItem(1, "h", f"{URL}oud", "De fusie van twee scholen gaat door", "Het bestuur besloot tot samengaan na de zomer.")


def seen_as(title: str, address: str, *, guid: str = "", text: str = "", **changes: object) -> CandidateItem:
    """An entry with that address, and its keys as normalise makes them."""
    keys = (*((f"guid:{guid}",) if guid else ()), f"url:example.org/{address}")
    return replace(candidate(title, keys=keys), url=URL + address, summary=text, **changes)  # type: ignore[arg-type]


def test_a_guid_with_another_address_title_and_text_is_another_story_and_moves_to_it() -> None:
    other = seen_as("Leraren krijgen subsidie", "nieuw", guid="1", text="Aanvragen kan weer vanaf april bij het loket.")
    plan = decide([other], {"guid:1": OLD}, now=NOW)
    assert (plan.new, plan.updates, plan.taken) == ((other,), (), {"guid:1"})


def test_a_guid_stays_with_its_story_while_title_text_or_moment_is_the_same() -> None:
    moved = seen_as("Leraren krijgen subsidie", "nieuw", guid="1", text="Aanvragen kan weer vanaf april bij het loket.")
    when = ReadDate(NOW, Precision.TIME, "", "iso")
    for same in (replace(moved, title=OLD.title), replace(moved, summary=OLD.summary), replace(moved, published=when)):
        assert decide([same], {"guid:1": replace(OLD, published_at=NOW)}, now=NOW).new == ()


def test_a_text_that_is_another_source_s_says_nothing_of_a_guid() -> None:
    other = seen_as("Leraren krijgen subsidie", "nieuw", guid="1", text="Aanvragen kan weer vanaf april bij het loket.")
    assert decide([other], {"guid:1": replace(OLD, theirs=True)}, now=NOW).new == ()


def test_two_entries_of_one_document_with_other_titles_and_addresses_are_two_items() -> None:
    entries = [seen_as("De fusie van drie scholen gaat door", "nieuw", guid="1"), seen_as(OLD.title, "oud", guid="2")]
    plan = decide(entries, {"guid:1": OLD, "url:example.org/oud": OLD}, now=NOW)
    assert (plan.new, plan.seen) == ((entries[0],), ((1, entries[1]),))


def test_a_title_names_an_item_only_where_its_own_entry_is_gone() -> None:
    key = {"title_key": "title:2026-11-20:x"}
    moved, still = seen_as(OLD.title, "nieuw", **key), seen_as(OLD.title, "oud")
    known = {"title:2026-11-20:x": OLD, "url:example.org/oud": OLD}
    assert [merge.reason for merge in decide([moved], known, now=NOW).merges] == [f"the same title and day as {OLD.url}"]
    assert decide([moved, still], known, now=NOW).new == (moved,)


def test_without_a_day_a_title_names_an_item_in_its_place_only() -> None:
    moved = seen_as(OLD.title, "nieuw", title_key="title::x")
    newer, older = KnownItem(3, "h", f"{URL}c", "c"), KnownItem(0, "h", f"{URL}a", "a")
    known = {"title::x": OLD, "url:example.org/c": newer, "url:example.org/a": older}
    assert decide([seen_as("c", "c"), moved, seen_as("a", "a")], known, now=NOW).new == ()
    assert decide([moved, seen_as("c", "c"), seen_as("a", "a")], known, now=NOW).new == (moved,)
    assert decide([moved], known, now=NOW).new == (moved,)


def test_a_merge_is_told_once_and_only_where_the_strongest_key_is_new() -> None:
    entry = seen_as(OLD.title, "oud", guid="2")
    here = {"url:example.org/oud": OLD}
    assert [merge.reason for merge in decide([entry], here, now=NOW).merges] == ["the same address"]
    assert decide([entry], here | {"guid:2": OLD}, now=NOW).merges == ()
    there = {"url:example.org/oud": replace(OLD, elsewhere=True)}
    assert [merge.reason for merge in decide([entry], there, now=NOW).merges] == ["the same address at another source"]


@pytest.mark.parametrize(
    ("source", "other", "owns"),
    [
        ("https://www.example.org/feed", "https://elders.example.net/feed", True),
        ("https://feeds.example.org/rss", "https://elders.example.net/feed", True),
        ("https://feeds.example.org/rss", "https://www.example.org/nieuws/", False),
        ("https://feeds.example.net/example", "https://elders.example.net/feed", False),
        ("https://notexample.org/feed", "https://elders.example.net/feed", False),
        ("https://org/feed", "https://elders.example.net/feed", False),
    ],
)
def test_a_story_is_told_in_the_words_of_the_source_at_whose_site_it_is(source: str, other: str, owns: bool) -> None:
    entry = replace(candidate("School open"), url="https://www.example.org/nieuws/9/")
    item = Theirs("http://example.org/nieuws/9", "Overgenomen bericht", other)
    assert is_owner(entry, source, item) is owns
    assert is_owner(entry, source, replace(item, title="")), "nobody else has told what it is called"
    assert not is_owner(replace(entry, title=entry.url), source, replace(item, title=""))
    assert not is_owner(entry, source, replace(item, url="https://www.example.org/nieuws/10/", title=""))
