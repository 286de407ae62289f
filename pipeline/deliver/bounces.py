"""What a mail that came back says: its bytes in, one verdict out. Whose mail it is about is for ``jobs/feedback`` to prove (pure).

===========================================  ==================================================================
a mail with                                  is
===========================================  ==================================================================
"unsubscribe TOKEN" as subject (RFC 2369)    unsubscribe
message/feedback-report (RFC 5965)           complaint where its type is abuse or opt-out; else a report, so also
                                             auth-failure (RFC 6591) and not-spam (RFC 6430)
message/delivery-status (RFC 3464)           bounce where an action is "failed"; else delay or delivered
X-Failed-Recipients (Exim)                   bounce
Auto-Submitted and its like (RFC 3834),      auto-reply
message/disposition-notification (RFC 8098)
anything else                                unknown: it is left for a person
===========================================  ==================================================================

A bounce that is "failed" with a status of 4.x says that the message failed, not the address (RFC 3463 §2): soft.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pipeline.deliver import retry
from pipeline.deliver.mime_parts import Fields, Part, groups, parse, plain, values
from pipeline.deliver.relay import mask
from pipeline.models import Blame, DeliveryStatus, FeedbackKind, RelayAnswer, RetryDecision, Stage, Weight

_LONGEST_ADDRESS = 320
_MOST = 20
"""Recipients, Message-IDs and tokens of one mail that are looked at."""
_OURS = frozenset(("5.7.509", "5.7.515", "5.7.30", *(f"5.7.{number}" for number in range(20, 28))))
"""SPF, DKIM, DMARC, reverse DNS or MX of the sender are amiss (RFC 7372, RFC 7505, and what Microsoft and Google document)."""
_COMPLAINTS = frozenset(("abuse", "opt-out"))
_STATUS = re.compile(r"(?<![0-9.])[245]\.[0-9]{1,3}\.[0-9]{1,3}(?![0-9.])")
_CODE = re.compile(r"(?<![0-9.])[45][0-9][0-9](?![0-9.])")
_KEY = re.compile(r"(?<![a-z2-7])([a-z2-7]{32})@")
_LEAVE = re.compile(r"unsubscribe(?:/|%20|\+| )([A-Za-z0-9_-]{8,20}\.[A-Za-z0-9_-]{20,80})")
_ASKED = re.compile(r"\s*+unsubscribe\s++([A-Za-z0-9_.-]{20,120})\s*+", re.IGNORECASE)
_XTEXT = re.compile(r"\+([0-9A-F]{2})")
_BACK_TO = ("to", "delivered-to", "x-original-to", "envelope-to", "x-envelope-to")
_NAMED_IN = ("message-id", "in-reply-to", "references", "original-message-id", "x-original-message-id")
_RETURNED = ("message/rfc822", "message/global", "text/rfc822-headers", "message/rfc822-headers", "message/global-headers")
_STATUS_PARTS = ("message/delivery-status", "message/global-delivery-status")


@dataclass(frozen=True, slots=True)
class Failure:
    """One recipient for whom a message failed: the addresses it was sent to, as it was first written and at its last.

    ``status`` is an enhanced code or "", ``reason`` one line with masked addresses.
    """

    recipients: tuple[str, ...]
    weight: Weight
    status: str
    reason: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a mail says, and its clues to the mail of ours that it is about.

    ``recipients``: of a complaint. ``returned_to``: headers that may hold the envelope sender of our mail; ``keys``: what
    stands left of the @ in Message-IDs like ours; ``leave_tokens``: the unsubscribe tokens of the mail that came back, or the
    one that the subject asks with.
    """

    kind: FeedbackKind
    reason: str = ""
    failures: tuple[Failure, ...] = ()
    recipients: tuple[str, ...] = ()
    returned_to: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    leave_tokens: tuple[str, ...] = ()


