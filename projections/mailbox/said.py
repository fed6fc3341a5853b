"""What an envelope says, in the form in which it is searched: `origin.said`.

Source: RFC 9051 §6.4.4 (BCC, CC, FROM, HEADER, SUBJECT, TO).
"""

from collections.abc import Callable, Mapping
from typing import Final

from gateway.mail.collation import folded
from gateway.mail.summary import Envelope, EnvelopeAlone
from gateway.protocols.imap.searching import IN_ENVELOPE
from projections.keyring import clear

_FIELDS: Final[Mapping[str, Callable[[Envelope], str]]] = {
    **IN_ENVELOPE,
    "message-id": lambda envelope: envelope.message_id or "",
}
# Where each is among them, as arrays of PostgreSQL are counted.
PLACES: Final = {name: place for place, name in enumerate(_FIELDS, 1)}


def said(summary: EnvelopeAlone) -> list[str] | None:
    """None: it was cut, and something may be missing."""
    if summary.cut:
        return None
    return [clear(folded(text_of(summary.envelope))) for text_of in _FIELDS.values()]


def is_askable(text: str) -> bool:
    """Whether rows have every text with this in it as it is; `clear` has changed some."""
    return text == clear(text) and "\N{REPLACEMENT CHARACTER}" not in text
