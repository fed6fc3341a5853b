"""Passwords, invitations and authenticators through the API: one's own, and those of others.

Whoever sets another's password or takes an authenticator away may sign in as them: it takes who may change
the account, and nobody does it to somebody whose role is higher.
"""

from collections.abc import Callable
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Final

from msgspec import Meta, Struct

from gateway.domain.registration import Refused
from gateway.mail.address import Address, parse_address
from gateway.mail.ids import AccountId
from gateway.processes.signin.authenticators import Authenticators, Owner
from gateway.processes.signin.changing import Changing
from gateway.processes.signin.people import PeopleRows
from gateway.processes.signin.signin import ClaimRefused, Origin
from gateway.processes.signin.totp import address_of_secret
from gateway.processes.web.office import Asked, Operation, address_in
from gateway.processes.web.problems import forbidden, malformed
from gateway.processes.web.signing_in import MECHANISM, refusal
from gateway.protocols.sasl.exchange import BadResponse, PasswordClaim, prepare_password
from projections.directory.query import AccountRow

Password = Annotated[str, Meta(min_length=1, max_length=255)]
Code = Annotated[str, Meta(min_length=1, max_length=12)]


class NewPassword(Struct, forbid_unknown_fields=True):
    """12 characters or more, none of the last five."""

    password: Password


class OwnPassword(Struct, forbid_unknown_fields=True):
    """current: the one that holds. code: of one's authenticator, for who has one."""

    current: Password
    password: Password
    code: Annotated[str, Meta(max_length=12)] = ""


class AccountNamed(Struct):
    account_id: AccountId
    address: str


class Invited(Struct):
    """code: shown once; whoever has it may set the account's password until then."""

    account_id: AccountId
    address: str
    code: str
    expires_at: datetime


class Secret(Struct):
    """For an authenticator, shown once. uri: otpauth://…, what a QR code holds."""

    secret: str
    uri: str


class CodeShown(Struct, forbid_unknown_fields=True):
    code: Code


class Authenticator(Struct):
    """is_set: whether signing in to administer takes a code."""

    is_set: bool


# --- those of others ----------------------------------------------------------------------------------------


async def set_password(asked: Asked) -> AccountNamed:
    account = await _changeable(asked)
    await _changing(asked).set_password(_address(account), asked.body.password)
    return AccountNamed(account.account_id, account.address)


async def invite(asked: Asked) -> Invited:
    account = await _changeable(asked)
    code, expires_at = await _changing(asked).invite(_address(account))
    return Invited(account.account_id, account.address, code, expires_at)


async def set_totp(asked: Asked) -> Secret:
    account = await _changeable(asked)
    _, secret = await _changing(asked).set_totp(_address(account))
    return Secret(secret, address_of_secret(secret, account.address))


async def remove_totp(asked: Asked) -> AccountNamed:
    account = await _changeable(asked)
    await _changing(asked).remove_totp(_address(account))
    return AccountNamed(account.account_id, account.address)


# --- one's own ----------------------------------------------------------------------------------------------


async def set_own_password(asked: Asked) -> AccountNamed:
    """Who holds a token shows the password all the same: as a sign-in, on record and throttled as one."""
    account, new = asked.own_account(), asked.body
    try:
        claim = PasswordClaim(account.address, prepare_password(new.current))
    except BadResponse as error:
        raise malformed(str(error)) from error
    origin = Origin("web", MECHANISM, asked.remote_ip)
    found = await asked.office.sign_ins.check(claim, origin, new.code)
    if isinstance(found, ClaimRefused):
        if found.reason in ("unknown", "password"):
            raise forbidden("the current password is wrong")
        if found.reason == "code":
            raise forbidden("a code of your authenticator is needed, and this is none that holds now")
        raise refusal(found)
    await _changing(asked).set_own_password(_address(account), new.password)
    return AccountNamed(account.account_id, account.address)


async def show_own_totp(asked: Asked) -> Authenticator:
    return Authenticator(await _authenticators(asked).holds(_owner(asked)))


