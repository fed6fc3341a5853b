"""What this router has put into mailboxes that the rows may not have counted yet.

Rows say what a mailbox held a moment ago; of fifty mails for its last free megabyte each alone would fit. So
what was decided counts at once. Several routers know nothing of each other: together they may go over a
quota by what they decide before the rows follow, one batch each at most.
"""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from gateway.domain.quota import QuotaRule, Room
from gateway.domain.routing import Destination, Hosted
from gateway.mail.ids import AccountId
from gateway.ports import Clock

HOLDS_S: Final = 10.0  # far longer than rows lag behind; after it they are believed again
ACCOUNTS_MAX: Final = 50_000


class Filling:
    """All of one router's; `begin` a batch, and `keep` it once nothing of it can fail any more."""

    def __init__(self, rule: QuotaRule, clock: Clock) -> None:
        self._rule, self._clock = rule, clock
        self._held: OrderedDict[AccountId, tuple[float, int]] = OrderedDict()  # since when, octets

    def begin(self) -> "Batch":
        return Batch(self._rule, self)

    def held(self, account_id: AccountId, room: Room) -> int:
        """Octets in the mailbox, by rows and by what was decided."""
        at, octets = self._held.get(account_id, (0.0, 0))
        return max(room.octets, octets) if self._clock.monotonic() - at < HOLDS_S else room.octets

    def keep(self, batch: "Batch") -> None:
        now = self._clock.monotonic()
        for account_id, octets in batch.octets.items():
            self._held[account_id] = now, octets
            self._held.move_to_end(account_id)
        while len(self._held) > ACCOUNTS_MAX:
            self._held.popitem(last=False)


class Batch:
    """Mails that are decided together."""

    def __init__(self, rule: QuotaRule, filling: Filling) -> None:
        self._rule, self._filling = rule, filling
        self.octets: dict[AccountId, int] = {}  # what mailboxes hold then

    def full_among(self, whereabouts: Sequence[Destination]) -> set[AccountId]:
        """Whose mailboxes take no more."""
        return {
            where.account_id
            for where in whereabouts
            if isinstance(where, Hosted) and where.room is not None and self._is_full(where, where.room)
        }

    def _is_full(self, hosted: Hosted, room: Room) -> bool:
        return self._rule.limits(room) and self._held(hosted, room) >= room.quota_octets

    def _held(self, hosted: Hosted, room: Room) -> int:
        known = self.octets.get(hosted.account_id)
        return self._filling.held(hosted.account_id, room) if known is None else known

    def delivered(self, whereabouts: Sequence[Destination], accounts: set[AccountId], octets: int) -> None:
        """These accounts get a mail of so many octets."""
        for where in {where for where in whereabouts if isinstance(where, Hosted)}:
            if where.account_id in accounts and where.room is not None:
                self.octets[where.account_id] = self._held(where, where.room) + octets
