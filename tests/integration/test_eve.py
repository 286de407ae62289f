"""The eve mail, an editor's own words, and items left out: what a person can still do before a digest goes."""

from __future__ import annotations

from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest

from pipeline.store import items
from tests.integration.command import gazet
from tests.servers.web import WebServer
from tests.world import World

EDITOR = 'editor = "redacteur@example.org"\n'


@pytest.fixture
def site(tmp_path: Path, web: WebServer) -> Iterator[World]:
    """Two items and two daily readers of 08:00; the next digest brings what came after them."""
    made = World(tmp_path / "site", web, digest=f'cadence = "daily"\n{EDITOR}')
    made.news("Eerste", "2026-11-20T09:00")
    made.run("2026-11-22T07:00")
    for name in ("ann", "bob"):
        made.subscribe(f"{name}@example.org", cadence="daily", time="08:00", at="2026-11-22T09:00")
    made.run("2026-11-23T08:00")
    yield made
    made.close()


def eves(world: World) -> list[EmailMessage]:
    return [mail for mail in world.mails if str(mail["To"]) == "redacteur@example.org"]


def text_of(mail: EmailMessage) -> str:
    body = mail.get_body(("plain",))
    assert body is not None
    return str(body.get_content()).replace("\r\n", "\n")


def ids(world: World) -> dict[str, int]:
    with world.site.store.read() as tx:
        return {one.title: one.id for one in items.listing(tx)}


def write_intro(world: World, text: str | bytes, slug: str = "po") -> Path:
    path = world.folder / f"feeds/{slug}.intro.md"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def settings(world: World, digest: str) -> None:
    world.write_feed(digest=digest)
    world.reopen()


# The eve


def test_the_editor_hears_the_evening_before_what_goes_to_how_many_and_how_to_stop_it(site: World) -> None:
    site.news("Tweede", "2026-11-23T10:00")
    site.news("Derde", "2026-11-23T11:00")
    site.run("2026-11-23T15:59")
    assert eves(site) == [], "it is more than sixteen hours"
    site.run("2026-11-23T16:00")
    [mail] = eves(site)
    assert mail["Subject"] == "Morgen 08:00: 2 berichten, 2 ontvangers – Samen Opleiden: nieuws"
    assert mail["From"] == "Samen Opleiden <nieuws@example.org>"
    text = text_of(mail)
    known = ids(site)
    for line in (
        f"{known['Derde']:>7}  Derde",
        f"{known['Tweede']:>7}  Tweede",
        "Onderwerp: Samen Opleiden: nieuws – Derde, en nog één",
        f"gazet items omit {known['Derde']} --feed po",
        "gazet pause po",
        "gazet preview po",
        "feeds/po.intro.md",
        "2 nieuwe berichten",  # the mail itself
    ):
        assert line in text, line
    assert "Eerste" not in text
    site.run("2026-11-23T20:00")
    site.run("2026-11-24T07:59")
    assert len(eves(site)) == 1, "once for each slot"
    site.run("2026-11-24T08:00")
    assert site.got("ann@example.org")[-1] == ["Derde", "Tweede"]


def test_with_nothing_to_send_there_is_no_mail_until_something_comes(site: World) -> None:
    site.run("2026-11-23T16:00")
    assert eves(site) == []
    site.news("Tweede", "2026-11-24T06:00")
    site.run("2026-11-24T07:00")
    assert eves(site)[0]["Subject"] == "Vandaag 08:00: één bericht, 2 ontvangers – Samen Opleiden: nieuws"


def test_what_waits_for_more_items_is_not_announced(site: World) -> None:
    settings(site, f"{EDITOR}min_items = 3")
    site.news("Tweede", "2026-11-23T10:00")
    site.run("2026-11-23T18:00")
    assert eves(site) == []
    site.news("Derde", "2026-11-23T11:00")
    site.news("Vierde", "2026-11-23T12:00")
    site.run("2026-11-23T19:00")
    assert len(eves(site)) == 1


def test_after_downtime_a_slot_that_has_passed_is_not_announced_any_more(site: World) -> None:
    site.news("Tweede", "2026-11-23T10:00")
    site.run("2026-11-24T08:05")
    assert eves(site) == []
    assert site.got("ann@example.org")[-1] == ["Tweede"]


