"""What FETCH may ask of a message, as values, and their grammar.

`label` is how an answer names a section. What a row has, what its summary has, and what only the message
itself has, `fetching.py` tells apart; which octets a section is, `sections.py`.

Source: RFC 9051 §6.4.5 and §9 (fetch-att, section), RFC 3501 §6.4.5 (RFC822), RFC 3516 (BINARY), RFC 7162
§3.1.4 (MODSEQ), RFC 8474 §5 (EMAILID, THREADID), RFC 8514 §4 (SAVEDATE), RFC 8970 §3 (PREVIEW).
"""

import re
from dataclasses import dataclass
from typing import Final, Literal

from gateway.protocols.imap.grammar import NUMBER64_MAX, Reader, Unreadable
from gateway.protocols.imap.rendering import quoted

Path = tuple[int, ...]  # part numbers from the outside in; (): the message itself
Partial = tuple[int, int]  # first octet, and how many at most
SectionKind = Literal["", "HEADER", "HEADER.FIELDS", "HEADER.FIELDS.NOT", "TEXT", "MIME"]

DEPTH_MAX: Final = 100  # of a path; no summary has that many levels
FIELDS_MAX: Final = 200  # of HEADER.FIELDS

_PATH: Final = re.compile(rb"[1-9][0-9]{0,9}(?:\.[1-9][0-9]{0,9})*")
_NAME: Final = re.compile(rb"[A-Za-z0-9.]+")
_PARTIAL: Final = re.compile(rb"<([0-9]{1,19})\.([1-9][0-9]{0,18})>")
_FIELD_NAME: Final = re.compile(rb"[!-9;-~]+")  # RFC 5322 §3.6.8


@dataclass(frozen=True, slots=True)
class Flags:
    pass


@dataclass(frozen=True, slots=True)
class Uid:
    pass


@dataclass(frozen=True, slots=True)
class InternalDate:
    pass


@dataclass(frozen=True, slots=True)
class Size:
    """RFC822.SIZE, of the presented message."""


@dataclass(frozen=True, slots=True)
class EnvelopeItem:
    pass


@dataclass(frozen=True, slots=True)
class BodyStructure:
    """is_extensible: BODYSTRUCTURE; else BODY without a section (RFC 9051 §7.5.2)."""

    is_extensible: bool


@dataclass(frozen=True, slots=True)
class ModSeq:
    pass


@dataclass(frozen=True, slots=True)
class EmailId:
    pass


@dataclass(frozen=True, slots=True)
class ThreadId:
    pass


@dataclass(frozen=True, slots=True)
class SaveDate:
    pass


@dataclass(frozen=True, slots=True)
class Preview:
    """is_lazy: only if it is at hand (RFC 8970 §4)."""

    is_lazy: bool = False


@dataclass(frozen=True, slots=True)
class BodySection:
    """BODY[…], and RFC822, RFC822.HEADER and RFC822.TEXT, which differ in their names alone.

    name: BODY, or that of the RFC822 item. fields: as they were asked for.
    """

    path: Path = ()
    kind: SectionKind = ""
    fields: tuple[str, ...] = ()
    partial: Partial | None = None
    is_peek: bool = False
    name: str = "BODY"

    @property
    def label(self) -> str:
        """RFC 9051 §7.5.2: of a partial fetch only the first octet is told."""
        if self.name != "BODY":
            return self.name
        specifier = ".".join((*map(str, self.path), *filter(None, (self.kind,))))
        names = f" ({' '.join(map(_field_text, self.fields))})" if self.fields else ""
        return f"BODY[{specifier}{names}]{_origin(self.partial)}"


@dataclass(frozen=True, slots=True)
class Binary:
    """The body of a part without its transfer encoding (RFC 9051 §6.4.5.1)."""

    path: Path
    partial: Partial | None = None
    is_peek: bool = False

    @property
    def label(self) -> str:
        return f"BINARY[{'.'.join(map(str, self.path))}]{_origin(self.partial)}"


@dataclass(frozen=True, slots=True)
class BinarySize:
    path: Path

    @property
    def label(self) -> str:
        return f"BINARY.SIZE[{'.'.join(map(str, self.path))}]"


Attribute = (
    Flags | Uid | InternalDate | Size | EnvelopeItem | BodyStructure | ModSeq | EmailId | ThreadId | SaveDate
    | Preview | BodySection | Binary | BinarySize
)  # fmt: skip

