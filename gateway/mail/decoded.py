"""How many octets a part's content has, counted while its encoded octets come by.

Nothing is decoded into memory but one block of quoted-printable; base64 is counted by its characters.

Source: RFC 2045 §6.7 (quoted-printable), §6.8 (base64: characters outside the alphabet are ignored).
"""

import binascii
from string import ascii_letters, digits
from typing import Final, Protocol

_ALPHABET: Final = f"{ascii_letters}{digits}+/".encode()
_FOREIGN: Final = bytes(set(range(256)) - set(_ALPHABET))
_LINE_OCTETS_MAX: Final = 64 * 1024  # of quoted-printable, held; a longer line is counted in pieces
_ESCAPE_OCTETS: Final = 3  # "=3D"; "=" CR LF


class Counter(Protocol):
    """Any split of the same octets gives the same count."""

    def feed(self, octets: bytes) -> None:
        """Take the next octets of the body."""

    def finish(self) -> int:
        """The body is complete: how many octets it has decoded."""


class Base64Counter:
    """Four characters are three octets; what is left over and padding are what they stand for."""

    def __init__(self) -> None:
        self._characters = 0

    def feed(self, octets: bytes) -> None:
        self._characters += len(octets.translate(None, _FOREIGN))

    def finish(self) -> int:
        return self._characters * 6 // 8


class QuotedPrintableCounter:
    """Decodes whole lines, and forgets them."""

    def __init__(self) -> None:
        self._held = b""
        self._octets = 0

    def feed(self, octets: bytes) -> None:
        held = self._held + octets
        end = held.rfind(b"\n") + 1
        if len(held) - end > _LINE_OCTETS_MAX:
            end = len(held) - _ESCAPE_OCTETS
            end = (
                held.rfind(b"=", end - _ESCAPE_OCTETS, end)
                if b"=" in held[end - _ESCAPE_OCTETS : end]
                else end
            )
        self._count(held[:end])
        self._held = held[end:]

    def finish(self) -> int:
        self._count(self._held)
        self._held = b""
        return self._octets

    def _count(self, octets: bytes) -> None:
        self._octets += len(binascii.a2b_qp(octets))


def counter_of(encoding: str) -> Counter | None:
    """encoding: Content-Transfer-Encoding in lower case. None: the octets are what they are."""
    match encoding:
        case "base64":
            return Base64Counter()
        case "quoted-printable":
            return QuotedPrintableCounter()
    return None
