"""`saraban app-password`: further passwords, one for each program."""

from dataclasses import asdict
from datetime import datetime, timedelta

import click

from gateway.cli.desk import ADDRESS, at_desk, confirm
from gateway.cli.output import nothing, print_rows, say
from gateway.cli.registering import app_passwords
from gateway.domain.app_passwords import PROTOCOLS, Protocol, Use
from gateway.mail.address import Address
from gateway.wiring.desk import Desk
from projections.directory import query as directory


@click.group("app-password")
def app_password() -> None:
    """App passwords: one for each program, shown once, revoked alone.

    Example: saraban app-password make somchai@opm.go.th --label 'โทรศัพท์'
    """


@app_password.command("make")
@click.argument("address", type=ADDRESS)
@click.option("--label", required=True, help="What it is for, e.g. 'Thunderbird at home'.")
@click.option("--days", type=click.IntRange(1, 3650), help="It ends after so many days [default: never].")
@click.option("--protocol", "protocols", multiple=True, type=click.Choice(PROTOCOLS), help="Only by this.")
@click.option("--network", "networks", multiple=True, help="Only from there, e.g. 192.0.2.0/24.")
@at_desk
async def make(
    desk: Desk,
    address: Address,
    label: str,
    days: int | None,
    protocols: tuple[Protocol, ...],
    networks: tuple[str, ...],
) -> None:
    """Make a further password for an account and show it once.

    Example: saraban app-password make somchai@opm.go.th --label printer --network 192.0.2.0/24
    """
    expires_at: datetime | None = desk.clock.now() + timedelta(days=days) if days else None
    use = Use(label, expires_at, protocols, networks)
    app_id, password = await app_passwords(desk).make(address, use)
    say(
        f"app password {app_id} of {address}, shown once:\n{password}",
        app_id=app_id,
        address=str(address),
        password=password,
    )


@app_password.command("list")
@click.argument("address", type=ADDRESS)
@at_desk
async def list_(desk: Desk, address: Address) -> None:
    """The app passwords of an account, without the passwords.

    Example: saraban app-password list somchai@opm.go.th
    """
    async with desk.pool.rows() as rows:
        owner = await directory.account_of(rows, address)
        if owner is None:
            nothing(f"{address} is no account here")
        found = await directory.app_passwords_of(rows, owner.account_id)
    if not found:
        nothing(f"{address} has no app password")
    columns = ("app_id", "label", "made_at", "expires_at", "protocols", "networks")
    print_rows([asdict(row) for row in found], columns)


@app_password.command("revoke")
@click.argument("app_id")
@click.option("--of", "of", required=True, type=ADDRESS, help="Whose it is.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@at_desk
async def revoke(desk: Desk, app_id: str, of: Address, yes: bool) -> None:
    """Let an app password open nothing any more.

    Example: saraban app-password revoke app_01… --of somchai@opm.go.th --yes
    """
    confirm(f"Let no program of {of} sign in with {app_id} any more?", yes=yes)
    await app_passwords(desk).revoke(of, app_id)
    say(f"revoked {app_id}", app_id=app_id, address=str(of))
