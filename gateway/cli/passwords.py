"""`saraban account password`, `accept-invitation` and `totp`: passwords typed twice, or read from a file."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import click

from gateway.cli.desk import ADDRESS, Where, administering, at_desk, confirm, operator, saying_why
from gateway.cli.output import fail, say
from gateway.cli.remote import Remote
from gateway.cli.remote_totp import own_totp, show_secret, totp_of
from gateway.cli.signing_in import base_of, ca_option
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
@administering
async def set_password(where: Where, address: Address, password_file: Path | None) -> None:
    """Give an account another password: 12 characters or more, none of its last five. Its tokens end.

    One's own, through the API, takes the current one too, and the code of one's authenticator: they are asked
    for, or are the second and third line of the file.

    Example: saraban account password somchai@opm.go.th
    """
    if isinstance(where, Remote):
        account_id = await _set_there(where, address, password_file)
    else:
        password = _password(password_file)
        async with _changing(where) as changing:
            account_id = (await changing.set_password(address, password)).account_id
    say(f"{address} has another password", address=str(address), account_id=account_id)


async def _set_there(remote: Remote, address: Address, file: Path | None) -> str:
    path = await remote.path_of(address)
    new = {"password": _password(file)}
    if path == "/me":
        new["current"] = _secret("Current password", file, line=1)
        if (await remote.ask("GET", "/me/totp"))["is_set"]:
            new["code"] = _secret("Code of your authenticator", file, line=2)
    return str((await remote.ask("PUT", f"{path}/password", new))["account_id"])


@click.command("invite")
@click.argument("address", type=ADDRESS)
@administering
async def invite(where: Where, address: Address) -> None:
    """Make a code with which somebody sets the account's password within 30 days; shown once.

    Example: saraban account invite somchai@opm.go.th
    """
    if isinstance(where, Remote):
        made = await where.ask("POST", f"{where.account_path(address)}/invitation")
        code, expires_at = made["code"], made["expires_at"]
    else:
        async with _changing(where) as changing:
            code, expires_at = await changing.invite(address)
    say(
        f"the code of {address}, shown once, until {expires_at}:\n{code}",
        address=str(address),
        code=code,
        expires_at=expires_at,
    )


@click.command("accept-invitation")
@click.argument("address", type=ADDRESS)
@click.option("--code", required=True, help="The code of the invitation.")
@password_file
@click.option("--url", help="The gateway's, from any computer: https://mail.example.org:8443.")
@ca_option
def accept_invitation(
    address: Address, code: str, password_file: Path | None, url: str | None, ca: Path | None
) -> None:
    """Set the first password of an account that was added with an invitation: by who has the code of it.

    Example: saraban account accept-invitation somchai@opm.go.th --code nJ3… --url https://mail.example.org:8443
    """
    if url is None:
        _accept_here(address, code, password_file)
        return
    remote = Remote(base_of(url), ca=ca.read_text() if ca else "")
    asked = {"address": str(address), "code": code, "password": _password(password_file)}
    with saying_why():
        accepted = asyncio.run(remote.ask("POST", "/invitation", asked))
    say(f"{address} can sign in", address=str(address), account_id=accepted["account_id"])


@at_desk
async def _accept_here(desk: Desk, address: Address, code: str, password_file: Path | None) -> None:
    password = _password(password_file)
    async with _changing(desk) as changing:
        person = await changing.accept_invitation(address, code, password)
    say(f"{address} can sign in", address=str(address), account_id=person.account_id)


@click.command("totp")
@click.argument("address", type=ADDRESS, required=False)
@click.option("--remove", is_flag=True, help="The password alone is enough again.")
@click.option("--code", help="Of one's own authenticator; asked for on a terminal.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@administering
async def totp(where: Where, address: Address | None, remove: bool, code: str | None, yes: bool) -> None:
    """Give an account an authenticator, whose code it shows to administer; its secret is shown once.

    Without an address it is one's own, through the API: it holds once a code of it was shown, at once on a
    terminal, or later with --code.

    Example: saraban account totp somchai@opm.go.th
    """
    if remove:
        confirm(f"Let {address or 'yourself'} administer with a password alone?", yes=yes)
    if isinstance(where, Remote):
        path = await where.path_of(address) if address else "/me"
        await (own_totp(where, code, remove=remove) if path == "/me" else totp_of(where, path, remove=remove))
        return
    if address is None:
        raise click.UsageError("say whose it is")
    async with _changing(where) as changing:
        if remove:
            person = await changing.remove_totp(address)
            say(
                f"{address} has no authenticator any more", address=str(address), account_id=person.account_id
            )
            return
        person, secret = await changing.set_totp(address)
    show_secret(str(address), secret, address_of_secret(secret, person.address))


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
    return _lines(file)[0]


def _secret(what: str, file: Path | None, *, line: int) -> str:
    """What else has to be known, from a further line of the same file, or typed."""
    if file is None:
        typed: str = click.prompt(what, hide_input=True, err=True)
        return typed
    lines = _lines(file)
    return (lines[line] if line < len(lines) else "") or fail(
        f"{file} has no line {line + 1}: {what.lower()}"
    )


def _lines(file: Path) -> list[str]:
    try:
        octets = _standard_input() if str(file) == "-" else file.read_bytes()
        return [line.removesuffix("\r") for line in octets.decode("utf-8-sig").split("\n")]
    except OSError as error:
        fail(f"{file} cannot be read: {error.strerror}")
    except UnicodeDecodeError:
        fail(f"the password in {file} is not UTF-8")


def _standard_input() -> bytes:
    """Kept in the command's context: it can be read once."""
    meta = click.get_current_context().meta
    if "saraban.stdin" not in meta:
        meta["saraban.stdin"] = sys.stdin.buffer.read()
    return bytes(meta["saraban.stdin"])
