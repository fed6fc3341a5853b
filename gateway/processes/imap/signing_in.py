"""A connection before sign-in: greeting, TLS, and who it is.

Nobody's password is asked for in the clear (RFC 9051 §11.2). Refusals are told in one way, whoever it is.

Source: RFC 9051 §6.1, §6.2, §7.1; RFC 5530 (response codes), RFC 2971 (ID).
"""

from collections.abc import Mapping
from importlib.metadata import version
from typing import Final

from gateway.ports import Unavailable
from gateway.processes import maillog
from gateway.processes.imap.incoming import Incoming
from gateway.processes.imap.services import ImapServices, SignedIn
from gateway.processes.listening.visits import Visit
from gateway.processes.listening.wire import Over
from gateway.processes.signin.conversing import FAILED_SIGN_INS_MAX, Cancelled, by_password, converse
from gateway.processes.signin.signin import ClaimRefused, Origin
from gateway.processes.signin.words import CANNOT_CHECK, NotLetIn, words_of
from gateway.protocols.imap import responses
from gateway.protocols.imap.capabilities import before_sign_in
from gateway.protocols.imap.commands import (
    Authenticate,
    Capability,
    Id,
    Login,
    Logout,
    Noop,
    Starttls,
    State,
    Tagged,
)
from gateway.protocols.imap.errors import UNTAGGED, ImapError, Kind
from gateway.protocols.imap.parsing import parse_command
from gateway.protocols.sasl.exchange import BadResponse
from gateway.protocols.sasl.mechanisms import offered
from projections.directory.query import Person

SIGN_IN_S: Final = 180.0  # for each command before sign-in. Precedent: Dovecot's login processes, 3 minutes
BAD_COMMANDS_MAX: Final = 20  # of who has not signed in. Precedent: Dovecot login, 3; as the edge has it
CODES: Final[Mapping[str, str]] = {
    "credentials": "AUTHENTICATIONFAILED",
    "shut-out": "CONTACTADMIN",
    "later": "UNAVAILABLE",
}
OUR_ID: Final = {"name": "Saraban", "version": version("saraban")}


