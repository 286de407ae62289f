"""Mails as servers send them back: the formats that are met most, made by hand around a mail of ours.

postfix(mail, "ann@example.org", status="5.1.1", said="550 5.1.1 <ann@example.org>: User unknown")
"""

from __future__ import annotations

_TO = "nieuws@example.org"


def headers(mail: bytes) -> bytes:
    """The header lines of a mail, with the last CRLF."""
    return mail.partition(b"\r\n\r\n")[0] + b"\r\n"


def _report(kind: str, human: bytes, machine: bytes, returned: tuple[str, bytes], *, to: str = _TO, top: bytes = b"") -> bytes:
    boundary = b"=_R7/1"
    machine_type = "message/feedback-report" if kind == "feedback-report" else "message/delivery-status"
    parts = ((b"text/plain; charset=us-ascii", human), (machine_type.encode(), machine), (returned[0].encode(), returned[1]))
    head = b"From: MAILER-DAEMON@mx.example.org (Mail Delivery System)\r\nTo: " + to.encode() + b"\r\nSubject: Undelivered\r\n"
    head += b'MIME-Version: 1.0\r\nContent-Type: multipart/report; report-type="' + kind.encode() + b'";\r\n\tboundary="'
    head += boundary + b'"\r\nAuto-Submitted: auto-replied\r\n' + top + b"\r\nThis is a MIME-encapsulated message.\r\n"
    body = b"".join(b"\r\n--" + boundary + b"\r\nContent-Type: " + kind + b"\r\n\r\n" + text for kind, text in parts)
    return head + body + b"\r\n--" + boundary + b"--\r\n"


def postfix(
    mail: bytes, recipient: str, *, status: str, said: str, action: str = "failed", to: str = _TO, original: str = ""
) -> bytes:
    """Postfix: a report with the whole mail; ``said`` by the last server, ``original``: the address before it was forwarded."""
    machine = (
        "Reporting-MTA: dns; mx.example.org\r\nX-Postfix-Queue-ID: 4XyZ1\r\nX-Postfix-Sender: rfc822; nieuws@example.org\r\n"
        "Arrival-Date: Tue, 24 Nov 2026 08:00:00 +0100 (CET)\r\n\r\n"
        f"Final-Recipient: rfc822; {recipient}\r\nOriginal-Recipient: rfc822;{original or recipient}\r\nAction: {action}\r\n"
        f"Status: {status}\r\nRemote-MTA: dns; mail.example.org\r\nDiagnostic-Code: smtp; {said}\r\n"
    )
    return _report("delivery-status", b"I'm sorry to have to inform you ...", machine.encode(), ("message/rfc822", mail), to=to)


def exchange(mail: bytes, recipient: str, *, status: str = "5.1.10", said: str = "RESOLVER.ADR.RecipientNotFound") -> bytes:
    """Exchange Online: only the headers of the mail, its Message-ID in the bounce's own headers as well."""
    machine = (
        "Reporting-MTA: dns;AM0PR01.eurprd01.prod.exchangelabs.com\r\nArrival-Date: Tue, 24 Nov 2026 07:00:01 +0000\r\n\r\n"
        f"Final-Recipient: rfc822;{recipient}\r\nAction: failed\r\nStatus: {status}\r\n"
        f"Diagnostic-Code: smtp;550 {status} {said}\r\nX-Display-Name: Ann\r\n"
    )
    return _report(
        "delivery-status", b"Your message couldn't be delivered.", machine.encode(), ("text/rfc822-headers", headers(mail))
    )


def gmail(mail: bytes, recipient: str, message_id: str) -> bytes:
    """Gmail: the mail's Message-ID in its own field, in References and In-Reply-To, recipients lower-cased."""
    machine = (
        f"Reporting-MTA: dns; googlemail.com\r\nArrival-Date: Mon, 23 Nov 2026 23:00:02 -0800 (PST)\r\n"
        f"X-Original-Message-ID: {message_id}\r\n\r\n"
        f"Final-Recipient: rfc822; {recipient.lower()}\r\nAction: failed\r\nStatus: 5.1.1\r\n"
        "Remote-MTA: dns; gmail-smtp-in.l.google.com. (142.250.0.27, the server for the domain gmail.com.)\r\n"
        "Diagnostic-Code: smtp; 550-5.1.1 The email account that you tried to reach does not exist. Please try\r\n"
        " 550-5.1.1 double-checking the recipient's email address for typos or\r\n 550 5.1.1 unnecessary spaces.\r\n"
        "Last-Attempt-Date: Mon, 23 Nov 2026 23:00:02 -0800 (PST)\r\n"
    )
    top = f"References: {message_id}\r\nIn-Reply-To: {message_id}\r\nX-Failed-Recipients: {recipient}\r\n".encode()
    human = b"** Address not found **\r\n"
    return _report("delivery-status", human, machine.encode(), ("message/rfc822", headers(mail) + b"\r\n"), top=top)


def exim(mail: bytes, recipient: str, *, said: str = "550 5.1.1 User unknown") -> bytes:
    """Exim of before it made reports: words, and a copy of the mail behind them."""
    text = (
        f"X-Failed-Recipients: {recipient}\r\nAuto-Submitted: auto-replied\r\nFrom: Mailer <Mailer-Daemon@mx.example>\r\n"
        f"To: {_TO}\r\nSubject: Mail delivery failed: returning message to sender\r\n\r\n"
        "This message was created automatically by mail delivery software.\r\n\r\nA message could not be delivered\r\n"
        f"to one or more of its recipients. The following address(es) failed:\r\n\r\n  {recipient}\r\n"
        f"    host mail.example.org [192.0.2.1]\r\n    SMTP error from remote mail server after RCPT TO:<{recipient}>:\r\n"
        f"    {said}\r\n\r\n"
        "------ This is a copy of the message, including all the headers. ------\r\n\r\n"
    )
    return text.encode() + mail


def arf(mail: bytes, *, kind: str = "abuse", recipient: str = "", sender: str = "nieuws@example.org") -> bytes:
    """A complaint as mailbox providers pass it on (RFC 5965); ``recipient`` is often left out."""
    machine = f"Feedback-Type: {kind}\r\nUser-Agent: SomeGenerator/1.0\r\nVersion: 1\r\nOriginal-Mail-From: <{sender}>\r\n"
    machine += f"Original-Rcpt-To: <{recipient}>\r\n" if recipient else ""
    return _report("feedback-report", b"This is an email abuse report.", machine.encode(), ("message/rfc822", mail))


def unsubscribe(token: str, *, sender: str = "ann@example.org") -> bytes:
    """What a mail program sends for a mailto address in List-Unsubscribe."""
    return f"From: {sender}\r\nTo: redactie@example.org\r\nSubject: unsubscribe {token}\r\n\r\n\r\n".encode()


def vacation(mail: bytes, *, sender: str = "ann@example.org") -> bytes:
    """An answer by a program (RFC 3834), with the mail it answers."""
    head = f"From: {sender}\r\nTo: {_TO}\r\nSubject: Afwezig\r\nAuto-Submitted: auto-replied (vacation)\r\n\r\nIk ben er niet.\r\n"
    return head.encode() + mail
