"""Messages in a row over one line, the next one's commands right behind the last one's content (RFC 2920 section 3.1).

    one write:  content n ─ dot ─ MAIL n+1 ─ RCPT n+1 ─ DATA n+1          replies: dot n │ MAIL, RCPT, DATA of n+1
    after 354:  content n+1 ─ dot ─ …

So a message costs one round trip. Content goes out only after 354; of the next message the relay has at most its envelope.
A refused dot touches its own message alone; after the first refusal of a group the other replies are its echoes.
"""

from __future__ import annotations

from dataclasses import dataclass
from smtplib import SMTPServerDisconnected

from pipeline.deliver.envelope import commands_for, stuffed
from pipeline.deliver.ledger import Ledger
from pipeline.deliver.line import Line
from pipeline.deliver.replies import answer_of, is_positive, silence
from pipeline.models import OutgoingMessage, RelayAnswer, Stage

_CHUNK = 65_536
_DOT = b".\r\n"
_DOT_PATIENCE = 2
_AS_USUAL = {Stage.MAIL: 250, Stage.RCPT: 250, Stage.DATA: 354}
_GOES_ON = {stage: RelayAnswer(stage, code, "", "") for stage, code in _AS_USUAL.items()}
"""What relays say to nearly all of these; nobody wants to know in which words."""
_WITHHELD = RelayAnswer(Stage.DATA, None, "", "withheld")


@dataclass(frozen=True, slots=True)
class _Next:
    """A message of which only the envelope is on its way."""

    message: OutgoingMessage
    group: bytes


class Pipe:
    """The row of messages that one open line carries."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._whole = True
        self._taken = self._closed = False

    def deliver(self, ledger: Ledger) -> bool:
        """Send what the ledger gives until it gives no more; False where the line ended before, or is out of step."""
        ready: OutgoingMessage | None = None
        try:
            while self._whole:
                following = self._take(ledger)
                if ready is None and following is None:
                    break
                ready = self._exchange(ledger, ready, following)
        except BaseException:  # of the ledger: what was on its way must not be taken for kept, or go on
            self._break()
            raise
        return self._whole

    def _take(self, ledger: Ledger) -> _Next | None:
        """The next message that this relay can take at all."""
        while (message := ledger.take()) is not None:
            commands = commands_for(message, self._line.esmtp_features)
            if not isinstance(commands, RelayAnswer):
                return _Next(message, "".join(f"{command}\r\n" for _, command in commands).encode())
            ledger.settle(message, commands)
        return None

    def _exchange(self, ledger: Ledger, ready: OutgoingMessage | None, following: _Next | None) -> OutgoingMessage | None:
        """One write and its replies; returns the message whose content may go out now."""
        group = following.group if following else b""
        if ready is None:
            _, error = self._line.push(group)
        elif not self._content(ledger, ready, group):
            if following is not None:
                ledger.hand_back(following.message)
            return None
        else:
            error = None
        if following is None:
            return None
        if error is not None:
            self._lost(ledger, following.message, silence(Stage.MAIL, error))
            return None
        return self._envelope(ledger, following.message)

    def _content(self, ledger: Ledger, message: OutgoingMessage, group: bytes) -> bool:
        """Content and dot of one message, and the next one's commands; whether the line goes on."""
        content = stuffed(message) + _DOT
        last = max(len(content) - 1, 0) // _CHUNK * _CHUNK
        for start in range(0, last + 1, _CHUNK):
            if not ledger.wanted(message):
                # After 354 nothing but closing the connection ends a message that nobody wants any more (RFC 5321, 4.1.1.4).
                self._lost(ledger, message, _WITHHELD)
                return False
            if start == 0:
                ledger.intend(message)
            piece = content[start : start + _CHUNK]
            sent, error = self._line.push(piece + group if start == last else piece)
            if error is not None:
                handed_over = start == last and sent >= len(piece)
                self._lost(ledger, message, self._last_words(error, handed_over=handed_over))
                return False
        answer = self._hear(Stage.DOT, handed_over=True)
        self._taken = self._taken or answer.accepted
        ledger.settle(message, answer)
        return self._goes_on(answer)

    def _last_words(self, error: OSError, *, handed_over: bool) -> RelayAnswer:
        """Who hangs up may have said why, or have taken the message and hung up before the next one's commands came."""
        answer = self._hear(Stage.DOT, handed_over=handed_over)
        said = answer.code is not None and (handed_over or answer.code >= 400)
        return answer if said else silence(Stage.DOT, error, handed_over=handed_over)

    def _envelope(self, ledger: Ledger, message: OutgoingMessage) -> OutgoingMessage | None:
        """The replies to MAIL, RCPT and DATA of one message; returns it where its content may go out."""
        refusal: RelayAnswer | None = None
        known = False
        for stage in (Stage.MAIL, Stage.RCPT, Stage.DATA):
            answer = self._hear(stage)
            if stage is Stage.MAIL and self._closed and self._taken:  # it takes so many over one connection, and says no word
                self._break()
                ledger.hand_back(message)
                return None
            if answer.code is None or answer.code == 421:
                self._lost(ledger, message, refusal or answer)
                return None
            known = known or (stage is Stage.RCPT and is_positive(answer))
            refusal = refusal or (None if is_positive(answer) else answer)
        if refusal is None:
            return message
        ledger.settle(message, refusal)
        self._undo(waits=is_positive(answer), known=known)
        return None

    def _undo(self, *, waits: bool, known: bool) -> None:
        """Bring the relay back to where the next MAIL may come. ``waits`` for content in spite of its refusal."""
        if waits and known:  # a lone dot would deliver an empty mail
            self._break()
            return
        _, error = self._line.push(_DOT if waits else b"RSET\r\n")
        answer = self._hear(Stage.DOT if waits else Stage.MAIL)
        if error is not None or answer.code is None or answer.code == 421 or not (waits or is_positive(answer)):
            self._break()

    def _hear(self, stage: Stage, *, handed_over: bool = False) -> RelayAnswer:
        try:
            code, text = self._line.getreply(_DOT_PATIENCE if stage is Stage.DOT else 1)
            if code == _AS_USUAL.get(stage):
                return _GOES_ON[stage]
            return answer_of(stage, code, text, handed_over=handed_over)
        except OSError as error:
            self._closed = isinstance(error, SMTPServerDisconnected | ConnectionError)
            return silence(stage, error, handed_over=handed_over)

    def _goes_on(self, answer: RelayAnswer) -> bool:
        if answer.code is None or answer.code == 421:
            self._break()
        return self._whole

    def _lost(self, ledger: Ledger, message: OutgoingMessage, answer: RelayAnswer) -> None:
        """The line ends with this message."""
        self._break()
        ledger.settle(message, answer)

    def _break(self) -> None:
        self._whole = False
        self._line.close()