def read(data: bytes) -> Verdict:
    """The verdict on one mail, from any bytes whatever; of long ones the first megabyte counts. Never raises."""
    whole = parse(data)
    parts = list(whole.walk())
    if asked := _ASKED.fullmatch(plain(whole.first("subject"))):
        return Verdict(FeedbackKind.UNSUBSCRIBE, leave_tokens=(asked[1],))
    if report := next((part for part in parts if part.media_type == "message/feedback-report"), None):
        return _complaint(whole, parts, report)
    if status := next((part for part in parts if part.media_type in _STATUS_PARTS), None):
        return _bounce(whole, parts, status)
    if failed := whole.all("x-failed-recipients"):
        return _exim(whole, failed)
    if any(part.media_type == "message/disposition-notification" for part in parts) or _by_a_program(whole):
        return Verdict(FeedbackKind.AUTO_REPLY)
    return Verdict(FeedbackKind.UNKNOWN)


def _by_a_program(whole: Part) -> bool:
    """RFC 3834 §5, and what was usual before it."""
    said = whole.first("auto-submitted").partition(";")[0].strip().lower()
    if said and said != "no":
        return True
    usual = whole.first("precedence").lower() in ("auto_reply", "auto-reply")
    return usual or any(whole.first(name) for name in ("x-autoreply", "x-autorespond", "x-autogenerated"))


def _complaint(whole: Part, parts: list[Part], report: Part) -> Verdict:
    fields = tuple(field for group in groups(report.body) for field in group)
    kind = next(iter(values(fields, "feedback-type")), "").strip().lower()
    senders = values(fields, "original-mail-from")
    people = [_address(value) for value in values(fields, "original-rcpt-to")]
    found = _clues(whole, parts, fields, senders)
    return Verdict(
        FeedbackKind.COMPLAINT if kind in _COMPLAINTS else FeedbackKind.REPORT,
        reason=mask(kind),
        recipients=tuple(one for one in people if one)[:_MOST],
        returned_to=found.returned_to,
        keys=found.keys,
        leave_tokens=found.leave_tokens,
    )


def _bounce(whole: Part, parts: list[Part], status: Part) -> Verdict:
    found = groups(status.body)
    people = [group for group in found if values(group, "action") or values(group, "final-recipient")]
    actions = {_action(group) for group in people}
    failures = tuple(_failure(group) for group in people if _action(group) == "failed")[:_MOST]
    clues = _clues(whole, parts, tuple(field for group in found for field in group), [])
    kind = FeedbackKind.BOUNCE if failures else FeedbackKind.DELAY if "delayed" in actions else FeedbackKind.DELIVERED
    if not actions & {"failed", "delayed", "delivered", "relayed", "expanded"}:
        kind = FeedbackKind.UNKNOWN
    reason = failures[0].reason if failures else ""
    return Verdict(kind, reason, failures, returned_to=clues.returned_to, keys=clues.keys, leave_tokens=clues.leave_tokens)


def _action(group: Fields) -> str:
    words = next(iter(values(group, "action")), "").replace("(", " ").split()
    return words[0].lower() if words else ""


def _failure(group: Fields) -> Failure:
    named = [value for name in ("original-recipient", "final-recipient") for value in values(group, name)]
    people = [address for value in named for address in _addresses(value)][:_MOST]
    said = next(iter(values(group, "diagnostic-code")), "")
    kind, _, words = said.partition(";")
    text = (words if kind.strip().lower() in ("smtp", "x-postfix", "x-unix", "x400") else said).strip()
    status = _status(next(iter(values(group, "status")), ""), text)
    return Failure(tuple(dict.fromkeys(people)), weigh(status, text), status, mask(f"{status} {text}"))


def _status(status: str, text: str) -> str:
    """The code of the status field; what the last server said where that field says no more than "failed"."""
    given, told = _STATUS.search(status), _STATUS.search(text[:300])
    if given is None or (given[0].endswith(".0.0") and told is not None and told[0][0] == given[0][0]):
        return told[0] if told else ""
    return given[0]