_FAST: Final[tuple[Attribute, ...]] = (Flags(), InternalDate(), Size())
# RFC 9051 §6.4.5: a macro stands alone, without parentheses.
_MACROS: Final[dict[str, tuple[Attribute, ...]]] = {
    "FAST": _FAST,
    "ALL": (*_FAST, EnvelopeItem()),
    "FULL": (*_FAST, EnvelopeItem(), BodyStructure(is_extensible=False)),
}
_PLAIN: Final[dict[str, Attribute]] = {
    "FLAGS": Flags(),
    "UID": Uid(),
    "INTERNALDATE": InternalDate(),
    "RFC822.SIZE": Size(),
    "ENVELOPE": EnvelopeItem(),
    "BODYSTRUCTURE": BodyStructure(is_extensible=True),
    "BODY": BodyStructure(is_extensible=False),
    "MODSEQ": ModSeq(),
    "EMAILID": EmailId(),
    "THREADID": ThreadId(),
    "SAVEDATE": SaveDate(),
    "RFC822": BodySection(name="RFC822"),
    "RFC822.HEADER": BodySection(kind="HEADER", is_peek=True, name="RFC822.HEADER"),
    "RFC822.TEXT": BodySection(kind="TEXT", name="RFC822.TEXT"),
}
_KINDS: Final[dict[str, SectionKind]] = {
    "HEADER": "HEADER",
    "HEADER.FIELDS": "HEADER.FIELDS",
    "HEADER.FIELDS.NOT": "HEADER.FIELDS.NOT",
    "TEXT": "TEXT",
    "MIME": "MIME",
}


def sets_seen(attributes: tuple[Attribute, ...]) -> bool:
    """True when fetching them sets \\Seen (RFC 9051 §6.4.5)."""
    return any(isinstance(one, BodySection | Binary) and not one.is_peek for one in attributes)


def read_attributes(reader: Reader) -> tuple[Attribute, ...]:
    """A macro, an attribute, or a list of them; each once."""
    if not reader.sees(b"("):
        name = _name(reader)
        return _MACROS.get(name) or (_attribute(reader, name),)
    reader.skip(b"(")
    return read_listed(reader)


def read_listed(reader: Reader) -> tuple[Attribute, ...]:
    """A list of attributes, behind its `(`; each once."""
    return tuple(dict.fromkeys(reader.listed_on(lambda: _attribute(reader, _name(reader)))))


def _name(reader: Reader) -> str:
    found = reader.take(_NAME)
    if found is None:
        raise Unreadable("An attribute is missing")
    return found[0].decode().upper()


def _attribute(reader: Reader, name: str) -> Attribute:
    if reader.skip(b"["):
        return _section(reader, name)
    if name == "PREVIEW":
        return Preview(is_lazy=_is_lazy(reader))
    try:
        return _PLAIN[name]
    except KeyError:
        raise Unreadable("There is no such attribute") from None


def _is_lazy(reader: Reader) -> bool:
    if not reader.skip(b" ("):
        return False
    if reader.keyword() != "LAZY" or not reader.skip(b")"):
        raise Unreadable("PREVIEW has one modifier, LAZY")
    return True


def _section(reader: Reader, name: str) -> Attribute:
    """What stands behind `[`."""
    path, kind = _specifier(reader)
    fields = _fields(reader) if kind.startswith("HEADER.FIELDS") else ()
    reader.expect(b"]", "A section ends in ]")
    if name == "BINARY.SIZE" and not kind:
        return BinarySize(path)
    partial = _partial(reader)
    match name:
        case "BODY" | "BODY.PEEK":
            return BodySection(path, kind, fields, partial, is_peek=name == "BODY.PEEK")
        case "BINARY" | "BINARY.PEEK" if not kind:
            return Binary(path, partial, is_peek=name == "BINARY.PEEK")
    raise Unreadable("There is no such section")


def _specifier(reader: Reader) -> tuple[Path, SectionKind]:
    """`1.2.TEXT`, either half or nothing at all."""
    numbers = reader.take(_PATH)
    path = tuple(map(int, numbers[0].split(b"."))) if numbers else ()
    if len(path) > DEPTH_MAX:
        raise Unreadable("A section has too many levels")
    if numbers and not reader.skip(b"."):
        return path, ""
    found = reader.take(_NAME)
    if found is None:
        if numbers:
            raise Unreadable("A section ends in a dot")
        return (), ""
    kind = _KINDS.get(found[0].decode().upper())
    if kind is None or (kind == "MIME" and not path):  # RFC 9051 §9: section-msgtext has no MIME
        raise Unreadable("There is no such section")
    return path, kind


def _fields(reader: Reader) -> tuple[str, ...]:
    reader.space()
    names = reader.listed(reader.astring)
    if len(names) > FIELDS_MAX:
        raise Unreadable(f"A section has at most {FIELDS_MAX} fields")
    if not all(map(_FIELD_NAME.fullmatch, names)):
        raise Unreadable("A field name is printable ASCII without a colon")
    return tuple(name.decode() for name in names)


def _partial(reader: Reader) -> Partial | None:
    found = reader.take(_PARTIAL)
    if found is None:
        return None
    start, octets = int(found[1]), int(found[2])
    if max(start, octets) > NUMBER64_MAX:
        raise Unreadable("A partial has too many octets")
    return start, octets


def _origin(partial: Partial | None) -> str:
    return f"<{partial[0]}>" if partial else ""


def _field_text(name: str) -> str:
    """A field name as an astring."""
    return name if _NAME_AS_ATOM.fullmatch(name) else quoted(name)


_NAME_AS_ATOM: Final = re.compile(r"[A-Za-z0-9._-]+")
