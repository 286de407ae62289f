"""Asking a person on a terminal, and nobody elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable

from pipeline.cli.options import showable, warn
from pipeline.errors import UsageError


def may_ask(yes: bool) -> bool:
    """Whether somebody is there to answer, and has not said yes to everything."""
    return not yes and sys.stdin.isatty() and sys.stdout.isatty()


def ask(question: str, default: str, check: Callable[[str], str]) -> str:
    """The answer, asked for until ``check`` takes it (it raises ValueError with a sentence); Enter takes the default.

    Raises UsageError when the terminal goes away, KeyboardInterrupt on Ctrl-C.
    """
    while True:
        try:
            answer = input(showable(f"{question} [{default}]: ")).strip() or default
        except EOFError:
            raise UsageError("Nobody answered.", fix="Use the options instead, with --yes.") from None
        except UnicodeDecodeError:
            warn("  this terminal sends something that is not UTF-8")
            continue
        try:
            return check(answer)
        except ValueError as error:
            warn(f"  {error}")


def yes_or_no(text: str) -> str:
    """For ``ask``: yes or no."""
    answer = {"y": "yes", "yes": "yes", "n": "no", "no": "no"}.get(text.lower())
    if answer is None:
        raise ValueError("answer yes or no")
    return answer
