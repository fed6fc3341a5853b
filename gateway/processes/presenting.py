"""The presented message: what a reader gets, streamed out of the content store.

`front` + the stored octets without the hidden ranges, both named in the event (architecture §4, "The
presented message is data"): nothing is decided at reading time.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from gateway.domain.events import Message, MessageSecret, Wrap
from gateway.domain.routing import message_label
from gateway.domain.sealing import unseal, unwrap
from gateway.mail.ids import MailId
from gateway.mail.mime import StructureScanner
from gateway.mail.presented import stored_ranges
from gateway.mail.summary import Summary, whole_summary
from gateway.ports import ContentCorrupt, ContentMissing, ContentStore, KeyForgotten, KeyStore


@dataclass(frozen=True, slots=True)
class Opened:
    """A message whose seal has been opened, ready to be read."""

    mail_id: MailId
    message: Message
    secret: MessageSecret
    data_key: bytes

    async def octets(
        self, content: ContentStore, start: int = 0, end: int | None = None
    ) -> AsyncIterator[bytes]:
        """The presented message or a range of it, in pieces of at most 1 MiB, verified.

        Raises ContentMissing, ContentCorrupt (both name the mail), Unavailable.
        """
        try:
            async for piece in self._pieces(content, start, end):
                yield piece
        except (ContentMissing, ContentCorrupt) as error:
            raise type(error)(f"{self.mail_id}: {error}") from error

    def stored(self, content: ContentStore, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The message as it was received, or a range of it. Raises as `octets` does."""
        return content.open(
            self.message.content, data_key=self.data_key, salt=self.secret.salt, start=start, end=end
        )

    async def _pieces(self, content: ContentStore, start: int, end: int | None) -> AsyncIterator[bytes]:
        front, stored = self.secret.front, self.message.content
        if given := front[start:end]:
            yield given
        for first, last in stored_ranges(len(front), self.message.hidden, stored.octets, start, end):
            # A whole read is asked for as one: it is checked against the whole digest.
            until = None if last == stored.octets else last
            async for piece in content.open(
                stored, data_key=self.data_key, salt=self.secret.salt, start=first, end=until
            ):
                yield piece


async def open_message(keys: KeyStore, mail_id: MailId, message: Message, wraps: Sequence[Wrap]) -> Opened:
    """Unwrap the data key with the first holder key that is still there, and open the seal.

    Raises KeyForgotten when every holder's key is gone, BrokenSeal, Unavailable.
    """
    for wrap in wraps:
        try:
            data_key = unwrap(wrap.wrapped, await keys.get(wrap.key))
        except KeyForgotten:
            continue
        secret = unseal(MessageSecret, message.sealed, data_key, label=message_label(mail_id))
        return Opened(mail_id, message, secret, data_key)
    raise KeyForgotten(f"{mail_id} was erased: every key that opened it is gone")


async def scanned(content: ContentStore, opened: Opened) -> Summary:
    """The whole structure of a message whose summary was cut. Raises as `Opened.octets`."""
    scanner = StructureScanner()
    async for piece in opened.stored(content):
        scanner.feed(piece)
    return whole_summary(scanner.finish())
