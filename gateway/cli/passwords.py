"""`saraban account password`, `accept-invitation` and `totp`: passwords typed twice, or read from a file."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import click

from gateway.cli.desk import ADDRESS, at_desk, confirm, operator
from gateway.cli.output import fail, say
from gateway.mail.address import Address
from gateway.processes.signin.changing import Changing
from gateway.processes.signin.people import PeopleRows
from gateway.processes.signin.totp import address_of_secret
from gateway.wiring.desk import Desk

password_file = click.option(
    "--password-file",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    help="Read it from this file's first line (-: standard input); it is asked for twice otherwise.",
)


@click.command("password")
@click.argument("address", type=ADDRESS)
@password_file
@at_desk
async def set_password(desk: Desk, address: Address, password_file: Path | None) -> None:
    """Give an account another password: 12 characters or more, none of its last five.

    Example: saraban account password somchai@opm.go.th
    """
    password = _password(password_file)
    async with _changing(desk) as changing:
        person = await changing.set_password(address, password)
    say(f"{address} has another password", address=str(address), account_id=person.account_id)


@click.command("accept-invitation")
@click.argument("address", type=ADDRESS)
@click.option("--code", required=True, help="The code of the invitation.")
@password_file
@at_desk
async def accept_invitation(desk: Desk, address: Address, code: str, password_file: Path | None) -> None:
    """Set the first password of an account that was added with an invitation.

    Example: saraban account accept-invitation somchai@opm.go.th --code nJ3…
    """
    password = _password(password_file)
    async with _changing(desk) as changing:
        person = await changing.accept_invitation(address, code, password)
    say(f"{address} can sign in", address=str(address), account_id=person.account_id)


@click.command("totp")
@click.argument("address", type=ADDRESS)
@click.option("--remove", is_flag=True, help="The password alone is enough again.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@at_desk
async def totp(desk: Desk, address: Address, remove: bool, yes: bool) -> None:
    """Give an account an authenticator, whose code it shows to administer; its secret is shown once.

    Example: saraban account totp somchai@opm.go.th
    """
    async with _changing(desk) as changing:
        if remove:
            confirm(f"Let {address} administer with a password alone?", yes=yes)
            person = await changing.remove_totp(address)
            say(
                f"{address} has no authenticator any more", address=str(address), account_id=person.account_id
            )
            return
        person, secret = await changing.set_totp(address)
    uri = address_of_secret(secret, person.address)
    say(
        f"for the authenticator of {address}, shown once:\n{uri}",
        address=str(address),
        secret=secret,
        uri=uri,
    )


@asynccontextmanager
async def _changing(desk: Desk) -> AsyncIterator[Changing]:
    async with desk.lane() as lane:
        yield Changing(
            people=PeopleRows(desk.pool),
            keys=desk.keys,
            lane=lane,
            clock=desk.clock,
            entropy=desk.entropy,
            actor=operator(),
            by=desk.by,
        )


def _password(file: Path | None) -> str:
    """From the file's first line, or typed twice."""
    if file is None:
        if not sys.stdin.isatty():
            raise click.UsageError("nobody is at the terminal to be asked: say --password-file FILE")
        password: str = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
        return password
    try:
        octets = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
        return octets.decode("utf-8-sig").split("\n")[0].removesuffix("\r")
    except OSError as error:
        fail(f"{file} cannot be read: {error.strerror}")
    except UnicodeDecodeError:
        fail(f"the password in {file} is not UTF-8")
