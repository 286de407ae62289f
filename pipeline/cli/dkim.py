"""``gazet dkim``: the keys that mails are signed with."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.options import SiteOption, folder_of, say
from pipeline.errors import UsageError

if TYPE_CHECKING:
    from pipeline.config import Settings

app = typer.Typer(help="The keys that mails are signed with (DKIM).\n\nExample: `gazet dkim new`", no_args_is_help=True)


class Algorithm(StrEnum):
    """Every mailbox knows RSA; Ed25519 is ten times as quick, and few mailboxes look at it yet."""

    RSA = "rsa"
    ED25519 = "ed25519"


@app.command()
def new(
    algorithm: Annotated[Algorithm, typer.Option(help="rsa: for every mailbox; ed25519: a second key beside it.")] = Algorithm.RSA,
    selector: Annotated[str, typer.Option(metavar="S", help="Its name in DNS; default: gazet-rsa or gazet-ed25519.")] = "",
    domain: Annotated[str, typer.Option(metavar="D", help="Of which senders; default: of every one.")] = "",
    site: SiteOption = None,
) -> None:
    """Make a private key, and show the record for DNS and the lines for gazet.toml. It never replaces a key.

    Add the record first, and the lines once `gazet doctor --selector S` finds it: from then on every mail is signed.

    Example: `gazet dkim new --algorithm ed25519 --selector gazet2`
    """
    from pipeline import config
    from pipeline.jobs import new_dkim_key

    settings = config.load(folder_of(site))
    try:
        named = config.dkim_selector(selector or f"gazet-{algorithm}")
        place = config.mail_domain(domain) if domain else ""
    except ValueError as error:
        raise UsageError(f"{error}.") from None
    made = new_dkim_key.make(settings, str(algorithm), named)
    say(f"made {made.path}: keep it to yourself; a backup holds it once gazet.toml names it\n")
    say("1. Add to DNS (one record; where one line is wanted, put its strings together without a space):\n")
    for one in [place] if place else new_dkim_key.domains(settings):
        say(f"{named}._domainkey.{one}. TXT {made.record}\n")
    say("2. Once it is there, add to gazet.toml:\n")
    for line in _lines(settings, named, made.path, place):
        say(line)


def _lines(settings: Settings, selector: str, path: Path, domain: str) -> list[str]:
    from pipeline.config import quoted

    lines = ["[[dkim]]", f"selector = {quoted(selector)}", f"key_file = {quoted(str(path.relative_to(settings.folder)))}"]
    return [*lines, f"domain = {quoted(domain)}"] if domain else lines
