"""The header of a mail that a list passes on: what we add, what of other lists goes, and whose it was before.

Source: RFC 2919 (List-Id), RFC 2369 (List-Post; fields of another list are removed), RFC 9228 (Delivered-To,
by which a loop is seen), RFC 5321 §3.9.2 (return path), RFC 7293 §8.1 (what was asked of the list's owner).
"""

from collections.abc import Iterable
from urllib.parse import quote

from gateway.mail import headers
from gateway.mail.address import Address
from gateway.mail.presented import HIDDEN_RANGES_MAX

# What a list says of itself, and what a sender asks of its address alone; in lower case.
OF_A_LIST = frozenset(
    {
        "list-id", "list-post", "list-help", "list-owner", "list-archive",
        "list-subscribe", "list-unsubscribe", "list-unsubscribe-post", "precedence",
        "require-recipient-valid-since",
    }
)  # fmt: skip


def list_identifier(address: Address, spare_label: str) -> str:
    """What stands between < and > of List-Id. spare_label: for a name that is no dot-atom of ASCII."""
    plain = address.with_ascii_domain().normalise()
    local_part, _, _ = str(plain).rpartition("@")
    is_label = local_part.isascii() and not local_part.startswith('"')
    return f"{local_part if is_label else spare_label}.{plain.domain}"


def list_front(front: bytes, address: Address, identifier: str, return_path: Address) -> bytes:
    """The fields before a mail that is passed on. front: those before it as it came."""
    shown = address.with_ascii_domain()
    mailto = quote(shown.local_part, safe="!$*-._~") + "@" + shown.domain
    lines = [
        f"Return-Path: <{return_path}>",
        f"Delivered-To: {shown}",
        f"List-Id: <{identifier}>",
        f"List-Post: <mailto:{mailto}>",
        "Precedence: list",
    ]
    return "".join(f"{line}\r\n" for line in lines).encode() + _without(front, {"return-path", *OF_A_LIST})


def has_been_at(header: bytes, address: Address, identifier: str) -> bool:
    """True when this list passed the mail on before. header: as a reader gets it, from its first octet."""
    delivered = {str(address.with_ascii_domain()).casefold(), str(address).casefold()}
    for field in headers.fields(header):
        name, text = field.name.lower(), headers.to_text(field.value).strip().casefold()
        if name == "delivered-to" and text in delivered:
            return True
        if name == "list-id" and f"<{identifier.casefold()}>" in text:
            return True
    return False


def hidden_of_lists(header: bytes, hidden: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """What a reader does not get: as before, and what another list said of itself. header: as stored."""
    ranges = [(f.start, f.end) for f in headers.fields(header) if f.name.lower() in OF_A_LIST]
    merged = list[tuple[int, int]]()
    for start, end in sorted({*hidden, *ranges}):
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((start, end))
    return tuple(merged) if len(merged) <= HIDDEN_RANGES_MAX else tuple(hidden)


def _without(front: bytes, names: set[str]) -> bytes:
    cut = [(field.start, field.end) for field in headers.fields(front) if field.name.lower() in names]
    kept, at = b"", 0
    for start, end in cut:
        kept += front[at:start]
        at = end
    return kept + front[at:]
