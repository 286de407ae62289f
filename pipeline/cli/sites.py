"""A site itself: init, demo."""

from __future__ import annotations

import functools
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.options import SiteOption, folder_of, say
from pipeline.errors import ConfigError, UsageError

_DEFAULTS = {
    "title": "My news",
    "url": "https://news.example.org",
    "contact": "news@example.org",
    "language": "en",
    "timezone": "Europe/Amsterdam",
}
_QUESTIONS = {
    "title": "Title of the site",
    "url": "Its public address",
    "contact": "Mail address where people reach you",
    "language": "Language (nl or en)",
}


def register(app: typer.Typer) -> None:
    """Add these commands."""
    for command in (init, demo):
        app.command()(command)


def init(
    folder: Annotated[Path | None, typer.Argument(metavar="DIR", help="Where; default: here.", show_default=False)] = None,
    title: Annotated[str, typer.Option(help="The site's title.", show_default=_DEFAULTS["title"])] = "",
    url: Annotated[str, typer.Option(help="Its public address.", show_default=_DEFAULTS["url"])] = "",
    contact: Annotated[str, typer.Option(help="Where people reach you.", show_default=_DEFAULTS["contact"])] = "",
    language: Annotated[str, typer.Option(help="nl or en.", show_default=_DEFAULTS["language"])] = "",
    timezone: Annotated[str, typer.Option(help="As Europe/Amsterdam.", show_default=_DEFAULTS["timezone"])] = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing: take the options and the defaults.")] = False,
    new_secret: Annotated[
        bool, typer.Option("--new-secret", help="Only the secret, for a gazet.toml written by hand that never ran.")
    ] = False,
    site: SiteOption = None,
) -> None:
    """Make a working site: settings, feeds/, the secret, a systemd unit and a Containerfile. Overwrites nothing.

    On a terminal it asks for what no option says; Enter takes what is shown, Ctrl-C leaves nothing behind.

    Example: `gazet init news --title "Platform Samen Opleiden" --language nl`
    """
    from pipeline import app, config
    from pipeline.cli import asking, new_site

    target = (folder or folder_of(site)).absolute()
    new_site.refuse_clone(target)
    path = target / "gazet.toml"
    if new_secret:
        say(f"made {app.first_secret(config.load(target))}; keep a copy: it signs unsubscribe links for ever")
        return
    if path.exists():
        raise UsageError(f"{path} is there already.", fix="Edit it, or name another folder.")
    given = {"title": title, "url": url, "contact": contact, "language": language, "timezone": timezone}
    answers = _answers(given, ask=asking.may_ask(yes))

    def check() -> None:
        app.secret_of(config.load(target), make=True)

    try:
        made = new_site.write(target, new_site.files(target, answers), check)
    except OSError as error:
        raise UsageError(f"{target}: {error.strerror}.", fix="Name a folder in which Gazet may write.") from None
    except ConfigError as error:
        raise ConfigError([replace(one, where=one.where.replace("gazet.toml: site.", "--")) for one in error.problems]) from None
    _say_what_next(target, made, answers["url"])


def _answers(given: dict[str, str], *, ask: bool) -> dict[str, str]:
    from pipeline.cli.asking import ask as answer

    answers = {}
    if ask:
        say("Enter takes what is shown in brackets.")
    for key, default in _DEFAULTS.items():
        if ask and key in _QUESTIONS and not given[key]:
            answers[key] = answer(_QUESTIONS[key], default, functools.partial(_checked, key))
        else:
            answers[key] = given[key] or default
    return answers


def _checked(key: str, value: str) -> str:
    """The answer as the settings would take it. Raises ValueError."""
    from pydantic import ValidationError

    from pipeline.config.sections import SiteSettings

    try:
        return str(getattr(SiteSettings(**{**_DEFAULTS, key: value}), key))
    except ValidationError as error:
        detail = error.errors()[0]
        raise ValueError(str(detail.get("ctx", {}).get("error") or detail["msg"])) from None


def _say_what_next(folder: Path, made: list[Path], url: str) -> None:
    from pipeline.cli.new_site import example_address

    where = f" --site {shlex.quote(str(folder))}"
    say(f"made in {folder}: {', '.join(str(path.relative_to(folder)) for path in made)}, var/secret")
    if example_address(url):
        say(f"site.url is still the example {url}: no mail leaves to subscribers until it is yours.")
    say("next:")
    say(f"  gazet add https://www.example.org/news/{where}   finds the items of a page or feed and writes its file")
    say(f"  gazet run --once{where}   collects, publishes and rehearses into var/outbox")


def demo(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where the demo site is made.")] = Path("gazet-demo"),
) -> None:
    """Show the whole pipeline on a sample site on loopback; no mail leaves, everything is in the outbox.

    Example: `gazet demo`
    """
    from pipeline.demo import run

    run(folder, say)
