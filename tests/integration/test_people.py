"""Subscribers' CSV: every line is a subscription or a reason, what is exported comes back, and nobody is revived."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event

from pipeline.errors import StoreError, UsageError
from pipeline.jobs import crowd, people
from pipeline.jobs.people import COLUMNS, WantedSubscription
from pipeline.store import record, subscribers
from pipeline.store.subscribers import OPTED_OUT
from tests.integration.command import Ended, gazet
from tests.servers.web import WebServer
from tests.world import World, moment

NOW = moment("2026-11-20T09:00")
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def written(rows: list[dict[str, str]]) -> str:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, restval="")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def exported(world: World) -> list[dict[str, str]]:
    with world.site.store.read() as tx:
        return [people.export_row(record) for record in subscribers.records(tx)]


def brought_in(world: World, text: str) -> people.Imported:
    lines = people.read_csv(world.site, io.StringIO(text, newline=""))
    return people.import_subscribers(world.site, lines, NOW)


def import_file(world: World, path: Path, data: bytes, *words: str) -> Ended:
    path.write_bytes(data)
    return gazet("subscribers", "import", path, *words, site=world.folder)


@pytest.fixture
def fresh(tmp_path: Path, web: WebServer) -> Iterator[World]:
    """Another site with the same feed."""
    made = World(tmp_path / "fresh", web)
    yield made
    made.close()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "the file is empty"),
        (b"email;feed\nann@example.org;po\n", "line 1: the columns are separated by ';'. Save the file with commas"),
        (b"email\tfeed\n", r"the columns are separated by '\t'"),
        (b"address,feed\n", 'line 1: unknown column "address", no column "email"'),
        (b"email,feed,email\n", 'column "email" twice'),
        (b"ann@example.org,po\n", "The first line must be a header of these: email, feed"),
        ("email,feed".encode("utf-16"), 'is not UTF-8 text. Save the file as "CSV UTF-8"'),
        (b'"email,feed\n', "line 1:"),
    ],
)
def test_a_header_that_is_none_is_one_line_with_what_to_do(world: World, tmp_path: Path, data: bytes, said: str) -> None:
    ended = import_file(world, tmp_path / "people.csv", data)
    assert ended.code == 2
    [fault] = ended.faults
    assert fault.startswith(f"gazet: {tmp_path / 'people.csv'}: ")
    assert said in fault
    assert ended.out == ""


def test_excels_byte_order_mark_and_line_ends_are_read(world: World, tmp_path: Path) -> None:
    ended = import_file(
        world, tmp_path / "people.csv", b"\xef\xbb\xbfE-mail,Feed\r\n".replace(b"E-mail", b"Email") + b"ann@example.org,po\r\n"
    )
    assert (ended.code, ended.out) == (0, "imported: 1 added\n")


def test_a_file_with_only_a_header_says_that_it_holds_nobody(world: World, tmp_path: Path) -> None:
    assert import_file(world, tmp_path / "people.csv", b"email,feed\n").out == "imported: nothing, the file has no lines\n"


def test_latin_1_bytes_are_refused_by_line_and_never_guessed(world: World, tmp_path: Path) -> None:
    data = b"email,feed,name\nann@example.org,po,Ann\nrene@example.org,po,Ren\xe9\n"
    ended = import_file(world, tmp_path / "people.csv", data)
    assert ended.code == 1
    assert ended.faults == [f'{tmp_path / "people.csv"}:3: is not UTF-8 text (save the file as "CSV UTF-8")']
    assert [row["email"] for row in exported(world)] == ["ann@example.org"]


def test_one_person_in_two_spellings_is_one_subscription(world: World, tmp_path: Path) -> None:
    data = b"email,feed\nAnn@Example.org,po\nann@example.org,po\nANN@EXAMPLE.ORG,po\nAnn@Example.org,po\n"
    assert import_file(world, tmp_path / "people.csv", data).out == "imported: 1 added, 3 unchanged\n"
    assert len(exported(world)) == 1


def test_a_line_number_is_where_a_record_begins(world: World) -> None:
    text = 'email,feed,name\n\nann@example.org,po,"Ann\nde\nVries"\nbob,po,"x\ny"\ncas@example.org,po,a,b\n'
    found = list(people.read_csv(world.site, io.StringIO(text, newline="")))
    assert [number for number, _ in found] == [3, 6, 8]
    assert isinstance(found[0][1], WantedSubscription)
    assert found[0][1].name == "Ann de Vries"
    assert "4 fields, the header names 3" in str(found[2][1])


def test_opt_outs_are_kept_as_such_and_counted(world: World, tmp_path: Path) -> None:
    lines = [f"{status}@example.org,po,{status}" for status in OPTED_OUT]
    ended = import_file(world, tmp_path / "people.csv", "\n".join(["email,feed,status", *lines, "ann@example.org,po,"]).encode())
    assert (ended.code, ended.out) == (0, "imported: 1 added, 3 stored as opt-outs\n")
    assert {row["email"].partition("@")[0]: row["status"] for row in exported(world)} == {
        **{str(status): str(status) for status in OPTED_OUT},
        "ann": "active",
    }
    back = import_file(world, tmp_path / "back.csv", b"email,feed,status\nbounced@example.org,po,active\n")
    assert back.out == "imported: 1 left before and stay so\n"


def test_who_left_is_not_subscribed_again_by_hand_or_by_file(world: World, tmp_path: Path) -> None:
    assert gazet("subscribers", "add", "ann@example.org", "po", site=world.folder).code == 0
    assert gazet("subscribers", "unsubscribe", "ANN@example.org", site=world.folder).out == "ANN@example.org left po\n"
    again = gazet("subscribers", "add", "ann@example.org", "po", site=world.folder)
    assert again.code == 1
    assert "has left" in again.err
    assert "1 left before" in import_file(world, tmp_path / "people.csv", b"email,feed\nann@example.org,po\n").out
    assert [row["status"] for row in exported(world)] == ["unsubscribed"]


def test_who_is_suppressed_is_not_even_stored(world: World) -> None:
    with world.site.store.write() as tx:
        subscribers.suppress(tx, world.site.links.address_hash("ann@example.org"), "complaint", NOW)
    assert brought_in(world, "email,feed\nAnn@example.org,po\n").counts == {"left before": 1}
    assert exported(world) == []


def test_how_somebody_agreed_survives_the_opt_out(world: World, fresh: World) -> None:
    brought_in(world, "email,feed,consent\nann@example.org,po,web form 2024\n")
    people.unsubscribe(world.site, "ann@example.org", None, NOW)
    brought_in(fresh, written(exported(world)))
    assert exported(fresh) == exported(world)
    assert exported(fresh)[0]["consent"] == "web form 2024"


names = st.text(max_size=20) | st.sampled_from(
    [
        'de Vries, "Ann"',
        "regel 1\nregel 2",
        "a\0b",
        "=cmd()|x",
        "👩‍👩‍👧 gezin",
        "\u202eomgekeerd",
        " x ",
        "x" * 300,
        "‘Zoë’",
        "\ufffd",
        "\r\n",
    ]
)
addresses = st.sampled_from(
    [f"{name}@{host}" for name in ("ann", "Bob", "jürgen", "o'neil", "a+b") for host in ("Example.org", "bücher.example")]
)
rows = st.fixed_dictionaries(
    {"email": addresses, "feed": st.just("po")},
    optional={
        "name": names,
        "status": st.sampled_from(["", "active", "pending", "unsubscribed", "Bounced", "complained"]),
        "cadence": st.sampled_from(["", "instant", "daily", "weekly", "Monthly"]),
        "weekday": st.sampled_from(["", "friday"]),
        "day": st.sampled_from(["", "1", "31"]),
        "time": st.sampled_from(["", "23:59"]),
        "timezone": st.sampled_from(["", "America/New_York"]),
        "language": st.sampled_from(["", "nl", "pt-BR"]),
        "topics": st.text(max_size=12) | st.just("Onderzoek; İstanbul ;ß;"),
        "consent": names,
    },
)


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A site for many examples, emptied before each."""
    with WebServer() as web:
        made = World(tmp_path_factory.mktemp("known"), web)
        yield made
        made.close()


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A second one."""
    with WebServer() as web:
        made = World(tmp_path_factory.mktemp("other"), web)
        yield made
        made.close()


def emptied(world: World) -> World:
    with world.site.store.write() as tx:
        for table in ("consents", "subscriptions", "subscribers", "choices", "schedules", "suppressions"):
            tx.exec_driver_sql(f"DELETE FROM {table}")
    return world


@QUICK
@given(lines=st.lists(rows, max_size=6))
def test_what_is_exported_comes_back_the_same(known: World, other: World, lines: list[dict[str, str]]) -> None:
    first, second = emptied(known), emptied(other)
    brought_in(first, written(lines))
    everybody = exported(first)
    assert len(everybody) == len({row["email"].casefold() for row in lines})
    assert brought_in(second, written(everybody)).refused == []
    assert exported(second) == everybody
    assert set(brought_in(first, written(everybody)).counts) <= {"unchanged", "opted out"}
    assert exported(first) == everybody


@QUICK
@given(batches=st.lists(st.lists(rows, min_size=1, max_size=4), min_size=1, max_size=4))
def test_no_order_of_lines_revives_somebody_who_left(known: World, batches: list[list[dict[str, str]]]) -> None:
    world = emptied(known)
    gone: set[str] = set()
    for batch in batches:
        brought_in(world, written(batch))
        gone |= {row["email"].casefold() for row in batch if row.get("status", "").lower() in OPTED_OUT}
        assert {row["email"].casefold() for row in exported(world) if row["status"] in OPTED_OUT} == gone


def facts(world: World) -> list[tuple[object, ...]]:
    """All that stands of everybody, without identities and in an order of its own."""
    queries = (
        "SELECT address, folded, name FROM subscribers",
        "SELECT s.address, t.feed, t.status, t.settled_seq, c.hash, h.cadence, h.zone, h.next_due_at FROM subscriptions t"
        " JOIN subscribers s ON s.id = t.subscriber_id"
        " JOIN choices c ON c.id = t.choice_id JOIN schedules h ON h.id = t.schedule_id",
        "SELECT s.address, t.feed, e.action, e.evidence FROM consents e"
        " JOIN subscriptions t ON t.id = e.subscription_id JOIN subscribers s ON s.id = t.subscriber_id ORDER BY e.id",
        "SELECT hash FROM choices",
        "SELECT feed, cadence, weekday, day, time, zone FROM schedules",
    )
    with world.site.store.read() as tx:
        rows = [(number, *row) for number, query in enumerate(queries) for row in tx.exec_driver_sql(query)]
    return sorted(rows, key=lambda row: [str(value) for value in (row[:3] if row[0] == 2 else row)])  # consents keep their order


def left_by(world: World, since: int) -> list[str]:
    """The statuses of those who left, as the record says from its ``since``-th line on."""
    folder = world.folder / record.FOLDER
    lines = list(record.parse([line for day in record.days(folder) for line in record.raw_lines(folder, day)]))
    return sorted(fact.status for line in lines[since:] for fact in line.facts or () if isinstance(fact, record.Left))


def record_length(world: World) -> int:
    folder = world.folder / record.FOLDER
    return sum(len(record.raw_lines(folder, day)) for day in record.days(folder))


def one_by_one(world: World, text: str) -> Counter[str]:
    wishes = [
        wish for _, wish in people.read_csv(world.site, io.StringIO(text, newline="")) if isinstance(wish, WantedSubscription)
    ]
    brought_in(world, "email,feed\n")  # it names the feeds
    with world.site.store.write() as tx:
        return Counter(people.join(world.site, tx, wish, NOW) for wish in wishes)


@settings(QUICK, max_examples=40)
@given(files=st.lists(st.lists(rows, max_size=12), min_size=1, max_size=3), away=addresses | st.none())
def test_lines_that_are_written_together_come_to_what_they_come_to_one_by_one(
    known: World, other: World, files: list[list[dict[str, str]]], away: str | None
) -> None:
    first, second = emptied(known), emptied(other)
    begun = [record_length(first), record_length(second)]
    for world in (first, second):
        with world.site.store.write() as tx:
            if away:
                subscribers.suppress(tx, world.site.links.address_hash(away), "complaint", NOW)
    for file in files:
        done = brought_in(first, written(file))
        assert done.refused == []
        assert done.counts == one_by_one(second, written(file))
    assert facts(first) == facts(second)
    assert left_by(first, begun[0]) == left_by(second, begun[1])


def test_a_batch_keeps_its_rules_on_either_database(any_world: World) -> None:
    """Two spellings, two feeds, who leaves and comes back within one file, who left before, who is suppressed."""
    world = any_world
    world.write_feed("vo")
    world.reopen()
    brought_in(world, "email,feed,status\nleft@example.org,po,unsubscribed\nold@example.org,po,\nwaits@example.org,po,pending\n")
    with world.site.store.write() as tx:
        subscribers.suppress(tx, world.site.links.address_hash("never@example.org"), "complaint", NOW)
    lines = [
        "Ann@Example.org,po,Ann,,,",
        "ann@example.org,po,,,zorg,",
        "ANN@EXAMPLE.ORG,vo,Ann V,,,",
        "bob@example.org,po,Bob,,,form",
        "Bob@example.org,po,,unsubscribed,,",
        "bob@example.org,po,Bob,,,again",
        "cas@example.org,po,,unsubscribed,,",
        "Cas@example.org,po,Cas,,,",
        "LEFT@example.org,po,,,,",
        "left@example.org,vo,,,,",
        "old@example.org,po,Old,,,",
        "waits@example.org,po,,active,,",
        "Never@example.org,po,,,,",
        "dee@example.org,po,Dee,,,",
        "Eve@example.org,po,Eve,,,",
        "eve@example.org,vo,Eva,,,",
        "dee@example.org,vo,,complained,,once",
    ]
    done = brought_in(world, "email,feed,name,status,topics,consent\n" + "\n".join(lines) + "\n")
    assert done.refused == []
    assert done.counts == {"added": 7, "changed": 2, "unchanged": 1, "opted out": 3, "left before": 4}
    assert [(row["email"], row["feed"], row["name"], row["status"], row["topics"]) for row in exported(world)] == [
        ("Ann@example.org", "po", "Ann V", "active", "zorg"),
        ("bob@example.org", "po", "Bob", "unsubscribed", ""),
        ("cas@example.org", "po", "Cas", "unsubscribed", ""),
        ("dee@example.org", "po", "Dee", "active", ""),
        ("Eve@example.org", "po", "Eva", "active", ""),
        ("left@example.org", "po", "", "unsubscribed", ""),
        ("old@example.org", "po", "Old", "active", ""),
        ("waits@example.org", "po", "", "active", ""),
        ("Ann@example.org", "vo", "Ann V", "active", ""),
        ("dee@example.org", "vo", "Dee", "complained", ""),
        ("Eve@example.org", "vo", "Eva", "active", ""),
        ("left@example.org", "vo", "", "active", ""),
    ]
    assert [row["consent"] for row in exported(world) if row["email"] == "dee@example.org"] == ["imported as active", "once"]
    assert left_by(world, 0) == ["complained", "unsubscribed", "unsubscribed", "unsubscribed"]
    everybody = exported(world)
    again = brought_in(world, written(everybody))
    assert again.counts == {"unchanged": 8, "opted out": 4}
    assert exported(world) == everybody


def test_thousands_of_lines_take_few_statements(world: World) -> None:
    """Else a file of a hundred thousand keeps everybody else waiting for minutes."""
    text = "email,feed,topics\n" + "".join(f"p{number}@example.org,po,t{number % 7}\n" for number in range(2500))
    statements: list[str] = []
    event.listen(world.site.store.engine, "before_cursor_execute", lambda *told: statements.append(told[2]))
    for counts in ({"added": 2500}, {"unchanged": 2500}):
        statements.clear()
        assert brought_in(world, text).counts == counts
        assert len(statements) < 150
    statements.clear()
    assert brought_in(world, text.replace(",po,t", ",po,u")).counts == {"changed": 2500}
    assert len(statements) < 150


def test_a_batch_that_somebody_was_in_the_way_of_is_tried_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, fails = crowd.join_all, iter([True, True, False])

    def in_the_way(*given: Any) -> Counter[str]:
        done = whole(*given)
        if next(fails):
            error = StoreError("somebody else wrote the row")
            error.retryable = True
            raise error
        return done

    monkeypatch.setattr(crowd, "join_all", in_the_way)
    assert brought_in(world, "email,feed\nann@example.org,po\n").counts == {"added": 1}
    assert len(exported(world)) == 1


def is_result(line: WantedSubscription | str) -> bool:
    return isinstance(line, WantedSubscription) or (bool(line) and len(line.splitlines()) == 1 and len(line) < 500)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=st.binary(max_size=200),
    header=st.sampled_from([b"", b"email,feed\n", b"email,feed,name,day,time,timezone,topics,consent\r\n"]),
)
def test_any_bytes_are_lines_that_are_subscriptions_or_reasons(known: World, data: bytes, header: bytes) -> None:
    text = io.TextIOWrapper(io.BytesIO(header + data), encoding="utf-8-sig", errors="surrogateescape", newline="")
    try:
        lines = [line for _, line in people.read_csv(known.site, text)]
    except UsageError as error:
        lines = [str(error)]
    assert all(is_result(line) for line in lines)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.fixed_dictionaries({name: st.text(max_size=30) for name in COLUMNS}), feed=st.booleans(), email=st.booleans())
def test_any_texts_are_a_subscription_or_a_sentence(known: World, values: dict[str, str], feed: bool, email: bool) -> None:
    """First all columns strange, then one after the other while the rest is right."""
    right = dict.fromkeys(COLUMNS, "") | {"email": "ann@example.org", "feed": "po"}
    for row in (values, *(right | {name: values[name]} for name in COLUMNS)):
        try:
            found: WantedSubscription | str = people.wanted(known.site, row)
        except ValueError as error:
            found = str(error)
        assert is_result(found), found
