"""What a source's conditions leave out, keep and name: as they say, with a reason for each, whatever the texts."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from pipeline.collect.filters import add_topics, apply, describe, with_topics
from pipeline.config import Condition, SourceSettings, Wanted
from pipeline.models import CandidateItem, Precision, ReadDate

NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
URL = "https://www.example.org/nieuws/"


def item(title: str = "Doorlopend leren en de bestuurder", *, days: float | None = 1, **changes: Any) -> CandidateItem:
    published = None if days is None else ReadDate(NOW - timedelta(days=days), Precision.DAY, "", "iso")
    base = CandidateItem(
        keys=(f"url:{title}",),
        url=f"{URL}{len(title)}/",
        title=title,
        kicker="Interview",
        summary="De Leidse scholengroep stimuleert brede ontwikkeling van leraren.",
        content_html="<p>Lees meer over <b>maatwerk</b>&nbsp;in de regio.</p>",
        published=published,
        updated=None,
        authors=("Anna de Vries",),
        categories=("PO-Raad", "Nieuws"),
        image=None,
        attachments=(),
        language="nl-NL",
        content_hash="a" * 64,
    )
    return replace(base, **changes)


def source(**conditions: Any) -> SourceSettings:
    return SourceSettings(url=URL, **conditions)


def fits(condition: dict[str, Any], candidate: CandidateItem) -> bool:
    """Whether the condition includes the item, which must be whether it excludes it."""
    included = bool(apply([candidate], source(include=[condition]), NOW)[0])
    assert included is not bool(apply([candidate], source(exclude=[condition]), NOW)[0])
    return included


@pytest.mark.parametrize(
    ("said", "title", "found"),
    [
        ("kunst", "Kunst in de klas", True),
        ("kunst", "Over KUNST.", True),
        ("kunst", "Kunstmatig slim", False),
        ("kunst", "Dichtkunst", False),
        ("kunst*", "Kunstmatig slim", True),
        ("kunst*", "Dichtkunst", False),
        ("*kunst", "Dichtkunst", True),
        ("*kunst*", "De dichtkunstenaar", True),
        ("samen  opleiden", "Wrap-up: samen opleiden in de regio", True),
        ("samen opleiden", "Opleiden, samen", False),
        ("opleiden samen", "samen opleiden", False),
        ("po", "De PO-Raad", True),
        ("foto", "Foto’s", True),
        ("één", "Een dag", False),
        ("café", "In het cafe\u0301", True),
        ("cafe", "In het cafe\u0301", False),
        ("straße", "STRASSE", True),
        ("c++", "Leren met C++17", True),
        ("#po", "x#po", True),
        ("新闻", "今日新闻网", False),
        ("*新闻*", "今日新闻网", True),
        ("2026", "Agenda 20261", False),
        ("/^inter(view|net)/", "Internet op school", True),
        ("/^net/", "Internet op school", False),
        (r"/\bleraar\b|\blerares\b/", "De LERARES", True),
        ("/(?-i:PO)/", "de po-raad", False),
        ("/cafe\u0301/", "In het café", True),
        (["vacature", "/stage/"], "Een stage", True),
        (["vacature", "/stage/"], "Een baan", False),
    ],
)
def test_a_title_fits_words_and_expressions(said: Any, title: str, found: bool) -> None:
    assert fits({"title": said}, item(title)) is found


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ({"text": "maatwerk in"}, True),
        ({"text": "scholengroep"}, True),
        ({"text": "bestuurder"}, True),
        ({"text": "interview"}, True),
        ({"text": "b"}, False),
        ({"title": "maatwerk"}, False),
        ({"category": "nieuws"}, True),
        ({"category": "interview"}, True),
        ({"category": "/^po$/"}, False),
        ({"category": "/^po-raad$/"}, True),
        ({"author": "vries"}, True),
        ({"author": "redactie"}, False),
        ({"language": "nl"}, True),
        ({"language": "NL-nl"}, True),
        ({"language": "nl-BE"}, False),
        ({"language": ["en", "nl"]}, True),
        ({"older_than": "12h"}, True),
        ({"older_than": "2d"}, False),
        ({"newer_than": "2d"}, True),
        ({"newer_than": "12h"}, False),
        ({"older_than": "12h", "newer_than": "2d"}, True),
        ({"title": "leren", "category": "nieuws"}, True),
        ({"title": "leren", "category": "agenda"}, False),
        ({"title": "leren", "newer_than": "1h"}, False),
    ],
)
def test_all_keys_of_a_condition_must_fit(condition: dict[str, Any], found: bool) -> None:
    assert fits(condition, item()) is found


def test_an_item_without_a_date_is_new_and_without_a_language_is_in_none() -> None:
    assert fits({"newer_than": "1h"}, item(days=None))
    assert not fits({"older_than": "1h"}, item(days=None))
    assert not fits({"language": "nl"}, item(language=""))
    assert fits({"language": "nl"}, item(language="nl_BE"))


def test_one_include_is_enough_and_one_exclude_too_many_and_each_says_how_many() -> None:
    items = [
        item("Vacature leraar"),
        item("Leraren aan het woord"),
        item("Stage in de regio"),
        item("Vacature stage"),
        item("Weer"),
    ]
    wanted = source(
        include=[{"title": ["leraar", "leraren"]}, {"title": "/stage/"}],
        exclude=[{"title": "vacature"}, {"title": "stage", "newer_than": "30d"}],
    )
    kept, remarks = apply(items, wanted, NOW)
    assert [one.title for one in kept] == ["Leraren aan het woord"]
    assert sorted(remarks) == [
        '1 of 5 left out as no [[source.include]] fits (title = ["leraar", "leraren"] · title = ["/stage/"])',
        '1 of 5 left out by [[source.exclude]] title = ["stage"], newer_than = "30d"',
        '2 of 5 left out by [[source.exclude]] title = ["vacature"]',
    ]


def test_without_conditions_all_are_kept_as_they_are_and_nothing_is_said() -> None:
    items = (item("a"), item("b"))
    assert apply(items, source(), NOW) == (items, ())
    assert with_topics(items, source()) == (items, ())


SLOW = "/(?:x+x+)+y/"


@pytest.mark.parametrize("kind", ["include", "exclude"])
def test_an_expression_that_takes_for_ever_decides_nothing_and_is_named(kind: str) -> None:
    items = [item("x" * 400, keys=(f"url:{number}",)) for number in range(50)]
    kept, remarks = apply(items, source(**{kind: [{"title": [SLOW]}]}), NOW)
    assert len(kept) == 50
    assert remarks == (f"{SLOW} is too slow: it decided nothing about 50 texts, and their items were kept; write it more simply",)


def test_a_slow_expression_takes_nothing_from_what_other_conditions_decide() -> None:
    long = item("x" * 400)
    assert apply([long], source(exclude=[{"title": SLOW}, {"language": "nl"}]), NOW)[0] == ()
    assert apply([long], source(include=[{"title": SLOW, "language": "en"}]), NOW)[0] == ()
    assert apply([long], source(exclude=[{"title": SLOW, "language": "en"}]), NOW)[1] == ()
    told, remarks = with_topics([long], source(topic=[{"name": "PO", "title": SLOW}, {"name": "VO"}]))
    assert told[0].categories == ("PO-Raad", "Nieuws", "VO")
    assert [remark.removeprefix(SLOW) for remark in remarks] == [
        " is too slow: it decided nothing about 1 texts, and their items may lack a topic; write it more simply"
    ]


def test_topics_are_the_settings_names_in_their_order_each_once() -> None:
    topics = source(
        topic=[
            {"name": "VO", "text": "voortgezet"},
            {"name": "PO", "category": "po-raad"},
            {"name": "po", "title": "leren"},
            {"name": "Regio"},
            {"name": "Leraren", "title": "vacature", "text": "leraren"},
        ]
    )
    told, remarks = with_topics((item(), item("Weer", categories=(), kicker="")), topics)
    assert [one.categories for one in told] == [("PO-Raad", "Nieuws", "PO", "Regio"), ("Regio",)]
    assert remarks == ()


def test_a_topic_becomes_a_category_once_and_changes_what_a_reader_sees() -> None:
    plain = item()
    told = add_topics(plain, ("nieuws", "PO"))
    assert told.categories == ("PO-Raad", "Nieuws", "PO")
    assert told.content_hash != plain.content_hash
    assert told == add_topics(plain, ("PO",))
    assert told.content_hash != add_topics(plain, ("VO",)).content_hash
    assert add_topics(plain, ("NIEUWS",)) is plain


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ({}, "says nothing"),
        ({"title": []}, "an empty list fits nothing"),
        ({"language": []}, "an empty list fits nothing"),
        ({"title": ""}, "without words"),
        ({"title": " * "}, "without words"),
        ({"title": "**"}, "without words"),
        ({"title": "sa*men"}, "has a * inside"),
        ({"title": "x" * 501}, "longer than 500"),
        ({"title": "a\nb"}, "control character"),
        ({"title": "/"}, "end it with /"),
        ({"title": "//"}, "end it with /"),
        ({"title": "/po/i"}, "end it with /"),
        ({"title": "/(/"}, "not a regular expression"),
        ({"title": "/a{1000000000}/"}, "repeats something more than 10,000 times"),
        ({"title": "/(?:a{1000}){1000}/"}, "repeats something more than 10,000 times"),
        ({"title": 3}, "valid"),
        ({"language": "nederlands"}, "is not a language"),
        ({"older_than": "oud"}, "not a duration"),
        ({"older_than": "30d", "newer_than": "30d"}, "fits nothing"),
        ({"titel": "po"}, "not permitted"),
    ],
)
def test_a_condition_that_cannot_be_meant_is_a_mistake(condition: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said.replace("*", r"\*")):
        source(exclude=[condition])


@pytest.mark.parametrize("name", ["", " ", "PO;VO", "x" * 81, "a\tb"])
def test_a_topic_needs_a_name_that_a_subscriber_can_choose(name: str) -> None:
    with pytest.raises(ValidationError):
        source(topic=[{"name": name}])


texts = st.text(max_size=60) | st.text(st.sampled_from("aAbé\u0301\u0316 *_-/'’ \n\x00\udc80ßİ新"), max_size=40)
said = st.text(st.sampled_from("abé*/ ().+?|[]{}\\^$\u03011ßİ,:<=epw-&~"), min_size=1, max_size=9) | st.text(max_size=9)
words = st.lists(said | said.map("/{}/".format), max_size=3)
durations = st.none() | st.integers(0, 3650).map(lambda days: f"{days}d")
asked = st.fixed_dictionaries(
    {},
    optional={
        "title": words,
        "text": words,
        "category": words,
        "author": words,
        "language": st.lists(st.sampled_from(["nl", "en-GB", "x"]), max_size=2),
    },
)
candidates = st.builds(
    item,
    texts,
    days=st.none() | st.floats(-5000, 5000),
    kicker=texts,
    summary=texts,
    content_html=texts.map(lambda text: f"<p>{text}<b>"),
    authors=st.lists(texts, max_size=2).map(tuple),
    categories=st.lists(texts, max_size=2).map(tuple),
    language=texts | st.sampled_from(["", "nl", "EN-gb-x"]),
)


def valid(conditions: list[dict[str, Any]], key: str) -> list[dict[str, Any]]:
    """Those that may stand in the settings; the others are refused in words."""
    taken = []
    for condition in conditions:
        with contextlib.suppress(ValidationError):
            source(**{key: [condition]})
            taken.append(condition)
    return taken


@settings(max_examples=150, deadline=None)
@given(
    items=st.lists(candidates, max_size=4),
    include=st.lists(asked, max_size=2),
    exclude=st.lists(st.builds(lambda one, old: {**one, "older_than": old} if old else one, asked, durations), max_size=2),
    topics=st.lists(st.builds(lambda one, name: {**one, "name": name}, asked, st.text(max_size=9)), max_size=2),
)
def test_any_conditions_that_load_decide_on_any_item_and_account_for_all(
    items: list[CandidateItem], include: list[dict[str, Any]], exclude: list[dict[str, Any]], topics: list[dict[str, Any]]
) -> None:
    wanted = source(include=valid(include, "include"), exclude=valid(exclude, "exclude"), topic=valid(topics, "topic"))
    kept, remarks = apply(items, wanted, NOW)
    left = [int(remark.split()[0]) for remark in remarks if " left out " in remark]
    assert len(kept) + sum(left) == len(items)
    told, _ = with_topics(kept, wanted)
    for before, after in zip(kept, told, strict=True):
        assert after.categories[: len(before.categories)] == before.categories
        assert (after.content_hash != before.content_hash) is (after.categories != before.categories)


def test_a_condition_reads_as_it_stands_in_the_file() -> None:
    condition = Condition(title=("vacature", "/a\\d/"), language=("nl",), older_than="90m")  # type: ignore[arg-type]
    assert describe(condition) == """title = ["vacature", '/a\\d/'], language = ["nl"], older_than = "90m\""""
    assert describe(Wanted()) == ""
