"""Addresses and accounts as an administrator gives and takes them, seen by who sends mail."""

import asyncio
from functools import partial

import pytest

from tests.e2e.gateway import Gateway
from tests.e2e.load import send_one
from tests.e2e.messages import new_message_id, thai_message

OFFICE = "สำนักงาน@opdc.go.th"
ACCOUNT = "leaver@opdc.go.th"


@pytest.fixture(scope="module")
def agency_id(gateway: Gateway) -> str:
    """The agency of opdc.go.th, with an account more than the demonstration has."""
    gateway.cli("account", "add", ACCOUNT, "--name", "ผู้ลาออก")
    return next(
        str(row["agency_id"]) for row in gateway.cli("agency", "list") if "opdc.go.th" in row["domains"]
    )


def send(gateway: Gateway, recipients: list[str]) -> int:
    """The code of the answer, to a message that nobody wants a report about."""
    message = thai_message(new_message_id(), to=recipients, attachment=b"")
    code, _, _ = asyncio.run(send_one(gateway.address("smtp"), "", recipients, message))
    return code


def test_all_addresses_of_an_account_are_one_mailbox(gateway: Gateway, agency_id: str) -> None:
    gateway.cli("alias", "add", OFFICE, "--of", ACCOUNT)
    gateway.cli("agency", "contact", agency_id, "--account", OFFICE)
    gateway.wait(lambda: gateway.found("alias", "list", "--of", OFFICE) != [], "the rows know the alias")
    assert OFFICE in gateway.cli_octets("alias", "list", "--of", ACCOUNT).decode()

    assert send(gateway, [ACCOUNT, "leaver+tag@opdc.go.th", "postmaster@opdc.go.th"]) == 250
    gateway.wait_idle()
    assert len(gateway.mailbox(OFFICE)) == 1


def test_mail_to_a_closed_account_is_refused_until_it_is_active_again(
    gateway: Gateway, agency_id: str
) -> None:
    def is_shown(status: str) -> bool:
        found = gateway.cli("account", "list", "--agency", agency_id)
        return any((row["address"], row["status"]) == (ACCOUNT, status) for row in found)

    def is_answered_by(code: int) -> bool:
        return send(gateway, [ACCOUNT]) == code

    for command, code in (("suspend", 250), ("close", 550), ("activate", 250)):
        yes = () if command == "activate" else ("--yes",)
        told = gateway.cli("account", command, ACCOUNT, "--reason", "ทดสอบ", *yes)
        gateway.wait(partial(is_shown, told["status"]), f"the rows say {told['status']}")
        gateway.wait(partial(is_answered_by, code), f"RCPT is answered by {code} after {command}")
