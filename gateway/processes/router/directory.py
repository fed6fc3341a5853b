"""The directory's rows, as the router needs them."""

from collections.abc import Container, Mapping, Sequence
from typing import Final, Protocol

from gateway.domain.routing import Forwarder, ForwardingRule, Hosted, Listed, Whereabouts
from gateway.mail.address import Address
from gateway.mail.ids import AccountId
from gateway.ports import Position
from projections.checkpoint import reached
from projections.directory.forwarding import Rule, rules_of
from projections.directory.lists import lists_among
from projections.directory.project import DirectoryModel
from projections.directory.query import ADDRESSING, Addressing, find_recipients
from projections.readmodel import Pool

# What the directory is folded from: after one of these the rows may answer otherwise.
DIRECTORY_TOPICS: Final = DirectoryModel.topics


class Directory(Protocol):
    async def reach(self, position: Position, timeout_s: float) -> bool:
        """Wait until the rows have reached a position; False when they did not in time."""

    async def find(self, addresses: Sequence[Address]) -> Sequence[Whereabouts]:
        """Where each address is, in the order given; a list's is Listed, of who forwards Forwarder."""


class DirectoryRows:
    """The port above, on the rows. Raises Unavailable."""

    def __init__(self, pool: Pool, addressing: Addressing = ADDRESSING) -> None:
        self._pool, self._addressing = pool, addressing

    async def reach(self, position: Position, timeout_s: float) -> bool:
        return await reached(self._pool, DirectoryModel, position, timeout_s)

    async def find(self, addresses: Sequence[Address]) -> Sequence[Whereabouts]:
        async with self._pool.rows() as rows:
            found = await find_recipients(rows, addresses, self._addressing)
            hosted = {where.account_id for where in found if isinstance(where, Hosted)}
            lists = await lists_among(rows, hosted) if hosted else set()
            rules = await rules_of(rows, hosted) if hosted else {}
        return [_known(where, lists, rules) if isinstance(where, Hosted) else where for where in found]


def _known(where: Hosted, lists: Container[AccountId], rules: Mapping[AccountId, Rule]) -> Hosted:
    if where.account_id in lists:
        return _listed(where)
    rule = rules.get(where.account_id)
    if rule is None or not rule.allowed or not rule.address:
        return where
    return Forwarder(
        where.agency_id,
        where.account_id,
        where.mailbox_id,
        where.room if rule.keeps_copy else None,
        where.owner,
        rule=ForwardingRule(rule.address, rule.allowed, rule.keeps_copy),
    )


def _listed(where: Hosted) -> Listed:
    return Listed(where.agency_id, where.account_id, where.mailbox_id, where.room, where.owner)
