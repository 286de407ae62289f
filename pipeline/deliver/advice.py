"""What an operator can do about a relay's answer (pure)."""

from __future__ import annotations

from pipeline.config import RelaySettings
from pipeline.models import RelayAnswer, Stage

_PROVIDERS = {
    "smtp.office365.com": "Microsoft 365: SMTP AUTH must be switched on for this mailbox.",
    "smtp.gmail.com": "Google: use an app password, not the account's own.",
    "amazonaws.com": "Amazon SES: the SMTP user name and password are not those of the account.",
    "postmarkapp.com": "Postmark: user and password are both the server's API token.",
}


def advice(answer: RelayAnswer, settings: RelaySettings, sender: str) -> str:
    """One or two sentences for a refusal; empty for an accepted message."""
    if answer.accepted:
        return ""
    place = f"{settings.host}:{settings.effective_port}"
    return _BY_STAGE[answer.stage].format(place=place, tls=settings.tls, sender=sender) + _provider(answer, settings.host)


_BY_STAGE = {
    Stage.CONNECT: 'Is {place} right, does tls = "{tls}" fit it, and does this machine\'s network let it through? '
    "Many hosters block port 25: use 587 or 465.",
    Stage.EHLO: "The server does not want to talk to this machine: ask its operator, or use the address for submission.",
    Stage.STARTTLS: 'Use port 465 with tls = "tls" if the server wants that, or name its certificate in ca_file.',
    Stage.AUTH: "Check user and password (or password_file) of this relay.",
    Stage.MAIL: "The relay does not let {sender} send: verify that address or its domain there, or change from under [digest].",
    Stage.RCPT: "The relay does not take mail for this recipient: is the address right, and may this user send to anybody?",
    Stage.DATA: "The relay took sender and recipient, but no message: its words say why.",
    Stage.DOT: "The relay read the message and did not keep it: its words say why; often a quota, or a sender's record that is "
    'missing ("gazet doctor" looks).',
}


def _provider(answer: RelayAnswer, host: str) -> str:
    if answer.stage is not Stage.AUTH:
        return ""
    return next((f" {hint}" for name, hint in _PROVIDERS.items() if host.lower().endswith(name)), "")
