"""``gazet …`` as an operator runs it: in this process where nothing is lost by that, else in one of its own."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from pipeline.cli import main, options


@dataclass(frozen=True, slots=True)
class Ended:
    """What a command said, and how it ended."""

    code: int
    out: str
    err: str

    @property
    def faults(self) -> list[str]:
        """The lines on standard error."""
        return self.err.splitlines()

    @property
    def json(self) -> Any:
        """Standard output as the one JSON document it must be."""
        return json.loads(self.out)


def gazet(*words: str | Path, site: Path | None = None, env: Mapping[str, str] | None = None) -> Ended:
    """Run a command in this process; then do what it left for the end of its process, and put environment and arguments back."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GAZET_")}
    argv = ["gazet", *(str(word) for word in words), *(["--site", str(site)] if site else [])]
    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch.dict(os.environ, {**clean, "COLUMNS": "120", **(env or {})}, clear=True),
        mock.patch.object(sys, "argv", argv),
        _AtExit() as at_exit,
        mock.patch.object(options, "atexit", at_exit),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        code = _code(main)
    return Ended(code, out.getvalue(), err.getvalue())


class _AtExit(ExitStack):
    """Stands for the module atexit: this process lasts, and would keep every store that a command ever opened."""

    def register(self, function: Callable[[], object]) -> None:
        self.callback(function)


def _code(run: Any) -> int:
    try:
        run()
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


def gazet_process(*words: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None, before: Any = None) -> Ended:
    """Run a command in a process of its own; ``before`` is called in it first."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GAZET_")}
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", *(str(word) for word in words)],
        cwd=cwd,
        env={**clean, "COLUMNS": "120", **(env or {})},
        preexec_fn=before,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return Ended(done.returncode, done.stdout, done.stderr)
