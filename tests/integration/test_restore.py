"""A restored backup repeats nothing and revives nobody (promise 11); without a record all is held and named."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline import app
from pipeline.jobs import operate, people, report
from pipeline.jobs.backup import write_backup
from pipeline.models import Blame, DeliveryStatus, ItemStatus, RetryDecision
from pipeline.store import deliveries, items
from tests.integration.command import Ended, gazet
from tests.servers.web import WebServer
from tests.world import World, moment

EVERYBODY = ("ann", "bob", "cas", "dora")
LOST = "po/2026-11-24T08:00"


@pytest.fixture
def web() -> Iterator[WebServer]:
    """A web server on loopback."""
    with WebServer() as server:
        yield server


@pytest.fixture
def url_of(request: pytest.FixtureRequest, migrated_database: str) -> Iterator[Callable[[str, str], str]]:
    """A store of that kind, as it stands in gazet.toml; each PostgreSQL database is one of its own."""
    server = request.getfixturevalue("postgres_server")
    made: list[str] = []

    def make(kind: str, name: str) -> str:
        if kind == "sqlite":
            return f"sqlite:///var/{name}.db"
        made.append(server.lend(migrated_database))
        return str(server.url(made[-1]))

    yield make
    for name in made:
        server.give_back(name)


class Story:
    """A site of which a backup was made on Monday evening, and which was lost on Tuesday morning."""

    def __init__(self, folder: Path, web: WebServer, store: str) -> None:
        self.world = World(folder / "site", web, store=store)
        self.backup = folder / "backup.tar.gz"

    def until_the_backup(self) -> None:
        world = self.world
        world.news("Eerste", "2026-11-22T09:00")
        for name in EVERYBODY:
            columns = {"cas": {"cadence": "weekly", "weekday": "wednesday"}, "dora": {"cadence": "instant"}}
            world.subscribe(f"{name}@example.org", at="2026-11-22T12:00", **columns.get(name, {"cadence": "daily"}))
        world.run("2026-11-23T08:00")
        world.news("Tussen", "2026-11-23T18:00")
        world.run("2026-11-23T19:00")
        assert self.got == {"ann": [["Eerste"]], "bob": [["Eerste"]], "cas": [], "dora": [["Eerste"], ["Tussen"]]}
        write_backup(world.site, self.backup, moment("2026-11-23T20:00"))

    def until_the_loss(self) -> None:
        world = self.world
        world.news("Tweede", "2026-11-24T06:00")
        world.news("Derde", "2026-11-24T07:00")
        world.run("2026-11-24T08:00")
        people.unsubscribe(world.site, "bob@example.org", None, moment("2026-11-24T09:00"))
        assert self.got["ann"] == self.got["bob"] == [["Eerste"], ["Derde", "Tweede", "Tussen"]]
        assert self.got["dora"] == [["Eerste"], ["Tussen"], ["Derde", "Tweede"]]
        world.close()

    def open_unsent(self) -> None:
        """Tuesday's edition is opened, and nothing of it is sent yet."""
        self.world.news("Tweede", "2026-11-24T06:00")
        operate.set_paused(self.world.site, "outbox", True)
        self.world.run("2026-11-24T08:00")
        operate.set_paused(self.world.site, "outbox", False)

    @property
    def got(self) -> dict[str, list[list[str]]]:
        """Which items each person got, mail by mail."""
        return {name: self.world.got(f"{name}@example.org") for name in EVERYBODY}

    def write_store(self, url: str) -> None:
        path = self.world.folder / "gazet.toml"
        lines = [line for line in path.read_text().splitlines() if not line.startswith("url = ") or "://nieuws" in line]
        path.write_text("\n".join(lines).replace("[store]", f'[store]\nurl = "{url}"'), encoding="utf-8")

    def restore(self, *options: str, at: str = "2026-11-24T10:00") -> Ended:
        self.world.close()
        return gazet("restore", self.backup, *options, "--now", at, site=self.world.folder)

    def resume(self) -> None:
        operate.set_paused(self.world.site, None, False)

    def statuses(self, label: str) -> dict[str, DeliveryStatus]:
        """What became of each person's mail of that edition."""
        return {address.partition("@")[0]: status for address, status in self.world.statuses(label).items()}

    @property
    def faults(self) -> list[str]:
        """What gazet verify finds wrong."""
        return [fault for one in report.verify(self.world.site, None) for fault in one.faults]

    @property
    def count(self) -> int:
        return len(self.world.mails)


