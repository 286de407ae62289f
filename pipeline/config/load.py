"""Reading and checking a whole site's settings."""

from __future__ import annotations

import os
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

from pipeline.config.dkim_files import read_keys
from pipeline.config.explain import explain, unknown_key
from pipeline.config.fields import slugify, valid_slug
from pipeline.config.sections import (
    OUTBOX,
    AlertSettings,
    CollectSettings,
    DigestSettings,
    DkimSettings,
    FeedbackSettings,
    FeedSettings,
    RelaySettings,
    Section,
    Settings,
    SiteSettings,
    SourceSettings,
    StoreSettings,
    SubscribeSettings,
    WebSettings,
)
from pipeline.config.watch import Fingerprint, fingerprint
from pipeline.errors import ConfigError, Problem

_RELAY_VARIABLE = re.compile(r"GAZET_RELAY__(.+)__(PASSWORD|USER)", re.IGNORECASE)
_FILE_TWINS = (("store", "url"), ("alerts", "ping"))
"""Keys whose value may be in a file of its own, named by the key with ``_file`` behind it."""


@dataclass(frozen=True, slots=True)
class _Variable:
    """``GAZET_RELAY__<NAME>__PASSWORD``: in ``<NAME>`` every ``-`` and ``.`` of the relay's name is a ``_``."""

    name: str
    relay: str
    key: str
    value: str

    def means(self, relay: object) -> bool:
        """Whether it is for the relay of that name."""
        return isinstance(relay, str) and re.sub(r"[.-]", "_", relay).upper() == self.relay


def _relay_variables() -> list[_Variable]:
    found = [(_RELAY_VARIABLE.fullmatch(name), value) for name, value in sorted(os.environ.items())]
    return [_Variable(match[0], match[1].upper(), match[2].lower(), value) for match, value in found if match]


class _Defaults(Section):
    digest: dict[str, Any] = Field(default_factory=dict)


class _SiteEnvironment(EnvSettingsSource):
    """``GAZET_SITE`` names the folder, not the ``[site]`` table; one relay's password has a variable of its own."""

    def _load_env_vars(self) -> Any:
        variables = super()._load_env_vars().items()
        return {name: value for name, value in variables if name != "gazet_site" and not _RELAY_VARIABLE.fullmatch(name)}

    def __call__(self) -> dict[str, Any]:
        return _with_numbers(super().__call__(), self.settings_cls)


def _with_numbers(values: dict[str, Any], model: type[BaseModel]) -> dict[str, Any]:
    """In the environment every value is text; where a number belongs, digits become one."""
    for name, value in values.items():
        field = model.model_fields.get(name)
        kind: Any = field.annotation if field else None
        if isinstance(value, dict):
            inner = DigestSettings if model is _Defaults else kind
            values[name] = _with_numbers(value, inner) if isinstance(inner, type) and issubclass(inner, BaseModel) else value
        elif kind is int and isinstance(value, str) and re.fullmatch(r"[0-9]{1,18}", value.strip()):
            values[name] = int(value)
    return values


class _SiteFile(BaseSettings):
    model_config = SettingsConfigDict(
        extra="forbid", frozen=True, validate_default=False, env_prefix="GAZET_", env_nested_delimiter="__"
    )

    site: SiteSettings
    store: StoreSettings = StoreSettings()
    relay: tuple[RelaySettings, ...] = ()
    dkim: tuple[DkimSettings, ...] = ()
    collect: CollectSettings = CollectSettings()
    web: WebSettings = WebSettings()
    alerts: AlertSettings = AlertSettings()
    subscribe: SubscribeSettings = SubscribeSettings()
    feedback: FeedbackSettings = FeedbackSettings()
    defaults: _Defaults = _Defaults()

    @model_validator(mode="before")
    @classmethod
    def _environment_wins(cls, values: dict[str, Any]) -> dict[str, Any]:
        """A password from the environment for one relay, and a URL from there, stand before the file that has one too."""
        relays, variables = values.get("relay"), {name.upper() for name in os.environ}
        if isinstance(relays, list):
            values = {**values, "relay": [_with_variables(relay) if isinstance(relay, dict) else relay for relay in relays]}
        for table, key in _FILE_TWINS:
            if f"GAZET_{table}__{key}".upper() in variables and isinstance(values.get(table), dict):
                values = {**values, table: {**values[table], f"{key}_file": ""}}
        return values

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (_SiteEnvironment(settings_cls), init_settings)


