"""A real Postfix on loopback with its own settings, queue and log in a folder of its own, and a greylist before it.

    with Postfix(next_hop=server.port, message_rate=200) as postfix:
        ...                                 # postfix.port takes mail for anybody and passes it on to next_hop
        assert postfix.empty()

Debian's package is enough; nothing of ``/etc/postfix`` or ``/var/spool/postfix`` is read or written.
"""

from __future__ import annotations

import os
import shutil
import socket
import socketserver
import subprocess
import tempfile
import threading
from pathlib import Path

from tests.needs import missing

MAIN = """\
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file_prefixes = {folder}
maillog_file = {folder}/log
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = postfix.example.net
mydestination =
mynetworks = 127.0.0.0/8
alias_maps =
local_recipient_maps =
default_transport = smtp:[127.0.0.1]:{next_hop}
disable_dns_lookups = yes
smtp_tls_security_level = none
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_recipient_restrictions = check_policy_service inet:127.0.0.1:{greylist}, permit_mynetworks, reject
smtpd_error_sleep_time = 0
smtpd_client_event_limit_exceptions =
smtpd_client_connection_count_limit = {connections}
smtpd_client_message_rate_limit = {message_rate}
anvil_rate_time_unit = 1s
"""
MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd
pickup    unix  n - n 60 1 pickup
cleanup   unix  n - n - 0 cleanup
qmgr      unix  n - n 300 1 qmgr
rewrite   unix  - - n - - trivial-rewrite
bounce    unix  - - n - 0 bounce
defer     unix  - - n - 0 bounce
trace     unix  - - n - 0 bounce
smtp      unix  - - n - - smtp
error     unix  - - n - - error
retry     unix  - - n - - error
proxymap  unix  - - n - - proxymap
anvil     unix  - - n - 1 anvil
scache    unix  - - n - 1 scache
postlog   unix-dgram n - n - 1 postlogd
"""


class Postfix:
    """Postfix inside ``with``; a test without it, or without the rights to start it, is skipped and says so.

    ``connections`` at a time and ``message_rate`` messages a second are what one client may have. ``greylisted``: the
    domain whose recipients are refused with 450 the first time.
    """

    def __init__(self, *, next_hop: int, connections: int = 50, message_rate: int = 0, greylisted: str = "") -> None:
        self.next_hop, self.connections, self.message_rate = next_hop, connections, message_rate
        self.greylist = _Greylist(greylisted)

    def __enter__(self) -> Postfix:
        if shutil.which("postfix", path="/usr/sbin:/usr/bin") is None:
            missing("postfix is not installed (apt-get install postfix)")
        if os.geteuid() != 0:
            missing("only root may start Postfix")
        self.folder = Path(tempfile.mkdtemp(prefix="postfix-"))
        self.folder.chmod(0o755)
        self.port = _free_port()
        self.greylist.start()
        self._write_settings()
        self._postfix("start")
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._postfix("abort")
        finally:
            self.greylist.stop()
            shutil.rmtree(self.folder)

    def empty(self) -> bool:
        """Whether the queue holds no mail."""
        return not [
            path
            for name in ("incoming", "active", "deferred")
            for path in (self.folder / "queue" / name).rglob("*")
            if path.is_file()
        ]

    @property
    def log(self) -> str:
        """What Postfix wrote so far."""
        return (self.folder / "log").read_text(encoding="utf-8", errors="replace")

    def _write_settings(self) -> None:
        settings = self.folder / "etc"
        for folder in (settings, self.folder / "queue", self.folder / "data"):
            folder.mkdir()
        shutil.chown(self.folder / "data", "postfix")
        values = {"folder": self.folder, "next_hop": self.next_hop, "greylist": self.greylist.port}
        limits = {"connections": self.connections, "message_rate": self.message_rate}
        (settings / "main.cf").write_text(MAIN.format(**values, **limits), encoding="ascii")
        (settings / "master.cf").write_text(MASTER.format(port=self.port), encoding="ascii")

    def _postfix(self, command: str) -> None:
        done = subprocess.run(
            ["/usr/sbin/postfix", "-c", str(self.folder / "etc"), command], capture_output=True, text=True, check=False, timeout=60
        )
        if done.returncode:
            log = self.folder / "log"
            said = log.read_text(encoding="utf-8") if log.exists() else ""
            raise AssertionError(f"postfix {command}: {done.stderr}{said}")


class _Greylist:
    """Postfix's policy protocol (SMTPD_POLICY_README): defers each recipient of one domain once."""

    def __init__(self, domain: str) -> None:
        self.domain = domain
        self.seen: set[str] = set()

    def start(self) -> None:
        policy = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                asked: dict[str, str] = {}
                while line := self.rfile.readline():
                    name, _, value = line.decode().strip().partition("=")
                    if name:
                        asked[name] = value
                        continue
                    self.wfile.write(f"action={policy.answer(asked.get('recipient', ''))}\n\n".encode())
                    asked = {}

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            block_on_close = False

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = int(self.server.server_address[1])
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(10)

    def answer(self, recipient: str) -> str:
        if recipient.rpartition("@")[2] != self.domain or recipient in self.seen:
            return "dunno"
        self.seen.add(recipient)
        return "450 4.2.0 Greylisted, try again later"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
