"""The structure of a message, found in one pass while its octets arrive.

`StructureScanner` holds a line of look-behind and the header octets, never a body. It tolerates what
real mail does (missing blank lines, missing close delimiters, wrong nesting) and ends in one tree whatever
the split of the octets was. Every range is in octets from the start of the message as received.

Source: RFC 2046 §5.1 (multipart), §5.2.1 (message/rfc822), RFC 2045 §5.2 (defaults), RFC 6532 §3.7
(message/global). A line ends in CRLF or LF; SMTP lets only CRLF through.
"""

import re
from dataclasses import dataclass, field
from typing import NamedTuple

from gateway.mail import headers
from gateway.mail.decoded import Counter, counter_of
from gateway.mail.headers import Parameters

HEADER_OCTETS_MAX = 128 * 1024  # held, of all parts together. Precedent: Postfix header_size_limit 102 400
DEPTH_MAX = 50  # precedent: Postfix mime_nesting_limit 100
PARTS_MAX = 1000
BOUNDARY_OCTETS_MAX = 200  # RFC 2046 §5.1.1 allows 70
_PADDING_MAX = 40  # white space after a delimiter
# The longest thing searched for: line break, "--", boundary, "--", padding, line break.
_LOOK_BEHIND = 2 + 2 + BOUNDARY_OCTETS_MAX + 2 + _PADDING_MAX + 2


class Range(NamedTuple):
    """Octets [start, end) of the message as received."""

    start: int
    end: int

    @property
    def octets(self) -> int:
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Part:
    """One MIME part, or the message itself (the root), with what its own header says of it."""

    header: Range  # with the blank line that ends it
    body: Range
    header_octets: bytes = field(repr=False)  # of `header`, shorter when is_cut
    is_cut: bool  # the header went over HEADER_OCTETS_MAX
    lines: int  # line breaks in the body
    type: str  # "text"; lower case
    subtype: str  # "plain"
    parameters: Parameters
    encoding: str  # Content-Transfer-Encoding in lower case, "7bit" by default
    disposition: str  # "attachment", "inline", "" when there is none
    disposition_parameters: Parameters
    children: "tuple[Part, ...]"  # of a multipart, or the one message in a message/rfc822
    decoded_octets: int  # of the body without its transfer encoding

    @property
    def filename(self) -> str:
        """The name the sender gave the file; "" for none. Never a path to trust."""
        named = dict(self.disposition_parameters).get("filename")
        return named or dict(self.parameters).get("name", "")

    @property
    def is_attachment(self) -> bool:
        """True of a file, and of what is not text to be read (RFC 2183 §2.2). Of a message in a message its
        own parts are looked at instead."""
        is_file = self.disposition == "attachment" or bool(self.filename)
        return not self.children and (is_file or self.type not in ("text", "multipart", "message"))

    @property
    def largest_attachment_octets(self) -> int:
        """Of the largest attachment of this part or below, decoded; 0: there is none."""
        own = self.decoded_octets if self.is_attachment else 0
        return max([own, *(child.largest_attachment_octets for child in self.children)])

    def leaves(self) -> "list[Part]":
        """The parts without children, in the order of the message."""
        return [leaf for child in self.children for leaf in child.leaves()] if self.children else [self]


@dataclass(slots=True)
class _Open:
    """A part whose end has not been seen. boundary: of a multipart that is not closed yet."""

    start: int
    body_start: int = -1  # -1: still in the header
    lines_before: int = 0
    kept: bytearray = field(default_factory=bytearray)
    is_cut: bool = False
    boundary: bytes = b""
    content: "_Content | None" = None
    counter: Counter | None = None  # of its decoded octets; None: they are the octets of the body
    children: list[Part] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Content:
    """What a part's header says about its body."""

    type: str
    subtype: str
    parameters: Parameters
    boundary: bytes
    encoding: str
    disposition: str
    disposition_parameters: Parameters


