"""What RCPT is answered, from the directory's real rows."""

import asyncio
from collections.abc import Mapping

import pytest

from gateway.domain.agency import NextHop
from gateway.mail.address import parse_address
from gateway.processes.edge.recipients import (
    CANNOT_ANSWER,
    KNOWN_MAX,
    NOT_OURS,
    RECIPIENT_OK,
    UNKNOWN_HERE,
    Checked,
    Recipients,
)
from projections import checkpoint
from projections.checkpoint import Projection
from projections.directory.project import DirectoryModel
from projections.keyring import Keyring
from projections.mailbox.project import MailboxModel
from projections.readmodel import Pool
from tests.processes.edge.world import DirectoryRows, away
from tests.processes.world import MovedClock
from tests.projections.world import World


@pytest.fixture
async def recipients(emptied_pool: Pool) -> tuple[Recipients, Mapping[str, str]]:
    """Two agencies folded into rows, and their ids by domain."""
    world = World(7)
    ids = {
        "opm.go.th": world.agency("OPM", "opm.go.th"),
        "dld.go.th": world.agency("DLD", "dld.go.th", NextHop("192.0.2.25", 25)),
    }
    world.account(ids["opm.go.th"], "สมหญิง@opm.go.th")
    model = DirectoryModel(Keyring(world.keys))
    await checkpoint.create(emptied_pool, [model, MailboxModel(Keyring(world.keys))])
    await Projection(model, emptied_pool).take(world.log)
    return Recipients(emptied_pool, MovedClock()), ids


async def test_the_rows_say_who_has_mail_here(recipients: tuple[Recipients, Mapping[str, str]]) -> None:
    asked, ids = recipients
    for text, verdict, domain in (
        ("สมหญิง@OPM.go.th", RECIPIENT_OK, "opm.go.th"),
        ("vet@dld.go.th", RECIPIENT_OK, "dld.go.th"),
        ("nobody@opm.go.th", UNKNOWN_HERE, None),
        ("ann@example.org", NOT_OURS, None),
    ):
        address = parse_address(text).normalise()
        agency_id = ids[domain] if domain else None
        assert asked.known(address) is None
        answer = await asked.check(address)
        assert (answer.verdict, answer.agency_id) == (verdict, agency_id)
        assert answer.is_elsewhere == (verdict is NOT_OURS)
        assert (answer.owner is not None) == (domain == "opm.go.th")
        assert asked.known(address) == answer


async def test_rows_that_are_folded_anew_say_yes_but_not_no(emptied_pool: Pool) -> None:
    world = World(8)
    world.account(world.agency("OPM", "opm.go.th"), "suda@opm.go.th")
    opdc = world.agency("OPDC", "opdc.go.th")
    suda, bee, ann = (parse_address(text) for text in ("suda@opm.go.th", "bee@opdc.go.th", "ann@example.org"))
    late = len(world.log)
    world.account(opdc, "bee@opdc.go.th")
    model = DirectoryModel(Keyring(world.keys))
    await checkpoint.create(emptied_pool, [model, MailboxModel(Keyring(world.keys))])
    projection = Projection(model, emptied_pool)
    await projection.take(world.log[:late])
    asked = Recipients(emptied_pool, MovedClock(), since=world.log[-1].position)
    assert (await asked.check(suda)).verdict is RECIPIENT_OK
    for address in (bee, ann):
        assert await asked.check(address) == Checked(CANNOT_ANSWER, None)
        assert asked.known(address) is None
    await projection.take(world.log)
    assert (await asked.check(bee)).verdict is RECIPIENT_OK
    assert (await asked.check(ann)).verdict is NOT_OURS


async def test_rows_that_are_away_are_no_answer_to_remember() -> None:
    rows = DirectoryRows()
    rows.fault = away()
    asked = Recipients(rows, MovedClock())  # type: ignore[arg-type]
    address = parse_address("suda@opm.go.th")
    assert await asked.check(address) == Checked(CANNOT_ANSWER, None)
    assert asked.known(address) is None


async def test_a_flood_of_addresses_is_forgotten_again() -> None:
    asked = Recipients(DirectoryRows(), MovedClock())  # type: ignore[arg-type]
    addresses = [parse_address(f"a{number}@opm.go.th") for number in range(KNOWN_MAX + 10)]
    await asyncio.gather(*map(asked.check, addresses))
    assert sum(asked.known(address) is not None for address in addresses) == KNOWN_MAX
