"""Header blocks as they come: fields with their exact places, unfolded and decoded for people.

Nothing here fails on what a peer sent: what has no field shape is a field without a name, what has no
known charset is read as UTF-8, else as windows-874 (what Thai offices sent before UTF-8), else shown
with U+FFFD. The octets stay as they were; only the decoded text is tidied.

Source: RFC 5322 §2.2 and §3.2.2 (fields, folding), RFC 2047 (encoded words), RFC 2045 §5.1 and
RFC 2231 (parameters), RFC 6532 (UTF-8 in headers).
"""

import binascii
import codecs
import re
from collections.abc import Iterator
from typing import NamedTuple

Parameters = tuple[tuple[str, str], ...]  # names in lower case, values decoded, in their order

# A field may be as large as the whole header; what we parse of it is bounded.
VALUE_OCTETS_MAX = 64 * 1024

# RFC 5322 §3.6.8: a name is ftext. The blank line comes first, what has no name stays a line.
_FIELD = re.compile(rb"\r?\n|(?:([!-9;-~]+)[ \t]*:)?[^\n]*(?:\n[ \t][^\n]*)*(?:\n|\Z)")
_FOLD = re.compile(rb"\r?\n(?=[ \t])")
_WORD = re.compile(r"=\?([^?*\s]{1,40})(?:\*[^?\s]{0,40})?\?([bBqQ])\?([^?\r\n]*)\?=")
_COMMENT_MARK = re.compile(rb"\\.|[()]", re.DOTALL)
_PARAMETER = re.compile(rb";[ \t\r\n]*([^=;\s\"]+)[ \t]*=[ \t]*(?:\"((?:[^\"\\]|\\.)*)\"|([^;]*))", re.DOTALL)
_SECTION = re.compile(r"([^*]+)(?:\*(\d{1,3}))?(\*)?\Z")
_PERCENT = re.compile(rb"%([0-9A-Fa-f]{2})")
# C0 controls and DEL: no reader wants them, and PostgreSQL has no NUL.
_CONTROLS = dict.fromkeys((*range(32), 127), "�") | {9: " ", 10: " ", 13: " "}
# Python codecs that are no charsets of mail.
_NO_CHARSETS = {"unicode_escape", "raw-unicode-escape", "raw_unicode_escape", "idna", "punycode", "undefined"}
_CHARSET_ALIASES = {"windows-874": "cp874", "x-windows-874": "cp874", "dos-874": "cp874"}


class Field(NamedTuple):
    """One header field. start, end: its place in the message, line break included. raw: its exact octets."""

    name: str  # as sent; "" for a line that is no field
    start: int
    end: int
    raw: bytes

    @property
    def value(self) -> bytes:
        """What stands after the colon, unfolded, without the white space around it."""
        value = self.raw.partition(b":")[2] if self.name else self.raw
        return _FOLD.sub(b"", value[:VALUE_OCTETS_MAX]).strip(b" \t\r\n")

    @property
    def text(self) -> str:
        """The value for a person: encoded words decoded, controls gone."""
        return decode_words(to_text(self.value))


def fields(header: bytes, start: int = 0) -> Iterator[Field]:
    """Every field of a header block, up to its blank line. start: the block's place in the message."""
    for match in _FIELD.finditer(header):
        raw, name = match.group(), match[1]
        if raw in (b"", b"\n", b"\r\n"):
            return
        yield Field(name.decode("ascii") if name else "", start + match.start(), start + match.end(), raw)


def first(header: bytes, name: str) -> Field | None:
    """The first field of that name (any case), the one that counts when there are several."""
    name = name.lower()
    return next((field for field in fields(header) if field.name.lower() == name), None)


def to_text(octets: bytes, charset: str | None = None) -> str:
    """Octets to text: by the charset when it is a known one that fits, else UTF-8, else windows-874."""
    for candidate in (_known(charset), "utf-8"):
        if candidate is not None:
            try:
                return _tidy(octets.decode(candidate))
            except UnicodeError:
                continue
    return _tidy(octets.decode("cp874", "replace"))


def _known(charset: str | None) -> str | None:
    if not charset:
        return None
    name = charset.strip().lower()
    if name in ("us-ascii", "ascii"):  # "ascii" with raw 8-bit octets is common: let UTF-8 try
        return None
    try:
        codec = codecs.lookup(_CHARSET_ALIASES.get(name, name)).name
        "".encode(codec)  # LookupError when it is a codec of octets, not of text
    except (LookupError, ValueError):
        return None
    return None if codec in _NO_CHARSETS else codec


