"""The few fields of a summary that stand in columns of their own: subject, author, Message-ID.

Source: RFC 9051 §7.5.2; `gateway.mail.summary` makes it, once, when a mail is accepted.
"""

from dataclasses import dataclass
from typing import Final

import msgspec

from gateway.mail.addresslist import HeaderAddress
from gateway.mail.summary import Envelope
from projections.keyring import clear


@dataclass(frozen=True, slots=True)
class Heading:
    """Blank is: not there, or erased. from_: the addresses alone, a blank between two."""

    subject: str = ""
    from_: str = ""
    message_id: str = ""


class _Summary(msgspec.Struct):
    """The part of a Summary that is read here; the tree of parts is skipped."""

    envelope: Envelope


_decoder: Final = msgspec.json.Decoder(_Summary)


def heading_of(summary: bytes) -> Heading:
    """summary: JSON of a Summary, or b"" when it does not open any more."""
    if not summary:
        return Heading()
    envelope = _decoder.decode(summary).envelope
    return Heading(
        clear(envelope.subject or ""),
        clear(" ".join(filter(None, map(_address, envelope.from_)))),
        clear(envelope.message_id or "").strip(),
    )


def _address(address: HeaderAddress) -> str:
    """A group's start and end (RFC 9051 §7.5.2) have no host."""
    return f"{address.mailbox}@{address.host}" if address.mailbox and address.host else ""
