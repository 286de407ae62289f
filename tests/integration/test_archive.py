"""Earlier editions as everybody may read them, and what is withdrawn."""

from __future__ import annotations

import re

import pytest

from pipeline.web import archive
from tests.integration.command import gazet
from tests.served import Served, digest_world
from tests.world import World

LIST = "/archive/po"


def two_editions(world: World) -> World:
    """Four items on one day, a fifth on the next."""
    digest_world(world)
    world.news("Bericht <5>", "2026-11-24T09:00")
    world.run("2026-11-25T08:00")
    return world


def test_the_archive_shows_editions_as_they_were_sent_and_marks_what_was_withdrawn_since(world: World) -> None:
    with Served(two_editions(world)) as served:
        listed = served.get(LIST)
        assert listed.status == 200
        moments = re.findall(rf'href="{served.url}{LIST}/([^"]+)"', listed.text)
        assert moments == ["2026-11-25T08:00", "2026-11-24T08:00"]
        assert '<li dir="auto">Bericht &lt;5&gt;</li>' in listed.text
        assert 'lang="nl"' in listed.text
        assert "24 november 2026" in listed.text
        first = served.get(f"{LIST}/2026-11-24T08:00")
        assert all(f"Bericht {number}" in first.text for number in range(1, 5))
        assert f'rel="next" href="{served.url}{LIST}/2026-11-25T08:00"' in first.text
        assert 'rel="prev"' not in first.text
        assert f'rel="prev" href="{served.url}{LIST}/2026-11-24T08:00"' in served.get(f"{LIST}/2026-11-25T08:00").text

        ended = gazet("items", "withdraw", "2", "--now", "2026-11-25T12:00", site=world.folder)
        assert "it was in po/2026-11-24T08:00, which the archive marks" in ended.out
        marked = served.get(f"{LIST}/2026-11-24T08:00")
        assert "“Bericht 2” is ingetrokken op 25 november 2026." in marked.text
        assert all(f"Bericht {number}" in marked.text for number in range(1, 5))
        assert marked.headers["etag"] != first.headers["etag"]
        assert "<s>Bericht 2</s> (ingetrokken)" in served.get(LIST).text
        assert "ingetrokken" not in served.get(f"{LIST}/2026-11-25T08:00").text

        assert gazet("items", "restore", "2", site=world.folder).code == 0
        assert served.get(f"{LIST}/2026-11-24T08:00").body == first.body


def test_a_page_of_the_archive_holds_nothing_personal_runs_nothing_and_is_asked_for_once(world: World) -> None:
    with Served(two_editions(world)) as served:
        for path in (LIST, f"{LIST}/2026-11-24T08:00"):
            got = served.get(path)
            assert not re.search(r"ann@|/unsubscribe/|/preferences/|/read/|<script", got.text), path
            assert got.headers["content-security-policy"].startswith("default-src 'none'")
            assert got.headers["cache-control"] == "public, max-age=300"
            assert "x-robots-tag" not in got.headers
            tag = got.headers["etag"]
            again = served.get(path, If_None_Match=f'"other", W/{tag}')
            assert (again.status, again.body, again.headers["etag"]) == (304, b"", tag)
            head = served.send("HEAD", path)
            assert (head.status, head.body, head.headers["etag"]) == (200, b"", tag)
        assert served.said == []


def test_an_archive_without_that_edition_says_so_kindly(world: World) -> None:
    world.write_feed("leeg", url=world.web.url("/other.xml"))
    with Served(digest_world(world)) as served:
        assert "Er zijn nog geen eerdere edities." in served.get("/archive/leeg").text
        for path in (
            f"{LIST}/2026-11-23T08:00",
            f"{LIST}/%00",
            f"{LIST}/2026-11-24T08:00%0d%0aX:%20y",
            f"{LIST}/..%2f..",
            f"{LIST}?page=2",
            f"{LIST}?page=0",
            f"{LIST}?page=%C2%B2",
            "/archive/nobody",
            "/archive/%00/2026-11-24T08:00",
        ):
            got = served.get(path)
            assert (got.status, got.headers["cache-control"]) == (404, "no-store"), path
            assert "redactie@example.org" in got.text
        assert served.said == []