def weigh(status: str, text: str) -> Weight:
    """What a failure with this enhanced code and these words says of its address; the table of codes is that of ``retry``."""
    if status.startswith("4"):
        return Weight.SOFT
    if status in _OURS:
        return Weight.OURS
    code = _CODE.search(text[:100])
    enhanced = "" if status.endswith(".0.0") else status
    found = _decide(RelayAnswer(Stage.RCPT, int(code[0]) if code else 550 if enhanced else 500, enhanced, text[:500]))
    if found.suppress:
        return Weight.HARD
    policy = enhanced.startswith(("5.6.", "5.7.")) or enhanced == "5.3.4" or (found.blame is Blame.POLICY and not enhanced)
    return Weight.POLICY if policy and found.status is DeliveryStatus.FAILED else Weight.SOFT


_AT = datetime(2000, 1, 1, tzinfo=UTC)


def _decide(answer: RelayAnswer) -> RetryDecision:
    return retry.decide(answer, attempts=0, opened_at=_AT, deadline=timedelta(days=1), now=_AT, jitter=0.0)


def _exim(whole: Part, failed: list[str]) -> Verdict:
    """Exim without parts names who failed in a header; the mail that came back stands in the text behind its words."""
    text = whole.body[:100_000].decode("utf-8", "replace")
    words, _, rest = text.partition("\n------ ")
    line = next((line.strip() for line in words.split("\n") if _CODE.search(line) and _address(line) == ""), "")
    status = found[0] if (found := _STATUS.search(line)) else ""
    if (code := _CODE.search(line)) and not status and code[0].startswith("4"):
        status = f"{code[0][0]}.0.0"
    weight = weigh(status, line) if line else Weight.SOFT
    people = [_address(one) for value in failed for one in value.split(",")[:_MOST]]
    failures = tuple(Failure((one,), weight, status, mask(line or "no reason was given")) for one in people if one)
    if not failures:
        return Verdict(FeedbackKind.UNKNOWN)
    back = [Part(fields, "", b"") for fields in groups(rest.encode())[:5]]
    clues = _clues_of(whole, back, (), [])
    return Verdict(
        FeedbackKind.BOUNCE,
        failures[0].reason,
        failures[:_MOST],
        returned_to=clues.returned_to,
        keys=clues.keys,
        leave_tokens=clues.leave_tokens,
    )


def _clues(whole: Part, parts: list[Part], fields: Fields, senders: list[str]) -> Verdict:
    back = [inner for part in parts if part.media_type in _RETURNED for inner in part.parts]
    return _clues_of(whole, back, fields, senders)


def _clues_of(whole: Part, back: list[Part], fields: Fields, senders: list[str]) -> Verdict:
    """Only the fields for clues are set."""
    returned_to = [value for name in _BACK_TO for value in whole.all(name)] + senders
    returned_to += [value for one in back for value in one.all("return-path")]
    named = [value for one in (*back, whole) for name in _NAMED_IN for value in one.all(name)]
    named += [value for name in _NAMED_IN for value in values(fields, name)]
    keys = [key for value in named for key in _KEY.findall(value.lower())]
    tokens = [token for one in back for value in one.all("list-unsubscribe") for token in _LEAVE.findall(value)]
    return Verdict(
        FeedbackKind.UNKNOWN,
        returned_to=tuple(returned_to)[:_MOST],
        keys=tuple(dict.fromkeys(keys))[:_MOST],
        leave_tokens=tuple(dict.fromkeys(tokens))[:_MOST],
    )


def _addresses(value: str) -> list[str]:
    """The address in ``rfc822; ann@example.org``, and what it was if it was made fit for ORCPT (xtext, RFC 3461 §4)."""
    address = _address(value)
    decoded = _XTEXT.sub(lambda found: chr(int(found[1], 16)), address)
    return [one for one in dict.fromkeys((address, _address(decoded))) if one]


def _address(value: str) -> str:
    """The address in ``rfc822; ann@example.org`` or ``<ann@example.org>``, "" where there is none."""
    kind, semicolon, rest = value.partition(";")
    text = (rest if semicolon else kind).strip().strip("<> ")
    fits = "@" in text and len(text) <= _LONGEST_ADDRESS and not any(char.isspace() or not char.isprintable() for char in text)
    return text if fits else ""
