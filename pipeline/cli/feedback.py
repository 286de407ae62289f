"""``gazet feedback``: what came back by mail."""

from __future__ import annotations

import threading

import typer

from pipeline.cli.options import JsonOption, NowOption, SiteOption, clock_of, open_site, print_json, say


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(feedback)


def feedback(now: NowOption = "", site: SiteOption = None, as_json: JsonOption = False) -> None:
    """Read bounces, complaints and unsubscribe mails from the folder under [feedback] now, and say what was found.

    `gazet run` does this by itself. Nothing is deleted; what is no such mail is left for a person.

    Example: `gazet feedback`
    """
    from pipeline.jobs import lines
    from pipeline.jobs.feedback import open_folder, read_feedback
    from pipeline.jobs.problems import noted

    opened = open_site(site)
    clock = clock_of(opened.settings, now)
    if not opened.settings.feedback.wanted:
        open_folder(opened, clock())  # says what to do
    with noted(opened, "feedback", clock()):
        heard = read_feedback(opened, clock, threading.Event())
    if as_json:
        kinds, done = ({str(word): number for word, number in one.items()} for one in (heard.kinds, heard.done))
        print_json({"kinds": kinds, "done": done, "known": heard.known})
    else:
        say(lines.heard(heard) or "nothing came back")
