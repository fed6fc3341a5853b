"""Accounts are found by any part of what they are called, over more of them than a page of texts holds."""

from projections.checkpoint import Projection, create
from projections.directory.project import DirectoryModel
from projections.directory.query import find_accounts
from projections.directory.search import PAGE
from projections.keyring import Keyring
from projections.readmodel import Pool
from tests.projections.world import World

NAMES = ("สมชาย ใจดี", "Malee Rakchat", "100% _\\ Q", "")
TEXTS = (
    *("", "q", "9", "11", "%", "_", "\\", "ж", "จ", "ดี", "ใจดี", "Malee", "rAK", "person7@", "100%", "@opm"),
    *("t-12", "desk-1", "person1@opm.go.th\nสม", "ใจดี\nperson2@", "ก" * 200),
)


async def test_every_part_finds_whom_it_should_oldest_first_and_page_by_page(pool: Pool) -> None:
    world = World(17)
    agencies = [world.agency(name, f"{name}.go.th") for name in ("opm", "moph")]
    called, agency_of = dict[str, str](), dict[str, str]()
    for n in range(2 * PAGE + 40):
        name, agency = NAMES[n % 4], n % 3 == 0
        owner = world.account(agencies[agency], f"person{n}@{('opm', 'moph')[agency]}.go.th", name)
        text = f"person{n}@{('opm', 'moph')[agency]}.go.th\n{name}"
        if n % 50 == 0:
            world.alias(owner, f"desk-{n}@{('opm', 'moph')[agency]}.go.th")
            text += f"\ndesk-{n}@{('opm', 'moph')[agency]}.go.th"
        called[owner.account_id], agency_of[owner.account_id] = text.lower(), agencies[agency]
    model = DirectoryModel(Keyring(world.keys))
    await create(pool, [model])
    projection = Projection(model, pool)
    await projection.take(world.log[:200])
    await projection.take(world.log)
    async with pool.rows() as rows:
        for scope in (None, agencies, agencies[1:], []):
            for text in TEXTS:
                expected = [
                    account_id
                    for account_id, its in called.items()
                    if text.lower() in its and (scope is None or agency_of[account_id] in scope)
                ]
                found, after = list[str](), ""
                while page := await find_accounts(rows, text=text, agencies=scope, after=after, limit=70):
                    found += [row.account_id for row in page]
                    after = found[-1]
                assert found == expected, (text, scope)


async def test_a_page_of_texts_has_what_its_accounts_are_called_now(pool: Pool) -> None:
    world = World(18)
    opm = world.agency("opm", "opm.go.th")
    owners = [world.account(opm, f"person{n}@opm.go.th") for n in range(PAGE + 5)]
    model = DirectoryModel(Keyring(world.keys))
    await create(pool, [model])
    projection = Projection(model, pool)
    await projection.take(world.log)
    world.alias(owners[3], "front@opm.go.th")
    await projection.take(world.log)
    async with pool.rows() as rows:
        assert [row.account_id for row in await find_accounts(rows, text="front")] == [owners[3].account_id]
    world.unalias(owners[3], "front@opm.go.th")
    await projection.take(world.log)
    async with pool.rows() as rows:
        assert await find_accounts(rows, text="front") == []
        pages = await rows.fetch(f"SELECT page, called FROM {model.schema}.search_page ORDER BY page")
    assert [page["called"].count("person") for page in pages] == [PAGE - 1, 6]
