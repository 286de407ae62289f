"""Trying the relay: a login without a mail (doctor), and a test mail with all that it shows (send --test)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from pipeline.config import OUTBOX, RelaySettings, valid_address
from pipeline.deliver.advice import advice
from pipeline.deliver.line import Offer
from pipeline.deliver.outbox import Outbox
from pipeline.deliver.relay import Relay
from pipeline.deliver.smtp import SmtpSession, relay_from
from pipeline.errors import SendRefusedError, UsageError
from pipeline.jobs import sample, trust
from pipeline.jobs.sample import Sample
from pipeline.jobs.site import Site
from pipeline.jobs.trust import WebAnswer
from pipeline.models import OutgoingMessage, RelayAnswer
from pipeline.store import subscribers

_PATIENCE = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Login:
    """How far one got with a relay: ``offer`` with a session, ``answer`` the obstacle or the reply to a message."""

    answer: RelayAnswer | None
    offer: Offer | None
    advice: str


@dataclass(frozen=True, slots=True)
class Tried:
    """A test mail, and what came of it. ``web`` None: site.url was not asked; ``missing`` None: subscribers get mail now."""

    sample: Sample
    address: str
    relay: str
    place: str
    answer: RelayAnswer
    offer: Offer | None
    advice: str
    web: WebAnswer | None
    missing: SendRefusedError | None

    @property
    def rehearsal(self) -> bool:
        """Only the outbox took it."""
        return self.relay == OUTBOX


def log_in(relay: RelaySettings, site: Site, sender: str, *, patience: timedelta) -> Login:
    """Connect, TLS, log in, QUIT. Raises ConfigError when the relay's files cannot be read."""
    return _talk(_impatient(relay, site, patience), relay, sender, None)


def send_test(site: Site, slug: str, address: str, person: str, now: datetime, *, standing_clock: bool) -> Tried:
    """Send the feed's next mail (as ``person`` would get it) to ``address``; no delivery is made and no cursor moves.

    Raises UsageError for an address that cannot be written to, GazetError when there is nothing to show,
    SendRefusedError with a standing clock and a relay that reaches real people.
    """
    _check_address(site, address)
    relay = site.settings.relay[0] if site.settings.relay else None
    if relay is not None and not relay.on_loopback:
        _check_real(site, relay, slug, standing_clock)
    made = sample.sample(site, slug, person, now, stand_in=True)
    mail = sample.as_test(site, made, address)
    if relay is None:
        return _rehearse(site, made, mail)
    tested_hash = trust.settings_hash(site, relay)
    done = _talk(_impatient(relay, site, _PATIENCE), relay, mail.envelope_from, mail)
    assert done.answer is not None, "a message that was sent has an answer"
    web, missing = _after(site, relay, tested_hash, now) if done.answer.accepted else (None, None)
    place = f"{relay.host}:{relay.effective_port}"
    return Tried(made, address, relay.name, place, done.answer, done.offer, done.advice, web, missing)


def _check_address(site: Site, address: str) -> None:
    try:
        valid_address(address)
    except ValueError as error:
        raise UsageError(f"--test: {error}.") from None
    with site.store.read() as tx:
        if subscribers.suppressed(tx, site.links.address_hash(address)):
            raise UsageError(f"{address} is on the suppression list: nothing is sent there.", fix="Name another address.")


def _check_real(site: Site, relay: RelaySettings, slug: str, standing_clock: bool) -> None:
    if standing_clock and (refused := trust.missing(site, relay, standing_clock=True)):
        raise refused
    sender = sample.sender_address(site, site.feed(slug))
    if trust.is_example(sender.rpartition("@")[2]):
        fix = "Put your own address as contact under [site] into gazet.toml, or as from under [digest]."
        raise UsageError(f"The sender {sender} is an example address, which no mailbox takes mail from.", fix=fix)


def _impatient(relay: RelaySettings, site: Site, patience: timedelta) -> Relay:
    """The same relay, but a person waits: nobody does so for five minutes."""
    return relay_from(relay.model_copy(update={"timeout": min(relay.timeout, patience)}), site.settings.folder)


def _talk(relay: Relay, settings: RelaySettings, sender: str, mail: OutgoingMessage | None) -> Login:
    session = relay.connect()
    if isinstance(session, RelayAnswer):
        return Login(session, None, advice(session, settings, sender))
    try:
        offer = session.offer() if isinstance(session, SmtpSession) else None
        answer = session.send(mail) if mail is not None else None
    finally:
        session.close()
    return Login(answer, offer, advice(answer, settings, sender) if answer is not None else "")


def _after(site: Site, relay: RelaySettings, tested_hash: str, now: datetime) -> tuple[WebAnswer | None, SendRefusedError | None]:
    """Remember that it was accepted, ask site.url who it is, and say what is still missing."""
    trust.accepted(site, relay, tested_hash, now)
    web = None if trust.is_example(site.host) else trust.ask(site, now)
    try:
        trust.require(site, relay, standing_clock=False, now=now)
    except SendRefusedError as refused:
        return web, refused
    return web, None


def _rehearse(site: Site, made: Sample, mail: OutgoingMessage) -> Tried:
    folder = site.settings.path("var/outbox")
    session = Outbox(folder, OUTBOX).connect()
    answer = session if isinstance(session, RelayAnswer) else session.send(mail)
    hint = "" if answer.accepted else f"Gazet must be able to write in {folder}."
    return Tried(made, mail.recipient, OUTBOX, str(folder / "new"), answer, None, hint, None, None)