class SigningIn:
    """One connection until somebody has signed in."""

    def __init__(self, services: ImapServices, visit: Visit, incoming: Incoming) -> None:
        self._services, self._visit, self._incoming = services, visit, incoming
        self._client = ""
        self._bad = self._failed = 0

    async def run(self) -> SignedIn | None:
        """Until somebody has; None: the client has logged out. Raises Over."""
        self._say(UNTAGGED, "OK", f"{self._services.hostname} is ready", self._capability)
        while True:
            lines = await self._incoming.command(SIGN_IN_S)
            try:
                tagged = parse_command(lines)
                if State.NOT_SIGNED_IN not in tagged.command.states:
                    self._refuse(tagged.tag, "BAD", "Sign in first")
                    continue
                outcome = await self._obey(tagged)
            except ImapError as error:
                self._refuse(error.tag, error.kind, error.text, error.code)
                continue
            if isinstance(outcome, SignedIn):
                return outcome
            if isinstance(tagged.command, Logout):
                return None

    async def _obey(self, tagged: Tagged) -> SignedIn | None:
        tag = tagged.tag
        match tagged.command:
            case Capability():
                self._visit.write(responses.capability(self._capabilities))
                self._say(tag, "OK", "That is what we offer")
            case Noop():
                self._say(tag, "OK", "Nothing has happened")
            case Id(fields):
                self._client = client_name(fields)
                self._visit.record.helo = self._client
                self._visit.write(responses.id_(OUR_ID))
                self._say(tag, "OK", "Nice to meet you")
            case Logout():
                self._visit.write(responses.status(UNTAGGED, "BYE", "Logging out"))
                self._say(tag, "OK", "Good-bye")
            case Starttls():
                await self._start_tls(tag)
            case Login(username, password):
                return await self._login(tag, username, password)
            case Authenticate(mechanism, initial):
                return await self._authenticate(tag, mechanism, initial)
            case _:
                raise AssertionError(f"nobody carries out {tagged.command}")
        return None

    # --- saying ---------------------------------------------------------------------------------------

    @property
    def _capabilities(self) -> tuple[str, ...]:
        visit = self._visit
        return before_sign_in(
            self._mechanisms,
            offers_starttls=visit.certificates is not None and not visit.tls,
            takes_passwords=bool(visit.tls),
        )

    @property
    def _capability(self) -> str:
        return f"CAPABILITY {' '.join(self._capabilities)}"

    @property
    def _mechanisms(self) -> tuple[str, ...]:
        return offered(self._visit.binding) if self._visit.tls else ()

    def _say(self, tag: str, kind: Kind, text: str, code: str = "") -> None:
        self._visit.write(responses.status(tag, kind, text, code))

    def _refuse(self, tag: str, kind: Kind, text: str, code: str = "") -> None:
        """Say no. A client that goes on so is no mail program. Raises Over."""
        self._visit.record.refusals += 1
        self._say(tag, kind, text, code)
        self._bad += kind == "BAD"
        if self._bad > BAD_COMMANDS_MAX:
            self._end("too many bad commands", "bad_commands_max")
        if self._failed >= FAILED_SIGN_INS_MAX:
            self._end("too many failed sign-ins", "failed_sign_ins_max")

    def _end(self, text: str, limit: str) -> None:
        self._say(UNTAGGED, "BYE", text.capitalize())
        raise Over("limit", text, limit=limit, is_told=True)

    # --- TLS --------------------------------------------------------------------------------------------

    async def _start_tls(self, tag: str) -> None:
        visit = self._visit
        if visit.certificates is None or visit.tls:
            self._refuse(tag, "BAD", "TLS is not offered here")
            return
        if self._incoming.is_ahead:  # it would count as said inside (RFC 9051 §11.1)
            raise Over("protocol", "the client sent commands ahead of TLS")
        await visit.secure(responses.status(tag, "OK", "Begin TLS now"))

    # --- who --------------------------------------------------------------------------------------------

    async def _login(self, tag: str, username: str, password: str) -> SignedIn | None:
        if not self._visit.tls:
            self._refuse(tag, "NO", "Begin TLS first", "PRIVACYREQUIRED")
            return None
        origin = self._origin("LOGIN")
        try:
            found = await by_password(self._services.sign_ins, origin, username, password)
        except BadResponse:
            found = ClaimRefused("password")
        except Unavailable as error:
            self._cannot_check(tag, error)
            return None
        return self._outcome(tag, found)

    async def _authenticate(self, tag: str, mechanism: str, initial: bytes | None) -> SignedIn | None:
        if not self._visit.tls:
            self._refuse(tag, "NO", "Begin TLS first", "PRIVACYREQUIRED")
            return None
        if mechanism not in self._mechanisms:
            self._refuse(tag, "NO", "That mechanism is not offered", "CANNOT")
            return None
        origin, visit = self._origin(mechanism), self._visit
        try:
            found = await converse(self._services.sign_ins, origin, visit.binding, initial, self._ask)
        except Cancelled:
            self._refuse(tag, "BAD", "AUTHENTICATE is cancelled")
            return None
        except BadResponse:
            self._refuse(tag, "BAD", "That is no response of this mechanism")
            return None
        except Unavailable as error:
            self._cannot_check(tag, error)
            return None
        return self._outcome(tag, found)

    async def _ask(self, challenge: bytes) -> bytes:
        self._visit.write(b"+ " + challenge + b"\r\n")
        lines = await self._incoming.command(SIGN_IN_S)
        (line, *literals) = lines.parts
        if literals or not isinstance(line, bytes):
            raise BadResponse("a response is one line")
        return line

    def _origin(self, mechanism: str) -> Origin:
        record = self._visit.record
        record.mechanism = mechanism
        return Origin("imap", mechanism, record.remote_ip, self._client)

    def _outcome(self, tag: str, found: Person | ClaimRefused) -> SignedIn | None:
        if isinstance(found, ClaimRefused):
            self._not_let_in(tag, words_of(found.reason))
            return None
        self._visit.record.author = found
        return SignedIn(found, tag, self._client)

    def _cannot_check(self, tag: str, error: Unavailable) -> None:
        maillog.service_unavailable(service=error.service, reason=error.reason, doing="sign in")
        self._not_let_in(tag, CANNOT_CHECK)

    def _not_let_in(self, tag: str, words: NotLetIn) -> None:
        self._failed += words.why != "later"
        self._refuse(tag, "NO", words.text, CODES[words.why])


def client_name(fields: tuple[tuple[str, str | None], ...]) -> str:
    """How a client calls itself: name and version of ID."""
    said = dict(fields)
    return " ".join(filter(None, (said.get("name"), said.get("version"))))
