"""``gazet preview``: the feed and the exact mail as they would be, and nothing changes by looking."""

from __future__ import annotations

import email
import email.policy
from pathlib import Path

import pytest
from sqlalchemy import select

from pipeline.store.schema import Base
from tests.integration.command import gazet
from tests.world import World

AT = ("--now", "2026-11-24T07:00")
EIGHT = ("--now", "2026-11-24T08:00")
FILES = {"mail.eml", "mail.html", "mail.txt", "headers.txt", "feed.rss", "feed.atom", "feed.json", "feed.html"}


@pytest.fixture
def filled(world: World) -> World:
    """Two items; Ann and Zoë daily at eight, Bob only about sport, Cas gone."""
    world.news("Eerste bericht", "2026-11-20T09:00")
    world.news("Tweede bericht", "2026-11-21T09:00", topics=("Sport",))
    world.subscribe("ann@example.org", cadence="daily", at="2026-11-22T09:00", name="Ann")
    world.subscribe("zoe@example.org", cadence="daily", at="2026-11-22T09:00", language="en")
    world.subscribe("bob@example.org", cadence="daily", at="2026-11-22T09:00", topics="sport")
    world.subscribe("cas@example.org", cadence="daily", at="2026-11-22T09:00")
    world.close()
    gazet("subscribers", "unsubscribe", "cas@example.org", site=world.folder)
    gazet("collect", "--now", "2026-11-22T10:00", site=world.folder)
    return world


def dump(world: World) -> dict[str, list[str]]:
    with world.site.store.read() as tx:
        return {name: sorted(map(repr, tx.execute(select(table)))) for name, table in Base.metadata.tables.items()}


def test_it_shows_headers_and_text_and_when_it_goes_to_how_many(filled: World) -> None:
    shown = gazet("preview", "po", *AT, site=filled.folder)
    assert shown.code == 0
    assert "To: redactie@example.org" in shown.out
    assert "Eerste bericht" in shown.out
    assert "\r" not in shown.out
    assert "next edition  Tue 2026-11-24 08:00, 3 people as things stand" in shown.out
    assert "belongs to nobody" in shown.out


def test_for_a_subscriber_it_is_their_own_mail(filled: World) -> None:
    ann = gazet("preview", "po", "--for", "ann@example.org", *AT, site=filled.folder).out
    assert "To: Ann <ann@example.org>" in ann
    assert "the one to unsubscribe works: it is ann@example.org's own" in ann
    bob = gazet("preview", "po", "--for", "bob@example.org", *AT, site=filled.folder).out
    assert "Tweede bericht" in bob
    assert "Eerste bericht" not in bob
    zoe = gazet("preview", "po", "--for", "zoe@example.org", *AT, site=filled.folder).out
    assert "Unsubscribe" in zoe
    assert "Afmelden" not in zoe
    cas = gazet("preview", "po", "--for", "cas@example.org", *AT, site=filled.folder).out
    assert "but nothing is sent there: the subscription is unsubscribed" in cas


def test_it_is_the_mail_that_is_then_sent(filled: World, tmp_path: Path) -> None:
    gazet("preview", "po", "--for", "ann@example.org", "--out", tmp_path / "out", *EIGHT, site=filled.folder)
    before = email.message_from_bytes((tmp_path / "out/mail.eml").read_bytes(), policy=email.policy.default)
    gazet("run", "--once", *EIGHT, site=filled.folder)
    [sent] = [mail for mail in filled.mails if "ann@example.org" in str(mail["To"])]
    assert {name: str(value) for name, value in before.items() if name not in ("Message-ID", "Content-Type")} == {
        name: str(value) for name, value in sent.items() if name not in ("Message-ID", "Content-Type")
    }
    texts = [mail.get_body(("plain",)).get_content().partition("Lees op het web")[0] for mail in (before, sent)]  # type: ignore[union-attr]
    assert texts[0] == texts[1]


