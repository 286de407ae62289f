"""The ``gazet`` command and its parts. Importing this loads neither SQLAlchemy nor feedparser: commands import what they run."""

from __future__ import annotations

import functools
import gc
import io
import os
import sys
from pathlib import Path
from typing import Annotated, cast

import typer

from pipeline import __version__
from pipeline.cli import (
    add,
    dkim,
    feedback,
    items,
    keep,
    operate,
    opml,
    people,
    reports,
    restore,
    serve,
    sites,
    stages,
    suppressions,
    trying,
)
from pipeline.cli.options import warn
from pipeline.errors import GazetError

app = typer.Typer(
    name="gazet",
    help="Any news page becomes a standards-clean feed and a personal e-mail digest.\n\n"
    "Begin with `gazet demo`, or `gazet init news` and `gazet --site news check`.",
    epilog="Exit codes: 0 fine, 1 something needs a person (and it was said), 2 bad usage or settings, or a store that does "
    "not fit them.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"gazet {__version__}")
        raise typer.Exit


@app.callback()
def root(
    site: Annotated[
        Path | None, typer.Option("--site", metavar="DIR", help="The folder with gazet.toml (or GAZET_SITE; default: here).")
    ] = None,
    version: Annotated[  # noqa: ARG001
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say which Gazet this is.")
    ] = False,
) -> None:
    """``gazet --site DIR command`` is ``gazet command --site DIR``."""
    if site:
        os.environ["GAZET_SITE"] = str(site)


for module in (sites, stages, trying, operate, reports, serve, keep, add, restore, feedback):
    module.register(app)
app.add_typer(people.app, name="subscribers")
app.add_typer(suppressions.app, name="suppressions")
app.add_typer(items.app, name="items")
app.add_typer(opml.app, name="opml")
app.add_typer(dkim.app, name="dkim")


# Both copies of click that typer has had (its own and the package) raise this and its children for a wrong command line.
_WRONG_WORDS = cast("type[typer.BadParameter]", typer.BadParameter.__base__)


_OBJECTS = 25_000
"""How many more containers there may be before Python looks for cycles. With its own 700 a command spends an eighth of its
start on looking through what it imports."""


@functools.cache
def _command() -> typer.core.TyperGroup:
    """All commands with their options: what takes longest of what is said at once, so it is made once."""
    return typer.main.get_group(app)


def main() -> None:
    """Run one command; an error that an operator can mend is one line and an exit code, never a traceback."""
    gc.set_threshold(_OBJECTS)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal without UTF-8 must not end a command
    try:
        with _command().make_context("gazet", sys.argv[1:]) as context:
            context.command.invoke(context)
    except typer.Exit as ended:
        sys.exit(ended.exit_code)
    except GazetError as error:
        for line in str(error).splitlines():
            warn(f"gazet: {line}")
        sys.exit(error.exit_code)
    except _WRONG_WORDS as error:
        if message := error.format_message():  # none: the help was shown
            warn(f"gazet: {' '.join(message.split())} {_help_for(error)}")
        sys.exit(2)
    except BrokenPipeError:
        # The reader (head, less) has seen enough. Python would complain once more when it closes standard output.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        warn(f"gazet: {error.filename or 'a file'}: {error.strerror}. Correct the file, its rights or its place.")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def _help_for(error: typer.BadParameter) -> str:
    path = error.ctx.command_path if error.ctx else "gazet"
    return f'("{path} --help" shows what it takes)'
