"""The header of a mail that an account forwards: what we put before it, and whether it was there before.

Only fields before the message are added, so whatever somebody signed stays as it is.

Source: RFC 9228 (Delivered-To, by which a loop is seen), RFC 5321 §4.4 (Return-Path), §6.3 (hops).
"""

from typing import Final

from gateway.mail import headers
from gateway.mail.address import Address
from gateway.mail.hops import HOPS_MAX

# How often a mail goes on inside this gateway: with five targets each, a few more make thousands of one.
CHAIN_MAX: Final = 4


def mark_of(address: Address, spare: str) -> Address:
    """What Delivered-To says of an account, in ASCII: the next host may take nothing else.

    spare: in the place of a local part that is not.
    """
    ascii_domain = address.with_ascii_domain()
    return ascii_domain if ascii_domain.is_ascii else Address(spare, ascii_domain.domain)


def forwarded_front(front: bytes, mark: Address, return_path: Address | None) -> bytes:
    """The fields before a forwarded mail. front: those before it as it came; mark: of `mark_of`."""
    first, line_break, rest = front.partition(b"\r\n")
    kept = rest if line_break and first.lower().startswith(b"return-path:") else front
    path = "" if return_path is None else str(return_path)
    return f"Return-Path: <{path}>\r\nDelivered-To: {mark}\r\n".encode() + kept


def is_going_round(front: bytes, header: bytes, mark: Address) -> bool:
    """True when this account forwarded the mail before, or it has come a way that no mail has.

    front: the fields before it, which nobody but us has written; header: as it was stored.
    """
    ours, hops = str(mark).casefold(), 0
    if sum(field.name.lower() == "delivered-to" for field in headers.fields(front)) >= CHAIN_MAX:
        return True
    for field in headers.fields(front + header):
        name = field.name.lower()
        if name == "delivered-to" and headers.to_text(field.value).strip().casefold() == ours:
            return True
        hops += name in ("received", "delivered-to")
    return hops > HOPS_MAX
