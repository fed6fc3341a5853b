"""The PROXY header: a proxy in front of us says for whom it has opened the connection.

The parser never asks for an octet that may belong to what follows the header, so that TLS or SMTP begins
exactly behind it. Version 1 is a line of text, version 2 is binary; extensions (TLVs) are passed over.

Source: HAProxy's proxy-protocol.txt §2.1 (version 1), §2.2 (version 2).
"""

import ipaddress
from dataclasses import dataclass
from typing import Final

SIGNATURE: Final = b"\r\n\r\n\0\r\nQUIT\n"  # §2.2
V1_PREFIX: Final = b"PROXY "
V1_OCTETS_MIN: Final = len(b"PROXY UNKNOWN\r\n")  # no line is shorter, no binary header either
V1_OCTETS_MAX: Final = 107  # §2.1: with its CRLF
V2_FIXED_OCTETS: Final = 16
# A header may say 65,535 octets. 536, the smallest MSS, hold addresses and names; a client certificate that
# the proxy passes on takes some kilobytes. Precedent: nginx NGX_PROXY_PROTOCOL_MAX_HEADER 4096.
HEADER_OCTETS_MAX: Final = 4096
V2_LOCAL: Final = 0x20
V2_PROXY: Final = 0x21
V2_UNSPEC: Final = 0x00
V2_IP_OCTETS: Final = {0x11: 4, 0x21: 16}  # TCP over IPv4 and IPv6: octets of one address


class ProxyError(Exception):
    """What came is no PROXY header. The peer is told nothing; the text is for our log."""


@dataclass(frozen=True, slots=True)
class Source:
    """The client, as its proxy names it."""

    ip: str
    port: int


@dataclass(frozen=True, slots=True)
class Header:
    """A whole header. source: None when the proxy speaks for itself or does not know."""

    source: Source | None


def parse_header(octets: bytes) -> Header | int:
    """What the first octets of a connection say; a number: so many more belong to the header at least.

    octets: no more than was asked for, b"" at first. Raises ProxyError as soon as it cannot be a header.
    """
    if octets.startswith(SIGNATURE[: len(octets)]):
        return _version_2(octets)
    if octets.startswith(V1_PREFIX[: len(octets)]):
        return _version_1(octets)
    raise ProxyError("it does not begin with a PROXY header")


# --- version 1 ------------------------------------------------------------------------------------


def _version_1(octets: bytes) -> Header | int:
    if len(octets) < V1_OCTETS_MIN:
        return V1_OCTETS_MIN - len(octets)
    if not octets.endswith(b"\r\n"):
        if len(octets) >= V1_OCTETS_MAX or b"\n" in octets:
            raise ProxyError("its PROXY line has no end")
        return 1 if octets.endswith(b"\r") or len(octets) == V1_OCTETS_MAX - 1 else 2
    match octets[:-2].split(b" "):
        case [_, b"UNKNOWN", *_]:
            return Header(None)
        case [_, b"TCP4" | b"TCP6" as family, source, destination, source_port, destination_port]:
            _address(family, destination)
            _port(destination_port)
            return Header(Source(_address(family, source), _port(source_port)))
        case _:
            raise ProxyError("its PROXY line names no TCP connection")


def _address(family: bytes, octets: bytes) -> str:
    read = ipaddress.IPv4Address if family == b"TCP4" else ipaddress.IPv6Address
    try:
        text = octets.decode("ascii")
        if "%" in text:
            raise ValueError(text)
        return str(read(text))
    except ValueError as error:
        raise ProxyError("its PROXY line has a wrong address") from error


def _port(octets: bytes) -> int:
    """No zero in front (§2.1)."""
    if not octets.isdigit() or len(octets) > 5 or str(int(octets)).encode() != octets or int(octets) > 65535:
        raise ProxyError("its PROXY line has a wrong port")
    return int(octets)


# --- version 2 ------------------------------------------------------------------------------------


def _version_2(octets: bytes) -> Header | int:
    if len(octets) < V1_OCTETS_MIN:  # the same for both: the first octets tell them apart
        return V1_OCTETS_MIN - len(octets)
    if len(octets) < V2_FIXED_OCTETS:
        return V2_FIXED_OCTETS - len(octets)
    command, family, rest = octets[12], octets[13], octets[V2_FIXED_OCTETS:]
    rest_octets = int.from_bytes(octets[14:16], "big")
    if command not in (V2_LOCAL, V2_PROXY):
        raise ProxyError("its PROXY header is of no version and command we know")
    if V2_FIXED_OCTETS + rest_octets > HEADER_OCTETS_MAX:
        raise ProxyError("its PROXY header is too long")
    if command == V2_PROXY and family not in (V2_UNSPEC, *V2_IP_OCTETS):
        raise ProxyError("its PROXY header names no TCP connection")
    ip_octets = V2_IP_OCTETS.get(family, 0) if command == V2_PROXY else 0
    if rest_octets < (2 * ip_octets + 4 if ip_octets else 0):
        raise ProxyError("its PROXY header is too short for its addresses")
    if len(rest) < rest_octets:
        return rest_octets - len(rest)
    if not ip_octets:
        return Header(None)
    ip = ipaddress.ip_address(rest[:ip_octets])
    return Header(Source(str(ip), int.from_bytes(rest[2 * ip_octets : 2 * ip_octets + 2], "big")))
