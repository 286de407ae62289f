"""A real SMTP server for tests: it can be talked to before, and asked afterwards what it kept.

    with SmtpServer(tls="starttls", users={"u": "p"}) as server:
        server.refuse("ann@example.org", 550, "5.1.1", "no such user")
        ...
        assert [kept.recipient for kept in server.messages] == ["bob@example.org"]

Stages that can be answered for: connect, ehlo, starttls, auth, mail, rcpt, data, content (after 354, before the dot was
read), dot (content read; kept only if the answer is 2xx), kept (content kept, answer still to come), rset, quit.
An answer is text ("550 5.1.1 no"), raw bytes, "drop" (hang up) or "hang" (say nothing until the server closes).

As a process of its own: ``python -m tests.servers.smtp --log FILE`` prints its port, and writes one JSON line for each
message, synced before it is answered.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import hashlib
import json
import os
import re
import socket
import ssl
import tempfile
import threading
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import trustme

STAGES = ("connect", "ehlo", "starttls", "auth", "mail", "rcpt", "data", "content", "dot", "kept", "rset", "quit")
DROPS = {"rcpt": "rcpt", "data": "data", "before-dot": "content", "dot": "dot", "after-dot": "kept"}
Reply = str | bytes
_PATH = re.compile(r"(?:FROM|TO):\s*<([^>]*)>\s*(.*)", re.IGNORECASE)
_MESSAGE_ID = re.compile(rb"^message-id:\s*(\S+)", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True)
class KeptMessage:
    """A message answered for with 250 (or not answered at all, on request). ``data`` is as the sender meant it."""

    envelope_from: str
    recipient: str
    data: bytes
    message_id: str
    tls: bool
    user: str
    parameters: tuple[str, ...]


@dataclass
class _Rule:
    stage: str
    reply: Reply
    recipient: str
    times: int | None


class SmtpServer:
    """An SMTP server on 127.0.0.1, running inside ``with``.

    ``tls`` is "none", "starttls" or "tls"; the certificate is for ``names``, its authority in the file ``ca_file``.
    ``users`` maps names to passwords; with them, mail is taken only after AUTH. ``without`` are extensions not offered.
    ``eager``: goes on after a refusal as if there had been none; a dot is refused only where no RCPT was accepted
    (RFC 2920, 3.1).
    ``size`` in bytes. ``commands`` are all lines received, ``connections`` counts those accepted.
    """

    host = "127.0.0.1"

    def __init__(
        self,
        *,
        tls: str = "none",
        users: Mapping[str, str] | None = None,
        without: Collection[str] = (),
        mechanisms: str = "PLAIN LOGIN",
        size: int = 30_000_000,
        names: tuple[str, ...] = ("localhost", "127.0.0.1"),
        log: Path | None = None,
        port: int = 0,
        eager: bool = False,
    ) -> None:
        self.tls, self.users, self.without, self.size = tls, dict(users or {}), frozenset(without), size
        self.mechanisms, self.log, self.port, self.eager = mechanisms, log, port, eager
        self.commands: list[str] = []
        self.connections = 0
        self.closing = threading.Event()
        self.context: ssl.SSLContext | None = None
        self._folder = tempfile.TemporaryDirectory(prefix="smtp-server-")
        self.ca_file = Path(self._folder.name) / "ca.pem"
        self._names = names
        self._rules: list[_Rule] = []
        self._messages: list[KeptMessage] = []
        self._changed = threading.Condition()
        self._conversations: list[_Conversation] = []

    def __enter__(self) -> SmtpServer:
        if self.tls != "none":
            self._certify()
        self._listener = socket.create_server((self.host, self.port))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up on everybody and stop listening."""
        if self.closing.is_set():
            return
        self.closing.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        self._listener.close()
        for conversation in self._conversations:
            conversation.hang_up()
        for conversation in self._conversations:
            conversation.thread.join(10)
        self._folder.cleanup()

    def refuse(self, recipient: str, code: int, enhanced: str, text: str, *, times: int | None = None) -> None:
        """Answer RCPT for this recipient with a refusal, every time or so many times."""
        self._rules.append(_Rule("rcpt", f"{code} {enhanced} {text}".replace("  ", " "), recipient, times))

    def defer(self, recipient: str, code: int, enhanced: str, text: str, *, times: int | None = None) -> None:
        """The same with a temporary code."""
        assert 400 <= code < 500
        self.refuse(recipient, code, enhanced, text, times=times)

    def refuse_everyone(self, code: int, enhanced: str, text: str, *, times: int | None = None) -> None:
        """Answer every RCPT with this refusal."""
        self.answer("rcpt", f"{code} {enhanced} {text}", times=times)

    def drop(self, recipient: str, *, at: str, times: int | None = None) -> None:
        """Hang up on this recipient's mail: at "rcpt", "data", "before-dot", "dot" (read, not kept) or "after-dot" (kept).

        At "before-dot" a small message, its dot included, may already be in the sender's kernel. For a drop at "mail",
        where no recipient is known yet, say ``answer("mail", "drop")``.
        """
        self._rules.append(_Rule(DROPS[at], "drop", recipient, times))

    def answer(self, stage: str, reply: Reply, *, times: int | None = None, about: str = "") -> None:
        """Answer at this stage with anything at all, whoever it is about, or about this recipient (at "mail": sender) only."""
        assert stage in STAGES, stage
        self._rules.append(_Rule(stage, reply, about, times))

    def behave(self) -> None:
        """Forget all rules: accept everything again."""
        self._rules = []

    @property
    def messages(self) -> list[KeptMessage]:
        """What was kept, in that order."""
        with self._changed:
            return list(self._messages)

    def wait_for(self, count: int, timeout: float = 10) -> list[KeptMessage]:
        """The messages, once there are that many; an AssertionError if there are not within ``timeout`` seconds."""
        with self._changed:
            enough = self._changed.wait_for(lambda: len(self._messages) >= count, timeout)
            assert enough, f"{len(self._messages)} of {count} messages came"
            return list(self._messages)

    def pick(self, stage: str, recipient: str) -> Reply | None:
        """The reply a rule demands, rules about this recipient first; used by conversations."""
        with self._changed:
            fitting = [rule for rule in self._rules if rule.stage == stage and rule.recipient in ("", recipient)]
            fitting = [rule for rule in fitting if rule.times is None or rule.times > 0]
            if not fitting:
                return None
            rule = min(fitting, key=lambda rule: rule.recipient == "")
            if rule.times is not None:
                rule.times -= 1
            return rule.reply

    def keep(self, message: KeptMessage) -> None:
        """Keep a message for good: in the log, if there is one, before anybody hears of it."""
        with self._changed:
            if self.log is not None:
                _append(self.log, message)
            self._messages.append(message)
            self._changed.notify_all()

    def offers(self, extension: str) -> bool:
        """Whether EHLO names this extension."""
        return extension not in self.without

    def _certify(self) -> None:
        authority = trustme.CA()
        authority.cert_pem.write_to_path(self.ca_file)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(*self._names).configure_cert(self.context)

    def _accept(self) -> None:
        while not self.closing.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections += 1
            conversation = _Conversation(self, sock)
            self._conversations.append(conversation)
            conversation.thread.start()


