"""POP3 commands as values, out of the lines of a client, and in which state of a session each may come.

Source: RFC 1939 §4 to §7 (states, commands), RFC 2449 (CAPA, length of lines), RFC 2595 §4 (STLS), RFC 5034
(AUTH), RFC 6856 (UTF8, LANG).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import ClassVar, Final

# RFC 2449 §4: a command has at most 255 octets with its CRLF; RFC 5034 §4: an AUTH response more.
LINE_OCTETS_MAX: Final = 16 * 1024
NUMBER_DIGITS_MAX: Final = 10


class BadCommand(Exception):
    """It is no command. The text is constant, and for the client."""


class State(Enum):
    """RFC 1939 §3; what QUIT does in UPDATE is the session's."""

    AUTHORIZATION = auto()
    TRANSACTION = auto()


class Command:
    """states: where it may come."""

    __slots__ = ()
    states: ClassVar[frozenset[State]]


class Always(Command):
    __slots__ = ()
    states = frozenset(State)


class BeforeSignIn(Command):
    __slots__ = ()
    states = frozenset({State.AUTHORIZATION})


class InMaildrop(Command):
    __slots__ = ()
    states = frozenset({State.TRANSACTION})


@dataclass(frozen=True, slots=True)
class Capa(Always):
    pass


@dataclass(frozen=True, slots=True)
class Quit(Always):
    pass


@dataclass(frozen=True, slots=True)
class Lang(Always):
    """tag: a language (RFC 5646), `*` for any; "": which there are."""

    tag: str = ""


@dataclass(frozen=True, slots=True)
class Stls(BeforeSignIn):
    pass


@dataclass(frozen=True, slots=True)
class Utf8(BeforeSignIn):
    pass


@dataclass(frozen=True, slots=True)
class User(BeforeSignIn):
    name: str


@dataclass(frozen=True, slots=True)
class Pass(BeforeSignIn):
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Auth(BeforeSignIn):
    """mechanism: "" asks which there are. initial: in base64, as it came; None: there was none."""

    mechanism: str = ""
    initial: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Stat(InMaildrop):
    pass


@dataclass(frozen=True, slots=True)
class List(InMaildrop):
    """number: None: all."""

    number: int | None = None


@dataclass(frozen=True, slots=True)
class Uidl(InMaildrop):
    """number: None: all."""

    number: int | None = None


@dataclass(frozen=True, slots=True)
class Retr(InMaildrop):
    number: int


@dataclass(frozen=True, slots=True)
class Top(InMaildrop):
    """The header, and so many lines of the body."""

    number: int
    lines: int


@dataclass(frozen=True, slots=True)
class Dele(InMaildrop):
    number: int


@dataclass(frozen=True, slots=True)
class Noop(InMaildrop):
    pass


@dataclass(frozen=True, slots=True)
class Rset(InMaildrop):
    pass


# --- out of lines -----------------------------------------------------------------------------------


class Lines:
    """Lines out of octets in any split."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._looked = 0  # octets that have no line end

    @property
    def holds_octets(self) -> bool:
        """Something was sent that `next` has not given: behind STLS it must not be (RFC 2595 §4)."""
        return bool(self._received)

    def feed(self, octets: bytes) -> None:
        self._received += octets

    def next(self) -> bytes | None:
        """A whole line without its CRLF; None: more octets are needed. Raises BadCommand: an endless line, or
        one that ends in a bare LF: the session must then close."""
        end = self._received.find(b"\n", self._looked)
        self._looked = len(self._received)
        if max(end, self._looked if end < 0 else 0) > LINE_OCTETS_MAX:
            raise BadCommand("The line is too long")
        if end < 0:
            return None
        line = bytes(self._received[: end + 1])
        del self._received[: end + 1]
        self._looked = 0
        if not line.endswith(b"\r\n"):
            raise BadCommand("A line ends in CRLF")
        return line[:-2]


def parse_command(line: bytes) -> Command:
    """Raises BadCommand."""
    try:
        name, _, arguments = line.decode().partition(" ")
    except UnicodeDecodeError:
        raise BadCommand("A command is UTF-8") from None
    read = _READERS.get(name.upper()) if name.isascii() else None
    if read is None:
        raise BadCommand("There is no such command")
    if "\0" in arguments or "\r" in arguments:
        raise BadCommand("A command is text")
    return read(arguments if name.upper() == "PASS" else arguments.strip(" "))


Read = Callable[[str], Command]


def _alone(command: Command) -> Read:
    def read(arguments: str) -> Command:
        if arguments:
            raise BadCommand("That command takes no argument")
        return command

    return read


def _text(make: Callable[[str], Command]) -> Read:
    def read(arguments: str) -> Command:
        if not arguments:
            raise BadCommand("An argument is missing")
        return make(arguments)

    return read


def _number(make: Callable[[int], Command]) -> Read:
    return lambda arguments: make(*_numbers(arguments, 1))


def _listed(make: Callable[[int | None], Command]) -> Read:
    return lambda arguments: make(_numbers(arguments, 1)[0] if arguments else None)


def _top(arguments: str) -> Command:
    number, lines = _numbers(arguments, 2)
    return Top(number, lines)


def _auth(arguments: str) -> Command:
    mechanism, space, initial = arguments.partition(" ")
    return Auth(mechanism.upper(), initial.encode() if space else None)


def _numbers(arguments: str, wanted: int) -> list[int]:
    words = arguments.split()
    if len(words) != wanted or not all(
        word.isascii() and word.isdigit() and len(word) <= NUMBER_DIGITS_MAX for word in words
    ):
        raise BadCommand("A number is missing" if len(words) < wanted else "That is no number of a message")
    return [int(word) for word in words]


_READERS: Final[Mapping[str, Read]] = {
    "AUTH": _auth,
    "CAPA": _alone(Capa()),
    "DELE": _number(Dele),
    "LANG": Lang,
    "LIST": _listed(List),
    "NOOP": _alone(Noop()),
    "PASS": _text(Pass),
    "QUIT": _alone(Quit()),
    "RETR": _number(Retr),
    "RSET": _alone(Rset()),
    "STAT": _alone(Stat()),
    "STLS": _alone(Stls()),
    "TOP": _top,
    "UIDL": _listed(Uidl),
    "USER": _text(User),
    "UTF8": _alone(Utf8()),
}
