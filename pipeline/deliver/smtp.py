"""One message after another over SMTP, each command answered before the next (RFC 5321).

    connect ─▶ EHLO ─▶ STARTTLS, EHLO ─▶ AUTH │ MAIL ─▶ RCPT ─▶ DATA ─▶ content, dot │ … │ QUIT

``SmtpRelay.connect`` walks the first part, ``SmtpSession.send`` the second, once per message. Nothing a server says or
leaves unsaid raises: it becomes a ``RelayAnswer``.
"""

from __future__ import annotations

import base64
import re
import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path

from email_validator import EmailNotValidError, validate_email

from pipeline.config import RelaySettings
from pipeline.deliver.line import Line, Offer
from pipeline.deliver.relay import Session, always, mask
from pipeline.errors import ConfigError, Problem
from pipeline.models import OutgoingMessage, RelayAnswer, Stage

_GOODBYE_SECONDS = 2.0
_DOT_PATIENCE = 2
_CHUNK = 65_536
_ENHANCED = re.compile(r"([245])\.[0-9]{1,3}\.[0-9]{1,3}(?=\s|$)")
_UNFIT = re.compile(r"[\x00-\x20\x7f<>]")
_WANTED = {Stage.DATA: 3}
"""The first digit that means "go on" (RFC 5321, 4.2.1); 2 at every other stage."""


