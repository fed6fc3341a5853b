"""Fold: which pack holds a content, and which objects there are.

A content stays where it was packed first: a packer that was paused and tells late changes nothing. A mail, or
a message put into a mailbox, names its objects too, because one that was there already is not told of again.
"""

from collections.abc import Sequence
from typing import Final

from gateway.domain.changes import MessageAppended, MessageMovedIn
from gateway.domain.events import ContentPacked, ContentStored, MailAccepted
from gateway.ports import Recorded
from projections.keyring import Keys
from projections.readmodel import ReadModel, Rows

ADD_PACKS: Final = """
INSERT INTO pack (id, name, octets, digest)
SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::bytea[])
ON CONFLICT (name) DO NOTHING
"""
ADD_CONTENTS: Final = """
INSERT INTO content (digest, pack, place, octets)
SELECT found.digest, pack.id, found.place, found.octets
FROM unnest($1::bytea[], $2::text[], $3::int[], $4::int[]) AS found (digest, name, place, octets)
JOIN pack ON pack.name = found.name
ON CONFLICT (digest) DO NOTHING
"""
ADD_OBJECTS: Final = """
INSERT INTO object (name, octets, digest) SELECT * FROM unnest($1::text[], $2::bigint[], $3::bytea[])
ON CONFLICT (name) DO UPDATE SET octets = excluded.octets, digest = excluded.digest
WHERE excluded.digest IS NOT NULL
"""


class ContentModel(ReadModel):
    name = "content"
    version = 3
    topics = frozenset(
        kind.TOPIC for kind in (ContentStored, ContentPacked, MailAccepted, MessageAppended, MessageMovedIn)
    )

    async def apply(self, batch: Sequence[Recorded], rows: Rows, keys: Keys) -> None:
        packs: dict[str, tuple[int, str, int, bytes]] = {}
        places: dict[str, tuple[bytes, str, int, int]] = {}
        objects: dict[str, tuple[str, int | None, bytes | None]] = {}
        for recorded in batch:
            match recorded.event:
                case ContentPacked() as event:
                    pack = (recorded.position, event.pack, event.octets, bytes.fromhex(event.digest))
                    packs.setdefault(event.pack, pack)
                    for entry in event.entries:
                        place = (bytes.fromhex(entry.digest), event.pack, entry.offset, entry.octets)
                        places.setdefault(entry.digest, place)
                case ContentStored() as event:
                    objects[event.name] = (event.name, event.octets, bytes.fromhex(event.digest))
                case MailAccepted() | MessageAppended() as event:
                    content = event.message.content
                    for name in filter(None, (content.large, *content.attachments)):
                        objects.setdefault(name, (name, None, None))
        if packs:
            await rows.execute(ADD_PACKS, *map(list, zip(*packs.values(), strict=True)))
        if places:
            await rows.execute(ADD_CONTENTS, *map(list, zip(*places.values(), strict=True)))
        if objects:
            await rows.execute(ADD_OBJECTS, *map(list, zip(*objects.values(), strict=True)))
