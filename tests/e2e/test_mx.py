"""Mail leaves for domains that no agency has: by their DNS, to hosts that take it, for who may send there."""

import asyncio
import smtplib
import ssl
from pathlib import Path
from typing import Final

from tests.dns_server import DnsServer, dns_server
from tests.e2e.gateway import Gateway, eventually, running_gateway
from tests.e2e.messages import new_message_id
from tests.e2e.sink import Sink, running_sink

SENDER: Final = "suda@opm.go.th"
PASSWORD: Final = "a long enough password"
WHY: Final = "ทดสอบ"
# Of two mail hosts the first is away. The DNS says nothing of the third domain at first.
ZONE: Final = """
example.org.      0 IN MX 10 mx1.example.org.
example.org.      0 IN MX 20 mx2.example.org.
mx1.example.org.  0 IN A 127.0.0.2
mx2.example.org.  0 IN A 127.0.0.1
null.example.     0 IN MX 0 .
later.example.    0 IN A 127.0.0.1
"""


def send(gateway: Gateway, *recipients: str) -> None:
    host, _, port = gateway.address("submissions").rpartition(":")
    context = ssl.create_default_context(cafile=gateway.ready["ca_file"])
    context.check_hostname = False
    message = f"From: {SENDER}\r\nSubject: out\r\nMessage-ID: {new_message_id()}\r\n\r\nHello.\r\n"
    with smtplib.SMTP_SSL(host, int(port), context=context, timeout=60) as smtp:
        smtp.login(SENDER, PASSWORD)
        assert smtp.sendmail(SENDER, recipients, message.encode()) == {}


def said_to_a_stranger(gateway: Gateway) -> tuple[int, bytes]:
    host, _, port = gateway.address("smtp").rpartition(":")
    with smtplib.SMTP(host, int(port), timeout=60) as smtp:
        smtp.ehlo("client.example")
        smtp.mail("ann@example.com")
        return smtp.rcpt("bob@example.org")


def people(gateway: Gateway) -> None:
    gateway.cli("agency", "add", "OPM", "--domain", "opm.go.th")
    gateway.cli("account", "add", SENDER, "--password", PASSWORD)
    gateway.wait_idle()


async def leaves(gateway: Gateway, names: DnsServer, sink: Sink) -> None:
    await asyncio.to_thread(people, gateway)
    await asyncio.to_thread(send, gateway, "bob@Example.ORG", "nobody@null.example", "eve@later.example")
    await eventually(lambda: len(sink.receptions) == 1, "the host that is there has the mail")
    assert sink.receptions[0].recipients == ("bob@Example.ORG",)
    assert await asyncio.to_thread(said_to_a_stranger, gateway) == (
        550,
        b"5.7.1 This host does not relay for that domain",
    )

    await eventually(lambda: bool(gateway.mailbox(SENDER)), "the null MX is reported")
    (reported,) = gateway.mailbox(SENDER)
    report = gateway.export(SENDER, reported["uid"])
    assert b"Final-Recipient: rfc822; nobody@null.example" in report
    assert b"Status: 5.1.10" in report

    def waits() -> bool:
        found = gateway.found("queue", "list", "--domain", "later.example")
        return [(row["recipients"], row["agency_id"], row["status"]) for row in found] == [(1, None, "4.4.3")]

    await asyncio.to_thread(gateway.wait, waits, "what the DNS says nothing of waits")
    names.failing.clear()
    await asyncio.to_thread(gateway.cli, "queue", "retry", "--domain", "later.example", "--reason", WHY)
    await eventually(lambda: len(sink.receptions) == 2, "now it has gone")
    await asyncio.to_thread(gateway.wait_idle)

    (mail,) = gateway.trace("--to", "bob@example.org")
    hosts = {tuple(step["recipients"]): step["remote_host"] for step in mail["steps"] if step["remote_host"]}
    assert hosts == {
        (0,): f"mx2.example.org[127.0.0.1]:{sink.port}",
        (2,): f"later.example[127.0.0.1]:{sink.port}",
    }
    shown = gateway.cli("queue", "show", mail["mail_id"])
    assert [row["hosts"] for row in shown] == [[hosts[0,]], [], [hosts[2,]]]
    assert gateway.cli("queue", "check")["faults"] == []


async def test_mail_goes_where_the_dns_says(tmp_path: Path) -> None:
    async with dns_server(ZONE) as names, running_sink() as sink:
        names.failing.add("later.example")
        settings = {
            "SARABAN_RELAY_MX": "true",
            "SARABAN_RELAY_MX_PORT": str(sink.port),
            "SARABAN_RELAY_MX_NETWORKS": "127.0.0.0/8",
            "SARABAN_DNS_SERVERS": "{}:{}".format(*names.address),
        }
        running = running_gateway(tmp_path, demo=False, env=settings)
        gateway = await asyncio.to_thread(running.__enter__)
        try:
            await leaves(gateway, names, sink)
        finally:
            await asyncio.to_thread(running.__exit__, None, None, None)