def test_an_eve_that_could_not_be_sent_in_time_is_not_sent_late(site: World) -> None:
    site.news("Tweede", "2026-11-23T10:00")
    gazet("pause", "outbox", site=site.folder)
    site.run("2026-11-23T18:00")
    site.run("2026-11-24T08:00")
    gazet("resume", "outbox", site=site.folder)
    site.run("2026-11-24T08:01")
    assert eves(site) == []
    assert site.got("ann@example.org")[-1] == ["Tweede"]


def test_each_slot_of_readers_elsewhere_is_announced_and_instant_ones_never_are(site: World) -> None:
    site.subscribe("nina@example.org", cadence="daily", time="08:00", timezone="America/New_York", at="2026-11-23T09:00")
    site.subscribe("ivo@example.org", cadence="instant", at="2026-11-23T09:00")
    site.run("2026-11-23T14:00")
    site.news("Tweede", "2026-11-23T14:30")
    site.run("2026-11-23T23:00")
    assert [mail["Subject"] for mail in eves(site)] == [
        "Morgen 08:00: één bericht, 2 ontvangers – Samen Opleiden: nieuws",
        "Morgen 14:00: één bericht, één ontvanger – Samen Opleiden: nieuws",
    ]


def test_a_paused_feed_announces_nothing(site: World) -> None:
    site.news("Tweede", "2026-11-23T10:00")
    site.run("2026-11-23T10:30")
    gazet("pause", "po", site=site.folder)
    site.run("2026-11-23T18:00")
    assert eves(site) == []


def test_pausing_after_the_eve_stops_the_digest(site: World) -> None:
    site.news("Tweede", "2026-11-23T10:00")
    site.run("2026-11-23T18:00")
    gazet("pause", "po", site=site.folder)
    site.run("2026-11-24T08:00")
    assert site.got("ann@example.org") == [["Eerste"]]


def test_more_than_fits_and_several_versions_are_said(site: World) -> None:
    settings(site, f"{EDITOR}max_items = 2")
    site.subscribe("tom@example.org", cadence="daily", time="08:00", topics="Agenda", at="2026-11-23T09:00")
    for number in range(4):
        site.news(f"Nieuws {number}", f"2026-11-23T1{number}:00", topics=("Agenda",) if number == 0 else ())
    site.run("2026-11-23T18:00")
    text = text_of(eves(site)[0])
    assert "2 berichten worden alleen geteld" in text
    assert "Er zijn 2 versies" in text
    assert "Ontvangers: 3" in text
    assert "Nieuws 0" in text, "an item that only one reader gets can be left out, too"


def test_a_template_with_a_mistake_is_named_and_the_digest_goes_out(site: World) -> None:
    (site.folder / "templates").mkdir()
    (site.folder / "templates/eve.txt.j2").write_text("{{ nonsense }}")
    site.reopen()
    site.news("Tweede", "2026-11-23T10:00")
    site.run("2026-11-23T18:00")
    [problem] = gazet("status", "--json", site=site.folder).json["problems"]
    assert "eve.txt.j2" in problem["what"]
    site.run("2026-11-24T08:00")
    assert site.got("ann@example.org")[-1] == ["Tweede"]


# The intro


def test_an_intro_stands_above_the_next_digest_once_in_html_and_text(site: World) -> None:
    write_intro(site, "Beste lezer,\n\nwelkom bij [ons](https://example.org/).\n")
    site.news("Tweede", "2026-11-23T10:00")
    site.run("2026-11-23T18:00")
    assert "Beste lezer" in text_of(eves(site)[0])
    assert "staat boven de berichten" in text_of(eves(site)[0])
    site.run("2026-11-24T08:00")
    mail = [mail for mail in site.mails if "ann@" in str(mail["To"])][-1]
    html = mail.get_body(("html",))
    assert html is not None
    assert 'welkom bij <a href="https://example.org/"' in html.get_content()
    assert text_of(mail).index("welkom bij [ons](https://example.org/)") < text_of(mail).index("Tweede")
    site.news("Derde", "2026-11-24T10:00")
    site.run("2026-11-25T08:00")
    assert "Beste lezer" not in text_of([mail for mail in site.mails if "ann@" in str(mail["To"])][-1])
    write_intro(site, "Beste lezer, een tweede keer.\n")
    site.news("Vierde", "2026-11-25T10:00")
    site.run("2026-11-26T08:00")
    assert "een tweede keer" in text_of([mail for mail in site.mails if "ann@" in str(mail["To"])][-1])


