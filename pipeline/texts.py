"""Everything a person reads: templates, translations and dates.

    templates/NAME ─┐
                    ├─▶ Texts.render(NAME, language, …) ─▶ text
    locale/*.po ────┘

A site's own ``templates/NAME`` replaces the built-in one; its ``templates/locale/nl.po`` is asked before the built-in
one. Messages are English in the templates, so English needs no catalogue.
"""

from __future__ import annotations

import functools
import gettext
import hashlib
import traceback
from collections.abc import Callable
from datetime import datetime
from io import BytesIO
from pathlib import Path
from zoneinfo import ZoneInfo

import babel
from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_time
from babel.messages.mofile import write_mo
from babel.messages.pofile import PoFileError, read_po
from jinja2 import Environment, FunctionLoader, StrictUndefined, TemplateSyntaxError, select_autoescape

from pipeline.errors import TemplateFault
from pipeline.models import Precision

_BUILT_IN = (Path(__file__).parent / "templates", Path(__file__).parent.parent / "templates")


class Texts:
    """All templates and catalogues in force, read once: what a fingerprint names is what is rendered.

    ``folder`` is the site's; None: only what is built in. Changed templates count from the next ``Texts`` on.
    """

    def __init__(self, folder: Path | None) -> None:
        self._files: dict[str, tuple[Path, bytes]] = {}
        self._catalogues: dict[str, list[tuple[Path, bytes]]] = {}
        for root in [_built_in(), *([folder / "templates"] if folder else [])]:
            self._read(root)
        self._environments: dict[str, Environment] = {}

    def _read(self, root: Path) -> None:
        """Take in a folder; what is read later is preferred."""
        for path in sorted(root.rglob("*.j2")):
            self._files[path.relative_to(root).as_posix()] = (path, path.read_bytes())
        for path in sorted(root.glob("locale/*.po")):
            self._catalogues.setdefault(_tag(path.stem), []).insert(0, (path, path.read_bytes()))

    def fingerprint(self) -> str:
        """A hash of everything that is not a value: templates, catalogues, and Babel's own data (by version)."""
        digest = hashlib.sha256(babel.__version__.encode())
        entries = [(name, data) for name, (_path, data) in self._files.items()]
        entries += [(tag, data) for tag, found in self._catalogues.items() for _path, data in found]
        for name, data in sorted(entries):
            digest.update(f"\0{name}\0{len(data)}\0".encode() + data)
        return digest.hexdigest()

    def languages(self) -> tuple[str, ...]:
        """The languages that there are texts in: English, and those with a catalogue."""
        return tuple(sorted({"en", *self._catalogues}))

    def render(self, template: str, language: str, /, **values: object) -> str:
        """One template in one language; ``language`` and ``direction`` (ltr, rtl) are among its values.

        A language without a catalogue falls back on its base language, then on English. Raises TemplateFault for a
        template that is missing, does not parse, or fails on these values.
        """
        environment = self._environment(language)
        own = {"language": language, "direction": _locale(language).text_direction}
        try:
            return environment.get_template(template).render({**own, **values})
        except TemplateFault:
            raise
        except TemplateSyntaxError as error:
            raise TemplateFault(error.filename or template, error.message or "cannot be parsed", line=error.lineno) from None
        except Exception as error:  # a template is the operator's code: whatever it raises is its fault
            place, line = self._where(error, template)
            raise TemplateFault(place, f"{type(error).__name__}: {error}", line=line) from None

    def _environment(self, language: str) -> Environment:
        if language not in self._environments:
            environment = Environment(
                loader=FunctionLoader(self._source),
                autoescape=select_autoescape(("html.j2", "mjml.j2")),
                undefined=StrictUndefined,
                extensions=["jinja2.ext.i18n"],
                trim_blocks=True,
                lstrip_blocks=True,
                keep_trailing_newline=True,
            )
            environment.filters.update(date=_date, machine_date=_machine_date, language_name=_language_name)
            install: Callable[..., None] = environment.install_gettext_translations  # type: ignore[attr-defined]
            install(self._translations(language), newstyle=True)
            self._environments[language] = environment
        return self._environments[language]

    def _source(self, name: str) -> tuple[str, str, Callable[[], bool]] | None:
        if name not in self._files:
            return None
        path, data = self._files[name]
        return _decoded(path, data), str(path), lambda: True

    def _translations(self, language: str) -> gettext.NullTranslations:
        chain = gettext.NullTranslations()
        for tag in reversed(_fallbacks(language)):
            for path, data in reversed(self._catalogues.get(tag, [])):
                found = _catalogue(path, data)
                found.add_fallback(chain)
                chain = found
        return chain

    def _where(self, error: Exception, template: str) -> tuple[str, int | None]:
        """The template and line where an error arose; Jinja puts them into the traceback."""
        paths = {str(path) for path, _data in self._files.values()}
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename in paths]
        if frames:
            return frames[-1].filename, frames[-1].lineno
        return (str(self._files[template][0]) if template in self._files else template), None


def _built_in() -> Path:
    """The folder of the built-in templates: in the wheel, else at the root of a checkout."""
    return next(path for path in _BUILT_IN if (path / "digest.mjml.j2").is_file())


def _decoded(path: Path, data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise TemplateFault(str(path), "is not UTF-8 text", line=line) from None


def _catalogue(path: Path, data: bytes) -> gettext.GNUTranslations:
    _decoded(path, data)
    try:
        catalogue = read_po(BytesIO(data), abort_invalid=True)
        compiled = BytesIO()
        write_mo(compiled, catalogue)
        return gettext.GNUTranslations(BytesIO(compiled.getvalue()))
    except PoFileError as error:
        raise TemplateFault(str(path), str(error.args[0]), line=error.lineno) from None
    except (ValueError, LookupError) as error:
        raise TemplateFault(str(path), str(error)) from None


def _tag(language: str) -> str:
    return language.replace("_", "-").casefold()


def _fallbacks(language: str) -> list[str]:
    tag = _tag(language)
    return list(dict.fromkeys([tag, tag.split("-")[0], "en"]))


@functools.lru_cache(maxsize=256)
def _locale(language: str) -> Locale:
    for tag in (language.replace("_", "-"), *_fallbacks(language)):
        try:
            return Locale.parse(tag, sep="-")
        except (UnknownLocaleError, ValueError):
            continue
    return Locale("en")


def _date(at: datetime, precision: Precision, language: str, zone: str) -> str:
    """``22 mei 2019``, and with a time ``22 mei 2019 14:05``."""
    local, locale = at.astimezone(ZoneInfo(zone)), _locale(language)
    day = format_date(local, "long", locale=locale)
    if precision == Precision.DAY:
        return day
    clock = format_time(local, "short", tzinfo=ZoneInfo(zone), locale=locale)
    return f"{day} {clock}".replace("\u202f", "\xa0")


def _language_name(tag: str) -> str:
    """A language's name in itself, such as "Nederlands"; the tag where nobody knows it."""
    try:
        name = Locale.parse(tag.replace("_", "-"), sep="-").get_display_name()
    except (UnknownLocaleError, ValueError):
        return tag
    return name[:1].upper() + name[1:] if name else tag


def _machine_date(at: datetime, precision: Precision, zone: str) -> str:
    """The same for ``<time datetime>`` (HTML §4.5.14): a date alone, or with the time and its offset."""
    local = at.astimezone(ZoneInfo(zone))
    return local.date().isoformat() if precision == Precision.DAY else local.isoformat(timespec="minutes")
