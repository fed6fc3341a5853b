"""What the directory says of many at once: which addresses were given out, and which accounts are lists."""

import pytest

from gateway.domain.histories import address_name
from gateway.mail.address import parse_address
from gateway.mail.ids import AccountId
from projections.checkpoint import Projection, create
from projections.directory.claims import ClaimRow, claims_of
from projections.directory.lists import lists_among
from projections.directory.project import DirectoryModel
from projections.keyring import Keyring
from projections.readmodel import Pool, schema_of
from tests.projections.world import World

SCHEMA = schema_of(DirectoryModel)


@pytest.fixture
async def world(pool: Pool) -> World:
    """An agency whose account suda has the alias chai, and had the alias left."""
    world = World(72)
    suda = world.account(world.agency("OPM", "opm.go.th"), "suda@opm.go.th")
    world.alias(suda, "chai@opm.go.th")
    world.alias(suda, "left@opm.go.th")
    world.unalias(suda, "left@opm.go.th")
    model = DirectoryModel(Keyring(world.keys))
    await create(pool, [model])
    await Projection(model, pool).take(world.log)
    return world


async def test_claims_are_told_of_those_that_somebody_has_or_had(pool: Pool, world: World) -> None:
    site_key = world.keys.key("site.address")
    names = [
        address_name(parse_address(f"{name}@opm.go.th"), site_key) for name in ("suda", "chai", "left", "new")
    ]
    async with pool.rows() as rows:
        found = await claims_of(rows, names)
        suda = found[names[0]].account_id
        assert found == {
            names[0]: ClaimRow(suda, is_alias=False, is_given_out=True),
            names[1]: ClaimRow(suda, is_alias=True, is_given_out=True),
            names[2]: ClaimRow(suda, is_alias=True, is_given_out=False),
        }
        assert await claims_of(rows, []) == {}


async def test_lists_are_told_from_people(pool: Pool, world: World) -> None:
    async with pool.rows() as rows, rows.transaction():
        (suda,) = {row["account_id"] for row in await rows.fetch(f"SELECT account_id FROM {SCHEMA}.account")}
        assert await lists_among(rows, [AccountId(suda), AccountId("acc_nobody")]) == set()
        await rows.execute(f"UPDATE {SCHEMA}.account SET kind = 'list'")
        assert await lists_among(rows, [AccountId(suda), AccountId("acc_nobody")]) == {suda}
