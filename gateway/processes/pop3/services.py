"""What all connections of a POP3 process share."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from gateway.mail.ids import AccountId
from gateway.processes.pop3.maildrops import Maildrops
from gateway.processes.signin.signin import SignIns


class InUse:
    """The maildrops that are open: a session has its own to itself (RFC 1939 §4)."""

    def __init__(self) -> None:
        self._open: set[AccountId] = set()

    @contextmanager
    def taken(self, account_id: AccountId) -> Iterator[bool]:
        """True: it is this session's while the block runs; False: it is another's."""
        if account_id in self._open:
            yield False
            return
        self._open.add(account_id)
        try:
            yield True
        finally:
            self._open.discard(account_id)


@dataclass(frozen=True, slots=True)
class Pop3Services:
    """Put together in wiring."""

    hostname: str
    sign_ins: SignIns
    maildrops: Maildrops
    in_use: InUse
    idle_timeout_s: float
