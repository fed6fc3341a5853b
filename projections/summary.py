"""The few fields of a summary that stand in columns of their own: subject, author, Message-ID.

Source: RFC 9051 §7.5.2; `gateway.mail.summary` makes it, once, when a mail is accepted.
"""

from dataclasses import dataclass
from typing import Final

import msgspec

from gateway.mail.addresslist import HeaderAddress
from gateway.mail.summary import EnvelopeAlone
from projections.keyring import clear


@dataclass(frozen=True, slots=True)
class Heading:
    """Blank is: not there, or erased. from_: the addresses alone, a blank between two."""

    subject: str = ""
    from_: str = ""
    message_id: str = ""


_decoder: Final = msgspec.json.Decoder(EnvelopeAlone)


def envelope_of(summary: bytes) -> EnvelopeAlone | None:
    """summary: JSON of a Summary, or b"" when it does not open any more: None."""
    return _decoder.decode(summary) if summary else None


def heading_of(summary: EnvelopeAlone | None) -> Heading:
    if summary is None:
        return Heading()
    envelope = summary.envelope
    return Heading(
        clear(envelope.subject or ""),
        clear(" ".join(filter(None, map(_address, envelope.from_)))),
        clear(envelope.message_id or "").strip(),
    )


def _address(address: HeaderAddress) -> str:
    """A group's start and end (RFC 9051 §7.5.2) have no host."""
    return f"{address.mailbox}@{address.host}" if address.mailbox and address.host else ""