def test_an_intro_waits_for_the_edition_of_the_feeds_own_rhythm_and_all_who_are_in_it_see_it(site: World) -> None:
    """The feed's default is weekly; readers of every day have an edition on Wednesday that does not serve it."""
    settings(site, "")
    site.subscribe("wies@example.org", cadence="weekly", weekday="thursday", time="08:00", at="2026-11-23T09:00")
    write_intro(site, "Voor de week.\n")
    site.news("Tweede", "2026-11-24T10:00")
    site.run("2026-11-25T08:00")
    assert "Voor de week" not in text_of([mail for mail in site.mails if "ann@" in str(mail["To"])][-1])
    site.news("Derde", "2026-11-25T10:00")
    site.run("2026-11-26T08:00")
    for name in ("ann@", "wies@"):
        assert "Voor de week" in text_of([mail for mail in site.mails if name in str(mail["To"])][-1])


def test_an_intro_goes_with_the_next_edition_where_nobody_has_the_feeds_own_rhythm(site: World) -> None:
    settings(site, 'cadence = "monthly"')
    write_intro(site, "Voor wie er is.\n")
    site.news("Tweede", "2026-11-23T10:00")
    site.run("2026-11-24T08:00")
    assert "Voor wie er is" in text_of([mail for mail in site.mails if "ann@" in str(mail["To"])][-1])


def test_an_intro_that_no_edition_used_is_still_there(site: World) -> None:
    settings(site, 'cadence = "daily"\nmin_items = 2')
    write_intro(site, "Blijft staan.\n")
    site.news("Tweede", "2026-11-23T10:00")
    site.run("2026-11-24T08:00")
    assert site.got("ann@example.org") == [["Eerste"]]
    site.news("Derde", "2026-11-24T10:00")
    site.run("2026-11-25T08:00")
    assert "Blijft staan" in text_of([mail for mail in site.mails if "ann@" in str(mail["To"])][-1])


@pytest.mark.parametrize(
    ("data", "said"),
    [(b"\xff\xfe kapot", "is not UTF-8 text"), (b"x" * 20_001, "is larger than 20 KB"), (None, "cannot be read")],
    ids=["not UTF-8", "too large", "a folder"],
)
def test_an_intro_that_cannot_be_used_is_said_and_costs_no_edition(site: World, data: bytes | None, said: str) -> None:
    settings(site, 'cadence = "daily"')
    if data is None:
        (site.folder / "feeds/po.intro.md").mkdir()
    else:
        write_intro(site, data)
    site.news("Tweede", "2026-11-23T10:00")
    site.run("2026-11-24T08:00")
    assert site.got("ann@example.org")[-1] == ["Tweede"]
    [problem] = gazet("status", "--json", site=site.folder).json["problems"]
    assert f"feeds/po.intro.md {said}" in problem["what"]
    if data is None:
        (site.folder / "feeds/po.intro.md").rmdir()
    write_intro(site, "Nu wel.\n")
    site.news("Derde", "2026-11-24T10:00")
    site.run("2026-11-25T08:00")
    assert "Nu wel" in text_of([mail for mail in site.mails if "ann@" in str(mail["To"])][-1])
    assert gazet("status", "--json", site=site.folder).json["problems"] == []


def test_an_intro_is_used_once_on_both_databases(any_world: World) -> None:
    any_world.write_feed(digest='cadence = "daily"')
    any_world.reopen()
    any_world.subscribe("ann@example.org", cadence="daily", time="08:00")
    write_intro(any_world, "Eenmaal.\n")
    any_world.news("Eerste", "2026-11-23T09:00")
    any_world.run("2026-11-24T08:00")
    any_world.news("Tweede", "2026-11-24T09:00")
    any_world.run("2026-11-25T08:00")
    assert ["Eenmaal." in text_of(mail) for mail in any_world.mails] == [True, False]