@pytest.fixture(
    params=[("sqlite", "sqlite"), ("sqlite", "postgresql"), ("postgresql", "sqlite"), ("postgresql", "postgresql")], ids="→".join
)
def story(request: pytest.FixtureRequest, tmp_path: Path, web: WebServer, url_of: Callable[[str, str], str]) -> Iterator[Any]:
    """The site on the first kind of store, everything lost but the record; gazet.toml names an empty store of the second."""
    source, target = request.param
    told = Story(tmp_path, web, url_of(source, "gazet"))
    told.until_the_backup()
    told.until_the_loss()
    told.write_store(url_of(target, "other"))
    yield told
    told.world.close()


def test_with_the_record_nothing_is_repeated_and_nobody_comes_back(story: Story) -> None:
    before, world = story.count, story.world
    done = story.restore("--keep-settings")
    assert (done.code, done.err) == (0, ""), done
    assert f"1 edition sent since: {LOST}" in done.out
    assert world.run("2026-11-24T10:00").opened == [], "it is paused"
    story.resume()
    world.run("2026-11-24T10:01")
    assert story.count == before, "something was sent twice"
    assert story.statuses(LOST) == dict.fromkeys(("ann", "bob", "dora"), DeliveryStatus.ACCEPTED)
    assert story.faults == []
    world.news("Vierde", "2026-11-24T12:00")
    world.run("2026-11-24T12:01")
    world.run("2026-11-25T08:00")
    assert story.got == {
        "ann": [["Eerste"], ["Derde", "Tweede", "Tussen"], ["Vierde"]],
        "bob": [["Eerste"], ["Derde", "Tweede", "Tussen"]],
        "cas": [["Vierde", "Derde", "Tweede", "Tussen", "Eerste"]],
        "dora": [["Eerste"], ["Tussen"], ["Derde", "Tweede"], ["Vierde"]],
    }


def test_without_the_record_all_that_may_have_been_sent_is_held_and_named(story: Story) -> None:
    before, world = story.count, story.world
    shutil.rmtree(world.folder / "var/record")
    done = story.restore("--keep-settings")
    assert (done.code, done.err) == (1, "")
    assert "THERE IS NO RECORD" in done.out
    assert f"! edition {LOST}: 2 deliveries uncertain." in done.out
    assert story.statuses(LOST) == dict.fromkeys(("ann", "bob"), DeliveryStatus.UNCERTAIN)
    assert any("restored without a record" in one.what for one in report.status(world.site).problems)
    story.resume()
    assert "2 new held" in world.run("2026-11-24T10:01").collected[0].remarks[0]
    world.run("2026-11-24T10:02")
    world.run("2026-11-25T08:00")
    assert story.count - before == 1, "only cas was surely not written to"
    assert story.got["cas"] == [["Tussen", "Eerste"]]
    assert story.faults == []
    with world.site.store.read() as tx:
        held = [item.id for item in items.listing(tx, status=ItemStatus.HELD)]
    assert len(held) == 2
    for item in held:
        assert gazet("items", "release", str(item), "--no-mail", "--now", "2026-11-25T08:30", site=world.folder).code == 0
    world.run("2026-11-25T08:31")
    world.run("2026-11-26T08:00")
    assert story.count - before == 1, "they had been mailed by the store that was lost"
    assert gazet("retry", LOST, "--now", "2026-11-25T09:00", site=world.folder).code == 0
    world.run("2026-11-25T09:00")
    assert story.got["ann"] == [["Eerste"], ["Derde", "Tweede", "Tussen"], ["Tussen"]]
    assert story.statuses(LOST) == dict.fromkeys(("ann", "bob"), DeliveryStatus.ACCEPTED)
    assert story.faults == []


