"""What TLS with an agency's own server has to be, through the API."""

from datetime import timedelta
from typing import Any

import pytest

from gateway.domain.agency_tls import AgencyTlsSet, client_key_name
from tests.processes.relay.authority import Authority
from tests.processes.web.world import World

DLDS, OURS = Authority("DLD"), Authority("OPM")
SIGNED, OTHER = OURS.sign("mail.opm.go.th"), OURS.sign("mail.opm.go.th")
WHY = {"reason": "agreed"}


async def relayed(world: World) -> str:
    """An agency with a server of its own: where its policy is."""
    new = {"name": "DLD", "domains": ["dld.go.th"], "relay_to": "mx.dld.example:25"}
    made = await world.ask("operator", "POST", "/agencies", new)
    return f"/agencies/{made.body['agency_id']}"


async def test_an_operator_says_and_sees_it_and_nobody_else_says_it(world: World) -> None:
    agency = await relayed(world)
    until = (world.office.clock.now() + timedelta(days=1)).isoformat()
    new = {"use": "pinned", "authorities": f"# กรมปศุสัตว์\n\n{DLDS.pem}", "exception_until": until, **WHY}
    for who, status in {
        "admin": 403,
        "auditor": 403,
        "helpdesk": 403,
        "member": 403,
        "stranger": 403,
    }.items():
        assert (who, (await world.ask(who, "PUT", f"{agency}/tls", new)).status) == (who, status)
    put = await world.ask("operator", "PUT", f"{agency}/tls", new)
    assert put.status == 200, put
    assert isinstance(await world.last_event(), AgencyTlsSet)
    got = await world.ask("operator", "GET", f"{agency}/tls")
    assert got.body == put.body
    assert (got.body["use"], got.body["authorities"]) == ("pinned", DLDS.pem)
    shown = (await world.ask("operator", "GET", agency)).body["tls"]
    assert shown.startswith("pinned, opportunistic until ")


async def test_a_key_is_kept_and_never_shown(world: World) -> None:
    agency = await relayed(world)
    mutual = {"use": "mutual", "certificate": SIGNED.chain, **WHY}
    put = await world.ask("operator", "PUT", f"{agency}/tls", {**mutual, "key": SIGNED.key})
    assert put.status == 200, put
    assert await world.keys.get(client_key_name(SIGNED.chain)) == SIGNED.key.encode()
    assert "PRIVATE" not in str((await world.ask("operator", "GET", f"{agency}/tls")).body)
    assert "PRIVATE" not in str(await world.last_event())
    # With the certificate it has already, the key need not be said again.
    again = await world.ask("operator", "PUT", f"{agency}/tls", {**mutual, "authorities": DLDS.pem})
    assert again.status == 200, again


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no key": ({"certificate": SIGNED.chain}, "a certificate comes with its key"),
    "another key": (
        {"certificate": SIGNED.chain, "key": OTHER.key},
        "the key is not that of the certificate",
    ),
    "no key at all": ({"certificate": SIGNED.chain, "key": "key"}, "no PEM private key"),
    "no certificate": ({"certificate": "x", "key": SIGNED.key}, "no PEM certificate"),
}


@pytest.mark.parametrize(("files", "why"), REFUSED.values(), ids=REFUSED)
async def test_files_that_do_not_belong_together_are_refused(
    world: World, files: dict[str, Any], why: str
) -> None:
    agency = await relayed(world)
    refused = await world.ask("operator", "PUT", f"{agency}/tls", {"use": "mutual", **files, **WHY})
    assert (refused.status, why in refused.detail) == (409, True), refused


async def test_an_agency_with_its_mailboxes_here_has_no_server_of_its_own(world: World) -> None:
    path = f"/agencies/{world.agencies['opm.go.th']}/tls"
    refused = await world.ask("operator", "PUT", path, {"use": "required", **WHY})
    assert (refused.status, "are here" in refused.detail) == (409, True), refused
