"""``gazet run`` as the long process it is, with a beat of its own choosing."""

from __future__ import annotations

import json
import queue
import subprocess
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.forked import Forked

# The beat alone is quicker than a service's, so that a test need not wait 20 s for each thing it wants to see.
_RUN = """
from pipeline.cli import main
from pipeline.engines import local
local._TICK_SECONDS = 0.5
main()
"""
_PATIENCE = 40.0


class Running:
    """``gazet run`` inside ``with``, ended as a service manager does it; its log is read as it comes, one JSON object a line."""

    def __init__(self, site: Path, *, env: Mapping[str, str] | None = None) -> None:
        here = {"GAZET_WEB__LISTEN": "127.0.0.1:0", **(env or {})}
        self.process = Forked(_RUN, "run", "--site", site, env=here, cwd=Path("/"), quiet=True)
        self.said: list[str] = []
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self.process.stderr:
            self._lines.put(line)
        self._lines.put(None)

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        self._reader.join(10)
        self.process.stdout.close()
        self.process.stderr.close()

    def wait_for(self, wanted: str | Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The first entry from here on whose line holds these words, or that is so."""
        while (line := self._next()) is not None:
            entry = _entry(line)
            if wanted in line if isinstance(wanted, str) else wanted(entry):
                return entry
        raise AssertionError("it ended:\n" + "".join(self.said))

    def _next(self) -> str | None:
        try:
            line = self._lines.get(timeout=_PATIENCE)
        except queue.Empty:
            raise AssertionError("it never said so:\n" + "".join(self.said)) from None
        self.said.append(line or "")
        return line

    @property
    def address(self) -> str:
        """Where its web server is."""
        return str(self.wait_for('"serving"')["url"])

    def ended(self) -> int:
        """End it; its exit code, after the last of its words was read."""
        self.process.terminate()
        code = self.process.wait(20)
        while self._next() is not None:
            pass
        return code

    def killed(self) -> None:
        """kill -9, and make sure that it was not too late."""
        self.process.kill()
        assert self.process.wait(10) == -9, "it had ended already:\n" + "".join(self.said)


def _entry(line: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