@pytest.fixture
def plain(tmp_path: Path, web: WebServer) -> Iterator[Story]:
    """The same story on one SQLite site, up to the backup."""
    told = Story(tmp_path, web, "")
    told.until_the_backup()
    yield told
    told.world.close()


def _put_back(told: Story, old: Path) -> None:
    for path in (told.world.folder / "var").glob("gazet.db*"):
        path.unlink()
    shutil.copyfile(old, told.world.folder / "var/gazet.db")


def test_an_old_store_that_knows_the_edition_but_not_that_it_was_sent_does_not_run(plain: Story, tmp_path: Path) -> None:
    world, old = plain.world, tmp_path / "old.db"
    world.news("Tweede", "2026-11-24T06:00")
    operate.set_paused(world.site, "outbox", True)
    world.run("2026-11-24T08:00")
    world.close()
    shutil.copyfile(world.folder / "var/gazet.db", old)
    operate.set_paused(world.site, "outbox", False)
    world.run("2026-11-24T08:10")
    before = plain.count
    world.close()
    _put_back(plain, old)
    assert gazet("resume", "outbox", site=world.folder).code == 0
    refused = gazet("run", "--once", "--now", "2026-11-24T08:20", site=world.folder)
    assert refused.code == 2
    assert "is older than its record" in refused.err
    assert "gazet restore --replay" in refused.err
    assert plain.count == before


def test_whoever_left_stays_away_from_an_old_store_too(plain: Story, tmp_path: Path) -> None:
    world, old = plain.world, tmp_path / "old.db"
    world.close()
    shutil.copyfile(world.folder / "var/gazet.db", old)
    people.unsubscribe(world.site, "bob@example.org", None, moment("2026-11-23T21:00"))
    world.close()
    _put_back(plain, old)
    world.news("Tweede", "2026-11-24T06:00")
    assert gazet("run", "--once", "--now", "2026-11-24T08:00", site=world.folder).code == 0
    assert (len(plain.got["ann"]), len(plain.got["bob"])) == (2, 1)


def test_a_restore_does_not_begin_while_the_web_is_served(plain: Story) -> None:
    plain.world.close()
    with app.serving(plain.world.folder), app.serving(plain.world.folder):
        refused = gazet("restore", plain.backup, site=plain.world.folder)
    assert refused.code == 1
    assert "gazet serve" in refused.err


def test_a_backup_of_another_site_replaces_none_by_accident(plain: Story, tmp_path: Path, web: WebServer) -> None:
    other = World(tmp_path / "other", web)
    other.write_feed("kijk")
    other.news("Van hen", "2026-11-22T09:00")
    other.subscribe("eva@example.org", at="2026-11-22T12:00", cadence="daily")
    other.run("2026-11-23T08:00")
    other.close()
    before = {path: path.read_bytes() for path in other.folder.rglob("*") if path.is_file() and not path.name.endswith("lock")}
    refused = gazet("restore", plain.backup, "--now", "2026-11-24T10:00", site=other.folder)
    assert (refused.code, len(refused.faults)) == (2, 1)
    assert "their secrets differ" in refused.err
    assert "--other-site" in refused.err
    after = {path: path.read_bytes() for path in other.folder.rglob("*") if path.is_file() and not path.name.endswith("lock")}
    assert after == before

    done = gazet("restore", plain.backup, "--other-site", "--now", "2026-11-24T10:00", site=other.folder)
    assert done.code == 1, "nobody knows what was sent since: the record here is of another site"
    assert "eva" not in gazet("subscribers", "list", site=other.folder).out
    assert not (other.folder / "feeds/kijk.toml").exists()
    [aside] = (other.folder / "var").glob("before-restore-*")
    for name in ("feeds/kijk.toml", "var/record", "var/public", "var/gazet.db", "var/secret"):
        assert (aside / name).exists(), name
    assert gazet("verify", site=other.folder).code == 1


def test_a_site_that_was_only_begun_may_be_restored_into(plain: Story, tmp_path: Path) -> None:
    assert gazet("init", tmp_path / "new", "--yes").code == 0
    assert gazet("restore", plain.backup, "--now", "2026-11-24T10:00", site=tmp_path / "new").code == 1
    assert "ann@example.org" in gazet("subscribers", "list", site=tmp_path / "new").out


