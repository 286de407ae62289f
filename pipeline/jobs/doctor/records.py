"""The sender's domain in DNS: who may send for it, what becomes of others' mail, and where answers go.

SPF RFC 7208 · DKIM RFC 6376 · DMARC RFC 7489 (the tree is walked upwards instead of asking a list of public suffixes).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

from pipeline.config import RelaySettings
from pipeline.jobs.doctor.check import Check, Look, fail, note, ok
from pipeline.jobs.doctor.lookup import Lookup, UnansweredError

_MOST_LOOKUPS = 10
_SHORT_KEY = 300
_LOOKS_UP = ("include", "a", "mx", "ptr", "exists", "redirect")
_SELECTOR = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_PROVIDERS = {
    "office365.com": ("include:spf.protection.outlook.com", ("selector1", "selector2")),
    "gmail.com": ("include:_spf.google.com", ("google",)),
    "google.com": ("include:_spf.google.com", ("google",)),
    "amazonaws.com": ("include:amazonses.com", ()),
    "postmarkapp.com": ("include:spf.mtasv.net", ()),
    "sendgrid.net": ("include:sendgrid.net", ()),
    "mailgun.org": ("include:mailgun.org", ()),
}


def looks(domain: str, contact: str, relay: RelaySettings | None, selector: str, lookup: Lookup) -> dict[str, Look]:
    """Every record of one sender's domain, each with what to paste where it is missing."""
    spf_name, dkim_name, dmarc_name, mx_name = (f"{kind} {domain}" for kind in ("SPF", "DKIM", "DMARC", "MX"))
    return {
        spf_name: partial(_look, spf_name, lambda: spf(spf_name, domain, relay, lookup)),
        dkim_name: partial(_look, dkim_name, lambda: dkim(dkim_name, domain, _selectors(relay, selector), lookup)),
        dmarc_name: partial(_look, dmarc_name, lambda: dmarc(dmarc_name, domain, contact, lookup)),
        mx_name: partial(_look, mx_name, lambda: mx(mx_name, domain, lookup)),
    }


def _look(name: str, look: Callable[[], Check]) -> list[Check]:
    try:
        return [look()]
    except UnansweredError:
        return [note(name, "could not be looked up", "Is there a network? Another name server: --dns 9.9.9.9")]


def spf(name: str, domain: str, relay: RelaySettings | None, lookup: Lookup) -> Check:
    """Exactly one record (§4.5), at most ten look-ups (§4.6.4), and an end that says something."""
    found = [text for text in lookup.texts(domain) if re.match(r"v=spf1(?: |$)", text, re.IGNORECASE)]
    paste = f'{domain}. TXT "v=spf1 {_include(relay)} ~all"'
    if not found:
        return fail(name, "no record says who may send for this domain", paste)
    if len(found) > 1:
        return fail(name, f"{len(found)} records, so none counts: {' | '.join(found)}", "Make one of them.")
    if (lookups := _lookups(found[0], lookup)) > _MOST_LOOKUPS:
        return fail(
            name, f"needs more than {_MOST_LOOKUPS} look-ups, so it does not count: {found[0]}", "Take out what is not used."
        )
    terms = found[0].lower().split()
    if any(term in ("all", "+all") for term in terms):
        return fail(name, f"lets the whole world send: {found[0]}", "Let it end in ~all.")
    if not any(term in ("-all", "~all") or term.startswith("redirect=") for term in terms):
        return note(name, f"does not say what becomes of others: {found[0]}", "Let it end in ~all.")
    wanted = _include(relay)
    if wanted.startswith("include:") and "<" not in wanted and wanted not in terms and not _within(wanted, found[0], lookup):
        return note(
            name, f"{relay.host if relay else ''} is not in it: {found[0]}", f"Add {wanted}, unless your provider says otherwise."
        )
    return ok(name, f"{found[0]} ({lookups} look-ups)")


def _include(relay: RelaySettings | None) -> str:
    if relay is None:
        return "include:<what your provider names>"
    known = next((spf for host, (spf, _) in _PROVIDERS.items() if relay.host.lower().endswith(host)), "")
    return known or ("mx" if relay.on_loopback or relay.effective_port == 25 else "include:<what your provider names>")


def _within(wanted: str, text: str, lookup: Lookup) -> bool:
    """Whether a record that this one includes names it."""
    targets = [term.partition(":")[2] for term in text.lower().split() if term.startswith("include:") and "%" not in term]
    return any(wanted in inner.lower().split() for target in targets[:_MOST_LOOKUPS] for inner in _spf_of(target, lookup))


