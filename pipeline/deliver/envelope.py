"""A message as SMTP wants it: its commands with their parameters, and its content with dots stuffed (pure)."""

from __future__ import annotations

import re
from collections.abc import Mapping

from email_validator import EmailNotValidError, validate_email

from pipeline.models import OutgoingMessage, RelayAnswer, Stage

_UNFIT = re.compile(r"[\x00-\x20\x7f<>]")


def commands_for(message: OutgoingMessage, extensions: Mapping[str, str]) -> tuple[tuple[Stage, str], ...] | RelayAnswer:
    """What to say before the content, or the refusal that this relay's offer makes certain.

    ``extensions`` maps the offered ones in lower case to their parameters.
    """
    sender = _wire_address(message.envelope_from) if message.envelope_from else ""
    recipient = _wire_address(message.recipient)
    if sender is None:
        return RelayAnswer(Stage.MAIL, 553, "5.1.7", "the sender's address cannot be written in SMTP")
    if recipient is None:
        return RelayAnswer(Stage.RCPT, 553, "5.1.3", "this address cannot be written in SMTP")
    parameters = _parameters(message, (sender + recipient).isascii(), extensions)
    if isinstance(parameters, RelayAnswer):
        return parameters
    return (
        (Stage.MAIL, f"MAIL FROM:<{sender}>{parameters}"),
        (Stage.RCPT, f"RCPT TO:<{recipient}>"),
        (Stage.DATA, "DATA"),
    )


def _parameters(message: OutgoingMessage, ascii_addresses: bool, extensions: Mapping[str, str]) -> str | RelayAnswer:
    """The parameters of MAIL: SIZE (RFC 1870), BODY (RFC 6152) and SMTPUTF8 (RFC 6531), each only where offered."""
    data = message.data
    eight_bit = not message.plain and not data.isascii()
    international = not ascii_addresses or (eight_bit and not data.partition(b"\r\n\r\n")[0].isascii())
    if international and "smtputf8" not in extensions:
        return RelayAnswer(Stage.MAIL, 553, "5.6.7", "this relay does not accept internationalised addresses (SMTPUTF8)")
    if eight_bit and "8bitmime" not in extensions:
        return RelayAnswer(Stage.MAIL, 554, "5.6.3", "this relay accepts 7-bit mail only (no 8BITMIME)")
    limit = extensions.get("size", "")
    if limit.isdecimal() and 0 < int(limit[:20]) < len(data):
        return RelayAnswer(Stage.MAIL, 552, "5.3.4", f"the message has {len(data)} bytes, this relay accepts {int(limit[:20])}")
    if not message.plain and not data.count(b"\n") == data.count(b"\r") == data.count(b"\r\n"):
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


def stuffed(message: OutgoingMessage) -> bytes:
    """The content with CRLF at its end and a second dot where a line begins with one (RFC 5321, 4.5.2)."""
    data = message.data
    if not message.plain:
        data = data.replace(b"\r\n.", b"\r\n..")
        data = b"." + data if data.startswith(b".") else data
    return data if data.endswith(b"\r\n") else data + b"\r\n"
