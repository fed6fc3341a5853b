"""`saraban projection`: are the rows what the log says?"""

import click

from gateway.cli.desk import at_desk
from gateway.cli.output import fail, print_rows, say
from gateway.wiring.desk import Desk
from gateway.wiring.ground import READ_MODELS
from projections import rebuild as rebuilding
from projections.checkpoint import position_of


@click.group()
def projection() -> None:
    """The read models: how far they are, and rebuilding them from nothing.

    Example: saraban projection list
    """


@projection.command("list")
@at_desk
async def list_(desk: Desk) -> None:
    """Every read model with its version, position and lag.

    Example: saraban projection list --json
    """
    last = await desk.log.last()
    async with desk.pool.rows() as rows:
        found = [
            {
                "name": model.name,
                "version": model.version,
                "position": (position := await position_of(rows, model)),
                "lag": max(last - position, 0),
            }
            for model in READ_MODELS
        ]
    print_rows(found, ("name", "version", "position", "lag"))


@projection.command()
@click.argument("name", type=click.Choice([model.name for model in READ_MODELS]))
@at_desk
async def rebuild(desk: Desk, name: str) -> None:
    """Fold a read model from nothing beside the live one and compare every row.

    Example: saraban projection rebuild mailbox
    """
    model = next(model for model in desk.models() if model.name == name)
    comparison = await rebuilding.rebuild(model, desk.log, desk.pool)
    if not comparison.is_equal:
        tables = ", ".join(comparison.different)
        fail(f"{name} differs from the log at position {comparison.position}: {tables}")
    rows = sum(table.rows for table in comparison.live.values())
    say(
        f"{name} is what the log says: {rows} rows equal at position {comparison.position}",
        name=name,
        equal=True,
        rows=rows,
        position=comparison.position,
    )
