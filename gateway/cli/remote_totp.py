"""Authenticators through the API: one's own, and those of others."""

import sys

import click

from gateway.cli.output import say
from gateway.cli.remote import Remote

BEGUN = "it holds once you show a code of it: saraban account totp --code CODE"


async def own_totp(remote: Remote, code: str | None, *, remove: bool) -> None:
    """Begin, or end what was begun by a code; remove by a code."""
    if remove:
        await remote.ask("POST", "/me/totp/remove", {"code": code or _asked()})
        say("you have no authenticator any more", is_set=False)
        return
    if code is None:
        begun = await remote.ask("POST", "/me/totp")
        show_secret("you", begun["secret"], begun["uri"])
        if not sys.stdin.isatty():
            click.echo(f"saraban: {BEGUN}", err=True)
            return
        code = _asked()
    await remote.ask("POST", "/me/totp/confirm", {"code": code})
    say("saraban login asks for a code of your authenticator from here on", is_set=True)


async def totp_of(remote: Remote, path: str, *, remove: bool) -> None:
    """path: of the account."""
    if remove:
        done = await remote.ask("DELETE", f"{path}/totp")
        say(f"{done['address']} has no authenticator any more", **done)
        return
    made = await remote.ask("POST", f"{path}/totp")
    show_secret(path.rpartition("/")[2], made["secret"], made["uri"])


def show_secret(whose: str, secret: str, uri: str) -> None:
    say(f"for the authenticator of {whose}, shown once:\n{uri}", address=whose, secret=secret, uri=uri)


def _asked() -> str:
    if not sys.stdin.isatty():
        raise click.UsageError("nobody is at the terminal to be asked: say --code")
    code: str = click.prompt("Code of your authenticator", err=True)
    return code
