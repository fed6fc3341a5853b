"""Mail of an account goes on to a next hop with a return path of ours; reports of it reach the sender."""

import asyncio
import smtplib
from dataclasses import dataclass, field
from typing import Any, Final

import pytest

from tests.e2e.gateway import CommandFailed, Gateway, eventually
from tests.e2e.messages import new_message_id
from tests.e2e.sink import Reception, Sink, running_sink

SENDER: Final = "sending@opm.go.th"  # hosted here, so that what comes back can be looked at
FORWARDER: Final = "forwarding@opdc.go.th"
HOP: Final = "forwarded.example"


@dataclass
class Forwarded:
    """What the next hop got, and what its report and others were answered with."""

    gateway: Gateway
    receptions: list[Reception] = field(default_factory=list)
    answers: dict[str, int] = field(default_factory=dict)

    async def happen(self) -> None:
        async with running_sink() as sink:
            await asyncio.to_thread(self.prepare, sink)
            message_id = new_message_id()
            fields = f"From: {SENDER}\r\nTo: {FORWARDER}\r\nMessage-ID: {message_id}\r\n"
            await asyncio.to_thread(self.send, SENDER, FORWARDER, f"{fields}\r\nGo on.\r\n")
            await eventually(lambda: bool(sink.receptions), "the next hop has the mail")
            self.receptions = sink.receptions
            path = sink.receptions[0].mail_from
            changed = path.replace("=sending@", "=somchai@")
            report = "Subject: it failed\r\n\r\nNobody here.\r\n"
            for name, mail_from, rcpt_to in (
                ("forged", "", changed),
                ("by somebody", f"mallory@{HOP}", path),
                ("report", "", path),
            ):
                self.answers[name] = await asyncio.to_thread(self.send, mail_from, rcpt_to, report)
            await eventually(lambda: bool(self.gateway.mailbox(SENDER)), "the sender has the report")

    def prepare(self, sink: Sink) -> None:
        gateway = self.gateway
        for address in (SENDER, FORWARDER):
            gateway.cli("account", "add", address, "--name", "ส่งต่อ", "--password", "for-tests-alone")
        gateway.cli("agency", "add", "Forwarded", "--domain", HOP, "--relay-to", sink.address)
        gateway.cli("account", "forward", FORWARDER, "--to", f"far@{HOP}", "--no-copy")
        gateway.wait_idle()

    def send(self, mail_from: str, rcpt_to: str, message: str) -> int:
        """The code of RCPT if that is a no, else of the message."""
        host, _, port = self.gateway.address("smtp").rpartition(":")
        with smtplib.SMTP(host, int(port), timeout=30) as client:
            client.ehlo("client.example")
            assert client.mail(mail_from)[0] == 250
            code, _ = client.rcpt(rcpt_to)
            return code if code >= 400 else client.data(message)[0]


@pytest.fixture(scope="module")
def forwarded(gateway: Gateway) -> Forwarded:
    forwarded = Forwarded(gateway)
    asyncio.run(forwarded.happen())
    return forwarded


def test_the_next_hop_gets_it_from_a_return_path_of_ours(forwarded: Forwarded) -> None:
    (reception,) = forwarded.receptions
    assert reception.recipients == (f"far@{HOP}",)
    assert reception.mail_from.startswith("SRS0=")
    assert reception.mail_from.endswith("=opm.go.th=sending@opdc.go.th")
    assert reception.message.startswith(f"Delivered-To: {FORWARDER}\r\n".encode())
    assert reception.message.endswith(b"\r\n\r\nGo on.\r\n")
    assert forwarded.gateway.mailbox(FORWARDER) == []


def test_a_report_reaches_the_sender_and_nothing_else_does(forwarded: Forwarded) -> None:
    assert forwarded.answers == {"forged": 550, "by somebody": 550, "report": 250}
    (row,) = forwarded.gateway.mailbox(SENDER)
    exported = forwarded.gateway.export(SENDER, row["uid"])
    assert exported.startswith(b"Return-Path: <>\r\n")
    assert exported.endswith(b"\r\n\r\nNobody here.\r\n")


def test_the_trace_tells_by_whose_rule_it_went_on(forwarded: Forwarded) -> None:
    steps: list[dict[str, Any]] = [
        step for mail in forwarded.gateway.trace("--to", FORWARDER) for step in mail["steps"]
    ]
    (told,) = [step for step in steps if step["topic"] == "mail.forwarded/1"]
    assert told["reply_text"] == f"by the rule of {FORWARDER} to far@{HOP}"


def test_a_rule_that_is_not_allowed_any_more_lets_mail_come_in_again(forwarded: Forwarded) -> None:
    gateway = forwarded.gateway
    gateway.cli("account", "add", "back@opdc.go.th", "--password", "for-tests-alone")
    gateway.cli("account", "forward", "back@opdc.go.th", "--to", f"back@{HOP}", "--no-copy")
    with pytest.raises(CommandFailed, match="its policy is inside"):
        gateway.cli("account", "forward", "back@opdc.go.th", "--to", "back@example.org")
    agency_id = gateway.cli("account", "show", "back@opdc.go.th")["agency_id"]
    gateway.cli("agency", "forwarding", agency_id, "none", "--yes")
    try:
        (target,) = gateway.cli("account", "show", "back@opdc.go.th")["forwarding"]["targets"]
        assert target == {"address": f"back@{HOP}", "refusal": "policy"}
        assert forwarded.send("ann@example.org", "back@opdc.go.th", "Subject: hello\r\n\r\nHi.\r\n") == 250
        gateway.wait(lambda: len(gateway.mailbox("back@opdc.go.th")) == 1, "the mail is in the mailbox")
    finally:
        gateway.cli("agency", "forwarding", agency_id, "inside", "--yes")


def test_log_content_rows_and_queue_hold_together(forwarded: Forwarded) -> None:
    assert forwarded.gateway.cli("check", "--all")["verdict"] == "whole"
