"""Where a host is. Addresses come as a socket names them: with a zone, or IPv4 inside IPv6."""

import ipaddress
from collections.abc import Iterable

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def address_of(ip: str) -> IpAddress | None:
    """Without a zone; a mapped IPv4 is that IPv4. None: it is no address."""
    try:
        address = ipaddress.ip_address(ip.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


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
