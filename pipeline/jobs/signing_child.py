"""A process of ``signing_pool``: keys come in on standard input, then hashes; signatures go out. It ends when its input does."""

from __future__ import annotations

import signal
import sys
from typing import IO

from pipeline.compose.dkim import Key
from pipeline.config.signing_key import parse_key

_HASH = 32


def main() -> None:
    """Sign until there is nothing more to sign; Ctrl-C is for the process that asks."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    questions = sys.stdin.buffer
    keys = _keys(questions)
    while len(asked := questions.read(1 + _HASH)) == 1 + _HASH:
        found = keys[asked[0]].sign(asked[1:])
        sys.stdout.buffer.write(len(found).to_bytes(2) + found)
        sys.stdout.buffer.flush()


def _keys(questions: IO[bytes]) -> list[Key]:
    """Each with its length before it; a length of nothing ends them."""
    found = []
    while size := int.from_bytes(questions.read(4)):
        found.append(Key("", parse_key(questions.read(size))))
    return found


if __name__ == "__main__":
    main()
