"""The files of ``[[dkim]]``: each holds a private key that can sign."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import SecretBytes

from pipeline.config.sections import DkimSettings
from pipeline.errors import Problem

_LARGEST = 100_000
_MAKE = '"gazet dkim new --selector ANOTHER" makes one that is right'


def read_keys(tables: Sequence[DkimSettings], folder: Path, problems: list[Problem]) -> dict[str, SecretBytes]:
    """What the files hold, by their names in the settings; those with a mistake are named among the problems."""
    found: dict[str, SecretBytes] = {}
    for index, table in enumerate(tables):
        where = f"gazet.toml: dkim.{index}"
        if any(_same_place(table, other) for other in tables[:index]):
            fix = "give each key a selector of its own: each has a record of its own in DNS"
            problems.append(Problem(f"{where}.selector", f'"{table.selector}" is taken', fix))
        try:
            found[table.key_file] = _read(folder / table.key_file)
        except OSError as error:
            fix = 'paths are relative to the site folder; "gazet dkim new" makes a key'
            problems.append(Problem(f"{where}.key_file", f"{table.key_file} cannot be read: {error.strerror}", fix))
        except ValueError as error:
            problems.append(Problem(f"{where}.key_file", f"what {table.key_file} holds {error}", _MAKE))
    return found


def _same_place(one: DkimSettings, other: DkimSettings) -> bool:
    return one.selector.lower() == other.selector.lower() and (one.domain == other.domain or "" in (one.domain, other.domain))


def _read(path: Path) -> SecretBytes:
    from pipeline.config.signing_key import parse_key  # only who signs pays for it

    with path.open("rb") as file:
        pem = file.read(_LARGEST)
    parse_key(pem)
    return SecretBytes(pem)
