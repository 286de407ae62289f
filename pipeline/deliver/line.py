"""The line to an SMTP server: smtplib's commands, with replies read strictly and within limits."""

from __future__ import annotations

import ipaddress
import re
import smtplib
import socket
import ssl
import time
from dataclasses import dataclass
from datetime import UTC, datetime

MAX_REPLY_LINE = 4096
MAX_REPLY_LINES = 100
_AS_GOOD_AS = 0.02
_REPLY = re.compile(rb"([2-5][0-9]{2})(?:([ -])(.*))?", re.DOTALL)
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_HOSTNAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})+")


@dataclass(frozen=True, slots=True)
class Offer:
    """What a relay says of itself: TLS version ("" in clear text), the end of its certificate, extensions with parameters."""

    tls: str
    certificate_ends: datetime | None
    extensions: dict[str, str]


class ReplyError(smtplib.SMTPException):
    """What came is not an SMTP reply, or a longer one than anybody needs."""


class Line(smtplib.SMTP):
    """smtplib's commands with a strict reply reader, limited in lines, bytes and time.

    smtplib itself reads replies without an end, restarts its clock with every byte and takes ``2_5`` for a number.
    """

    ehlo_msg = "EHLO"

    def __init__(self, timeout: float) -> None:
        super().__init__(local_hostname="localhost", timeout=timeout)
        self.command_encoding = "utf-8"
        self.unread = b""

    def dial(self, host: str, port: int, context: ssl.SSLContext | None) -> None:
        """Open the connection, encrypted from the first byte where a context is given."""
        self.sock = socket.create_connection((host, port), timeout=self.timeout)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context is not None:
            self.encrypt(host, context)

    def encrypt(self, host: str, context: ssl.SSLContext) -> None:
        """TLS on the open connection, the certificate checked against ``host``."""
        if self.unread:
            raise ReplyError("said more than it was asked before TLS began")
        plain = self._connected()
        plain.settimeout(self.timeout)
        self.sock = context.wrap_socket(plain, server_hostname=host)

    def send(self, s: bytes | str) -> None:  # type: ignore[override]
        """Hand bytes to the kernel; unlike smtplib's this leaves the error readable."""
        connected = self._connected()
        connected.settimeout(self.timeout)
        connected.sendall(s.encode(self.command_encoding) if isinstance(s, str) else s)

    def push(self, data: bytes) -> tuple[int, OSError | None]:
        """Hand bytes to the kernel; how many it may have taken, and the error that ended it. Each wait has the whole time limit.

        TLS does not tell how much of what it was given went out before an error, so that may be all.
        """
        sent = 0
        try:
            connected = self._within(self.timeout)
            rest = memoryview(data)
            while sent < len(data):
                sent += connected.send(rest[sent:])
        except OSError as error:
            return len(data) if isinstance(self.sock, ssl.SSLSocket) else sent, error
        return sent, None

    def getreply(self, patience: float = 1) -> tuple[int, bytes]:
        """One whole reply (RFC 5321, 4.2.1): its code, and its lines without codes joined by line feeds.

        It must be complete within ``patience`` × the time limit. Raises OSError (smtplib's errors are such).
        """
        deadline = time.monotonic() + patience * self.timeout
        texts: list[bytes] = []
        codes = set()
        while len(texts) < MAX_REPLY_LINES:
            match = _REPLY.fullmatch(self._reply_line(deadline))
            if match is None:
                raise ReplyError("said something that is not an SMTP reply")
            codes.add(match[1])
            texts.append((match[3] or b"").strip())
            if len(codes) > 1:
                raise ReplyError("mixed several codes in one reply")
            if match[2] != b"-":
                return int(match[1]), b"\n".join(texts)
        raise ReplyError(f"replied with more than {MAX_REPLY_LINES} lines")

    def quiet(self) -> bool:
        """Whether the line is open and nothing was said unasked, such as 421 after a long silence."""
        if self.sock is None or self.unread:
            return False
        self.sock.settimeout(0)
        try:
            self.unread = self.sock.recv(MAX_REPLY_LINE)
        except (BlockingIOError, ssl.SSLWantReadError):
            return True
        except OSError:
            return False
        return False

    def own_name(self) -> str:
        """What EHLO says (RFC 5321, 4.1.4): this machine's full name, or the address it sends from; asks no name server."""
        name = socket.gethostname()
        if _HOSTNAME.fullmatch(name):
            return name
        address = self._connected().getsockname()[0].partition("%")[0]
        return f"[IPv6:{address}]" if ":" in address else f"[{address}]"

    def stays_on_this_machine(self) -> bool:
        """Whether the other end has a loopback address, so that clear text is seen by no network."""
        return ipaddress.ip_address(self._connected().getpeername()[0].partition("%")[0]).is_loopback

    def offer(self) -> Offer:
        """What was said so far; extension names in upper case."""
        extensions = {name.upper(): parameters for name, parameters in self.esmtp_features.items()}
        if not isinstance(self.sock, ssl.SSLSocket):
            return Offer("", None, extensions)
        ends = (self.sock.getpeercert() or {}).get("notAfter")
        until = datetime.fromtimestamp(ssl.cert_time_to_seconds(ends), UTC) if isinstance(ends, str) else None
        return Offer(self.sock.version() or "", until, extensions)

    def _within(self, seconds: float) -> socket.socket:
        """The open connection, which gives up after about so long; to set that anew costs a call, and lets another thread go."""
        connected = self._connected()
        before = connected.gettimeout()
        if not before or not 0 <= before - seconds < _AS_GOOD_AS * before:
            connected.settimeout(seconds)
        return connected

    def _connected(self) -> socket.socket:
        if self.sock is None:
            raise smtplib.SMTPServerDisconnected("the connection is closed already")
        return self.sock

    def _reply_line(self, deadline: float) -> bytes:
        while b"\n" not in self.unread and len(self.unread) <= MAX_REPLY_LINE:
            self.unread += self._receive(deadline)
        line, _, self.unread = self.unread.partition(b"\n")
        if len(line) > MAX_REPLY_LINE:
            raise ReplyError(f"replied with a line of more than {MAX_REPLY_LINE} bytes")
        return line.rstrip(b"\r")

    def _receive(self, deadline: float) -> bytes:
        """What has come, perhaps nothing yet. Raises TimeoutError at the deadline."""
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            raise TimeoutError
        try:  # one time limit after the other: a socket whose limit stays as it is need not be told
            chunk = self._within(min(remaining, self.timeout)).recv(MAX_REPLY_LINE)
        except TimeoutError:
            if time.monotonic() < deadline:
                return b""
            raise
        if not chunk:
            raise smtplib.SMTPServerDisconnected("closed the connection")
        return chunk
