"""A DNS server on loopback, UDP and TCP, with a zone of the test's and faults on demand."""

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import cast

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import dns.zone

SOA = ". 60 IN SOA ns.example. hostmaster.example. 1 60 60 60 60\n"
PORT_TRIES = 20  # a port that is free for UDP may not be for TCP


@dataclass
class DnsServer:
    """zone: a master file of full names (RFC 1035 §5). In the sets: small letters, without the last dot."""

    zone: str = ""
    is_authenticating: bool = False  # sets AD in what it answers to who asks for it
    failing: set[str] = field(default_factory=set)  # SERVFAIL
    refusing: set[str] = field(default_factory=set)  # REFUSED
    silent: set[str] = field(default_factory=set)
    truncating: bool = False  # everything over UDP
    asked: list[tuple[str, str, str]] = field(default_factory=list)  # name, type, "udp" or "tcp"
    address: tuple[str, int] = ("", 0)

    def answer(self, octets: bytes, way: str) -> bytes | None:
        query = dns.message.from_wire(octets)
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True).lower()
        self.asked.append((name, dns.rdatatype.to_text(question.rdtype), way))
        if name in self.silent:
            return None
        response = dns.message.make_response(query, recursion_available=True)
        if self.is_authenticating and query.flags & dns.flags.AD:
            response.flags |= dns.flags.AD
        if name in self.failing:
            response.set_rcode(dns.rcode.SERVFAIL)
        elif name in self.refusing:
            response.set_rcode(dns.rcode.REFUSED)
        elif self.truncating and way == "udp":
            response.flags |= dns.flags.TC
        else:
            self._fill(response, question.name, question.rdtype)
        return response.to_wire()

    def _fill(
        self, response: dns.message.Message, name: dns.name.Name, kind: dns.rdatatype.RdataType
    ) -> None:
        zone = dns.zone.from_text(SOA + self.zone, origin=".", relativize=False, check_origin=False)
        while (alias := zone.get_rrset(name, dns.rdatatype.CNAME)) is not None:
            response.answer.append(alias)
            name = alias[0].target
        if (found := zone.get_rrset(name, kind)) is not None:
            response.answer.append(found)
        else:
            authority = zone.get_rrset(dns.name.root, dns.rdatatype.SOA)
            assert authority is not None
            response.authority.append(authority)
            if not any(other.is_subdomain(name) for other in zone):
                response.set_rcode(dns.rcode.NXDOMAIN)


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, server: DnsServer) -> None:
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        octets = self._server.answer(data, "udp")
        if octets is not None:
            self._transport.sendto(octets, addr)


@asynccontextmanager
async def dns_server(zone: str = "") -> AsyncIterator[DnsServer]:
    """Serves until the block ends. Its `address` is what SARABAN_DNS_SERVERS names."""
    server = DnsServer(zone)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                (octets,) = struct.unpack("!H", await reader.readexactly(2))
                answer = server.answer(await reader.readexactly(octets), "tcp")
                if answer is not None:
                    writer.write(struct.pack("!H", len(answer)) + answer)
        writer.close()

    loop = asyncio.get_running_loop()
    for _ in range(PORT_TRIES):
        udp, _ = await loop.create_datagram_endpoint(lambda: _Udp(server), ("127.0.0.1", 0))
        server.address = udp.get_extra_info("sockname")[:2]
        try:
            tcp = await asyncio.start_server(serve, *server.address)
            break
        except OSError:
            udp.close()
    try:
        yield server
    finally:
        udp.close()
        tcp.close()
