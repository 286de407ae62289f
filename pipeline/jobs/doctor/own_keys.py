"""The site's own DKIM keys: does DNS have the public half of each, as RFC 6376 §3.6.1 wants it?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipeline.jobs.doctor.check import Check, fail, note, ok
from pipeline.jobs.doctor.lookup import Lookup, UnansweredError
from pipeline.jobs.doctor.records import tags

if TYPE_CHECKING:
    from pipeline.compose.dkim import Key


def look(name: str, domain: str, keys: Sequence[Key], lookup: Lookup) -> list[Check]:
    """A line for each key that signs for that domain."""
    from pipeline.config.signing_key import algorithm_of

    try:
        found = [_published(name, domain, key, lookup) for key in keys]
        if all(algorithm_of(key.private) != "rsa" for key in keys):
            found.append(
                note(name, "only Ed25519 signs, which few mailboxes look at", '"gazet dkim new" makes an RSA key beside it.')
            )
        return found
    except UnansweredError:
        return [note(name, "could not be looked up", "Is there a network? Another name server: --dns 9.9.9.9")]


def _published(name: str, domain: str, key: Key, lookup: Lookup) -> Check:
    from pipeline.config.signing_key import algorithm_of, published, record

    place = f"{key.selector}._domainkey.{domain}"
    found = [one for one in (tags(text) for text in lookup.texts(place)) if "p" in one]
    paste = f"{place}. TXT {record(key.private)}"
    if not found:
        return fail(name, f"mails are signed, but no key is at {place}", paste)
    if len(found) > 1:
        return fail(
            name, f"{len(found)} keys at {place}, so receivers may take the wrong one", f"Let this be the only one: {paste}"
        )
    if (found[0]["p"], found[0].get("k", "rsa")) != (published(key.private), algorithm_of(key.private)):
        return fail(name, f"the key at {place} is not the one that signs, so no signature is valid", paste)
    if "y" in found[0].get("t", "").split(":"):
        return note(name, f"the key at {place} says t=y, so receivers take the mail as unsigned", "Take t=y out of the record.")
    return ok(name, f"the key that signs is at {place}")