class StructureScanner:
    """Feed a message in any split, finish, have its tree. Goes at the speed of a search for boundaries."""

    def __init__(self) -> None:
        self._buffer = b"\n"  # a line begins at 0: as if a line break stood before the message
        self._base = -1  # place of buffer[0] in the message
        self._at = 0  # place up to which lines are counted and headers kept
        self._lines = 0
        self._kept_octets = 0
        self._parts = 1
        self._is_opaque = False  # too many parts: the rest is not looked into
        self._open = [_Open(0)]

    def feed(self, octets: bytes) -> None:
        """Take the next octets of the message."""
        buffer = self._buffer + octets
        place = self._scan(buffer, final=False)
        # What may be the beginning of a delimiter or blank line is looked at again with what follows.
        keep = buffer.rfind(b"\n", max(place, len(buffer) - _LOOK_BEHIND))
        if keep < 0:
            keep = len(buffer)
        if keep > place and buffer[keep - 1 : keep] == b"\r":
            keep -= 1
        self._consume(buffer, self._base + keep)
        self._buffer, self._base = buffer[keep:], self._base + keep

    def finish(self) -> Part:
        """The message is complete: its root part."""
        buffer = self._buffer
        self._scan(buffer, final=True)
        end = self._base + len(buffer)
        self._consume(buffer, end)
        self._end_parts(0, end)
        return self._root

    # --- the pass ---------------------------------------------------------------------------------

    def _scan(self, buffer: bytes, *, final: bool) -> int:
        """Handle every blank line and delimiter that is complete. Returns where the next may begin."""
        place = 0
        while match := self._next(buffer, place, final):
            if match.lastgroup == "blank":
                self._begin_body(buffer, self._base + match.end())
            else:
                self._delimit(buffer, match)
            place = match.end() - 1 if buffer[match.end() - 1 : match.end()] == b"\n" else match.end()
        return place

    def _next(self, buffer: bytes, place: int, final: bool) -> re.Match[bytes] | None:
        """The next blank line (in a header) or delimiter line of an open multipart (RFC 2046 §5.1.1)."""
        in_header = self._open[-1].body_start < 0
        # The innermost counts when two have the same boundary.
        boundaries = tuple(part.boundary for part in reversed(self._open) if part.boundary)
        if self._is_opaque or not (in_header or boundaries):
            return None
        return _pattern(in_header, boundaries, final).search(buffer, place)

    def _begin_body(self, buffer: bytes, start: int) -> None:
        self._consume(buffer, start)
        self._end_header(start)
        part = self._open[-1]
        if part.content is not None and part.content.type == "message" and self._may_nest(part.content):
            self._begin_part(start)

    def _may_nest(self, content: _Content) -> bool:
        """A message in a message is looked into when it is not encoded (RFC 2046 §5.2.1, RFC 6532 §3.7)."""
        return (
            content.subtype in ("rfc822", "global")
            and content.encoding in ("7bit", "8bit", "binary")
            and len(self._open) < DEPTH_MAX
            and self._parts < PARTS_MAX
        )

    def _delimit(self, buffer: bytes, match: re.Match[bytes]) -> None:
        """A delimiter line: the parts in it end before its line break, and another begins or none."""
        end = match.start()  # the line break before a delimiter belongs to it (RFC 2046 §5.1.1)
        if buffer[end - 1 : end] == b"\r":
            end -= 1
        owner = next(
            depth
            for depth in range(len(self._open) - 1, -1, -1)
            if self._open[depth].boundary == match["which"]
        )
        self._consume(buffer, self._base + end)
        self._end_parts(owner + 1, self._base + end)
        self._consume(buffer, self._base + match.end())
        if match["close"]:
            self._open[owner].boundary = b""
        else:
            self._begin_part(self._base + match.end())

    def _begin_part(self, start: int) -> None:
        part = _Open(start)
        self._open.append(part)
        self._parts += 1
        if self._parts > PARTS_MAX:
            self._is_opaque = True
            self._end_header(start)

    def _consume(self, buffer: bytes, until: int) -> None:
        """Count lines, and keep header octets, up to a place in the message."""
        start = self._at - self._base
        end = until - self._base
        if end <= start:
            return
        self._lines += buffer.count(b"\n", start, end)
        part = self._open[-1]
        if part.body_start < 0:
            room = HEADER_OCTETS_MAX - self._kept_octets
            taken = buffer[start : min(end, start + room)]
            part.kept += taken
            self._kept_octets += len(taken)
            part.is_cut = part.is_cut or len(taken) < end - start
        elif part.counter is not None:
            part.counter.feed(buffer[start:end])
        self._at = until

    # --- ends ---------------------------------------------------------------------------------------

    def _end_header(self, end: int) -> None:
        """The header of the innermost open part ends here; its body begins."""
        part = self._open[-1]
        part.body_start = end
        part.lines_before = self._lines
        parent = self._open[-2].content if len(self._open) > 1 else None
        in_digest = parent is not None and (parent.type, parent.subtype) == ("multipart", "digest")
        part.content = _content(bytes(part.kept), in_digest=in_digest, is_opaque=self._is_opaque)
        if part.content.type == "multipart" and len(self._open) < DEPTH_MAX and self._parts < PARTS_MAX:
            part.boundary = part.content.boundary
        if not part.boundary:
            part.counter = counter_of(part.content.encoding)

    def _end_parts(self, depth: int, end: int) -> None:
        """Every open part from this depth on ends here (or where its body began, when that is later)."""
        while len(self._open) > depth:
            if self._open[-1].body_start < 0:
                self._end_header(max(end, self._open[-1].start))
            part = self._open.pop()
            done = _closed(part, max(end, part.body_start), self._lines)
            if self._open:
                self._open[-1].children.append(done)
            else:
                self._root = done


