"""What tests of the delivery ledger share: sites that send through a server, and what can be asked of both."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline import app
from pipeline.deliver.ledger import Ledger
from pipeline.deliver.relay import Relay, Session, always
from pipeline.jobs import report
from pipeline.models import OutgoingMessage, RelayAnswer
from tests.servers.smtp import SmtpServer
from tests.servers.web import WebServer
from tests.world import World

TUESDAY = "2026-11-24T08:00"
LABEL = f"po/{TUESDAY}"
RELAY = """
[[relay]]
name = "provider"
host = "{host}"
port = {port}
tls = "{tls}"
connections = {connections}
{more}
"""
SiteMaker = Callable[..., World]


@contextmanager
def sites(folder: Path, web: WebServer) -> Iterator[SiteMaker]:
    """Makes sites that send through a server, with one item and daily subscribers of these names; closed at the end."""
    made: list[World] = []

    def make(
        server: SmtpServer,
        *names: str,
        digest: str = "",
        tls: str = "none",
        connections: int = 1,
        more: str = "",
        host: str = "127.0.0.1",
    ) -> World:
        relay = RELAY.format(host=host, port=server.port, tls=tls, connections=connections, more=more)
        world = World(folder, web, relay=relay, digest=digest)
        made.append(world)
        world.news("Eerste", "2026-11-23T09:00")
        for name in names:
            world.subscribe(address(name), cadence="daily", at="2026-11-23T10:00")
        return world

    yield make
    for world in made:
        world.close()


def address(name: str) -> str:
    return f"{name}@example.org"


def outcome(world: World, label: str = LABEL) -> dict[str, str]:
    """What became of each name in an edition that adds up."""
    world.sums(label)
    return {who.partition("@")[0]: str(status) for who, status in world.statuses(label).items()}


def copies(server: SmtpServer) -> Counter[str]:
    """How many mails the server kept for each name."""
    return Counter(kept.recipient.partition("@")[0] for kept in server.messages)


def attempts(server: SmtpServer, name: str) -> int:
    """How often the server was asked to take mail for a name."""
    return sum(command == f"RCPT TO:<{address(name)}>" for command in server.commands)


def problems(world: World) -> list[str]:
    """What needs a person, as ``gazet status`` says it."""
    return [problem.what for problem in report.status(world.site).problems]


def suppressed(world: World, name: str) -> bool:
    return report.explain(world.site, address(name), None).suppressed


class Watched:
    """A relay whose first message makes something happen: ``do`` is called behind the relay's answer."""

    def __init__(self, relay: Relay, do: Callable[[], object]) -> None:
        self.relay = relay
        self.name, self.connections, self.rate = relay.name, relay.connections, relay.rate
        self.do = do
        self.done = False

    def connect(self) -> Session | RelayAnswer:
        made = self.relay.connect()
        return made if isinstance(made, RelayAnswer) else _WatchedSession(made, self)

    def happen(self) -> None:
        if not self.done:
            self.done = True
            self.do()


class _WatchedLedger:
    """The ledger of a session, with what happens between the relay's first answer and its being noted."""

    def __init__(self, ledger: Ledger, owner: Watched) -> None:
        self.take, self.wanted, self.intend, self.hand_back = ledger.take, ledger.wanted, ledger.intend, ledger.hand_back
        self._settle = ledger.settle
        self._owner = owner

    def settle(self, message: OutgoingMessage, answer: RelayAnswer) -> None:
        self._owner.happen()
        self._settle(message, answer)


class _WatchedSession:
    def __init__(self, session: Session, owner: Watched) -> None:
        self.session = session
        self.owner = owner

    @property
    def usable(self) -> bool:
        return self.session.usable

    def send(self, message: OutgoingMessage, wanted: Callable[[], bool] = always) -> RelayAnswer:
        answer = self.session.send(message, wanted)
        self.owner.happen()
        return answer

    def deliver(self, ledger: Ledger) -> None:
        self.session.deliver(_WatchedLedger(ledger, self.owner))

    def close(self) -> None:
        self.session.close()


def run_watched(world: World, do: Callable[[], object], at: str = TUESDAY, stop: threading.Event | None = None) -> None:
    """One tick in which ``do`` happens behind the first message."""
    world.run(at, relay=lambda: Watched(app.relay_for(world.site), do), stop=stop)
