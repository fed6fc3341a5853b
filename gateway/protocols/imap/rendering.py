"""Strings as responses have them: quoted, literal, NIL; and text for clients that take no UTF-8.

Source: RFC 9051 §4.3 (strings) and §9, RFC 2047 §2 and §5 (encoded words), RFC 2231 §4 (parameters).
"""

import binascii
import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import quote

NIL: Final = "NIL"

_SPECIAL: Final = re.compile(r'[\x00-\x1f\x7f"\\\ud800-\udfff]')
# RFC 2047 §2: a word has at most 75 characters; "=?utf-8?b?" and "?=" are 12 of them, 45 octets are 60 in
# base64.
_WORD_OCTETS_MAX: Final = 45


def quoted(text: str) -> str:
    """A quoted string. What none can hold, a control character or a lone surrogate, is shown as "?"."""
    if text.isprintable() and '"' not in text and "\\" not in text:  # nearly always, and said at once
        return f'"{text}"'
    return f'"{_SPECIAL.sub(_escaped, text)}"'


def nstring(text: str | None) -> str:
    return NIL if text is None else quoted(text)


def literal(octets: bytes, *, is_binary: bool = False) -> bytes:
    """RFC 9051 §4.3; literal8 when it has NUL octets and the client asked for such (RFC 3516 §4.2)."""
    mark = b"~" if is_binary and b"\0" in octets else b""
    return b"%b{%d}\r\n%b" % (mark, len(octets), octets)


def _escaped(found: re.Match[str]) -> str:
    return "\\" + found[0] if found[0] in '"\\' else "?"


def words(text: str) -> str:
    """Text as ASCII: encoded words in UTF-8 when it is not (RFC 2047). A reader joins neighbours again."""
    if text.isascii():
        return text
    pieces = (binascii.b2a_base64(piece, newline=False).decode() for piece in _pieces(text))
    return " ".join(f"=?utf-8?b?{piece}?=" for piece in pieces)


def _pieces(text: str) -> Iterator[bytes]:
    """RFC 2047 §5: no character is split between two words."""
    octets = text.encode("utf-8", "replace")
    start = 0
    while start < len(octets):
        end = min(len(octets), start + _WORD_OCTETS_MAX)
        while end < len(octets) and octets[end] & 0xC0 == 0x80:
            end -= 1
        yield octets[start:end]
        start = end


def parameter(name: str, text: str, *, is_utf8: bool) -> str:
    """A MIME parameter as BODYSTRUCTURE has them: in the extended form when it must be ASCII (RFC 2231
    §4)."""
    if is_utf8 or (text.isascii() and name.isascii()):
        return f"{quoted(name)} {quoted(text)}"
    extended = "utf-8''" + quote(text, safe="", errors="replace")
    return f"{quoted(words(name) + '*')} {quoted(extended)}"
