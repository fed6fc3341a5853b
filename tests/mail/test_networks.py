"""Hosts are found in networks however a socket names them."""

from ipaddress import ip_network

import pytest

from gateway.mail.networks import is_loopback, is_within, may_be_this_machine, network_of

NETWORKS = [ip_network("192.0.2.0/24"), ip_network("2001:db8::/32"), ip_network("fe80::/10")]


@pytest.mark.parametrize(
    ("ip", "is_one_of_theirs"),
    [
        ("192.0.2.9", True),
        ("192.0.3.9", False),
        ("::ffff:192.0.2.9", True),  # IPv4 on a socket for both
        ("2001:db8:1::1", True),
        ("2001:db9::1", False),
        ("fe80::1%eth0", True),  # a link-local address with its zone
        ("", False),
        ("somewhere", False),
    ],
)
def test_a_host_is_within_its_networks(ip: str, is_one_of_theirs: bool) -> None:
    assert is_within(ip, NETWORKS) is is_one_of_theirs
    assert not is_within(ip, [])


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_this_machine_is_a_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["192.0.2.1", "::", "localhost.example", "127.0.0.1.example", ""])
def test_another_host_is_none(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.1", "2130706433", "0x7f000001", "0.0.0.0", "::", "[::1]", "::ffff:127.0.0.1",
     "LocalHost.", "mx.localhost"],
)  # fmt: skip
def test_what_leads_here_is_known_however_it_is_written(host: str) -> None:
    assert may_be_this_machine(host)


@pytest.mark.parametrize("host", ["mx.example.org", "192.0.2.1", "2001:db8::1", "127.0.0.1.example", ""])
def test_what_leads_elsewhere_is_not_taken_for_it(host: str) -> None:
    assert not may_be_this_machine(host)


@pytest.mark.parametrize(
    ("ip", "network"),
    [
        ("192.0.2.77", "192.0.2.0/24"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.77", "192.0.2.0/24"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
    ],
)
def test_a_network_is_a_household_or_an_office(ip: str, network: str) -> None:
    assert network_of(ip) == network
