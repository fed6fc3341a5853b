"""Acceptance 2: a mail with Thai subject, text and a 20 MB attachment to a recipient in each agency."""

import asyncio
import hashlib
import re
import secrets
from pathlib import Path

import pytest

from tests.e2e.gateway import Gateway
from tests.e2e.load import send_one
from tests.e2e.messages import attachments_of, front_of, new_message_id, thai_message
from tests.e2e.stores import objects, octets_below

HOSTED = ["somchai@opm.go.th", "malee@opdc.go.th"]
RECIPIENTS = [*HOSTED, "farm@dld.go.th"]
ATTACHMENT_OCTETS = 20_000_000
ATTACHMENT_NAME = "รายงานการประชุม.bin"


class Sent:
    """The mail of this module, sent once for all its tests."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.attachment = secrets.token_bytes(ATTACHMENT_OCTETS)
        self.message_id = new_message_id()
        self.message = thai_message(self.message_id, to=RECIPIENTS, attachment=self.attachment)
        self.attachments_before = objects(gateway, "attachments/")
        self.contents_before = contents_octets(gateway)
        self.mail_id = self.send(self.message)

    def send(self, message: bytes) -> str:
        """The mail_id, when all recipients have it."""
        code, said, _ = asyncio.run(
            send_one(self.gateway.address("smtp"), "somchai@opm.go.th", RECIPIENTS, message)
        )
        assert code == 250, said
        found = re.search(rb"mail_[0-9a-z]{26}", said)
        assert found is not None, said
        mail_id = found.group().decode()
        self.gateway.wait(lambda: self.is_everywhere(mail_id), f"{mail_id} is with all its recipients")
        return mail_id

    def is_everywhere(self, mail_id: str) -> bool:
        ends = {step["topic"] for step in self.steps(mail_id)}
        return "mail.relayed/1" in ends and all(self.uid(address, mail_id) for address in HOSTED)

    def steps(self, mail_id: str) -> list[dict[str, object]]:
        mails = self.gateway.trace("--mail-id", mail_id)
        return [step for mail in mails for step in mail["steps"]]

    def uid(self, address: str, mail_id: str) -> int:
        """0: it is not there."""
        return next((row["uid"] for row in self.gateway.mailbox(address) if row["mail_id"] == mail_id), 0)


def contents_octets(gateway: Gateway) -> int:
    """What streams and packs take, attachments apart."""
    packs = sum(objects(gateway, "packs/").values()) + sum(objects(gateway, "large/").values())
    return octets_below(gateway.data / "nats") + packs


@pytest.fixture(scope="module")
def sent(gateway: Gateway) -> Sent:
    return Sent(gateway)


@pytest.mark.parametrize("address", HOSTED)
def test_a_hosted_mailbox_exports_what_was_sent_octet_for_octet(sent: Sent, address: str) -> None:
    exported = sent.gateway.export(address, sent.uid(address, sent.mail_id))
    front = front_of(exported, sent.message)
    assert b"Return-Path: <somchai@opm.go.th>" in front
    assert sent.mail_id.encode() in front
    assert attachments_of(exported) == {ATTACHMENT_NAME: hashlib.sha256(sent.attachment).hexdigest()}


def test_the_third_agencys_own_server_received_it(sent: Sent) -> None:
    maildir = sent.gateway.data / "dld.go.th" / "Maildir" / "new"
    received = [octets for octets in map(Path.read_bytes, maildir.iterdir()) if sent.message in octets]
    assert len(received) == 1
    assert received[0].endswith(sent.message)
    assert b"Delivered-To: farm@dld.go.th" in received[0]


def test_the_trace_tells_the_whole_story_in_time_order(sent: Sent) -> None:
    for criteria in (("--mail-id", sent.mail_id), ("--message-id", sent.message_id)):
        mails = sent.gateway.trace(*criteria)
        assert [mail["mail_id"] for mail in mails] == [sent.mail_id]
        steps = mails[0]["steps"]
        topics = [step["topic"] for step in steps]
        expected = ["mail.accepted/1", *["mail.delivered/1"] * 2, "mail.queued/1", "mail.relayed/1"]
        assert sorted(topics) == sorted(expected)
        assert topics[0] == "mail.accepted/1"
        assert topics[-1] == "mail.relayed/1"
        assert [step["position"] for step in steps] == sorted(step["position"] for step in steps)
        assert [step["at"] for step in steps] == sorted(step["at"] for step in steps)
        ended = {address for step in steps if "queued" not in step["topic"] for address in step["addresses"]}
        assert ended == set(RECIPIENTS)


def test_every_way_to_ask_finds_it(sent: Sent) -> None:
    ways = (
        ("--from", "somchai@opm.go.th"),
        ("--to", "farm@dld.go.th"),
        ("--ip", "127.0.0.1"),
        ("--subject", "ขอเชิญประชุม"),
        ("--since", "2020-01-01"),
    )
    for way in ways:
        found = sent.gateway.trace(*way, "--limit", "100000")
        # Recipients that other tests' senders were refused are told of too: they have no mail.
        assert sent.mail_id in [mail["mail_id"] for mail in found if "mail_id" in mail], way


def test_sent_twice_the_attachment_is_one_object_and_only_there(sent: Sent) -> None:
    again = thai_message(new_message_id(), to=RECIPIENTS, attachment=sent.attachment)
    sent.send(again)
    new = objects(sent.gateway, "attachments/").items() - sent.attachments_before.items()
    assert len(new) == 1, new
    ((_, octets),) = new
    assert ATTACHMENT_OCTETS <= octets < ATTACHMENT_OCTETS * 1.01, "random octets do not shrink"
    assert contents_octets(sent.gateway) - sent.contents_before < ATTACHMENT_OCTETS / 4
