"""POP3 responses as octets.

Source: RFC 1939 §3 (status indicators, multi-line responses), RFC 2449 §8 and RFC 3206 (response codes).
"""

from collections.abc import Iterable
from typing import Final, Literal

# RFC 2449 §8.1 (IN-USE), RFC 3206 §4 to §6.
Code = Literal["", "AUTH", "IN-USE", "SYS/TEMP", "SYS/PERM"]

CRLF: Final = b"\r\n"


def ok(text: str) -> bytes:
    assert text.isprintable(), text
    return f"+OK {text}\r\n".encode()


def err(text: str, code: Code = "") -> bytes:
    assert text.isprintable(), text
    return f"-ERR [{code}] {text}\r\n".encode() if code else f"-ERR {text}\r\n".encode()


def lines(text: str, several: Iterable[str]) -> bytes:
    """A multi-line response. None of the lines begins with a dot."""
    return ok(text) + b"".join([f"{line}\r\n".encode() for line in several]) + b".\r\n"


class Sending:
    """A message as the lines of a multi-line response, in any split of its octets."""

    def __init__(self) -> None:
        self._last = CRLF  # the last octets that were given

    def feed(self, octets: bytes) -> bytes:
        """Dots at the beginning of lines are doubled (RFC 1939 §3)."""
        if not octets:
            return b""
        stuffed = (self._last + octets).replace(b"\r\n.", b"\r\n..")[len(self._last) :]
        self._last = (self._last + octets)[-2:]
        return stuffed

    def finish(self) -> bytes:
        """The end. A last line without CRLF gets one."""
        return b".\r\n" if self._last == CRLF else b"\r\n.\r\n"


class TopLines:
    """Cuts a message behind its header, the empty line, and so many lines of its body (RFC 1939 §7, TOP)."""

    def __init__(self, lines: int) -> None:
        self._left = lines
        self._before = CRLF  # the last octets of the header so far; it may be empty
        self._is_header = True

    @property
    def is_done(self) -> bool:
        return not self._is_header and self._left <= 0

    def feed(self, octets: bytes) -> bytes:
        """Those of the octets that belong to it."""
        end = 0
        if self._is_header:
            joined = self._before + octets
            at = joined.find(b"\r\n\r\n")
            if at < 0:
                self._before = joined[-3:]
                return octets
            end, self._is_header = at + 4 - len(self._before), False
        while self._left > 0:
            line_end = octets.find(b"\n", end)
            if line_end < 0:
                return octets
            end, self._left = line_end + 1, self._left - 1
        return octets[:end]
