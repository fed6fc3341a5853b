"""One POP3 connection from its greeting to its last words.

A message whose header is UTF-8 goes to a client that has not said UTF8 as it is, where RFC 6856 §2 would have
it changed or refused: what people read never changes, and mail that could never be fetched helps nobody.
Precedent: Dovecot.

Source: RFC 1939 §3 (autologout deletes nothing), §5, §6, §7; RFC 2449 §6.6 (PIPELINING).
"""

from gateway.ports import ContentCorrupt, ContentMissing, Deposed, KeyForgotten, Unavailable
from gateway.processes import maillog
from gateway.processes.listening.visits import Ended, Visit
from gateway.processes.listening.wire import Over
from gateway.processes.pop3.incoming import Incoming
from gateway.processes.pop3.maildrops import OpenMaildrop
from gateway.processes.pop3.services import Pop3Services
from gateway.processes.pop3.signing_in import SigningIn, language
from gateway.protocols.pop3 import replies
from gateway.protocols.pop3.capabilities import capabilities
from gateway.protocols.pop3.commands import (
    BadCommand,
    Capa,
    Command,
    Dele,
    Lang,
    List,
    Noop,
    Quit,
    Retr,
    Rset,
    Stat,
    State,
    Top,
    Uidl,
    parse_command,
)
from gateway.protocols.pop3.maildrop import NoSuchMessage
from gateway.protocols.pop3.replies import Sending, TopLines
from projections.directory.query import Person

QUIT = Ended("quit", "quit")


class Connection:
    """One client."""

    def __init__(self, services: Pop3Services, visit: Visit) -> None:
        self._services, self._visit = services, visit
        self._incoming = Incoming(visit)

    async def serve(self) -> Ended:
        """The whole of it. Raises Deposed, without a word; Over, when the client has been told."""
        try:
            person = await SigningIn(self._services, self._visit, self._incoming).run()
            return QUIT if person is None else await self._let_in(person)
        except Over as over:
            if over.ending == "stopped":
                self._visit.write(replies.err("Shutting down, try again later", "SYS/TEMP"))
            raise
        except Deposed:
            raise
        except Exception:
            self._visit.write(replies.err("Internal error, try again later", "SYS/TEMP"))
            raise

    async def _let_in(self, person: Person) -> Ended:
        visit = self._visit
        with self._services.in_use.taken(person.account_id) as is_ours:
            if not is_ours:
                self._refuse("Another session has the maildrop", "IN-USE")
                return Ended("limit", "another session has the maildrop", "in_use")
            try:
                drop = await self._services.maildrops.open(person.account_id, visit.record.remote_ip)
            except Unavailable as error:
                self._cannot(error)
                return Ended("failed", str(error))
            visit.trust()
            count, octets = drop.maildrop.stat()
            visit.write(replies.ok(f"{count} messages, {octets} octets"))
            return await self._transactions(drop)

    async def _transactions(self, drop: OpenMaildrop) -> Ended:
        """Until the client quits; what it has deleted is gone then, and only then."""
        while True:
            line = await self._incoming.line(self._services.idle_timeout_s)
            try:
                command = parse_command(line)
                if State.TRANSACTION not in command.states:
                    raise BadCommand("You have signed in already")
                if isinstance(command, Quit):
                    return await self._quit(drop)
                await self._obey(drop, command)
            except BadCommand as error:
                self._refuse(str(error))
            except NoSuchMessage:
                self._refuse("There is no such message")
            except Unavailable as error:
                self._cannot(error)

    async def _quit(self, drop: OpenMaildrop) -> Ended:
        try:
            await self._services.maildrops.expunge(drop)
        except Unavailable as error:  # RFC 1939 §6: the client is told that nothing was removed
            self._cannot(error)
            return Ended("failed", str(error))
        self._visit.write(replies.ok("Good-bye"))
        return QUIT

    def _refuse(self, text: str, code: replies.Code = "") -> None:
        self._visit.record.refusals += 1
        self._visit.write(replies.err(text, code))

    def _cannot(self, error: Unavailable) -> None:
        maillog.service_unavailable(service=error.service, reason=error.reason, doing="pop3")
        self._refuse("Cannot do that now, try again later", "SYS/TEMP")

    async def _obey(self, drop: OpenMaildrop, command: Command) -> None:
        """Raises NoSuchMessage, Unavailable, Over."""
        maildrop, write = drop.maildrop, self._visit.write
        match command:
            case Stat():
                count, octets = maildrop.stat()
                write(replies.ok(f"{count} {octets}"))
            case List(None):
                sizes = [f"{number} {maildrop.octets_of(number)}" for number in maildrop]
                write(replies.lines(f"{len(sizes)} messages", sizes))
            case List(int(number)):
                write(replies.ok(f"{number} {maildrop.octets_of(number)}"))
            case Uidl(None):
                ids = [f"{number} {maildrop.unique_id_of(number)}" for number in maildrop]
                write(replies.lines(f"{len(ids)} messages", ids))
            case Uidl(int(number)):
                write(replies.ok(f"{number} {maildrop.unique_id_of(number)}"))
            case Dele(number):
                maildrop.delete(number)
                write(replies.ok("It goes when you quit"))
            case Rset():
                maildrop.reset()
                write(replies.ok("Nothing goes"))
            case Noop():
                write(replies.ok("Nothing has happened"))
            case Capa():
                write(replies.lines("That is what we offer", capabilities((), offers_stls=False)))
            case Lang(tag):
                write(language(tag))
            case Retr(number):
                await self._send(drop, number, None)
            case Top(number, lines):
                await self._send(drop, number, TopLines(lines))
            case _:
                raise AssertionError(f"nobody carries out {command}")

    async def _send(self, drop: OpenMaildrop, number: int, top: TopLines | None) -> None:
        """A message, or its beginning. One that cannot be sent to its end ends the connection: what
        the client has of it must not look whole."""
        visit, sending, has_begun = self._visit, Sending(), False
        uid = drop.maildrop.uid_of(number)
        try:
            async for piece in self._services.maildrops.read(drop, uid, is_peek=top is not None):
                if not has_begun:
                    visit.write(replies.ok(f"{drop.maildrop.octets_of(number)} octets"))
                    has_begun = True
                visit.write(sending.feed(piece if top is None else top.feed(piece)))
                await visit.flush()
                if top is not None and top.is_done:
                    break
        except (ContentMissing, ContentCorrupt, KeyForgotten, Unavailable) as error:
            if has_begun:
                visit.abort()
                raise Over("failed", str(error), is_told=True) from error
            if isinstance(error, Unavailable):
                raise
            maillog.service_unavailable(service="content", reason=str(error), doing="pop3")
            self._refuse("That message cannot be read", "SYS/PERM")
            return
        visit.write(sending.finish())
