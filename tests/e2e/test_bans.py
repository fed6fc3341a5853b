"""An operator shuts a network and an account out, sees them, lets them in again, through the whole gateway.

Clients of the banned network come from 127.0.0.2: everybody else of this machine is never banned.
"""

import smtplib
import socket
import ssl
from contextlib import closing
from datetime import timedelta
from ipaddress import ip_network
from typing import Any

import pytest

from tests.cli.nft import read
from tests.e2e.gateway import NOTHING_FOUND, CommandFailed, Gateway
from tests.e2e.load import host_and_port

PORTS = ("smtp", "submission", "submissions")
BANNED_IP, FREE_IP = "127.0.0.2", "127.0.0.1"
SENT_AWAY = b"421 4.7.0 Your network is banned for some time, try again later\r\n"


def greeting(gateway: Gateway, service: str, ip: str) -> bytes:
    """The first octets an edge says to a client from there; inside TLS on the port for it."""
    with socket.create_connection(
        host_and_port(gateway.address(service)), timeout=10, source_address=(ip, 0)
    ) as client:
        if service != "submissions":
            return client.recv(1_000)
        trust = ssl.create_default_context(cafile=gateway.ready["ca_file"])
        trust.check_hostname = False
        try:
            with trust.wrap_socket(client) as inside:
                return inside.recv(1_000)
        except OSError:
            return b""


def greetings(gateway: Gateway, ip: str) -> list[bytes]:
    return [greeting(gateway, service, ip)[:4] for service in PORTS]


def listed(gateway: Gateway, *options: str) -> list[dict[str, Any]]:
    return gateway.found("ban", "list", *options)


def impose(gateway: Gateway, *whom: str, reason: str = "เดารหัสผ่าน", length: str = "1h") -> str:
    """A ban that the rows know."""
    ban_id = str(gateway.cli("ban", "add", *whom, "--for", length, "--reason", reason)["ban_id"])
    gateway.wait(lambda: ban_id in [ban["ban_id"] for ban in listed(gateway)], "the rows know the ban")
    return ban_id


def lift(gateway: Gateway, ban_id: str) -> None:
    gateway.cli("ban", "lift", ban_id, "--reason", "เข้าใจผิด", "--yes")
    gateway.wait(lambda: ban_id not in [ban["ban_id"] for ban in listed(gateway)], "it is lifted")


def test_a_banned_network_is_refused_on_every_port_until_it_is_lifted(gateway: Gateway) -> None:
    assert greetings(gateway, BANNED_IP) == [b"220 "] * 3
    ban_id = impose(gateway, "--network", BANNED_IP)
    gateway.wait(lambda: greetings(gateway, BANNED_IP) == [b"421 ", b"421 ", b""], "the edge knows")
    assert greeting(gateway, "smtp", BANNED_IP) == SENT_AWAY
    assert greetings(gateway, FREE_IP) == [b"220 "] * 3

    (ban,) = listed(gateway)
    assert (ban["whom"], ban["reason"], ban["why"]) == ("127.0.0.2/32", "operator", "เดารหัสผ่าน")
    assert ban["imposed_by"].startswith("operator ")
    shown = gateway.cli_octets("ban", "list").decode()
    assert "เดารหัสผ่าน" in shown
    assert ban_id in shown
    rules = read(gateway.cli_octets("ban", "export", "--nftables").decode())
    ((network, left),) = rules.sets["banned4"].elements.items()
    assert network == ip_network("127.0.0.2/32")
    assert timedelta(minutes=50) < left <= timedelta(hours=1)
    assert {host_and_port(gateway.address(service))[1] for service in PORTS} <= set(rules.drops["banned4"])
    assert gateway.cli("ban", "export") == [{"network": "127.0.0.2/32", "until": ban["until"]}]

    lift(gateway, ban_id)
    gateway.wait(lambda: greetings(gateway, BANNED_IP) == [b"220 "] * 3, "it is let in again")
    with pytest.raises(CommandFailed, match="has been lifted already"):
        gateway.cli("ban", "lift", ban_id, "--reason", "again", "--yes")
    told = next(one for one in listed(gateway, "--all") if one["ban_id"] == ban_id)
    assert (told["state"], told["lift_reason"]) == ("lifted", "เข้าใจผิด")
    assert read(gateway.cli_octets("ban", "export", "--nftables").decode()).sets["banned4"].elements == {}
    with pytest.raises(CommandFailed) as nobody:
        gateway.cli("ban", "list")
    assert nobody.value.code == NOTHING_FOUND
    imposed = next(told for told in gateway.events("ban.imposed/1") if told["event"]["ban_id"] == ban_id)
    assert imposed["subject"] == "ev.access.none"
    assert "127.0.0.2" not in str(imposed)


def test_a_banned_account_does_not_sign_in_until_it_is_lifted(gateway: Gateway) -> None:
    account = gateway.ready["demo_accounts"][1]

    def code() -> int:
        """Of a sign-in with the right password."""
        trust = ssl.create_default_context(cafile=gateway.ready["ca_file"])
        trust.check_hostname = False
        with closing(
            smtplib.SMTP_SSL(*host_and_port(gateway.address("submissions")), "client.example", context=trust)
        ) as smtp:
            try:
                return smtp.login(account["address"], account["password"])[0]
            except smtplib.SMTPAuthenticationError as error:
                return error.smtp_code

    assert code() == 235
    ban_id = impose(gateway, "--account", account["address"], reason="รหัสผ่านรั่ว")
    gateway.wait(lambda: code() == 525, "the edge knows")
    assert next(ban["whom"] for ban in listed(gateway) if ban["ban_id"] == ban_id) == account["address"]
    assert gateway.events("signin.refused/1")[-1]["event"]["reason"] == "banned"
    lift(gateway, ban_id)
    gateway.wait(lambda: code() == 235, "it is let in again")


def test_whom_there_is_not_nobody_bans(gateway: Gateway) -> None:
    for words in (
        ("add", "--account", "nobody@opm.go.th", "--for", "1h", "--reason", "x"),
        ("lift", "ban_01kamz1x2y3z4a5b6c7d8e9f0g", "--reason", "x", "--yes"),
    ):
        with pytest.raises(CommandFailed) as failed:
            gateway.cli("ban", *words)
        assert failed.value.code == NOTHING_FOUND
