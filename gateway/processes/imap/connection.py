"""One IMAP connection from its greeting to its last words.

Source: RFC 9051 §3 (states), §5.4 (autologout), §7.1.5 (BYE).
"""

import asyncio
from contextlib import AsyncExitStack

from gateway.ports import Deposed, Unavailable
from gateway.processes import maillog
from gateway.processes.imap.incoming import Incoming
from gateway.processes.imap.services import ImapServices, Session, SignedIn
from gateway.processes.imap.signing_in import CODES, OUR_ID, SigningIn, client_name
from gateway.processes.listening.visits import Ended, Visit
from gateway.processes.listening.wire import Over
from gateway.processes.signin.words import TOO_MANY_SESSIONS
from gateway.protocols.imap import responses
from gateway.protocols.imap.capabilities import after_sign_in
from gateway.protocols.imap.commands import Capability, Compress, Id, Logout, Tagged
from gateway.protocols.imap.compression import Compression
from gateway.protocols.imap.errors import UNTAGGED, CannotObey, ImapError
from gateway.protocols.imap.framer import Lines
from gateway.protocols.imap.parsing import parse_command

QUIT = Ended("quit", "quit")


class Connection:
    """One client."""

    def __init__(self, services: ImapServices, visit: Visit) -> None:
        self._services, self._visit = services, visit
        self._incoming = Incoming(visit, services.new_spool)
        self._is_compressed = False

    async def serve(self) -> Ended:
        """The whole of it. Raises Deposed, without a word; Over, when the client has been told."""
        try:
            signed_in = await SigningIn(self._services, self._visit, self._incoming).run()
            return QUIT if signed_in is None else await self._let_in(signed_in)
        except Over as over:
            if not over.is_told:
                self._say_good_bye(over)
            raise
        except Deposed:
            raise
        except Exception:
            self._visit.write(
                responses.status(UNTAGGED, "BYE", "Internal error, try again later", "SERVERBUG")
            )
            raise
        finally:
            self._incoming.forget()

    def _say_good_bye(self, over: Over) -> None:
        if over.ending == "timeout":
            self._visit.write(responses.status(UNTAGGED, "BYE", "Autologout, you were silent for too long"))
        elif over.ending == "stopped":
            self._visit.write(
                responses.status(UNTAGGED, "BYE", "Shutting down, try again later", "UNAVAILABLE")
            )

    async def _let_in(self, signed_in: SignedIn) -> Ended:
        services, visit = self._services, self._visit
        person = signed_in.person
        with services.accounts.entered(person.account_id, visit.record.remote_ip) as has_entered:
            if not has_entered:
                words = TOO_MANY_SESSIONS
                visit.write(responses.status(signed_in.tag, "NO", words.text, CODES[words.why]))
                visit.write(responses.status(UNTAGGED, "BYE", words.text))
                return Ended("limit", words.text, "access_account_connections_max")
            return await self._open(signed_in)

    async def _open(self, signed_in: SignedIn) -> Ended:
        """Begin the session, say yes, and take commands until the client logs out."""
        services, visit = self._services, self._visit
        visit.trust()
        self._incoming.trust(services.message_octets_max)
        async with AsyncExitStack() as stack:
            try:
                session = await stack.enter_async_context(services.begin(signed_in, visit, self._incoming))
            except Unavailable as error:
                self._cannot(signed_in.tag, error)
                return Ended("failed", str(error))
            said = f"CAPABILITY {' '.join(after_sign_in(services.message_octets_max))}"
            visit.write(responses.status(signed_in.tag, "OK", "Signed in", said))
            return await self._commands(session)

    async def _commands(self, session: Session) -> Ended:
        while True:
            lines = await self._next(session)
            try:
                tagged = parse_command(lines, is_utf8=session.is_utf8)
                if self._incoming.failure is not None:
                    raise self._incoming.failure
                if await self._obey(session, tagged):
                    return QUIT
            except ImapError as error:
                visit = self._visit
                visit.record.refusals += 1
                visit.write(error.response)
            except Unavailable as error:
                self._cannot(tagged.tag, error)

    async def _next(self, session: Session) -> Lines:
        """The next command; while the client says none, it is told what it asked to hear of."""
        within_s = self._services.idle_timeout_s
        if not session.is_watching:
            return await self._incoming.command(within_s)
        reading = asyncio.create_task(self._incoming.command(within_s))
        try:
            await session.tell_until(reading)
        finally:
            reading.cancel()
            await asyncio.wait([reading])
        return reading.result()

    async def _obey(self, session: Session, tagged: Tagged) -> bool:
        """True: it was the last one. Raises ImapError, Unavailable, Over."""
        visit, tag = self._visit, tagged.tag
        match tagged.command:
            case Capability():
                visit.write(responses.capability(after_sign_in(self._services.message_octets_max)))
                visit.write(responses.status(tag, "OK", "That is what we offer"))
            case Id(fields):
                session.client_is(client_name(fields))
                visit.record.helo = client_name(fields)
                visit.write(responses.id_(OUR_ID))
                visit.write(responses.status(tag, "OK", "Nice to meet you"))
            case Logout():
                visit.write(responses.status(UNTAGGED, "BYE", "Logging out"))
                visit.write(responses.status(tag, "OK", "Good-bye"))
                return True
            case Compress(mechanism):
                self._compress(tag, mechanism)
            case _:
                await session.obey(tagged)
        return False

    def _compress(self, tag: str, mechanism: str) -> None:
        """RFC 4978 §3. Raises Over, CannotObey."""
        if mechanism != "DEFLATE":
            raise CannotObey(tag, "DEFLATE is the only mechanism")
        if self._is_compressed:
            raise CannotObey(tag, "It is compressed already", "COMPRESSIONACTIVE")
        if self._incoming.is_ahead:
            raise Over("protocol", "the client sent octets ahead of COMPRESS")
        self._visit.write(responses.status(tag, "OK", "Compressed from here on"))
        compression = Compression()
        self._visit.pack(compression.inflate, compression.deflate)
        self._is_compressed = True

    def _cannot(self, tag: str, error: Unavailable) -> None:
        maillog.service_unavailable(service=error.service, reason=error.reason, doing="imap")
        self._visit.record.refusals += 1
        self._visit.write(responses.status(tag, "NO", "Cannot do that now, try again later", "UNAVAILABLE"))
