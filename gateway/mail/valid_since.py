"""Since when a recipient must have been the same person: what senders ask, and the answer.

Source: RFC 7293 §3 (RCPT parameter RRVS, header field Require-Recipient-Valid-Since), §5 (who checks what,
role accounts), §6 (hosts without RRVS), §9 (an owner's time may be unknown), §15.3 (status codes); RFC 2142
(role accounts), RFC 3339 §5.6 (date-time).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from gateway.mail import headers
from gateway.mail.address import Address, parse_address
from gateway.mail.date_time import date_time, parse_date_time
from gateway.mail.reply import Reply, reply

FIELD: Final = "require-recipient-valid-since"
FIELDS_MAX: Final = 100  # of a header; more are not read

OWNER_CHANGED: Final = reply(550, "5.7.17", "The mailbox has another owner since that date")
# RFC 7293 §9, §15.3: nobody noted whose it was then, and the sender did not say to go on (";C").
NOT_ON_RECORD: Final = reply(550, "5.7.19", "Whose mailbox it was on that date is not on record")
# RFC 7293 §6: the same of a host that does not offer RRVS and cannot be asked.
CANNOT_BE_ASKED: Final = reply(550, "5.7.19", "The host cannot tell since when the mailbox has its owner")

# RFC 7293 §5.1 exempts the mailboxes of RFC 2142: they are an office's, whoever holds it.
ROLES: Final = frozenset(
    [
        "info",
        "marketing",
        "sales",
        "support",
        "abuse",
        "noc",
        "security",
        "postmaster",
        "hostmaster",
        "usenet",
        "news",
        "webmaster",
        "www",
        "uucp",
        "ftp",
    ]
)


@dataclass(frozen=True, slots=True)
class ValidSince:
    """at: aware, UTC, whole seconds. goes_on: the mail may pass where nobody can tell (";C")."""

    at: datetime
    goes_on: bool = False

    def __str__(self) -> str:
        return date_time(self.at) + (";C" if self.goes_on else "")


@dataclass(frozen=True, slots=True)
class Owner:
    """What is on record of whose an address is. is_first: of nobody before.

    since: of the account that has it; None: no account has it for its own, as what a catch-all takes.
    """

    since: datetime | None
    is_first: bool = False


NOBODYS: Final = Owner(None)


def parse_valid_since(text: str) -> ValidSince:
    """The value of RRVS, and what `str` gives. Raises ValueError. Without an action it is R, for reject."""
    written, semicolon, action = text.partition(";")
    if semicolon and action.upper() not in ("C", "R"):
        raise ValueError("RRVS is a date-time, and perhaps ;C or ;R")
    return ValidSince(parse_date_time(written), action.upper() == "C")


def fields_of(header: bytes) -> Mapping[Address, ValidSince]:
    """What a message's header fields ask, by normalised address; a field that cannot be read asks nothing.

    A field goes along with its message whatever a host offers, so nobody is asked to reject for it.
    """
    asked = dict[Address, ValidSince]()
    found = [field for field in headers.fields(header) if field.name.lower() == FIELD]
    for field in found[:FIELDS_MAX]:
        written, semicolon, date = field.text.rpartition(";")
        try:
            address = parse_address(written.strip()).normalise()
            at = parsedate_to_datetime(date.strip()) if semicolon else None
        except (ValueError, TypeError, IndexError, OverflowError):
            continue
        if at is not None:
            aware = at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
            asked.setdefault(address, ValidSince(aware.replace(microsecond=0), goes_on=True))
    return asked


def asked_of(recipients: Sequence[Address], said: Sequence[str], header: bytes) -> tuple[str, ...]:
    """What is asked of each recipient: by its RCPT, else by the message; () when nothing is asked of anybody.

    said: of the envelope, side by side with recipients, or ().
    """
    of_header = fields_of(header)
    asked = list(said) or [""] * len(recipients)
    if of_header:
        for place, address in enumerate(recipients):
            if not asked[place] and (found := of_header.get(address.normalise())):
                asked[place] = str(found)
    return tuple(asked) if any(asked) else ()


def refusal(address: Address, asked: str, owner: Owner | None) -> Reply | None:
    """Why the mail is not for whoever has the address now; None: it is, or nothing was asked.

    owner: None when it is not for us to say, but for the next hop.
    """
    if not asked or owner is None or is_role(address):
        return None
    wanted = parse_valid_since(asked)
    if owner.since is not None and owner.since <= wanted.at:
        return None
    if owner.since is not None and not owner.is_first:
        return OWNER_CHANGED
    return None if wanted.goes_on else NOT_ON_RECORD


def is_role(address: Address) -> bool:
    return address.normalise().local_part in ROLES
