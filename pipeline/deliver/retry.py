"""What becomes of a delivery after a relay's answer: one decision, made once, from the answer alone.

=========================  ===========================================  ==========================================
where                      what                                         becomes
=========================  ===========================================  ==========================================
dot                        2xx                                          accepted
connect, EHLO, STARTTLS,   anything else                                queued again, not counted: the relay's
AUTH                                                                    fault, never an address's
MAIL, RCPT, DATA           421 (RFC 5321, 3.8)                          the same
MAIL                       552, x.3.4: too big (RFC 1870)               queued; the edition is to pause
MAIL                       5.6.7: no SMTPUTF8 (RFC 6531)                failed
MAIL                       any other 5xx                                queued, not counted: the relay's fault
RCPT                       5.1.1, 5.1.2, 5.1.3, 5.1.6, 5.1.10           failed, and the address is suppressed
                           (RFC 3463, 7505), or a bare 550 that names
                           an unknown user
RCPT, DATA, dot            x.2.2 or 552 for a full mailbox (RFC 3463,   deferred
                           3.3: persistent but transient; RFC 5321,
                           4.5.3.1.10: take 552 for temporary)
RCPT, DATA, dot            any other 5xx (RFC 5321, 4.2.1)              failed, this delivery only
MAIL, RCPT, DATA, dot      4xx                                          deferred
MAIL, RCPT, DATA           no answer                                    deferred: the relay has no message
dot                        no answer after the dot was handed over      uncertain
=========================  ===========================================  ==========================================

A deferral never goes past the deadline: what would be tried again after it expires at it. A reply that says when ("greylisted,
try again in 300 seconds") is taken at its word, within a minute and four hours.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from pipeline.models import Blame, DeliveryStatus, RelayAnswer, RetryDecision, Stage

BACK_OFF = tuple(timedelta(minutes=minutes) for minutes in (5, 15, 30, 60, 120, 240))
"""How long after the first, second, … attempt the next one is made; the last one repeats."""
JITTER = 0.2
"""The share by which a wait is made shorter or longer, so that deferred deliveries do not come back as one."""

_SOONEST, _LATEST = timedelta(minutes=1), timedelta(hours=4)
_WHEN = re.compile(
    r"\b(?:retry|try again|again|come back|wait|after|in)\b[^0-9]{0,20}"
    r"(?:(?P<h>[0-9]{1,2}):(?P<m>[0-9]{2}):(?P<s>[0-9]{2})\b"
    r"|(?P<n>[0-9]{1,5}) ?(?P<unit>s|m|h|seconds?|secs?|minutes?|mins?|hours?)\b)",
    re.IGNORECASE,
)
_UNITS = {"s": timedelta(seconds=1), "m": timedelta(minutes=1), "h": timedelta(hours=1)}

_OPENING = (Stage.CONNECT, Stage.EHLO, Stage.STARTTLS, Stage.AUTH)
_NO_SUCH_ADDRESS = frozenset(("5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10"))
_WHO = r"(?:user|recipient|mailbox|mail box|account|addressee|address|alias|inbox)"
_UNKNOWN_USER = re.compile(
    rf"\b(?:unknown|no such|invalid|non-?existent) (?:\w+ )?{_WHO}\b"
    rf"|\b{_WHO}(?: \S+)? (?:is )?(?:unknown|not found|does not exist|doesn't exist|not known|invalid)\b"
    rf"|\bno {_WHO} (?:here )?by that name\b",
    re.IGNORECASE,
)
_ABOUT_THE_SENDER = re.compile(r"\b(?:sender|from address|return[- ]path|domain|helo|ehlo)\b", re.IGNORECASE)
_POLICY_CODE = re.compile(r"5\.[3457]\.\d+|5\.1\.[78]")
_POLICY_WORD = re.compile(
    r"quota|\b(?:limit|spam|block|black-?list|polic(?:y|ies)|reputation)|\b(?:rate|rates|too many)\b", re.IGNORECASE
)
_FULL_MAILBOX = re.compile(r"\b(?:mailbox|mail box|inbox|user|recipient|account|storage)\b.*\b(?:full|quota|exceed)", re.IGNORECASE)
_OVER_QUOTA = re.compile(r"\bover ?quota\b|\bquota exceeded\b|\bexceeded storage\b", re.IGNORECASE)
_GREYLIST = re.compile(r"gr[ea]y-?list", re.IGNORECASE)


def decide(
    answer: RelayAnswer, *, attempts: int, opened_at: datetime, deadline: timedelta, now: datetime, jitter: float
) -> RetryDecision:
    """What to do with a delivery whose attempt got this answer (the table above).

    ``attempts`` were counted before this one, ``opened_at`` and ``deadline`` are the edition's, ``jitter`` is in [0, 1).
    """
    reason = _reason(answer)
    if answer.accepted:
        return RetryDecision(DeliveryStatus.ACCEPTED, Blame.NOBODY, reason)
    if answer.stage in _OPENING or (answer.code == 421 and not answer.handed_over):
        return RetryDecision(DeliveryStatus.QUEUED, Blame.RELAY, reason, count_attempt=False)
    if _is_refusal(answer, 5) and not _full_mailbox(answer):
        return _refused(answer, reason)
    if not _is_refusal(answer, 4, 5) and answer.handed_over:
        return RetryDecision(DeliveryStatus.UNCERTAIN, Blame.RELAY, reason)
    return defer(
        reason,
        _blame_for_deferral(answer),
        hint=_hint(answer),
        attempts=attempts,
        opened_at=opened_at,
        deadline=deadline,
        now=now,
        jitter=jitter,
    )


def defer(
    reason: str,
    blame: Blame,
    *,
    attempts: int,
    opened_at: datetime,
    deadline: timedelta,
    now: datetime,
    jitter: float,
    hint: timedelta | None = None,
) -> RetryDecision:
    """Try again after a while, or after ``hint``, never before it; at the latest at the deadline, expired when that has passed."""
    if expired(opened_at, deadline, now):
        return RetryDecision(DeliveryStatus.EXPIRED, blame, f"not accepted by the deadline; {reason}")
    usual = BACK_OFF[min(attempts, len(BACK_OFF) - 1)] * (1 + JITTER * (2 * jitter - 1))
    wait = usual if hint is None else hint * (1 + JITTER * jitter)
    return RetryDecision(DeliveryStatus.DEFERRED, blame, reason, next_at=min(now + wait, opened_at + deadline))


def expired(opened_at: datetime, deadline: timedelta, now: datetime) -> bool:
    """Whether an edition opened then is no longer sent."""
    return now >= opened_at + deadline


def _is_refusal(answer: RelayAnswer, *digits: int) -> bool:
    return answer.code is not None and answer.code // 100 in digits


def _refused(answer: RelayAnswer, reason: str) -> RetryDecision:
    if answer.stage is Stage.MAIL:
        return _refused_at_mail(answer, reason)
    if answer.stage is Stage.RCPT and _unknown_recipient(answer):
        return RetryDecision(DeliveryStatus.FAILED, Blame.RECIPIENT, reason, suppress=True)
    return RetryDecision(DeliveryStatus.FAILED, Blame.POLICY if _policy(answer) else Blame.DELIVERY, reason)


def _refused_at_mail(answer: RelayAnswer, reason: str) -> RetryDecision:
    if answer.enhanced == "5.6.7":
        return RetryDecision(DeliveryStatus.FAILED, Blame.DELIVERY, reason)
    too_big = answer.code == 552 or answer.enhanced == "5.3.4"
    return RetryDecision(DeliveryStatus.QUEUED, Blame.EDITION if too_big else Blame.RELAY, reason, count_attempt=False)


def _unknown_recipient(answer: RelayAnswer) -> bool:
    """Suppressing is for ever, so words count only where nothing points at the sender or at a policy."""
    if answer.enhanced or answer.code != 550:
        return answer.enhanced in _NO_SUCH_ADDRESS
    text = answer.text
    return bool(_UNKNOWN_USER.search(text)) and not _POLICY_WORD.search(text) and not _ABOUT_THE_SENDER.search(text)


def _policy(answer: RelayAnswer) -> bool:
    """Whether the relay may well refuse everybody for the same reason (limits.Breaker counts these)."""
    bare_550 = answer.code == 550 and not answer.enhanced
    return bare_550 or answer.code == 554 or bool(_POLICY_CODE.fullmatch(answer.enhanced) or _POLICY_WORD.search(answer.text))


def _full_mailbox(answer: RelayAnswer) -> bool:
    if answer.stage not in (Stage.RCPT, Stage.DATA, Stage.DOT):
        return False
    if answer.enhanced:
        return answer.enhanced in ("4.2.2", "5.2.2")
    full = bool(_FULL_MAILBOX.search(answer.text) or _OVER_QUOTA.search(answer.text))
    return answer.code in (452, 552) and (full or (answer.code == 552 and answer.stage is Stage.RCPT))


def _blame_for_deferral(answer: RelayAnswer) -> Blame:
    if not _is_refusal(answer, 4, 5) or answer.code == 421:
        return Blame.RELAY
    if _full_mailbox(answer) or _GREYLIST.search(answer.text):
        return Blame.DELIVERY
    if answer.code == 452 or answer.enhanced.startswith("4.7.") or _POLICY_WORD.search(answer.text):
        return Blame.POLICY
    return Blame.RELAY if answer.stage is Stage.MAIL else Blame.DELIVERY


def _hint(answer: RelayAnswer) -> timedelta | None:
    """How long the relay asks us to wait, None where it does not say."""
    found = _WHEN.search(answer.text) if _is_refusal(answer, 4) else None
    if found is None:
        return None
    if found["n"]:
        asked = int(found["n"]) * _UNITS[found["unit"][0].lower()]
    else:
        asked = timedelta(hours=int(found["h"]), minutes=int(found["m"]), seconds=int(found["s"]))
    return min(max(asked, _SOONEST), _LATEST)


def _reason(answer: RelayAnswer) -> str:
    if answer.code is None:
        return f"{answer.stage}: {answer.text}"
    return " ".join(part for part in (f"{answer.stage}:", str(answer.code), answer.enhanced, answer.text) if part)
