"""The time a lease is held: a body that is cancelled the moment the lease is lost."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.ports import Deposed


@asynccontextmanager
async def tenure(name: str, lost: asyncio.Event) -> AsyncIterator[None]:
    """Run the body until it ends or `lost` is set; then it is cancelled and Deposed is raised.

    A cancellation from outside passes through as such (the pattern of asyncio.timeout).
    """
    holder = asyncio.current_task()
    assert holder is not None
    cancellations = holder.cancelling()

    async def watch() -> None:
        await lost.wait()
        holder.cancel()

    watching = asyncio.create_task(watch(), name=f"lease {name}")
    try:
        yield
        await asyncio.sleep(0)  # a loss that came as the body ended is met here, not later
    except asyncio.CancelledError as error:
        if lost.is_set() and holder.uncancel() <= cancellations:
            raise Deposed(f"the lease {name} was lost") from error
        raise
    finally:
        watching.cancel()
