"""Domains that replace others and move, folded: whether events come one by one or all at once."""

from gateway.domain.agency import Agency
from gateway.domain.domains import Moving, move_domain
from projections.checkpoint import Projection, create
from projections.directory.domain_query import list_domains, moving_of, roles_in, use_of
from projections.directory.project import DirectoryModel
from projections.directory.query import list_accounts
from projections.keyring import Keyring
from projections.readmodel import Pool, Rows, schema_of
from tests.projections.governing import catch_all, plus_addressing, rename, replace_domain
from tests.projections.world import World

SCHEMA = schema_of(DirectoryModel)
TABLES = ("agency", "domain", "account", "address", "role", "search", "search_page")


def moved_world() -> World:
    """OPM's domain is replaced, then moved to OPDC, with accounts and aliases before, between and after."""
    world = World(91)
    opm, opdc = world.agency("OPM", "opm.go.th"), world.agency("OPDC", "opdc.go.th")
    ann = world.account(opm, "Ann@opm.go.th", "อัญชลี")
    world.alias(ann, "front@opm.go.th")
    world.grant(ann, "auditor", opm)
    replace_domain(world, opm, "opm.go.th", "cabinet.go.th")
    bob = world.account(opm, "bob@cabinet.go.th")
    world.alias(bob, "back@cabinet.go.th")
    catch_all(world, bob)
    plus_addressing(world, opm, is_on=False)
    rename(world, opdc, "OPDC ใหม่")
    family = [world.stand("opm.go.th"), world.stand("cabinet.go.th")]
    from_, to = world.aggregate(Agency, opm)[0], world.aggregate(Agency, opdc)[0]
    world.revoke(ann, "auditor", opm)
    world.add(*move_domain(from_, to, family, Moving(2, 0, 1), [], world.stamp()).facts)
    world.account(opdc, "eve@cabinet.go.th")
    world.close(bob)
    return world


async def tables(rows: Rows) -> dict[str, list[tuple[object, ...]]]:
    return {
        table: sorted((tuple(row) for row in await rows.fetch(f"SELECT * FROM {SCHEMA}.{table}")), key=repr)
        for table in TABLES
    }


async def test_rows_are_the_same_however_the_events_come(pool: Pool) -> None:
    world = moved_world()
    model = DirectoryModel(Keyring(world.keys))
    found = list[dict[str, list[tuple[object, ...]]]]()
    for at_once in (len(world.log), 1, 3):
        await create(pool, [model])
        projection = Projection(model, pool)
        for begin in range(0, len(world.log), at_once):
            await projection.take(world.log[: begin + at_once])
        async with pool.rows() as rows, rows.transaction():
            found.append(await tables(rows))
            await rows.execute(f"DROP SCHEMA {SCHEMA} CASCADE")
            await rows.execute("TRUNCATE checkpoints.checkpoint")
    assert found[1:] == found[:1] * 2


async def test_what_is_in_a_domain_is_counted_where_it_is_now(pool: Pool) -> None:
    world = moved_world()
    model = DirectoryModel(Keyring(world.keys))
    await create(pool, [model])
    await Projection(model, pool).take(world.log)
    ann = world.accounts[0]
    async with pool.rows() as rows:
        opdc = next(row.agency_id for row in await list_domains(rows) if row.domain == "opdc.go.th")
        assert [row.domain for row in await list_domains(rows, [opdc])] == [
            "cabinet.go.th",
            "opdc.go.th",
            "opm.go.th",
        ]
        assert {row.address for row in await list_accounts(rows, agency_id=opdc)} == {
            "Ann@cabinet.go.th",
            "bob@cabinet.go.th",
            "eve@cabinet.go.th",
        }
        use = await use_of(rows, opdc, "opm.go.th", world.now)
        assert (use.domains, use.addresses) == (3, 5)  # two of them rest
        assert await moving_of(rows, ann.agency_id, "opm.go.th") == Moving(2, 0, 0)
        assert await roles_in(rows, ann.agency_id, "opm.go.th") == []
