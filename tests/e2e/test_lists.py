"""A list takes a mail to its members here and elsewhere, by its own return path, and never twice."""

import asyncio
import email
from pathlib import Path

import pytest

from tests.e2e.gateway import CommandFailed, Gateway
from tests.e2e.load import send_one
from tests.e2e.messages import new_message_id, thai_message

LIST = "ทุกคน@opdc.go.th"
MEMBERS = ["malee@opdc.go.th", "somchai@opm.go.th", "farm@dld.go.th"]


@pytest.fixture(scope="module")
def listed(gateway: Gateway) -> Gateway:
    gateway.cli("list", "add", LIST, "--name", "ทุกคน", "--posting", "named", "--poster", "somchai@opm.go.th")
    assert gateway.cli("list", "add-member", LIST, *MEMBERS, MEMBERS[0])["added"] == len(MEMBERS)
    gateway.wait_idle()
    return gateway


def send(gateway: Gateway, message: bytes, mail_from: str = "somchai@opm.go.th") -> None:
    code, said, _ = asyncio.run(send_one(gateway.address("smtp"), mail_from, [LIST], message))
    assert code == 250, said


def test_every_member_gets_it_once_from_the_list(listed: Gateway) -> None:
    before = {address: len(listed.mailbox(address)) for address in MEMBERS[:2]}
    message = thai_message(new_message_id(), to=[LIST], attachment=b"x" * 100_000)
    send(listed, message)
    listed.wait_idle()
    for address in MEMBERS[:2]:
        rows = listed.mailbox(address)
        assert len(rows) == before[address] + 1
        exported = listed.export(address, max(row["uid"] for row in rows))
        assert exported.endswith(message)
        front = email.message_from_bytes(exported)
        assert front["Precedence"] == "list"
        assert front["List-Id"].endswith(".opdc.go.th>")
        assert exported.startswith("Return-Path: <ทุกคน-bounces@opdc.go.th>\r\n".encode())
    maildir = listed.data / "dld.go.th" / "Maildir" / "new"
    assert sum(message in octets for octets in map(Path.read_bytes, maildir.iterdir())) == 1

    send(listed, exported)  # as a member's forwarding would bring it back
    listed.wait_idle()
    assert [len(listed.mailbox(address)) for address in MEMBERS[:2]] == [
        before[MEMBERS[0]] + 1,
        before[MEMBERS[1]] + 2,  # the sender is told
    ]
    (told,) = [
        step
        for mail in listed.trace("--to", LIST, "--limit", "1000")
        for step in mail["steps"]
        if step["topic"] == "mail.bounced/1"
    ]
    assert told["status"] == "5.4.6"


def test_who_may_not_post_gets_it_back(listed: Gateway) -> None:
    before = len(listed.mailbox("malee@opdc.go.th"))
    send(listed, thai_message(new_message_id(), to=[LIST], attachment=b"x"), "malee@opdc.go.th")
    listed.wait_idle()
    rows = listed.mailbox("malee@opdc.go.th")
    assert len(rows) == before + 1
    assert b"5.7.2" in listed.export("malee@opdc.go.th", max(row["uid"] for row in rows))


def test_members_are_shown_and_taken_off(listed: Gateway, tmp_path: Path) -> None:
    file = tmp_path / "more.txt"
    file.write_text("one@example.org\n\nสอง@example.org\n", "utf-8")
    assert listed.cli("list", "add-member", LIST, "--file", str(file))["added"] == 2
    listed.cli("list", "remove-member", LIST, "one@example.org", "--yes")
    shown = [row["member"] for row in listed.cli("list", "members", LIST)]
    assert shown == [*MEMBERS, "สอง@example.org"]
    listed.cli("list", "remove-member", LIST, "สอง@example.org", "--yes")
    with pytest.raises(CommandFailed, match="is no list"):
        listed.cli("list", "members", "somchai@opm.go.th")


def test_log_content_rows_and_queue_hold_together(listed: Gateway) -> None:
    assert listed.cli("check", "--all")["verdict"] == "whole"
