"""How full mailboxes are, and since when, whatever the batches."""

from datetime import datetime

from gateway.domain.changes import MessageExpunged, MessageFlagged, MessageMoved, MessageRestored
from gateway.mail.address import parse_address
from gateway.mail.ids import AgencyId
from projections.checkpoint import Projection, create, drop
from projections.directory.query import Hosted, find_recipients
from projections.keyring import Keyring
from projections.mailbox.project import MailboxModel
from projections.readmodel import Pool
from tests.projections.mailboxes import change
from tests.projections.rows import all_models, fold, tables
from tests.projections.world import Owner, World


async def test_the_delivery_that_reaches_the_quota_says_since_when_it_is_full(pool: Pool) -> None:
    world = World(61)
    opm = world.agency("OPM", "opm.go.th")
    desk = world.account(opm, "desk@opm.go.th", kind="office", quota_octets=120_000)
    ann = world.account(opm, "ann@opm.go.th")
    reached, filled_at = 0, None
    for _ in range(30):
        mail = world.accept(opm, None, ["desk@opm.go.th", "ann@opm.go.th"])
        for owner in (desk, desk, ann):  # told twice, it counts once
            delivered = world.deliver(mail, owner, [0])
            if owner is desk and filled_at is None and reached + mail.message.presented_octets >= 120_000:
                filled_at = delivered.at
        reached += mail.message.presented_octets
    models = all_models(world.keys)
    await create(pool, models)
    await fold([Projection(model, pool) for model in models], world.log)
    async with pool.rows() as rows:
        found = await find_recipients(
            rows, [parse_address(one) for one in ("desk@opm.go.th", "ann@opm.go.th")]
        )
    at_desk, at_ann = (where.room for where in found if isinstance(where, Hosted))
    assert at_desk is not None
    assert at_ann is not None
    assert filled_at is not None
    assert (at_desk.quota_octets, at_desk.octets, at_desk.is_office) == (120_000, reached, True)
    assert (at_desk.is_full, at_desk.full_since) == (True, filled_at)
    assert (at_ann.is_full, at_ann.full_since, at_ann.octets) == (False, None, reached)


async def test_splits_change_no_row(pool: Pool) -> None:
    world = World(62)
    opm = world.agency("OPM", "opm.go.th")
    owners = [world.account(opm, f"a{n}@opm.go.th", quota_octets=40_000 * (n + 1)) for n in range(3)]
    for _ in range(12):
        mail = world.accept(opm, None, [owner.address for owner in owners])
        for owner in owners:
            world.deliver(mail, owner, [0])
    model = next(model for model in all_models(world.keys) if model.name == "mailbox")
    kept = []
    for batch in (1, 3, 1_000):
        await create(pool, [model])
        await fold([Projection(model, pool)], world.log, batch=batch)
        kept.append(await tables(pool, model.schema))
        await drop(pool, model.schema)
    assert kept[0] == kept[1] == kept[2]
    filled_at = {row[-1] for row in kept[0][f"{model.schema}.usage"]}
    assert len(filled_at - {None}) == 3


def deliver(world: World, agency_id: AgencyId, owner: Owner) -> datetime:
    """When."""
    return world.deliver(world.accept(agency_id, None, [owner.address]), owner, [0]).at


async def test_who_makes_room_is_full_no_more_and_since_another_time_when_full_again(pool: Pool) -> None:
    world = World(63)
    opm = world.agency("OPM", "opm.go.th")
    desk = world.account(opm, "desk@opm.go.th", quota_octets=1)
    model = MailboxModel(Keyring(world.keys))
    await create(pool, [model])
    projection = Projection(model, pool)

    async def full_since() -> datetime | None:
        await projection.take(world.log)
        async with pool.rows() as rows:
            found: datetime | None = await rows.fetchval(f"SELECT full_since FROM {model.schema}.usage")
            return found

    filled_at = deliver(world, opm, desk)
    assert await full_since() == filled_at
    deliver(world, opm, desk)
    change(world, desk, MessageFlagged, desk.inbox_id, "1", {"how": "add", "flags": ("\\Deleted",)})
    change(world, desk, MessageMoved, desk.inbox_id, "1", {"to_mailbox_id": desk.inbox_id})
    assert await full_since() == filled_at, "it was never below"
    change(world, desk, MessageExpunged, desk.inbox_id, "1:9", {"only_deleted": True})
    assert await full_since() == filled_at, "one is left"
    change(world, desk, MessageExpunged, desk.inbox_id, "1:9", {})
    assert await full_since() is None
    change(world, desk, MessageRestored, desk.inbox_id, "2", {"to_mailbox_id": desk.inbox_id})
    assert await full_since() == world.now
