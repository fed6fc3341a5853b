"""What an SMTP server answers, as a value; and the error that carries one.

Source: RFC 5321 §4.2 (replies), RFC 2034 §4 (enhanced status in the text), RFC 6531 §3.7.4.2 (UTF-8 in it).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.mail.status import EnhancedStatus, parse_status

# RFC 5321 §4.2: Reply-line = *( Reply-code "-" [ textstring ] CRLF ) Reply-code [ SP textstring ] CRLF.
# Its Reply-code ends at 559; §4.3.2 has clients go by the first digit, and hosts do send 571 and 590.
_REPLY_LINE = re.compile(rb"([2-5][0-9]{2})(?:([ -])(.*))?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Reply:
    """One SMTP reply. Code, status and text stay apart until the bytes are written."""

    code: int  # 200..599
    status: EnhancedStatus | None  # None for the 220 banner, the EHLO answer, 334 and 354
    text: tuple[str, ...]  # one item per line, no CR or LF

    def __post_init__(self) -> None:
        assert 200 <= self.code < 600, self
        assert self.text, "a reply has at least one line"
        assert not any("\r" in line or "\n" in line for line in self.text), self
        if self.status is not None:
            assert self.code // 100 == self.status.class_, self

    @property
    def is_success(self) -> bool:
        """True when what was asked for is done (RFC 5321 §4.2.1)."""
        return self.code // 100 == 2

    @property
    def is_transient(self) -> bool:
        """True when the sender should keep the mail and try again (RFC 5321 §4.2.1)."""
        return self.code // 100 == 4

    @property
    def is_permanent(self) -> bool:
        """True when the same command will not be accepted later either (RFC 5321 §4.2.1)."""
        return self.code // 100 == 5

    def render(self) -> bytes:
        """The octets on the wire, one line per item of text, each ended by CRLF."""
        status = "" if self.status is None else f"{self.status} "
        last = len(self.text) - 1
        lines = [f"{self.code}{' ' if i == last else '-'}{status}{t}\r\n" for i, t in enumerate(self.text)]
        return "".join(lines).encode()

    def __str__(self) -> str:
        """The reply in one line, for a person or a trace."""
        status = "" if self.status is None else f" {self.status}"
        return f"{self.code}{status} {' / '.join(self.text)}"


def reply(code: int, status: str | None, *text: str) -> Reply:
    """Build a reply from its parts as they are usually written: reply(550, "5.1.1", "No such mailbox")."""
    return Reply(code, None if status is None else parse_status(status), text)


class PeerError(Exception):
    """The peer broke its protocol. Carries the reply the peer gets, so no caller invents one."""

    def __init__(self, reply: Reply, reason: str) -> None:
        super().__init__(reason)
        self.reply = reply
        self.reason = reason


def is_last_line(line: bytes) -> bool:
    """True when this line (without CRLF) ends a reply. Raises ValueError when it is no reply line."""
    found = _REPLY_LINE.fullmatch(line)
    if found is None:
        raise ValueError("not a reply line")
    return found[2] != b"-"


def parse_reply(lines: Sequence[bytes]) -> Reply:
    """Read the lines of one reply, without their CRLF, as a host sent them.

    The status is taken only when every line has the same one and its class agrees with the code: a
    "450 5.7.1" is a 450 without status. Octets that are not UTF-8 and control characters are kept as
    backslash escapes. Raises ValueError when the lines are no reply, or not one reply.
    """
    codes: set[int] = set()
    text: list[str] = []
    for number, line in enumerate(lines, 1):
        found = _REPLY_LINE.fullmatch(line)
        if found is None:
            raise ValueError("not a reply line")
        if (found[2] == b"-") != (number < len(lines)):
            raise ValueError("a reply ends in the wrong place")
        codes.add(int(found[1]))
        text.append(_readable(found[3] or b""))
    if len(codes) != 1:
        raise ValueError("the lines of a reply have different codes" if codes else "a reply has a line")
    (code,) = codes
    status = _status_of(code, text)
    if status is not None:
        text = [line[len(str(status)) :].lstrip(" ") for line in text]
    return Reply(code, status, tuple(text))


def _status_of(code: int, text: Sequence[str]) -> EnhancedStatus | None:
    """The status all lines begin with, when there is one and it belongs to the code."""
    words = {line.partition(" ")[0] for line in text}
    if len(words) != 1:
        return None
    try:
        status = parse_status(words.pop())
    except ValueError:
        return None
    return status if status.class_ == code // 100 else None


def _readable(octets: bytes) -> str:
    text = octets.decode(errors="backslashreplace")
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
