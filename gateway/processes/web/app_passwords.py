"""App passwords through the API: one's own, and those of others as far as one may.

Making one opens a mailbox: oneself may, and an operator. Revoking one shuts a program out: whoever attends to
the account may.
"""

from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Final

from msgspec import Meta, Struct

from gateway.domain.app_passwords import LABEL_CHARACTERS_MAX, Protocol, Use
from gateway.mail.address import parse_address
from gateway.mail.ids import AccountId
from gateway.processes.registry.app_passwords import AppPasswords
from gateway.processes.web.office import Asked, Operation, address_in
from gateway.processes.web.rights import Right
from projections.directory import query as directory
from projections.directory.query import AccountRow

DAYS_MAX: Final = 3650


class AppPassword(Struct):
    """Without the password, which nobody can show again. expires_at: null: never. Empty: all."""

    app_id: str
    label: str
    made_at: datetime
    expires_at: datetime | None
    protocols: tuple[str, ...]
    networks: tuple[str, ...]


class AppPasswordList(Struct):
    account_id: AccountId
    app_passwords: list[AppPassword]


class NewAppPassword(Struct, forbid_unknown_fields=True):
    """days: until it ends; null: never. protocols, networks (CIDR): where alone it opens; none: all."""

    label: Annotated[str, Meta(min_length=1, max_length=LABEL_CHARACTERS_MAX)]
    days: Annotated[int, Meta(ge=1, le=DAYS_MAX)] | None = None
    protocols: Annotated[list[Protocol], Meta(max_length=3)] = []
    networks: Annotated[list[Annotated[str, Meta(max_length=50)]], Meta(max_length=20)] = []


class AppPasswordMade(Struct):
    app_id: str
    account_id: AccountId
    address: str
    password: str  # shown once


class AppPasswordRevoked(Struct):
    app_id: str
    account_id: AccountId
    address: str


async def list_of(asked: Asked) -> AppPasswordList:
    return await _listed(asked, await _account(asked, "see"))


async def make_for(asked: Asked) -> AppPasswordMade:
    return await _made(asked, await _account(asked, "govern"))


async def revoke_of(asked: Asked) -> AppPasswordRevoked:
    return await _revoked(asked, await _account(asked, "attend"))


async def list_mine(asked: Asked) -> AppPasswordList:
    return await _listed(asked, asked.own_account())


async def make_mine(asked: Asked) -> AppPasswordMade:
    return await _made(asked, asked.own_account())


async def revoke_mine(asked: Asked) -> AppPasswordRevoked:
    return await _revoked(asked, asked.own_account())


async def _account(asked: Asked, right: Right) -> AccountRow:
    return await asked.account(right, address_in(asked.path["address"]))


async def _listed(asked: Asked, account: AccountRow) -> AppPasswordList:
    async with asked.office.pool.rows() as rows:
        found = await directory.app_passwords_of(rows, account.account_id)
    shown = [
        AppPassword(row.app_id, row.label, row.made_at, row.expires_at, row.protocols, row.networks)
        for row in found
    ]
    return AppPasswordList(account.account_id, shown)


async def _made(asked: Asked, account: AccountRow) -> AppPasswordMade:
    new: NewAppPassword = asked.body
    ends = asked.office.clock.now() + timedelta(days=new.days) if new.days else None
    use = Use(new.label, ends, tuple(new.protocols), tuple(new.networks))
    app_id, password = await asked.registry(AppPasswords).make(parse_address(account.address), use)
    return AppPasswordMade(app_id, account.account_id, account.address, password)


async def _revoked(asked: Asked, account: AccountRow) -> AppPasswordRevoked:
    app_id = asked.path["app_id"]
    await asked.registry(AppPasswords).revoke(parse_address(account.address), app_id)
    return AppPasswordRevoked(app_id, account.account_id, account.address)


_OF: Final = "/accounts/{address}/app-passwords"
_MINE: Final = "/me/app-passwords"
_ONE: Final = "/{app_id}"

OPERATIONS: Final = (
    Operation("GET", _OF, "An account's app passwords, without the passwords.", list_of, AppPasswordList),
    Operation(
        "POST",
        _OF,
        "Make a further password for an account, shown once; an operator's to do.",
        make_for,
        AppPasswordMade,
        NewAppPassword,
        status=HTTPStatus.CREATED,
    ),
    Operation(
        "DELETE", f"{_OF}{_ONE}", "Let an app password open nothing any more.", revoke_of, AppPasswordRevoked
    ),
    Operation("GET", _MINE, "One's own app passwords.", list_mine, AppPasswordList, right=None),
    Operation(
        "POST",
        _MINE,
        "Make a further password for one program of one's own, shown once.",
        make_mine,
        AppPasswordMade,
        NewAppPassword,
        status=HTTPStatus.CREATED,
        right=None,
    ),
    Operation(
        "DELETE",
        f"{_MINE}{_ONE}",
        "Let one's own app password open nothing any more.",
        revoke_mine,
        AppPasswordRevoked,
        right=None,
    ),
)