def test_an_unfinished_restore_is_not_taken_for_one_of_another_file(plain: Story, tmp_path: Path, monkeypatch: Any) -> None:
    plain.world.close()
    with monkeypatch.context() as patch:
        patch.setattr("pipeline.jobs.restore.install", lambda *_: (_ for _ in ()).throw(OSError(5, "Input/output error")))
        assert plain.restore().code == 1
    other = shutil.copyfile(plain.backup, tmp_path / "other.tar.gz")
    for words in ([other], ["--replay"]):
        refused = gazet("restore", *words, site=plain.world.folder)
        assert (refused.code, len(refused.faults)) == (2, 1)
        assert "was not finished" in refused.err
    assert gazet("run", "--once", site=plain.world.folder).code == 2
    monkeypatch.chdir(plain.backup.parent)
    assert gazet("restore", plain.backup.name, site=plain.world.folder).code == 0


def test_a_machine_that_was_set_back_holds_what_is_due_and_what_is_dropped_is_not_sent(plain: Story) -> None:
    """Store and record are of one moment, so that nothing shows it but what the operator says: --no-record."""
    folder = plain.world.folder
    plain.world.close()
    shutil.copytree(folder / "var", folder / "old")
    plain.until_the_loss()
    for name in ("gazet.db", "gazet.db-wal", "gazet.db-shm", "record"):
        shutil.rmtree(folder / "var" / name) if name == "record" else (folder / "var" / name).unlink(missing_ok=True)
    shutil.copytree(folder / "old/record", folder / "var/record")
    shutil.copyfile(folder / "old/gazet.db", folder / "var/gazet.db")
    before = plain.count
    done = gazet("restore", "--replay", "--no-record", "--now", "2026-11-24T10:00", site=folder)
    assert done.code == 1
    assert f"edition {LOST} was due since" in done.out
    assert gazet("cancel", LOST, "--now", "2026-11-24T11:00", site=folder).code == 0
    plain.resume()
    plain.world.run("2026-11-25T08:00")
    assert plain.count - before == 1, "only cas"
    assert plain.got["ann"] == [["Eerste"], ["Derde", "Tweede", "Tussen"]]
    assert plain.faults == []


def test_an_edition_that_was_lost_half_sent_is_held_and_its_items_can_come_in_the_next_digest(plain: Story) -> None:
    """The relay stops taking mail after the first one: what was not sent is known by name, though the bytes are gone."""
    world = plain.world
    plain.open_unsent()
    with world.site.store.write() as tx:
        edition = operate.find_edition(tx, LOST)
        taken = deliveries.claim(tx, edition.id, relay="outbox", lease="lost", now=moment("2026-11-24T08:00"))
        assert taken is not None
        accepted = RetryDecision(DeliveryStatus.ACCEPTED, Blame.NOBODY, "kept")
        deliveries.settle(tx, taken, accepted, None, moment("2026-11-24T08:00"))
    done = plain.restore()
    assert done.code == 1
    assert "2 deliveries uncertain" in done.out
    assert sorted(plain.statuses(LOST).values()) == ["accepted", "uncertain", "uncertain"]
    plain.resume()
    world.run("2026-11-24T10:01")
    assert plain.faults == []
    said = gazet("retry", LOST, "--now", "2026-11-24T11:00", site=world.folder)
    assert (said.code, said.out) == (0, f"the mails of {LOST} are gone; its items come in the next digest of 2 subscriptions\n")
    assert plain.faults == []
    world.run("2026-11-24T11:01")
    world.run("2026-11-25T08:00")
    got = [mail for name in ("ann", "bob", "dora") for mail in plain.got[name]]
    assert sum("Tweede" in mail for mail in got) == 2, "each of the two got it once, the third one had it"
    assert plain.faults == []
    again = gazet("retry", LOST, site=world.folder)
    assert again.code == 2
    assert "were lost with the database" in again.err