def _tidy(text: str) -> str:
    if text.isprintable():
        return text
    return text.translate(_CONTROLS).encode("utf-8", "replace").decode()


def decode_words(text: str) -> str:
    """Encoded words to text (RFC 2047 §6.2).

    Neighbours of one charset are joined before decoding: Thai senders split words inside a character.
    """
    pieces: list[str] = []
    octets, charset, at = b"", "", 0  # the run of words that is being joined
    for match in _WORD.finditer(text):
        word = _word_octets(match[2], match[3])
        if word is None:
            continue
        between = text[at : match.start()]
        neighbours = bool(charset) and not between.strip()
        if not neighbours or match[1].lower() != charset:
            pieces.append(to_text(octets, charset))
            octets, charset = b"", match[1].lower()
        if not neighbours:
            pieces.append(between)
        octets, at = octets + word, match.end()
    return _tidy("".join((*pieces, to_text(octets, charset), text[at:])))


def _word_octets(encoding: str, word: str) -> bytes | None:
    octets = word.encode("utf-8")
    if encoding in "qQ":
        return binascii.a2b_qp(octets, header=True)
    stripped = octets.replace(b" ", b"").rstrip(b"=")
    try:
        return binascii.a2b_base64(stripped + b"=" * (-len(stripped) % 4))
    except binascii.Error:
        return None


def parse_parameters(value: bytes) -> tuple[str, tuple[tuple[str, bytes, bool], ...]]:
    """A field like Content-Type: its first token in lower case, and (name, octets, extended) as sent.

    extended: the value is percent-encoded (RFC 2231 §4), sections are not joined yet.
    """
    value = value[:VALUE_OCTETS_MAX]
    token, semicolon, rest = value.partition(b";")
    found: list[tuple[str, bytes, bool]] = []
    for match in _PARAMETER.finditer(semicolon + rest):
        quoted, plain = match[2], match[3]
        octets = re.sub(rb"\\(.)", rb"\1", quoted, flags=re.DOTALL) if quoted is not None else plain
        name = to_text(match[1]).lower()
        if quoted is None:
            octets = without_comments(octets).strip(b' \t\r\n"')
        found.append((name, octets, name.endswith("*")))
    token = without_comments(token).strip()
    return to_text(token).lower(), tuple(found)


def without_comments(value: bytes) -> bytes:
    """Comments, nested ones too, taken out (RFC 5322 §3.2.2). value: without quoted strings before them."""
    pieces: list[bytes] = []
    depth = at = 0
    for match in _COMMENT_MARK.finditer(value):
        if match.group() == b"(":
            if depth == 0:
                pieces.append(value[at : match.start()])
            depth += 1
        elif match.group() == b")" and depth > 0:
            depth -= 1
            at = match.end()
    return b"".join(pieces) + (b"" if depth else value[at:])


def join_parameters(found: tuple[tuple[str, bytes, bool], ...]) -> Parameters:
    """Sections joined in their order, charset and percent decoded (RFC 2231 §3, §4); the first of a name
    counts, and the extended form counts more than the plain one."""
    sections: dict[str, dict[int, tuple[bytes, bool]]] = {}
    plain: dict[str, str] = {}
    for name, octets, extended in found:
        match = _SECTION.match(name)
        if match is None or (match[2] is None and not extended):
            plain.setdefault(name, decode_words(to_text(octets)))
        else:
            sections.setdefault(match[1], {}).setdefault(int(match[2] or 0), (octets, extended))
    joined = {name: _join_sections(numbered) for name, numbered in sections.items()}
    return tuple((plain | joined).items())


def _join_sections(numbered: dict[int, tuple[bytes, bool]]) -> str:
    charset, octets = None, b""
    for place, number in enumerate(sorted(numbered)):
        piece, extended = numbered[number]
        if extended:
            if place == 0 and piece.count(b"'") >= 2:
                name, _, piece = piece.split(b"'", 2)
                charset = to_text(name)
            piece = _PERCENT.sub(lambda match: bytes.fromhex(match[1].decode("ascii")), piece)
        octets += piece
    return to_text(octets, charset)
