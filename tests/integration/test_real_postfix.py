"""An edition through a real Postfix that has limits: what it takes it passes on, so a counting server behind it sees all."""

from __future__ import annotations

import io
from collections import Counter
from datetime import timedelta
from pathlib import Path

from pipeline.jobs import people
from tests.servers.postfix import Postfix
from tests.servers.smtp import SmtpServer
from tests.servers.web import WebServer
from tests.world import World, moment

PEOPLE = 300
RELAY = '[[relay]]\nname = "postfix"\nhost = "127.0.0.1"\nport = {port}\ntls = "none"\nconnections = 8\nrate = "100/s"\n'
EDITION = "po/2026-11-24T08:00"


LIMIT = 250
"""Messages in Postfix's second, which may be almost two: within the relay's ``rate``, and less than all of them at once."""


def everybody() -> set[str]:
    """Half of them with a provider that greylists."""
    return {f"lezer{number}@{('example.org', 'grijs.example')[number % 2]}" for number in range(PEOPLE)}


def take_in(world: World) -> None:
    """Everybody as a daily reader of the feed, in one import."""
    world.engine("2026-11-23T12:00").once()
    lines = "email,feed,cadence\n" + "".join(f"{address},po,daily\n" for address in sorted(everybody()))
    now = moment("2026-11-23T12:00")
    done = people.import_subscribers(world.site, people.read_csv(world.site, io.StringIO(lines)), now)
    assert not done.refused


def test_a_real_postfix_with_limits_and_a_greylist_gets_each_mail_exactly_once(tmp_path: Path) -> None:
    with (
        WebServer() as web,
        SmtpServer() as mailboxes,
        Postfix(next_hop=mailboxes.port, connections=3, message_rate=LIMIT, greylisted="grijs.example") as postfix,
    ):
        world = World(tmp_path / "site", web, relay=RELAY.format(port=postfix.port))
        try:
            world.news("Eerste bericht", "2026-11-20T09:00")
            take_in(world)
            at = moment("2026-11-24T08:00")
            world.run(at)
            assert world.sums(EDITION)["deferred"] > 0
            for _ in range(10):
                world.run(at := at + timedelta(minutes=20))
                if set(world.sums(EDITION)) == {"accepted"}:
                    break
            assert world.sums(EDITION) == {"accepted": PEOPLE}
        finally:
            world.close()
        kept = mailboxes.wait_for(PEOPLE, 60)
        assert Counter(one.recipient for one in kept) == Counter(everybody())
        assert len({one.message_id for one in kept}) == PEOPLE
        assert "Greylisted" in postfix.log
        assert "concurrency limit exceeded" in postfix.log
