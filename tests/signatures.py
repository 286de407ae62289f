"""Keys for DKIM, the records that DNS would have of them, and what two strangers say of a signed message."""

from __future__ import annotations

import functools
import shutil
import subprocess
from pathlib import Path

import dkim

from pipeline.compose.dkim import Key
from pipeline.config.signing_key import new_key, parse_key, record
from tests.needs import missing

DOMAIN = "example.org"


def pem(algorithm: str, number: int = 1) -> bytes:
    """A private key, made once; ``number`` tells several apart."""
    return _pem(algorithm, number)


@functools.cache
def _pem(algorithm: str, number: int) -> bytes:
    return new_key(algorithm)


def key(algorithm: str) -> Key:
    """That key, its selector named for its kind."""
    return Key(f"of-{algorithm}", parse_key(pem(algorithm)))


def value(one: Key) -> bytes:
    """What DNS says of it, its strings put together."""
    return record(one.private).replace('" "', "").strip('"').encode()


def records(domain: str = DOMAIN, *keys: Key) -> dict[bytes, bytes]:
    """Names and values in DNS."""
    return {f"{one.selector}._domainkey.{domain}.".encode(): value(one) for one in keys or (key("rsa"), key("ed25519"))}


def verdicts(data: bytes, known: dict[bytes, bytes] | None = None) -> list[bool]:
    """What dkimpy says of each signature, from the top; a message that it cannot read has none that is valid."""
    known = records() if known is None else known
    head = data.partition(b"\r\n\r\n")[0].lower()
    count = head.startswith(b"dkim-signature:") + head.count(b"\r\ndkim-signature:")
    return [_valid(data, index, known) for index in range(count)]


def _valid(data: bytes, index: int, known: dict[bytes, bytes]) -> bool:
    try:
        return bool(dkim.DKIM(data).verify(idx=index, dnsfunc=lambda name, timeout=5: known.get(name)))
    except dkim.DKIMException:
        return False


def opendkim(folder: Path, data: bytes) -> list[str]:
    """What OpenDKIM says of each signature; its keys come from a file instead of from DNS."""
    program = shutil.which("opendkim", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    if program is None:
        missing("needs opendkim (Debian: opendkim)")
    lines = [f"{name.decode().rstrip('.')} {text.decode()}\n" for name, text in records().items()]
    (folder / "keys").write_text("".join(lines), encoding="utf-8")
    (folder / "conf").write_text(f"TestPublicKeys {folder}/keys\nMode v\nSyslog no\nBaseDirectory {folder}\n", encoding="utf-8")
    (folder / "mail").write_bytes(data)
    command = [program, "-x", str(folder / "conf"), "-t", str(folder / "mail"), "-vv"]
    said = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    found = [line.strip() for line in said.stdout.splitlines() if line.strip().startswith("dkim=")]
    assert found, said.stderr
    return [line.removeprefix("dkim=").split()[0] for line in found]