def _with_variables(relay: dict[str, Any]) -> dict[str, Any]:
    own = {variable.key: variable.value for variable in _relay_variables() if variable.means(relay.get("name"))}
    return {**relay, **own, **({"password_file": ""} if "password" in own else {})}


def load(folder: Path) -> Settings:
    """Read and check the whole site. Raises ConfigError with every mistake found, in the order of files and keys."""
    folder = folder.absolute()
    path = folder / "gazet.toml"
    if not path.exists():
        raise ConfigError(
            [Problem(str(path), "this file is missing", 'make a site here with "gazet init", or name one with --site DIR')]
        )
    before = fingerprint(folder)  # a file that is written while it is read differs the next time
    problems: list[Problem] = []
    document = _read_toml(path, "gazet.toml", problems)
    site = _check_site(path, document, problems) if document is not None else None
    dkim_keys = read_keys(site.dkim, folder, problems) if site is not None and site.dkim else {}
    feeds = _read_feeds(folder, _shared(document, site, problems), problems)
    if site is None or problems:
        raise ConfigError(problems)
    tables = {name: getattr(site, name) for name in _SiteFile.model_fields if name != "defaults"}
    settings = Settings(folder=folder, **tables, feeds=feeds, dkim_keys=dkim_keys)
    named = [entry for entry in current_files(settings) if entry[0] in settings.named_files()]
    return settings.model_copy(update={"files": tuple(sorted({*before, *named}))})


def current_files(settings: Settings) -> Fingerprint:
    """As ``settings.files`` would be if they were read now: where the two differ, something was edited."""
    return fingerprint(settings.folder, settings.named_files())


def names_other_store(settings: Settings) -> bool:
    """Whether the files name another store by now: what is written to this one, the next process will not see."""
    if current_files(settings) == settings.files:
        return False
    try:
        return load(settings.folder).store.url != settings.store.url
    except ConfigError:  # nothing can be started with these either
        return False


@dataclass(frozen=True, slots=True)
class _Shared:
    """What feeds inherit from ``gazet.toml``."""

    language: str
    digest: dict[str, Any]


def _shared(document: dict[str, Any] | None, site: _SiteFile | None, problems: list[Problem]) -> _Shared:
    """Also from a file with mistakes, so that those of the feeds are found in the same run.

    A mistake in ``[defaults.digest]`` is one mistake, however many feeds inherit it: they get none of it then.
    """
    defaults = (document or {}).get("defaults")
    digest = site.defaults.digest if site else defaults.get("digest") if isinstance(defaults, dict) else None
    language = site.site.language if site else "en"
    if not isinstance(digest, dict):
        return _Shared(language, {})
    try:
        DigestSettings(**digest)
    except ValidationError as error:
        problems += explain("gazet.toml", error, DigestSettings, ("defaults", "digest"))
        return _Shared(language, {})
    return _Shared(language, digest)


def _check_site(path: Path, document: dict[str, Any], problems: list[Problem]) -> _SiteFile | None:
    problems += _strange_variables()
    # Keys of this kind would be taken for options of BaseSettings itself.
    strange = [key for key in document if key.startswith("_")]
    problems += [Problem(f"gazet.toml: {key}", *unknown_key(key, ())) for key in strange]
    try:
        site = _SiteFile(**{key: value for key, value in document.items() if key not in strange})
    except ValidationError as error:
        problems += explain("gazet.toml", error, _SiteFile)
        return None
    except SettingsError as error:
        problems.append(Problem(f"environment: {_variable_in(str(error))}", "is not JSON", "a list or a table is written as JSON"))
        return None
    _check_relays(site.relay, path.parent, problems)
    _check_feedback(site.feedback, path.parent, problems)
    return _with_file_twins(site, path.parent, problems)


