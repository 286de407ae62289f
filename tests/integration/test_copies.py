"""A copy of a site writes to nobody, however faithful; what is no copy needs nothing more than before (promise 12)."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from pipeline import app
from pipeline.errors import SendRefusedError
from pipeline.store import notices, place
from tests.integration.command import gazet
from tests.integration.real import ANN, BOB, ME, NOW, Site, real_relay
from tests.servers.smtp import SmtpServer
from tests.servers.web import WebServer


@pytest.fixture
def relay() -> Iterator[SmtpServer]:
    yield from real_relay()


@pytest.fixture
def site(tmp_path: Path, web: WebServer, relay: SmtpServer) -> Iterator[Site]:
    """One that has written to its subscribers, and to which its source has something new."""
    made = Site(tmp_path / "site", web, relay)
    made.answers()
    made.test()
    assert made.once().code == 0
    assert sorted(kept.recipient for kept in relay.messages) == [ANN, BOB, ME]
    made.news("Tweede bericht", (NOW - timedelta(minutes=1)).isoformat())
    made.close()
    yield made
    made.close()


def copied(site: Site, to: Path) -> Path:
    site.close()
    subprocess.run(["cp", "-a", str(site.folder), str(to)], check=True)
    return to


def collected(folder: Path) -> None:
    assert gazet("collect", site=folder).code == 0


def test_a_copy_beside_the_original_writes_to_nobody_and_says_why(site: Site, relay: SmtpServer, tmp_path: Path) -> None:
    copy = copied(site, tmp_path / "copy")
    before = relay.connections
    collected(copy)
    ended = gazet("run", "--once", site=copy)
    assert (ended.code, len(ended.faults)) == (1, 1)
    assert "this site is a copy or was moved" in ended.err
    assert "take [[relay]] out" in ended.err
    assert relay.connections == before
    assert "is a copy or was moved" in gazet("status", site=copy).out.replace("\n           ", " ")

    collected(site.folder)
    assert site.once().code == 0
    assert sorted(kept.recipient for kept in relay.messages)[:4] == [ANN, ANN, BOB, BOB], "the original goes on, once"


def test_not_even_a_test_mail_lets_a_copy_write_while_the_address_leads_to_the_original(
    site: Site, relay: SmtpServer, tmp_path: Path
) -> None:
    """People who unsubscribe there leave the original, and the copy would write on."""
    copy = copied(site, tmp_path / "copy")
    tested = gazet("send", "po", "--test", ME, site=copy)
    assert tested.code == 0
    assert "another Gazet site" in tested.out
    assert "ready" not in tested.out
    site.is_silent()  # the original rests for a moment: that it answered once is no proof for a copy
    assert "ready" not in gazet("send", "po", "--test", ME, site=copy).out
    collected(copy)
    before = len(relay.messages)
    assert "has not answered as this site" in gazet("run", "--once", site=copy).err
    assert len(relay.messages) == before


def test_what_the_address_answered_for_the_original_is_no_proof_for_a_copy(site: Site, tmp_path: Path) -> None:
    copy = copied(site, tmp_path / "copy")
    site.is_silent()
    tested = gazet("send", "po", "--test", ME, site=copy)
    assert "has not answered as this site" in tested.out
    assert "ready" not in tested.out


def test_a_copy_mails_no_alert_either(site: Site, relay: SmtpServer, tmp_path: Path) -> None:
    copy = copied(site, tmp_path / "copy")
    toml = copy / "gazet.toml"
    toml.write_text(toml.read_text() + '[alerts]\nmail = "beheer@redactie.nl"\n')
    site.web.serve("/feed.xml", "weg", status=410)
    before = relay.connections
    gazet("collect", site=copy)
    gazet("run", "--once", site=copy)
    opened = app.open_site(copy)
    with opened.store.read() as tx:
        assert [one.kind for one in notices.waiting(tx)] == ["alert"]
    opened.store.close()
    assert relay.connections == before


def test_a_copy_in_the_place_of_the_original_is_a_copy(site: Site, tmp_path: Path) -> None:
    copied(site, tmp_path / "copy")
    site.folder.rename(tmp_path / "aside")
    (tmp_path / "copy").rename(site.folder)
    with pytest.raises(SendRefusedError, match="is a copy or was moved"):
        app.relay_for(site.site)


def test_a_site_that_was_moved_needs_one_test_mail(site: Site, relay: SmtpServer, tmp_path: Path) -> None:
    site.folder.rename(tmp_path / "elders")
    site.folder = tmp_path / "elders"
    assert "is a copy or was moved" in site.once().err
    site.answers()
    assert "ready" in site.test().out
    assert site.once().code == 0
    assert len(relay.messages) == 3 + 1 + 2


def test_another_process_another_container_and_a_restart_change_nothing(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine, container = tmp_path / "machine-id", tmp_path / "containerenv"
    monkeypatch.setattr(place, "_MACHINE", machine)
    monkeypatch.setattr(place, "_CONTAINERS", (container,))
    site.test()
    app.relay_for(site.site)
    machine.write_text("a" * 32)
    site.reopen()
    with pytest.raises(SendRefusedError, match="is a copy or was moved"):  # the same folder on another machine
        app.relay_for(site.site)
    container.touch()  # what is made anew each time says nothing
    site.test()
    for each in "bcd":
        machine.write_text(each * 32)
        site.reopen()
        app.relay_for(site.site)


def test_a_restore_in_place_needs_no_test_mail_and_one_elsewhere_does(site: Site, tmp_path: Path) -> None:
    assert gazet("backup", str(tmp_path / "one.tar.gz"), site=site.folder).code == 0
    gazet("restore", str(tmp_path / "one.tar.gz"), site=site.folder)
    site.reopen()
    app.relay_for(site.site)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    gazet("restore", str(tmp_path / "one.tar.gz"), site=elsewhere)
    opened = app.open_site(elsewhere)
    with pytest.raises(SendRefusedError, match="is a copy or was moved"):
        app.relay_for(opened)
    opened.store.close()


def test_on_a_server_every_machine_of_the_site_is_trusted_and_a_copied_store_is_not(
    tmp_path: Path, web: WebServer, relay: SmtpServer, postgres_url: str, empty_postgres_url: str
) -> None:
    """They share what was sent, so nothing leaves twice."""
    site = Site(tmp_path / "site", web, relay, postgres_url)
    site.answers()
    site.test()
    second = app.open_site(shutil.copytree(site.folder, tmp_path / "second"))
    app.relay_for(second)
    second.store.close()
    site.close()
    assert gazet("store", "copy", empty_postgres_url, site=site.folder).code == 0
    site.change(postgres_url, empty_postgres_url)
    with pytest.raises(SendRefusedError, match="is a copy or was moved"):
        app.relay_for(site.site)
    site.close()
