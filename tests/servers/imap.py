"""A small IMAP server for tests: one account, folders in memory, and ways to hurt whoever reads them.

    with ImapServer(password="p") as server:
        server.put("INBOX", b"Subject: …")
        server.drop_before = "UID MOVE"        # hangs up when that command comes
        ...
        assert server.flags("INBOX") == {1: {"\\Seen"}}

It knows what Gazet says: CAPABILITY, LOGIN, AUTHENTICATE PLAIN, CREATE, SELECT, UID SEARCH, UID FETCH, UID STORE, UID MOVE,
LOGOUT (RFC 3501, RFC 6851), and STARTTLS or TLS from the start.
"""

from __future__ import annotations

import base64
import re
import socket
import ssl
import tempfile
import threading
from contextlib import suppress
from pathlib import Path

import trustme

_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"|(\S+)')


class ImapServer:
    """On 127.0.0.1 inside ``with``. ``without``: capabilities not offered; ``validity`` of all folders; ``commands``: as received.

    ``drop_before``: hang up once instead of doing the first command that begins so.
    """

    host = "127.0.0.1"

    def __init__(
        self, *, user: str = "nieuws@example.org", password: str = "geheim", tls: str = "none", without: tuple[str, ...] = ()
    ) -> None:
        self.user, self.password, self.tls, self.without = user, password, tls, without
        self.validity = 7
        self.drop_before = ""
        self.commands: list[str] = []
        self.folders: dict[str, dict[int, tuple[bytes, set[str]]]] = {"INBOX": {}}
        self._next: dict[str, int] = {}
        self._threads: list[threading.Thread] = []
        self._open: list[socket.socket] = []
        self._folder = tempfile.TemporaryDirectory(prefix="imap-server-")
        self.ca_file = Path(self._folder.name) / "ca.pem"
        self.context: ssl.SSLContext | None = None

    def __enter__(self) -> ImapServer:
        if self.tls != "none":
            authority = trustme.CA()
            authority.cert_pem.write_to_path(self.ca_file)
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            authority.issue_cert("127.0.0.1").configure_cert(self.context)
        self._listener = socket.create_server((self.host, 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for one in self._open:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        for thread in (self._thread, *self._threads):
            thread.join(10)
        self._folder.cleanup()

    def put(self, folder: str, mail: bytes) -> int:
        """A mail arrives; returns its UID."""
        uid = self._next[folder] = self._next.get(folder, 0) + 1
        self.folders.setdefault(folder, {})[uid] = (mail, set())
        return uid

    def flags(self, folder: str) -> dict[int, set[str]]:
        """The flags of each mail there, by UID."""
        return {uid: flags for uid, (_, flags) in self.folders.get(folder, {}).items()}

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._talk, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _talk(self, connection: socket.socket) -> None:
        try:
            if self.tls == "tls" and self.context is not None:
                connection = self.context.wrap_socket(connection, server_side=True)
            self._open.append(connection)
            conversation = _Conversation(self, connection)
            try:
                conversation.run()
            finally:
                conversation.file.close()
                conversation.connection.close()
        except OSError:
            pass
        finally:
            connection.close()


class _Conversation:
    def __init__(self, server: ImapServer, connection: socket.socket) -> None:
        self.server = server
        self.connection = connection
        self.file = connection.makefile("rb")
        self.folder = ""
        self.known = False
        self.secure = server.tls == "tls"

    def run(self) -> None:
        self._say("* OK ready")
        while line := self.file.readline().decode().rstrip("\r\n"):
            tag, _, command = line.partition(" ")
            self.server.commands.append(re.sub(r"^(LOGIN \S+) .*", r"\1 …", command))
            if self.server.drop_before and command.upper().startswith(self.server.drop_before):
                self.server.drop_before = ""
                return
            if not self._do(tag, command):
                return

    def _say(self, line: str | bytes) -> None:
        self.connection.sendall((line if isinstance(line, bytes) else line.encode()) + b"\r\n")

    def _do(self, tag: str, command: str) -> bool:
        words = [(quoted.replace('\\"', '"') if quoted else plain) for quoted, plain in _QUOTED.findall(command)]
        name = " ".join(words[:2] if words[0].upper() == "UID" else words[:1]).lower().replace(" ", "_")
        if name == "logout":
            self._say("* BYE")
            self._say(f"{tag} OK bye")
            return False
        public = name in ("capability", "login", "authenticate", "starttls")
        done = getattr(self, f"_{name}")(tag, words) if self.known or public else "NO log in first"
        self._say(f"{tag} {done} done") if done else None
        return True

    def _capability(self, _tag: str, _words: list[str]) -> str:
        offered = ["IMAP4rev1", "AUTH=PLAIN", "MOVE", *(["STARTTLS"] if self.server.tls == "starttls" and not self.secure else [])]
        self._say("* CAPABILITY " + " ".join(one for one in offered if one not in self.server.without))
        return "OK"

    def _starttls(self, tag: str, _words: list[str]) -> str:
        if self.server.tls != "starttls" or "STARTTLS" in self.server.without or self.server.context is None:
            return "BAD no"
        self._say(f"{tag} OK begin")
        self.file.close()
        self.connection = self.server.context.wrap_socket(self.connection, server_side=True)
        self.server._open.append(self.connection)
        self.file = self.connection.makefile("rb")
        self.secure = True
        return ""

    def _login(self, _tag: str, words: list[str]) -> str:
        self.known = (words[1], words[2]) == (self.server.user, self.server.password)
        return "OK" if self.known else f"NO [AUTHENTICATIONFAILED] {words[1]} may not"

    def _authenticate(self, tag: str, _words: list[str]) -> str:
        self._say("+ ")
        _, user, password = base64.b64decode(self.file.readline()).decode().split("\0")
        return self._login(tag, ["", user, password])

    def _create(self, _tag: str, words: list[str]) -> str:
        if words[1] in self.server.folders:
            return "NO [ALREADYEXISTS] it is there"
        self.server.folders[words[1]] = {}
        return "OK"

    def _select(self, _tag: str, words: list[str]) -> str:
        if words[1] not in self.server.folders:
            return "NO [NONEXISTENT] no such folder"
        self.folder = words[1]
        self._say(f"* {len(self._mails())} EXISTS")
        self._say(f"* OK [UIDVALIDITY {self.server.validity}] valid")
        return "OK [READ-WRITE]"

    def _mails(self) -> dict[int, tuple[bytes, set[str]]]:
        return self.server.folders[self.folder]

    def _uid_search(self, _tag: str, words: list[str]) -> str:
        uids = sorted(self._mails())
        if words[2] == "UID":
            first = int(words[3].partition(":")[0])
            uids = [uid for uid in uids if uid >= first] or uids[-1:]  # "n:*" always names the last one, too
        self._say("* SEARCH " + " ".join(str(uid) for uid in uids))
        return "OK"

    def _uid_fetch(self, _tag: str, words: list[str]) -> str:
        uid = int(words[2])
        if uid in self._mails():
            data = self._mails()[uid][0][:1_000_000]
            self._say(f"* 1 FETCH (UID {uid} BODY[]<0> {{{len(data)}}}".encode() + b"\r\n" + data + b")")
        return "OK"

    def _uid_store(self, _tag: str, words: list[str]) -> str:
        if int(words[2]) in self._mails():
            self._mails()[int(words[2])][1].add(words[4].strip("()"))
        return "OK"

    def _uid_move(self, _tag: str, words: list[str]) -> str:
        if words[3] not in self.server.folders:
            return "NO [TRYCREATE] no such folder"
        mail, flags = self._mails().pop(int(words[2]), (b"", set()))
        if mail:
            self.server.folders[words[3]][self.server.put(words[3], mail)] = (mail, flags)
        return "OK"
