"""Alerts: at most one mail a day, only for something new that needs a person; and the ping that notices silence."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from email.message import EmailMessage
from pathlib import Path

import pytest

from pipeline.jobs import disk, operate
from pipeline.jobs.alerts import post_alert
from pipeline.jobs.notices import tidy
from pipeline.jobs.ping import healthy
from pipeline.store import runs
from tests.integration.command import gazet
from tests.servers.smtp import SmtpServer
from tests.servers.web import WebServer
from tests.world import World, moment

ALERTS = '[alerts]\nmail = "beheer@example.org"\n'
RELAY = '[[relay]]\nname = "provider"\nhost = "127.0.0.1"\nport = {port}\ntls = "none"\nconnections = 1\n'


@pytest.fixture
def site(tmp_path: Path, web: WebServer) -> Iterator[World]:
    """A site whose alerts go to the outbox."""
    made = World(tmp_path / "site", web, relay=ALERTS)
    made.news("Eerste", "2026-11-20T09:00")
    yield made
    made.close()


def alerts(world: World) -> list[EmailMessage]:
    return [mail for mail in world.mails if str(mail["To"]) == "beheer@example.org"]


def text_of(mail: EmailMessage) -> str:
    return str(mail.get_content()).replace("\r\n", "\n")


def need(world: World, key: str, what: str, at: str) -> None:
    with world.site.store.write() as tx:
        runs.problem(tx, key, what, "Do something about it.", moment(at))


def mend(world: World, key: str, at: str) -> None:
    with world.site.store.write() as tx:
        runs.mended(tx, key, moment(at))


def test_a_well_site_writes_no_mail_ever(site: World) -> None:
    for day in range(20, 28):
        site.run(f"2026-11-{day}T08:00")
    assert site.mails == []


def test_a_source_that_stays_away_is_mailed_once_with_what_mends_it_and_its_recovery_with_the_next(site: World) -> None:
    site.run("2026-11-23T07:00")
    site.web.serve("/feed.xml", "gone wrong", status=503)
    site.run("2026-11-23T08:00")
    site.run("2026-11-23T13:59")
    assert alerts(site) == [], "what heals within hours is not worth a mail"
    site.run("2026-11-23T14:00")
    [first] = alerts(site)
    assert str(first["Subject"]).startswith("Platform Samen Opleiden: source http://127.0.0.1:")
    assert "503" in text_of(first)
    assert "gazet check http://127.0.0.1" in text_of(first)
    assert "since Mon 2026-11-23 08:00" in text_of(first)
    for day in range(24, 30):
        site.run(f"2026-11-{day}T14:00")
    assert len(alerts(site)) == 1, "a problem that lasts is not repeated"
    site.news("Tweede", "2026-11-29T09:00")
    site.run("2026-12-02T14:00")
    assert len(alerts(site)) == 1, "that something has recovered needs nobody"
    need(site, "edition:po/2026-12-03T08:00", "edition po/2026-12-03T08:00 was paused", "2026-12-03T08:00")
    site.run("2026-12-03T08:00")
    second = text_of(alerts(site)[-1])
    assert "edition po/2026-12-03T08:00 was paused" in second
    assert "Recovered since the last mail:\n\n- source http" in second


def test_a_source_that_heals_within_the_hour_is_never_mailed(site: World) -> None:
    site.run("2026-11-23T07:00")
    site.web.serve("/feed.xml", "gone wrong", status=503)
    site.run("2026-11-23T08:00")
    site.news("Tweede", "2026-11-23T08:30")
    site.run("2026-11-23T09:00")
    site.run("2026-11-24T09:00")
    assert site.mails == []


def test_a_source_that_is_gone_for_good_is_mailed_at_once(site: World) -> None:
    site.run("2026-11-23T07:00")
    site.web.serve("/feed.xml", "gone", status=410)
    site.run("2026-11-23T08:00")
    assert len(alerts(site)) == 1


def test_at_most_one_mail_a_day_and_what_came_meanwhile_is_in_the_next(site: World) -> None:
    site.run("2026-11-23T07:00")
    need(site, "failed:a", "the first thing", "2026-11-23T08:00")
    site.run("2026-11-23T08:00")
    need(site, "failed:b", "the second thing", "2026-11-23T09:00")
    need(site, "failed:c", "the third thing", "2026-11-23T10:00")
    site.run("2026-11-23T10:00")
    site.run("2026-11-24T07:59")
    assert len(alerts(site)) == 1
    site.run("2026-11-24T08:00")
    assert len(alerts(site)) == 2
    second = alerts(site)[1]
    assert second["Subject"] == "Platform Samen Opleiden: 2 things need you"
    assert "1. the second thing\n   since Mon 2026-11-23 09:00\n   Do something about it." in text_of(second)
    assert "Still so, as said before:\n\n- the first thing" in text_of(second)


def test_what_expired_is_mailed_before_it_is_forgotten_as_history(site: World) -> None:
    need(site, "failed:a", "the first thing", "2026-11-23T08:00")
    site.run("2026-11-23T08:00")
    need(site, "expired:b", "the second thing", "2026-11-23T08:30")
    site.run("2026-11-25T12:00")
    assert "the second thing" in text_of(alerts(site)[-1])


def test_a_problem_that_flaps_is_mailed_once(site: World) -> None:
    site.run("2026-11-23T07:00")
    for day in range(23, 28):
        need(site, "web", "the port is in use", f"2026-11-{day}T08:00")
        site.run(f"2026-11-{day}T08:30")
        mend(site, "web", f"2026-11-{day}T09:00")
        site.run(f"2026-11-{day}T12:00")
    assert len(alerts(site)) == 1


def test_a_clock_that_was_a_year_ahead_silences_nothing(site: World) -> None:
    need(site, "failed:a", "said in the future", "2027-11-23T08:00")
    site.run("2027-11-23T08:00")
    need(site, "failed:b", "said now", "2026-11-23T08:00")
    site.run("2026-11-23T08:00")
    assert any("said now" in text_of(mail) for mail in alerts(site))


def test_without_an_address_nothing_is_mailed(world: World) -> None:
    need(world, "failed:a", "a thing", "2026-11-23T08:00")
    world.run("2026-11-23T08:00")
    assert world.mails == []


def test_a_relay_that_refuses_everybody_is_paused_and_the_alert_still_goes_through_it(tmp_path: Path, web: WebServer) -> None:
    with SmtpServer() as server:
        world = World(tmp_path / "site", web, relay=ALERTS + RELAY.format(port=server.port))
        world.news("Eerste", "2026-11-23T09:00")
        for name in "abcdefg":
            world.subscribe(f"{name}@example.org", cadence="daily", at="2026-11-23T10:00")
            server.refuse(f"{name}@example.org", 554, "5.7.1", "not from you")
        world.run("2026-11-24T08:00")
        assert [one.recipient for one in server.messages] == ["beheer@example.org"]
        assert b"gazet resume provider" in server.messages[0].data.replace(b"=\r\n", b"")
        operate.set_paused(world.site, "provider", True)
        need(world, "failed:x", "another thing", "2026-11-26T08:00")
        world.run("2026-11-26T08:00")
        assert len(server.messages) == 1, "a relay that a person paused sends nothing at all"
        world.close()


def test_an_alert_waits_until_the_relay_answers_and_says_what_is_true_then(tmp_path: Path, web: WebServer) -> None:
    with SmtpServer() as server:
        world = World(tmp_path / "site", web, relay=ALERTS + RELAY.format(port=server.port))
        world.news("Eerste", "2026-11-23T09:00")
        world.subscribe("ann@example.org", cadence="daily", at="2026-11-23T10:00")
        server.answer("connect", "421 4.3.2 not now")
        world.run("2026-11-24T08:00")
        need(world, "failed:a", "a thing", "2026-11-24T08:00")
        world.run("2026-11-24T08:00:30")
        server.behave()
        world.run("2026-11-24T12:00")
        [alert] = [one for one in server.messages if one.recipient == "beheer@example.org"]
        assert b"a thing" in alert.data
        assert b"relay provider" not in alert.data, "the relay works again: nobody needs to hear of it through it"
        world.close()


def test_an_alert_that_reached_nobody_makes_what_it_said_new_again(tmp_path: Path, web: WebServer) -> None:
    with SmtpServer() as server:
        world = World(tmp_path / "site", web, relay=ALERTS + RELAY.format(port=server.port))
        world.news("Eerste", "2026-11-23T09:00")
        server.refuse("beheer@example.org", 550, "5.1.1", "no such user", times=1)
        need(world, "failed:a", "a thing", "2026-11-24T08:00")
        world.run("2026-11-24T08:00")
        assert server.messages == []
        world.run("2026-11-25T07:00")
        assert server.messages == []
        world.run("2026-11-25T09:00")
        [mail] = server.messages
        assert b"a thing" in mail.data
        world.close()


@pytest.mark.parametrize("back", ["2026-11-24T20:00", "2026-11-25T08:30"], ids=["before the alert expired", "after it"])
def test_a_problem_that_comes_and_goes_while_no_alert_can_be_sent_is_mailed_when_one_can(site: World, back: str) -> None:
    outbox = site.folder / "var/outbox"
    need(site, "failed:a", "a thing", "2026-11-24T08:00")
    assert post_alert(site.site, "outbox", moment("2026-11-24T08:00"))
    mend(site, "failed:a", "2026-11-24T12:00")
    for at in sorted([back, "2026-11-25T08:00"]):  # a day later the alert, which nobody has taken, is no longer true
        if at == back:
            need(site, "failed:a", "a thing", back)
        else:
            tidy(site.site, lambda _: None, moment(at))
    assert not outbox.exists()
    site.run("2026-11-25T10:00")
    assert ["a thing" in text_of(mail) for mail in alerts(site)] == [True]
    site.run("2026-11-27T10:00")
    assert len(alerts(site)) == 1


def test_run_once_says_a_problem_once_whether_it_was_mailed_or_not(site: World) -> None:
    site.run("2026-11-23T07:00")
    site.close()
    site.web.serve("/feed.xml", "gone", status=410)
    first = gazet("run", "--once", "--now", "2026-11-23T08:00", site=site.folder)
    assert (first.code, len(first.faults)) == (1, 1)
    second = gazet("run", "--once", "--now", "2026-11-23T09:00", site=site.folder)
    assert (second.code, second.faults) == (0, [])
    assert len(alerts(site)) == 1


def test_a_disk_that_fills_up_is_said_before_it_is_full_and_over_when_there_is_room(
    site: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.run("2026-11-23T07:00")
    free = 150_000_000
    monkeypatch.setattr(disk, "_free", lambda _folder: free)
    site.run("2026-11-23T08:00")
    assert "less than 200 MB left" in text_of(alerts(site)[0])
    free = 250_000_000
    site.run("2026-11-23T08:01")
    assert any("200 MB" in one["what"] for one in _problems(site)), "it comes and goes by a few megabytes"
    free = 400_000_000
    site.run("2026-11-23T08:02")
    assert _problems(site) == []


def _problems(world: World) -> list[dict[str, str]]:
    return list(gazet("status", "--json", site=world.folder).json["problems"])


def test_two_processes_that_look_at_once_ask_for_one_mail(any_world: World) -> None:
    """Both saw the same last alert: what they ask for has one key."""
    toml = any_world.folder / "gazet.toml"
    toml.write_text(toml.read_text(encoding="utf-8") + ALERTS, encoding="utf-8")
    any_world.reopen()
    any_world.run("2026-11-23T07:00")
    need(any_world, "failed:a", "a thing", "2026-11-24T08:00")
    assert post_alert(any_world.site, "outbox", moment("2026-11-24T08:00"))
    with any_world.site.store.write() as tx:
        runs.unmail(tx, moment("2026-11-24T08:00"))
    assert not post_alert(any_world.site, "outbox", moment("2026-11-24T08:00"))


# The ping


@pytest.fixture
def pinged(tmp_path: Path, web: WebServer) -> Iterator[World]:
    """A site that calls the test's web server after each healthy tick."""
    made = World(tmp_path / "site", web, relay=f'[alerts]\nping = "{web.url("/ping/s3cret")}"\n')
    made.news("Eerste", "2026-11-20T09:00")
    web.serve("/ping/s3cret", "OK")
    yield made
    made.close()


