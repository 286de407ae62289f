"""A site itself: init, migrate, demo."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.options import SiteOption, folder_of, say
from pipeline.errors import ConfigError, UsageError

_GAZET_TOML = """\
# Gazet: everything about this site. Feeds are in feeds/*.toml, one file each.

[site]
title = {title}
url = {url}  # the public address of feeds, archive and subscriber pages
language = {language}                     # nl or en; feeds and subscriptions may choose another
timezone = {timezone}
contact = {contact}
postal_address = ""                 # shown in every mail; the law asks for it in most countries
secret_file = "var/secret"          # signs unsubscribe links for ever: keep a copy of it

[store]
url = "sqlite:///var/gazet.db"      # or postgresql+psycopg://user@host/name

# No relay: every mail goes to the outbox in var/outbox, a rehearsal that reaches nobody.
# [[relay]]
# name = "provider"
# host = "smtp.example.org"
# port = 587
# user = "news@example.org"
# password_file = "var/relay-password"
# tls = "starttls"                  # or "tls", or "none"
# connections = 2
# rate = "30/min"

[collect]
allow = []                          # private hosts, host:port and networks that may be read

[defaults.digest]                   # what all feeds share; a feed's own [digest] wins
cadence = "weekly"
weekday = "tuesday"
time = "08:00"
"""


def register(app: typer.Typer) -> None:
    """Add these commands."""
    for command in (init, migrate, demo):
        app.command()(command)


def init(
    folder: Annotated[Path | None, typer.Argument(metavar="DIR", help="Where; default: here.", show_default=False)] = None,
    title: Annotated[str, typer.Option(help="The site's title.")] = "My news",
    url: Annotated[str, typer.Option(help="Its public address.")] = "https://news.example.org",
    contact: Annotated[str, typer.Option(help="Where people reach you.")] = "news@example.org",
    language: Annotated[str, typer.Option(help="nl or en.")] = "en",
    timezone: Annotated[str, typer.Option(help="As Europe/Amsterdam.")] = "Europe/Amsterdam",
    site: SiteOption = None,
) -> None:
    """Make a working site: gazet.toml, feeds/ and the secret. Nothing that is there is overwritten.

    Example: `gazet init news --title "Platform Samen Opleiden" --language nl`
    """
    import json

    from pipeline import app, config

    target = folder or folder_of(site)
    path = target / "gazet.toml"
    if path.exists():
        raise UsageError(f"{path} is there already.", fix="Edit it, or name another folder.")
    values = {"title": title, "url": url, "contact": contact, "language": language, "timezone": timezone}
    text = _GAZET_TOML.format(**{key: json.dumps(value) for key, value in values.items()})
    try:
        (target / "feeds").mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        app.secret_of(config.load(target), make=True)
    except OSError as error:
        raise UsageError(f"{target}: {error.strerror}.", fix="Name a folder in which Gazet may write.") from None
    except ConfigError as error:
        path.unlink()
        raise ConfigError([replace(one, where=one.where.replace("gazet.toml: site.", "--")) for one in error.problems]) from None
    _say_what_next(path)


def _say_what_next(path: Path) -> None:
    folder = path.parent
    say(f"made {path}, {folder / 'feeds'} and {folder / 'var/secret'}")
    say(f"next: put these lines, with a news page or feed of your own, into {folder / 'feeds/news.toml'}:")
    say('          title = "News"')
    say("          [[source]]")
    say('          url = "https://www.example.org/news/"')
    say(f"      gazet check --site {folder}        shows what it yields")
    say(f"      gazet run --once --site {folder}   collects, publishes and rehearses into {folder / 'var/outbox'}")


def migrate(site: SiteOption = None) -> None:
    """Bring the store up to date with this version of Gazet.

    Example: `gazet migrate`
    """
    from pipeline import app, config, store

    settings = config.load(folder_of(site))
    with app.site_lock(settings):
        opened = store.open_store(settings, check=False)
        say(f"{opened.where}: {store.bring_up_to_date(opened)}")


def demo(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where the demo site is made.")] = Path("gazet-demo"),
) -> None:
    """Show the whole pipeline on a sample site on loopback; no mail leaves, everything is in the outbox.

    Example: `gazet demo`
    """
    from pipeline.demo import run

    run(folder, say)
