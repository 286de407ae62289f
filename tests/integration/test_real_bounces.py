"""Bounces that a real Postfix makes: unknown users are suppressed, just those, with and without VERP."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.models import FeedbackDone
from tests.integration.test_feedback import ANN, BOB, EVA, MAILDIR, Returns, _opened
from tests.servers.postfix import Postfix
from tests.servers.smtp import SmtpServer
from tests.servers.web import WebServer
from tests.world import World

RELAY = '[[relay]]\nname = "provider"\nhost = "127.0.0.1"\nport = {port}\ntls = "none"\n{verp}\n'


@pytest.mark.parametrize("verp", ["", "verp = true"])
def test_what_a_real_postfix_sends_back_suppresses_just_the_unknown(tmp_path: Path, web: WebServer, verp: str) -> None:
    with SmtpServer() as server, Postfix(next_hop=server.port) as postfix:
        server.refuse(ANN, 550, "5.1.1", "<ann@example.org>: User unknown in virtual mailbox table")
        server.refuse(BOB, 554, "5.7.1", "we do not like this")
        world = World(tmp_path / "site", web, relay=RELAY.format(port=postfix.port, verp=verp) + MAILDIR)
        try:
            returns: Returns = _opened(world)
            assert returns.statuses() == {ANN: "active", BOB: "active", EVA: "active"}
            back = [kept.data for kept in server.wait_for(3, 60) if not kept.envelope_from]
            returns.come(*back)
            assert returns.read().done == {FeedbackDone.SUPPRESSED: 1, FeedbackDone.NOTED: 1}
            assert returns.statuses() == {ANN: "bounced", BOB: "active", EVA: "active"}
        finally:
            world.close()
