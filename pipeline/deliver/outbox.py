"""A relay that passes nothing on: a local Maildir, for rehearsals.

    tmp/NAME ─fsync─▶ new/NAME ─fsync of new─▶ accepted

NAME is a function of the mail's key, so that the same mail sent again replaces its file. The bytes are those a relay
would get.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from pipeline.deliver.ledger import Ledger, in_lock_step
from pipeline.deliver.relay import Session, always, mask
from pipeline.models import OutgoingMessage, RelayAnswer, Stage


class Outbox:
    """The Maildir at ``folder``, made when first needed; see ``deliver.relay.Relay``."""

    connections = 1
    rate: float | None = None

    def __init__(self, folder: Path, name: str = "outbox") -> None:
        self.name = name
        self.folder = folder

    def connect(self) -> Session | RelayAnswer:
        """A session, or an answer at stage connect when the folder cannot be made."""
        try:
            for part in (".", "tmp", "new", "cur"):
                (self.folder / part).mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            return RelayAnswer(Stage.CONNECT, None, "", _reason(error))
        return OutboxSession(self.folder)


class OutboxSession:
    """Stores messages until closed; see ``deliver.relay.Session``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open = True

    @property
    def usable(self) -> bool:
        """True until closed: a full disk may have room again for the next message."""
        return self._open

    def send(self, message: OutgoingMessage, wanted: Callable[[], bool] = always) -> RelayAnswer:
        """Store the message; it is accepted once a power cut cannot undo it."""
        if not wanted():
            return RelayAnswer(Stage.DATA, None, "", "withheld")
        name = file_name(message.key)
        written, kept = self._folder / "tmp" / name, self._folder / "new" / name
        handed_over = False
        try:
            _write(written, message.data)
            written.replace(kept)
            handed_over = True
            _sync_folder(kept.parent)
        except OSError as error:
            return RelayAnswer(Stage.DOT, None, "", _reason(error), handed_over)
        return RelayAnswer(Stage.DOT, 250, "2.0.0", f"stored as {name}", handed_over)

    def deliver(self, ledger: Ledger) -> None:
        """Store what the ledger gives, one after the other."""
        in_lock_step(self.send, lambda: self.usable, ledger)

    def close(self) -> None:
        """Nothing to say goodbye to."""
        self._open = False


def file_name(key: str) -> str:
    """The name of a mail's file: letters and digits only, whatever the key holds."""
    return hashlib.sha256(key.encode()).hexdigest()[:40] + ".eml"


def _write(path: Path, data: bytes) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:  # noqa: PTH123 (rights from the start)
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _reason(error: OSError) -> str:
    return mask(f"the outbox cannot store this: {error.strerror or error}")
