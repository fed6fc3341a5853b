"""A connection before sign-in: greeting, TLS, and who it is.

Nobody's password is asked for in the clear (RFC 9051 §11.2). Refusals are told in one way, whoever it is.

Source: RFC 9051 §6.1, §6.2, §7.1; RFC 5530 (response codes), RFC 2971 (ID).
"""

from collections.abc import Mapping
from importlib.metadata import version
from typing import Final

from gateway.processes.imap.incoming import Incoming
from gateway.processes.imap.services import ImapServices, SignedIn
from gateway.processes.listening.doorstep import SIGN_IN_S, Doorstep
from gateway.processes.listening.visits import Visit
from gateway.processes.listening.wire import Over
from gateway.processes.signin.conversing import Cancelled
from gateway.processes.signin.words import NotLetIn
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
from projections.directory.query import Person

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
        self._doorstep = Doorstep(services.sign_ins, visit, "imap")

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
                self._doorstep.client = client_name(fields)
                self._visit.record.helo = self._doorstep.client
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
        return before_sign_in(
            self._doorstep.mechanisms,
            offers_starttls=self._doorstep.offers_tls,
            takes_passwords=bool(self._visit.tls),
        )

    @property
    def _capability(self) -> str:
        return f"CAPABILITY {' '.join(self._capabilities)}"

    def _say(self, tag: str, kind: Kind, text: str, code: str = "") -> None:
        self._visit.write(responses.status(tag, kind, text, code))

    def _refuse(self, tag: str, kind: Kind, text: str, code: str = "") -> None:
        """Say no. A client that goes on so is no mail program. Raises Over."""
        self._say(tag, kind, text, code)
        if over := self._doorstep.count_refusal(is_bad=kind == "BAD"):
            self._say(UNTAGGED, "BYE", str(over).capitalize())
            raise over

    # --- TLS --------------------------------------------------------------------------------------------

    async def _start_tls(self, tag: str) -> None:
        if not self._doorstep.offers_tls:
            self._refuse(tag, "BAD", "TLS is not offered here")
            return
        if self._incoming.is_ahead:  # it would count as said inside (RFC 9051 §11.1)
            raise Over("protocol", "the client sent commands ahead of TLS")
        await self._visit.secure(responses.status(tag, "OK", "Begin TLS now"))

    # --- who --------------------------------------------------------------------------------------------

    async def _login(self, tag: str, username: str, password: str) -> SignedIn | None:
        if not self._visit.tls:
            self._refuse(tag, "NO", "Begin TLS first", "PRIVACYREQUIRED")
            return None
        return self._outcome(tag, await self._doorstep.by_password("LOGIN", username, password))

    async def _authenticate(self, tag: str, mechanism: str, initial: bytes | None) -> SignedIn | None:
        if not self._visit.tls:
            self._refuse(tag, "NO", "Begin TLS first", "PRIVACYREQUIRED")
            return None
        if mechanism not in self._doorstep.mechanisms:
            self._refuse(tag, "NO", "That mechanism is not offered", "CANNOT")
            return None
        try:
            found = await self._doorstep.by_mechanism(mechanism, initial, self._ask)
        except Cancelled:
            self._refuse(tag, "BAD", "AUTHENTICATE is cancelled")
            return None
        except BadResponse:
            self._refuse(tag, "BAD", "That is no response of this mechanism")
            return None
        return self._outcome(tag, found)

    async def _ask(self, challenge: bytes) -> bytes:
        self._visit.write(b"+ " + challenge + b"\r\n")
        lines = await self._incoming.command(SIGN_IN_S)
        (line, *literals) = lines.parts
        if literals or not isinstance(line, bytes):
            raise BadResponse("a response is one line")
        return line

    def _outcome(self, tag: str, found: Person | NotLetIn) -> SignedIn | None:
        if isinstance(found, NotLetIn):
            self._refuse(tag, "NO", found.text, CODES[found.why])
            return None
        return SignedIn(found, tag, self._doorstep.client)


def client_name(fields: tuple[tuple[str, str | None], ...]) -> str:
    """How a client calls itself: name and version of ID."""
    said = dict(fields)
    return " ".join(filter(None, (said.get("name"), said.get("version"))))
