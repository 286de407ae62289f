"""Erasing: afterwards no file of the site holds the address or the name in any spelling, and every sum is still right."""

from __future__ import annotations

import base64
import quopri
import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert

from pipeline import app
from pipeline.errors import UsageError
from pipeline.jobs import erase as job
from pipeline.jobs import people, report, signups, suppress
from pipeline.jobs.replay import Traces, replay
from pipeline.jobs.restore import expect_newest
from pipeline.models import DeliveryStatus, SignupStatus, SubscriptionStatus
from pipeline.store import Store, migrate, personal, record, subscribers, suppressions
from pipeline.store.copy import snapshot
from pipeline.store.database import open_file
from pipeline.store.schema import SignupRow, new_id
from tests.integration.command import gazet
from tests.served import NOW, Served, digest_world, dump, links
from tests.world import World, moment

ADDRESS, NAME = "Zoë.Klantmans@example.org", "Zoë Uitgewist"
PLAIN = "zo.klantmans@example.org"


def spellings(text: str) -> set[bytes]:
    """As it is, percent-encoded, quoted-printable, and in base64 at each of three places."""
    raw = text.encode()
    found = {raw, raw.replace(b"@", b"%40"), raw.replace(b"@", b"=40"), quopri.encodestring(raw), raw.decode().encode("latin-1")}
    for shift in range(3):
        coded = base64.b64encode(b"x" * shift + raw)
        found.add(coded[(shift * 4 + 2) // 3 + 1 : -4])
    return found


def found_in(folder: Path, *texts: str) -> list[str]:
    """The files that hold one of the texts, raw, decoded as quoted-printable, in whatever case."""
    needles = {one.lower() for text in texts for one in spellings(text)}
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) > 10
    return [
        str(path.relative_to(folder))
        for path in files
        for data in [path.read_bytes()]
        if any(one in data.lower() or one in quopri.decodestring(data).lower() for one in needles)
    ]


def sign_up(world: World, address: str) -> None:
    with world.site.store.write() as tx:
        row = {"id": new_id(), "address": address, "folded": subscribers.fold(address), "name": NAME, "feeds": ["po"], "wish": {}}
        row |= {"language": "nl", "evidence": {"page": "1"}, "network": "192.0.2.0/24", "status": SignupStatus.TOLD}
        tx.execute(insert(SignupRow).values(row | {"mailbox": "", "asked_at": NOW, "expires_at": NOW + timedelta(days=1)}))


def old_copy(world: World, revision: str) -> Path:
    """A database of that revision with this person in it, as an upgrade leaves it behind."""
    path = world.folder / f"var/backups/before-{revision}-20260101T000000Z.db"
    path.parent.mkdir(exist_ok=True)
    store = open_file(path)
    migrate.migrate(store.engine, revision)
    with store.write() as tx:
        tx.exec_driver_sql(
            "INSERT INTO subscribers (id, address, folded, name, created_at) VALUES (7, ?, ?, ?, '2026-01-01 00:00:00')",
            (ADDRESS, subscribers.fold(ADDRESS), NAME),
        )
    with store.engine.connect() as connection:
        connection.exec_driver_sql("ROLLBACK")
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    store.close()
    return path


@pytest.mark.parametrize("address", [ADDRESS, PLAIN])
def test_after_erasing_no_file_of_the_site_holds_the_person_while_it_runs(world: World, address: str) -> None:
    with Served(world) as served:
        world.subscribe(address, name=NAME, consent=f"form of {NAME}", cadence="daily", at="2026-11-23T10:00")
        digest_world(world, "ann", "bob")
        world.news("Later", "2026-11-24T09:00")
        world.subscribe(address, name=NAME, feed="po", cadence="daily")
        sign_up(world, address)
        link = next(url for url in links(world, address.split("@")[0][-9:]) if "/preferences/" in url)
        served.post(served.path_of(link), b"do=my-data")
        world.run(NOW)  # the mail with the link
        if address == ADDRESS:
            copies = [old_copy(world, revision) for revision in ("0001", "0003")]
        if address == ADDRESS:
            snapshot(world.site.store, world.folder / "var/backups/before-0009-20260101T000000Z.db")
        aside = world.folder / "var/before-restore-20260101T000000Z"
        aside.mkdir()
        shutil.copyfile(world.folder / "var/gazet.db", aside / "gazet.db")
        shutil.copyfile(world.folder / "var/gazet.db-wal", aside / "gazet.db-wal")
        (world.folder / "var/outbox/cur").mkdir(exist_ok=True)
        mail = next(
            path for path in (world.folder / "var/outbox/new").iterdir() if b"Uitgewist" in quopri.decodestring(path.read_bytes())
        )
        mail.rename(world.folder / "var/outbox/cur" / f"{mail.name}:2,S")
        before = report.verify(world.site, None)
        assert len(found_in(world.folder, address, NAME)) > 3

        with world.site.store.read() as tx:  # somebody reads at the same moment, and is done a little later
            subscribers.any_active(tx)
        done = job.erase(world.site, address, NOW)

        assert found_in(world.folder, address, NAME) == []
        assert done.holding == ()
        assert (done.mails, done.on_the_wire) == (2, 0)
        assert done.rows["signups"] == 1
        if address == ADDRESS:
            assert len(done.copies) == len(copies) + 2
        after = report.verify(world.site, None)
        assert [one.faults for one in after] == [()] * len(after)
        assert [one.sums for one in after] == [one.sums for one in before]
        assert served.get(served.path_of(link)).status == 404
        assert job.erase(world.site, address, NOW).anything is False


def test_erasing_keeps_a_hash_so_that_nobody_brings_the_person_back(any_world: World) -> None:
    """On both databases: every row of every table is looked through."""
    world = any_world
    world.subscribe(ADDRESS, name=NAME, consent=f"form of {NAME}", cadence="daily", at="2026-11-23T10:00")
    digest_world(world, "ann")
    sign_up(world, ADDRESS)
    world.news("Later", "2026-11-25T07:00")
    engine = world.engine("2026-11-25T08:00")
    engine._tick()  # the edition is open, nothing is sent yet
    done = job.erase(world.site, ADDRESS.upper(), NOW)
    assert done.rows["deliveries"] == 2
    held = "".join(row for rows in dump(world).values() for row in rows).casefold()
    assert not {text for text in (ADDRESS.casefold(), NAME.casefold()) if text in held}
    world.run("2026-11-25T08:01")
    assert world.sums("po/2026-11-25T08:00") == {"accepted": 1, "suppressed": 1}
    with pytest.raises(UsageError, match="has no subscription"):
        report.explain(world.site, "nobody@example.org", None)
    explained = report.explain(world.site, ADDRESS, None)
    assert (explained.suppressed, explained.reason, explained.subscriptions) == (True, "erased", ())
    given = dict.fromkeys(people.COLUMNS, "") | {"email": ADDRESS, "feed": "po"}
    with world.site.store.write() as tx:
        assert people.join(world.site, tx, people.wanted(world.site, given), NOW) == "left before"
        assert [one.address for one in subscribers.records(tx)] == ["ann@example.org"]
    facts = record.newest_facts(world.folder / "var/record")
    assert record.Erased(world.site.links.address_hash(ADDRESS)) in facts
    assert not any("uitgewist" in str(fact).casefold() or "klantmans" in str(fact).casefold() for fact in facts)


def test_a_restore_of_an_older_backup_erases_again(world: World, tmp_path: Path) -> None:
    world.subscribe(ADDRESS, name=NAME, cadence="daily", at="2026-11-23T10:00")
    digest_world(world, "ann")
    snapshot(world.site.store, tmp_path / "old.db")
    job.erase(world.site, ADDRESS, NOW)
    settings, folder = world.site.settings, world.folder / "var/record"
    world.close()
    site = app.wire(settings, open_file(tmp_path / "old.db"))
    with site.store.read() as tx:
        assert len(list(subscribers.records(tx))) == 2
    replay(site, Traces((folder,), b""), NOW, process="test", since=None, doubt=False)
    with site.store.read() as tx:
        assert [one.address for one in subscribers.records(tx)] == ["ann@example.org"]
        assert suppressions.find(tx, site.links.address_hash(ADDRESS)) is not None
    site.store.close()


def test_an_older_store_put_back_by_hand_erases_again(world: World, tmp_path: Path) -> None:
    world.subscribe(ADDRESS, name=NAME, cadence="daily", at="2026-11-23T10:00")
    digest_world(world, "ann")
    snapshot(world.site.store, tmp_path / "old.db")
    job.erase(world.site, ADDRESS, NOW)
    site = app.wire(world.site.settings, open_file(tmp_path / "old.db"))
    expect_newest(site)
    with site.store.read() as tx:
        assert [one.address for one in subscribers.records(tx)] == ["ann@example.org"]
        assert subscribers.suppression(tx, site.links.address_hash(ADDRESS)) in subscribers.BY_PERSON
    site.store.close()


def test_whom_the_operator_has_barred_stays_barred_when_erased(world: World) -> None:
    world.subscribe(ADDRESS, name=NAME, cadence="daily", at="2026-11-23T10:00")
    suppress.add(world.site, [ADDRESS], f"{NAME} asked by telephone", NOW)
    for _ in range(2):
        job.erase(world.site, ADDRESS, NOW)
        with world.site.store.write() as tx:
            assert signups.may_come(world.site, tx, ADDRESS) is False
            assert NAME not in str(suppressions.listed(tx))


def test_a_restored_copy_from_before_is_erased_from_as_well(store: Store) -> None:
    from tests.store.builders import add_feed, subscribe

    with store.write() as tx:
        add_feed(tx)
        subscribe(tx, ADDRESS)
        subscribe(tx, "ann@example.org")
        assert personal.scrub_hashed(tx, lambda address: address == ADDRESS.casefold())["subscribers"] == 1
        assert [one.address for one in subscribers.records(tx)] == ["ann@example.org"]


def test_the_command_asks_says_what_it_did_and_what_it_cannot_reach(world: World) -> None:
    digest_world(world, "ann", "bob")
    (world.folder / "people.csv").write_text("email,feed\nann@example.org,po\n")
    (world.folder / "gazet-x-20260101T000000Z.tar.gz").write_bytes(b"x")
    world.close()
    refused = gazet("subscribers", "erase", "ann@example.org", site=world.folder)
    assert (refused.code, "--yes" in refused.err) == (2, True)
    done = gazet("subscribers", "erase", "ann@example.org", "--yes", site=world.folder)
    assert done.code == 1
    assert "people.csv still holds the address" in done.err
    assert "is a backup from before" in done.out
    assert "elsewhere cannot be reached" in done.out
    (world.folder / "people.csv").unlink()
    again = gazet("subscribers", "erase", "ann@example.org", "--yes", site=world.folder)
    assert (again.code, "Nothing about ann@example.org" in again.err) == (2, True)
    assert gazet("verify", site=world.folder).code == 0
    told = gazet("explain", "ann@example.org", site=world.folder)
    assert (told.code, "erased" in told.out) == (0, True)
    assert "ann@" not in gazet("subscribers", "list", site=world.folder).out
    listed = gazet("suppressions", "list", "--json", site=world.folder).json
    assert [one["reason"] for one in listed] == ["erased"]


def test_the_suppression_list_ends_subscriptions_and_holds_no_address(world: World) -> None:
    digest_world(world, "ann", "bob")
    (world.folder / "bounces.txt").write_text("bob@example.org\n\nnot an address\nNew@example.org\n")
    world.close()
    added = gazet("suppressions", "add", "ann@example.org", site=world.folder)
    assert added.out == "suppressed: 1 new, 0 known before, 1 subscriptions ended\n"
    some = gazet("suppressions", "add", str(world.folder / "bounces.txt"), "--reason", "old provider", site=world.folder)
    assert (some.code, ":3: " in some.err, some.out) == (1, True, "suppressed: 2 new, 0 known before, 1 subscriptions ended\n")
    listed = gazet("suppressions", "list", site=world.folder)
    assert (listed.out.count("old provider"), listed.out.count("@")) == (2, 0)
    for wrong in (("add", "nobody"), ("add", "x@y@z"), ("remove", "nobody@example.org")):
        assert gazet("suppressions", *wrong, site=world.folder).code == 2
    assert gazet("suppressions", "remove", "new@example.org", site=world.folder).code == 0
    with world.site.store.read() as tx:
        assert len(suppressions.listed(tx)) == 2
        assert {one.status for one in subscribers.records(tx)} == {SubscriptionStatus.UNSUBSCRIBED}
    assert world.statuses("po/2026-11-24T08:00")["ann@example.org"] is DeliveryStatus.ACCEPTED
    assert moment("2026-11-24T08:00") < NOW
