"""What a mailbox shows of a message without opening it: RFC 9051 ENVELOPE and the tree of its parts.

Made once, when the message is accepted, and carried by the event (architecture §4), so it has an upper
size. A summary that would be larger is shortened and says so (`cut`): who needs the rest opens the
message. Places are in octets of the message as received.

Source: RFC 9051 §7.5.2 (ENVELOPE, BODYSTRUCTURE).
"""

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace

from gateway.mail import headers
from gateway.mail.addresslist import HeaderAddress, parse_list
from gateway.mail.headers import Parameters
from gateway.mail.mime import Part

SUMMARY_OCTETS_MAX = 8 * 1024  # architecture §4
_ID_OCTETS_MAX = 400  # a longer Message-ID is left out of a cut summary: half of one names nothing


@dataclass(frozen=True, slots=True)
class Envelope:
    """RFC 9051 §7.5.2. None: the field is missing. sender and reply_to are those of from_ by default."""

    date: str | None = None  # as sent
    subject: str | None = None
    from_: tuple[HeaderAddress, ...] = ()
    sender: tuple[HeaderAddress, ...] = ()
    reply_to: tuple[HeaderAddress, ...] = ()
    to: tuple[HeaderAddress, ...] = ()
    cc: tuple[HeaderAddress, ...] = ()
    bcc: tuple[HeaderAddress, ...] = ()
    in_reply_to: str | None = None
    message_id: str | None = None


@dataclass(frozen=True, slots=True)
class PartSummary:
    """One part as BODYSTRUCTURE describes it. envelope: of the one message in a message/rfc822."""

    type: str
    subtype: str
    encoding: str
    header_start: int
    body_start: int
    body_end: int
    lines: int = 0
    parameters: Parameters = ()
    id: str | None = None
    description: str | None = None
    disposition: str | None = None
    disposition_parameters: Parameters = ()
    language: tuple[str, ...] = ()
    location: str | None = None
    envelope: Envelope | None = None
    parts: "tuple[PartSummary, ...]" = ()

    @property
    def octets(self) -> int:
        """Size of the body, still encoded."""
        return self.body_end - self.body_start


@dataclass(frozen=True, slots=True)
class Summary:
    envelope: Envelope
    body: PartSummary
    cut: bool = False  # something was left out or shortened


@dataclass(frozen=True, slots=True)
class EnvelopeAlone:
    """A summary without its parts: `msgspec.json.decode(octets, type=EnvelopeAlone)` takes half the time."""

    envelope: Envelope
    cut: bool = False


def summarise(tree: Part) -> bytes:
    """The summary of a scanned message, encoded: at most 8 KiB."""
    whole = whole_summary(tree)
    octets = encode(whole)
    if len(octets) <= SUMMARY_OCTETS_MAX:
        return octets
    shortened = (encode(_Shortener(*limits).summary(whole)) for limits in _LIMITS)
    return next(octets for octets in shortened if len(octets) <= SUMMARY_OCTETS_MAX)


def whole_summary(tree: Part) -> Summary:
    """Of any size; `cut` only where the header itself was."""
    found = _first_fields(tree)
    return Summary(_envelope(found), _part(tree, found), cut=_is_cut(tree))


def encode(summary: Summary) -> bytes:
    """JSON; what has its default is left out. `msgspec.json.decode(octets, type=Summary)` reads it."""
    return _JSON.encode(_jsonable(summary)).encode()


_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def _jsonable(value: object) -> object:
    if named := _FIELDS.get(type(value)):
        return {name: _jsonable(item) for name, default in named if (item := getattr(value, name)) != default}
    return [_jsonable(item) for item in value] if isinstance(value, tuple) else value


def _named_fields(kind: type) -> tuple[tuple[str, object], ...]:
    return tuple((field.name, field.default) for field in dataclasses.fields(kind))


# Looked at once: it is most of the cost of writing a summary.
_FIELDS: dict[type, tuple[tuple[str, object], ...]] = {
    kind: _named_fields(kind) for kind in (Summary, Envelope, PartSummary, HeaderAddress)
}


# --- reading the fields -----------------------------------------------------------------------------


_Fields = dict[str, headers.Field]  # by name in lower case; the first of a name counts


def _envelope(found: _Fields) -> Envelope:
    def text(name: str) -> str | None:
        return found[name].text if name in found else None

    def addresses(name: str) -> tuple[HeaderAddress, ...]:
        return parse_list(found[name].value) if name in found else ()

    from_ = addresses("from")
    return Envelope(
        date=text("date"),
        subject=text("subject"),
        from_=from_,
        sender=addresses("sender") or from_,
        reply_to=addresses("reply-to") or from_,
        to=addresses("to"),
        cc=addresses("cc"),
        bcc=addresses("bcc"),
        in_reply_to=text("in-reply-to"),
        message_id=text("message-id"),
    )


