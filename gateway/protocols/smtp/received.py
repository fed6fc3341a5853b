"""What a client has sent and the session has not read yet: commands by lines, content by octets.

Source: RFC 5321 §2.3.8 (lines end in CRLF, and neither CR nor LF stands alone), §4.5.3.1.4 (their length).
"""

from gateway.mail.reply import PeerError
from gateway.protocols.smtp import replies
from gateway.protocols.smtp.config import ENDLESS_COMMAND_OCTETS


class Received:
    """Octets in the order they came; each is read once."""

    def __init__(self) -> None:
        self._octets = b""
        self._start = 0  # what is before it has been read

    def __len__(self) -> int:
        return len(self._octets) - self._start

    def add(self, octets: bytes) -> None:
        self._octets = self._octets[self._start :] + octets
        self._start = 0

    def clear(self) -> None:
        self._octets, self._start = b"", 0

    def line(self) -> bytes | None:
        """The next line without its CRLF, None when it has not come in whole. Raises PeerError."""
        end = self._octets.find(b"\n", self._start) + 1
        octets = (end or len(self._octets)) - self._start
        if octets > ENDLESS_COMMAND_OCTETS:
            raise PeerError(replies.LINE_TOO_LONG, "endless command line")
        if end == 0:
            return None
        line = self._octets[self._start : end]
        if line.find(b"\r") != len(line) - 2:
            raise PeerError(replies.BARE_NEWLINE, "bare CR or LF in a command")
        self._start = end
        return line[:-2]

    def take(self, octets_max: int | None = None) -> bytes:
        """All that there is, or so many octets of it."""
        end = len(self._octets) if octets_max is None else min(len(self._octets), self._start + octets_max)
        taken = self._octets[self._start : end]
        self._start = end
        if not self:
            self.clear()
        return taken
