"""Standing holds in a made-up history: some that stand, one that was released."""

from gateway.domain.histories import queue_history
from gateway.domain.standing import (
    QUEUE_KEY,
    DestinationHeld,
    DestinationReleased,
    StandingSecret,
    Toward,
    standing_label,
)
from gateway.ports import Fact
from tests.projections.world import World


def hold_some(world: World) -> None:
    towards = [Toward("domain", "dld.go.th"), Toward("domain", "example.org"), Toward("agency", "ag_1")]
    for toward in towards:
        steer(world, DestinationHeld, toward)
    steer(world, DestinationReleased, towards[1])


def steer(world: World, kind: type[DestinationHeld | DestinationReleased], toward: Toward) -> None:
    secret, key = StandingSecret("ย้ายเครื่อง"), world.keys.key(QUEUE_KEY)
    sealed = world._seal(secret, key, standing_label(toward))
    world.add(
        Fact(
            queue_history(), kind(**world.stamp().fields(), what=toward.what, name=toward.name, sealed=sealed)
        )
    )
