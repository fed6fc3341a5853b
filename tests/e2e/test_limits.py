"""Limits people meet, and the traffic log, through the whole gateway."""

import asyncio
import csv
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.e2e.gateway import Gateway
from tests.e2e.load import send_one
from tests.e2e.messages import new_message_id, thai_message

DESK = "small@opdc.go.th"
QUOTA = 200_000


def send(gateway: Gateway, recipient: str, octets: int) -> tuple[int, str]:
    """The code of the answer, and the Message-ID of what was sent."""
    message_id = new_message_id()
    message = thai_message(message_id, to=[recipient], attachment=bytes(octets))
    code, _, _ = asyncio.run(send_one(gateway.address("smtp"), "", [recipient], message))
    return code, message_id


def test_a_mailbox_takes_mail_until_it_is_full(gateway: Gateway) -> None:
    gateway.cli("account", "add", DESK, "--name", "โต๊ะเล็ก", "--quota", str(QUOTA))
    gateway.wait(lambda: send(gateway, DESK, 1_000)[0] == 250, "the rows know the account")
    for _ in range(5):
        code, _ = send(gateway, DESK, 100_000)
        gateway.wait_idle()
        if code != 250:
            break
    gateway.wait(lambda: send(gateway, DESK, 1_000)[0] == 452, "the mailbox is full")
    assert 2 <= len(gateway.mailbox(DESK)) <= 4


def test_the_traffic_log_tells_of_sessions_and_mails(gateway: Gateway, tmp_path: Path) -> None:
    code, message_id = send(gateway, "malee@opdc.go.th", 10)
    assert code == 250
    gateway.wait(lambda: gateway.trace("--message-id", message_id) != [], "the mail is a row")
    (mail,) = gateway.trace("--message-id", message_id)
    now = datetime.now(UTC)
    span = ["--since", str(now - timedelta(hours=1)), "--until", str(now + timedelta(hours=1))]
    file = tmp_path / "traffic.csv"

    def rows(kind: str) -> list[dict[str, str]]:
        gateway.cli("trace", "export", *span, "--format", "csv", "--output", str(file))
        with file.open(encoding="utf-8-sig", newline="") as text:
            return [row for row in csv.DictReader(text) if row["kind"] == kind]

    gateway.wait(lambda: len(rows("session")) > 0, "a session is a row")
    assert file.stat().st_mode & 0o777 == 0o600
    (sent,) = [row for row in rows("mail") if row["mail_id"] == mail["mail_id"]]
    assert (sent["remote_ip"], sent["rcpt_to"]) == ("127.0.0.1", "malee@opdc.go.th")
    assert int(sent["remote_port"]) > 0
    sessions = rows("session")  # of other tests too, at other listeners
    assert "smtp" in {row["listener"] for row in sessions}
    assert all(row["outcome"] for row in sessions)

    lines = tmp_path / "traffic.jsonl"
    gateway.cli("trace", "export", *span, "--format", "jsonl", "--output", str(lines))
    assert mail["mail_id"] in {json.loads(line)["mail_id"] for line in lines.read_text().splitlines()}
    assert gateway.events("trace.exported/1")[-1]["event"]["actor"]["kind"] == "operator"
