"""Messages over SMTP: in one row where the relay pipelines, otherwise each command answered before the next (RFC 5321).

    connect ─▶ EHLO ─▶ STARTTLS, EHLO ─▶ AUTH │ MAIL ─▶ RCPT ─▶ DATA ─▶ content, dot │ … │ QUIT

``SmtpRelay.connect`` walks the first part, ``SmtpSession.send`` and ``deliver`` the second, once per message. Nothing a
server says or leaves unsaid raises: it becomes a ``RelayAnswer``.
"""

from __future__ import annotations

import base64
import ssl
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from pipeline.config import RelaySettings
from pipeline.deliver.envelope import commands_for, stuffed
from pipeline.deliver.ledger import Ledger, in_lock_step
from pipeline.deliver.line import Line, Offer
from pipeline.deliver.pipelined import Pipe
from pipeline.deliver.relay import Session, always
from pipeline.deliver.replies import answer_of, is_positive, obstacle_in, silence
from pipeline.errors import ConfigError, Problem
from pipeline.models import OutgoingMessage, RelayAnswer, Stage

_GOODBYE_SECONDS = 2.0
_DOT_PATIENCE = 2
_CHUNK = 65_536


class SmtpSession:
    """An open session, one message at a time; see ``deliver.relay.Session``."""

    def __init__(self, line: Line, *, pipelines: bool = True) -> None:
        self._line = line
        self._open = True
        self._pipelines = pipelines

    @property
    def usable(self) -> bool:
        """False after a broken line, a 421 or a reply out of turn, and when the relay hung up meanwhile."""
        return self._open and self._line.quiet()

    def send(self, message: OutgoingMessage, wanted: Callable[[], bool] = always) -> RelayAnswer:
        """MAIL, RCPT, DATA, content and dot; RSET after a refusal, so that the next message starts afresh."""
        commands = commands_for(message, self._line.esmtp_features)
        if isinstance(commands, RelayAnswer):
            return commands
        for stage, command in commands:
            answer = self._ask(stage, partial(self._line.docmd, command))
            if not is_positive(answer):
                self._reset()
                return answer
        return self._content(message, wanted)

    def deliver(self, ledger: Ledger) -> None:
        """Send what the ledger gives, one round trip a message where the relay pipelines (RFC 2920) and no rate is set."""
        if not self._pipelines or "pipelining" not in self._line.esmtp_features:
            in_lock_step(self.send, lambda: self.usable, ledger)
        elif not Pipe(self._line).deliver(ledger):
            self._open = False

    def offer(self) -> Offer:
        """What the relay says of itself, for those who look before they send."""
        return self._line.offer()

    def close(self) -> None:
        """QUIT with little patience, then close."""
        if self._open:
            self._open = False
            with suppress(OSError):
                self._line.timeout = min(self._line.timeout, _GOODBYE_SECONDS)
                self._line.docmd("QUIT")
        self._line.close()

    def _content(self, message: OutgoingMessage, wanted: Callable[[], bool]) -> RelayAnswer:
        """The message and its dot, in writes of their own: until the last one, the relay surely has no whole message.

        A slow relay may take its time between DATA and 354, or over the content: ``wanted`` is asked before each write.
        """
        content = stuffed(message)
        try:
            for start in range(0, len(content), _CHUNK):
                if not self._may_go_on(wanted):
                    return RelayAnswer(Stage.DATA, None, "", "withheld")
                self._line.send(content[start : start + _CHUNK])
        except OSError as error:
            return self._gone(Stage.DOT, error)
        if not self._may_go_on(wanted):
            return RelayAnswer(Stage.DATA, None, "", "withheld")
        return self._ask(Stage.DOT, self._dot, handed_over=True)

    def _may_go_on(self, wanted: Callable[[], bool]) -> bool:
        """After 354 nothing but closing the connection ends a message that nobody wants any more (RFC 5321, 4.1.1.4)."""
        going_on = False
        try:
            going_on = wanted()
        finally:
            if not going_on:
                self._hang_up()
        return going_on

    def _dot(self) -> tuple[int, bytes]:
        """RFC 5321, 4.5.3.2.6: the reply to the dot takes longest, and giving up early means sending twice."""
        self._line.send(b".\r\n")
        return self._line.getreply(_DOT_PATIENCE)

    def _ask(self, stage: Stage, exchange: Callable[[], tuple[int, bytes]], *, handed_over: bool = False) -> RelayAnswer:
        try:
            answer = answer_of(stage, *exchange(), handed_over=handed_over)
        except OSError as error:
            return self._gone(stage, error, handed_over=handed_over)
        if answer.code is None or answer.code == 421:
            self._hang_up()
        return answer

    def _gone(self, stage: Stage, error: OSError, *, handed_over: bool = False) -> RelayAnswer:
        self._hang_up()
        return silence(stage, error, handed_over=handed_over)

    def _hang_up(self) -> None:
        self._open = False
        self._line.close()

    def _reset(self) -> None:
        if self._open and not is_positive(self._ask(Stage.MAIL, partial(self._line.docmd, "RSET"))):
            self._hang_up()


