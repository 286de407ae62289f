"""kill -9 at any moment of a delivery: nobody is missing, and the few who may get it twice are named (promises 1 and 2)."""

import random

import pytest

from tests.crash.servers import HoldingServer, LoggingServer
from tests.crash.sites import (
    CONNECTIONS,
    LABEL,
    NOW,
    SiteMaker,
    addresses,
    assert_nobody_is_missing,
    copies,
    ended,
    gazet,
    killed,
    verified,
)

MANY = 500
SOME = 150
FEW = 24


@pytest.mark.parametrize(
    ("store", "moments"),
    [
        ("sqlite", [random.randrange(1, 480)]),
        ("sqlite", [random.randrange(1, 200), random.randrange(1, 200)]),
        ("postgresql", [random.randrange(1, 480)]),
    ],
    ids=["once", "twice", "on PostgreSQL"],
)
def test_a_killed_delivery_loses_nobody(site: SiteMaker, mail_server: LoggingServer, store: str, moments: list[int]) -> None:
    """500 subscribers, each kill after so many more kept messages, and then a run to the end."""
    world = site(mail_server.port, MANY, store=store)
    for more in moments:
        delivery = gazet(world, "deliver", "--now", NOW)
        mail_server.wait_for(more)
        killed(delivery)
        mail_server.skip()
    ended(gazet(world, "deliver", "--now", NOW))
    found = verified(world)
    assert found["sums"]["accepted"] == MANY
    assert found["maybe_twice"], "a kill among so many leaves somebody in doubt"
    assert_nobody_is_missing(world, mail_server.kept, people_count=MANY, kills=len(moments))


@pytest.mark.parametrize(("stage", "copies_each"), [("mail", 1), ("kept", 2)], ids=["before MAIL", "kept, not answered"])
def test_a_kill_costs_one_message_per_connection_at_the_worst(
    site: SiteMaker, holding_server: HoldingServer, stage: str, copies_each: int
) -> None:
    """All connections are stopped at the same moment: only where the server kept the message is it there twice."""
    world = site(holding_server.port, FEW)
    holding_server.hold(stage)
    run = gazet(world, "run", "--once", "--now", NOW)
    holding_server.wait_for_held(CONNECTIONS)
    killed(run)
    holding_server.go_on()
    said = ended(gazet(world, "run", "--once", "--now", NOW))
    on_the_wire = f"{CONNECTIONS} deliveries were on the wire when a process ended; sent again with the same Message-ID"
    assert (on_the_wire in said) is (stage == "kept"), "before MAIL the journal has no intent: surely unsent"
    ended(gazet(world, "run", "--once", "--now", NOW))
    assert sorted(copies(holding_server.kept).values()) == [1] * (FEW - CONNECTIONS) + [copies_each] * CONNECTIONS
    assert_nobody_is_missing(world, holding_server.kept, people_count=FEW, kills=1)


def test_a_killed_delivery_under_hold_repeats_nothing_names_who_is_in_doubt_and_a_retry_completes_it(
    site: SiteMaker, mail_server: LoggingServer
) -> None:
    world = site(mail_server.port, SOME, digest='uncertain = "hold"')
    delivery = gazet(world, "deliver", "--now", NOW)
    mail_server.wait_for(random.randrange(1, 120))
    killed(delivery)
    ended(gazet(world, "deliver", "--now", NOW), 1)
    counted = copies(mail_server.kept)
    assert set(counted.values()) == {1}
    report = verified(world, 1)
    assert report["maybe_twice"] == []
    assert 1 <= len(report["held"]) <= CONNECTIONS
    assert set(addresses(SOME)) - set(counted) <= set(report["held"])
    assert report["sums"]["accepted"] == SOME - len(report["held"])
    ended(gazet(world, "retry", LABEL, "--now", NOW))
    ended(gazet(world, "deliver", "--now", NOW))
    assert_nobody_is_missing(world, mail_server.kept, people_count=SOME, kills=1)
