"""``gazet …`` with a person at a terminal: a pseudo-terminal on which each question gets its answer."""

from __future__ import annotations

import os
import pty
import select
import signal
import sys
import time
from pathlib import Path

_SECONDS = 60.0
_CTRL_C = b"\x03"


def on_terminal(*words: str | Path, answers: list[str], site: Path | None = None, cwd: Path | None = None) -> tuple[str, int]:
    """What the screen showed, and the exit code; an answer is typed after each prompt (``]: ``)."""
    argv = [sys.executable, "-m", "pipeline", *(str(word) for word in words), *(["--site", str(site)] if site else [])]
    child, screen = pty.fork()
    if child == 0:
        os.chdir(cwd or "/")
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # tests that were started in the background inherit it ignored
        clean = {name: value for name, value in os.environ.items() if not name.startswith("GAZET_")}
        os.execve(sys.executable, argv, {**clean, "COLUMNS": "120", "TERM": "dumb", "PYTHONPATH": str(Path(__file__).parents[2])})
    shown, waiting, end = "", list(answers), time.monotonic() + _SECONDS
    interrupted = False
    while time.monotonic() < end:
        if not select.select([screen], [], [], 2.0)[0]:
            if interrupted:  # Python's input() misses a signal that comes between its prompt and its read: a person presses again
                os.write(screen, _CTRL_C)
            continue
        try:
            data = os.read(screen, 4096)
        except OSError:  # the other side is closed
            break
        if not data:
            break
        shown += data.decode(errors="replace")
        if shown.endswith("]: ") and waiting:
            answer = waiting.pop(0)
            interrupted = answer.encode() == _CTRL_C
            os.write(screen, _CTRL_C if interrupted else f"{answer}\n".encode())
    os.close(screen)
    return shown, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
