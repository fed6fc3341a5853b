"""One's own sign-ins: when, from where, by which protocol and mechanism, and whether they were let in."""

import re
from datetime import date
from typing import Final, get_args

from starlette.responses import Response

from gateway.domain.signin import Refusal
from gateway.ports import Position
from gateway.processes.web.pages.visit import Visit
from projections.trace.sign_ins import sign_ins_of

PATH: Final = "/account/sign-ins"
PAGE: Final = 50
_BEFORE: Final = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})\.([0-9]{1,18})")

# Outcomes as texts are called: each `Refusal` has one.
OUTCOMES: Final = {"accepted": "sign-in-accepted"} | {why: f"why-{why}" for why in get_args(Refusal)}


async def show(visit: Visit) -> Response:
    before = _before(visit.request.query_params.get("before", ""))
    async with visit.office.pool.rows() as rows:
        found = await sign_ins_of(rows, visit.account.account_id, before=before, limit=PAGE + 1)
    page = found[:PAGE]
    older = f"{page[-1].day}.{page[-1].position}" if len(found) > PAGE else ""
    return visit.page("sign_ins.html", sign_ins=page, outcomes=OUTCOMES, older=older, is_first=before is None)


def _before(text: str) -> tuple[date, Position] | None:
    """Where a page goes on; None: at the newest, also where a text says nothing."""
    found = _BEFORE.fullmatch(text)
    if found is None:
        return None
    try:
        return date.fromisoformat(found[1]), Position(int(found[2]))
    except ValueError:
        return None
