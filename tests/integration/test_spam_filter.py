"""A digest in the eyes of SpamAssassin, offline: nothing about headers, MIME, encoding or text that differs from its HTML."""

from __future__ import annotations

import re
import shutil
import subprocess

from tests.needs import missing
from tests.world import World

_HARMLESS = {
    "NO_RECEIVED",  # it has not been sent yet
    "NO_RELAYS",
    "HTML_MESSAGE",  # it has HTML
    "WEIRD_PORT",  # of the web server of the tests
    "HTML_FONT_LOW_CONTRAST",  # the hidden line that mail programs show beside the subject
}
_RULE = re.compile(r"^ *-?[0-9]+\.[0-9] ([A-Z][A-Z0-9_]+)", re.MULTILINE)


def test_a_digest_trips_no_rule_of_a_spam_filter(world: World) -> None:
    if shutil.which("spamassassin") is None:
        missing("spamassassin is not installed (Debian: spamassassin)")
    for number in range(1, 4):
        world.news(f"Bericht {number} over onderwijs", "2026-11-23T09:00")
    world.subscribe("ann@example.org", name="Ann Bakker", cadence="daily", at="2026-11-23T10:00")
    world.run("2026-11-24T08:00")
    [path] = (world.folder / "var/outbox/new").iterdir()
    filtered = subprocess.run(["spamassassin", "-L", "-t"], input=path.read_bytes(), capture_output=True, check=True)
    report = filtered.stdout.decode("utf-8", "replace").rpartition("Content analysis details:")[2]
    found = set(_RULE.findall(report))
    assert "HTML_MESSAGE" in found, report
    assert found <= _HARMLESS, report
