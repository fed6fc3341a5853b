"""`saraban search`: the texts that searches in mailboxes ask."""

import click

from gateway.cli.desk import at_desk
from gateway.cli.output import say
from gateway.wiring.desk import Desk
from projections import texts


@click.group()
def search() -> None:
    """The index that searches in mailboxes ask: filling it from nothing.

    Example: saraban search rebuild
    """


@search.command()
@at_desk
async def rebuild(desk: Desk) -> None:
    """Forget the index; the steward fills it again from the content store.

    Until then searches read the messages themselves: slower, and as right. `saraban status` shows how far
    it is.

    Example: saraban search rebuild
    """
    last = await desk.log.last()
    await texts.begin_again(desk.pool)
    say(f"forgotten: the steward fills the index again up to position {last}", position=last)
