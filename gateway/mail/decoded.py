"""How many octets a part's content has, counted while its encoded octets come by.

Nothing is decoded into memory but one block of quoted-printable; base64 is counted by its characters.

Source: RFC 2045 §6.7 (quoted-printable), §6.8 (base64: characters outside the alphabet are ignored).
"""

from typing import Protocol

from gateway.mail.transfer import FOREIGN, QuotedPrintableDecoder


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
        self._characters += len(octets.translate(None, FOREIGN))

    def finish(self) -> int:
        return self._characters * 6 // 8


class QuotedPrintableCounter:
    """Decodes whole lines, and forgets them."""

    def __init__(self) -> None:
        self._decoder = QuotedPrintableDecoder()
        self._octets = 0

    def feed(self, octets: bytes) -> None:
        self._octets += len(self._decoder.feed(octets))

    def finish(self) -> int:
        self._octets += len(self._decoder.finish())
        return self._octets


def counter_of(encoding: str) -> Counter | None:
    """encoding: Content-Transfer-Encoding in lower case. None: the octets are what they are."""
    match encoding:
        case "base64":
            return Base64Counter()
        case "quoted-printable":
            return QuotedPrintableCounter()
    return None
