"""Which octets of a message a section is.

Places are those of the presented message (mail/presented.py): the shell reads [start, end) of it, and filters
header fields or takes off a transfer encoding where the section says so. A summary that was cut may lack
parts: the shell then takes the structure from the message itself.

Source: RFC 9051 §6.4.5.1 (sections and part numbers), §6.4.5 (partial).
"""

from collections.abc import Iterable
from dataclasses import dataclass

from gateway.mail import headers
from gateway.mail.mime import Range
from gateway.mail.summary import PartSummary
from gateway.protocols.imap.attributes import Partial, Path, SectionKind


@dataclass(frozen=True, slots=True)
class Layout:
    """How a stored message is presented: so many octets of ours before it, and these ranges left out."""

    front_octets: int
    hidden: tuple[tuple[int, int], ...]
    stored_octets: int

    @property
    def octets(self) -> int:
        return self.place(self.stored_octets)

    def place(self, stored: int) -> int:
        """Where a place of the stored message is in the presented one."""
        left_out = sum(min(end, stored) - start for start, end in self.hidden if start < stored)
        return self.front_octets + stored - left_out


def locate(message: PartSummary, path: Path, kind: SectionKind, layout: Layout) -> Range | None:
    """The octets of a section; of HEADER.FIELDS those of the header. None: there is no such part."""
    if not path:
        return _of_message(message, kind, layout)
    part = find_part(message, path)
    if part is None:
        return None
    if kind in ("", "MIME"):
        start, end = (part.body_start, part.body_end) if not kind else (part.header_start, part.body_start)
        return _presented(message, start, end, layout)
    inner = _inner(part)
    if inner is None:  # RFC 9051 §6.4.5.1: only a message in the message has these
        return None
    if kind == "TEXT":
        return _presented(message, inner.body_start, inner.body_end, layout)
    return _presented(message, inner.header_start, inner.body_start, layout)


def find_part(message: PartSummary, path: Path) -> PartSummary | None:
    """The part of that number. RFC 9051 §6.4.5.1: what is no multipart has one part, 1, its body."""
    part = _child(message, path[0])
    for number in path[1:]:
        if part is None:
            return None
        inner = _inner(part)
        if inner is not None:
            part = _child(inner, number)
        else:
            part = _numbered(part.parts, number) if part.type == "multipart" else None
    return part


def partial(whole: Range, asked: Partial | None) -> Range:
    """RFC 9051 §6.4.5: what lies beyond the end is empty."""
    if asked is None:
        return whole
    start = min(whole.start + asked[0], whole.end)
    return Range(start, min(start + asked[1], whole.end))


def filter_fields(header: bytes, names: Iterable[str], *, is_not: bool) -> bytes:
    """The fields of these names, or all others, as they are, and the blank line (RFC 9051 §6.4.5.1)."""
    wanted = {name.lower() for name in names}
    kept = [field.raw for field in headers.fields(header) if (field.name.lower() in wanted) != is_not]
    return b"".join(kept) + b"\r\n"


def _of_message(message: PartSummary, kind: SectionKind, layout: Layout) -> Range | None:
    body = layout.place(message.body_start)
    match kind:
        case "":
            return Range(0, layout.octets)
        case "TEXT":
            return Range(body, layout.octets)
        case "MIME":
            return None
    return Range(0, body)


def _presented(message: PartSummary, start: int, end: int, layout: Layout) -> Range:
    """The header of the message itself begins with what we put before it."""
    is_its_header = start == message.header_start and end > start
    return Range(0 if is_its_header else layout.place(start), layout.place(end))


def _child(message: PartSummary, number: int) -> PartSummary | None:
    """A part of a message, which itself is no part."""
    if message.type == "multipart" and message.parts:
        return _numbered(message.parts, number)
    return message if number == 1 else None


def _inner(part: PartSummary) -> PartSummary | None:
    """The message in a message/rfc822."""
    return part.parts[0] if part.type == "message" and part.parts else None


def _numbered(parts: tuple[PartSummary, ...], number: int) -> PartSummary | None:
    return parts[number - 1] if number <= len(parts) else None
