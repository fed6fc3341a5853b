"""An agency that is closing and whose files lack messages, through the API."""

from gateway.domain.trial import Export, Files, Lack
from tests.processes.web.world import World

WHY = {"reason": "the agency knows"}
LOST = Lack(1, ("acc_1/mbx_1/00000001-mail_1.eml",))


async def lacking(world: World) -> str:
    """An agency whose export lacks a message: where it is."""
    new = {"name": "DLD", "domains": ["dld.go.th"], "trial_days": 1}
    agency_id = (await world.ask("operator", "POST", "/agencies", new)).body["agency_id"]
    await world.end_trial(agency_id)
    await world.step_trial(agency_id, Export(), Files(1, 0, LOST))
    return str(agency_id)


async def test_an_operator_sees_what_is_lacking_and_alone_does_without(world: World) -> None:
    path, own = f"/agencies/{await lacking(world)}", f"/agencies/{world.agencies['opm.go.th']}"
    for who in ("admin", "auditor", "helpdesk", "member"):
        status = 403 if who == "member" else 404
        assert (who, (await world.ask(who, "POST", f"{path}/close", WHY)).status) == (who, status)
        assert (who, (await world.ask(who, "POST", f"{own}/close", WHY)).status) == (who, 403)
    shown = (await world.ask("operator", "GET", path)).body
    assert (shown["status"], shown["lacking"], shown["lacking_named"]) == ("closing", 1, list(LOST.named))
    closed = await world.ask("operator", "POST", f"{path}/close", WHY)
    assert (closed.status, closed.body["status"]) == (200, "closing")
    again = await world.ask("operator", "POST", f"{path}/close", WHY)
    assert (again.status, again.detail) == (409, "DLD is being closed already")


async def test_an_agency_that_is_not_closing_is_not_closed_by_hand(world: World) -> None:
    refused = await world.ask("operator", "POST", f"/agencies/{world.agencies['opdc.go.th']}/close", WHY)
    assert (refused.status, "OPDC is active: only" in refused.detail) == (409, True), refused
