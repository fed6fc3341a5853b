"""Bans as people read them: whom by name, and whether they hold."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Literal

from gateway.mail.ids import AccountId
from projections.bans import query
from projections.bans.query import Ban
from projections.directory import query as directory
from projections.readmodel import Rows

BanState = Literal["banned", "lifted", "ended"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedBan(Ban):
    """whom: the network, an address of the account, or `(erased)`."""

    whom: str
    state: BanState


async def named(rows: Rows, now: datetime, *, everything: bool) -> list[NamedBan]:
    """The newest first. everything: those that have ended or were lifted as well."""
    found = await query.all_bans(rows) if everything else await query.bans_ending_after(rows, now)
    shown = [one for one in found if everything or one.holds(now)]
    accounts = {one.account_id for one in shown if one.account_id is not None}
    known = {each: await directory.account_with_id(rows, each) for each in accounts}
    addresses = {account_id: row.address for account_id, row in known.items() if row is not None}
    return [
        NamedBan(
            **asdict(one),
            whom=one.network or _address(one, addresses),
            state="lifted" if one.lifted_at else "banned" if one.holds(now) else "ended",
        )
        for one in shown
    ]


def _address(one: Ban, addresses: Mapping[AccountId, str]) -> str:
    if one.account_id is None:
        return "(erased)"
    return addresses.get(one.account_id) or one.account_id
