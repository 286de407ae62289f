"""A message that nobody wants any more while it is on its way: the connection is closed, and the relay has no whole message."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pipeline.models import RelayAnswer, Stage
from tests.integration.smtp_sessions import BODY, message, relay_to, session_of
from tests.servers.smtp import SmtpServer

LARGE = BODY + b"x" * 70 * 3000 + b"\r\n"


def wanted_until(count: int) -> Callable[[], bool]:
    """True so many times, then never again."""
    answers = [True] * count
    return lambda: bool(answers and answers.pop())


@pytest.mark.parametrize(("data", "asked"), [(BODY, 0), (BODY, 1), (LARGE, 1), (LARGE, 2), (LARGE, 4)])
def test_what_is_not_wanted_any_more_is_never_whole(data, asked):
    with SmtpServer() as server:
        with session_of(relay_to(server)) as session:
            answer = session.send(message(data=data), wanted_until(asked))
            assert answer == RelayAnswer(Stage.DATA, None, "", "withheld", handed_over=False)
            assert not session.usable
        with session_of(relay_to(server)) as session:
            assert session.send(message(data=data), wanted_until(9)).accepted
            assert session.usable
        assert [kept.data for kept in server.messages] == [data]


def test_whoever_cannot_be_asked_gets_nothing():
    def broken() -> bool:
        raise LookupError("the store is away")

    with SmtpServer() as server, session_of(relay_to(server)) as session:
        with pytest.raises(LookupError):
            session.send(message(), broken)
        assert not session.usable
        assert server.messages == []
