"""A new private key for DKIM in the site's ``var``, readable by its owner alone."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from pipeline.config import Settings
from pipeline.errors import GazetError, UsageError
from pipeline.jobs import open_edition
from pipeline.jobs.owners import hand_over, make_folder

FOLDER = "var/dkim"


@dataclass(frozen=True, slots=True)
class NewKey:
    """Where it is, and the value of the TXT record of its public half."""

    path: Path
    record: str


def make(settings: Settings, algorithm: str, selector: str) -> NewKey:
    """Write the key. Raises UsageError where that selector has one: mails on their way need it."""
    from pipeline.config.signing_key import new_key, parse_key, record

    path = settings.path(f"{FOLDER}/{selector}.pem")
    pem = new_key(algorithm)
    try:
        make_folder(path.parent)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
        hand_over(path)
    except FileExistsError:
        fix = "A key is never replaced; give the new one another name with --selector."
        raise UsageError(f"{path} is there already.", fix=fix) from None
    except OSError as error:
        raise GazetError(f"{path} cannot be written: {error.strerror}.", fix="Correct the rights of its folder.") from None
    return NewKey(path, record(parse_key(pem)))


def domains(settings: Settings) -> list[str]:
    """The domains that the site's feeds send from, and that of its own mails."""
    from pipeline.compose.dkim import domain_of

    senders = [open_edition.sender_of(settings, feed) for feed in settings.feeds.values()]
    return sorted({domain_of(sender) for sender in (*senders, settings.site.contact)})
