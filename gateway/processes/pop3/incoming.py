"""Lines of one client, out of its connection."""

from gateway.processes.listening.visits import Visit
from gateway.processes.listening.wire import Over
from gateway.protocols.pop3 import replies
from gateway.protocols.pop3.commands import BadCommand, Lines


class Incoming:
    """Of one connection."""

    def __init__(self, visit: Visit) -> None:
        self._visit, self._lines = visit, Lines()

    @property
    def is_ahead(self) -> bool:
        """The client has sent on before its command was answered."""
        return self._lines.holds_octets

    async def line(self, within_s: float) -> bytes:
        """The next, without its CRLF. Raises Over."""
        await self._visit.flush()
        try:
            while (line := self._lines.next()) is None:
                self._lines.feed(await self._visit.read(within_s))
        except BadCommand as error:
            self._visit.write(replies.err(str(error)))
            raise Over("protocol", str(error), is_told=True) from None
        return line
