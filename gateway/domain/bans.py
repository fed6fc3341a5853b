"""Bans: a network is not spoken with, or an account is not let in, until a time or until somebody lifts it.

Networks are banned for guessing, or by an operator; accounts by an operator alone, because strangers could
otherwise shut people out. Which network it is, and what an operator wrote, is sealed under the key of the
traffic log, of the agency and month (of no agency for a network), and goes with it.

Source: architecture §4 (Subjects: `ev.access`; Sealed).
"""

import ipaddress
from datetime import timedelta
from typing import ClassVar, Final, Literal

from msgspec import Struct

from gateway.domain.events import Event, Instant
from gateway.mail.ids import AccountId

# The traffic log's key of a month is kept for 90 days at least: no ban outlives what it is sealed with.
LONGEST_BAN: Final = timedelta(days=90)
# The widest network one ban may be of: a slip of the finger does not shut out the world.
WIDEST: Final = {4: 8, 6: 16}

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Banned = Literal["network", "account"]
Cause = Literal["sign-ins", "operator"]  # a network was guessing, or an operator says so


class BanSecret(Struct, frozen=True, omit_defaults=True):
    """network: in CIDR; "" of an account. why: an operator's words."""

    network: str = ""
    why: str = ""


class BanImposed(Event, frozen=True, kw_only=True):
    """`ev.access.none` of a network, `ev.access.<agency_id>` of an account."""

    TOPIC: ClassVar[str] = "ban.imposed/1"

    ban_id: str  # "ban_…"
    what: Banned
    until: Instant
    reason: Cause
    account_id: AccountId | None = None  # None: of a network
    sealed: bytes  # BanSecret
    sealed_key: str  # "traffic.ag_….202611"


class LiftSecret(Struct, frozen=True):
    why: str


class BanLifted(Event, frozen=True, kw_only=True):
    """Before its time, in the history of its ban; the actor did."""

    TOPIC: ClassVar[str] = "ban.lifted/1"

    ban_id: str
    sealed: bytes  # LiftSecret
    sealed_key: str


def ban_label(ban_id: str) -> str:
    """The label under which a BanSecret is sealed."""
    return f"ban:{ban_id}"


def lift_label(ban_id: str) -> str:
    """The label under which a LiftSecret is sealed."""
    return f"lift:{ban_id}"


def ban_for(former: int, first: timedelta, longest: timedelta) -> timedelta:
    """How long a network is banned that was banned so many times before: it doubles."""
    return min(first * (1 << min(former, 20)), longest)


def network_to_ban(text: str) -> Network:
    """A network, or one address, as an operator writes it. Raises ValueError, whose text says why not."""
    try:
        network = ipaddress.ip_network(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is no network such as 192.0.2.0/24 ({error})") from None
    mapped = network.network_address.ipv4_mapped if network.version == 6 else None
    if mapped is not None and network.prefixlen >= 96:
        network = ipaddress.ip_network(f"{mapped}/{network.prefixlen - 96}")
    if network.prefixlen < WIDEST[network.version]:
        raise ValueError(f"{text} is too wide: /{WIDEST[network.version]} at most")
    return network
