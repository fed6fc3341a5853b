"""An agency's server is away: a gateway with two relays brings its mail to the backup, and says so once."""

import smtplib
import socket
from pathlib import Path
from typing import Final

from anyio.from_thread import start_blocking_portal

from tests.e2e.gateway import REASON, Gateway, running_gateway
from tests.e2e.messages import new_message_id
from tests.e2e.sink import running_sink

SETTINGS: Final = {"SARABAN_RELAYS": "2", "SARABAN_RELAY_RETRY_FIRST_S": "1"}


def send(gateway: Gateway) -> None:
    host, _, port = gateway.address("smtp").rpartition(":")
    message = f"From: ann@example.org\r\nMessage-ID: {new_message_id()}\r\n\r\nHello.\r\n"
    with smtplib.SMTP(host, int(port), timeout=60) as smtp:
        assert smtp.sendmail("ann@example.org", ["vet@dld.go.th"], message.encode()) == {}


def test_the_backup_has_the_mail_of_a_server_that_is_away(tmp_path: Path) -> None:
    with (
        socket.socket() as nobody,
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(running_sink()) as backup,
        running_gateway(tmp_path, demo=False, env=SETTINGS) as gateway,
    ):
        nobody.bind(("127.0.0.1", 0))  # and does not listen
        main = f"127.0.0.1:{nobody.getsockname()[1]}"
        added = gateway.cli("agency", "add", "DLD", "--domain", "dld.go.th", "--relay-to", main)
        dld = added["agency_id"]
        route = ("--main", main, "--backup", backup.address, "--down-for", "1s")
        gateway.cli("agency", "route", "set", dld, *route, "--reason", REASON, "--yes")
        gateway.wait_idle()
        send(gateway)
        gateway.wait(lambda: len(backup.receptions) == 1, "the backup has the mail")
        gateway.wait_idle()

        shown = gateway.cli("agency", "route", "show", dld)
        assert (shown["way"], shown["main"][0]["silent_for_s"] >= 1) == ("backup", True), shown
        (switched,) = gateway.events("agency.route_switched/1")
        assert switched["event"]["way"] == "backup"
        assert gateway.cli("status")["on_backup"] == [dld]
        (mail,) = gateway.trace("--to", "vet@dld.go.th")
        hosts = [step["remote_host"] for step in mail["steps"] if step["remote_host"]]
        assert (hosts[0], hosts[-1]) == (main, backup.address)
