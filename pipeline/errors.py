"""Every error Gazet raises on purpose.

The tree::

    GazetError
    ├── ConfigError          settings: every mistake at once (exit 2)
    ├── UsageError           a wrong word on the command line (exit 2)
    ├── SiteLockedError      another process runs jobs here
    ├── StoreError           the database: unreachable, damaged, in use
    │   └── UnfitStoreError      … not the one to work on: older, newer, elsewhere, half restored (exit 2)
    ├── FetchError           an outgoing HTTP request that brought nothing usable
    │   └── AddressRefusedError   … because its address is private
    ├── ReadError            bytes arrived, but no news could be read from them
    ├── TemplateFault        a template that does not parse or does not render
    ├── PublishError         published files could not be written
    ├── BackupError          a backup that cannot be written, or that is not whole or not to be trusted
    ├── JournalError         the file of what is being sent could not be written, so nothing more is sent
    └── SendRefusedError     a relay that Gazet will not use (promise 12)

Each error carries its data, a ``fix`` that says what to do, ``retryable`` (may the same call succeed later without a
person?) and the ``exit_code`` of the command that meets it. ``str()`` reads as one sentence.
"""

from __future__ import annotations

from dataclasses import dataclass


class GazetError(Exception):
    """What went wrong, in one sentence, and how to mend it."""

    retryable = False
    exit_code = 1

    def __init__(self, what: str, *, fix: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.what} {self.fix}".strip() if self.fix else self.what


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in the settings: where (file and key), what is wrong, and what to do."""

    where: str
    what: str
    fix: str = ""

    def __str__(self) -> str:
        return f"{self.where}: {self.what}" + (f" ({self.fix})" if self.fix else "")


class ConfigError(GazetError):
    """All mistakes of ``gazet.toml``, ``feeds/*.toml`` and the environment, each with file and key."""

    exit_code = 2

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in problems))


class UsageError(GazetError):
    """The command line names something that does not exist or cannot be done."""

    exit_code = 2


class SiteLockedError(GazetError):
    """Another process holds the site lock. ``holder`` says which, as far as it is known."""

    retryable = True

    def __init__(self, holder: str) -> None:
        self.holder = holder
        super().__init__(f"Another process runs jobs on this site ({holder}).", fix="Wait for it, or stop it first.")


class StoreError(GazetError):
    """The database cannot be used as it is."""


class UnfitStoreError(StoreError):
    """The database is not one that this version and these settings may work on: starting again would not help."""

    exit_code = 2


_LONGEST_REASON = 500
_LONGEST_FIX = 9000  # it may name an address


def _line(text: str, most: int) -> str:
    """What may hold a stranger's words, as one line that can be printed and stored."""
    shown = "".join(char if char.isprintable() else " " for char in text[: most + 1])
    return shown if len(shown) <= most else f"{shown[: most - 1]}…"


class FetchError(GazetError):
    """A request that brought nothing usable.

    ``reason`` is one printable line of at most 500 characters; ``status`` the HTTP status, None where no answer came;
    ``retry_after`` seconds as asked by the server.
    """

    def __init__(
        self,
        url: str,
        reason: str,
        *,
        status: int | None = None,
        retryable: bool = True,
        retry_after: float | None = None,
        fix: str = "",
    ) -> None:
        self.url = url
        self.reason = _line(reason, _LONGEST_REASON)
        self.status = status
        self.retryable = retryable
        self.retry_after = retry_after
        super().__init__(f"{_line(url, _LONGEST_FIX)}: {self.reason}", fix=_line(fix, _LONGEST_FIX))


class AddressRefusedError(FetchError):
    """The host resolves to a private address that ``[collect] allow`` does not name, or that this source may not lead to.

    ``led``: it is not the address that was asked for, so a stranger may have chosen it, and nobody is told to open it.
    """

    def __init__(self, url: str, host: str, address: str, *, led: bool = False) -> None:
        self.host = host
        self.address = address
        self.led = led
        fix = f'If that is intended, add "{host}" to allow under [collect] in gazet.toml.'
        if led:
            fix = "It redirects to a private address: tell the site, or give the address it should lead to."
        super().__init__(url, f"{host} is at the private address {address}", retryable=False, fix=fix)


class ReadError(GazetError):
    """A document without readable news: not a feed, no listing found, selectors that match nothing.

    ``reason`` is one printable line of at most 500 characters.
    """

    def __init__(self, url: str, reason: str, *, fix: str = "") -> None:
        self.url = url
        self.reason = _line(reason, _LONGEST_REASON)
        super().__init__(f"{_line(url, _LONGEST_FIX)}: {self.reason}", fix=_line(fix, _LONGEST_FIX))


class TemplateFault(GazetError):
    """A template that cannot be used: ``template`` is its path, ``line`` where it is known."""

    def __init__(self, template: str, reason: str, *, line: int | None = None) -> None:
        self.template = template
        self.line = line
        self.reason = reason
        place = f"{template}:{line}" if line else template
        super().__init__(f"{place}: {reason}", fix="Correct the template, or remove your copy to use the built-in one.")


class PublishError(GazetError):
    """Published files could not be written. Each is whole; ``replaced``: some of a feed's four are new already."""

    retryable = True

    def __init__(
        self, path: str, reason: str, *, fix: str = "Free some space or correct the rights.", replaced: bool = False
    ) -> None:
        self.path = path
        self.reason = reason
        self.replaced = replaced
        state = "each file is whole, but some are new already" if replaced else "the files published before are unchanged"
        super().__init__(f"{path}: {reason}; {state}.", fix=fix)


class BackupError(GazetError):
    """A backup could not be written, or the one that was named is not whole, not ours, or not to be trusted."""


class JournalError(GazetError):
    """What is about to be sent could not be noted first, so it was not sent."""


class SendRefusedError(GazetError):
    """Gazet will not write to subscribers through this relay now (promise 12)."""
