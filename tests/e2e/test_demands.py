"""What senders demand of the way of their mails, by a real client: RRVS, a hold, a binary message."""

import smtplib
import ssl
from typing import Final

import pytest

from tests.e2e.gateway import Gateway
from tests.e2e.messages import new_message_id

ANN: Final = "demanding@opdc.go.th"
PASSWORD: Final = "correct horse battery"


@pytest.fixture(scope="module")
def ann(gateway: Gateway) -> str:
    """An account that sends, and gets."""
    gateway.cli("account", "add", ANN, "--name", "ผู้ขอ", "--password", PASSWORD)
    gateway.wait(lambda: _answers(gateway, "") == 250, "the edge knows the account")
    return ANN


def connected(gateway: Gateway, service: str) -> smtplib.SMTP:
    host, _, port = gateway.address(service).rpartition(":")
    smtp = smtplib.SMTP(host, int(port), local_hostname="client.example", timeout=60)
    smtp.ehlo()
    return smtp


def message(subject: str) -> bytes:
    fields = f"From: {ANN}\r\nTo: {ANN}\r\nSubject: {subject}\r\nMessage-ID: {new_message_id()}\r\n"
    return f"{fields}\r\nHi.\r\n".encode()


def _answers(gateway: Gateway, rrvs: str) -> int:
    with connected(gateway, "smtp") as smtp:
        smtp.mail("boss@example.org")
        code, _ = smtp.rcpt(ANN, [f"RRVS={rrvs}"] if rrvs else [])
    return code


def test_an_address_that_is_on_record_only_since_is_refused_and_the_trace_says_why(
    gateway: Gateway, ann: str
) -> None:
    assert _answers(gateway, "2200-01-01T00:00:00Z") == 250
    assert _answers(gateway, "2001-01-01T00:00:00Z") == 550
    assert len(gateway.events("recipient.refused/1")) == 1
    gateway.wait(lambda: gateway.trace("--to", ann) != [], "the trace has the refusal")
    (refused,) = gateway.trace("--to", ann)
    assert (refused["topic"], refused["status"]) == ("recipient.refused/1", "5.7.19")
    assert (refused["mail_from"], refused["valid_since"][:4]) == ("boss@example.org", "2001")


def test_a_held_mail_goes_when_its_time_has_come(gateway: Gateway, ann: str) -> None:
    before = len(gateway.mailbox(ann))
    with connected(gateway, "submission") as smtp:
        smtp.starttls(context=ssl._create_unverified_context())
        smtp.login(ann, PASSWORD)
        assert "futurerelease" in smtp.esmtp_features
        smtp.sendmail(ann, [ann], message("later"), ["HOLDFOR=6"])
        smtp.sendmail(ann, [ann], message("now"))
    gateway.wait(lambda: len(gateway.mailbox(ann)) == before + 2, "both mails are there")
    assert [mail["subject"] for mail in gateway.mailbox(ann)[before:]] == ["now", "later"]
    assert len(gateway.events("mail.released/1")) == 1
    gateway.wait_idle()


def test_a_binary_message_is_delivered_as_it_came(gateway: Gateway, ann: str) -> None:
    before = len(gateway.mailbox(ann))
    binary = message("binary") + b"\r.\n" + bytes(range(256)) * 1000
    with connected(gateway, "smtp") as smtp:
        smtp.mail("boss@example.org", ["BODY=BINARYMIME"])
        smtp.rcpt(ann)
        half = len(binary) // 2
        for part, last in ((binary[:half], ""), (binary[half:], " LAST")):
            smtp.send(f"BDAT {len(part)}{last}\r\n")
            smtp.send(part)
            code, _ = smtp.getreply()
            assert code == 250
    gateway.wait(lambda: len(gateway.mailbox(ann)) == before + 1, "the binary message is there")
    octets = gateway.export(ann, gateway.mailbox(ann)[-1]["uid"])
    assert octets.endswith(binary)