def _with_file_twins(site: _SiteFile, folder: Path, problems: list[Problem]) -> _SiteFile:
    """The values that are in files of their own (secrets, as a container gets them) put where they belong."""
    tables: dict[str, Any] = {}
    for table, key in _FILE_TWINS:
        section = getattr(site, table)
        name = getattr(section, f"{key}_file")
        if not name:
            continue
        where = f"gazet.toml: {table}.{key}_file"
        if key in section.model_fields_set:
            problems.append(Problem(where, f"{table}.{key} is there too", "keep one of the two"))
            continue
        value = _read_secret(folder / name, where, problems)
        try:
            tables[table] = type(section)(**{**section.model_dump(exclude_unset=True), key: value}) if value else section
        except ValidationError as error:
            problems += [Problem(where, f"what {name} holds {_saying(one)}") for one in error.errors()]
    return site.model_copy(update=tables)


def _saying(detail: Any) -> str:
    return str(detail["ctx"]["error"]) if detail["type"] == "value_error" else "cannot be used"


def _read_secret(path: Path, where: str, problems: list[Problem]) -> str:
    """The one line of a secret's file; empty with a problem when there is none."""
    try:
        value = path.read_text(encoding="utf-8").strip()
    except UnicodeDecodeError:
        problems.append(Problem(where, f"{path} is not UTF-8 text"))
    except OSError as error:
        problems.append(Problem(where, f"{path} cannot be read: {error.strerror}", "paths are relative to the site folder"))
    else:
        if value:
            return value
        problems.append(Problem(where, f"{path} is empty"))
    return ""


def _strange_variables() -> list[Problem]:
    """``GAZET_STROE__URL`` would be ignored in silence; a name without ``__`` may belong to another program."""
    tables = list(_SiteFile.model_fields)
    problems = []
    for name in sorted(os.environ):
        table, deeper, _ = name.upper().removeprefix("GAZET_").lower().partition("__")
        if name.upper().startswith("GAZET_") and deeper and table not in tables:
            problems.append(Problem(f"environment: {name}", *unknown_key(table, tables)))
    return problems


def _strangers_variables(relays: tuple[RelaySettings, ...]) -> list[Problem]:
    """A password for a relay that does not exist would be ignored in silence."""
    known = ", ".join(relay.name for relay in relays) or "none"
    return [
        Problem(f"environment: {variable.name}", "there is no relay of that name", f"relays here: {known}")
        for variable in _relay_variables()
        if not any(variable.means(relay.name) for relay in relays)
    ]


def _variable_in(message: str) -> str:
    """The variables that belong to the table which pydantic-settings names in its message."""
    table = re.search(r'field "(\w+)"', message)
    start = f"GAZET_{table[1] if table else ''}".upper()
    return ", ".join(name for name in sorted(os.environ) if name.upper().startswith(start) and name.upper() != "GAZET_SITE")


def _check_relays(relays: tuple[RelaySettings, ...], folder: Path, problems: list[Problem]) -> None:
    problems += _strangers_variables(relays)
    names = [relay.name for relay in relays]
    for index, relay in enumerate(relays):
        where = f"gazet.toml: relay.{index}"
        if names.index(relay.name) < index or relay.name == OUTBOX:
            problems.append(Problem(f"{where}.name", f'"{relay.name}" is taken', "give each relay a name of its own"))
        for key in ("password_file", "ca_file"):
            name = getattr(relay, key)
            if name and not _is_file(folder / name):
                problems.append(Problem(f"{where}.{key}", f"{name} does not exist", "paths are relative to the site folder"))


def _check_feedback(feedback: FeedbackSettings, folder: Path, problems: list[Problem]) -> None:
    for key in ("password_file", "ca_file"):
        name = getattr(feedback, key)
        if name and not _is_file(folder / name):
            problems.append(
                Problem(f"gazet.toml: feedback.{key}", f"{name} does not exist", "paths are relative to the site folder")
            )


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is too long, a folder that may not be looked into
        return False