# Items left out


def test_an_omitted_item_stays_in_the_feeds_and_out_of_the_digest_and_undo_brings_it_back(site: World) -> None:
    for title in ("Tweede", "Derde", "Vierde"):
        site.news(title, "2026-11-23T10:00")
    site.run("2026-11-23T16:00")
    known = ids(site)
    done = gazet("items", "omit", str(known["Tweede"]), str(known["Derde"]), "--feed", "po", site=site.folder)
    assert (done.code, done.out.splitlines()[0]) == (0, f"item {known['Tweede']}: coming digests of po leave it out")
    again = gazet("items", "omit", str(known["Derde"]), "--undo", "--json", site=site.folder)
    assert again.json == {"undo": True, "items": [{"item": known["Derde"], "feed": "po", "sent_in": ""}]}
    site.run("2026-11-24T08:00")
    assert site.got("ann@example.org")[-1] == ["Vierde", "Derde"]
    assert "Tweede" in (site.folder / "var/public/feeds/po.rss").read_text(encoding="utf-8")


def test_an_item_that_everybody_has_had_is_refused_politely_and_then_none_is_omitted(site: World) -> None:
    site.news("Tweede", "2026-11-23T10:00")
    site.run("2026-11-23T16:00")
    known = ids(site)
    done = gazet("items", "omit", str(known["Tweede"]), str(known["Eerste"]), site=site.folder)
    assert done.code == 2
    assert "was already sent in po/2026-11-23T08:00" in done.err
    assert f"gazet items discard {known['Eerste']}" in done.err
    site.run("2026-11-24T08:00")
    assert site.got("ann@example.org")[-1] == ["Tweede"]


def test_an_item_that_instant_readers_had_can_still_be_left_out_for_the_others(site: World) -> None:
    site.subscribe("ivo@example.org", cadence="instant", at="2026-11-23T09:00")
    site.run("2026-11-23T09:30")
    site.news("Tweede", "2026-11-23T10:00")
    site.run("2026-11-23T16:00")
    done = gazet("items", "omit", str(ids(site)["Tweede"]), site=site.folder)
    assert "some had it in po/2026-11-23T16:00" in done.out
    site.run("2026-11-24T08:00")
    assert site.got("ivo@example.org")[-1] == ["Tweede"]
    assert site.got("ann@example.org") == [["Eerste"]]


@pytest.mark.parametrize(("words", "said"), [(("999",), "There is no item 999."), (("1", "--feed", "nope"), "no such feed")])
def test_what_cannot_be_omitted_is_said(site: World, words: tuple[str, ...], said: str) -> None:
    done = gazet("items", "omit", *words, site=site.folder)
    assert done.code == 2
    assert said in done.err


def test_an_item_of_another_feed_is_refused_and_named(site: World) -> None:
    site.web.serve("/other.xml", '<rss version="2.0"><channel><title>x</title><link>/</link></channel></rss>')
    site.write_feed("vo", url=site.web.url("/other.xml"))
    site.reopen()
    site.news("Tweede", "2026-11-23T10:00")
    site.run("2026-11-23T16:00")
    done = gazet("items", "omit", str(ids(site)["Tweede"]), "--feed", "vo", site=site.folder)
    assert done.code == 2
    assert "is not in feed vo. It is in: po." in done.err


def test_items_are_omitted_on_both_databases(any_world: World) -> None:
    any_world.news("Eerste", "2026-11-23T09:00")
    any_world.news("Tweede", "2026-11-23T09:30")
    any_world.subscribe("ann@example.org", cadence="daily", time="08:00", at="2026-11-23T09:00")
    any_world.run("2026-11-23T10:00")
    assert gazet("items", "omit", str(ids(any_world)["Eerste"]), site=any_world.folder).code == 0
    any_world.run("2026-11-24T08:00")
    assert any_world.got("ann@example.org")[-1] == ["Tweede"]
