"""Whole commands out of the octets a client sends: lines, and the literals between their parts.

The shell takes one `Got` after the other and acts on it before it asks for the next: it sends `+ OK` for
Continue, spools what comes between LiteralBegins and LiteralEnds to disk, gives Lines to `parse_command`,
and sends what Refused carries (and closes when `is_fatal`). While an IDLE or an AUTHENTICATE is under way,
Lines are its next line. Limits may be changed between two commands: they are small before a client has
signed in.

Source: RFC 9051 §2.2.1 (commands), §4.3 (literals); RFC 7888 (LITERAL+, LITERAL-), RFC 3516 §4.2 (literal8),
RFC 9051 §7.1 (TOOBIG: RFC 7889 §4).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from gateway.protocols.imap.errors import UNTAGGED

# A larger literal of an APPEND is spooled, and so is each that would bring what is held above it.
HELD_OCTETS_MAX: Final = 64 * 1024
# Of one command; MULTIAPPEND and CATENATE have the most. Precedent: Dovecot has none.
LITERALS_MAX: Final = 1_000
# Of one command, on the disk of who serves it. RFC 3502 (MULTIAPPEND) says nothing of a limit.
SPOOLED_MAX: Final = 64
SPOOLED_OCTETS_MAX: Final = 256 * 1024 * 1024
# RFC 7888 §4: a literal that nobody waited with is read and dropped, or the connection ends.
DROPPED_OCTETS_MAX: Final = 256 * 1024 * 1024

# RFC 9051 §9: literal = "{" number64 ["+"] "}" CRLF; literal8 has "~" before it.
_LITERAL: Final = re.compile(rb"(~?)\{([0-9]{1,20})(\+?)\}\Z")
TAG: Final = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\+]{1,100}')
# Commands whose literals are messages.
_MESSAGES: Final = re.compile(rb"[^ ]+ (?:APPEND|(?:UID )?REPLACE) ", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Literal:
    """A literal that is held. is_binary: it came as literal8, and may have NUL octets."""

    octets: bytes
    is_binary: bool = False


@dataclass(frozen=True, slots=True)
class Spooled:
    """A literal that the shell has spooled, its index-th of this command, from 0."""

    index: int
    octets: int
    is_binary: bool = False


Part = bytes | Literal | Spooled


@dataclass(frozen=True, slots=True)
class Lines:
    """One whole command, without its last CRLF. parts: text, then literal and text in turn."""

    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Continue:
    """A client waits for `+ OK` before it sends a literal of so many octets (RFC 9051 §4.3)."""

    octets: int


@dataclass(frozen=True, slots=True)
class LiteralBegins:
    octets: int


@dataclass(frozen=True, slots=True)
class LiteralOctets:
    octets: bytes


@dataclass(frozen=True, slots=True)
class LiteralEnds:
    pass


@dataclass(frozen=True, slots=True)
class Refused:
    """A command that was too large or no lines: what was spooled of it is dropped. response: a whole line.
    is_fatal: the connection ends, and nothing more is read."""

    response: bytes
    is_fatal: bool = False


Got = Lines | Continue | LiteralBegins | LiteralOctets | LiteralEnds | Refused


class Framer:
    """Any split of the same octets gives the same commands."""

    def __init__(self, line_octets_max: int, literal_octets_max: int) -> None:
        self.limit(line_octets_max, literal_octets_max)
        self._received = bytearray()
        self._is_ended = False
        self._begin()

    def limit(self, line_octets_max: int, literal_octets_max: int) -> None:
        """line_octets_max: of a command without its literals. literal_octets_max: of one message; a literal
        of another command is held, and has at most HELD_OCTETS_MAX."""
        self._line_octets_max, self._literal_octets_max = line_octets_max, literal_octets_max

    @property
    def holds_octets(self) -> bool:
        """True when something was sent that no Got has told of: after STARTTLS and COMPRESS it must not be
        (RFC 9051 §6.2.1, RFC 4978 §3)."""
        return bool(self._received or self._parts)

    def feed(self, octets: bytes) -> Iterator[Got]:
        """Take octets, give what they complete, each as it is asked for."""
        if not self._is_ended:
            self._received += octets
        return iter(self.next, None)

    def next(self) -> Got | None:
        """The next that is complete; None: more octets are needed."""
        while True:
            if self._due:
                return self._due.pop(0)
            if self._dropping or self._awaited is not None:
                if not self._received and (self._dropping or self._awaited):
                    return None
                self._take_literal()
            elif not self._take_line():
                return None

    def refuse(self) -> None:
        """Instead of sending `+ OK` for Continue the shell has said NO: the command ends (RFC 9051 §4.3)."""
        self._begin()

    def _begin(self) -> None:
        """Between two commands."""
        self._parts: list[Part] = []
        self._line_octets = self._held_octets = self._spooled = self._spooled_octets = 0
        self._awaited: int | None = None  # octets of the literal that is read; None: a line is
        self._literal: bytearray | None = None  # None: it is spooled
        self._is_binary = False
        self._dropping = 0  # octets of a refused command's literal that are still to come
        self._refusal: Refused | None = None  # given when the refused command has ended
        self._looked = 0  # octets that have no line end
        self._due: list[Got] = []

    # --- lines ------------------------------------------------------------------------------------

    def _take_line(self) -> bool:
        """Read the next line, or as much as there is of it. False: it has not come in whole."""
        end = self._received.find(b"\n", self._looked)
        room = self._line_octets_max - self._line_octets
        if (len(self._received) if end < 0 else end - 1) > room + (1 if end < 0 else 0):
            self._end_session("BYE", "Command line too long")
            return True
        if end < 0:
            self._looked = len(self._received)
            return False
        line = bytes(self._received[: end + 1])
        del self._received[: end + 1]
        self._looked = 0
        self._line_octets += len(line) - 2
        self._take_text(line[:-2] if line.endswith(b"\r\n") else line[:-1], line.endswith(b"\r\n"))
        return True

    def _take_text(self, text: bytes, is_ended_well: bool) -> None:
        found = _LITERAL.search(text)
        self._parts.append(text[: found.start()] if found else text)
        if not is_ended_well and self._refusal is None:
            self._refusal = self._no("BAD", "A command ends in CRLF")
        if found is None:
            got: Got = self._refusal or Lines(tuple(self._parts))
            self._begin()
            self._due.append(got)
            return
        octets, waits = int(found[2]), not found[3]
        self._is_binary = bool(found[1])
        refusal = self._refusal or self._refusal_of(octets)
        if refusal is None:
            self._begin_literal(octets, waits)
        elif waits:  # told at once, and the client sends its next command
            self._begin()
            self._due.append(refusal)
        elif octets > DROPPED_OCTETS_MAX:
            self._end_session("BYE [TOOBIG]", "Literal too large")
        else:
            self._refusal, self._dropping = refusal, octets
            self._parts = self._parts[:1]

    def _refusal_of(self, octets: int) -> Refused | None:
        if len(self._parts) > 2 * LITERALS_MAX:
            return self._no("BAD [LIMIT]", f"A command has at most {LITERALS_MAX} literals")
        if self._is_of_messages:
            if octets > self._literal_octets_max:
                return self._no("NO [TOOBIG]", f"A message has at most {self._literal_octets_max} octets")
            if self._spooled >= SPOOLED_MAX or self._spooled_octets + octets > SPOOLED_OCTETS_MAX:
                return self._no("NO [LIMIT]", "Too many large messages in one command")
        elif self._held_octets + octets > min(HELD_OCTETS_MAX, self._literal_octets_max):
            return self._no("BAD [TOOBIG]", "Literal too large for this command")
        return None

    # --- literals ---------------------------------------------------------------------------------

    @property
    def _is_of_messages(self) -> bool:
        first = self._parts[0]
        return isinstance(first, bytes) and _MESSAGES.match(first) is not None

    def _begin_literal(self, octets: int, waits: bool) -> None:
        if waits:
            self._due.append(Continue(octets))
        self._awaited = octets
        if self._is_of_messages and self._held_octets + octets > HELD_OCTETS_MAX:
            self._parts.append(Spooled(self._spooled, octets, self._is_binary))
            self._spooled += 1
            self._spooled_octets += octets
            self._literal = None
            self._due.append(LiteralBegins(octets))
        else:
            self._literal = bytearray()
            self._held_octets += octets

    def _take_literal(self) -> None:
        """Read what there is of a literal, or of one that is dropped."""
        if self._dropping:
            dropped = min(self._dropping, len(self._received))
            del self._received[:dropped]
            self._dropping -= dropped
            return
        assert self._awaited is not None
        taken = bytes(self._received[: self._awaited])
        del self._received[: self._awaited]
        self._awaited -= len(taken)
        if self._literal is None:
            self._due += [LiteralOctets(taken)] if taken else []
        else:
            self._literal += taken
        if not self._awaited:
            if self._literal is None:
                self._due.append(LiteralEnds())
            else:
                self._parts.append(Literal(bytes(self._literal), self._is_binary))
            self._awaited = None

    # --- refusals ---------------------------------------------------------------------------------

    def _no(self, kind: str, text: str) -> Refused:
        """kind: with its code."""
        first = self._parts[0] if self._parts else b""
        found = TAG.match(first) if isinstance(first, bytes) else None
        tag = found[0].decode() if found else UNTAGGED
        return Refused(f"{tag} {kind} {text}\r\n".encode())

    def _end_session(self, kind: str, text: str) -> None:
        self._begin()
        self._is_ended = True
        self._received.clear()
        self._due.append(Refused(f"{UNTAGGED} {kind} {text}\r\n".encode(), is_fatal=True))
