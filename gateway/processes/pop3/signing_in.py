"""A POP3 connection before sign-in: greeting, TLS, and who it is.

Nobody's password is asked for in the clear (RFC 8314 §3). Refusals are told in one way, whoever it is.

Source: RFC 1939 §4, §7 (USER, PASS), RFC 2595 §4 (STLS), RFC 5034 (AUTH), RFC 3206 (codes).
"""

from collections.abc import Mapping
from typing import Final

from gateway.processes.listening.doorstep import SIGN_IN_S, Doorstep
from gateway.processes.listening.visits import Visit
from gateway.processes.listening.wire import Over
from gateway.processes.pop3.incoming import Incoming
from gateway.processes.pop3.services import Pop3Services
from gateway.processes.signin.conversing import Cancelled
from gateway.processes.signin.words import NotLetIn
from gateway.protocols.pop3 import replies
from gateway.protocols.pop3.capabilities import capabilities
from gateway.protocols.pop3.commands import (
    Auth,
    BadCommand,
    Capa,
    Command,
    Lang,
    Pass,
    Quit,
    State,
    Stls,
    User,
    Utf8,
    parse_command,
)
from gateway.protocols.sasl.exchange import BadResponse
from projections.directory.query import Person

CODES: Final[Mapping[str, replies.Code]] = {
    "credentials": "AUTH",
    "shut-out": "SYS/PERM",
    "later": "SYS/TEMP",
}


class SigningIn:
    """One connection until somebody has signed in."""

    def __init__(self, services: Pop3Services, visit: Visit, incoming: Incoming) -> None:
        self._services, self._visit, self._incoming = services, visit, incoming
        self._username: str | None = None  # of USER
        self._doorstep = Doorstep(services.sign_ins, visit, "pop3")

    async def run(self) -> Person | None:
        """Until somebody has, who is still to be told so; None: the client has quit. Raises Over."""
        self._visit.write(replies.ok(f"{self._services.hostname} is ready"))
        while True:
            line = await self._incoming.line(SIGN_IN_S)
            try:
                command = parse_command(line)
                if State.AUTHORIZATION not in command.states:
                    raise BadCommand("Sign in first")
                person = await self._obey(command)
            except BadCommand as error:
                self._refuse(str(error), is_bad=True)
                continue
            if person is not None or isinstance(command, Quit):
                return person

    async def _obey(self, command: Command) -> Person | None:
        username, self._username = self._username, None  # PASS comes right behind USER
        match command:
            case Quit():
                self._visit.write(replies.ok("Good-bye"))
            case Capa():
                offer = capabilities(self._doorstep.mechanisms, offers_stls=self._doorstep.offers_tls)
                self._visit.write(replies.lines("That is what we offer", offer))
            case Lang(tag):
                self._visit.write(language(tag))
            case Utf8():
                self._visit.write(replies.ok("UTF-8 it is"))
            case Stls():
                await self._start_tls()
            case User(name):
                self._user(name)
            case Pass(password):
                return await self._password(username, password)
            case Auth(mechanism, initial):
                return await self._authenticate(mechanism, initial)
            case _:
                raise AssertionError(f"nobody carries out {command}")
        return None

    # --- saying ---------------------------------------------------------------------------------------

    def _refuse(self, text: str, code: replies.Code = "", *, is_bad: bool = False) -> None:
        """Say no. A client that goes on so is no mail program. Raises Over."""
        self._visit.write(replies.err(text, code))
        if over := self._doorstep.count_refusal(is_bad=is_bad):
            raise over

    # --- TLS --------------------------------------------------------------------------------------------

    async def _start_tls(self) -> None:
        if not self._doorstep.offers_tls:
            self._refuse("TLS is not offered here")
            return
        if self._incoming.is_ahead:  # it would count as said inside
            raise Over("protocol", "the client sent commands ahead of TLS")
        await self._visit.secure(replies.ok("Begin TLS now"))

    # --- who --------------------------------------------------------------------------------------------

    def _user(self, name: str) -> None:
        if not self._visit.tls:
            self._refuse("Begin TLS first", "SYS/PERM")
            return
        self._username = name
        self._visit.write(replies.ok("And the password"))

    async def _password(self, username: str | None, password: str) -> Person | None:
        """Raises BadCommand."""
        if username is None:
            raise BadCommand("USER comes first")
        return self._outcome(await self._doorstep.by_password("USER", username, password))

    async def _authenticate(self, mechanism: str, initial: bytes | None) -> Person | None:
        """Raises BadCommand."""
        if not self._visit.tls:
            self._refuse("Begin TLS first", "SYS/PERM")
            return None
        if not mechanism:  # before there was CAPA, programs asked so (RFC 1734)
            self._visit.write(replies.lines("These are offered", self._doorstep.mechanisms))
            return None
        if mechanism not in self._doorstep.mechanisms:
            self._refuse("That mechanism is not offered", "SYS/PERM")
            return None
        try:
            found = await self._doorstep.by_mechanism(mechanism, initial, self._ask)
        except Cancelled:
            raise BadCommand("AUTH is cancelled") from None
        except BadResponse:
            raise BadCommand("That is no response of this mechanism") from None
        return self._outcome(found)

    async def _ask(self, challenge: bytes) -> bytes:
        self._visit.write(b"+ " + challenge + b"\r\n")
        return await self._incoming.line(SIGN_IN_S)

    def _outcome(self, found: Person | NotLetIn) -> Person | None:
        if isinstance(found, NotLetIn):
            self._refuse(found.text, CODES[found.why])
            return None
        return found


def language(tag: str) -> bytes:
    """What LANG is answered (RFC 6856 §3): our responses are English."""
    if not tag:
        return replies.lines("These are spoken", ["en English"])
    if tag == "*" or tag.lower().split("-")[0] in ("en", "i"):
        return replies.ok("en English it is")
    return replies.err("That language is not spoken here")
