"""Settings as the process that reads them gets them: the same names and values, without pydantic and its 15 MB."""

from __future__ import annotations

from typing import Any


class PlainSettings:
    """One table of the settings: its keys are attributes, and nothing else is there."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.__dict__.update(values)

    def model_copy(self, *, update: dict[str, Any]) -> PlainSettings:
        """As pydantic's: the same table with some values replaced."""
        return PlainSettings(self.__dict__ | update)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"settings never change: {name}")


def plain_settings(values: dict[str, Any]) -> PlainSettings:
    """What a pickled table of settings becomes."""
    return PlainSettings(values)
