"""`saraban account show`: one account, where its mail goes, and when its password was set last."""

from dataclasses import asdict
from typing import Any, Final
from urllib.parse import quote

import click

from gateway.cli.desk import ADDRESS, Where, administering
from gateway.cli.forwarding import rule_of, told
from gateway.cli.output import cell, nothing, say
from gateway.cli.remote import Remote
from gateway.mail.address import Address
from gateway.wiring.desk import Desk
from projections.directory.passwords import password_of
from projections.directory.query import account_of

SHOWN: Final = ("account_id", "address", "display_name", "status", "kind", "quota_octets", "agency_id")


@click.command("show")
@click.argument("address", type=ADDRESS)
@administering
async def show(desk: Where, address: Address) -> None:
    """One account: what it is, when its password was set and by whom, and where its mail goes.

    Example: saraban account show somchai@opm.go.th
    """
    found = await _there(desk, address) if isinstance(desk, Remote) else await _here(desk, address)
    rule = await rule_of(desk, address)
    lines = [f"{name:<14}{cell(found[name])}" for name in SHOWN]
    password = f"{'password':<14}{_told(found['password'])}"
    say("\n".join([*lines, password, *told(rule)]), **found, forwarding=rule)


async def _there(remote: Remote, address: Address) -> dict[str, Any]:
    return dict(await remote.ask("GET", f"/accounts/{quote(str(address), safe='@')}"))


async def _here(desk: Desk, address: Address) -> dict[str, Any]:
    async with desk.pool.rows() as rows:
        found = await account_of(rows, address)
        if found is None:
            nothing(f"{address} is no account here")
        password = await password_of(rows, found.account_id)
    return {**asdict(found), "password": asdict(password) if password else None}


def _told(password: dict[str, Any] | None) -> str:
    if password is None:
        return "none was set that is on record"
    return f"set {cell(password['set_at'])} ({cell(password['how'])}) by {cell(password['set_by'])}"
