"""Domains of agencies through the API: old and new address are one, in everything that goes by addresses."""

from gateway.mail.address import normalise_domain, parse_address
from projections.directory.domain_query import namesakes
from projections.directory.query import Hosted, UnknownHere, Whereabouts, find_recipients, person_of
from tests.processes.web.world import PASSWORD, PEOPLE, Answer, World, quoted

CLERK = PEOPLE["clerk"][0]
SR = normalise_domain("สร.ไทย")


async def found(world: World, *texts: str) -> list[Whereabouts]:
    async with world.office.pool.rows() as rows:
        return await find_recipients(rows, [parse_address(text) for text in texts])


async def replace(world: World, old: str, new: str) -> int:
    path = f"/agencies/{world.agencies['opm.go.th']}/domains/{old}/replace"
    return (await world.ask("operator", "POST", path, {"by": new})).status


async def test_an_address_in_a_replaced_domain_is_one_by_either_name(world: World) -> None:
    alias = {"alias": "front@opm.go.th", "of": CLERK}
    assert (await world.ask("operator", "POST", "/aliases", alias)).status == 201
    assert await replace(world, "opm.go.th", "สร.ไทย") == 200
    assert await replace(world, SR, "cabinet.go.th") == 200

    names = ("opm.go.th", "สร.ไทย", "cabinet.go.th")
    for local_part in ("clerk", "front", "Clerk+news"):
        where = await found(world, *(f"{local_part}@{name}" for name in names))
        assert len(set(map(str, where))) == 1
        assert isinstance(where[0], Hosted)
    for name in names:
        asked = {"username": f"clerk@{name}", "password": PASSWORD}
        assert (await world.ask("", "POST", "/token", asked)).status == 201
        shown = (await world.ask("auditor", "GET", f"/accounts/{quoted(f'clerk@{name}')}")).body
        assert shown["address"] == "clerk@cabinet.go.th"
        for text in ("clerk@cabinet", "CLERK@opm"):
            (row,) = (await world.ask("operator", "GET", f"/accounts?search={quoted(text)}")).body["accounts"]
            assert row["address"] == "clerk@cabinet.go.th"
    (row,) = (await world.ask("admin", "GET", f"/aliases?of={quoted(CLERK)}")).body["aliases"]
    assert row["alias"] == "front@cabinet.go.th"
    async with world.office.pool.rows() as rows:
        person = await person_of(rows, parse_address(CLERK))
        assert await namesakes(rows, "opm.go.th") == [
            ("cabinet.go.th", True),
            ("opm.go.th", False),
            (SR, False),
        ]
    assert person is not None
    assert str(person.address) == "clerk@cabinet.go.th"
    assert {str(address) for address in person.addresses} == {
        f"{local_part}@{domain}"
        for local_part in ("clerk", "front")
        for domain in ("cabinet.go.th", "opm.go.th", SR)
    }


async def test_new_addresses_are_given_out_in_the_newest_domain_alone(world: World) -> None:
    assert await replace(world, "opm.go.th", "cabinet.go.th") == 200
    refused = await world.ask("admin", "POST", "/accounts", {"address": "new@opm.go.th"})
    assert (refused.status, refused.detail) == (
        409,
        "opm.go.th was replaced by cabinet.go.th: give addresses out there, they are reached by both",
    )
    taken = await world.ask("admin", "POST", "/accounts", {"address": "clerk@cabinet.go.th"})
    assert (taken.status, taken.detail) == (409, "the address clerk@cabinet.go.th is given out already")
    assert (await world.ask("admin", "POST", "/accounts", {"address": "new@cabinet.go.th"})).status == 201
    new = await found(world, "new@opm.go.th", "new@cabinet.go.th")
    assert new[0] == new[1]
    path = f"/accounts/{quoted('new@opm.go.th')}"
    for how, hosted in (("close", False), ("activate", True)):
        assert (await world.ask("admin", "POST", f"{path}/{how}", {"reason": "test"})).status == 200
        where = await found(world, "new@opm.go.th", "new@cabinet.go.th")
        assert [isinstance(each, Hosted) for each in where] == [hosted, hosted]


async def test_a_domain_comes_and_goes_without_its_addresses(world: World) -> None:
    path = f"/agencies/{world.agencies['opm.go.th']}/domains"
    made = await world.ask("operator", "POST", path, {"domain": "นายก.ไทย"})
    domain = made.body["domain"]
    again = await world.ask("operator", "POST", path, {"domain": domain.upper()})
    assert (made.status, again.detail) == (201, f"{domain} is a domain of OPM already")
    listed = (await world.ask("admin", "GET", path)).body["domains"]
    assert [(row["shown"], row["replaced_by"]) for row in listed] == [("opm.go.th", None), ("นายก.ไทย", None)]
    assert await found(world, "nobody@นายก.ไทย") == [UnknownHere(world.agencies["opm.go.th"])]
    assert (await world.ask("admin", "POST", "/accounts", {"address": "ก@นายก.ไทย"})).status == 201
    kept = await world.ask("operator", "DELETE", f"{path}/{domain}")
    assert kept.detail.startswith(f"1 addresses of {domain} are given out or rest")
    last = await world.ask(
        "operator", "DELETE", f"/agencies/{world.agencies['opdc.go.th']}/domains/opdc.go.th"
    )
    assert "2 addresses of opdc.go.th" in last.detail
    assert (await world.ask("operator", "POST", path, {"domain": "spare.go.th"})).status == 201
    assert (await world.ask("operator", "DELETE", f"{path}/spare.go.th")).status == 200
    other = f"/agencies/{world.agencies['opdc.go.th']}/domains"
    assert (await world.ask("operator", "POST", other, {"domain": "spare.go.th"})).status == 201
    again = await world.ask("operator", "POST", path, {"domain": "spare.go.th"})
    assert (again.status, again.detail) == (409, "the domain spare.go.th belongs to an agency already")