async def begin_own_totp(asked: Asked) -> Secret:
    owner = _owner(asked)
    secret = await _authenticators(asked).begin(owner)
    return Secret(secret, address_of_secret(secret, owner.name))


async def confirm_own_totp(asked: Asked) -> Authenticator:
    await _authenticators(asked).confirm(_owner(asked), asked.body.code, _checker(asked), asked.caller.actor)
    return Authenticator(is_set=True)


async def remove_own_totp(asked: Asked) -> Authenticator:
    await _authenticators(asked).remove(_owner(asked), asked.body.code, _checker(asked), asked.caller.actor)
    return Authenticator(is_set=False)


def _owner(asked: Asked) -> Owner:
    return owner_of(asked.caller.account, asked.caller.actor.id)


def owner_of(account: AccountRow | None, operator: str) -> Owner:
    if account is None:
        return Owner(operator)
    return Owner(account.address, account.account_id, account.agency_id)


def _checker(asked: Asked) -> Callable[[str, str], bool]:
    """Codes are guessed no faster than passwords. Raises Problem, 429."""

    def check(secret: str, code: str) -> bool:
        found = asked.office.sign_ins.check_code(_owner(asked).name, asked.remote_ip, secret, code)
        if isinstance(found, ClaimRefused):
            raise refusal(found)
        return found

    return check


def _authenticators(asked: Asked) -> Authenticators:
    office = asked.office
    return Authenticators(
        keys=office.keys, lane=office.lane, clock=office.clock, entropy=office.entropy, by=office.by
    )


def _changing(asked: Asked) -> Changing:
    office = asked.office
    return Changing(
        people=PeopleRows(office.pool),
        keys=office.keys,
        lane=office.lane,
        clock=office.clock,
        entropy=office.entropy,
        actor=asked.caller.actor,
        by=office.by,
    )


async def _changeable(asked: Asked) -> AccountRow:
    """The account in the path. Raises Problem; Refused where it is closed."""
    account = await asked.account("change", address_in(asked.path["address"]))
    if account.status == "closed":
        raise Refused("the account is closed")
    return account


def _address(account: AccountRow) -> Address:
    return parse_address(account.address)


_ACCOUNT: Final = "/accounts/{address}"

OPERATIONS: Final = (
    Operation(
        "PUT",
        f"{_ACCOUNT}/password",
        "Give an account another password; its tokens end.",
        set_password,
        AccountNamed,
        NewPassword,
    ),
    Operation(
        "POST",
        f"{_ACCOUNT}/invitation",
        "Make a code with which somebody sets the account's password, within 30 days.",
        invite,
        Invited,
        status=HTTPStatus.CREATED,
    ),
    Operation(
        "POST",
        f"{_ACCOUNT}/totp",
        "Give an account an authenticator; its secret is shown once.",
        set_totp,
        Secret,
        status=HTTPStatus.CREATED,
    ),
    Operation(
        "DELETE",
        f"{_ACCOUNT}/totp",
        "Let an account sign in without an authenticator again, for who has lost it.",
        remove_totp,
        AccountNamed,
    ),
    Operation(
        "PUT",
        "/me/password",
        "Give oneself another password; one's tokens end.",
        set_own_password,
        AccountNamed,
        OwnPassword,
        right=None,
    ),
    Operation(
        "GET", "/me/totp", "Whether one has an authenticator.", show_own_totp, Authenticator, right=None
    ),
    Operation(
        "POST",
        "/me/totp",
        "Begin with an authenticator; it holds once a code of it was shown.",
        begin_own_totp,
        Secret,
        status=HTTPStatus.CREATED,
        right=None,
    ),
    Operation(
        "POST",
        "/me/totp/confirm",
        "Show a code of the authenticator that was begun: it holds from here on.",
        confirm_own_totp,
        Authenticator,
        CodeShown,
        right=None,
    ),
    Operation(
        "POST",
        "/me/totp/remove",
        "Show a code of one's authenticator: it holds no more.",
        remove_own_totp,
        Authenticator,
        CodeShown,
        right=None,
    ),
)