def test_a_delivery_that_was_on_the_wire_when_the_store_was_lost_is_not_sent_again(plain: Story) -> None:
    """Queued in the backup, claimed after it, and nobody knows more."""
    world = plain.world
    plain.open_unsent()
    write_backup(world.site, plain.backup, moment("2026-11-24T08:01"))
    with world.site.store.write() as tx:
        edition = operate.find_edition(tx, LOST)
        taken = deliveries.claim(tx, edition.id, relay="outbox", lease="lost", now=moment("2026-11-24T08:02"))
    assert taken is not None
    before = plain.count
    done = plain.restore()
    assert done.code == 1
    plain.resume()
    world.run("2026-11-24T10:01")
    assert plain.count - before == 2, "the others were surely not sent, so they are now"
    assert world.statuses(LOST)[taken.address] is DeliveryStatus.UNCERTAIN


def test_a_restore_of_a_backup_that_was_made_after_a_restore_holds_what_was_held(plain: Story) -> None:
    """What a restore decided must not be undone by an earlier word on record."""
    world = plain.world
    plain.until_the_loss()
    shutil.rmtree(world.folder / "var/record")
    assert plain.restore().code == 1
    assert plain.statuses(LOST) == dict.fromkeys(("ann", "bob"), DeliveryStatus.UNCERTAIN)
    write_backup(world.site, plain.backup, moment("2026-11-24T10:05"))
    for _ in range(2):
        assert plain.restore(at="2026-11-24T10:10").code == 1
        assert plain.statuses(LOST) == dict.fromkeys(("ann", "bob"), DeliveryStatus.UNCERTAIN)
    before = plain.count
    plain.resume()
    world.run("2026-11-24T10:11")
    assert plain.count == before
    assert plain.faults == []


def test_a_remade_edition_stays_unsendable_through_another_restore(plain: Story) -> None:
    world = plain.world
    plain.open_unsent()
    assert plain.restore().code == 1
    write_backup(world.site, plain.backup, moment("2026-11-24T10:05"))
    assert plain.restore(at="2026-11-24T10:10").code == 1
    before = plain.count
    plain.resume()
    world.run("2026-11-24T10:11")
    assert plain.count == before
    assert set(plain.statuses(LOST).values()) == {DeliveryStatus.UNCERTAIN}
    assert plain.faults == []


def test_a_store_that_moved_to_postgresql_and_back_can_be_restored_from_a_backup_of_before(
    plain: Story, url_of: Callable[[str, str], str]
) -> None:
    """The record stays in the site's folder, whatever the database."""
    world = plain.world
    world.close()
    toml = world.folder / "gazet.toml"
    toml.write_text(toml.read_text() + '[store]\nurl = "sqlite:///var/gazet.db"\n')
    moved, empty = url_of("postgresql", "moved"), url_of("postgresql", "empty")
    assert gazet("store", "copy", moved, site=world.folder).code == 0
    plain.write_store(moved)
    plain.until_the_loss()
    plain.write_store(empty)
    before = plain.count
    assert plain.restore("--keep-settings").code == 0
    world.close()
    assert gazet("store", "copy", "sqlite:///var/back.db", site=world.folder).code == 0
    plain.write_store("sqlite:///var/back.db")
    plain.resume()
    world.run("2026-11-24T10:01")
    assert plain.count == before
    assert plain.faults == []
    world.news("Vierde", "2026-11-24T12:00")
    world.run("2026-11-25T08:00")
    assert plain.got["ann"][-1] == ["Vierde"]
    assert plain.got["bob"][-1] == ["Derde", "Tweede", "Tussen"]


def test_an_item_that_is_gone_from_its_source_leaves_its_number_free_for_nobody(plain: Story) -> None:
    """The next item must not get a number that people have behind them."""
    world = plain.world
    plain.until_the_loss()
    world.news("Vierde", "2026-11-24T09:30")
    item = f"<item><title>Vierde</title><link>{world.web.url('/5/')}</link><guid>5</guid></item>"
    document = f'<rss version="2.0"><channel><title>Bron</title><link>{world.web.url("/")}</link>{item}</channel></rss>'
    world.web.serve("/feed.xml", document.encode(), content_type="application/rss+xml")
    assert plain.restore().code == 0
    plain.resume()
    world.run("2026-11-24T10:01")
    world.run("2026-11-25T08:00")
    assert plain.got["ann"][-1] == ["Vierde"]