def _read_feeds(folder: Path, shared: _Shared, problems: list[Problem]) -> dict[str, FeedSettings]:
    feeds: dict[str, FeedSettings] = {}
    # Of two that differ only in case, the one in lower case comes first: it is the other that is wrong.
    files = sorted(_feed_files(folder / "feeds", problems), key=lambda path: (path.name.casefold(), path.name.swapcase()))
    by_folded: dict[str, str] = {}
    for path in files:
        name = f"feeds/{path.name}"
        twin = by_folded.setdefault(path.stem.casefold(), name)
        if twin != name:
            problems.append(Problem(name, f"differs from {twin} only in case", "rename or remove one of the two"))
        elif not _is_slug(path.stem):
            problems.append(Problem(name, "a feed file's name may hold a-z, 0-9 and -", f"call it {slugify(path.stem)}.toml"))
        elif (feed := _read_feed(path, name, shared, problems)) is not None:
            feeds[feed.slug] = feed
    _check_aliases(feeds, problems)
    _check_shared_sources(feeds, problems)
    return feeds


def _feed_files(folder: Path, problems: list[Problem]) -> list[Path]:
    """A folder that cannot be listed is a mistake: as an empty one it would take every feed away."""
    try:
        # Hidden files are an editor's: Emacs puts a broken link .#news.toml beside a file it edits.
        return [path for path in folder.iterdir() if path.suffix == ".toml" and not path.name.startswith(".")]
    except FileNotFoundError:
        return []
    except OSError as error:
        problems.append(Problem("feeds/", f"cannot be read: {error.strerror}", "correct the rights of the folder"))
        return []


def _read_feed(path: Path, name: str, shared: _Shared, problems: list[Problem]) -> FeedSettings | None:
    document = _read_toml(path, name, problems)
    if document is None:
        return None
    if "slug" in document:
        problems.append(Problem(f"{name}: slug", "the file's name is the slug", "remove this line"))
        return None
    own = document.get("digest", {})
    if isinstance(own, dict):
        document["digest"] = {**shared.digest, **own}
    document.setdefault("language", shared.language)
    try:
        return FeedSettings(slug=path.stem, **document)
    except ValidationError as error:
        problems += explain(name, error, FeedSettings)
        return None


def _is_slug(name: str) -> bool:
    try:
        return bool(valid_slug(name))
    except ValueError:
        return False


def _check_aliases(feeds: dict[str, FeedSettings], problems: list[Problem]) -> None:
    owner = {slug: slug for slug in feeds}
    for feed in feeds.values():
        for alias in feed.aliases:
            if alias in owner:
                fix = f"remove it here, or remove feeds/{alias}.toml" if alias in feeds and alias != feed.slug else "name it once"
                what = f'"{alias}" already names the feed {owner[alias]}'
                problems.append(Problem(f"feeds/{feed.slug}.toml: aliases", what, fix))
            owner.setdefault(alias, feed.slug)


def _check_shared_sources(feeds: dict[str, FeedSettings], problems: list[Problem]) -> None:
    """One URL in several feeds is polled once, so it must be read in one way."""
    seen: dict[str, tuple[str, SourceSettings]] = {}
    for feed in feeds.values():
        for index, source in enumerate(feed.source):
            slug, first = seen.setdefault(source.url, (feed.slug, source))
            if first != source:
                where = f"feeds/{feed.slug}.toml: source.{index}"
                problems.append(Problem(where, f"{source.url} has other settings in feeds/{slug}.toml", "make them the same"))


def _read_toml(path: Path, name: str, problems: list[Problem]) -> dict[str, Any] | None:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError:
        problems.append(Problem(name, "is not UTF-8 text", "save it as UTF-8"))
    except ValueError as error:  # TOMLDecodeError, and Python's own for a number of thousands of digits
        problems.append(Problem(name, f"is not TOML: {' '.join(str(error).split())}", "texts need quotes, tables [brackets]"))
    except RecursionError:
        problems.append(Problem(name, "is nested too deeply"))
    except OSError as error:
        problems.append(Problem(name, f"cannot be read: {error.strerror}"))
    return None
