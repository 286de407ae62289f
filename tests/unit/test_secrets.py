"""Passwords and addresses that are keys come from files or the environment, and are never shown."""

from __future__ import annotations

import traceback
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline import config
from pipeline.errors import ConfigError
from tests.unit.test_config import FEED, SITE, load, problems

SECRET = "Geheim-7hK2"
RELAY = '[[relay]]\nname = "mail.one-a"\nhost = "mail.example.org"\n'


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GAZET_SITE", raising=False)


def test_a_value_may_stand_in_a_file_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "store-url").write_text(f"postgresql+psycopg://gazet:{SECRET}@db/gazet\n", encoding="utf-8")
    (tmp_path / "ping").write_text(f"https://ping.example.org/{SECRET}\n", encoding="utf-8")
    loaded = load(tmp_path, SITE + '[store]\nurl_file = "store-url"\n[alerts]\nping_file = "ping"\n', po=FEED)
    assert loaded.store.url == f"postgresql+psycopg://gazet:{SECRET}@db/gazet"
    assert loaded.alerts.ping == f"https://ping.example.org/{SECRET}"
    assert SECRET not in repr(loaded) + str(loaded)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read: No such file"),
        (b"", "is empty"),
        (b"\xff", "is not UTF-8 text"),
        (f"postgres://u:{SECRET}@db/x".encode(), 'should begin with "postgresql+psycopg://"'),
        (f"postgresql+psycopg://u:{SECRET}@x@db/x".encode(), "write one inside the password as %40"),
        (f"postgresql+psycopg://db/x?user=u&password={SECRET}".encode(), "write it as user:password@host"),
        (f"{SECRET}\n{SECRET}".encode(), "holds a line break"),
    ],
)
def test_a_file_that_cannot_be_used_is_a_mistake_of_its_key(tmp_path: Path, content: bytes | None, said: str) -> None:
    if content is not None:
        (tmp_path / "store-url").write_bytes(content)
    [line] = problems(tmp_path, SITE + '[store]\nurl_file = "store-url"\n', po=FEED)
    assert line.startswith("gazet.toml: store.url_file: ")
    assert said in line
    assert SECRET not in line


def test_a_value_and_its_file_at_once_are_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("https://ping.example.org/", encoding="utf-8")
    [line] = problems(tmp_path, SITE + f'[alerts]\nping = "https://{SECRET}.example.org/"\nping_file = "x"\n')
    assert line == "gazet.toml: alerts.ping_file: alerts.ping is there too (keep one of the two)"


def test_the_environment_stands_before_a_file_and_before_a_secrets_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GAZET_STORE__URL", "sqlite:///var/other.db")
    monkeypatch.setenv("GAZET_ALERTS__PING", f"https://ping.example.org/{SECRET}")
    monkeypatch.setenv("GAZET_RELAY__MAIL_ONE_A__PASSWORD", SECRET)
    monkeypatch.setenv("GAZET_RELAY__MAIL_ONE_A__USER", "token")
    files = '[store]\nurl_file = "gone"\n[alerts]\nping_file = "gone"\n'
    loaded = load(tmp_path, SITE + files + RELAY + 'password_file = "gone"\n', po=FEED)
    assert loaded.store.url == "sqlite:///var/other.db"
    assert loaded.alerts.ping.endswith(SECRET)
    assert (loaded.relay[0].password.get_secret_value(), loaded.relay[0].password_file) == (SECRET, "")
    assert loaded.relay[0].user == "token"
    assert SECRET not in repr(loaded)
    assert loaded.named_files() == ["var/secret"]


def test_a_password_for_a_relay_that_is_not_there_is_a_mistake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GAZET_RELAY__OTHER__PASSWORD", SECRET)
    [line] = problems(tmp_path, SITE + RELAY)
    assert line == "environment: GAZET_RELAY__OTHER__PASSWORD: there is no relay of that name (relays here: mail.one-a)"


PLACES = [
    '[[relay]]\nname = "a"\nhost = "h"\npassword = {0}\n',
    '[[relay]]\nname = "a"\nhost = "h"\nuser = {0}\npassword = {0}\nport = "x"\n',
    "[store]\nurl = {0}\n",
    "[alerts]\nping = {0}\n",
    "[alerts]\nping = [{0}]\n",
    "relay = {0}\n",
    "relay = [{0}]\n",
    "[relay]\npassword = {0}\n",
    "store = {0}\n",
]
WAYS = ["{0}", "postgres://u:{0}@db/x", "postgresql+psycopg://u:{0}@x@db/x", "ftp://{0}@x/", "https://u:{0}@x/", "{0}\n", "{0}\x00"]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    place=st.sampled_from(PLACES),
    way=st.sampled_from(WAYS),
    number=st.booleans(),
    broken=st.sampled_from(["", "x = [\n", "y = 1\n"]),
)
def test_no_mistake_and_no_traceback_shows_a_secret(tmp_path: Path, place: str, way: str, number: bool, broken: str) -> None:
    (tmp_path / "feeds").mkdir(exist_ok=True)
    secret = "7726354401" if number else SECRET
    value = secret if number else config.quoted(way.format(secret))
    text = place.format(value)
    (tmp_path / "gazet.toml").write_text(text + SITE + broken if text.startswith(("relay", "store")) else SITE + text + broken)
    try:
        shown = repr(config.load(tmp_path))
    except ConfigError as error:
        shown = "".join(traceback.format_exception(error)) + repr(error.problems)
    assert secret not in shown


def test_json_in_the_environment_is_not_shown_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for value in (
        f'[{{"name": "a", "password": "{SECRET}"',
        f'"{SECRET}"',
        f'["{SECRET}"]',
        f'[{{"name": "a", "password": ["{SECRET}"]}}]',
    ):
        monkeypatch.setenv("GAZET_RELAY", value)
        said = "".join(problems(tmp_path, SITE))
        assert said
        assert SECRET not in said
