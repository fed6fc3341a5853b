"""Identifiers: opaque, time-ordered, and made from arguments only.

An id is a prefix and 26 characters of Crockford's base 32: 48 bits of milliseconds, 80 bits of entropy
(the layout of a ULID, in lower case), so ids sort by the time they were made. No id is ever made from
an address or a name.
"""

from datetime import datetime
from typing import NewType

MailId = NewType("MailId", str)  # "mail_…": envelope and message, one id for life
AgencyId = NewType("AgencyId", str)  # "ag_…"
AccountId = NewType("AccountId", str)  # "acc_…"
MailboxId = NewType("MailboxId", str)  # "mbx_…"

ID_ENTROPY_OCTETS = 10
SLOTS = 64  # fixed for ever: slots are part of stored subjects

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


def new_id(prefix: str, at: datetime, entropy: bytes) -> str:
    """`prefix_` and 26 characters. entropy: 10 random octets, from the Entropy port."""
    assert len(entropy) == ID_ENTROPY_OCTETS, "an id wants 80 bits of entropy"
    number = int(at.timestamp() * 1000) << 80 | int.from_bytes(entropy, "big")
    return prefix + "_" + "".join(_ALPHABET[number >> shift & 31] for shift in range(125, -5, -5))


def is_id(prefix: str, text: str) -> bool:
    """True when the text has the form of such an id: what a person typed may go into a subject then."""
    found, _, rest = text.partition("_")
    return found == prefix and len(rest) == 26 and all(character in _ALPHABET for character in rest)


def new_mail_id(at: datetime, entropy: bytes) -> MailId:
    return MailId(new_id("mail", at, entropy))


def fnv1a_32(octets: bytes) -> int:
    """FNV-1a, 32 bits: the hash NATS itself partitions by, so a server could compute our slots."""
    value = 0x811C9DC5
    for octet in octets:
        value = (value ^ octet) * 0x01000193 & 0xFFFFFFFF
    return value


def slot_of(identifier: str) -> str:
    """The two digits that shard histories: `00` to `63` (architecture §4)."""
    return f"{fnv1a_32(identifier.encode()) % SLOTS:02d}"


def share_of(mail_id: str, shares: int) -> int:
    """Which of `shares` routers decides this mail."""
    return fnv1a_32(mail_id.encode()) % shares
