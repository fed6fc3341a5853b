"""`saraban login` and `saraban logout`: administration through the API, in one's own name."""

import asyncio
import contextlib
import sys
from pathlib import Path
from urllib.parse import urlsplit

import click

from gateway.cli.desk import saying_why
from gateway.cli.output import fail, say
from gateway.cli.remote import Remote
from gateway.cli.session import Session, keep, kept, session_file
from gateway.domain.registration import Refused
from gateway.mail.networks import is_loopback
from gateway.ports import Unavailable

ca_option = click.option(
    "--ca",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The authority behind a self-made certificate (`saraban ca export`).",
)


@click.command()
@click.argument("url")
@click.option("--user", default="", help="An address, or an operator's name; asked for when not given.")
@ca_option
@click.option("--code", default="", help="Of your authenticator, if you have one; asked for on a terminal.")
def login(url: str, user: str, ca: Path | None, code: str) -> None:
    """Sign in to a gateway's API, for twelve hours. The password is asked for, or a line of stdin.

    From then on agency, account and alias commands go there, unless a data folder is named.

    Example: saraban login https://mail.example.org:8443 --user suda@opm.go.th
    """
    base, pem = base_of(url), ca.read_text() if ca else ""
    is_asked = sys.stdin.isatty()
    if not user and not is_asked:
        raise click.UsageError("nobody is at the terminal to be asked: say --user")
    user = user or click.prompt("User name", err=True)
    password = (
        click.prompt(f"Password of {user}", hide_input=True, err=True)
        if is_asked
        else sys.stdin.readline().rstrip("\r\n")
    )
    if is_asked and not code:
        question = "Code of your authenticator, if you have one"
        code = click.prompt(question, default="", show_default=False, err=True)
    with saying_why():
        asked = {"username": user, "password": password, "code": code}
        given = asyncio.run(Remote(base, ca=pem).ask("POST", "/token", asked))
    keep(Session(base, user, given["token"], given["expires_at"], pem))
    say(f"signed in to {base} as {user}", url=base, user=user, expires_at=given["expires_at"])


@click.command()
def logout() -> None:
    """End the token and forget it.

    Example: saraban logout
    """
    with contextlib.suppress(SystemExit):  # a file that cannot be read is removed all the same
        if (session := kept()) is not None:
            with contextlib.suppress(Refused):  # it does not hold any more
                try:
                    asyncio.run(Remote.of(session).ask("DELETE", "/token"))
                except Unavailable as error:
                    click.echo(f"saraban: the token holds until {session.expires_at}: {error}", err=True)
    try:
        session_file().unlink()
    except FileNotFoundError:
        fail("nobody is logged in")
    say("signed out")


def base_of(url: str) -> str:
    """The URL without its path. A password goes in the clear to this machine alone."""
    parts = urlsplit(url if "://" in url else f"https://{url}")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        fail(f"{url} is no https://host:port")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        fail(f"{url} would carry the password in the clear: use https")
    return f"{parts.scheme}://{parts.netloc}"
