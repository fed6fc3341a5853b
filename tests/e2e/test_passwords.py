"""A password that was set signs in, and the one before it no more."""

import base64
import smtplib
import ssl

import pytest

from tests.e2e.gateway import CommandFailed, Gateway

ADDRESS = "changed@opdc.go.th"
FIRST, SECOND = "ปลาทูทอดกรอบ ๑", "ปลาทูทอดกรอบ ๒"


def set_password(gateway: Gateway, password: str) -> None:
    words = ("account", "password", ADDRESS, "--password-file", "-")
    gateway.cli_octets(*words, stdin=f"{password}\n".encode())


def answer(gateway: Gateway, password: str, address: str = ADDRESS) -> int:
    """The code that AUTH PLAIN gets (RFC 4616)."""
    host, _, port = gateway.address("submissions").rpartition(":")
    context = ssl.create_default_context(cafile=gateway.ready["ca_file"])
    context.check_hostname = False
    with smtplib.SMTP_SSL(host, int(port), context=context, timeout=30) as client:
        client.ehlo()
        claim = base64.b64encode(f"\0{address}\0{password}".encode()).decode()
        return client.docmd("AUTH PLAIN", claim)[0]


def test_another_password_is_set_by_the_operator(gateway: Gateway) -> None:
    gateway.cli("account", "add", ADDRESS)
    gateway.wait(gateway.is_idle, "the rows know the account")
    set_password(gateway, FIRST)
    gateway.wait(lambda: answer(gateway, FIRST) == 235, "the first password signs in")
    set_password(gateway, SECOND)
    gateway.wait(lambda: answer(gateway, SECOND) == 235, "the second password signs in")
    assert answer(gateway, FIRST) == 535
    with pytest.raises(CommandFailed, match="last five"):
        set_password(gateway, FIRST)
    with pytest.raises(CommandFailed, match="at least 12 characters"):
        set_password(gateway, "short")
    gateway.wait(gateway.is_idle, "the rows know of the password")
    last = gateway.cli("account", "show", ADDRESS)["password"]
    assert (last["how"], last["set_by"].split()[0]) == ("administrator", "operator")
    events = gateway.events("password.set/1")
    assert [event["event"]["how"] for event in events][-2:] == ["administrator", "administrator"]
    assert "ปลาทู" not in str(events)
