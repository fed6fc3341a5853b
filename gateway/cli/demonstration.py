"""The demonstration: two agencies with mailboxes here, one with a mail server of its own.

Made once; a start that was killed in between goes on where it was. The accounts' passwords are kept beside
the other secrets, so that every start can print them.
"""

import json
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from gateway.cli.registering import open_account, registry
from gateway.domain.agency import NextHop
from gateway.domain.registration import Refused
from gateway.mail.address import parse_address
from gateway.mail.ids import AgencyId
from gateway.processes.registry.reading import Reading
from gateway.processes.up.credentials import write_secret
from gateway.settings import Settings, split_address
from gateway.wiring.desk import Desk, open_desk

AGENCIES: Final = {
    "opm.go.th": "สำนักนายกรัฐมนตรี (Office of the Prime Minister)",
    "opdc.go.th": "สำนักงาน ก.พ.ร. (OPDC)",
}
RELAYED: Final = ("dld.go.th", "กรมปศุสัตว์ (Department of Livestock Development)")
ACCOUNTS: Final = {
    "somchai@opm.go.th": "สมชาย ใจดี",
    "saraban@opm.go.th": "สารบรรณกลาง",
    "malee@opdc.go.th": "มาลี มีสุข",
    "saraban@opdc.go.th": "สารบรรณกลาง",
}


async def demonstrate(settings: Settings) -> Sequence[Mapping[str, str]]:
    """Make what is missing of the demonstration; address and password of each account."""
    file = settings.data / "secrets" / "demo.json"
    passwords = _passwords(file)
    async with open_desk(settings) as desk:
        relayed, name = RELAYED
        await _agency(desk, relayed, name, NextHop(*split_address(settings.demo_next_hop)))
        for domain, name in AGENCIES.items():
            agency_id = await _agency(desk, domain, name, None)
            for address, display_name in ACCOUNTS.items():
                if address.endswith(f"@{domain}"):
                    await _account(desk, agency_id, address, display_name, passwords[address])
    return [{"address": address, "password": password} for address, password in passwords.items()]


def _passwords(file: Path) -> dict[str, str]:
    if file.exists():
        kept: dict[str, str] = json.loads(file.read_bytes())
        return kept
    # Hexadecimal: one that begins with "-" is an option to programs that take it on their command line.
    made = {address: secrets.token_hex(8) for address in ACCOUNTS}
    write_secret(file, json.dumps(made).encode())
    return made


async def _agency(desk: Desk, domain: str, name: str, relay_to: NextHop | None) -> AgencyId:
    claim, _ = await Reading(desk.log, desk.keys).claim_of(domain)
    if claim is None:
        return await registry(desk).add_agency(name, [domain], relay_to=relay_to)
    return claim.agency_id


async def _account(desk: Desk, agency_id: AgencyId, address: str, display_name: str, password: str) -> None:
    try:
        await open_account(desk, agency_id, parse_address(address), password, display_name=display_name)
    except Refused:  # given out by an earlier start
        return