def test_what_comes_after_the_restore_waits_for_its_hour(plain: Story) -> None:
    """The slot of this morning was served by the store that was lost."""
    world = plain.world
    plain.until_the_loss()
    world.news("Vierde", "2026-11-24T09:30")
    assert plain.restore().code == 0
    plain.resume()
    world.run("2026-11-24T10:01")
    assert plain.got["dora"][-1] == ["Vierde"], "she has it at once, as always"
    assert plain.got["ann"][-1] == ["Derde", "Tweede", "Tussen"]
    world.run("2026-11-25T08:00")
    assert plain.got["ann"][-1] == ["Vierde"]


def test_an_edition_that_was_open_in_the_backup_is_held_without_a_record(plain: Story) -> None:
    world = plain.world
    operate.set_paused(world.site, "outbox", True)
    world.run("2026-11-24T08:00")
    operate.set_paused(world.site, "outbox", False)
    write_backup(world.site, plain.backup, moment("2026-11-24T08:01"))
    world.run("2026-11-24T08:02")
    before = plain.count
    shutil.rmtree(world.folder / "var/record")
    assert plain.restore().code == 1
    plain.resume()
    world.run("2026-11-24T10:01")
    assert plain.count == before
    assert plain.statuses(LOST) == dict.fromkeys(("ann", "bob"), DeliveryStatus.UNCERTAIN)


def test_what_a_restore_holds_is_on_record_for_the_next_one(plain: Story) -> None:
    """Tried again by hand before the first restore: that word must not be the last one in the second."""
    world = plain.world
    operate.set_paused(world.site, "outbox", True)
    world.run("2026-11-24T08:00")
    with world.site.store.write() as tx:
        edition = operate.find_edition(tx, LOST).id
        deliveries.end_open(tx, edition, DeliveryStatus.EXPIRED, "late", moment("2026-11-24T08:01"))
    assert operate.retry(world.site, LOST, moment("2026-11-24T08:02"), from_outbox=False) == 2
    operate.set_paused(world.site, "outbox", False)
    write_backup(world.site, plain.backup, moment("2026-11-24T08:03"))
    assert plain.restore("--no-record").code == 1
    write_backup(world.site, plain.backup, moment("2026-11-24T10:05"))
    assert plain.restore(at="2026-11-24T10:10").code == 1
    before = plain.count
    plain.resume()
    world.run("2026-11-24T10:11")
    assert plain.count == before
    assert plain.statuses(LOST) == dict.fromkeys(("ann", "bob"), DeliveryStatus.UNCERTAIN)


def test_an_old_copy_put_back_by_hand_is_noticed_and_can_be_told(plain: Story) -> None:
    world = plain.world
    world.close()
    copy = plain.backup.with_name("copy.db")
    shutil.copyfile(world.folder / "var/gazet.db", copy)
    plain.until_the_loss()
    shutil.copyfile(copy, world.folder / "var/gazet.db")
    before = plain.count
    for command in ("run", "deliver"):
        refused = gazet(command, *(["--once"] if command == "run" else []), "--now", "2026-11-24T10:00", site=world.folder)
        assert refused.code == 2
        assert len(refused.faults) == 1
        assert '"gazet restore --replay"' in refused.err
    assert plain.count == before
    told = gazet("restore", "--replay", "--now", "2026-11-24T10:00", "--json", site=world.folder)
    assert told.code == 0
    assert told.json["replayed"]["editions"] == [LOST]
    assert told.json["replayed"]["left"] == 1
    plain.resume()
    assert gazet("run", "--once", "--now", "2026-11-24T10:00", site=world.folder).code == 0
    assert plain.count == before
    again = gazet("restore", copy, "--now", "2026-11-24T10:30", site=world.folder)
    assert again.code == 0
    plain.resume()
    world.run("2026-11-24T10:31")
    assert plain.count == before
    assert plain.faults == []


