"""Two agencies with mailboxes, one with a server of its own, and rows that follow."""

from gateway.domain.agency import NextHop
from projections.checkpoint import Projection
from projections.readmodel import Pool
from tests.projections.rows import all_models, fold
from tests.projections.world import World

DLD = NextHop("127.0.0.1", 2599)


class Gateway:
    """Two agencies with mailboxes, one with a server of its own, and rows that follow."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.world = World(51)
        self.opm = self.world.agency("สำนักนายกรัฐมนตรี", "opm.go.th")
        self.opdc = self.world.agency("OPDC", "opdc.go.th")
        self.dld = self.world.agency("DLD", "dld.go.th", DLD)
        self.ann = self.world.account(self.opm, "Ann@opm.go.th", "อัญชลี")
        self.bee = self.world.account(self.opdc, "bee@opdc.go.th", "Bee")
        self.projections = [Projection(model, pool) for model in all_models(self.world.keys)]

    async def catch_up(self) -> None:
        await fold(self.projections, self.world.log)