def _closed(part: _Open, end: int, lines: int) -> Part:
    content = part.content
    assert content is not None, "a part ends after its header"
    return Part(
        header=Range(part.start, part.body_start),
        body=Range(part.body_start, end),
        header_octets=bytes(part.kept),
        is_cut=part.is_cut,
        lines=lines - part.lines_before,
        type=content.type,
        subtype=content.subtype,
        parameters=content.parameters,
        encoding=content.encoding,
        disposition=content.disposition,
        disposition_parameters=content.disposition_parameters,
        children=tuple(part.children),
        decoded_octets=end - part.body_start if part.counter is None else part.counter.finish(),
    )


def _pattern(in_header: bool, boundaries: tuple[bytes, ...], final: bool) -> re.Pattern[bytes]:
    """What ends the current state: one search at the speed of C, whatever a hostile body holds."""
    line_end = rb"(?:\r?\n|\Z)" if final else rb"\r?\n"
    delimiter = b""
    if boundaries:
        delimiter = rb"--(?P<which>%s)(?P<close>--)?[ \t]{0,%d}%s" % (
            b"|".join(map(re.escape, boundaries)),
            _PADDING_MAX,
            line_end,
        )
    if not in_header:
        return re.compile(rb"\n" + delimiter)
    alternatives = rb"(?P<blank>\r?\n)" + (b"|" + delimiter if delimiter else b"")
    return re.compile(rb"\n(?:" + alternatives + rb")")


def _content(header: bytes, *, in_digest: bool, is_opaque: bool) -> _Content:
    """Read the Content- fields; the first of each counts, what is missing or broken gets its default.

    in_digest: the default is a message then (RFC 2046 §5.1.5).
    """
    found: dict[str, bytes] = {}
    for one in headers.fields(header):
        name = one.name.lower()
        if name.startswith("content-"):
            found.setdefault(name, one.value)
    media, raw = headers.parse_parameters(found.get("content-type", b""))
    type_, _, subtype = (part.strip() for part in media.partition("/"))
    subtype = subtype.split(" ", 1)[0]  # "text/plain charset=…", a semicolon forgotten
    if is_opaque:
        type_, subtype, raw = "application", "octet-stream", ()
    elif not (type_ and subtype):
        type_, subtype = ("message", "rfc822") if in_digest else ("text", "plain")
    parameters = headers.join_parameters(raw)
    disposition, disposition_raw = headers.parse_parameters(found.get("content-disposition", b""))
    encoding, _ = headers.parse_parameters(found.get("content-transfer-encoding", b""))
    return _Content(
        type=type_,
        subtype=subtype,
        parameters=parameters,
        boundary=_boundary(raw, parameters),
        encoding=encoding.strip() or "7bit",
        disposition=disposition.strip(),
        disposition_parameters=headers.join_parameters(disposition_raw),
    )


def _boundary(raw: tuple[tuple[str, bytes, bool], ...], parameters: Parameters) -> bytes:
    """The boundary octet for octet; b"" when it is none we could search for."""
    exact = next((octets for name, octets, _ in raw if name == "boundary"), None)
    boundary = exact if exact is not None else dict(parameters).get("boundary", "").encode()
    boundary = boundary.rstrip(b" \t")  # RFC 2046 §5.1.1: a boundary does not end in white space
    is_usable = len(boundary) <= BOUNDARY_OCTETS_MAX and not set(boundary) & set(b"\r\n\0")
    return boundary if is_usable else b""
