from __future__ import annotations

from datetime import UTC, datetime

from pipeline.collect.decide import decide
from pipeline.models import CandidateItem, ItemUpdate, KnownItem, Precision, ReadDate

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
