"""`saraban app-password`: further passwords, one for each program."""

from dataclasses import asdict
from datetime import datetime, timedelta

import click

from gateway.cli.desk import ADDRESS, Where, administering, confirm
from gateway.cli.output import nothing, print_rows, say
from gateway.cli.registering import app_passwords
from gateway.cli.remote import Remote
from gateway.cli.remote_app_passwords import RemoteAppPasswords
from gateway.domain.app_passwords import PROTOCOLS, Protocol, Use
from gateway.mail.address import Address
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
@administering
async def make(
    where: Where,
    address: Address,
    label: str,
    days: int | None,
    protocols: tuple[Protocol, ...],
    networks: tuple[str, ...],
) -> None:
    """Make a further password for an account and show it once.

    Example: saraban app-password make somchai@opm.go.th --label printer --network 192.0.2.0/24
    """
    if isinstance(where, Remote):
        app_id, password = await RemoteAppPasswords(where).make(address, label, days, protocols, networks)
    else:
        expires_at: datetime | None = where.clock.now() + timedelta(days=days) if days else None
        use = Use(label, expires_at, protocols, networks)
        app_id, password = await app_passwords(where).make(address, use)
    say(
        f"app password {app_id} of {address}, shown once:\n{password}",
        app_id=app_id,
        address=str(address),
        password=password,
    )


@app_password.command("list")
@click.argument("address", type=ADDRESS)
@administering
async def list_(where: Where, address: Address) -> None:
    """The app passwords of an account, without the passwords.

    Example: saraban app-password list somchai@opm.go.th
    """
    if isinstance(where, Remote):
        found = await RemoteAppPasswords(where).list_of(address)
    else:
        async with where.pool.rows() as rows:
            owner = await directory.account_of(rows, address)
            if owner is None:
                nothing(f"{address} is no account here")
            found = [asdict(row) for row in await directory.app_passwords_of(rows, owner.account_id)]
    if not found:
        nothing(f"{address} has no app password")
    print_rows(found, ("app_id", "label", "made_at", "expires_at", "protocols", "networks"))


@app_password.command("revoke")
@click.argument("app_id")
@click.option("--of", "of", required=True, type=ADDRESS, help="Whose it is.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@administering
async def revoke(where: Where, app_id: str, of: Address, yes: bool) -> None:
    """Let an app password open nothing any more.

    Example: saraban app-password revoke app_01… --of somchai@opm.go.th --yes
    """
    confirm(f"Let no program of {of} sign in with {app_id} any more?", yes=yes)
    registry = RemoteAppPasswords(where) if isinstance(where, Remote) else app_passwords(where)
    await registry.revoke(of, app_id)
    say(f"revoked {app_id}", app_id=app_id, address=str(of))
