"""What a relay, or the line to it, said: replies as answers (RFC 5321 section 4.2, RFC 2034)."""

from __future__ import annotations

import re
import ssl

from pipeline.deliver.relay import mask
from pipeline.models import RelayAnswer, Stage

_ENHANCED = re.compile(r"([245])\.[0-9]{1,3}\.[0-9]{1,3}(?=\s|$)")
_WANTED = {Stage.DATA: 3}
"""The first digit that means "go on" (RFC 5321, 4.2.1); 2 at every other stage."""


def answer_of(stage: Stage, code: int, raw: bytes, *, handed_over: bool = False, wanted: int | None = None) -> RelayAnswer:
    """A reply as an answer. One that fits no moment of this stage (250 to DATA) is no answer: the line is out of step."""
    enhanced, text = _enhanced(code, raw.decode("utf-8", "replace"))
    if code // 100 in (4, 5, wanted or _WANTED.get(stage, 2)):
        return RelayAnswer(stage, code, enhanced, mask(text), handed_over)
    return RelayAnswer(stage, None, "", mask(f"the relay answered out of turn: {code} {text}"), handed_over)


def obstacle_in(stage: Stage, reply: tuple[int, bytes], wanted: int = 2) -> RelayAnswer | None:
    """The reply as an answer where it stands in the way, None where it says "go on"."""
    answer = answer_of(stage, *reply, wanted=wanted)
    return None if answer.code is not None and answer.code // 100 == wanted else answer


def is_positive(answer: RelayAnswer) -> bool:
    """Whether it says "go on" at its stage."""
    return answer.code is not None and answer.code // 100 == _WANTED.get(answer.stage, 2)


def _enhanced(code: int, text: str) -> tuple[str, str]:
    """The enhanced status code (RFC 2034: at the start of every line, its class that of the reply) and the other words."""
    lines = text.split("\n")
    matches = [_ENHANCED.match(line) for line in lines]
    first = matches[0]
    if first is None or first[1] != str(code)[0]:
        return "", " ".join(lines)
    return first[0], " ".join(line[match.end() :] if match else line for line, match in zip(lines, matches, strict=True))


def silence(stage: Stage, error: Exception, *, who: str = "the relay", handed_over: bool = False) -> RelayAnswer:
    """What the line did in place of an answer."""
    return RelayAnswer(stage, None, "", mask(f"{who}: {_reason(error)}"), handed_over)


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {error.reason or error}"
    return getattr(error, "strerror", None) or str(error)
