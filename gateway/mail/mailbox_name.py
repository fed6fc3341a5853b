"""Mailbox names on the wire: modified UTF-7 both ways, and UTF-8 where a client has enabled it.

A name is held as text in Unicode NFC. Which names a mailbox may be given is decided elsewhere
(`gateway.domain.open_tree`): here stands only how they are written.

Source: RFC 3501 §5.1.3 and RFC 9051 appendix A (modified UTF-7), RFC 9051 §5.1 (names, INBOX), RFC 5198.
"""

import binascii
import re
import unicodedata
from typing import Final

INBOX: Final = "INBOX"
SEPARATOR: Final = "/"

_SHIFTED: Final = re.compile(r"&([^-]*)-")
_OTHERS: Final = re.compile(r"[^\x20-\x7e]+")


def read_name(octets: bytes, *, is_utf8: bool) -> str:
    """A name as a client wrote it, "" being the empty name. is_utf8: it has enabled IMAP4rev2 or UTF8=ACCEPT.

    Raises ValueError with a sentence for the client.
    """
    try:
        text = octets.decode() if is_utf8 else decode_utf7(octets.decode("ascii"))
    except UnicodeDecodeError:
        written = "UTF-8" if is_utf8 else "modified UTF-7, or UTF-8 after ENABLE IMAP4rev2"
        raise ValueError(f"a mailbox name is written in {written}") from None
    return normal_name(text)


def write_name(name: str, *, is_utf8: bool) -> str:
    """The reverse: what stands in a string of the response."""
    return name if is_utf8 else encode_utf7(name)


def normal_name(text: str) -> str:
    """NFC, and INBOX in its one form, also as the beginning of a longer name (RFC 9051 §5.1)."""
    text = unicodedata.normalize("NFC", text)
    first, separator, rest = text.partition(SEPARATOR)
    return INBOX + separator + rest if first.isascii() and first.upper() == INBOX else text


def decode_utf7(text: str) -> str:
    """Modified UTF-7 to text. Raises ValueError on what is not the one right way to write it."""
    decoded = _SHIFTED.sub(lambda found: _unshifted(found[1]), text)
    if "&" in _SHIFTED.sub("", text) or encode_utf7(decoded) != text:
        raise ValueError("a mailbox name is not in modified UTF-7")
    return decoded


def encode_utf7(name: str) -> str:
    """Text to modified UTF-7. What has no place in Unicode (a lone surrogate) becomes "?"."""
    return _OTHERS.sub(lambda found: f"&{_base64(found[0])}-", name.replace("&", "&-"))


def _unshifted(base64: str) -> str:
    if not base64:
        return "&"
    try:
        octets = binascii.a2b_base64(base64.replace(",", "/") + "=" * (-len(base64) % 4), strict_mode=True)
        return octets.decode("utf-16-be")
    except (binascii.Error, UnicodeError):
        raise ValueError("a mailbox name is not in modified UTF-7") from None


def _base64(text: str) -> str:
    octets = text.encode("utf-16-be", "replace")
    return binascii.b2a_base64(octets, newline=False).decode().rstrip("=").replace("/", ",")
