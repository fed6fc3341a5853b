"""Objects that no event names go away: what a crash between store and log left behind.

First into `trash/`, and only after another grace time for good: an event that comes to name an object in
between (its mail found the part there already) brings it back, and a reader looks into the trash meanwhile.
So edge and sweep need no lock. Source: architecture §5 (order), ADR 0005.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from gateway.ports import Clock, EventLog, Leases, ListedObject, ObjectStore, Places, Unavailable
from gateway.processes import maillog

LEASE: Final = "steward"
SWEPT: Final = ("attachments/", "large/", "packs/")
TRASH: Final = "trash/"
REACH_TIMEOUT_S: Final = 60.0


async def run(
    objects: ObjectStore,
    places: Places,
    log: EventLog,
    clock: Clock,
    leases: Leases,
    *,
    grace: timedelta,
    every: timedelta,
) -> None:
    """Sweep again and again while the lease is ours, until cancelled. Raises Deposed, Unavailable."""
    async with leases.hold(LEASE):
        while True:
            try:
                await sweep(objects, places, log, older_than=clock.now() - grace)
            except Unavailable as error:
                maillog.service_unavailable(service=error.service, reason=error.reason, doing="sweep")
            await clock.sleep(every.total_seconds())


async def sweep(objects: ObjectStore, places: Places, log: EventLog, *, older_than: datetime) -> int:
    """Look at every object once; how many went away for good. Raises Unavailable.

    older_than: now less the grace time, which has to be longer than any mail takes from its first object to
    its event.
    """
    removed = 0
    async for batch in objects.list(TRASH):
        old = [found.name for found in batch if found.modified_at < older_than]
        named = await _named(places, log, {name.removeprefix(TRASH) for name in old})
        for name in old:
            original = name.removeprefix(TRASH)
            if original in named and not await objects.has(original):
                await objects.copy(name, original)
            removed += original not in named
            await objects.remove(name)
    for prefix in SWEPT:
        async for batch in objects.list(prefix):
            await _condemn(objects, places, log, batch, older_than)
    if removed:
        maillog.orphans_removed(objects=removed)
    return removed


async def _condemn(
    objects: ObjectStore, places: Places, log: EventLog, batch: Sequence[ListedObject], older_than: datetime
) -> None:
    old = {found.name for found in batch if found.modified_at < older_than}
    for name in old - await _named(places, log, old):
        await objects.copy(name, TRASH + name)
        await objects.remove(name)


async def _named(places: Places, log: EventLog, names: set[str]) -> set[str]:
    """Those that an event names, by rows that have all that is in the log now."""
    if not names:
        return set()
    last = await log.last()
    if not await places.reach(last, REACH_TIMEOUT_S):
        raise Unavailable("content rows", f"they have not reached position {last}")
    return await places.named(names)
