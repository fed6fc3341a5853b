"""What a command works with: the gateway's log, rows, content and keys, opened as the local operator.

The local command line is the operator's root (issue 1/9, section 6): what it opens or changes is an event
with the name of the person at the keyboard.
"""

import asyncio
import functools
import getpass
from collections.abc import Awaitable, Callable
from typing import Concatenate, ParamSpec

import click

from gateway.cli.output import fail
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
from gateway.wiring import Desk, open_desk

P = ParamSpec("P")

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
)


def at_desk(work: Callable[Concatenate[Desk, P], Awaitable[None]]) -> Callable[P, None]:
    """Turn an async function of a Desk into what click calls; expected errors become one sentence."""

    @functools.wraps(work)
    def command(*args: P.args, **kwargs: P.kwargs) -> None:
        settings = click.get_current_context().find_object(Settings)
        assert settings is not None, "the main group puts the settings into the context"

        async def run() -> None:
            async with open_desk(settings) as desk:
                await work(desk, *args, **kwargs)

        try:
            asyncio.run(run())
        except EXPECTED as error:
            fail(str(error) or type(error).__name__)

    return command


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
