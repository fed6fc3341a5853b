"""Bodies without their transfer encoding, while their encoded octets come by.

Tolerant of what real mail has: base64 with foreign characters, without padding, or cut; quoted-printable with
escapes that are none. Nothing here fails.

Source: RFC 2045 §6.7 (quoted-printable), §6.8 (base64: characters outside the alphabet are ignored).
"""

import binascii
from string import ascii_letters, digits
from typing import Final, Protocol

PLAIN: Final = frozenset({"", "7bit", "8bit", "binary"})  # encodings that are none

ALPHABET: Final = f"{ascii_letters}{digits}+/".encode()
FOREIGN: Final = bytes(set(range(256)) - set(ALPHABET))
_LINE_OCTETS_MAX: Final = 64 * 1024  # of quoted-printable, held; a longer line is decoded in pieces
_ESCAPE_OCTETS: Final = 3  # "=3D"; "=" CR LF


class Decoder(Protocol):
    """Any split of the same octets gives the same content."""

    def feed(self, octets: bytes) -> bytes:
        """Take the next octets of the body, give what they complete."""

    def finish(self) -> bytes:
        """The body is complete: the rest."""


class PlainDecoder:
    """Of what is not encoded."""

    def feed(self, octets: bytes) -> bytes:
        return octets

    def finish(self) -> bytes:
        return b""


class Base64Decoder:
    """Four characters are three octets; what is left over at the end is what it stands for."""

    def __init__(self) -> None:
        self._held = b""

    def feed(self, octets: bytes) -> bytes:
        characters = self._held + octets.translate(None, FOREIGN)
        whole = len(characters) - len(characters) % 4
        self._held = characters[whole:]
        return binascii.a2b_base64(characters[:whole])

    def finish(self) -> bytes:
        held, self._held = self._held, b""
        return binascii.a2b_base64(held + b"=" * (4 - len(held))) if len(held) > 1 else b""


class QuotedPrintableDecoder:
    """Whole lines at a time."""

    def __init__(self) -> None:
        self._held = b""

    def feed(self, octets: bytes) -> bytes:
        held = self._held + octets
        end = held.rfind(b"\n") + 1
        if len(held) - end > _LINE_OCTETS_MAX:
            end = len(held) - _ESCAPE_OCTETS
            if b"=" in held[end - _ESCAPE_OCTETS : end]:
                end = held.rfind(b"=", end - _ESCAPE_OCTETS, end)
        self._held = held[end:]
        return binascii.a2b_qp(held[:end])

    def finish(self) -> bytes:
        held, self._held = self._held, b""
        return binascii.a2b_qp(held)


def decoder_of(encoding: str) -> Decoder | None:
    """encoding: Content-Transfer-Encoding in lower case. None: it is not known."""
    match encoding:
        case "base64":
            return Base64Decoder()
        case "quoted-printable":
            return QuotedPrintableDecoder()
    return PlainDecoder() if encoding in PLAIN else None


def decode(encoding: str, octets: bytes) -> bytes:
    """A whole body at once; one whose encoding is not known stays as it is."""
    decoder = decoder_of(encoding)
    return octets if decoder is None else decoder.feed(octets) + decoder.finish()
