"""What a search looks at in messages: their headers and texts. None of it leaves us, so it is no reading."""

from typing import Final

import msgspec

from gateway.mail.collation import folded
from gateway.mail.readable import TEXT_OCTETS_MAX, readable, text_parts
from gateway.mail.summary import Summary
from gateway.ports import ContentStore
from gateway.processes.presenting import Opened, scanned

# One that is not larger has no part in an object of its own (architecture §5), and its store gives all of it
# at once or nothing: it is read once, whatever of it is wanted.
WHOLE_OCTETS_MAX: Final = 64 * 1024

_summary: Final = msgspec.json.Decoder(Summary)


class Looked:
    """A message as it was received. What it gives raises ContentMissing, ContentCorrupt, Unavailable."""

    def __init__(self, content: ContentStore, opened: Opened) -> None:
        self._content, self._opened = content, opened
        self._summary = _summary.decode(opened.secret.summary)
        self._whole: bytes | None = None

    async def header(self) -> bytes:
        return await self._octets(0, self._summary.body.body_start)

    async def text(self) -> str:
        """What a person reads of it, folded."""
        if self._summary.cut:
            self._summary = await scanned(self._content, self._opened)
        texts = []
        for part in text_parts(self._summary.body):
            end = min(part.body_end, part.body_start + TEXT_OCTETS_MAX)
            texts.append(readable(part, await self._octets(part.body_start, end)))
        return folded("\n".join(texts))

    async def _octets(self, start: int, end: int) -> bytes:
        if start == end:
            return b""
        if self._opened.message.content.octets > WHOLE_OCTETS_MAX:
            return await self._read(start, end)
        if self._whole is None:
            self._whole = await self._read(0, None)
        return self._whole[start:end]

    async def _read(self, start: int, end: int | None) -> bytes:
        return b"".join([piece async for piece in self._opened.stored(self._content, start, end)])
