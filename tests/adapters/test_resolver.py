"""The DNS over real sockets: what is there, what is not, and what nobody can say."""

from collections.abc import AsyncIterator

import pytest

from gateway.adapters.resolver import DnsResolver
from gateway.domain.dns import Answer, Mx, Tlsa
from gateway.ports import Unavailable
from tests.dns_server import DnsServer, dns_server

ZONE = (
    """
example.org.                 300 IN MX 10 MX1.example.org.
example.org.                 300 IN MX 20 mx2.example.org.
null.example.org.            300 IN MX 0 .
mx1.example.org.             300 IN A 192.0.2.1
mx1.example.org.             300 IN AAAA 2001:db8::1
_mta-sts.example.org.        300 IN TXT "v=STSv1; " "id=1;"
_25._tcp.mx1.example.org.    300 IN TLSA 3 1 1 """
    + "0102ff"
    + "00" * 29
    + """
alias.example.org.           300 IN CNAME mx1.example.org.
brief.example.org.             0 IN A 192.0.2.9
"""
)


@pytest.fixture
async def server() -> AsyncIterator[DnsServer]:
    async with dns_server(ZONE) as server:
        yield server


@pytest.fixture
def resolver(server: DnsServer) -> DnsResolver:
    return DnsResolver([server.address], try_s=0.2, lifetime_s=0.4)


async def test_all_types_are_read(resolver: DnsResolver) -> None:
    mx = await resolver.mx("example.org")
    assert (mx.name, set(mx.records)) == (
        "example.org",
        {Mx(10, "mx1.example.org"), Mx(20, "mx2.example.org")},
    )
    assert (await resolver.mx("null.example.org")).records == (Mx(0, "."),)
    assert (await resolver.a("mx1.example.org")).records == ("192.0.2.1",)
    assert (await resolver.aaaa("mx1.example.org")).records == ("2001:db8::1",)
    assert (await resolver.txt("_mta-sts.example.org")).records == (b"v=STSv1; id=1;",)
    assert (await resolver.tlsa("_25._tcp.mx1.example.org")).records == (
        Tlsa(3, 1, 1, bytes.fromhex("0102ff") + bytes(29)),
    )


async def test_an_alias_says_where_it_leads(resolver: DnsResolver) -> None:
    assert await resolver.a("alias.example.org") == Answer("mx1.example.org", ("192.0.2.1",))


async def test_nothing_of_a_type_is_not_nothing_at_all(resolver: DnsResolver) -> None:
    assert await resolver.mx("mx1.example.org") == Answer("mx1.example.org", ())
    assert await resolver.mx("nobody.example.org") == Answer("nobody.example.org", (), exists=False)


@pytest.mark.parametrize("name", ["a..example.org", "a" * 64 + ".example.org", "ด.example.org"])
async def test_what_no_dns_can_hold_does_not_exist(resolver: DnsResolver, name: str) -> None:
    answer = await resolver.a(name)
    assert answer.records == ()


@pytest.mark.parametrize("fault", ["failing", "refusing", "silent"])
async def test_nobody_can_say_is_no_answer(server: DnsServer, resolver: DnsResolver, fault: str) -> None:
    getattr(server, fault).add("example.org")
    with pytest.raises(Unavailable, match=r"MX of example\.org"):
        await resolver.mx("example.org")
    getattr(server, fault).clear()  # and nobody remembers it
    assert len((await resolver.mx("example.org")).records) == 2


async def test_what_dnssec_vouches_for_is_told_also_of_nothing(
    server: DnsServer, resolver: DnsResolver
) -> None:
    assert not (await resolver.a("mx1.example.org")).is_authenticated
    server.is_authenticating = True
    assert (await resolver.mx("example.org")).is_authenticated
    assert (await resolver.tlsa("_25._tcp.mx2.example.org")).is_authenticated
    assert (await resolver.tlsa("mx1.example.org")).is_authenticated


async def test_a_cut_answer_comes_by_tcp(server: DnsServer, resolver: DnsResolver) -> None:
    server.truncating = True
    assert len((await resolver.mx("example.org")).records) == 2
    assert [way for _, _, way in server.asked] == ["udp", "tcp"]


async def test_answers_are_kept_for_their_time_and_nothing_as_well(
    server: DnsServer, resolver: DnsResolver
) -> None:
    for _ in range(3):
        await resolver.mx("example.org")
        await resolver.mx("mx1.example.org")
        await resolver.mx("nobody.example.org")
    assert len(server.asked) == 3
    for _ in range(3):
        await resolver.a("brief.example.org")
    assert len(server.asked) == 6


async def test_the_next_server_is_asked_when_one_is_silent(server: DnsServer) -> None:
    async with dns_server() as dead:
        dead.silent.add("example.org")
        resolver = DnsResolver([dead.address, server.address], try_s=0.2, lifetime_s=5)
        assert len((await resolver.mx("example.org")).records) == 2
        assert dead.asked