async def test_what_does_not_fit_changes_nothing(world: World) -> None:
    await world.token("operator")
    before = await world.topics()
    for new, said in (
        ("opdc.go.th", "the domain opdc.go.th belongs to an agency already"),
        ("opm.go.th", "opm.go.th cannot replace itself"),
        ("[192.0.2.1]", "[192.0.2.1]: an address literal is no agency's domain"),
    ):
        path = f"/agencies/{world.agencies['opm.go.th']}/domains/opm.go.th/replace"
        refused = await world.ask("operator", "POST", path, {"by": new})
        assert (refused.status, refused.detail) == (409, said)
    assert await world.topics() == before


async def move(world: World, domain: str, source: str, target: str) -> Answer:
    body = {"to": world.agencies[target], "reason": "โอนกิจการ"}
    return await world.ask("root", "POST", f"/agencies/{world.agencies[source]}/domains/{domain}/move", body)


async def test_a_domain_moves_with_its_accounts_and_without_their_roles(world: World) -> None:
    opdc = world.agencies["opdc.go.th"]
    assert await replace(world, "opm.go.th", "cabinet.go.th") == 200
    before = {row["address"]: row for row in (await world.ask("root", "GET", "/accounts")).body["accounts"]}
    moved = await move(world, "cabinet.go.th", "opm.go.th", "opdc.go.th")
    assert (moved.status, moved.body["domains"]) == (200, ["opm.go.th", "cabinet.go.th"])
    # One append, whatever the number of accounts: there is nothing that a kill could leave half done.
    assert (await world.topics())[-5:] == ["role.revoked/1"] * 3 + ["domain.moved/1"] * 2

    after = {row["address"]: row for row in (await world.ask("root", "GET", "/accounts")).body["accounts"]}
    assert {address: row | {"agency_id": opdc} for address, row in before.items()} == after
    path = f"/agencies/{opdc}/domains"
    assert len((await world.ask("stranger", "GET", path)).body["domains"]) == 3
    for name in ("clerk@opm.go.th", "clerk@cabinet.go.th"):
        (where,) = await found(world, name)
        assert isinstance(where, Hosted)
        assert where.agency_id == opdc
        assert (await world.ask("stranger", "GET", f"/accounts/{quoted(name)}")).body["agency_id"] == opdc
    (row,) = (await world.ask("stranger", "GET", "/accounts?search=clerk")).body["accounts"]
    assert row["address"] == "clerk@cabinet.go.th"
    # The administrator of before is a member of the other agency now, and may be given a role there.
    assert (await world.ask("admin", "GET", "/accounts")).status == 403
    role = {"address": CLERK, "role": "helpdesk", "reason": "test"}
    assert (await world.ask("stranger", "POST", "/roles/grant", role)).body["agency_id"] == opdc
    contact = {"address": CLERK}
    assert (await world.ask("stranger", "PUT", f"/agencies/{opdc}/contact", contact)).status == 200
    alias = {"alias": "front@opdc.go.th", "of": CLERK}
    assert (await world.ask("stranger", "POST", "/aliases", alias)).status == 201


async def test_what_does_not_fit_into_the_other_agency_stays(world: World) -> None:
    opm, opdc = world.agencies["opm.go.th"], world.agencies["opdc.go.th"]
    await world.ask("root", "PATCH", f"/agencies/{opdc}/limits", {"accounts_max": 7})
    refused = await move(world, "opm.go.th", "opm.go.th", "opdc.go.th")
    assert (refused.status, refused.detail) == (
        409,
        "OPDC has 2 accounts and may have 7: 6 more do not fit",
    )
    await world.ask("root", "PATCH", f"/agencies/{opdc}/limits", {"accounts_max": None})
    await world.ask("root", "POST", f"/agencies/{opm}/domains", {"domain": "spare.go.th"})
    await world.ask("root", "POST", "/aliases", {"alias": "front@spare.go.th", "of": CLERK})
    for domain in ("opm.go.th", "spare.go.th"):
        refused = await move(world, domain, "opm.go.th", "opdc.go.th")
        assert refused.detail == (
            "clerk@opm.go.th has the alias front@spare.go.th, which is in another domain: take it away first"
        )
    assert (await move(world, "opdc.go.th", "opm.go.th", "opdc.go.th")).status == 404
    assert (await world.topics()).count("domain.moved/1") == 0
