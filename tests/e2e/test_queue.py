"""A postmaster and the queue: a next hop that is away, and everything that can be done about it."""

import asyncio
import smtplib
import socket
from collections.abc import Iterator
from typing import Any, Final

import pytest

from tests.e2e.gateway import CommandFailed, Gateway, eventually
from tests.e2e.messages import new_message_id
from tests.e2e.sink import running_sink

SENDER: Final = "malee@opdc.go.th"
AWAY: Final = "away.example.org"
WHY: Final = "ทดสอบ"


@pytest.fixture(scope="module")
def closed_port() -> Iterator[int]:
    """A port of ours where nobody answers."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.fixture(scope="module")
def away(gateway: Gateway, closed_port: int) -> str:
    """An agency whose next hop does not answer."""
    gateway.cli("agency", "add", "Away", "--domain", AWAY, "--relay-to", f"127.0.0.1:{closed_port}")
    gateway.wait_idle()  # RCPT is answered by rows
    return AWAY


def send(gateway: Gateway, *recipients: str) -> None:
    host, _, port = gateway.address("smtp").rpartition(":")
    message = f"From: {SENDER}\r\nSubject: q\r\nMessage-ID: {new_message_id()}\r\n\r\nHi.\r\n"
    with smtplib.SMTP(host, int(port), timeout=60) as smtp:
        smtp.sendmail(SENDER, recipients, message.encode())


def waiting(gateway: Gateway, *which: str) -> list[dict[str, Any]]:
    return gateway.found("queue", "list", "--recipients", "--domain", AWAY, *which)


def is_tried(gateway: Gateway, number: int) -> bool:
    return [row["attempt"] >= 1 for row in waiting(gateway)] == [True] * number


async def test_what_waits_is_seen_held_rerouted_and_cancelled(gateway: Gateway, away: str) -> None:
    send(gateway, f"a@{away}", f"b@{away}")
    send(gateway, f"c@{away}")
    gateway.wait(lambda: is_tried(gateway, 3), "each was tried, and is deferred")
    (destination,) = gateway.cli("queue", "list", "--domain", away)
    assert (destination["recipients"], destination["mails"], destination["held"]) == (3, 2, 0)
    assert gateway.cli("queue", "check")["waiting"] >= 3

    held = gateway.cli("queue", "hold", "--to", f"c@{away}", "--reason", WHY)
    assert (held["changed"], held["unchanged"]) == (1, 0)
    assert [row["address"] for row in waiting(gateway, "--held")] == [f"c@{away}"]

    before = {row["address"]: row["attempt"] for row in waiting(gateway)}
    drained = gateway.cli("queue", "drain", "--domain", away, "--reason", WHY)
    assert drained == {"deferred": 2}
    after = {row["address"]: row["attempt"] for row in waiting(gateway)}
    assert {address for address in after if after[address] > before[address]} == {f"a@{away}", f"b@{away}"}

    before = len(gateway.mailbox(SENDER))
    to_b = ("--to", f"b@{away}", "--reason", WHY)
    with pytest.raises(CommandFailed, match="say --yes"):
        gateway.cli("queue", "cancel", *to_b)
    assert gateway.cli("queue", "cancel", *to_b, "--yes")["changed"] == 1
    gateway.wait(lambda: len(gateway.mailbox(SENDER)) == before + 1, "the sender has the report")
    report = gateway.export(SENDER, gateway.mailbox(SENDER)[-1]["uid"])
    assert b"Action: failed" in report
    assert f"b@{away}".encode() in report
    assert WHY.encode() not in report

    def reroute(via: str) -> None:
        here = ("--domain", away, "--reason", WHY)
        assert gateway.cli("queue", "reroute", "--via", via, *here)["changed"] == 2
        gateway.cli("queue", "release", *here)
        gateway.cli("queue", "drain", *here)
        gateway.wait(lambda: waiting(gateway) == [], "nothing waits any more")

    async with running_sink() as sink:
        await asyncio.to_thread(reroute, sink.address)
        assert sorted(reception.recipients for reception in sink.receptions) == [
            (f"a@{away}",),
            (f"c@{away}",),
        ]
    told = {step["topic"] for mail in gateway.trace("--to", f"c@{away}") for step in mail["steps"]}
    assert told >= {"delivery.held/1", "delivery.rerouted/1", "delivery.released/1", "mail.relayed/1"}
    checked = gateway.cli("queue", "check")
    assert checked["cancelled"] == 1
    assert checked["faults"] == []


def test_what_comes_is_held_whatever_is_killed_until_its_destination_is_released(
    gateway: Gateway, away: str
) -> None:
    here, mine = ("--domain", away, "--reason", WHY), ("--to", f"comes@{away}")
    begun = gateway.cli("queue", "hold", *here, "--standing")
    assert begun["stands"]
    (hold,) = gateway.cli("queue", "holds")
    assert (hold["what"], hold["name"], hold["why"]) == ("domain", away, WHY)
    assert gateway.cli("status")["held"] == [away]
    gateway.kill("relay")
    gateway.kill("projector")
    send(gateway, f"comes@{away}")
    gateway.wait(lambda: [row["is_held"] for row in waiting(gateway, *mine)] == [True], "what came is held")
    (destination,) = gateway.cli("queue", "list", "--domain", away)
    assert destination["held_since"] == hold["since"]
    assert gateway.cli("queue", "check")["faults"] == []
    assert gateway.cli("queue", "release", *here) == {"changed": 1, "unchanged": 0, "busy": 0, "stands": True}
    gateway.wait(lambda: [row["attempt"] > 0 for row in waiting(gateway, *mine)] == [True], "it is tried")
    assert gateway.cli("queue", "holds") == []
    assert gateway.cli("queue", "cancel", *here, "--silently", "--yes")["changed"] == 1


async def test_a_retry_has_a_destination_asked_that_was_suspended(gateway: Gateway) -> None:
    here = ("--domain", "suspended.example.org", "--reason", WHY)
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        gateway.cli("agency", "add", "Suspended", *here[:2], "--relay-to", f"127.0.0.1:{port}")
        gateway.wait_idle()  # the edge knows the domain
        send(gateway, f"a@{here[1]}")

        def is_suspended() -> bool:
            shown = gateway.cli("queue", "list", *here[:2])
            if any(each["suspended_at"] for each in shown):
                return True
            gateway.cli("queue", "drain", *here)  # one connection more that comes to nothing
            return False

        gateway.wait(is_suspended, "nobody connects any more")
    async with running_sink(port=port) as sink:
        await asyncio.to_thread(gateway.cli, "queue", "retry", *here)
        await eventually(lambda: len(sink.receptions) == 1, "the mail came")
    gateway.wait_idle()
    (mail,) = gateway.trace("--to", f"a@{here[1]}")
    assert [step["topic"] for step in mail["steps"]][-2:] == ["delivery.retried/1", "mail.relayed/1"]


def test_what_is_not_there_is_said(gateway: Gateway) -> None:
    for words, code, said in (
        (("hold", "--reason", WHY), 2, "say what"),
        (("retry", "--domain", "nothing.example", "--reason", WHY), 3, "nothing that waits matches"),
        (("reroute", "--domain", AWAY, "--reason", WHY), 2, "say which way"),
        (("show", "mail_00000000000000000000000000"), 3, "was ever queued"),
    ):
        with pytest.raises(CommandFailed) as failed:
            gateway.cli("queue", *words)
        assert failed.value.code == code
        assert said in failed.value.said
