"""A domain replaces another: both addresses are one mailbox; and what nobody has is caught."""

import asyncio

import pytest

from tests.e2e.gateway import Gateway
from tests.e2e.load import send_one
from tests.e2e.messages import new_message_id, thai_message

OLD, NEW = "อธิบดี@เดิม.ไทย", "อธิบดี@ใหม่.ไทย"
DESK = "desk@เดิม.ไทย"


@pytest.fixture(scope="module")
def renamed(gateway: Gateway) -> Gateway:
    """An agency of its own, whose domain was replaced and whose desk catches what nobody has."""
    made = gateway.cli("agency", "add", "กรมเดิม", "--domain", "เดิม.ไทย")["agency_id"]
    for address in (OLD, DESK):
        gateway.cli("account", "add", address, "--password", "a long enough password")
    gateway.cli("agency", "rename", made, "กรมใหม่")
    gateway.cli("agency", "domain", "replace", made, "เดิม.ไทย", "ใหม่.ไทย", "--yes")
    gateway.cli("agency", "catch-all", made, DESK)
    gateway.wait_idle()
    return gateway


def send(gateway: Gateway, rcpt_to: str) -> bytes:
    message = thai_message(new_message_id(), to=[rcpt_to], attachment=b"x")
    code, said, _ = asyncio.run(send_one(gateway.address("smtp"), "ann@example.org", [rcpt_to], message))
    assert code == 250, said
    return message


def test_mail_to_either_name_comes_into_the_same_mailbox(renamed: Gateway) -> None:
    messages = [send(renamed, address) for address in (OLD, NEW)]
    renamed.wait_idle()
    for address in (OLD, NEW):
        rows = renamed.mailbox(address)
        assert len(rows) == 2
        for row, sent in zip(rows, messages, strict=True):
            assert renamed.export(address, row["uid"]).endswith(sent)
        mails = renamed.trace("--to", address)
        assert len(mails) == 2
        assert [mail["called_now"] for mail in mails] == [{OLD: NEW}, {}]
        assert list(mails[0]["agencies"].values()) == ["กรมใหม่ (formerly กรมเดิม)"]


def test_what_nobody_has_is_caught(renamed: Gateway) -> None:
    before = len(renamed.mailbox(DESK))
    message = send(renamed, "nobody@ใหม่.ไทย")
    renamed.wait_idle()
    rows = renamed.mailbox(DESK)
    assert len(rows) == before + 1
    assert renamed.export(DESK, max(row["uid"] for row in rows)).endswith(message)
