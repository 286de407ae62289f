"""Where mails come in, as the job that reads them sees it; and a Maildir as such a place.

A Maildir is read as its mail server fills it: what is in ``new`` goes to ``cur`` once it is done with, marked as seen where
it was for us, and not where a person should look at it.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pipeline.deliver.mime_parts import MAX_BYTES
from pipeline.errors import GazetError


@dataclass(frozen=True, slots=True)
class Incoming:
    """One mail that has not been read yet: its name in its folder, and its first bytes."""

    name: str
    data: bytes


class MailFolder(Protocol):
    """Nothing is moved or marked but by ``put_away``. All methods raise FolderError."""

    def mails(self) -> Iterator[Incoming]:
        """The mails that have not been put away."""
        ...

    def put_away(self, mail: Incoming, *, ours: bool) -> None:
        """Done with this mail; ``ours``: no person needs to see it."""
        ...

    @property
    def position(self) -> tuple[int, int]:
        """How far the folder has been read, where it must be told that the next time; (0, 0) where not."""
        ...

    def close(self) -> None:
        """Give the connection back."""
        ...


class FolderError(GazetError):
    """The folder for bounces cannot be read, or not be changed."""

    retryable = True


class Maildir:
    """The Maildir at ``folder``. Files that are no plain files are left alone."""

    position = (0, 0)

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def mails(self) -> Iterator[Incoming]:
        """Oldest name first."""
        try:
            names = sorted(path.name for path in (self._folder / "new").iterdir())
        except OSError as error:
            raise self._fault(error) from None
        for name in names:
            data = None if name.startswith(".") else self._read(name)
            if data is not None:
                yield Incoming(name, data)

    def _read(self, name: str) -> bytes | None:
        """None: somebody else took it, or it is no plain file (a pipe would never answer)."""
        try:
            descriptor = os.open(self._folder / "new" / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except FileNotFoundError:
            return None
        except OSError as error:
            if (self._folder / "new" / name).is_symlink():
                return None
            raise self._fault(error) from None
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            return None
        try:
            with os.fdopen(descriptor, "rb") as file:
                return file.read(MAX_BYTES)
        except OSError as error:
            raise self._fault(error) from None

    def put_away(self, mail: Incoming, *, ours: bool) -> None:
        """From ``new`` to ``cur``; one that is gone already was put away by somebody else."""
        try:
            (self._folder / "cur").mkdir(mode=0o700, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):
                target = f"{mail.name.partition(':')[0]}:2,{'S' if ours else ''}"
                (self._folder / "new" / mail.name).rename(self._folder / "cur" / target)
        except OSError as error:
            raise self._fault(error) from None

    def close(self) -> None:
        """Nothing is open."""

    def _fault(self, error: OSError) -> FolderError:
        what = f"the Maildir for bounces, {self._folder}, cannot be used: {error.strerror}"
        fix = "Check maildir under [feedback] in gazet.toml, and the rights of its folders new and cur; nothing is lost."
        return FolderError(f"{what}.", fix=fix)
