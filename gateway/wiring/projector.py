"""The projector put together: every read model, kept up to date."""

from collections.abc import Callable

from gateway.adapters.jetstream.notifier import JetStreamNotifier
from gateway.processes import maillog
from gateway.processes.projector import following
from gateway.settings import Settings
from gateway.wiring.ground import ground, models
from projections.checkpoint import Projection


async def run(settings: Settings, serving: Callable[[], None]) -> None:
    async with ground(settings, "projector") as g, g.rows() as pool:
        projections = [Projection(model, pool) for model in models(g.keys)]
        maillog.role_ready()
        serving()
        await following.run(g.log, projections, JetStreamNotifier(g.link), g.clock)
