"""Turning pydantic's complaints into lines that name file, key and fix."""

from __future__ import annotations

import difflib
import os
from collections.abc import Set
from typing import Any

from pydantic import BaseModel, ValidationError

from pipeline.errors import Problem


def explain(name: str, error: ValidationError, model: type[BaseModel], inherited: Set[str] = frozenset()) -> list[Problem]:
    """One problem for each complaint. ``inherited`` are digest keys that come from ``[defaults.digest]`` of gazet.toml."""
    problems = []
    for detail in error.errors(include_url=False):
        path = [str(part) for part in detail["loc"] if not _is_branch(part)]
        where = f"{name}: {'.'.join(path)}" if path else name
        if len(path) == 2 and path[0] == "digest" and path[1] in inherited:
            where = f"gazet.toml: defaults.{'.'.join(path)}"
        variable = "GAZET_" + "__".join(path).upper()
        if name == "gazet.toml" and variable in os.environ:
            where = f"environment: {variable}"
        problems.append(Problem(where, *_wording(detail, path, model)))
    return problems


def _is_branch(part: object) -> bool:
    """Pydantic names the branch of a union in the location; no key of ours looks like that."""
    return isinstance(part, str) and (part in ("bool", "int") or "[" in part)


def _wording(detail: Any, path: list[str], model: type[BaseModel]) -> tuple[str, str]:
    kind = detail["type"]
    if kind == "extra_forbidden":
        close = difflib.get_close_matches(path[-1], _keys_at(model, path[:-1]), 1)
        return f'unknown key "{path[-1]}"', f'did you mean "{close[0]}"?' if close else "remove it"
    if kind == "missing":
        return "is missing", f"add a line {path[-1]} = …"
    if kind == "value_error":
        return str(detail["ctx"]["error"]), ""
    message = detail["msg"].replace("Input should be", "should be")
    given = detail.get("input")
    return f"{given!r} {message}" if isinstance(given, str | int | float | bool) else message, ""


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
