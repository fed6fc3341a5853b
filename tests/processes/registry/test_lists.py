"""Mailing lists: made in one append, members once and sealed, at most 10,000."""

import pytest

from gateway.domain import maillist
from gateway.domain.registration import Refused, Unknown
from gateway.mail.address import Address, parse_address
from gateway.processes.registry.lists import MailLists
from tests.processes.registry.desk import Desk

ALL, ANN, SUDA = map(parse_address, ("all@opm.go.th", "Ann@example.org", "suda@opm.go.th"))


@pytest.fixture
async def lists(desk: Desk) -> MailLists:
    await desk.registry.add_agency("OPM", ["opm.go.th"])
    return desk._for(MailLists)


async def added(lists: MailLists, posting: maillist.Posting = "members", *posters: Address) -> None:
    await lists.add_list(ALL, display_name="ทุกคน", posting=posting, posters=posters)


async def members(lists: MailLists) -> list[str]:
    found = await lists.find(ALL)
    return [str(member) for member in found.mail_list.members(found.key).values()]


async def test_a_list_is_made_with_its_return_path_in_one_append(desk: Desk, lists: MailLists) -> None:
    await added(lists)
    assert (await desk.topics())[-6:] == [
        "account.created/1", "tree.created/1", "address.claimed/1",
        "list.created/1", "alias.added/1", "address.claimed/1",
    ]  # fmt: skip
    found = await lists.find(parse_address("all-bounces@opm.go.th"))
    assert found.address == ALL
    assert await members(lists) == []


async def test_members_come_once_and_go(desk: Desk, lists: MailLists) -> None:
    await added(lists)
    assert await lists.add_members(ALL, [ANN, SUDA, parse_address("ann@EXAMPLE.org")]) == 2
    assert await lists.add_members(ALL, [SUDA]) == 0
    assert await members(lists) == ["ann@EXAMPLE.org", "suda@opm.go.th"]
    await lists.remove_member(ALL, ANN)
    assert await members(lists) == ["suda@opm.go.th"]
    with pytest.raises(Unknown, match="no member"):
        await lists.remove_member(ALL, ANN)
    assert all(b"suda" not in recorded.state for recorded in await desk.events()), "who they are is sealed"


async def test_a_list_has_so_many_members_and_no_more(
    lists: MailLists, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maillist, "MEMBERS_MAX", 1_500)
    await added(lists)
    many = [Address(f"u{number}", "example.org") for number in range(1_501)]
    assert await lists.add_members(ALL, many[:-1]) == 1_500
    with pytest.raises(Refused, match="at most 1500 members"):
        await lists.add_members(ALL, many[-1:])
    assert len(await members(lists)) == 1_500


async def test_what_makes_no_list_is_refused(desk: Desk, lists: MailLists) -> None:
    with pytest.raises(Refused, match="no agency has the domain"):
        await lists.add_list(ANN, display_name="", posting="anyone", posters=())
    with pytest.raises(Refused, match="at most 56 octets"):
        await lists.add_list(Address("x" * 57, "opm.go.th"), display_name="", posting="anyone", posters=())
    with pytest.raises(Refused, match="name who may post"):
        await added(lists, "named")
    with pytest.raises(Refused, match="name who may post"):
        await added(lists, "anyone", ANN)
    await added(lists)
    with pytest.raises(Refused, match="given out already"):
        await added(lists)
    with pytest.raises(Refused, match="no member of itself"):
        await lists.add_members(ALL, [parse_address("ALL@opm.go.th")])
    agency_id = (await lists.find(ALL)).mail_list.account_id
    assert agency_id.startswith("acc_")


async def test_a_person_is_no_list(desk: Desk, lists: MailLists) -> None:
    claim, _ = await desk.registry._reading.claim_of("opm.go.th")
    assert claim is not None
    await desk.registry.add_account(claim.agency_id, SUDA)
    with pytest.raises(Unknown, match="is no list"):
        await lists.add_members(SUDA, [ANN])


@pytest.mark.parametrize(
    ("posting", "posters", "may"),
    [
        ("anyone", (), {"ann@example.org", "suda@opm.go.th", "bob@example.org"}),
        ("members", (), {"ann@example.org"}),
        ("named", (SUDA,), {"suda@opm.go.th"}),
    ],
)
async def test_who_may_post(
    lists: MailLists, posting: maillist.Posting, posters: tuple[Address, ...], may: set[str]
) -> None:
    await added(lists, posting, *posters)
    await lists.add_members(ALL, [ANN])
    found = await lists.find(ALL)
    everybody = {"ann@example.org", "suda@opm.go.th", "bob@example.org"}
    assert {who for who in everybody if found.mail_list.may_post(parse_address(who), found.key)} == may
    assert not found.mail_list.may_post(None, found.key)


async def test_who_may_post_is_changed_and_nobody_else_may_then(lists: MailLists) -> None:
    await added(lists, "anyone")
    await lists.set_posting(ALL, "named", [ANN])
    found = await lists.find(ALL)
    assert found.mail_list.may_post(ANN, found.key)
    assert not found.mail_list.may_post(SUDA, found.key)
    with pytest.raises(Refused, match="name who may post"):
        await lists.set_posting(ALL, "members", [ANN])
    await lists.set_posting(ALL, "members", [])
    found = await lists.find(ALL)
    assert not found.mail_list.may_post(ANN, found.key), "it is no member"
