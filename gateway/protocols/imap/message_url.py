"""URLs that name a message or a part of one, as CATENATE takes them.

Relative ones alone: what is on another server nobody fetches here. Mailbox names are UTF-8, percent-encoded.

Source: RFC 4469 §3 (URL in CATENATE), RFC 5092 §5, §6.1 and §11 (grammar).
"""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote_to_bytes

from gateway.mail.mailbox_name import read_name
from gateway.protocols.imap.attributes import BodySection, read_attributes
from gateway.protocols.imap.framer import Lines
from gateway.protocols.imap.grammar import Reader, Unreadable

_URL: Final = re.compile(
    r"/(?P<mailbox>[^;/?#][^;?#]*?)(?:;uidvalidity=(?P<validity>[1-9][0-9]{0,9}))?/;uid=(?P<uid>[1-9][0-9]{0,9})"
    r"(?:/?;section=(?P<section>[^;/?#]*))?(?:/?;partial=(?P<start>[0-9]{1,19})(?:\.(?P<octets>[1-9][0-9]{0,18}))?)?",
    re.IGNORECASE | re.ASCII,
)
_OCTETS_MAX: Final = 2**62  # a partial without an end


@dataclass(frozen=True, slots=True)
class MessageUrl:
    """uidvalidity: None: whichever it is. section: what of the message."""

    mailbox: str
    uidvalidity: int | None
    uid: int
    section: BodySection


def parse_url(url: str) -> MessageUrl:
    """Raises ValueError: `NO [BADURL …]` (RFC 4469 §5)."""
    found = _URL.fullmatch(url)
    if found is None:
        raise ValueError("no URL of a message here")
    mailbox = read_name(unquote_to_bytes(found["mailbox"]), is_utf8=True)
    validity = found["validity"]
    return MessageUrl(mailbox, int(validity) if validity else None, int(found["uid"]), _section(found))


def _section(found: re.Match[str]) -> BodySection:
    """It is written as in FETCH."""
    partial = f"<{found['start']}.{found['octets'] or _OCTETS_MAX}>" if found["start"] else ""
    specifier = unquote_to_bytes(found["section"] or "")
    reader = Reader(Lines((b"BODY.PEEK[%b]%b" % (specifier, partial.encode()),)))
    try:
        (attribute,) = read_attributes(reader)
        reader.end()
    except (Unreadable, ValueError):
        raise ValueError("no section of a message") from None
    if not isinstance(attribute, BodySection):
        raise ValueError("no section of a message")
    return attribute
