"""Who stands before a mailbox: what IMAP and POP3 ask alike, whatever words they have for it.

Nobody's password is asked for in the clear (RFC 9051 §11.2, RFC 8314 §3). Refusals are told in one way,
whoever it is (words.py).
"""

from typing import Final

from gateway.domain.app_passwords import Protocol
from gateway.ports import Unavailable
from gateway.processes import maillog
from gateway.processes.listening.visits import Visit
from gateway.processes.listening.wire import Over
from gateway.processes.signin.conversing import FAILED_SIGN_INS_MAX, Ask, by_password, converse
from gateway.processes.signin.signin import ClaimRefused, Origin, SignIns
from gateway.processes.signin.words import CANNOT_CHECK, WRONG, NotLetIn, words_of
from gateway.protocols.sasl.exchange import BadResponse
from gateway.protocols.sasl.mechanisms import offered
from projections.directory.query import Person

SIGN_IN_S: Final = 180.0  # for each command before sign-in. Precedent: Dovecot's login processes, 3 minutes
BAD_COMMANDS_MAX: Final = 20  # of who has not signed in. Precedent: Dovecot login, 3; as the edge has it


class Doorstep:
    """One connection until somebody has signed in. client: how it calls itself, if it does."""

    def __init__(self, sign_ins: SignIns, visit: Visit, protocol: Protocol) -> None:
        self._sign_ins, self._visit, self._protocol = sign_ins, visit, protocol
        self.client = ""
        self._bad = self._failed = 0

    @property
    def offers_tls(self) -> bool:
        return self._visit.certificates is not None and not self._visit.tls

    @property
    def mechanisms(self) -> tuple[str, ...]:
        return offered(self._visit.binding) if self._visit.tls else ()

    async def by_password(self, mechanism: str, username: str, password: str) -> Person | NotLetIn:
        """mechanism: as the fact of the sign-in calls it."""
        try:
            found = await by_password(self._sign_ins, self._origin(mechanism), username, password)
        except BadResponse:
            return self._refused(WRONG)
        except Unavailable as error:
            return self._cannot_check(error)
        return self._let_in(found)

    async def by_mechanism(self, mechanism: str, initial: bytes | None, ask: Ask) -> Person | NotLetIn:
        """Raises BadResponse and Cancelled as `converse` does."""
        origin = self._origin(mechanism)
        try:
            found = await converse(self._sign_ins, origin, self._visit.binding, initial, ask)
        except Unavailable as error:
            return self._cannot_check(error)
        return self._let_in(found)

    def count_refusal(self, *, is_bad: bool = False) -> Over | None:
        """One more; the end, if a client that goes on so is no mail program. Its last words are
        said by who raises it. is_bad: it was no command."""
        self._visit.record.refusals += 1
        self._bad += is_bad
        if self._bad > BAD_COMMANDS_MAX:
            return Over("limit", "too many bad commands", limit="bad_commands_max", is_told=True)
        if self._failed >= FAILED_SIGN_INS_MAX:
            return Over("limit", "too many failed sign-ins", limit="failed_sign_ins_max", is_told=True)
        return None

    def _origin(self, mechanism: str) -> Origin:
        record = self._visit.record
        record.mechanism = mechanism
        return Origin(self._protocol, mechanism, record.remote_ip, self.client)

    def _let_in(self, found: Person | ClaimRefused) -> Person | NotLetIn:
        if isinstance(found, ClaimRefused):
            return self._refused(words_of(found.reason))
        self._visit.record.author = found
        return found

    def _cannot_check(self, error: Unavailable) -> NotLetIn:
        maillog.service_unavailable(service=error.service, reason=error.reason, doing="sign in")
        return self._refused(CANNOT_CHECK)

    def _refused(self, words: NotLetIn) -> NotLetIn:
        self._failed += words.why != "later"
        return words
