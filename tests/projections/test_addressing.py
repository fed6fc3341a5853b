"""Addresses that are nobody's own and yet somebody's: postmaster, and a name with a tag."""

import pytest

from gateway.domain.agency import NextHop
from gateway.mail.address import parse_address
from projections.checkpoint import Projection, create
from projections.directory.project import DirectoryModel
from projections.directory.query import (
    ADDRESSING,
    Addressing,
    Hosted,
    NotOurs,
    Relayed,
    UnknownHere,
    Whereabouts,
    find_recipients,
)
from projections.keyring import Keyring
from projections.mailbox.project import MailboxModel
from projections.readmodel import Pool, Rows
from tests.projections.governing import catch_all, plus_addressing, replace_domain
from tests.projections.world import Owner, World

DLD = NextHop("192.0.2.25", 25)
GATEWAY = Addressing("Mail.saraban.example")


class Directory:
    """Two agencies with mailboxes here and one with a server of its own, in rows that follow."""

    def __init__(self, pool: Pool) -> None:
        self.pool, self.world = pool, World(71)
        self.dld = self.world.agency("DLD", "dld.go.th", DLD)
        self.opm = self.world.agency("OPM", "opm.go.th")
        self.opdc = self.world.agency("OPDC", "opdc.go.th")
        self.ann, self.bob = (self.world.account(self.opm, f"{name}@opm.go.th") for name in ("ann", "bob"))
        self.model = DirectoryModel(Keyring(self.world.keys))
        self.projection = Projection(self.model, pool)

    async def find(self, *texts: str, addressing: Addressing = ADDRESSING) -> list[Whereabouts]:
        await self.projection.take(self.world.log)
        async with self.pool.rows() as rows:
            return await find_recipients(rows, [parse_address(text) for text in texts], addressing)


@pytest.fixture
async def directory(pool: Pool) -> Directory:
    directory = Directory(pool)
    await create(pool, [directory.model, MailboxModel(Keyring(directory.world.keys))])
    return directory


def hosted(owner: Owner) -> Hosted:
    return Hosted(owner.agency_id, owner.account_id, owner.inbox_id)


async def test_a_tag_is_left_out_where_nobody_has_the_address_with_it(directory: Directory) -> None:
    world, ann, bob = directory.world, directory.ann, directory.bob
    world.alias(bob, "ann+bids@opm.go.th")
    asked = ["ann+news@opm.go.th", "Ann+Bids@OPM.go.th", "ann+@opm.go.th", "+news@opm.go.th", "ann@opm.go.th"]
    unknown = UnknownHere(directory.opm)
    found = [hosted(ann), hosted(bob), hosted(ann), unknown, hosted(ann)]
    assert await directory.find(*asked) == found
    found = [unknown, hosted(bob), unknown, unknown, hosted(ann)]
    assert await directory.find(*asked, addressing=Addressing(plus=False)) == found


async def test_a_tag_changes_nothing_elsewhere(directory: Directory) -> None:
    assert await directory.find("vet+a@dld.go.th", "x+y@example.org", "zoe+a@opm.go.th") == [
        Relayed(directory.dld, DLD),
        NotOurs(),
        UnknownHere(directory.opm),
    ]


async def test_postmaster_is_the_oldest_account_until_there_is_a_contact(directory: Directory) -> None:
    world, ann, bob = directory.world, directory.ann, directory.bob
    asked = ["PostMaster@OPM.go.th", "bob@opm.go.th", "postmaster+a@opm.go.th"]
    assert await directory.find(*asked) == [hosted(ann), hosted(bob), hosted(ann)]
    world.contact(bob)
    assert await directory.find(*asked) == [hosted(bob)] * 3
    world.close(bob)
    assert await directory.find(*asked) == [hosted(ann), UnknownHere(directory.opm), hosted(ann)]


async def test_a_postmaster_of_its_own_comes_first(directory: Directory) -> None:
    world, bob = directory.world, directory.bob
    world.alias(bob, "postmaster@opm.go.th")
    assert await directory.find("postmaster@opm.go.th") == [hosted(bob)]


async def test_who_has_no_account_has_no_postmaster(directory: Directory) -> None:
    asked = ["postmaster@opdc.go.th", "postmaster@dld.go.th", "postmaster@example.org"]
    assert await directory.find(*asked) == [
        UnknownHere(directory.opdc),
        Relayed(directory.dld, DLD),
        NotOurs(),
    ]


async def test_postmaster_alone_is_that_of_the_oldest_agency_with_mailboxes(directory: Directory) -> None:
    """The edge reads `RCPT TO:<Postmaster>` as postmaster at the gateway's own name."""
    asked = ["Postmaster@mail.saraban.example", "ann@mail.saraban.example"]
    assert await directory.find(*asked, addressing=GATEWAY) == [hosted(directory.ann), NotOurs()]
    assert await directory.find(*asked) == [NotOurs(), NotOurs()]


async def test_an_agency_may_take_no_tags(directory: Directory) -> None:
    world, opm = directory.world, directory.opm
    plus_addressing(world, opm, is_on=False)
    asked = ["ann+news@opm.go.th", "ann@opm.go.th"]
    assert await directory.find(*asked) == [UnknownHere(opm), hosted(directory.ann)]
    plus_addressing(world, opm, is_on=True)
    assert await directory.find(*asked) == [hosted(directory.ann)] * 2


async def test_a_catch_all_gets_what_nobody_ever_had(directory: Directory) -> None:
    world, ann, bob = directory.world, directory.ann, directory.bob
    replace_domain(world, directory.opm, "opm.go.th", "cabinet.go.th")
    eve = world.account(directory.opm, "eve@cabinet.go.th")
    catch_all(world, bob)
    world.close(eve)
    caught = ["nobody@opm.go.th", "nobody+x@cabinet.go.th", "แอน@opm.go.th"]
    assert await directory.find(*caught) == [hosted(bob)] * 3
    asked = ["eve@opm.go.th", "eve@cabinet.go.th", "eve+x@cabinet.go.th"]
    assert await directory.find(*asked) == [UnknownHere(directory.opm)] * 3  # they were somebody's
    assert await directory.find("SRS0=abcd=ef=example.org=ann@opm.go.th") == [UnknownHere(directory.opm)]
    asked = ["ann@cabinet.go.th", "ann+x@opm.go.th", "postmaster@opm.go.th", "nobody@opdc.go.th"]
    assert await directory.find(*asked) == [hosted(ann)] * 3 + [UnknownHere(directory.opdc)]
    world.close(bob)
    assert await directory.find("nobody@opm.go.th") == [UnknownHere(directory.opm)]


async def test_a_set_is_one_question(directory: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    await directory.find()
    async with directory.pool.rows() as rows:
        asked = Counted(rows)
        addresses = [parse_address(f"{name}@opm.go.th") for name in ("ann", "ann+a", "postmaster")]
        assert await find_recipients(asked, addresses) == [hosted(directory.ann)] * 3  # type: ignore[arg-type]
    assert asked.questions == 1


class Counted:
    """A connection that counts what it is asked."""

    def __init__(self, rows: Rows) -> None:
        self._rows, self.questions = rows, 0

    async def fetch(self, query: str, *arguments: object) -> object:
        self.questions += 1
        return await self._rows.fetch(query, *arguments)
