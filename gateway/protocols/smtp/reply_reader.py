"""The replies in what a host sends, one by one.

Source: RFC 5321 §4.2 (replies), §4.5.3.1.5 (length of a reply line).
"""

from gateway.mail.reply import PeerError, Reply, is_last_line, parse_reply, reply

# RFC 5321 §4.5.3.1.5 has hosts stop at 512 octets; some do not. Precedent: Postfix 2,048.
REPLY_LINE_OCTETS_MAX = 2048
# An EHLO answer has some twenty lines; a policy's essay in a 550 stays below this too.
REPLY_LINES_MAX = 128

BROKEN = reply(451, "4.5.0", "The host broke the SMTP protocol")


class ReplyReader:
    """Takes the octets of a host apart into replies. Any split of the same octets gives the same replies."""

    def __init__(self) -> None:
        self._buffer = b""
        self._lines: list[bytes] = []  # of the reply that is not complete

    @property
    def is_empty(self) -> bool:
        """True when nothing was received after the last reply given."""
        return not self._buffer and not self._lines

    def feed(self, octets: bytes) -> None:
        """Take octets from the host."""
        self._buffer += octets

    def next(self) -> Reply | None:
        """The next reply, None when it has not come in whole. Raises PeerError on what is no reply."""
        while True:
            line, newline, rest = self._buffer.partition(b"\r\n")
            if len(line if newline else line.removesuffix(b"\r")) > REPLY_LINE_OCTETS_MAX:
                raise PeerError(BROKEN, "endless reply line")
            if not newline:
                return None
            self._buffer = rest
            self._lines.append(line)
            try:
                if is_last_line(line):
                    lines, self._lines = self._lines, []
                    return parse_reply(lines)
            except ValueError as error:
                raise PeerError(BROKEN, str(error)) from None
            if len(self._lines) >= REPLY_LINES_MAX:
                raise PeerError(BROKEN, "endless reply")