def _spf_of(name: str, lookup: Lookup) -> list[str]:
    return [text for text in lookup.texts(name) if text.lower().startswith("v=spf1")]


def _lookups(text: str, lookup: Lookup) -> int:
    """How many look-ups a receiver makes; counting ends when there are too many, so loops end too."""
    count, waiting = 0, [text]
    while waiting and count <= _MOST_LOOKUPS:
        for term in waiting.pop().lower().split()[1:]:
            kind = re.split("[:/=]", term.lstrip("+-~?"), maxsplit=1)[0]
            count += kind in _LOOKS_UP
            target = re.split("[:=]", term, maxsplit=1)[1:]
            if kind in ("include", "redirect") and target and "%" not in target[0] and count <= _MOST_LOOKUPS:
                waiting += _spf_of(target[0], lookup)
    return count


def _selectors(relay: RelaySettings | None, selector: str) -> tuple[str, ...]:
    if selector:
        return (selector,)
    host = relay.host.lower() if relay else ""
    return next((selectors for name, (_, selectors) in _PROVIDERS.items() if host.endswith(name)), ())


def dkim(name: str, domain: str, selectors: tuple[str, ...], lookup: Lookup) -> Check:
    """The public key of one of these selectors (§3.6.1)."""
    if not selectors:
        fix = 'Publish the record that your provider shows, then "gazet doctor --selector ITS-SELECTOR".'
        return note(name, "which selector your provider signs with cannot be known from here", fix)
    for selector in selectors:
        place = f"{selector}._domainkey.{domain}"
        if not _SELECTOR.fullmatch(selector):
            return fail(name, "this is not a selector", "It is the word s= in the DKIM-Signature of a test mail.")
        found = [tags(text) for text in lookup.texts(place)]
        if keys := [tags for tags in found if "p" in tags]:
            return _key(name, place, keys[0]["p"], keys[0].get("k", "rsa"))
    where = " or ".join(f"{selector}._domainkey.{domain}" for selector in selectors)
    return fail(name, f"no key at {where}", f'{where}. TXT "v=DKIM1; k=rsa; p=<what your provider shows>"')


def _key(name: str, place: str, key: str, kind: str) -> Check:
    if not key:
        return fail(name, f"the key at {place} was revoked", "Publish the record that your provider shows now.")
    if kind == "rsa" and len(key) < _SHORT_KEY:
        return note(name, f"the key at {place} is a short one", "Ask your provider for one of 2048 bits.")
    return ok(name, f"a key at {place}")


def dmarc(name: str, domain: str, contact: str, lookup: Lookup) -> Check:
    """The domain's own policy, or that of a domain above it."""
    labels = domain.split(".")
    for above in range(max(len(labels) - 1, 1)):
        place = f"_dmarc.{'.'.join(labels[above:])}"
        found = [text for text in lookup.texts(place) if re.match(r"v=DMARC1(?:\s*;|\s*$)", text)]
        if len(found) > 1:
            return fail(name, f"{len(found)} records at {place}, so none counts", "Make one of them.")
        if found:
            policy = tags(found[0]).get("p", "").lower()
            if policy not in ("none", "quarantine", "reject"):
                return fail(name, f"{place} has no policy: {found[0]}", f'{place}. TXT "v=DMARC1; p=none; rua=mailto:{contact}"')
            return ok(name, f"{place}: {found[0]}")
    fix = f'_dmarc.{domain}. TXT "v=DMARC1; p=none; rua=mailto:{contact}"'
    return fail(name, "no policy, which mailbox providers demand of newsletters", fix)


def tags(text: str) -> dict[str, str]:
    """``k=v`` pairs between semicolons, white space dropped (RFC 6376 §3.2)."""
    pairs = (part.partition("=") for part in text.split(";"))
    return {key.strip().lower(): "".join(value.split()) for key, equals, value in pairs if equals}


def mx(name: str, domain: str, lookup: Lookup) -> Check:
    """Answers, bounces and mails to unsubscribe come back to the sender's domain."""
    servers = lookup.mail_servers(domain)
    if not servers or servers[0] == ".":
        why = "refuses all mail" if servers else "has no mail server"
        return fail(name, f"{domain} {why}: answers and bounces are lost", f"{domain}. MX 10 <your mail server>.")
    return ok(name, f"mail to it goes to {servers[0]}")
