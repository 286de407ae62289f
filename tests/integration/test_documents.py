"""What the documents say is so: settings in them load, commands in them are commands, links in them lead somewhere."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer

from pipeline import config
from pipeline.cli.commands import app
from tests.signatures import pem

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_COMMAND = re.compile(r"(?:^|\s|/bin/)gazet ((?:--|[a-z]).*)$")
_OTHERS = re.compile(r"\b(?:alias|pip|pipx|systemctl|journalctl|useradd|chown|cp|install|rsync)\b")
_SITE = '[site]\ntitle = "x"\nurl = "https://nieuws.example.net"\ncontact = "a@example.net"\n'
_SECRETS = {"url": "sqlite:///var/gazet.db", "ping": "https://ping.example.net/x"}
_FEED = 'title = "x"\n[[source]]\nurl = "https://www.example.org/"\n'


def blocks(*languages: str) -> list[tuple[str, str]]:
    """Every block of these languages, with where it stands."""
    found = []
    for path in DOCUMENTS:
        text = path.read_text(encoding="utf-8")
        here = [match for match in _BLOCK.finditer(text) if match[1] in languages]
        found += [(f"{path.name}:{text.count(chr(10), 0, match.start()) + 2}", match[2]) for match in here]
    return found


@pytest.mark.parametrize(("where", "text"), blocks("toml"), ids=lambda value: value if ":" in value[:40] else "")
def test_settings_in_the_documents_load(where: str, text: str, tmp_path: Path) -> None:
    """The first line of a block names its file; a piece of gazet.toml needs its [site], files with secrets must be there."""
    (tmp_path / "feeds").mkdir()
    (tmp_path / "feeds/news.toml").write_text(_FEED, encoding="utf-8")
    name = text.partition("\n")[0].removeprefix("# ").strip()
    if name.startswith("feeds/"):
        (tmp_path / "gazet.toml").write_text(_SITE, encoding="utf-8")
        (tmp_path / "feeds/news.toml").unlink()
        (tmp_path / name).write_text(text, encoding="utf-8")
    else:
        assert name == "gazet.toml", f"{where}: the first line must say which file this is"
        (tmp_path / name).write_text(text if "[site]" in text else _SITE + text, encoding="utf-8")
    for key, secret in re.findall(r'^(\w+)_file = "([^"]+)"', text, re.MULTILINE):
        path = tmp_path / secret.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text({**_SECRETS, "key": pem("ed25519").decode()}.get(key, "secret"), encoding="utf-8")
        toml = tmp_path / "gazet.toml"
        toml.write_text(toml.read_text(encoding="utf-8").replace(f'"{secret}"', f'"{secret.lstrip("/")}"'), encoding="utf-8")
    loaded = config.load(tmp_path)
    if "[[relay]]" in text:
        [relay] = loaded.relay
        assert not relay.on_loopback, "an example for real mail"


def commands() -> list[tuple[str, list[str]]]:
    """Every line of a shell, console or cron block that runs gazet."""
    found = []
    for where, text in blocks("sh", "console", "cron"):
        for line in text.splitlines():
            said = line.removeprefix("$ ").partition("  #")[0].partition(" >")[0]
            typed = line.startswith("$ ") or not text.startswith("$ ")
            match = _COMMAND.search(said)
            if typed and match and not _OTHERS.search(said.partition("gazet ")[0]):
                found.append((where, shlex.split(match[1])))
    return found


@pytest.mark.parametrize(("where", "words"), commands(), ids=lambda value: " ".join(value) if isinstance(value, list) else value)
def test_commands_in_the_documents_are_commands(where: str, words: list[str]) -> None:
    """They parse, with every option and argument; nothing is run."""
    command, group = typer.main.get_command(app), []
    while getattr(command, "commands", None):
        if words[:1] == ["--site"]:
            words = words[2:]
            continue
        if words[:1] == ["--version"]:
            return
        assert words, f"{where}: {group} is no command"
        assert words[0] in command.commands, f"{where}: there is no {words[0]}"
        command, group, words = command.commands[words[0]], [*group, words[0]], words[1:]
    command.make_context(" ".join(group), list(words))


def slug(heading: str) -> str:
    """The anchor that GitHub and Forgejo make of a heading."""
    plain = re.sub(r"&lt;|&gt;|`", "", heading.lower())
    return re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")


def links() -> list[tuple[Path, str]]:
    return [
        (path, target)
        for path in DOCUMENTS
        for target in re.findall(r"\]\(([^)\s]+)\)", _BLOCK.sub("", path.read_text(encoding="utf-8")))
        if "://" not in target
    ]


@pytest.mark.parametrize(("path", "target"), links(), ids=lambda value: value.name if isinstance(value, Path) else value)
def test_links_between_documents_lead_somewhere(path: Path, target: str) -> None:
    name, _, anchor = target.partition("#")
    aim = (path.parent / name) if name else path
    assert aim.exists(), target
    if anchor:
        headings = re.findall(r"^#+ (.+)$", _BLOCK.sub("", aim.read_text(encoding="utf-8")), re.MULTILINE)
        assert anchor in {slug(heading) for heading in headings}, target
