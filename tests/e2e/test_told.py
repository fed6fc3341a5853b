"""Senders are told what they asked to be told, by real clients and a next hop of its own (RFC 3461)."""

import asyncio
import re
import smtplib
from collections.abc import Sequence
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any, Final

import pytest

from tests.e2e.gateway import Gateway, eventually
from tests.e2e.messages import new_message_id
from tests.e2e.sink import Reception, Sink, running_sink

SENDER: Final = "teller@opm.go.th"
HOSTED: Final = "told@opdc.go.th"
HOP: Final = "told.example"
TEXT: Final = "The whole story."
MAIL_ID: Final = re.compile(rb"mail_[0-9a-z]{26}")
NEVER, FAILURE, BOTH = "NOTIFY=NEVER", "NOTIFY=FAILURE", "NOTIFY=SUCCESS,FAILURE"

# What is sent: to whom, with which options of MAIL and of RCPT.
MAILS: Final[dict[str, tuple[str, list[str], list[str]]]] = {
    "delivered": (HOSTED, ["RET=HDRS", "ENVID=QQ+20314159"], [BOTH, "ORCPT=rfc822;boss@opdc.go.th"]),
    "delivered, nothing asked": (HOSTED, [], []),
    "relayed without DSN": ("farm@dld.go.th", [], [BOTH]),
    "relayed with DSN": (f"ann@{HOP}", ["RET=FULL", "ENVID=a+2Bb"], [BOTH, f"ORCPT=rfc822;a+2Bnn@{HOP}"]),
    "refused, NEVER": (f"refused-1@{HOP}", [], [NEVER]),
    "refused, FAILURE": (f"refused-2@{HOP}", ["RET=FULL"], [FAILURE]),
    "refused, nothing asked": (f"refused-3@{HOP}", [], []),
}
REPORTS: Final = 4  # delivered, relayed without DSN, and two refused


@dataclass
class Told:
    """What was sent, by name; what the sender got back, by mail_id; what the next hop got."""

    gateway: Gateway
    folder: Path
    mail_ids: dict[str, str] = field(default_factory=dict)
    reports: dict[str, list[EmailMessage]] = field(default_factory=dict)
    receptions: list[Reception] = field(default_factory=list)

    async def happen(self) -> None:
        async with running_sink(offers_dsn=True) as sink:
            await asyncio.to_thread(self.prepare, sink)
            for name, (rcpt_to, mail_options, rcpt_options) in MAILS.items():
                self.mail_ids[name] = await asyncio.to_thread(self.send, rcpt_to, mail_options, rcpt_options)
            await eventually(self.is_over, "every mail has ended, and every report is delivered")
            self.receptions = sink.receptions
        self.read()

    def prepare(self, sink: Sink) -> None:
        for address in (SENDER, HOSTED):
            self.gateway.cli("account", "add", address, "--name", "DSN", "--password", "for-tests-alone")
        self.gateway.cli("agency", "add", "Told", "--domain", HOP, "--relay-to", sink.address)

    def send(self, rcpt_to: str, mail_options: Sequence[str], rcpt_options: Sequence[str]) -> str:
        """The mail_id that the gateway answers with."""
        message = f"From: {SENDER}\r\nSubject: told\r\nMessage-ID: {new_message_id()}\r\n\r\n{TEXT}\r\n"
        host, _, port = self.gateway.address("smtp").rpartition(":")
        with smtplib.SMTP(host, int(port), timeout=30) as client:
            client.ehlo("client.example")
            assert client.has_extn("dsn")
            assert client.mail(SENDER, mail_options)[0] == 250
            assert client.rcpt(rcpt_to, rcpt_options)[0] == 250
            code, said = client.data(message)
        assert code == 250, said
        found = MAIL_ID.search(said)
        assert found is not None, said
        return found[0].decode()

    def is_over(self) -> bool:
        return self.gateway.is_idle() and len(self.gateway.mailbox(SENDER)) >= REPORTS

    def read(self) -> None:
        for octets in self.gateway.export_all(SENDER, self.folder).values():
            report = message_from_bytes(octets, policy=default)
            assert isinstance(report, EmailMessage)
            self.reports.setdefault(blocks(report)[0]["X-Saraban-Mail-ID"], []).append(report)

    def of(self, name: str) -> list[EmailMessage]:
        return self.reports.get(self.mail_ids[name], [])


def blocks(report: EmailMessage) -> list[Any]:
    return list(list(report.iter_parts())[1].get_payload())


@pytest.fixture(scope="module")
def told(gateway: Gateway, tmp_path_factory: pytest.TempPathFactory) -> Told:
    told = Told(gateway, tmp_path_factory.mktemp("told"))
    asyncio.run(told.happen())
    return told


def test_a_delivery_is_reported_to_who_asked_for_it(told: Told) -> None:
    (report,) = told.of("delivered")
    of_mail, outcome = blocks(report)
    assert report.get_content_type() == "multipart/report"
    assert of_mail["Original-Envelope-Id"] == "QQ 314159"
    assert (outcome["Action"], outcome["Status"]) == ("delivered", "2.0.0")
    assert outcome["Original-Recipient"] == "rfc822; boss@opdc.go.th"
    assert outcome["Final-Recipient"] == f"rfc822; {HOSTED}"
    assert TEXT not in report.as_string()


def test_what_a_next_hop_without_dsn_took_is_reported_as_relayed(told: Told) -> None:
    (report,) = told.of("relayed without DSN")
    outcome = blocks(report)[1]
    assert (outcome["Action"], outcome["Final-Recipient"]) == ("relayed", "rfc822; farm@dld.go.th")


def test_a_next_hop_with_dsn_is_told_everything_and_reports_itself(told: Told) -> None:
    (commands,) = [r.commands for r in told.receptions if f"ann@{HOP}" in r.recipients]
    mail, rcpt = (command.decode() for command in commands)
    assert mail.startswith(f"MAIL FROM:<{SENDER}> ")
    assert mail.split()[2:] == [mail.split()[2], "RET=FULL", "ENVID=a+2Bb"]
    assert rcpt == f"RCPT TO:<ann@{HOP}> {BOTH} ORCPT=rfc822;a+2Bnn@{HOP}"
    assert told.of("relayed with DSN") == []


def test_never_brings_no_failure_report(told: Told) -> None:
    assert told.of("refused, NEVER") == []
    steps = told.gateway.trace("--mail-id", told.mail_ids["refused, NEVER"])[0]["steps"]
    assert "mail.bounced/1" in [step["topic"] for step in steps]


def test_a_failure_brings_the_whole_mail_back_to_who_wants_it(told: Told) -> None:
    (report,) = told.of("refused, FAILURE")
    _, _, original = report.iter_parts()
    assert blocks(report)[1]["Action"] == "failed"
    assert original.get_content_type() == "message/rfc822"
    assert TEXT in original.as_string()


def test_who_asks_nothing_hears_of_failures_only(told: Told) -> None:
    assert told.of("delivered, nothing asked") == []
    (report,) = told.of("refused, nothing asked")
    assert blocks(report)[1]["Action"] == "failed"
    assert TEXT not in report.as_string()
