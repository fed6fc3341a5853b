"""Issue 3/9: throttles hold over many relay processes.

Three relays, an agency whose server bears five connections, and that server never sees a sixth, whoever is
killed: always the relay that has most of them.
"""

import asyncio
import smtplib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from anyio.from_thread import start_blocking_portal

from tests.e2e.gateway import Gateway, running_gateway
from tests.e2e.messages import new_message_id
from tests.e2e.test_storm import connections_of
from tests.misbehaving import Server, Session, listening
from tests.sizes import size

SENDER: Final = "malee@opdc.go.th"
DOMAIN: Final = "narrow.example.org"
CONNECTIONS: Final = 5
MAILS: Final = size(80, 10_000)
KILLS: Final = size(2, 40)
RELAYS: Final = ("relay", "relay-2", "relay-3")
ENV: Final = {"SARABAN_RELAYS": str(len(RELAYS)), "SARABAN_RELAY_RETRY_FIRST_S": "1"}
PATIENCE_S: Final = float(size(300, 3600))


@dataclass
class Thorough(Server):
    """Takes its time for each mail: there are always more than its connections bring."""

    pause_s: float = 0.05

    async def answer(self, session: Session, word: str, line: str) -> str:
        if word == ".":
            await asyncio.sleep(self.pause_s)
        return await super().answer(session, word, line)


@contextmanager
def listening_in_a_thread(server: Server) -> Iterator[None]:
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(listening(server)):
        yield


def send(gateway: Gateway) -> set[str]:
    """One mail after the other: their Message-IDs."""
    host, _, port = gateway.address("smtp").rpartition(":")
    message_ids = [new_message_id() for _ in range(MAILS)]
    with smtplib.SMTP(host, int(port), timeout=60) as smtp:
        for number, message_id in enumerate(message_ids):
            message = f"From: {SENDER}\r\nSubject: q\r\nMessage-ID: {message_id}\r\n\r\nHi.\r\n"
            smtp.sendmail(SENDER, [f"u{number}@{DOMAIN}"], message.encode())
    return set(message_ids)


def busiest(gateway: Gateway, port: int) -> str:
    """The relay with most connections to that port; "" when one of them does not run now."""
    pids = {role: gateway.pids(role) for role in RELAYS}
    if not all(pids.values()):
        return ""
    return max(RELAYS, key=lambda role: connections_of(pids[role][0], port))


def test_an_agencys_server_never_sees_one_connection_more_than_it_bears(tmp_path: Path) -> None:
    server = Thorough()
    with running_gateway(tmp_path, env=ENV) as gateway, listening_in_a_thread(server):
        hop = ("--domain", DOMAIN, "--relay-to", str(server.hop))
        agency_id = gateway.cli("agency", "add", "Narrow", *hop)["agency_id"]
        gateway.cli("agency", "limits", agency_id, "--relay-connections", str(CONNECTIONS))
        assert gateway.cli("agency", "show", agency_id)["relay_connections_max"] == CONNECTIONS
        message_ids = send(gateway)
        for kill in range(1, KILLS + 1):
            _kill_the_busiest(gateway, server, kill * MAILS // (KILLS + 1))
        gateway.wait(lambda: message_ids <= server.times_taken.keys(), "it has all mails", PATIENCE_S)
        gateway.wait_idle(PATIENCE_S)
        checked = gateway.cli("queue", "check")

    doubled = sum(server.times_taken.values()) - MAILS
    print(
        f"{MAILS} mails over {len(server.sessions)} connections, {server.most_at_once} at once at most; "
        f"{KILLS} relays killed, {doubled} mails came twice"
    )
    assert server.most_at_once == CONNECTIONS
    assert checked["faults"] == []
    assert doubled <= checked["possible_doubles"] <= KILLS * CONNECTIONS


def _kill_the_busiest(gateway: Gateway, server: Server, mails: int) -> None:
    """When the server has so many mails, and all relays run. What waits is seen meanwhile."""
    gateway.wait(lambda: len(server.mails) >= mails, f"{mails} mails came", PATIENCE_S)
    for shown in gateway.cli("queue", "list", "--domain", DOMAIN):
        assert shown["connections"] <= shown["connections_max"] == CONNECTIONS
    gateway.wait(partial(busiest, gateway, server.hop.port), "all relays run", PATIENCE_S)
    gateway.kill(busiest(gateway, server.hop.port))
