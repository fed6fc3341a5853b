"""People come in by IMAP with the programs they have: on 143 with STARTTLS and on 993, app passwords too."""

import imaplib
import re
import ssl
import subprocess

import pytest

from tests.e2e.gateway import Gateway
from tests.e2e.load import host_and_port
from tests.needs import lacks

HOSTNAME = "mail.saraban.example"  # in the certificate


@pytest.fixture
def trust(gateway: Gateway) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=gateway.ready["ca_file"])
    context.check_hostname = False  # it is asked for by its address
    return context


def test_imaplib_comes_in_by_both_ports(gateway: Gateway, trust: ssl.SSLContext) -> None:
    account = gateway.ready["demo_accounts"][0]
    with imaplib.IMAP4(*host_and_port(gateway.address("imap"))) as client:
        assert "LOGINDISABLED" in client.capabilities
        client.starttls(trust)
        assert client.login(account["address"], account["password"])[0] == "OK"
    with imaplib.IMAP4_SSL(*host_and_port(gateway.address("imaps")), ssl_context=trust) as client:
        assert client.login(account["address"], account["password"])[0] == "OK"


def test_an_app_password_for_smtp_alone_opens_no_mailbox(gateway: Gateway, trust: ssl.SSLContext) -> None:
    address = gateway.ready["demo_accounts"][0]["address"]
    made = {
        protocol: gateway.cli("app-password", "make", address, "--label", "IMAP", "--protocol", protocol)
        for protocol in ("smtp", "imap")
    }

    def comes_in(password: str) -> bool:
        with imaplib.IMAP4_SSL(*host_and_port(gateway.address("imaps")), ssl_context=trust) as client:
            try:
                return client.login(address, password)[0] == "OK"
            except client.error:
                return False

    gateway.wait(lambda: comes_in(made["imap"]["password"]), "the rows know the app password")
    assert not comes_in(made["smtp"]["password"])


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_curl_comes_in_by_each_mechanism(gateway: Gateway, mechanism: str) -> None:
    address = gateway.ready["demo_accounts"][0]["address"]
    password = gateway.cli("app-password", "make", address, "--label", f"curl {mechanism}")["password"]
    port = host_and_port(gateway.address("imaps"))[1]
    trusted = ["--cacert", gateway.ready["ca_file"], "--resolve", f"{HOSTNAME}:{port}:127.0.0.1"]
    who = ["--login-options", f"AUTH={mechanism}", "--user", f"{address}:{password}"]
    command = ["curl", "-sv", *trusted, *who, f"imaps://{HOSTNAME}:{port}", "--request", "NOOP"]

    def comes_in() -> bool:
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        except FileNotFoundError:
            lacks("curl")
        return bool(re.search(r"^< A\d+ OK .*Signed in", done.stderr, re.MULTILINE))

    gateway.wait(comes_in, f"curl is let in by {mechanism}")
