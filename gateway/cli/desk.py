"""What a command works with: the gateway's log, rows, content and keys, opened as the local operator.

The local command line is the operator's root (issue 1/9, section 6): what it opens or changes is an event
with the name of the person at the keyboard.
"""

import asyncio
import contextlib
import functools
import getpass
import sys
from collections.abc import Awaitable, Callable, Iterator
from typing import Concatenate, ParamSpec, TypeVar

import click

from gateway.cli.output import fail, nothing
from gateway.cli.remote import Remote
from gateway.cli.session import session_of
from gateway.domain import registration
from gateway.domain.events import Actor, Stamp
from gateway.mail.address import Address, parse_address
from gateway.ports import (
    Conflict,
    ContentCorrupt,
    ContentMissing,
    Deposed,
    KeyForgotten,
    LogCorrupt,
    Unavailable,
)
from gateway.settings import Settings
from gateway.wiring.desk import Desk, open_desk
from projections.checkpoint import Poison

P = ParamSpec("P")
Where = Desk | Remote  # what a command about agencies and their people works with

# What a person can do something about; everything else is a mistake of ours and shows its traceback.
EXPECTED = (
    registration.Refused,
    Unavailable,
    Conflict,
    Deposed,
    LogCorrupt,
    ContentCorrupt,
    ContentMissing,
    KeyForgotten,
    Poison,
)


def at_desk(work: Callable[Concatenate[Desk, P], Awaitable[None]]) -> Callable[P, None]:
    """Turn an async function of a Desk into what click calls; expected errors become one sentence."""

    @functools.wraps(work)
    def command(*args: P.args, **kwargs: P.kwargs) -> None:
        context = click.get_current_context()
        if context.find_root().meta.get("saraban.api"):
            raise click.UsageError("this is done on the data folder alone, not through the API", context)
        settings = context.find_object(Settings)
        assert settings is not None, "the main group puts the settings into the context"
        if not settings.nats_url:
            fail(f"no gateway runs on the data folder {settings.data}: start one with `saraban up`")

        async def run() -> None:
            async with open_desk(settings) as desk:
                await work(desk, *args, **kwargs)

        with saying_why():
            asyncio.run(run())

    return command


def administering(work: Callable[Concatenate[Where, P], Awaitable[None]]) -> Callable[P, None]:
    """As `at_desk`, but through the API for who has logged in to one and names no data folder."""
    here = at_desk(work)

    @functools.wraps(work)
    def command(*args: P.args, **kwargs: P.kwargs) -> None:
        session = session_of(click.get_current_context())
        if session is None:
            here(*args, **kwargs)
            return

        async def run() -> None:
            await work(Remote.of(session), *args, **kwargs)

        with saying_why():
            asyncio.run(run())

    return command


@contextlib.contextmanager
def saying_why() -> Iterator[None]:
    """Expected errors become one sentence, and the exit code that says whether something is not there."""
    try:
        yield
    except registration.Unknown as error:
        nothing(str(error))
    except EXPECTED as error:
        fail(str(error) or type(error).__name__)


F = TypeVar("F", bound=Callable[..., object])


def reason_option(question: str) -> Callable[[F], F]:
    """`--reason`, asked for on a terminal when it is not given: on stderr, for stdout may be a file."""

    def answer(context: click.Context, parameter: click.Parameter, given: str | None) -> str:
        if given is None and sys.stdin.isatty():
            given = click.prompt(question, err=True)
        if given is None or not given.strip():
            raise click.UsageError("say why with --reason TEXT; it stands in the log", context)
        return given.strip()

    return click.option("--reason", callback=answer, help="Why; it stands in the log for ever.")


def confirm(question: str, *, yes: bool) -> None:
    """Ask before something is taken away from somebody; on stderr. yes: it was said already, by `--yes`."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError("nobody is at the terminal to be asked: say --yes")
    click.confirm(question, abort=True, err=True)


def operator() -> Actor:
    """The person at the keyboard, as events name them."""
    return Actor("operator", getpass.getuser())


def stamp(desk: Desk, cause: str = "") -> Stamp:
    return Stamp(at=desk.clock.now(), actor=operator(), by=desk.by, cause=cause)


class AddressType(click.ParamType[Address]):
    """An address on the command line, in A-labels or U-labels, ASCII or Thai."""

    name = "address"

    def convert(
        self, value: object, parameter: click.Parameter | None, context: click.Context | None
    ) -> Address:
        try:
            return value if isinstance(value, Address) else parse_address(str(value))
        except ValueError as error:
            self.fail(f"{value!r} is no mail address: {error}", parameter, context)


ADDRESS = AddressType()
