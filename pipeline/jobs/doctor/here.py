"""What this machine has: files and their rights, disk, templates."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from datetime import datetime
from pathlib import Path

from pipeline.config import Settings
from pipeline.jobs.doctor.check import Check, fail, note, ok
from pipeline.jobs.try_templates import check_templates
from pipeline.texts import Texts

_LEAST_BYTES = 200_000_000
_LEAST_SHARE = 0.02


def settings(found: Settings) -> list[Check]:
    """They were read, so they are right; what is said here is what is missing from them."""
    feeds = ", ".join(sorted(found.feeds))
    checks = [
        ok("settings", f"gazet.toml and {len(found.feeds)} feed{'s' if len(found.feeds) != 1 else ''}: {feeds}")
        if feeds
        else note("settings", "gazet.toml is right, but there is no feed yet", '"gazet add URL" makes one.')
    ]
    checks += [note("settings", f"{name} has no effect in this version of Gazet") for name in found.without_effect()]
    if not found.site.postal_address:
        checks.append(note("settings", "site.postal_address is empty", "Most countries want it in every newsletter."))
    if not found.alerts.mail and not found.alerts.ping:
        checks.append(note("settings", "nobody is told when something breaks", "Name an address as mail under [alerts]."))
    return checks


def files(found: Settings) -> list[Check]:
    """Secrets are nobody else's, and var can be written to."""
    checks = [*_secrets(found), *_var(found.path("var"))]
    return checks if any(check.fix for check in checks) else [ok("files", "secrets are private, var can be written")]


def _secrets(found: Settings) -> list[Check]:
    named = [found.path(found.site.secret_file), found.path("var/gazet.db")]
    named += [found.path(relay.password_file) for relay in found.relay if relay.password_file]
    named += [found.path(table.key_file) for table in found.dkim]
    if any(relay.password.get_secret_value() and not relay.password_file for relay in found.relay):
        named.append(found.path("gazet.toml"))
    return [check for path in named for check in _private(path)]


def _private(path: Path) -> list[Check]:
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return []  # what is missing is said by who needs it
    if mode & 0o007:
        return [fail("files", f"{path} can be read by everybody here ({mode:04o})", f"chmod 600 {path}")]
    if mode & 0o070:
        return [note("files", f"{path} can be read by its group ({mode:04o})", f"chmod 600 {path}, unless that is meant.")]
    return []


def _var(var: Path) -> list[Check]:
    try:
        with tempfile.TemporaryFile(dir=var):
            owner = var.stat().st_uid
    except FileNotFoundError:
        return [note("files", f"{var} is not there yet", '"gazet run" makes it.')]
    except OSError as error:
        fix = "Gazet writes there: correct its rights, or run this as the user that Gazet runs as."
        return [fail("files", f"{var} cannot be written: {error.strerror}", fix)]
    lock = var / "lock"
    if lock.exists() and not os.access(lock, os.W_OK):
        return [fail("files", f"{lock} belongs to another user, so nothing can run as this one", f"chown it, or remove {lock}.")]
    if os.geteuid() == 0 and owner != 0:
        return [note("files", f"you are root, but {var} belongs to user {owner}", "Run this as that user: rights differ.")]
    return []


def disk(found: Settings) -> list[Check]:
    """Room for published files, the store, and a copy of it."""
    usage = shutil.disk_usage(found.folder)
    text = f"{usage.free / 1e9:.1f} GB free, {usage.free / usage.total:.0%}"
    if usage.free < _LEAST_BYTES or usage.free < _LEAST_SHARE * usage.total:
        return [fail("disk", text, f"Free some space on the disk of {found.folder}: with none, nothing is collected or sent.")]
    return [ok("disk", text)]


def templates(found: Settings, now: datetime) -> list[Check]:
    """Every template renders for every feed."""
    check_templates(found, Texts(found.folder), now)
    own = found.folder / "templates"
    return [ok("templates", f"all render, with your own in {own}" if own.is_dir() else "all render")]
