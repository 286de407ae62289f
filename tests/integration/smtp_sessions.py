"""One message, one relay, one session: what the SMTP tests share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pipeline.config import RelaySettings
from pipeline.deliver import retry
from pipeline.deliver.relay import Session
from pipeline.deliver.smtp import SmtpRelay, relay_from
from pipeline.models import OutgoingMessage, RelayAnswer, RetryDecision
from tests.servers.smtp import SmtpServer

OPENED = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
ANN, BOB = "ann@example.org", "bob@example.org"
BODY = b"Subject: News\r\nMessage-ID: <k1@example.org>\r\n\r\nHello\r\n"
PATIENCE = timedelta(seconds=10)
SHORT = timedelta(milliseconds=300)


def message(recipient: str = ANN, data: bytes = BODY, sender: str = "news@example.org") -> OutgoingMessage:
    return OutgoingMessage(key="k1", envelope_from=sender, recipient=recipient, data=data)


def relay_to(server: SmtpServer, *, timeout: timedelta = PATIENCE, trust: bool = True, **given: Any) -> SmtpRelay:
    given = {"name": "test", "host": server.host, "port": server.port, "tls": server.tls, **given}
    if trust and given["tls"] != "none":
        given["ca_file"] = str(server.ca_file)
    return relay_from(RelaySettings(**given).model_copy(update={"timeout": timeout}), Path("/"))


@contextmanager
def session_of(relay: SmtpRelay) -> Iterator[Session]:
    session = relay.connect()
    assert not isinstance(session, RelayAnswer), session
    try:
        yield session
    finally:
        session.close()


def refusal(relay: SmtpRelay) -> RelayAnswer:
    answer = relay.connect()
    assert isinstance(answer, RelayAnswer), "a session came about"
    return answer


def decide(answer: RelayAnswer) -> RetryDecision:
    return retry.decide(answer, attempts=0, opened_at=OPENED, deadline=timedelta(hours=24), now=OPENED, jitter=0.5)
