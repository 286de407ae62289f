"""A folder on an IMAP server as a place where mails come in (RFC 3501, over TLS as RFC 8314 wants it).

Nothing is marked by reading (BODY.PEEK), so what is a person's stays unread. Which mails are new is told by their UIDs, not by
their marks: somebody may look into the folder, too.
"""

from __future__ import annotations

import contextlib
import imaplib
import re
import ssl
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from pipeline.config import FeedbackSettings
from pipeline.deliver.mail_folder import FolderError, Incoming
from pipeline.deliver.mime_parts import MAX_BYTES
from pipeline.deliver.relay import mask

_TIMEOUT = 30.0
_FIRST = timedelta(days=14)
"""Of a folder that was never read, so much is."""
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_FIX = "Check [feedback] in gazet.toml and the server; nothing is lost, it is tried again."
_UID = re.compile(rb"\bUID ([0-9]{1,10})\b")


class ImapFolder:
    """One connection to the folder that the settings name, made at once. Raises FolderError.

    ``position``: UIDVALIDITY and the last UID that is done with; what comes behind it is new.
    """

    def __init__(self, settings: FeedbackSettings, folder: Path, position: tuple[int, int], now: datetime) -> None:
        self._settings = settings
        self._now = now
        with self._faults():
            self._imap = self._connect(folder)
        try:
            with self._faults():
                self._log_in(folder)
                self.position = self._select(position)
        except BaseException:
            self.close()
            raise

    def mails(self) -> Iterator[Incoming]:
        """In the order of their UIDs; one that is gone meanwhile is passed over."""
        with self._faults():
            uids = self._new_uids()
        for uid in uids:
            with self._faults():
                answer = self._asked("FETCH", str(uid), f"(BODY.PEEK[]<0.{MAX_BYTES}>)")
            data = next((bytes(one[1]) for one in answer if isinstance(one, tuple) and _names(one[0], uid)), None)
            if data is not None:
                yield Incoming(str(uid), data)

    def put_away(self, mail: Incoming, *, ours: bool) -> None:
        """Ours is marked as read, and moved where the settings name a folder for it and the server can (RFC 6851)."""
        with self._faults():
            if ours:
                self._asked("STORE", mail.name, "+FLAGS.SILENT", r"(\Seen)")
                if self._settings.processed and "MOVE" in self._imap.capabilities:
                    self._asked("MOVE", mail.name, _quoted(self._settings.processed))
        self.position = (self.position[0], int(mail.name))

    def close(self) -> None:
        """Say goodbye where that still makes sense, and close the connection."""
        _close(self._imap)

    def _connect(self, folder: Path) -> imaplib.IMAP4:
        host, port = self._settings.host, self._settings.effective_port
        if self._settings.tls == "none":
            return imaplib.IMAP4(host, port, timeout=_TIMEOUT)
        context = ssl.create_default_context(cafile=str(folder / self._settings.ca_file) if self._settings.ca_file else None)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self._settings.tls == "tls":
            return imaplib.IMAP4_SSL(host, port, ssl_context=context, timeout=_TIMEOUT)
        made = imaplib.IMAP4(host, port, timeout=_TIMEOUT)
        try:
            made.starttls(context)  # raises where the server cannot: nothing is ever said in clear text instead
        except BaseException:
            _close(made)
            raise
        return made

    def _log_in(self, folder: Path) -> None:
        password = self._settings.password.get_secret_value()
        if self._settings.password_file:
            password = (folder / self._settings.password_file).read_text(encoding="utf-8").strip("\r\n")
        words = f"\0{self._settings.user}\0{password}".encode()
        if "AUTH=PLAIN" in self._imap.capabilities:
            self._imap.authenticate("PLAIN", lambda _: words)
        else:
            self._imap.login(_quoted(self._settings.user), password)

    def _select(self, position: tuple[int, int]) -> tuple[int, int]:
        if self._settings.processed:
            self._imap.create(_quoted(self._settings.processed))  # "NO" where it is there already
        answer, said = self._imap.select(_quoted(self._settings.folder))
        if answer != "OK":
            raise imaplib.IMAP4.error(f"there is no folder {self._settings.folder}: {_text(said)}")
        validity = _text(self._imap.response("UIDVALIDITY")[1])
        number = int(validity) if validity.isdigit() and len(validity) <= 10 else 0
        return position if position[0] == number else (number, 0)

    def _new_uids(self) -> list[int]:
        last = self.position[1]
        since = (self._now - _FIRST).date()
        asked = ("UID", f"{last + 1}:*") if last else ("SINCE", f"{since.day}-{_MONTHS[since.month - 1]}-{since.year}")
        found = b" ".join(one for one in self._asked("SEARCH", *asked) if isinstance(one, bytes)).split()
        # "n:*" names the last mail, too, where n is behind it (RFC 3501 §6.4.8).
        return sorted({uid for one in found if one.isdigit() and len(one) <= 10 and (uid := int(one)) > last})

    def _asked(self, *words: str) -> list[Any]:
        answer, said = self._imap.uid(*words)
        if answer != "OK":
            raise imaplib.IMAP4.error(f"{words[0]} was refused: {_text(said)}")
        return said

    @contextlib.contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except (imaplib.IMAP4.error, OSError, UnicodeError, ValueError) as error:
            told = _text(error.args) if isinstance(error, imaplib.IMAP4.error) else getattr(error, "strerror", None) or str(error)
            what = f"the bounces at {self._settings.host} could not be read: {mask(told) or type(error).__name__}"
            raise FolderError(f"{what.rstrip('.')}.", fix=_FIX) from None


def _close(connection: imaplib.IMAP4) -> None:
    with contextlib.suppress(imaplib.IMAP4.error, OSError):
        connection.logout()
    with contextlib.suppress(OSError):
        connection.shutdown()  # which logout leaves out where the line is broken


def _names(line: Any, uid: int) -> bool:
    found = _UID.search(line) if isinstance(line, bytes) else None
    return found is not None and int(found[1]) == uid


def _text(said: Any) -> str:
    words = said if isinstance(said, list | tuple) else [said]
    return " ".join(one.decode("utf-8", "replace") if isinstance(one, bytes) else str(one) for one in words if one)


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
