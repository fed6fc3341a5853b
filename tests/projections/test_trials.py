"""What the directory shows of agencies that are here for trial."""

from datetime import timedelta

from gateway.domain.trial import Close, End, Export, Warn
from gateway.mail.address import parse_address
from gateway.mail.ids import AgencyId
from projections.checkpoint import create
from projections.directory.project import DirectoryModel
from projections.directory.query import (
    AgencyRow,
    Hosted,
    Relayed,
    UnknownHere,
    account_with_id,
    find_recipients,
    list_agencies,
)
from projections.directory.trials import answering, on_trial
from projections.readmodel import schema_of
from tests.projections.gateway import DLD, Gateway
from tests.projections.rows import all_models, tables


async def row(gateway: Gateway, agency_id: AgencyId) -> AgencyRow:
    await gateway.catch_up()
    async with gateway.pool.rows() as rows:
        (found,) = await list_agencies(rows, agency_id)
    return found


async def test_a_trial_shows_how_far_it_is_and_shuts_its_people_out_at_its_end(gateway: Gateway) -> None:
    world = gateway.world
    dof = world.agency("DOF", "dof.example", trial_days=30)
    ploy = world.account(dof, "ploy@dof.example")

    async def seen() -> tuple[str, str]:
        status = (await row(gateway, dof)).status
        async with gateway.pool.rows() as rows:
            account = await account_with_id(rows, ploy.account_id)
        assert account is not None
        return status, account.status

    assert await seen() == ("trial", "active")
    world.trial_step(dof, Warn(7))
    world.suspend_agency(dof)
    assert await seen() == ("suspended", "agency-suspended")
    world.activate_agency(dof)
    assert await seen() == ("trial", "active")
    closes_at = world.now + timedelta(days=30)
    world.trial_step(dof, End(closes_at))
    assert await seen() == ("expired", "trial-ended")
    assert (await row(gateway, dof)).trial_closes_at == closes_at
    async with gateway.pool.rows() as rows:
        found = await find_recipients(rows, [parse_address("ploy@dof.example")])
    assert found == [Hosted(dof, ploy.account_id, ploy.inbox_id, owner=found[0].owner)]  # type: ignore[union-attr]

    world.extend_trial(dof, 60)
    assert await seen() == ("trial", "active")
    assert (await row(gateway, dof)).trial_closes_at is None
    world.trial_step(dof, End(closes_at))
    world.activate_agency(dof)
    assert await seen() == ("active", "active")
    assert (await row(gateway, dof)).trial_ends_at is None


async def test_a_closed_agency_takes_no_mail_in_and_is_on_trial_no_more(gateway: Gateway) -> None:
    world = gateway.world
    dof = world.agency("DOF", "dof.example", DLD, trial_days=30)
    post = [parse_address("vet@dof.example")]
    world.trial_step(dof, End(world.now))
    world.trial_step(dof, Export())
    assert (await row(gateway, dof)).status == "closing"
    async with gateway.pool.rows() as rows:
        assert await find_recipients(rows, post) == [Relayed(dof, DLD)]
        assert await on_trial(rows) == [dof]
    world.trial_step(dof, Close())
    assert (await row(gateway, dof)).status == "closed"
    async with gateway.pool.rows() as rows:
        assert await find_recipients(rows, post) == [UnknownHere(dof)]
        assert await on_trial(rows) == []


async def test_a_step_told_twice_changes_nothing(gateway: Gateway) -> None:
    world = gateway.world
    dof = world.agency("DOF", "dof.example", trial_days=30)
    for step in (Warn(7), Warn(1), End(world.now), Export(), Close()):
        world.trial_step(dof, step)
    await gateway.catch_up()
    once = await tables(gateway.pool, schema_of(DirectoryModel))
    await create(gateway.pool, all_models(world.keys))
    await gateway.catch_up()
    assert await tables(gateway.pool, schema_of(DirectoryModel)) == once


async def test_who_answers_for_an_agency(gateway: Gateway) -> None:
    world = gateway.world
    dof = world.agency("DOF", "dof.example")

    async def told() -> list[str]:
        await gateway.catch_up()
        async with gateway.pool.rows() as rows:
            return [str(address) for address in await answering(rows, dof)]

    assert await told() == []
    _, second, third = (world.account(dof, f"{name}@dof.example") for name in ("a", "b", "c"))
    assert await told() == ["a@dof.example"]
    world.contact(second)
    assert await told() == ["b@dof.example"]
    world.grant(third, "agency-admin", dof)
    assert await told() == ["b@dof.example", "c@dof.example"]
    world.close(second, "ย้าย")
    assert await told() == ["c@dof.example"]
    async with gateway.pool.rows() as rows:
        assert [str(each) for each in await answering(rows, gateway.dld)] == ["postmaster@dld.go.th"]