def test_what_was_never_sent_is_not_in_the_archive_and_what_somebody_got_stays(world: World) -> None:
    digest_world(world)
    with Served(world) as served:
        with world.site.store.write() as tx:
            from pipeline.store import editions

            [edition] = editions.latest(tx, 1)
            editions.set_status(tx, edition.id, editions.EditionStatus.CANCELLED)
        assert served.get(f"{LIST}/2026-11-24T08:00").status == 200
        world.news("Bericht 5", "2026-11-24T09:00")
        gazet("compose", "--now", "2026-11-25T08:00", site=world.folder)
        assert served.get(f"{LIST}/2026-11-25T08:00").status == 404  # nothing was collected, so nothing was opened
        gazet("collect", "--now", "2026-11-25T08:00", site=world.folder)
        gazet("compose", "--now", "2026-11-26T08:00", site=world.folder)
        assert served.get(f"{LIST}/2026-11-26T08:00").status == 200
        gazet("cancel", "po/2026-11-26T08:00", site=world.folder)
        assert served.get(f"{LIST}/2026-11-26T08:00").status == 404
        assert "2026-11-26" not in served.get(LIST).text


def test_a_renamed_feed_keeps_its_archive_and_its_former_address_leads_there(world: World) -> None:
    digest_world(world)
    (world.folder / "feeds/po.toml").unlink()
    world.write_feed("nieuw", top='aliases = ["po"]')
    world.reopen()
    world.run("2026-11-24T09:00")
    with Served(world) as served:
        assert served.get("/archive/nieuw/2026-11-24T08:00").status == 200
        moved = served.get(f"{LIST}/2026-11-24T08:00")
        assert (moved.status, moved.headers["location"]) == (301, f"{served.url}/archive/nieuw/2026-11-24T08:00")
        assert served.get(LIST).headers["location"] == f"{served.url}/archive/nieuw"


def test_many_editions_are_turned_over_page_by_page(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "PAGE_LENGTH", 1)
    with Served(two_editions(world)) as served:
        first, second = served.get(LIST).text, served.get(f"{LIST}?page=2").text
        assert [first.count("<h2"), second.count("<h2")] == [1, 1]
        assert f'rel="next" href="{served.url}{LIST}?page=2"' in first
        assert f'rel="prev" href="{served.url}{LIST}"' in second
        assert "Pagina 2 van 2" in second
        assert served.get(f"{LIST}?page=3").status == 404


def test_a_withdrawn_item_is_not_mailed_and_one_that_is_restored_is_mailed_to_whom_it_was_due_alone(world: World) -> None:
    """Promise 4: it keeps its number, and cursors decide."""
    digest_world(world)
    world.subscribe("bob@example.org", cadence="weekly", weekday="friday", at="2026-11-24T10:00")
    world.news("Bericht 5", "2026-11-24T09:00")
    world.news("Bericht 6", "2026-11-24T09:30")
    world.run("2026-11-24T12:00")
    assert gazet("items", "withdraw", "5", "--now", "2026-11-24T13:00", site=world.folder).code == 0
    world.run("2026-11-25T08:00")
    assert world.got("ann@")[-1] == ["Bericht 6"]
    assert gazet("items", "restore", "5", site=world.folder).code == 0
    world.run("2026-11-26T08:00")
    assert len(world.got("ann@")) == 2
    world.run("2026-11-27T08:00")
    assert world.got("bob@") == [["Bericht 6", "Bericht 5", "Bericht 4", "Bericht 3", "Bericht 2", "Bericht 1"]]
    refused = gazet("items", "restore", "5", site=world.folder)
    assert refused.code != 0
    assert "released" in refused.err


def test_an_item_restored_without_mail_is_in_feeds_alone(world: World) -> None:
    digest_world(world)
    world.news("Bericht 5", "2026-11-24T09:00")
    world.run("2026-11-24T12:00")
    gazet("items", "withdraw", "5", site=world.folder)
    assert gazet("items", "restore", "5", "--no-mail", "--json", site=world.folder).json["numbers"] == {"po": 5}
    world.run("2026-11-25T08:00")
    assert len(world.got("ann@")) == 1
    assert "Bericht 5" in (world.folder / "var/public/feeds/po.rss").read_text()