class SmtpSession:
    """An open session, one message at a time; see ``deliver.relay.Session``."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._open = True

    @property
    def usable(self) -> bool:
        """False after a broken line, a 421 or a reply out of turn, and when the relay hung up meanwhile."""
        return self._open and self._line.quiet()

    def send(self, message: OutgoingMessage, wanted: Callable[[], bool] = always) -> RelayAnswer:
        """MAIL, RCPT, DATA, content and dot; RSET after a refusal, so that the next message starts afresh."""
        commands = _commands(message, self._line.esmtp_features)
        if isinstance(commands, RelayAnswer):
            return commands
        for stage, command in commands:
            answer = self._ask(stage, partial(self._line.docmd, command))
            if not _positive(answer):
                self._reset()
                return answer
        return self._content(message.data, wanted)

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

    def _content(self, data: bytes, wanted: Callable[[], bool]) -> RelayAnswer:
        """The message and its dot, in writes of their own: until the last one, the relay surely has no whole message.

        A slow relay may take its time between DATA and 354, or over the content: ``wanted`` is asked before each write.
        """
        content = _stuffed(data)
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
            answer = _answer(stage, *exchange(), handed_over=handed_over)
        except OSError as error:
            return self._gone(stage, error, handed_over=handed_over)
        if answer.code is None or answer.code == 421:
            self._hang_up()
        return answer

    def _gone(self, stage: Stage, error: OSError, *, handed_over: bool = False) -> RelayAnswer:
        self._hang_up()
        return _silence(stage, error, handed_over=handed_over)

    def _hang_up(self) -> None:
        self._open = False
        self._line.close()

    def _reset(self) -> None:
        if self._open and not _positive(self._ask(Stage.MAIL, partial(self._line.docmd, "RSET"))):
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
                obstacle = _silence(stage, error, who=f"{self._host}:{self._settings.effective_port}")
            if obstacle is not None:
                line.close()
                return obstacle
        return SmtpSession(line)

    def _dial(self, line: Line) -> RelayAnswer | None:
        line.dial(self._host, self._settings.effective_port, self._context if self._settings.tls == "tls" else None)
        return _obstacle(Stage.CONNECT, line.getreply())

    def _ehlo(self, line: Line) -> RelayAnswer | None:
        return _obstacle(Stage.EHLO, line.ehlo(self._local_hostname or line.own_name()))

    def _starttls(self, line: Line) -> RelayAnswer | None:
        """RFC 3207; never on in clear text, since whoever removes STARTTLS from the offer wants just that."""
        if self._settings.tls != "starttls" or self._context is None:
            return None
        if not line.has_extn("starttls"):
            return RelayAnswer(Stage.STARTTLS, None, "", "the relay does not offer STARTTLS, and nothing is sent in clear text")
        obstacle = _obstacle(Stage.STARTTLS, line.docmd("STARTTLS"))
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
            return _obstacle(Stage.AUTH, line.docmd("AUTH", "PLAIN " + _base64(f"\0{self._settings.user}\0{self._password}")))
        if "LOGIN" in offered:
            return self._log_in_by_questions(line)
        return RelayAnswer(Stage.AUTH, None, "", "the relay offers neither AUTH PLAIN nor AUTH LOGIN")

    def _log_in_by_questions(self, line: Line) -> RelayAnswer | None:
        for command in ("AUTH LOGIN", _base64(self._settings.user)):
            obstacle = _obstacle(Stage.AUTH, line.docmd(command), wanted=3)
            if obstacle is not None:
                return obstacle
        return _obstacle(Stage.AUTH, line.docmd(_base64(self._password)))


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


def _answer(stage: Stage, code: int, raw: bytes, *, handed_over: bool = False, wanted: int | None = None) -> RelayAnswer:
    """A reply as an answer. One that fits no moment of this stage (250 to DATA) is no answer: the line is out of step."""
    enhanced, text = _enhanced(code, raw.decode("utf-8", "replace"))
    if code // 100 in (4, 5, wanted or _WANTED.get(stage, 2)):
        return RelayAnswer(stage, code, enhanced, mask(text), handed_over)
    return RelayAnswer(stage, None, "", mask(f"the relay answered out of turn: {code} {text}"), handed_over)


def _obstacle(stage: Stage, reply: tuple[int, bytes], wanted: int = 2) -> RelayAnswer | None:
    answer = _answer(stage, *reply, wanted=wanted)
    return None if answer.code is not None and answer.code // 100 == wanted else answer


def _positive(answer: RelayAnswer) -> bool:
    return answer.code is not None and answer.code // 100 == _WANTED.get(answer.stage, 2)


def _enhanced(code: int, text: str) -> tuple[str, str]:
    """The enhanced status code (RFC 2034: at the start of every line, its class that of the reply) and the other words."""
    lines = text.split("\n")
    matches = [_ENHANCED.match(line) for line in lines]
    first = matches[0]
    if first is None or first[1] != str(code)[0]:
        return "", " ".join(lines)
    return first[0], " ".join(line[match.end() :] if match else line for line, match in zip(lines, matches, strict=True))


def _silence(stage: Stage, error: Exception, *, who: str = "the relay", handed_over: bool = False) -> RelayAnswer:
    return RelayAnswer(stage, None, "", mask(f"{who}: {_reason(error)}"), handed_over)


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {error.reason or error}"
    return getattr(error, "strerror", None) or str(error)


def _commands(message: OutgoingMessage, extensions: Mapping[str, str]) -> tuple[tuple[Stage, str], ...] | RelayAnswer:
    """What to say before the content, or the refusal that this relay's offer makes certain.

    ``extensions`` maps the offered ones in lower case to their parameters.
    """
    sender = _wire_address(message.envelope_from) if message.envelope_from else ""
    recipient = _wire_address(message.recipient)
    if sender is None:
        return RelayAnswer(Stage.MAIL, 553, "5.1.7", "the sender's address cannot be written in SMTP")
    if recipient is None:
        return RelayAnswer(Stage.RCPT, 553, "5.1.3", "this address cannot be written in SMTP")
    parameters = _parameters(message.data, (sender + recipient).isascii(), extensions)
    if isinstance(parameters, RelayAnswer):
        return parameters
    return (
        (Stage.MAIL, f"MAIL FROM:<{sender}>{parameters}"),
        (Stage.RCPT, f"RCPT TO:<{recipient}>"),
        (Stage.DATA, "DATA"),
    )


def _parameters(data: bytes, ascii_addresses: bool, extensions: Mapping[str, str]) -> str | RelayAnswer:
    """The parameters of MAIL: SIZE (RFC 1870), BODY (RFC 6152) and SMTPUTF8 (RFC 6531), each only where offered."""
    eight_bit = not data.isascii()
    international = not ascii_addresses or (eight_bit and not data.partition(b"\r\n\r\n")[0].isascii())
    if international and "smtputf8" not in extensions:
        return RelayAnswer(Stage.MAIL, 553, "5.6.7", "this relay does not accept internationalised addresses (SMTPUTF8)")
    if eight_bit and "8bitmime" not in extensions:
        return RelayAnswer(Stage.MAIL, 554, "5.6.3", "this relay accepts 7-bit mail only (no 8BITMIME)")
    limit = extensions.get("size", "")
    if limit.isdecimal() and 0 < int(limit[:20]) < len(data):
        return RelayAnswer(Stage.MAIL, 552, "5.3.4", f"the message has {len(data)} bytes, this relay accepts {int(limit[:20])}")
    if not data.count(b"\n") == data.count(b"\r") == data.count(b"\r\n"):
        # A line feed of its own can end a message early at some servers, and begin one of somebody else's (CVE-2023-51764).
        return RelayAnswer(Stage.DATA, 550, "5.6.0", "the message has line ends other than CRLF, so it was not sent")
    return (
        (f" SIZE={len(data)}" if "size" in extensions else "")
        + (" BODY=8BITMIME" if eight_bit else "")
        + (" SMTPUTF8" if international else "")
    )


def _wire_address(address: str) -> str | None:
    """An address as it is written in SMTP: its domain as A-labels (RFC 5890), its local part as it is; None: impossible."""
    if _UNFIT.search(address) or "@" not in address:
        return None
    if address.isascii():
        return address
    try:
        checked = validate_email(address, check_deliverability=False, test_environment=True)
    except EmailNotValidError:
        return None
    return f"{checked.local_part}@{checked.ascii_domain}"


def _stuffed(data: bytes) -> bytes:
    """The content with CRLF at its end and a second dot where a line begins with one (RFC 5321, 4.5.2)."""
    stuffed = data.replace(b"\r\n.", b"\r\n..")
    if stuffed.startswith(b"."):
        stuffed = b"." + stuffed
    return stuffed if stuffed.endswith(b"\r\n") else stuffed + b"\r\n"


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode("ascii")
