"""The files of a new site: settings, feeds/, and what systemd or a container needs to run it."""

from __future__ import annotations

import contextlib
import shlex
import sys
import tomllib
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from string import Template
from urllib.parse import urlsplit

from pipeline import __version__
from pipeline.config import quoted
from pipeline.errors import UsageError
from pipeline.jobs.trust import is_example

_HOMES = ("/home", "/root", "/run/user")
_DOCKERIGNORE = "# The store, the secret, passwords and addresses: never in an image.\n*\n!Containerfile\n!*.whl\n"
_GITIGNORE = "# The store, the secret, passwords and addresses: never in a repository.\nvar/\n"


def refuse_clone(folder: Path) -> None:
    """A site inside a clone of Gazet would be mixed up with its files, and lost with it. Raises UsageError."""
    for place in (folder, *folder.parents):
        if (place / "pipeline/__main__.py").is_file() and _is_ours(place / "pyproject.toml"):
            fix = f"Name a folder elsewhere, such as {Path.home() / 'news'} or /srv/news."
            raise UsageError(f"{folder} is inside a clone of Gazet.", fix=fix)


def example_address(url: str) -> bool:
    """Whether it is one of those that only stand for an address."""
    return is_example(urlsplit(url).hostname or "")


def _is_ours(path: Path) -> bool:
    try:
        return bool(tomllib.loads(path.read_text(encoding="utf-8"))["project"]["name"] == "gazet")
    except (OSError, ValueError, KeyError, TypeError):
        return False


def files(folder: Path, answers: dict[str, str]) -> dict[Path, str]:
    """Every file of the site by path; ``answers`` are title, url, contact, language and timezone. The settings come last."""
    values = {key: quoted(value) for key, value in answers.items()}
    values["example"] = ": put yours here" if example_address(answers["url"]) else ""
    program = gazet_words()
    service = {
        "title": " ".join(answers["title"].split()),
        "version": __version__,
        "site": shlex.quote(str(folder)),
        "var": shlex.quote(str(folder / "var")),
        "unit": shlex.quote(str(folder / "gazet.service")),
        "command": shlex.join(program),
        "exec_start": " ".join(_systemd(word).replace("$", "$$") for word in (*program, "run", "--site", str(folder))),
        "read_write": _systemd(str(folder / "var")),
        "protect_home": "read-only" if any(_below_home(path) for path in (str(folder), *program)) else "yes",
    }
    return {
        folder / "feeds/README.md": _starter("feeds-README.md", {}),
        folder / ".gitignore": _GITIGNORE,
        folder / ".dockerignore": _DOCKERIGNORE,
        folder / "gazet.service": _starter("gazet.service", service),
        folder / "Containerfile": _starter("Containerfile", service),
        folder / "gazet.toml": _starter("gazet.toml", values),
    }


def _starter(name: str, values: dict[str, str]) -> str:
    text = resources.files("pipeline.cli").joinpath("starter", name).read_text(encoding="utf-8")
    return Template(text).substitute(values) if values else text


def gazet_words() -> tuple[str, ...]:
    """The absolute words that start this Gazet, as a service must name it."""
    script = Path(sys.executable).with_name("gazet")
    return (str(script),) if script.is_file() else (sys.executable, "-m", "pipeline")


def _below_home(path: str) -> bool:
    return path.startswith(tuple(f"{home}/" for home in _HOMES))


def _systemd(word: str) -> str:
    """One word of a unit file (systemd.syntax(7), "Quoting"; systemd.unit(5), "Specifiers")."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"' if any(char in word for char in " \t'\";") else escaped


def write(folder: Path, contents: dict[Path, str], then: Callable[[], None]) -> list[Path]:
    """Write those that are not there yet, then call ``then``; whatever goes wrong, nothing of it stays. Returns the new ones."""
    made: list[Path] = []
    try:
        _make_folder(folder / "var", made)
        for path, text in contents.items():
            _make_folder(path.parent, made)
            if not path.exists():
                made.append(path)
                path.write_text(text, encoding="utf-8")
        then()
    except BaseException:
        for path in reversed(made):
            with contextlib.suppress(OSError):
                path.rmdir() if path.is_dir() else path.unlink()
        raise
    return [path for path in made if not path.is_dir()]


def _make_folder(folder: Path, made: list[Path]) -> None:
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    for place in reversed(missing):
        place.mkdir()
        made.append(place)
