"""What somebody deleted comes back: expunged by IMAP, brought back by the operator, once.

What a client puts into a mailbox is looked after as what was sent is.
"""

import asyncio
import imaplib
import ssl
from collections.abc import Iterator

import pytest

from tests.e2e.gateway import CommandFailed, Gateway
from tests.e2e.load import host_and_port, send_one
from tests.e2e.messages import new_message_id, thai_message

ADDRESS = "ลืม@opm.go.th"
PASSWORD = "for-tests-alone"
FOLDER = "&DgcOMg4Z-"  # งาน in modified UTF-7 (RFC 3501 §5.1.3)


@pytest.fixture
def client(gateway: Gateway) -> Iterator[imaplib.IMAP4_SSL]:
    gateway.cli("account", "add", ADDRESS, "--name", "ลืม", "--password", PASSWORD)
    gateway.wait_idle()
    context = ssl.create_default_context(cafile=gateway.ready["ca_file"])
    context.check_hostname = False
    with imaplib.IMAP4_SSL(*host_and_port(gateway.address("imaps")), ssl_context=context) as client:
        client.authenticate("PLAIN", lambda _: f"\0{ADDRESS}\0{PASSWORD}".encode())
        yield client


def done(answer: tuple[str, list[object]]) -> None:
    assert answer[0] == "OK", answer


def test_what_was_expunged_comes_back_once(gateway: Gateway, client: imaplib.IMAP4_SSL) -> None:
    messages = [thai_message(new_message_id(), to=[ADDRESS], attachment=b"") for _ in range(3)]
    for message in messages:
        code, said, _ = asyncio.run(send_one(gateway.address("smtp"), "ann@example.org", [ADDRESS], message))
        assert code == 250, said
    gateway.wait_idle()
    done(client.create(FOLDER))
    done(client.select("INBOX"))
    done(client.uid("MOVE", "1", FOLDER))
    done(client.uid("STORE", "2", "+FLAGS", "(\\Deleted \\Seen)"))
    done(client.expunge())
    done(client.delete(FOLDER))

    assert [row["uid"] for row in gateway.mailbox(ADDRESS)] == [3]
    restore = ("mailbox", "restore", ADDRESS)
    lost = gateway.cli(*restore, "--list")
    assert [(row["mailbox"], row["uid"]) for row in lost] == [("งาน", 1), ("INBOX", 2)]
    with pytest.raises(CommandFailed, match="say which with --mailbox"):
        gateway.cli(*restore)
    back = gateway.cli(*restore, "--mailbox", "inbox", "--uid", "1:2", "--since", lost[1]["expunged"])
    assert back == {"messages": 1, "mailboxes": {"INBOX": 1}}
    assert gateway.cli(*restore, "--all") == {"messages": 1, "mailboxes": {"INBOX": 1}}
    with pytest.raises(CommandFailed, match="nothing of that to bring back"):
        gateway.cli(*restore, "--all")

    rows = gateway.mailbox(ADDRESS)
    assert [(row["mailbox"], row["uid"], row["flags"]) for row in rows] == [
        ("INBOX", 3, ""), ("INBOX", 4, "\\Seen"), ("INBOX", 5, ""),
    ]  # fmt: skip
    assert gateway.export(ADDRESS, 4).endswith(messages[1])
    (inbox,) = (row for row in gateway.cli("mailbox", "folders", ADDRESS) if row["mailbox"] == "INBOX")
    assert (inbox["messages"], inbox["unseen"], inbox["use"]) == (3, 2, "inbox")

    done(client.append("INBOX", "(\\Draft)", None, messages[0]))
    brought = ("message.appended/1", "message.moved_in/1")  # with a content that is looked after
    appended = sum(one["topic"] in brought for one in gateway.events("message."))
    checked = gateway.cli("check")
    assert appended > 0
    assert (checked["verdict"], checked["content"]["of"]) == (
        "whole",
        checked["mails"]["accepted"] + appended,
    )
