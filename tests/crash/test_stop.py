"""Stopping on request, and two at once."""

import signal
import time

from pipeline.jobs import deliver_batch, report
from tests.crash.servers import HoldingServer
from tests.crash.sites import CONNECTIONS, LABEL, NOW, SiteMaker, assert_nobody_is_missing, ended, gazet
from tests.forked import GAZET, Forked

FEW = 24


def test_a_second_run_says_who_is_at_work_and_changes_nothing(site: SiteMaker, holding_server: HoldingServer) -> None:
    world = site(holding_server.port, FEW)
    holding_server.hold("dot")
    first = gazet(world, "run", "--once", "--now", NOW)
    holding_server.wait_for_held(CONNECTIONS)
    said = ended(gazet(world, "run", "--once", "--now", NOW), 1).splitlines()
    assert len(said) == 1
    assert f"pid {first.pid}: gazet" in said[0]
    holding_server.go_on()
    ended(first)
    assert_nobody_is_missing(world, holding_server.kept, people_count=FEW, kills=0)


def test_sigterm_lets_the_messages_on_the_wire_finish_and_sends_no_more(site: SiteMaker, holding_server: HoldingServer) -> None:
    world = site(holding_server.port, FEW)
    holding_server.hold("dot")
    run = gazet(world, "run", "--once", "--now", NOW)
    holding_server.wait_for_held(CONNECTIONS)
    run.send_signal(signal.SIGTERM)
    holding_server.go_on()
    ended(run)
    assert world.sums(LABEL) == {"accepted": len(holding_server.kept), "queued": FEW - len(holding_server.kept)}
    ended(gazet(world, "run", "--once", "--now", NOW))
    assert_nobody_is_missing(world, holding_server.kept, people_count=FEW, kills=0)


def test_sigterm_does_not_wait_for_a_server_that_says_nothing_and_names_what_is_in_doubt(
    site: SiteMaker, holding_server: HoldingServer
) -> None:
    world = site(holding_server.port, FEW)
    holding_server.hold("kept")
    assert deliver_batch._GRACE_SECONDS < 10  # here it is 1, so that a busy machine is not taken for a long wait
    sooner = f"from pipeline.jobs import deliver_batch\ndeliver_batch._GRACE_SECONDS = 1.0\n{GAZET}"
    run = Forked(sooner, "--site", world.folder, "run", "--once", "--now", NOW)
    holding_server.wait_for_held(CONNECTIONS)
    asked = time.monotonic()
    run.send_signal(signal.SIGTERM)
    said = ended(run)
    assert time.monotonic() - asked < 10
    assert f"{CONNECTIONS} uncertain" in said
    [ledger] = report.verify(world.site, LABEL)
    assert set(ledger.maybe_twice) == {kept.rcpt for kept in holding_server.kept}
    holding_server.go_on()
    ended(gazet(world, "run", "--once", "--now", NOW))
    assert_nobody_is_missing(world, holding_server.kept, people_count=FEW, kills=1)
