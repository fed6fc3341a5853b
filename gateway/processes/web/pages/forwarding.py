"""One's own forwarding: to whom one's mail goes on, as far as the agency allows."""

from http import HTTPStatus
from typing import Final

from starlette.responses import Response

from gateway.domain.agency import ForwardingPolicy
from gateway.domain.forwarding import ForwardingRefusal
from gateway.domain.registration import Refused
from gateway.mail.address import parse_address
from gateway.processes.registry.forwarding import Forwarding
from gateway.processes.web.pages.forms import field
from gateway.processes.web.pages.visit import Visit
from projections.directory.forwarding import policy_of, rules_of

PATH: Final = "/account/forwarding"
DONE: Final = frozenset({"forwarding-set", "forwarding-removed"})  # in a URL, as texts are called
POLICIES: Final[dict[ForwardingPolicy, str]] = {
    "none": "forward-nowhere",
    "inside": "forward-inside",
    "anywhere": "forward-anywhere",
}
RESTING: Final[dict[ForwardingRefusal, str]] = {"policy": "target-not-allowed", "suspended": "target-rests"}


async def show(visit: Visit) -> Response:
    done = visit.request.query_params.get("done", "")
    return await _page(visit, notice=done if done in DONE else "")


async def put(visit: Visit) -> Response:
    """The rule from here on, whatever it was before."""
    try:
        targets = [parse_address(each) for each in _typed(visit).split()]
        for target in targets:
            target.normalise()
    except ValueError:
        return await _page(visit, fault="no-address")
    try:
        await _registry(visit).set(
            parse_address(visit.account.address), targets, keeps_copy=bool(visit.form.get("copy"))
        )
    except Refused as error:
        return await _page(visit, fault="refused", detail=str(error), status=HTTPStatus.CONFLICT)
    await visit.office.follow()
    return visit.go(f"{PATH}?done=forwarding-set")


async def remove(visit: Visit) -> Response:
    await _registry(visit).remove(parse_address(visit.account.address))
    await visit.office.follow()
    return visit.go(f"{PATH}?done=forwarding-removed")


async def _page(
    visit: Visit,
    *,
    notice: str = "",
    fault: str = "",
    detail: str = "",
    status: HTTPStatus = HTTPStatus.BAD_REQUEST,
) -> Response:
    """What holds, and the form; what was typed and refused stands in it again."""
    account = visit.account
    async with visit.office.pool.rows() as rows:
        rule = (await rules_of(rows, [account.account_id])).get(account.account_id)
        policy = await policy_of(rows, account.agency_id)
    targets = rule.targets if rule else ()
    typed = _typed(visit) if fault else " ".join(target.address for target in targets)
    keeps_copy = bool(visit.form.get("copy")) if fault else rule is None or rule.keeps_copy
    return visit.page(
        "forwarding.html",
        status if fault else HTTPStatus.OK,
        notice=notice,
        fault=fault,
        detail=detail,
        policy=POLICIES[policy],
        is_allowed=policy != "none",
        rule=rule,
        resting=RESTING,
        typed=typed,
        keeps_copy=keeps_copy,
        here=PATH,
    )


def _typed(visit: Visit) -> str:
    return field(visit.form, "to").replace(",", " ")


def _registry(visit: Visit) -> Forwarding:
    assert visit.caller is not None, "it is for who has signed in"
    return visit.office.deciding(Forwarding, visit.caller.actor)
