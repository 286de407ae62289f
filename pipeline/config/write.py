"""Text as it stands in a TOML file."""

from __future__ import annotations


def quoted(text: str) -> str:
    """A basic string (TOML 1.0.0, "String"): whatever the text, reading it gives the text back. No lone surrogates."""
    escaped = (char if _plain(char) else f"\\U{ord(char):08x}" for char in text)
    return '"' + "".join(escaped) + '"'


def _plain(char: str) -> bool:
    return char.isprintable() and char not in '"\\'
