"""PROXY headers: what they say, octet by octet and at once, and never an octet asked for beyond them.

Source: HAProxy's proxy-protocol.txt §2.1, §2.2.
"""

import ipaddress
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.protocols.proxy import HEADER_OCTETS_MAX, SIGNATURE, Header, ProxyError, Source, parse_header

BEHIND = b"EHLO client.example\r\n"
HERE, SIX = Source("192.0.2.7", 56324), Source("2001:db8::7", 56324)
LONGEST = Source("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 65535)


def v2(command: int, family: int, rest: bytes) -> bytes:
    return SIGNATURE + struct.pack("!BBH", command, family, len(rest)) + rest


def ends(source: str, destination: str = "") -> bytes:
    """The addresses and ports of a header of version 2."""
    ip = ipaddress.ip_address(source)
    return ip.packed + ipaddress.ip_address(destination or source).packed + struct.pack("!HH", 56324, 25)


HEADERS = [
    (b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 25\r\n", HERE),
    (b"PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n", Source("0.0.0.0", 0)),
    (b"PROXY TCP6 2001:db8::7 2001:db8::1 56324 465\r\n", SIX),
    (b"PROXY TCP6 2001:DB8:0:0::7 ::1 56324 465\r\n", SIX),
    # §2.1: the longest TCP6 line there can be, and the longest of all, whose rest is passed over.
    (b"PROXY TCP6" + 2 * b" ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" + 2 * b" 65535" + b"\r\n", LONGEST),
    (b"PROXY UNKNOWN" + 2 * b" ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" + 2 * b" 65535" + b"\r\n", None),
    (b"PROXY UNKNOWN\r\n", None),
    (b"PROXY UNKNOWN a\rb\r\r\n", None),
    (v2(0x21, 0x11, ends("192.0.2.7", "198.51.100.1")), HERE),
    (v2(0x21, 0x21, ends("2001:db8::7", "2001:db8::1")), SIX),
    # TLVs: PP2_TYPE_NOOP, and as many as a header may have.
    (v2(0x21, 0x11, ends("192.0.2.7") + b"\x04\x00\x03abc"), HERE),
    (v2(0x21, 0x11, ends("192.0.2.7") + bytes(HEADER_OCTETS_MAX - 28)), HERE),
    # LOCAL: whatever it says beside is not looked at; UNSPEC: nobody knows.
    (v2(0x20, 0x00, b""), None),
    (v2(0x20, 0x11, ends("192.0.2.7")), None),
    (v2(0x20, 0xFF, b"\x01"), None),
    (v2(0x21, 0x00, b""), None),
    (v2(0x21, 0x00, b"\x04\x00\x03abc"), None),
]
NO_HEADERS = [
    BEHIND,
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03abcdef",  # a ClientHello
    b"proxy TCP4 192.0.2.7 198.51.100.1 56324 25\r\n",
    b"PROXY\r\n" + BEHIND,
    b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 25\n" + BEHIND,
    b"PROXY TCP4  192.0.2.7 198.51.100.1 56324 25\r\n",
    b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 25 \r\n",
    b"PROXY TCP4 192.0.2.7 198.51.100.1 56324\r\n",
    b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 65536\r\n",
    b"PROXY TCP4 192.0.2.7 198.51.100.1 056324 25\r\n",
    b"PROXY TCP4 192.0.2.7 198.51.100.1 -1 25\r\n",
    b"PROXY TCP4 192.0.2.256 198.51.100.1 56324 25\r\n",
    b"PROXY TCP4 192.0.2.07 198.51.100.1 56324 25\r\n",
    b"PROXY TCP4 192.0.2.7 client.example 56324 25\r\n",
    b"PROXY TCP4 \xe0\xb8\x81 198.51.100.1 56324 25\r\n",
    b"PROXY TCP4 2001:db8::7 2001:db8::1 56324 25\r\n",
    b"PROXY TCP6 192.0.2.7 198.51.100.1 56324 25\r\n",
    b"PROXY TCP6 fe80::7%eth0 2001:db8::1 56324 25\r\n",
    b"PROXY UDP4 192.0.2.7 198.51.100.1 56324 25\r\n",
    b"PROXY UNKNOWN " + b"x" * 200,
    SIGNATURE + b"\x31\x11\x00\x0c" + ends("192.0.2.7"),  # version 3
    v2(0x22, 0x11, ends("192.0.2.7")),
    v2(0x21, 0x12, ends("192.0.2.7")),  # over UDP
    v2(0x21, 0x31, bytes(216)),  # a socket of the file system
    v2(0x21, 0x11, ends("192.0.2.7")[:-1]),
    v2(0x21, 0x21, ends("192.0.2.7")),
    v2(0x21, 0x11, bytes(HEADER_OCTETS_MAX - 15)),
]


def parse(octets: bytes, pieces: list[int]) -> tuple[Header | None, int]:
    """The header as a listener reads it, in pieces no larger than these, and how much was read.

    None: it wants more than there is.
    """
    read, sizes = 0, iter(pieces)
    while isinstance(found := parse_header(octets[:read]), int):
        if read == len(octets):
            return None, read
        read += min(found, next(sizes, found), len(octets) - read)
    return found, read


@pytest.mark.parametrize(("octets", "source"), HEADERS)
def test_a_header_names_the_client_and_ends_before_what_follows(octets: bytes, source: Source | None) -> None:
    for pieces in ([], [1] * len(octets)):
        assert parse(octets + BEHIND, pieces) == (Header(source), len(octets))
        assert parse(octets[:-1], pieces)[0] is None


@pytest.mark.parametrize("octets", NO_HEADERS)
def test_what_is_no_header_is_refused(octets: bytes) -> None:
    for pieces in ([], [1] * len(octets)):
        with pytest.raises(ProxyError):
            parse(octets, pieces)


BEGINNINGS = st.sampled_from([SIGNATURE, b"PROXY TCP4 ", b"PROXY TCP6 ", b"PROXY UNKNOWN", b""])
ALMOST = st.one_of(
    st.builds(lambda header, rest: header[0] + rest, st.sampled_from(HEADERS), st.binary(max_size=40)),
    st.builds(lambda beginning, rest: beginning + rest, BEGINNINGS, st.binary(max_size=150)),
    st.builds(
        lambda header, at, octet: header[: at % len(header)] + octet + header[at % len(header) + 1 :],
        st.sampled_from([header for header, _ in HEADERS]),
        st.integers(0, 5000),
        st.binary(min_size=1, max_size=1),
    ),
)


@given(ALMOST, st.lists(st.integers(1, 30), max_size=200))
def test_any_split_of_the_octets_says_the_same(octets: bytes, pieces: list[int]) -> None:
    def outcome(pieces: list[int]) -> object:
        try:
            return parse(octets, pieces)
        except ProxyError:
            return ProxyError

    assert outcome(pieces) == outcome([])
