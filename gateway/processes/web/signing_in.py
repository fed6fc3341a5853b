"""Tokens for passwords, and who holds one."""

from http import HTTPStatus

from starlette.requests import Request

from gateway.processes.signin.signin import ClaimRefused, Origin
from gateway.processes.web import bodies
from gateway.processes.web.office import Asked, Office
from gateway.processes.web.problems import Problem, malformed, shut_out, unauthorised
from gateway.processes.web.tokens import Holder, Token
from gateway.protocols.sasl.exchange import BadResponse, PasswordClaim, prepare_password

MECHANISM = "password"
WAIT_S = 60


async def sign_in(office: Office, request: Request, asked: bodies.SignInRequest) -> Token:
    """A token for who knows the password; on record either way, before it is answered. Raises Problem."""
    try:
        claim = PasswordClaim(asked.username, prepare_password(asked.password))
    except BadResponse as error:
        raise malformed(str(error)) from error
    origin = Origin("web", MECHANISM, request.client.host if request.client else "")
    mark = await office.sign_ins.mark(asked.username)  # before the check: a password set meanwhile ends it
    if "@" not in asked.username:
        is_appointed = asked.username in await office.operators()
        signing_in = office.sign_ins.check_operator(claim, origin, asked.code, is_appointed=is_appointed)
        if (refused := await signing_in) is None:
            return await office.tokens.issue(Holder(operator=asked.username), mark)
        raise refusal(refused)
    found = await office.sign_ins.check(claim, origin, asked.code)
    if isinstance(found, ClaimRefused):
        raise refusal(found)
    return await office.tokens.issue(Holder(account_id=found.account_id), mark)


def refusal(refused: ClaimRefused) -> Problem:
    match refused.reason:
        case "throttled":
            wait = {"retry-after": str(WAIT_S)}
            return Problem(
                HTTPStatus.TOO_MANY_REQUESTS, "there were too many failed sign-ins: try again later", wait
            )
        case "suspended" | "closed" | "banned" | "trial-ended" as status:
            return shut_out(status)
        case "code":
            return unauthorised("a code of your authenticator is needed, and this is none that holds now")
    return unauthorised("user name or password is wrong")


async def me(asked: Asked) -> bodies.Me:
    caller = asked.caller
    account = caller.account
    held = [bodies.RoleHeld(grant.role, grant.agency_id) for grant in caller.grants]
    return bodies.Me(
        username=account.address if account else caller.actor.id,
        account_id=account.account_id if account else None,
        agency_id=account.agency_id if account else None,
        display_name=account.display_name if account else "",
        roles=sorted(held, key=lambda role: (role.role, role.agency_id or "")),
    )
