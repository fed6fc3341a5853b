"""`saraban account show`: one account, and when its password was set last."""

from dataclasses import asdict
from typing import Any, Final
from urllib.parse import quote

import click

from gateway.cli.desk import ADDRESS, Where, administering
from gateway.cli.output import as_json, cell, nothing, print_json
from gateway.cli.remote import Remote
from gateway.mail.address import Address
from gateway.wiring.desk import Desk
from projections.directory.passwords import password_of
from projections.directory.query import account_of

SHOWN: Final = (
    "account_id", "address", "display_name", "status", "reason", "kind", "quota_octets", "agency_id",
    "created_at",
)  # fmt: skip


@click.command("show")
@click.argument("address", type=ADDRESS)
@administering
async def show(desk: Where, address: Address) -> None:
    """The account an address belongs to, and when its password was set last, how and by whom.

    Example: saraban account show somchai@opm.go.th
    """
    found = await _there(desk, address) if isinstance(desk, Remote) else await _here(desk, address)
    if as_json():
        print_json(found)
        return
    for name in SHOWN:
        click.echo(f"{name.replace('_', ' '):<13} {cell(found[name])}")
    click.echo(f"{'password':<13} {_told(found['password'])}")


async def _there(remote: Remote, address: Address) -> dict[str, Any]:
    return dict(await remote.ask("GET", f"/accounts/{quote(str(address), safe='')}"))


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
