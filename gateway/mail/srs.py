"""Return paths of mails that are passed on: the sender inside an address of ours, so that reports come back.

    ann@example.org          passed on by opm.go.th    SRS0=HHHHHHHH=TT=example.org=ann@opm.go.th
    SRS0=x=TT=a.example=ann@b.example  likewise        SRS1=HHHHHHHH=b.example==x=TT=a.example=ann@opm.go.th

H is a MAC of all the rest, so that nobody writes to strangers through us; T is the day, so that what somebody
has seen does not serve for ever. Only who wrote such an address reads more than its beginning, so the length
of the MAC and its alphabet are ours to choose: 40 bits in base32, which survives hosts that change case.

Source: Shevek, "The Sender Rewriting Scheme" (SRS0 and SRS1, "Guarded"), as libsrs2 has it; RFC 5321
§4.5.3.1.1 (a local part has 64 octets at most).
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Sequence
from datetime import date
from typing import Final

from gateway.mail.address import (
    LOCAL_PART_OCTETS_MAX,
    PATH_OCTETS_MAX,
    Address,
    normalise_domain,
    parse_address,
)

AGE_DAYS_MAX: Final = 21  # as in libsrs2; a host tries for five days, and a person may be away for a week
_DIGITS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_HASH_CHARACTERS: Final = 8
_TOMORROW: Final = 1023  # to a host of ours whose clock has not reached midnight yet
_EPOCH: Final = date(1970, 1, 1)
# The first separator may be any of the three; what others wrote is kept as it is.
_SRS0 = re.compile(
    r"SRS0[-+=](?P<hash>[^=]+)=(?P<stamp>[^=]+)=(?P<domain>[^=]+)=(?P<local>.+)", re.IGNORECASE
)
_SRS1 = re.compile(r"SRS1[-+=](?P<hash>[^=]+)=(?P<domain>[^=]+)=(?P<rest>[-+=].+)", re.IGNORECASE)
_OPAQUE0 = re.compile(r"SRS0(?P<rest>[-+=].+)", re.IGNORECASE)


class NotOurs(ValueError):
    """The address was not written here, or was changed since: its MAC is wrong."""


class Expired(ValueError):
    """The address was written here, more than AGE_DAYS_MAX ago."""


def is_rewritten(address: Address) -> bool:
    """Whether it has the form of such an address, whoever wrote it."""
    return address.local_part[:4].upper() in ("SRS0", "SRS1") and address.local_part[4:5] in ("-", "+", "=")


def rewrite(sender: Address, domain: str, *, secret: bytes, today: date) -> Address | None:
    """The return path of a mail from `sender` that is passed on in the name of `domain`.

    None: it has no room in a local part, or what would have to be quoted or in UTF-8 there.
    """
    ours = normalise_domain(domain)
    sender = sender.with_ascii_domain()
    if again := _SRS1.fullmatch(sender.local_part):
        parts = ["SRS1", again["domain"], again["rest"]]
    elif first := _OPAQUE0.fullmatch(sender.local_part):
        parts = ["SRS1", sender.domain, first["rest"]]
    else:
        parts = ["SRS0", stamp_of(today), sender.domain, sender.local_part]
    mac = _mac(secret, ours, parts)
    address = Address("=".join([parts[0], mac, *parts[1:]]), ours)
    return address if _is_plain(address) else None


def reverse(address: Address, *, secrets: Sequence[bytes], today: date) -> Address:
    """Whose mail it was: the sender, or of SRS1 the address that the first host wrote.

    secrets: all that may have been written with. Raises NotOurs, Expired; ValueError for neither form.
    """
    ours, local_part = normalise_domain(address.domain), address.local_part
    if found := _SRS1.fullmatch(local_part):
        _check(found["hash"], secrets, ours, ["SRS1", found["domain"], found["rest"]])
        return parse_address(f"SRS0{found['rest']}@{found['domain']}")
    if found := _SRS0.fullmatch(local_part):
        stamp = found["stamp"]
        _check(found["hash"], secrets, ours, ["SRS0", stamp, found["domain"], found["local"]])
        if _age_days(stamp, today) not in (*range(AGE_DAYS_MAX + 1), _TOMORROW):
            raise Expired("the return path has expired")
        return parse_address(f"{found['local']}@{found['domain']}")
    raise ValueError("the address is no rewritten return path")


def stamp_of(day: date) -> str:
    """The day, counted to 1,024 and over again, in base32."""
    number = (day - _EPOCH).days % 1024
    return _DIGITS[number // 32] + _DIGITS[number % 32]


def _age_days(stamp: str, today: date) -> int:
    """0..1023: a day that is to come is one that is long past."""
    number = 0
    for digit in stamp.upper():
        number = number * 32 + _DIGITS.index(digit)
    return ((today - _EPOCH).days - number) % 1024


def _check(mac: str, secrets: Sequence[bytes], ours: str, parts: Sequence[str]) -> None:
    given = mac.upper().encode()
    if not any(hmac.compare_digest(given, _mac(secret, ours, parts).encode()) for secret in secrets):
        raise NotOurs("the return path was not written here")


def _mac(secret: bytes, ours: str, parts: Sequence[str]) -> str:
    """Of all the rest and of our domain, in any case: hosts on the way may change it."""
    text = "\0".join([ours, *parts]).lower()
    digest = hmac.digest(secret, text.encode(), hashlib.sha256)
    return base64.b32encode(digest)[:_HASH_CHARACTERS].decode()


def _is_plain(address: Address) -> bool:
    text = str(address)
    return (
        text.isascii()
        and not text.startswith('"')
        and len(address.local_part) <= LOCAL_PART_OCTETS_MAX
        and len(text) + 2 <= PATH_OCTETS_MAX
    )
