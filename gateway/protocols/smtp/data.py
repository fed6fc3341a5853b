"""The message on the wire: out of what follows DATA or BDAT, and into what follows DATA.

Source: RFC 5321 §4.1.1.4 (DATA), §4.5.2 (transparency), §2.3.8 (lines end in CRLF, and in nothing else);
RFC 2045 §2.7 and §2.8 (no NUL); RFC 3030 §2 (BDAT), §3 (BINARYMIME).
Both directions work on whole chunks with searches of the bytes type; there is no step per line (ADR 0003).
"""

from abc import ABC, abstractmethod

from gateway.mail.reply import PeerError
from gateway.protocols.smtp import replies

CRLF = b"\r\n"
END_OF_MESSAGE = b"\r\n.\r\n"


class MessageDecoder(ABC):
    """Turns what a client sends into the message it meant.

    Any split of the same octets gives the same message, and of several faults the same one is found.
    """

    def __init__(self, line_octets_max: int) -> None:
        """line_octets_max: without its CRLF, ≥ 1."""
        assert line_octets_max >= 1, line_octets_max
        self._line_octets_max = line_octets_max
        self._line_octets = 0  # of the line that is not ended yet

    def feed(self, octets: bytes) -> bytes:
        """Take received octets, give the message octets they complete.

        Raises PeerError on a bare CR, a bare LF, a NUL or an endless line; the session must then close.
        """
        step = self._line_octets_max  # no line can begin and end too long within one step
        return b"".join(
            self._take_exactly(octets[start : start + step]) for start in range(0, len(octets), step)
        )

    @abstractmethod
    def _take(self, octets: bytes) -> bytes: ...

    def _take_exactly(self, octets: bytes) -> bytes:
        """Take octets. Of several faults in them the first is raised, as if they had come one by one."""
        before = dict(self.__dict__)
        try:
            return self._take(octets)
        except PeerError:
            if len(octets) == 1:
                raise
        self.__dict__.update(before)
        middle = len(octets) // 2
        self._take_exactly(octets[:middle])
        self._take_exactly(octets[middle:])
        raise AssertionError("octets are broken as a whole and sound in their halves")

    def _check(self, message: bytes) -> None:
        """Look at the next octets of the message; a CR and its LF come together."""
        pairs = message.count(CRLF)
        if len(message) - len(message.translate(None, CRLF)) != 2 * pairs:
            raise PeerError(replies.BARE_NEWLINE, "bare CR or LF in the message")
        if b"\0" in message:
            raise PeerError(replies.NULL_OCTET, "NUL in the message")
        first = message.find(CRLF)
        if first < 0:
            self._line_octets += len(message)
        elif self._line_octets + first <= self._line_octets_max:
            self._line_octets = len(message) - message.rfind(CRLF) - len(CRLF)
        else:
            self._line_octets += first
        if self._line_octets > self._line_octets_max:
            raise PeerError(replies.LINE_TOO_LONG, "endless line in the message")


class DataDecoder(MessageDecoder):
    """What follows DATA, up to the dot on a line of its own."""

    def __init__(self, line_octets_max: int) -> None:
        super().__init__(line_octets_max)
        # The last octets received, while they may be the beginning of END_OF_MESSAGE. At first the CRLF
        # of the DATA command: a message that is only the dot is empty (RFC 5321 §4.1.1.4).
        self._held = CRLF
        self._is_begun = False
        self._rest: bytes | None = None

    @property
    def is_complete(self) -> bool:
        """True when the end of the message was seen."""
        return self._rest is not None

    @property
    def rest(self) -> bytes:
        """What the client sent after the end of the message: its next commands."""
        assert self._rest is not None, "the message has not ended"
        return self._rest

    def _take(self, octets: bytes) -> bytes:
        if self._rest is not None:
            self._rest += octets
            return b""
        octets = self._held + octets
        dot = octets.find(b"\r\n.")
        end = -1 if dot < 0 else octets.find(END_OF_MESSAGE, dot)
        if end >= 0:
            message = octets[: end + len(CRLF)]
            self._rest = octets[end + len(END_OF_MESSAGE) :]
        else:
            cut = len(octets) - _held_octets(octets)
            message, self._held = octets[:cut], octets[cut:]

        self._check(message)
        if dot >= 0:
            message = message.replace(b"\r\n.", CRLF)
        if message and not self._is_begun:
            self._is_begun = True
            message = message[len(CRLF) :]
        return message


class ChunkDecoder(MessageDecoder):
    """The octets of BDAT chunks, one after the other: the message as it is, without dots (RFC 3030 §2)."""

    def __init__(self, line_octets_max: int) -> None:
        super().__init__(line_octets_max)
        self._held = b""  # a CR whose LF may be the first octet of what comes next

    def _take(self, octets: bytes) -> bytes:
        message = self._held + octets
        self._held = b"\r" if message.endswith(b"\r") else b""
        if self._held:
            message = message[:-1]
        self._check(message)
        return message

    def finish(self) -> None:
        """The last chunk has ended. Raises PeerError when the message ends in a bare CR."""
        self._check(self._held)


class BinaryDecoder(ChunkDecoder):
    """The octets of chunks after BODY=BINARYMIME: any, once the header has ended (RFC 3030 §3).

    The header stays lines: fields of ours that somebody forged are looked for there.
    """

    def __init__(self, line_octets_max: int) -> None:
        super().__init__(line_octets_max)
        self._is_in_body = False
        self._last = CRLF  # octets of the header, as many as may begin its end

    def _take(self, octets: bytes) -> bytes:
        if self._is_in_body:
            return octets
        message = self._held + octets
        end = (self._last + message).find(b"\r\n\r\n")
        if end >= 0:
            self._check(message[: end + 2 * len(CRLF) - len(self._last)])
            self._is_in_body, self._held = True, b""
            return message
        header = super()._take(octets)
        self._last = (self._last + header)[-3:]
        return header


def _held_octets(octets: bytes) -> int:
    """How many of the last octets may be the beginning of END_OF_MESSAGE."""
    for length in range(len(END_OF_MESSAGE) - 1, 0, -1):
        if octets.endswith(END_OF_MESSAGE[:length]):
            return length
    return 0


class DotStuffer:
    """Turns a message into what is sent after DATA; the reverse of DataDecoder."""

    def __init__(self) -> None:
        self._held = b""  # a CR at the end of a chunk: what follows must be its LF
        self._is_line_start = True

    def feed(self, octets: bytes) -> bytes:
        """Take message octets in any split, give those to send.

        Raises ValueError on a bare CR or LF: such a message must not be sent (RFC 5321 §2.3.8).
        """
        octets = self._held + octets
        self._held = b"\r" if octets.endswith(b"\r") else b""
        if self._held:
            octets = octets[:-1]
        if not octets:
            return b""
        if len(octets) - len(octets.translate(None, CRLF)) != 2 * octets.count(CRLF):
            raise ValueError("the message has a bare CR or LF")
        stuffed = octets.replace(b"\r\n.", b"\r\n..")
        if self._is_line_start and octets.startswith(b"."):
            stuffed = b"." + stuffed
        self._is_line_start = octets.endswith(CRLF)
        return stuffed

    def finish(self) -> bytes:
        """The end of the message. A last line without CRLF gets one (RFC 5321 §4.1.1.4).

        Raises ValueError when the message ended in a bare CR.
        """
        if self._held:
            raise ValueError("the message has a bare CR or LF")
        return END_OF_MESSAGE[len(CRLF) :] if self._is_line_start else END_OF_MESSAGE
