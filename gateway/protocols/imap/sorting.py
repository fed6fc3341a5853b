"""SORT: the order of messages, from their rows and envelopes.

Source: RFC 5256 §2.2 (sent date) and §3; RFC 5957 §3 (DISPLAYFROM, DISPLAYTO); RFC 5051 (comparison).
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from gateway.mail.addresslist import HeaderAddress
from gateway.mail.collation import folded
from gateway.mail.sent import sent_at
from gateway.mail.subject import base_subject
from gateway.mail.summary import Envelope
from gateway.protocols.imap.commands import SortCriterion
from gateway.protocols.imap.fetching import Row

_NONE: Final = Envelope()


class Sortable(NamedTuple):
    """envelope: None is enough where `needs_envelope` says so."""

    row: Row
    envelope: Envelope | None = None


def needs_envelope(criteria: Sequence[SortCriterion]) -> bool:
    return any(one.key not in ("ARRIVAL", "SIZE") for one in criteria)


def in_order(messages: Sequence[Sortable], criteria: Sequence[SortCriterion]) -> list[int]:
    """Their UIDs in that order; those that are equal stay in the order in which they are given, that of their
    numbers (RFC 5256 §3)."""
    ordered = list(messages)
    for criterion in reversed(criteria):  # each sort keeps what the one before has done
        ordered.sort(key=_KEYS[criterion.key], reverse=criterion.is_reverse)
    return [one.row.uid for one in ordered]


def sent_or_arrived(row: Row, envelope: Envelope | None) -> datetime:
    """RFC 5256 §2.2: the sent date, or the internal date when there is none."""
    return sent_at((envelope or _NONE).date) or row.internal_date


def _first_mailbox(addresses: tuple[HeaderAddress, ...]) -> str:
    """RFC 5256 §3: the mailbox of the first address, without its host; a group's name counts as one."""
    return folded(addresses[0].mailbox or "") if addresses else ""


def _first_display(addresses: tuple[HeaderAddress, ...]) -> str:
    """RFC 5957 §3: the name of the first address, or the address."""
    if not addresses:
        return ""
    first = addresses[0]
    if first.name or first.host is None:
        return folded(first.name or first.mailbox or "")
    return folded(f"{first.mailbox or ''}@{first.host}")


_KEYS: Final[dict[str, Callable[[Sortable], datetime | int | str]]] = {
    "ARRIVAL": lambda one: one.row.internal_date,
    "CC": lambda one: _first_mailbox((one.envelope or _NONE).cc),
    "DATE": lambda one: sent_or_arrived(*one),
    "DISPLAYFROM": lambda one: _first_display((one.envelope or _NONE).from_),
    "DISPLAYTO": lambda one: _first_display((one.envelope or _NONE).to),
    "FROM": lambda one: _first_mailbox((one.envelope or _NONE).from_),
    "SIZE": lambda one: one.row.octets,
    "SUBJECT": lambda one: folded(base_subject((one.envelope or _NONE).subject or "").text),
    "TO": lambda one: _first_mailbox((one.envelope or _NONE).to),
}