def _part(part: Part, found: _Fields) -> PartSummary:
    def text(name: str) -> str | None:
        return found[name].text if name in found else None

    type_, subtype = _shown_type(part)
    inner = part.children[0] if type_ == "message" and part.children else None
    languages = (text("content-language") or "").replace(" ", "")
    return PartSummary(
        type=type_,
        subtype=subtype,
        encoding=part.encoding,
        header_start=part.header.start,
        body_start=part.body.start,
        body_end=part.body.end,
        lines=part.lines,
        parameters=part.parameters,
        id=text("content-id"),
        description=text("content-description"),
        disposition=part.disposition or None,
        disposition_parameters=part.disposition_parameters,
        language=tuple(filter(None, languages.split(","))),
        location=text("content-location"),
        envelope=_envelope(_first_fields(inner)) if inner else None,
        parts=tuple(_part(child, _first_fields(child)) for child in part.children),
    )


def _shown_type(part: Part) -> tuple[str, str]:
    """RFC 9051 knows no multipart without parts and no message without one: what was not looked into is
    shown as text, or as octets."""
    if part.children:
        return part.type, part.subtype
    if part.type == "multipart":
        return "text", "plain"
    if part.type == "message" and part.subtype in ("rfc822", "global"):
        return "application", "octet-stream"
    return part.type, part.subtype


def _first_fields(part: Part) -> _Fields:
    found: _Fields = {}
    for field in headers.fields(part.header_octets):
        found.setdefault(field.name.lower(), field)
    return found


def _is_cut(part: Part) -> bool:
    return part.is_cut or any(map(_is_cut, part.children))


# --- shortening ---------------------------------------------------------------------------------------

# Tried in turn: characters of a text, addresses of a field, parameters of a part, parts in all. The last
# always fits: 40 characters are at most 240 octets of JSON.
_LIMITS = (
    (500, 100, 10, 1000),
    (250, 30, 6, 60),
    (250, 10, 4, 25),
    (120, 4, 3, 12),
    (80, 2, 2, 5),
    (40, 1, 0, 1),
)


@dataclass(slots=True)
class _Shortener:
    characters: int
    addresses: int
    parameters: int
    parts: int  # still to be given out, in the order of the message

    def summary(self, whole: Summary) -> Summary:
        self.parts -= 1
        return Summary(self._envelope(whole.envelope), self._part(whole.body), cut=True)

    def _text(self, text: str | None) -> str | None:
        return text if text is None else text[: self.characters]

    def _id(self, text: str | None) -> str | None:
        return text if text is not None and len(text.encode()) <= _ID_OCTETS_MAX else None

    def _list(self, found: tuple[HeaderAddress, ...]) -> tuple[HeaderAddress, ...]:
        return tuple(
            HeaderAddress(self._text(one.name), self._text(one.mailbox), self._text(one.host))
            for one in found[: self.addresses]
        )

    def _parameters(self, found: Parameters) -> Parameters:
        return tuple(
            (name[: self.characters], text[: self.characters]) for name, text in found[: self.parameters]
        )

    def _envelope(self, whole: Envelope) -> Envelope:
        return Envelope(
            date=self._text(whole.date),
            subject=self._text(whole.subject),
            from_=self._list(whole.from_),
            sender=self._list(whole.sender),
            reply_to=self._list(whole.reply_to),
            to=self._list(whole.to),
            cc=self._list(whole.cc),
            bcc=self._list(whole.bcc),
            in_reply_to=self._id(whole.in_reply_to),
            message_id=self._id(whole.message_id),
        )

    def _part(self, whole: PartSummary) -> PartSummary:
        parts = tuple(self._some(whole.parts))
        return replace(
            whole,
            type=whole.type[: self.characters],
            subtype=whole.subtype[: self.characters],
            encoding=whole.encoding[: self.characters],
            parameters=self._parameters(whole.parameters),
            id=self._id(whole.id),
            description=self._text(whole.description),
            disposition=self._text(whole.disposition),
            disposition_parameters=self._parameters(whole.disposition_parameters),
            language=tuple(language[: self.characters] for language in whole.language[: self.parameters]),
            location=self._text(whole.location),
            envelope=self._envelope(whole.envelope) if whole.envelope and parts else None,
            parts=parts,
        )

    def _some(self, parts: tuple[PartSummary, ...]) -> Iterator[PartSummary]:
        for part in parts:
            if self.parts > 0:
                self.parts -= 1
                yield self._part(part)
