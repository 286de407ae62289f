"""Signed addresses in a mail: bound to one purpose, without the subscriber's address, valid for ever but for fresh ones (pure)."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

from itsdangerous import BadSignature, Signer

UNSUBSCRIBE = "unsubscribe"
WEB = "web"
CONFIRM = "confirm"
PREFERENCES = "preferences"
MY_DATA = "my-data"
FORM = "form"
"""A form that was shown; the identity is when, in seconds since 1970."""
_PURPOSES = (UNSUBSCRIBE, WEB, CONFIRM, PREFERENCES, MY_DATA, FORM)

_AHEAD = timedelta(minutes=5)
"""By so much the clock of another process may be ahead."""


class Links:
    """Makes and reads tokens with the site's secret. The same input gives the same token (promise 3)."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._signers = {purpose: self._signer(purpose) for purpose in _PURPOSES}

    def _signer(self, purpose: str) -> Signer:
        """Its key is derived once (as itsdangerous does with "hmac"), not for each of a million links."""
        key = hmac.new(self._secret, f"gazet.{purpose}".encode(), hashlib.sha256).digest()
        return Signer(key, sep=".", key_derivation="none", digest_method=hashlib.sha256)

    def token(self, purpose: str, identity: int) -> str:
        """A token that names ``identity`` for this purpose only."""
        packed = base64.urlsafe_b64encode(identity.to_bytes(8, "big")).rstrip(b"=").decode()
        return self._signers[purpose].sign(packed).decode()

    def identity(self, purpose: str, token: str) -> int | None:
        """The identity a token names; None when it was not made here for this purpose."""
        try:
            packed = self._signers[purpose].unsign(token)
            identity = int.from_bytes(base64.urlsafe_b64decode(packed + b"=" * (-len(packed) % 4)), "big")
        except (BadSignature, ValueError):
            return None
        # The last character of a signature has bits that count for nothing: another one there is not what we made.
        return identity if self.token(purpose, identity) == token else None

    def unsubscribe_url(self, base_url: str, subscription_id: int) -> str:
        """Where a browser or a mailbox provider unsubscribes (RFC 8058)."""
        return f"{base_url}/unsubscribe/{self.token(UNSUBSCRIBE, subscription_id)}"

    def unsubscribe_mailto(self, address: str, subscription_id: int) -> str:
        """The same by mail (RFC 2369): the token stands in the subject."""
        return _unsubscribe_mailto(address, self.token(UNSUBSCRIBE, subscription_id))

    def of_subscription(self, base_url: str, address: str, subscription_id: int) -> tuple[str, str, str]:
        """The links of each of its mails: to unsubscribe on the web and by mail to ``address``, and to choose."""
        token = self.token(UNSUBSCRIBE, subscription_id)
        leaves = f"{base_url}/unsubscribe/{token}", _unsubscribe_mailto(address, token)
        return *leaves, self.preferences_url(base_url, subscription_id)

    def web_url(self, base_url: str, variant_id: int) -> str:
        """Read on the web: names the variant, never a person."""
        return f"{base_url}/read/{self.token(WEB, variant_id)}"

    def confirm_url(self, base_url: str, signup_id: int) -> str:
        """Where somebody confirms that they asked to subscribe."""
        return f"{base_url}/confirm/{self.token(CONFIRM, signup_id)}"

    def preferences_url(self, base_url: str, subscription_id: int) -> str:
        """Where the person of a subscription chooses what comes, and when."""
        return f"{base_url}/preferences/{self.token(PREFERENCES, subscription_id)}"

    def my_data_url(self, base_url: str, subscriber_id: int, now: datetime) -> str:
        """Where a person sees and erases what is stored about them, for a day from ``now`` on."""
        return f"{base_url}/my-data/{self.fresh_token(MY_DATA, subscriber_id, now)}"

    def fresh_token(self, purpose: str, identity: int, now: datetime) -> str:
        """A token that also says when it was made; only ``fresh_identity`` reads it."""
        packed = identity.to_bytes(8, "big") + int(now.timestamp()).to_bytes(8, "big")
        return self._signers[purpose].sign(base64.urlsafe_b64encode(packed).rstrip(b"=").decode()).decode()

    def fresh_identity(self, purpose: str, token: str, now: datetime, lasts: timedelta) -> int | None:
        """The identity that a fresh token names; None when it was not made here for this purpose, or longer ago than it lasts."""
        try:
            packed = base64.urlsafe_b64decode(self._signers[purpose].unsign(token) + b"==")
            identity, made_at = int.from_bytes(packed[:8], "big"), datetime.fromtimestamp(int.from_bytes(packed[8:], "big"), UTC)
        except (BadSignature, ValueError, OverflowError, OSError):
            return None
        made_here = self.fresh_token(purpose, identity, made_at) == token
        return identity if made_here and made_at - _AHEAD <= now < made_at + lasts else None

    def return_token(self, edition_id: int, subscription_id: int) -> str:
        """Names a delivery in 40 characters that outlive servers that change case: where its bounces come back to."""
        named = edition_id.to_bytes(8, "big") + subscription_id.to_bytes(8, "big")
        return base64.b32encode(named + self._return_signature(named)).decode().lower()

    def returned(self, token: str) -> tuple[int, int] | None:
        """The edition and the subscription that a return token names; None when it was not made here."""
        try:
            packed = base64.b32decode(token.upper())
        except ValueError:
            return None
        named, signature = packed[:16], packed[16:]
        if len(packed) != 25 or not hmac.compare_digest(signature, self._return_signature(named)):
            return None
        return int.from_bytes(named[:8], "big"), int.from_bytes(named[8:], "big")

    def _return_signature(self, named: bytes) -> bytes:
        """72 bits: enough for what can only be tried by sending a mail for each guess."""
        return hmac.new(self._secret, b"gazet.return\0" + named, hashlib.sha256).digest()[:9]

    def settings_hash(self, text: str) -> str:
        """A keyed hash of settings, which may hold a password: who reads the store cannot try guesses against it."""
        return hmac.new(self._secret, b"gazet.settings\0" + text.encode(), hashlib.sha256).hexdigest()

    def place_hash(self, place: str) -> str:
        """A keyed hash of where a store is."""
        return hmac.new(self._secret, b"gazet.place\0" + place.encode(), hashlib.sha256).hexdigest()

    def site_mark(self, place: str) -> str:
        """Tells the site whose store is there from any other without telling its secret, and from a copy. 22 characters."""
        digest = hmac.new(self._secret, b"gazet.site\0" + place.encode(), hashlib.sha256).digest()
        return base64.urlsafe_b64encode(digest)[:22].decode()

    def mailbox_hash(self, mailbox: str) -> str:
        """A keyed hash of a mailbox (``jobs.signups.mailbox``): how often it was written to, without keeping what it is."""
        return hmac.new(self._secret, b"gazet.mailbox\0" + mailbox.encode(), hashlib.sha256).hexdigest()

    def address_hash(self, address: str) -> str:
        """The keyed hash under which an address is kept on the suppression list."""
        return hmac.new(self._secret, b"gazet.suppression\0" + address.casefold().encode(), hashlib.sha256).hexdigest()


def _unsubscribe_mailto(address: str, token: str) -> str:
    return f"mailto:{quote(address, safe='@')}?subject=unsubscribe%20{token}"