class _Gone(Exception):
    """The conversation is over."""


class _Conversation:
    """One connection: reads commands, answers them by the server's rules or properly."""

    def __init__(self, server: SmtpServer, sock: socket.socket) -> None:
        self.server = server
        self.sock = sock
        self.thread = threading.Thread(target=self._run, daemon=True)
        self._unread = b""
        self._tls = False
        self._user = ""
        self._forget()

    def hang_up(self) -> None:
        """End the conversation, from any thread."""
        with suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)

    def _run(self) -> None:
        try:
            if self.server.tls == "tls":
                self._encrypt()
            self._say("connect", "220 test.example ESMTP")
            while True:
                self._obey(self._line())
        except (OSError, ValueError, _Gone):
            pass
        finally:
            self.sock.close()

    def _obey(self, line: str) -> None:
        self.server.commands.append(line)
        verb, _, rest = line.partition(" ")
        command = getattr(self, f"_on_{verb.lower()}", None)
        if command is None:
            self._write("500 5.5.2 what?")
        else:
            command(rest)

    def _on_ehlo(self, _name: str) -> None:
        self._forget()
        extensions = ["PIPELINING", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES", f"SIZE {self.server.size}"]
        if self.server.tls == "starttls" and not self._tls:
            extensions.append("STARTTLS")
        if self.server.users and (self._tls or self.server.tls == "none"):
            extensions.append(f"AUTH {self.server.mechanisms}")
        lines = ["test.example", *(each for each in extensions if self.server.offers(each.split()[0]))]
        self._say("ehlo", "\r\n".join([*(f"250-{line}" for line in lines[:-1]), f"250 {lines[-1]}"]))

    def _on_starttls(self, _rest: str) -> None:
        if self.server.tls != "starttls" or self._tls:
            self._write("502 5.5.1 no STARTTLS here")
        elif self._say("starttls", "220 2.0.0 go ahead"):
            self._unread = b""
            self._encrypt()

    def _on_auth(self, rest: str) -> None:
        mechanism, _, initial = rest.partition(" ")
        if mechanism not in self.server.mechanisms.split():
            self._write("504 5.5.4 unknown mechanism")
            return
        user, password = self._plain(initial) if mechanism == "PLAIN" else self._login()
        right = bool(user) and self.server.users.get(user) == password
        if self._say("auth", "235 2.7.0 welcome" if right else "535 5.7.8 wrong name or password") and right:
            self._user = user

    def _on_mail(self, rest: str) -> None:
        path, parameters = self._path(rest)
        size = next((int(each[5:]) for each in parameters if each.upper().startswith("SIZE=")), 0)
        if self.server.users and not self._user:
            self._write("530 5.7.0 authentication required")
        elif self.server.offers("SIZE") and size > self.server.size:
            self._write("552 5.3.4 too big")
        elif self._sender is not None:
            self._write("503 5.5.1 RSET first")
        elif self._say("mail", "250 2.1.0 ok", about=path):
            self._sender, self._parameters = path, parameters

    def _on_rcpt(self, rest: str) -> None:
        path, _ = self._path(rest)
        if self._sender is None and not self.server.eager:
            self._write("503 5.5.1 MAIL first")
            return
        self._recipient = path
        if self._say("rcpt", "250 2.1.5 ok"):
            self._recipients.append(path)

    def _on_data(self, _rest: str) -> None:
        if not self._recipients and not (self.server.eager and self._recipient):
            self._write("503 5.5.1 RCPT first")
        elif self._say("data", "354 go ahead"):
            self._obey_silently("content")
            data = self._content()
            self._take(data)
            self._forget()

    def _take(self, data: bytes) -> None:
        """A kept message is in ``messages`` before its sender can hear of it."""
        if not self._recipients:
            self._write("554 5.5.1 no valid recipients")
            return
        reply = self.server.pick("dot", self._recipient)
        if reply is None and len(data) > self.server.size:
            reply = "552 5.3.4 too big"
        if reply is None or reply[:1] in ("2", b"2"):
            for recipient in self._recipients:
                self.server.keep(self._message(recipient, data))
            self._obey_silently("kept")
        self._perform(reply or "250 2.0.0 kept")

    def _on_rset(self, _rest: str) -> None:
        self._forget()
        self._say("rset", "250 2.0.0 forgotten")

    def _on_noop(self, _rest: str) -> None:
        self._write("250 2.0.0 ok")

    def _on_quit(self, _rest: str) -> None:
        self._say("quit", "221 2.0.0 bye")
        raise _Gone

    def _forget(self) -> None:
        self._sender: str | None = None
        self._recipient = ""
        self._recipients: list[str] = []
        self._parameters: tuple[str, ...] = ()

    def _message(self, recipient: str, data: bytes) -> KeptMessage:
        found = _MESSAGE_ID.search(data.partition(b"\r\n\r\n")[0])
        message_id = found[1].decode("utf-8", "replace") if found else ""
        return KeptMessage(self._sender or "", recipient, data, message_id, self._tls, self._user, self._parameters)

    def _say(self, stage: str, proper: str, about: str = "") -> bool:
        """Answer by rule or properly; True when the answer was a good one, so that the command counts."""
        reply = self.server.pick(stage, about or self._recipient) or proper
        self._perform(reply)
        return reply[:1] in ("2", "3", b"2", b"3")

    def _obey_silently(self, stage: str) -> None:
        """A moment at which a proper server says nothing."""
        reply = self.server.pick(stage, self._recipient)
        if reply is not None:
            self._perform(reply)

    def _perform(self, reply: Reply) -> None:
        if reply == "drop":
            raise _Gone
        if reply == "hang":
            self.server.closing.wait()
            raise _Gone
        self._write(reply)
        if reply[:3] in ("421", b"421"):
            raise _Gone

    def _write(self, reply: Reply) -> None:
        self.sock.sendall(reply if isinstance(reply, bytes) else reply.encode() + b"\r\n")

    def _plain(self, initial: str) -> tuple[str, str]:
        parts = _decoded(initial or self._ask("334 ")).split("\0")
        return (parts[1], parts[2]) if len(parts) == 3 else ("", "")

    def _login(self) -> tuple[str, str]:
        return _decoded(self._ask("334 VXNlcm5hbWU6")), _decoded(self._ask("334 UGFzc3dvcmQ6"))

    def _ask(self, question: str) -> str:
        self._write(question)
        return self._line()

    def _path(self, rest: str) -> tuple[str, tuple[str, ...]]:
        match = _PATH.fullmatch(rest)
        return (match[1], tuple(match[2].split())) if match else ("", ())

    def _encrypt(self) -> None:
        assert self.server.context is not None
        self.sock.settimeout(10)
        self.sock = self.server.context.wrap_socket(self.sock, server_side=True)
        self.sock.settimeout(None)
        self._tls = True

    def _line(self) -> str:
        return self._until(b"\r\n").decode("utf-8", "replace")

    def _content(self) -> bytes:
        """What came before the lone dot, without the dots that were added on the way (RFC 5321, 4.5.2)."""
        self._unread = b"\r\n" + self._unread
        content = self._until(b"\r\n.\r\n") + b"\r\n"
        return content.replace(b"\r\n.", b"\r\n")[2:]

    def _until(self, end: bytes) -> bytes:
        received = bytearray(self._unread)
        seen = 0
        while (found := received.find(end, seen)) < 0:
            seen = max(0, len(received) - len(end))
            chunk = self.sock.recv(65536)
            if not chunk:
                raise _Gone
            received += chunk
        self._unread = bytes(received[found + len(end) :])
        return bytes(received[:found])


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _append(log: Path, message: KeptMessage) -> None:
    entry = {
        "message_id": message.message_id,
        "rcpt": message.recipient,
        "sha256": hashlib.sha256(message.data).hexdigest(),
        "time": time.time(),
    }
    with log.open("a", encoding="utf-8") as file:
        file.write(json.dumps(entry) + "\n")
        file.flush()
        os.fsync(file.fileno())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--log", type=Path, required=True, help="one JSON line for each message kept")
    parser.add_argument("--port", type=int, default=0)
    arguments = parser.parse_args()
    with SmtpServer(log=arguments.log, port=arguments.port) as server:
        print(server.port, flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
