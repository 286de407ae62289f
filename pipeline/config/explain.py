"""Turning pydantic's complaints into lines that name file, key and fix."""

from __future__ import annotations

import difflib
import json
import os
import re
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from pipeline.errors import Problem

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_LONGEST = 80
_SECRETS = (("password",), ("user",), ("store", "url"), ("alerts", "ping"))
_TABLES = ("model_type", "model_attributes_type", "dict_type", "tuple_type")
"""Whoever writes a text where a table belongs may have written a password in it."""


def explain(name: str, error: ValidationError, model: type[BaseModel], below: Sequence[str] = ()) -> list[Problem]:
    """One problem for each complaint; ``below`` is where in the file ``model`` stands, when it is not the whole file."""
    problems = []
    for detail in error.errors(include_url=False):
        strange = detail["type"] == "extra_forbidden"  # the last part is then a key of the operator's, whatever it looks like
        parts, last = (detail["loc"][:-1], detail["loc"][-1:]) if strange else (detail["loc"], ())
        path = [str(part) for part in (*(part for part in parts if not _is_branch(part)), *last)]
        problems.append(Problem(_place(name, [*below, *path]), *_wording(detail, path, model)))
    return list(dict.fromkeys(problems))


def _is_branch(part: object) -> bool:
    """Pydantic names the branch of a union in the location; no key of ours looks like that."""
    return isinstance(part, str) and (part in ("bool", "int") or "[" in part)


def _place(name: str, path: list[str]) -> str:
    """File and key, or the environment variable that the value came from."""
    if name == "gazet.toml":
        variables = {variable.upper(): variable for variable in os.environ}
        for length in range(len(path), 0, -1):
            variable = "GAZET_" + "__".join(path[:length]).upper()
            if variable in variables and variable != "GAZET_SITE":  # that one names the folder
                return ": ".join(["environment", variables[variable], *_dotted(path[length:])])
    return ": ".join([name, *_dotted(path)])


def _dotted(path: list[str]) -> list[str]:
    """The key as TOML would write it, or nothing for a whole file."""
    return [".".join(part if _BARE_KEY.fullmatch(part) else json.dumps(part) for part in path)] if path else []


def _wording(detail: Any, path: list[str], model: type[BaseModel]) -> tuple[str, str]:
    kind = detail["type"]
    if kind == "extra_forbidden":
        return unknown_key(path[-1], _keys_at(model, path[:-1]))
    if kind == "missing":
        return "is missing", f"add a line {path[-1]} = …"
    if kind == "value_error":
        return _one_line(str(detail["ctx"]["error"])), ""
    message = detail["msg"].replace("Input should be", "should be").replace("Tuple", "The list")
    given = detail.get("input")
    secret = kind in _TABLES or any(tuple(path[-len(key) :]) == key for key in _SECRETS)
    if isinstance(given, str | int | float | bool) and not secret:
        message = f"{_shortened(repr(given))} {message}"
    return _one_line(message), ""


def unknown_key(key: str, known: Sequence[str]) -> tuple[str, str]:
    """What is wrong with a key that does not exist, and which one may have been meant."""
    close = difflib.get_close_matches(key, known, 1)
    return f"unknown key {json.dumps(_shortened(key))}", f'did you mean "{close[0]}"?' if close else "remove it"


def _one_line(text: str) -> str:
    return " ".join(text.split())[:400]


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"


def _keys_at(model: Any, path: list[str]) -> list[str]:
    """The keys that exist at a place of the settings, as written in TOML."""
    for part in path:
        if part.isdigit():
            continue
        field = getattr(model, "model_fields", {}).get(part)
        if field is None:
            return []
        types = [field.annotation, *getattr(field.annotation, "__args__", ())]
        model = next((kind for kind in types if isinstance(kind, type) and issubclass(kind, BaseModel)), None)
    fields = getattr(model, "model_fields", {})
    return [field.alias or name for name, field in fields.items() if name != "slug"]
