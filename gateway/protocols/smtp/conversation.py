"""What a session says to its client and asks of its shell, in the order it is due.

Source: RFC 5321 §3.8 (421 closes), RFC 2920 §3.2 (replies keep the order of the commands).
"""

from enum import Enum, auto

from gateway.mail.reply import PeerError, Reply
from gateway.protocols.smtp import replies
from gateway.protocols.smtp.effects import Close, Effect, Send


class Awaited(Enum):
    """The answer of the shell that a session cannot go on without."""

    SENDER = auto()
    RECIPIENT = auto()
    CONCLUSION = auto()
    TLS = auto()
    IDENTITY = auto()
    VERIFIERS = auto()


class Conversation:
    """Replies and effects, collected until the shell takes them; replies side by side are sent as one."""

    def __init__(self, bad_commands_max: int) -> None:
        self._bad_commands_max = bad_commands_max
        self._bad_commands = 0
        self.awaited: Awaited | None = None
        self.is_closed = False
        self._replies: list[bytes] = []
        self._effects: list[Effect] = []

    @property
    def goes_on(self) -> bool:
        """False while an answer is awaited, and after the end."""
        return self.awaited is None and not self.is_closed

    def say(self, answer: Reply) -> None:
        self._replies.append(answer.render())

    def say_no(self, answer: Reply) -> None:
        """Of a bad command. Raises PeerError when there have been too many."""
        self.say(answer)
        self._bad_commands += 1
        if self._bad_commands >= self._bad_commands_max:
            raise PeerError(replies.TOO_MANY_ERRORS, "too many bad commands")

    def forgive(self) -> None:
        """Count bad commands anew."""
        self._bad_commands = 0

    def do(self, effect: Effect) -> None:
        if self._replies:
            self._send()
        self._effects.append(effect)

    def ask(self, awaited: Awaited, effect: Effect) -> None:
        self.awaited = awaited
        self.do(effect)

    def is_answered(self, awaited: Awaited) -> bool:
        """Take an answer of the shell. False when the session is over."""
        if self.is_closed:
            return False
        assert self.awaited is awaited, self.awaited
        self.awaited = None
        return True

    def is_told(self, awaited: Awaited, verdict: Reply) -> bool:
        """Take an answer of the shell that the client is told. False when the session is over, also by it."""
        if not self.is_answered(awaited):
            return False
        self.say(verdict)
        if verdict.code == 421:  # RFC 5321 §3.8: who says 421 closes
            self.close(str(verdict))
            return False
        return True

    def close(self, reason: str | None) -> None:
        """reason: for our log; None after QUIT."""
        self.is_closed = True
        self.awaited = None
        self.do(Close(reason))

    def due(self) -> list[Effect]:
        """What the shell is to do now."""
        if self._replies:
            self._send()
        due, self._effects = self._effects, []
        return due

    def _send(self) -> None:
        self._effects.append(Send(b"".join(self._replies)))
        self._replies = []