def test_a_restore_to_an_empty_folder_makes_the_whole_site_and_holds_what_is_due(plain: Story, tmp_path: Path) -> None:
    """Another machine: nothing is there but the backup."""
    plain.until_the_loss()
    folder = tmp_path / "new"
    folder.mkdir()
    done = gazet("restore", plain.backup, "--now", "2026-11-24T10:00", site=folder)
    assert done.code == 1
    assert f"! edition {LOST}: 2 deliveries uncertain." in done.out
    assert (folder / "var/secret").read_bytes() == (plain.world.folder / "var/secret").read_bytes()
    assert (folder / "feeds/po.toml").exists()
    assert gazet("run", "--once", "--now", "2026-11-24T10:00", site=folder).code == 1
    assert not [path for path in folder.rglob("var/outbox/*/*") if path.is_file()]
    assert not (folder / "var/restoring").exists()


def test_the_record_names_nobody(plain: Story) -> None:
    plain.until_the_loss()
    days = sorted((plain.world.folder / "var/record").iterdir())
    text = b"".join(day.read_bytes() for day in days)
    assert b"@" not in text
    assert not [name for name in EVERYBODY if name.encode() in text.lower()]
    assert {day.stat().st_mode & 0o777 for day in days} == {0o600}
    assert (plain.world.folder / "var/record").stat().st_mode & 0o777 == 0o700


def test_settings_and_files_that_are_replaced_are_moved_aside_and_named(plain: Story) -> None:
    folder = plain.world.folder
    toml = (folder / "gazet.toml").read_text()
    (folder / "gazet.toml").write_text(toml.replace("Platform", "Nieuw platform"))
    (folder / "feeds/later.toml").write_text((folder / "feeds/po.toml").read_text())
    done = plain.restore()
    assert done.code == 0
    [aside] = list((folder / "var").glob("before-restore-*"))
    assert "Nieuw platform" in (aside / "gazet.toml").read_text()
    assert (aside / "var/gazet.db").exists()
    assert (folder / "gazet.toml").read_text() == toml
    assert f"to {aside}: gazet.db, gazet.toml" in done.out
    assert "feeds/later.toml" in done.out
    assert (folder / "feeds/later.toml").exists()


def test_a_restore_of_something_else_changes_nothing(plain: Story) -> None:
    plain.world.close()
    before = {path: path.read_bytes() for path in plain.world.folder.rglob("*") if path.is_file()}
    junk = plain.backup.with_name("junk")
    for data in (b"", b"hello", b"SQLite format 3\0 no more", plain.backup.read_bytes()[:-100]):
        junk.write_bytes(data)
        done = gazet("restore", junk, site=plain.world.folder)
        assert done.code == 1
        assert len(done.faults) == 1
    assert gazet("restore", junk.with_name("nothing"), site=plain.world.folder).code == 2
    assert gazet("restore", site=plain.world.folder).code == 2
    after = {path: path.read_bytes() for path in plain.world.folder.rglob("*") if path.is_file()}
    for lock in ("var/lock", "var/serve.lock"):
        after.pop(plain.world.folder / lock)
    before.pop(plain.world.folder / "var/lock", None)
    assert after == before


def test_a_restore_refuses_while_the_site_runs_and_a_database_that_is_in_use(
    plain: Story, url_of: Callable[[str, str], str]
) -> None:
    world = plain.world
    with app.folder_lock(world.folder):
        assert plain.restore().code == 1
    world.close()
    world.folder.joinpath("gazet.toml").write_text(
        (world.folder / "gazet.toml").read_text() + f'[store]\nurl = "{url_of("postgresql", "x")}"\n'
    )
    assert plain.restore("--keep-settings").code == 0
    refused = plain.restore("--keep-settings")
    assert refused.code == 1
    assert "is not empty" in refused.err


def test_somebody_who_joined_and_left_after_the_backup_stays_out_when_a_list_is_imported_again(plain: Story) -> None:
    world = plain.world
    world.subscribe("eva@example.org", at="2026-11-24T07:00", cadence="daily")
    people.unsubscribe(world.site, "eva@example.org", None, moment("2026-11-24T09:00"))
    assert plain.restore().code == 0
    plain.resume()
    table = io.StringIO("email,feed\neva@example.org,po\n")
    done = people.import_subscribers(world.site, people.read_csv(world.site, table), moment("2026-11-24T11:00"))
    assert done.counts == {"left before": 1}
