"""The log of the commands that run long: coloured lines on a terminal, elsewhere JSON, one object to a line.

An object has ``timestamp`` (ISO 8601, UTC), ``level``, ``event`` (one stable word), ``message`` (the line a person would read)
and the facts by name, such as ``feed``, ``edition`` and ``source``. What libraries log goes the same way.
No address, token or password gets into either form, and nothing that steers a terminal (promise 7).
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import typer

from pipeline.cli.options import showable
from pipeline.errors import GazetError

if TYPE_CHECKING:
    from structlog.typing import EventDict

    from pipeline.config import Settings

_QUIET = {"uvicorn": logging.WARNING, "apscheduler": logging.WARNING, "alembic": logging.WARNING}
_COLOURS = {"warning": "\x1b[33m", "error": "\x1b[31m", "critical": "\x1b[31;1m"}
_PLAIN = "\x1b[0m"
_SHORTEST_SECRET = 4
"""What is shorter than this cannot be told from ordinary words."""

# Anchored at the start of a word and possessive, so that no line takes quadratic time.
_ADDRESS = re.compile(r"""(?:"[^"\n]{1,64}"|(?<![^\s<>()\[\],;:"@/=?&'])[^\s<>()\[\],;:"@/=?&']++)@""")
_USERINFO = re.compile(r"(?<=://)[^\s/@:]{1,200}(?::[^\s/@]{0,200})?@")
_TOKEN = re.compile(r"\b(unsubscribe|read)(/|(?:%20| )(?=[\w.~=-]{20}))[\w.~=-]+")


class LogFormat(StrEnum):
    """How the log is written; auto: text on a terminal, JSON elsewhere."""

    AUTO = "auto"
    TEXT = "text"
    JSON = "json"


LogFormatOption = Annotated[
    LogFormat,
    typer.Option("--log-format", help="How the log is written to standard error; auto: text on a terminal, else JSON."),
]


class Log:
    """What an engine says, written down; calling it is what ``say`` is to a command that ends soon."""

    def __init__(self) -> None:
        self._settings: Callable[[], Settings] | None = None
        self._known: tuple[Settings | None, tuple[str, ...]] = (None, ())

    def __call__(self, line: str) -> None:
        """Write a line, with its facts if it is a ``Line``."""
        import structlog

        from pipeline.jobs.lines import Line

        said = line if isinstance(line, Line) else Line(line)
        level = logging.getLevelNamesMapping()[said.level.upper()]
        structlog.get_logger("gazet").log(level, said.event, message=str(said), **said.facts)

    def about(self, settings: Callable[[], Settings]) -> None:
        """Whose log this is: its zone is used for people, and its secrets are kept out wherever they turn up."""
        self._settings = settings

    @property
    def zone(self) -> ZoneInfo:
        """The site's zone; UTC as long as the site is not known."""
        return ZoneInfo(self._settings().site.timezone if self._settings else "UTC")

    def without_secrets(self, text: str) -> str:
        """The text without addresses, tokens, passwords and control characters."""
        for secret in self._secrets():
            text = text.replace(secret, "…")
        text = _TOKEN.sub(r"\1\2…", _USERINFO.sub("…@", text))
        return showable(_ADDRESS.sub(lambda local: local[0].lstrip('"')[:1] + "…@", text.replace("%40", "@")))

    def _secrets(self) -> tuple[str, ...]:
        settings = self._settings() if self._settings else None
        if settings is not None and self._known[0] is not settings:
            self._known = (settings, _secrets(settings))
        return self._known[1]


def _secrets(settings: Settings) -> tuple[str, ...]:
    """What the settings know that nobody else may read: passwords, and what the ping's address has behind its host."""
    from pipeline.deliver.smtp import password_of

    known = []
    for relay in settings.relay:
        with contextlib.suppress(GazetError):
            known.append(password_of(relay, settings.folder))
    ping = urlsplit(settings.alerts.ping)
    known += [ping.path.strip("/"), ping.query]
    return tuple(secret for secret in known if len(secret) >= _SHORTEST_SECRET)


@contextlib.contextmanager
def logging_to_stderr(form: LogFormat) -> Iterator[Log]:
    """Everything that is said, logged or raised in the body goes to the log.

    An error that an operator can mend ends the command with its exit code, any other with 1 and its traceback in the log.
    """
    log = Log()
    handler = _Handler()
    handler.setFormatter(_formatter(log, form))
    with _installed(handler):
        try:
            yield log
        except typer.Exit:
            raise
        except (GazetError, OSError) as error:
            _root().error("ended", message=_sentence(error))
            raise typer.Exit(getattr(error, "exit_code", 1)) from None
        except Exception as error:
            _root().critical("crashed", message=f"gazet ends: {error!r}", exc_info=error)
            raise typer.Exit(1) from None


