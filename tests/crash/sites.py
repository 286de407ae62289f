"""A site with an open edition for many, and gazet as a process of its own that can be killed."""

from __future__ import annotations

import io
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.jobs import operate, people, report
from pipeline.models import DeliveryStatus
from tests.forked import GAZET, Forked
from tests.servers.web import WebServer
from tests.world import World, moment

NOW = "2026-11-24T08:00"
LABEL = "po/2026-11-24T08:00"
CONNECTIONS = 4
SiteMaker = Callable[..., World]
"""Takes the mail server's port and the number of subscribers, and perhaps ``store`` ("postgresql") and ``digest``."""
RELAY = """
[[relay]]
name = "test"
host = "127.0.0.1"
port = {port}
tls = "none"
connections = {connections}
"""


@dataclass(frozen=True)
class Kept:
    """What a mail server kept: the recipient, the Message-ID and a hash of the bytes."""

    rcpt: str
    message_id: str
    sha256: str


def opened(folder: Path, web: WebServer, port: int, *, people_count: int, store: str = "", digest: str = "") -> World:
    """A site whose edition ``LABEL`` is open for so many, nothing of it sent yet."""
    world = World(folder, web, store=store, relay=RELAY.format(port=port, connections=CONNECTIONS), digest=digest)
    world.news("Eerste", "2026-11-20T09:00")
    table = "email,feed,cadence\n" + "".join(f"{address},po,daily\n" for address in addresses(people_count))
    imported = people.import_subscribers(world.site, people.read_csv(world.site, io.StringIO(table)), moment("2026-11-20T10:00"))
    assert imported.counts["added"] == people_count
    operate.set_paused(world.site, "test", True)
    world.run(NOW)
    operate.set_paused(world.site, "test", False)
    world.close()
    return world


def addresses(count: int) -> list[str]:
    """The subscribers of ``opened``."""
    return [f"lezer{number:03}@example.org" for number in range(count)]


def gazet(world: World, *arguments: str) -> Forked:
    """A gazet command, just started."""
    return Forked(GAZET, "--site", world.folder, *arguments)


def ended(process: Forked, *codes: int) -> str:
    """All that a command said, once it has ended with one of these exit codes (default: 0)."""
    out, errors = process.communicate(timeout=60)
    assert process.returncode in (codes or (0,)), f"exit code {process.returncode}\n{out}\n{errors}"
    return out + errors


def killed(process: Forked) -> None:
    """kill -9, and make sure that it was not too late."""
    process.kill()
    process.communicate(timeout=10)
    assert process.returncode == -9, "it had ended already"


def verified(world: World, *codes: int) -> dict[str, Any]:
    """What ``gazet verify --json`` says of the edition; its exit code is one of these (default: 0)."""
    [found] = json.loads(ended(gazet(world, "verify", LABEL, "--json"), *codes))
    assert found["faults"] == []
    assert sum(found["sums"].values()) == found["audience"]
    return dict(found)


def copies(kept: Iterable[Kept]) -> Counter[str]:
    """How often each address got the edition, after checking that every copy of a person's mail is the same one."""
    by_address: dict[str, set[tuple[str, str]]] = defaultdict(set)
    counted: Counter[str] = Counter()
    for one in kept:
        by_address[one.rcpt].add((one.message_id, one.sha256))
        counted[one.rcpt] += 1
    assert all(len(same) == 1 for same in by_address.values()), "a repeat had another Message-ID or other bytes"
    assert len({message_id for same in by_address.values() for message_id, _ in same}) == len(by_address)
    return counted


def assert_nobody_is_missing(world: World, kept: Iterable[Kept], *, people_count: int, kills: int) -> None:
    """Everybody has the edition, few have it more than once, and the ledger knows and names them."""
    counted = copies(kept)
    assert set(counted) == set(addresses(people_count))
    assert sum(counted.values()) - people_count <= CONNECTIONS * kills
    assert max(counted.values()) <= 1 + kills
    [ledger] = report.verify(world.site, LABEL)
    assert ledger.finished
    assert ledger.faults == ledger.held == ()
    assert ledger.sums[DeliveryStatus.ACCEPTED] == ledger.audience == people_count
    twice = {address for address, count in counted.items() if count > 1}
    assert twice <= set(ledger.maybe_twice), "somebody got it twice and is not named"
    assert len(ledger.maybe_twice) <= CONNECTIONS * kills
