"""Making a message durable before any event names it (architecture §5).

What is returned names only content that is durable already; an object whose facts are never appended is
garbage that the sweep finds.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from gateway.domain import sealing
from gateway.domain.events import ContentStored, Fact, Message, MessageSecret, Stamp
from gateway.domain.histories import CONTENT
from gateway.domain.routing import message_label
from gateway.mail import carving, presented
from gateway.mail.ids import AgencyId, MailId
from gateway.mail.mime import Part
from gateway.mail.summary import summarise
from gateway.ports import ContentStore, Entropy, Spooled

SALT_OCTETS: Final = 16
# Above this, carving (decoding and hashing) is done in a thread, so that other sessions go on.
INLINE_OCTETS_MAX: Final = 256 * 1024


class Octets:
    """A message in memory. The port Spooled."""

    def __init__(self, message: bytes) -> None:
        self._message = message
        self.octets = len(message)

    def read(self, start: int, end: int) -> Iterator[bytes]:
        yield self._message[start:end]


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """What an event says of a message, the key that opens it, and the facts of objects that are new."""

    message: Message
    data_key: bytes
    objects: list[Fact]


async def store_message(
    content: ContentStore,
    entropy: Entropy,
    *,
    mail_id: MailId,
    agency_id: AgencyId,
    stamp: Stamp,
    octets: Spooled,
    tree: Part,
    front: bytes = b"",
    hidden: tuple[tuple[int, int], ...] = (),
) -> StoredMessage:
    """agency_id: whose attachments are shared with it. tree: the structure of `octets`.

    Raises Full, Unavailable.
    """
    data_key, salt = entropy(sealing.DATA_KEY_OCTETS), entropy(SALT_OCTETS)
    if octets.octets <= INLINE_OCTETS_MAX:
        skeleton = carving.carve(tree, octets.read)
    else:
        skeleton = await asyncio.to_thread(carving.carve, tree, octets.read)
    stored = await content.put(octets, skeleton=skeleton, data_key=data_key, salt=salt, agency_id=agency_id)
    secret = MessageSecret(front=front, salt=salt, summary=summarise(tree))
    message = Message(
        content=stored.content,
        presented_octets=presented.presented_octets(len(front), hidden, octets.octets),
        sealed=sealing.seal(
            secret, data_key, nonce=entropy(sealing.NONCE_OCTETS), label=message_label(mail_id)
        ),
        hidden=hidden,
    )
    objects = [
        Fact(CONTENT, ContentStored(**stamp.fields(), name=o.name, octets=o.octets, digest=o.digest))
        for o in stored.objects
    ]
    return StoredMessage(message, data_key, objects)