class SmtpRelay:
    """An SMTP server, as the settings describe it. Sessions are opened with ``connect``; may be shared by threads.

    ``password`` is the one to log in with where the settings name a user. ``context`` is needed unless ``tls`` is "none".
    ``local_hostname`` is what we call ourselves in EHLO; by default this machine's full name or its address.
    """

    def __init__(
        self, settings: RelaySettings, *, password: str = "", context: ssl.SSLContext | None = None, local_hostname: str = ""
    ) -> None:
        if context is None and settings.tls != "none":
            context = _context("")
        self.name = settings.name
        self.connections = settings.connections
        self.rate = settings.rate
        self._settings = settings
        self._host = settings.host.strip("[]")
        self._password = password
        self._context = context
        self._local_hostname = local_hostname

    def connect(self) -> Session | RelayAnswer:
        """A session, or the answer that stood in the way; network faults are answers too."""
        line = Line(self._settings.timeout.total_seconds())
        steps = (
            (Stage.CONNECT, self._dial),
            (Stage.EHLO, self._ehlo),
            (Stage.STARTTLS, self._starttls),
            (Stage.AUTH, self._log_in),
        )
        for stage, step in steps:
            try:
                obstacle = step(line)
            except (OSError, ValueError) as error:
                obstacle = silence(stage, error, who=f"{self._host}:{self._settings.effective_port}")
            if obstacle is not None:
                line.close()
                return obstacle
        return SmtpSession(line, pipelines=self.rate is None)

    def _dial(self, line: Line) -> RelayAnswer | None:
        line.dial(self._host, self._settings.effective_port, self._context if self._settings.tls == "tls" else None)
        return obstacle_in(Stage.CONNECT, line.getreply())

    def _ehlo(self, line: Line) -> RelayAnswer | None:
        return obstacle_in(Stage.EHLO, line.ehlo(self._local_hostname or line.own_name()))

    def _starttls(self, line: Line) -> RelayAnswer | None:
        """RFC 3207; never on in clear text, since whoever removes STARTTLS from the offer wants just that."""
        if self._settings.tls != "starttls" or self._context is None:
            return None
        if not line.has_extn("starttls"):
            return RelayAnswer(Stage.STARTTLS, None, "", "the relay does not offer STARTTLS, and nothing is sent in clear text")
        obstacle = obstacle_in(Stage.STARTTLS, line.docmd("STARTTLS"))
        if obstacle is None:
            line.encrypt(self._host, self._context)
            obstacle = self._ehlo(line)
        return obstacle

    def _log_in(self, line: Line) -> RelayAnswer | None:
        """AUTH PLAIN or LOGIN (RFC 4954, 4616), the password in UTF-8 and never readable on a network."""
        if not self._settings.user:
            return None
        if self._context is None and not line.stays_on_this_machine():
            return RelayAnswer(Stage.AUTH, None, "", "no password is sent without TLS; set tls to starttls or tls")
        offered = line.esmtp_features.get("auth", "").upper().split()
        if "PLAIN" in offered:
            return obstacle_in(Stage.AUTH, line.docmd("AUTH", "PLAIN " + _base64(f"\0{self._settings.user}\0{self._password}")))
        if "LOGIN" in offered:
            return self._log_in_by_questions(line)
        return RelayAnswer(Stage.AUTH, None, "", "the relay offers neither AUTH PLAIN nor AUTH LOGIN")

    def _log_in_by_questions(self, line: Line) -> RelayAnswer | None:
        for command in ("AUTH LOGIN", _base64(self._settings.user)):
            obstacle = obstacle_in(Stage.AUTH, line.docmd(command), wanted=3)
            if obstacle is not None:
                return obstacle
        return obstacle_in(Stage.AUTH, line.docmd(_base64(self._password)))


def relay_from(settings: RelaySettings, folder: Path) -> SmtpRelay:
    """The relay as the settings describe it, paths being relative to ``folder``.

    Raises ConfigError when its password or certificate file cannot be read.
    """
    try:
        context = None if settings.tls == "none" else _context(str(folder / settings.ca_file) if settings.ca_file else "")
    except OSError as error:
        raise _unreadable(settings, "ca_file", error) from None
    return SmtpRelay(settings, password=password_of(settings, folder), context=context)


def password_of(settings: RelaySettings, folder: Path) -> str:
    """The password as it is now, from its file where one is named. Raises ConfigError when that cannot be read."""
    if not settings.password_file:
        return settings.password.get_secret_value()
    try:
        return (folder / settings.password_file).read_text(encoding="utf-8").strip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(settings, "password_file", error) from None


def _unreadable(settings: RelaySettings, key: str, error: Exception) -> ConfigError:
    where = f'gazet.toml: relay "{settings.name}": {key}'
    reason = getattr(error, "strerror", None) or "not the text that was expected"
    return ConfigError([Problem(where, f"{getattr(settings, key)} cannot be read: {reason}")])


def _context(ca_file: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=ca_file or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode("ascii")