def _sentence(error: GazetError | OSError) -> str:
    if isinstance(error, GazetError):
        return str(error)
    return f"{error.filename or 'a file'}: {error.strerror}. Correct the file, its rights or its place."


def _root() -> Any:
    import structlog

    return structlog.get_logger("gazet")


class _Handler(logging.Handler):
    """Writes to what standard error is at that moment: a progress bar takes its place while it is shown."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            sys.stderr.write(self.format(record) + "\n")
            sys.stderr.flush()
        except Exception:
            self.handleError(record)


@contextlib.contextmanager
def _installed(handler: logging.Handler) -> Iterator[None]:
    """The handler and the hooks for what nobody catches, for the time of the body."""
    import structlog

    structlog.configure(
        processors=[structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
    )
    root, hook = logging.getLogger(), threading.excepthook
    before = {name: logging.getLogger(name).level for name in ("", *_QUIET)}
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    for name, level in _QUIET.items():
        logging.getLogger(name).setLevel(level)
    logging.getLogger("uvicorn.access").disabled = True  # addresses in it hold tokens
    logging.captureWarnings(True)
    threading.excepthook = _crashed_thread
    try:
        yield
    finally:
        logging.captureWarnings(False)
        threading.excepthook = hook
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)
        root.removeHandler(handler)
        structlog.reset_defaults()


def _crashed_thread(args: threading.ExceptHookArgs) -> None:
    thread = args.thread.name if args.thread else "a thread"
    _root().critical("crashed", message=f"{thread} ended: {args.exc_value!r}", job=thread, exc_info=args.exc_value)


def _formatter(log: Log, form: LogFormat) -> logging.Formatter:
    import structlog

    as_text = sys.stderr.isatty() if form is LogFormat.AUTO else form is LogFormat.TEXT
    colours = sys.stderr.isatty() and not os.environ.get("NO_COLOR")

    def render_text(_: Any, __: str, event: EventDict) -> str:
        return _text(log, event, colours=colours)

    def in_order(_: Any, __: str, event: EventDict) -> EventDict:
        return _in_order(log, event)

    render = render_text if as_text else structlog.processors.JSONRenderer(default=str, ensure_ascii=False)
    return structlog.stdlib.ProcessorFormatter(foreign_pre_chain=[_foreign], processors=[in_order, render])


def _foreign(_: Any, __: str, event: EventDict) -> EventDict:
    """What a library logs: its sentence is the message."""
    return {**event, "event": "log", "message": event["event"], "logger": event["_record"].name}


def _in_order(log: Log, event: EventDict) -> EventDict:
    """The keys everybody wants first, the facts after them, everything cleaned."""
    record: logging.LogRecord = event.pop("_record")
    event.pop("_from_structlog", None)
    error = event.pop("exc_info", None)
    if isinstance(error, tuple):
        error = error[1]
    if isinstance(error, BaseException):
        event["exception"] = "".join(traceback.format_exception(error))
    message = str(event.pop("message", ""))
    first = {
        "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
        "level": record.levelname.lower(),
        "event": event.pop("event"),
        "message": message.partition("\n")[0] if "exception" in event else message,
    }
    return {key: _cleaned(log, value) for key, value in [*first.items(), *event.items()]}


def _cleaned(log: Log, value: Any) -> Any:
    if isinstance(value, str):
        return log.without_secrets(value)
    if isinstance(value, dict):
        return {key: _cleaned(log, one) for key, one in value.items()}
    return [_cleaned(log, one) for one in value] if isinstance(value, list | tuple) else value


def _text(log: Log, event: EventDict, *, colours: bool) -> str:
    """``2026-11-24 08:00:03  opened po/2026-11-24T08:00: …``; further lines are indented: none can pass for another entry."""
    moment = datetime.fromisoformat(event["timestamp"]).astimezone(log.zone)
    text = event["message"] or event["event"]
    if "exception" in event:
        text += "\n" + event["exception"].rstrip("\n")
    text = text.replace("\n", "\n" + " " * 21)
    colour = _COLOURS.get(event["level"], "") if colours else ""
    return f"{moment:%Y-%m-%d %H:%M:%S}  {colour}{text}{_PLAIN if colour else ''}"
