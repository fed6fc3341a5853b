"""People fetch their mail by POP3 with the programs they have; each message is read by an event first."""

import os
import poplib
import signal
import smtplib
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.gateway import Gateway
from tests.e2e.load import host_and_port
from tests.e2e.messages import new_message_id, thai_message
from tests.needs import lacks
from tests.sizes import size

HOSTNAME = "mail.saraban.example"  # in the certificate
PASSWORD = "for-tests-alone"


@pytest.fixture
def trust(gateway: Gateway) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=gateway.ready["ca_file"])
    context.check_hostname = False  # it is asked for by its address
    return context


@contextmanager
def signed_in(gateway: Gateway, trust: ssl.SSLContext, address: str) -> Iterator[poplib.POP3_SSL]:
    client = poplib.POP3_SSL(*host_and_port(gateway.address("pop3s")), context=trust)
    try:
        client.user(address)
        client.pass_(PASSWORD)
        yield client
        client.quit()
    finally:
        client.close()


def filled(gateway: Gateway, address: str, octets: tuple[int, ...]) -> list[bytes]:
    """A new account with messages whose attachments have these sizes; each as a reader gets it."""
    gateway.cli("account", "add", address, "--name", "pop", "--quota", "1G", "--password", PASSWORD)
    for attached in octets:
        message = thai_message(new_message_id(), to=[address], attachment=b"\r\n.\r\n" * (attached // 5))
        gateway.wait(partial(sends, gateway, address, message), "the edge knows the account")
    gateway.wait(lambda: len(gateway.found("mailbox", "list", address)) == len(octets), "they are delivered")
    return [shown(gateway, address, uid) for uid in range(1, len(octets) + 1)]


def sends(gateway: Gateway, address: str, message: bytes) -> bool:
    with smtplib.SMTP(*host_and_port(gateway.address("smtp")), local_hostname="client.example") as smtp:
        return not smtp.sendmail("ann@example.org", [address], message)


def shown(gateway: Gateway, address: str, uid: int) -> bytes:
    return gateway.cli_octets("mailbox", "export", address, "--uid", str(uid), "--reason", "test")


def reads(gateway: Gateway, account_id: str, how: str = "retr") -> list[dict[str, Any]]:
    found = [event["event"] for event in gateway.events("message.read/1")]
    return [event for event in found if event["account_id"] == account_id and event["how"] == how]


def account_of(gateway: Gateway, address: str) -> str:
    return str(gateway.cli("account", "show", address)["account_id"])


def test_poplib_fetches_octet_for_octet_and_deletes(gateway: Gateway, trust: ssl.SSLContext) -> None:
    address = "poplib@opm.go.th"
    messages = filled(gateway, address, (10, 3_000_000, 200))
    account_id = account_of(gateway, address)
    with signed_in(gateway, trust, address) as client:
        assert client.stat() == (3, sum(map(len, messages)))
        assert [int(line.split()[1]) for line in client.list()[1]] == [len(message) for message in messages]
        ids = [line.split()[1] for line in client.uidl()[1]]
        for number, message in enumerate(messages, 1):
            assert b"\r\n".join([*client.retr(number)[1], b""]) == message
        header, _, body = messages[0].partition(b"\r\n\r\n")
        top = b"\r\n".join([*client.top(1, 1)[1], b""])
        assert top == header + b"\r\n\r\n" + body.split(b"\r\n")[0] + b"\r\n"
        assert [(event["uids"], event.get("peek", False)) for event in reads(gateway, account_id)] == [
            ("1", False),
            ("2", False),
            ("3", False),
            ("1", True),
        ]
        client.dele(1)
        client.dele(2)
        client.rset()
        client.dele(2)
    with signed_in(gateway, trust, address) as client:
        assert [line.split()[1] for line in client.uidl()[1]] == [ids[0], ids[2]]
        with pytest.raises(poplib.error_proto, match="IN-USE"), signed_in(gateway, trust, address):
            pass
    expunged = [one["event"] for one in gateway.events("message.expunged/1")]
    assert [one["uids"] for one in expunged if one["account_id"] == account_id] == ["2"]


def test_who_goes_without_quit_deletes_nothing(gateway: Gateway, trust: ssl.SSLContext) -> None:
    """RFC 1939 §6."""
    address = "vanishes@opm.go.th"
    filled(gateway, address, (10,))
    client = poplib.POP3_SSL(*host_and_port(gateway.address("pop3s")), context=trust)
    client.user(address)
    client.pass_(PASSWORD)
    client.dele(1)
    client.close()

    def is_there() -> bool:
        try:
            with signed_in(gateway, trust, address) as again:
                return again.stat()[0] == 1
        except poplib.error_proto:  # the first session is not over yet
            return False

    gateway.wait(is_there, "the message is there again")


def test_in_the_clear_nobody_is_asked_for_a_password(gateway: Gateway, trust: ssl.SSLContext) -> None:
    account = gateway.ready["demo_accounts"][0]
    client = poplib.POP3(*host_and_port(gateway.address("pop3")))
    offered = client.capa()
    assert "STLS" in offered
    assert not {"USER", "SASL"} & offered.keys()
    with pytest.raises(poplib.error_proto, match="Begin TLS first"):
        client.user(account["address"])
    client.stls(trust)
    assert "SCRAM-SHA-256-PLUS" in client.capa()["SASL"]
    client.utf8()
    client.user(account["address"])
    client.pass_(account["password"])
    client.quit()


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_curl_fetches(gateway: Gateway, mechanism: str) -> None:
    address = f"curl-{mechanism.lower()}@opm.go.th"
    (message,) = filled(gateway, address, (500,))
    port = host_and_port(gateway.address("pop3s"))[1]
    trusted = ["--cacert", gateway.ready["ca_file"], "--resolve", f"{HOSTNAME}:{port}:127.0.0.1"]
    who = ["--login-options", f"AUTH={mechanism}", "--user", f"{address}:{PASSWORD}"]
    done = ran(["curl", "-sS", *trusted, *who, f"pop3s://{HOSTNAME}:{port}/1"])
    assert done.stdout == message


def test_fetchmail_fetches_what_is_new_and_keeps_it(gateway: Gateway, tmp_path: Path) -> None:
    address = "fetchmail@opm.go.th"
    messages = filled(gateway, address, (10, 200_000))
    host, port = host_and_port(gateway.address("pop3s"))
    rc = tmp_path / "fetchmailrc"
    rc.write_text(
        f'poll {host} service {port} protocol pop3 uidl user "{address}" password "{PASSWORD}" ssl '
        f'sslcertfile {gateway.ready["ca_file"]} sslcommonname "{HOSTNAME}" sslcertck keep '
        f'mda "cat >> {tmp_path}/mail; echo END >> {tmp_path}/mail"\n'
    )
    rc.chmod(0o600)
    command = ["fetchmail", "-f", str(rc), "-i", str(tmp_path / "ids"), "--pidfile", str(tmp_path / "pid")]
    done = ran(command)
    assert done.returncode == 0, done.stdout + done.stderr
    fetched = (tmp_path / "mail").read_bytes()
    assert fetched.count(b"END\n") == len(messages)
    body = messages[1].partition(b"\r\n\r\n")[2].replace(b"\r\n", b"\n")
    assert body in fetched
    assert ran(command).returncode == 1, "there is nothing new"


def ran(command: list[str]) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=120, check=False
        )
    except FileNotFoundError:
        lacks(command[0])


def test_what_a_client_got_before_a_kill_has_its_event(own_gateway: Gateway) -> None:
    """Architecture §9 (reads): durable before the first octet leaves, also when the reader is killed."""
    gateway, address = own_gateway, "killed@opm.go.th"
    filled(gateway, address, (1_000_000,))
    trust = ssl.create_default_context(cafile=gateway.ready["ca_file"])
    trust.check_hostname = False
    account_id = account_of(gateway, address)
    times = size(2, 30)
    for _ in range(times):
        pid = gateway.pid("pop3")
        client = poplib.POP3_SSL(*host_and_port(gateway.address("pop3s")), context=trust)
        client.user(address)
        client.pass_(PASSWORD)
        client._putcmd("RETR 1")  # type: ignore[attr-defined]
        assert client.file.readline().startswith(b"+OK")  # type: ignore[attr-defined]
        assert client.file.readline()  # type: ignore[attr-defined]
        os.kill(pid, signal.SIGKILL)
        client.close()
        gateway.wait(partial(is_back, gateway, pid), "POP3 serves again")
    assert len(reads(gateway, account_id)) == times


def is_back(gateway: Gateway, pid: int) -> bool:
    if gateway.pid("pop3") == pid:
        return False
    poplib.POP3(*host_and_port(gateway.address("pop3"))).quit()
    return True


@pytest.mark.parametrize("protocol", ["imap", "pop3"])
def test_openssl_starts_tls_and_believes_the_certificate(gateway: Gateway, protocol: str) -> None:
    host, port = host_and_port(gateway.address(protocol))
    asked = ["-connect", f"{host}:{port}", "-starttls", protocol, "-servername", HOSTNAME]
    trusted = ["-CAfile", gateway.ready["ca_file"], "-verify_hostname", HOSTNAME, "-verify_return_error"]
    done = ran(["openssl", "s_client", "-brief", *asked, *trusted])
    assert done.returncode == 0, done.stderr
    assert b"Protocol version: TLSv1.3" in done.stderr