def test_looking_changes_nothing(filled: World, tmp_path: Path) -> None:
    before = dump(filled)
    filled.close()
    for words in ((), ("--for", "ann@example.org"), ("--out", tmp_path / "out"), ("--json",)):
        assert gazet("preview", "po", *words, *AT, site=filled.folder).code == 0
    assert dump(filled) == before
    assert filled.mails == []


def test_out_writes_the_mail_and_the_feed(filled: World, tmp_path: Path) -> None:
    out = tmp_path / "preview"
    written = gazet("preview", "po", "--out", out, *AT, site=filled.folder)
    assert {line for line in written.out.splitlines() if line.startswith("wrote")} == {f"wrote {path}" for path in out.iterdir()}
    assert {path.name for path in out.iterdir()} == FILES
    assert "Eerste bericht" in (out / "mail.html").read_text(encoding="utf-8")
    assert "Subject: " in (out / "headers.txt").read_text(encoding="utf-8")
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert "--out" in gazet("preview", "po", "--out", tmp_path / "file", *AT, site=filled.folder).err


def test_json_has_it_all(filled: World) -> None:
    shown = gazet("preview", "po", "--json", *AT, site=filled.folder).json
    assert shown["people"] == 3
    assert shown["next_edition_at"] == "2026-11-24T07:00:00+00:00"
    assert [item["title"] for item in shown["items"]] == ["Tweede bericht", "Eerste bericht"]
    assert shown["whose"] == "1 of the 3 people in the next edition"
    assert "Eerste bericht" in shown["text"]
    assert "Eerste bericht" in shown["html"]


def test_with_nothing_to_show_it_says_why(world: World) -> None:
    none = gazet("preview", "po", site=world.folder)
    assert (none.code, none.faults) == (1, ['gazet: Feed po has no items yet. "gazet collect po" brings them.'])


def test_when_all_is_sent_a_subscriber_has_nothing_due_and_without_one_a_sample_is_shown(filled: World) -> None:
    gazet("run", "--once", *EIGHT, site=filled.folder)
    nothing = gazet("preview", "po", "--for", "ann@example.org", *EIGHT, site=filled.folder)
    assert nothing.code == 1
    assert "No mail is due for ann@example.org in po" in nothing.err
    sample = gazet("preview", "po", *EIGHT, site=filled.folder)
    assert sample.code == 0
    assert "Eerste bericht" in sample.out
    assert "0 people as things stand" in sample.out


def test_items_that_are_only_published_are_shown_as_a_sample(world: World) -> None:
    world.news("Heel oud", "2020-01-01T09:00")
    gazet("collect", *AT, site=world.folder)
    shown = gazet("preview", "po", *AT, site=world.folder)
    assert "nothing is new for a new subscriber, so this shows the newest items as a sample" in shown.out
    assert "Heel oud" in shown.out


def test_the_intro_is_shown_once_and_its_fate_is_said(filled: World) -> None:
    path = filled.folder / "feeds/po.intro.md"
    path.write_text("Een **woord** vooraf.\n", encoding="utf-8")
    before = gazet("preview", "po", *AT, site=filled.folder).out
    assert "woord" in before
    assert "its intro     feeds/po.intro.md: the next digest begins with it, and no later one" in before
    gazet("run", "--once", *EIGHT, site=filled.folder)
    after = gazet("preview", "po", *EIGHT, site=filled.folder).out
    assert "vooraf" not in after
    assert "feeds/po.intro.md was used already" in after
    path.write_bytes(b"\xff\xfe")
    broken = gazet("preview", "po", *EIGHT, site=filled.folder)
    assert (broken.code, "feeds/po.intro.md is not UTF-8 text" in broken.out) == (0, True)


def test_a_paused_feed_says_so(filled: World) -> None:
    gazet("pause", "po", site=filled.folder)
    assert "(but it is paused)" in gazet("preview", "po", *AT, site=filled.folder).out