def pings(world: World) -> int:
    return len(world.web.requested("/ping/s3cret"))


def test_each_healthy_run_calls_the_ping_and_an_unhealthy_one_is_silent(pinged: World) -> None:
    pinged.run("2026-11-23T08:00")
    assert pings(pinged) == 1
    need(pinged, "source:https://www.example.org/", "a source is away", "2026-11-23T08:01")
    pinged.run("2026-11-23T08:02")
    assert pings(pinged) == 2, "one bad source is no reason for alarm outside"
    need(pinged, "relay:outbox", "the relay is away", "2026-11-23T08:03")
    pinged.run("2026-11-23T08:04")
    assert pings(pinged) == 2
    mend(pinged, "relay:outbox", "2026-11-23T08:05")
    pinged.run("2026-11-23T08:06")
    assert pings(pinged) == 3


@pytest.mark.parametrize("key", ["notice:alert:b…@example.org", "notices", "compose:po", "web", "site.url"])
def test_the_ping_is_silent_where_no_alert_no_digest_or_no_goodbye_can_be_had(pinged: World, key: str) -> None:
    assert healthy(pinged.site)
    need(pinged, key, "the last channel but one is silent", "2026-11-23T08:01")
    assert not healthy(pinged.site)


def test_a_ping_comes_at_most_once_a_minute(pinged: World) -> None:
    engine = pinged.engine("2026-11-23T08:00")
    engine.once()
    engine.once()
    assert pings(pinged) == 1


