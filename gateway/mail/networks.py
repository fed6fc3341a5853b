"""Where a host is. Addresses come as a socket names them: with a zone, or IPv4 inside IPv6."""

import ipaddress
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

# A connection asks several times where its client is, and clients come again. An entry has about 500 octets.
KNOWN_MAX: Final = 10_000

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@lru_cache(KNOWN_MAX)
def address_of(ip: str) -> IpAddress | None:
    """Without a zone; a mapped IPv4 is that IPv4. None: it is no address."""
    try:
        address = ipaddress.ip_address(ip.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


@lru_cache(KNOWN_MAX)
def network_of(ip: str) -> str:
    """What is counted as one: /24 of IPv4, /64 of IPv6 (one household or office); else the text itself."""
    address = address_of(ip)
    if address is None:
        return ip
    prefix = 24 if address.version == 4 else 64
    return str(ipaddress.ip_network(f"{address}/{prefix}", strict=False))


def is_within(ip: str, networks: Iterable[Network]) -> bool:
    """False for what is no IP address."""
    address = address_of(ip)
    return address is not None and any(address in network for network in networks)


def is_loopback(host: str) -> bool:
    """Whether it is this machine; of names that is localhost alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def may_be_this_machine(host: str) -> bool:
    """Whether a host as somebody wrote it leads here, or is an address in a form that does not say where.

    False for a name that has to be looked up; localhost has not (RFC 6761 §6.3).
    """
    name = host.strip("[]").rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    address = address_of(name)
    if address is not None:
        return address.is_loopback or address.is_unspecified
    # 127.1 and 0x7f000001 are addresses to whoever connects; no domain on top begins with a digit.
    return name.rpartition(".")[2][:1].isdigit()
