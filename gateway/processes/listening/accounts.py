"""How many sessions an account has at once from one network, at one process.

Precedents: Dovecot mail_max_userip_connections 10, Exchange PopImap MaxConcurrency 20.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from gateway.mail.ids import AccountId
from gateway.mail.networks import Network, is_within, network_of


class AccountSessions:
    """Those of one process. most: 0 is no limit; exempt: networks that have none."""

    def __init__(self, most: int, exempt: Sequence[Network] = ()) -> None:
        self._most, self._exempt = most, exempt
        self._sessions: Counter[tuple[AccountId, str]] = Counter()

    @contextmanager
    def entered(self, account_id: AccountId, ip: str) -> Iterator[bool]:
        """True: it counts while the block runs; False: there are too many."""
        key = account_id, network_of(ip)
        if self._most and self._sessions[key] >= self._most and not is_within(ip, self._exempt):
            yield False
            return
        self._sessions[key] += 1
        try:
            yield True
        finally:
            self._sessions[key] -= 1
            if not self._sessions[key]:
                del self._sessions[key]