def test_a_ping_that_fails_is_a_problem_only_after_an_hour_and_never_shows_its_secret(pinged: World) -> None:
    pinged.web.serve("/ping/s3cret", "no such check", status=404)
    pinged.run("2026-11-23T08:00")
    pinged.run("2026-11-23T08:59")
    assert _problems(pinged) == []
    pinged.run("2026-11-23T09:00")
    [problem] = _problems(pinged)
    assert "127.0.0.1" in problem["what"]
    assert "404" in problem["what"]
    assert "s3cret" not in str(problem) + "".join(pinged.said)
    pinged.web.serve("/ping/s3cret", "", status=204)
    pinged.run("2026-11-23T09:02")
    assert _problems(pinged) == []
    pinged.web.serve("/ping/s3cret", "no such check", status=404)
    pinged.run("2026-11-23T10:30")
    assert _problems(pinged) == [], "the hour begins anew"


def test_a_private_address_is_pinged_only_where_the_settings_allow_it(pinged: World) -> None:
    toml = pinged.folder / "gazet.toml"
    toml.write_text(toml.read_text(encoding="utf-8").replace('allow = ["127.0.0.1"]', ""), encoding="utf-8")
    pinged.reopen()
    pinged.run("2026-11-23T08:00")
    pinged.run("2026-11-23T09:01")
    assert pings(pinged) == 0
    assert any("private address" in one["what"] and "allow" in one["what"] for one in _problems(pinged))


def test_a_store_that_keeps_nothing_is_said_once_and_not_pinged(pinged: World) -> None:
    engine = pinged.engine("2026-11-23T08:00")
    engine.once()
    pinged.site.store.close()
    (pinged.folder / "var/gazet.db").write_bytes(b"this is no database any more, and it is long enough to be read as a header")
    for extra in ("-wal", "-shm"):
        (pinged.folder / f"var/gazet.db{extra}").unlink(missing_ok=True)
    engine._pinged -= timedelta(hours=1).total_seconds()
    engine._beat()
    engine._beat()
    said = [line for line in pinged.said if "database" in line]
    assert len(said) == 1, pinged.said
    assert pings(pinged) == 1
