"""Small contents fetched in sets before they are opened, for who knows what comes next.

From the write-ahead by hint (one request for a run of sequences), what is no longer there from its pack (one
request for neighbours). Nothing is trusted for having been held: opening verifies it like any other copy.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.adapters.stored import get_range
from gateway.domain.events import Content
from gateway.ports import ContentMissing, ObjectStore, Place, Places, Unavailable, WriteAhead

HELD_OCTETS_MAX: Final = 16 * 1024 * 1024
RUN_OCTETS_MAX: Final = 4 * 1024 * 1024  # of one request to the object store
GAP_OCTETS_MAX: Final = 64 * 1024  # cheaper to read over than to ask twice


@dataclass(frozen=True, slots=True)
class Held:
    """A stored content, and where it was found."""

    octets: bytes
    place: str
    offset: int


class ReadAhead:
    """What was fetched and not opened yet; the oldest goes when there is too much of it."""

    def __init__(self, write_ahead: WriteAhead, objects: ObjectStore, places: Places) -> None:
        self._write_ahead, self._objects, self._places = write_ahead, objects, places
        self._held: OrderedDict[str, Held] = OrderedDict()
        self._octets = 0

    def take(self, digest: str) -> Held | None:
        """What is held of a content; it is not held any more."""
        held = self._held.pop(digest, None)
        if held is not None:
            self._octets -= len(held.octets)
        return held

    async def fetch(self, contents: Sequence[Content]) -> None:
        """Hold those of them that stores have at hand."""
        wanted = {
            content.digest: content.hint
            for content in contents
            if content.hint and content.digest not in self._held
        }
        try:
            for found in await self._write_ahead.get_all(wanted.values()):
                if wanted.pop(found.digest, None):
                    self._hold(found.digest, Held(found.octets, f"CT at {found.sequence}", 0))
            if wanted:
                await self._fetch_packed((await self._places.places(wanted)).items())
        except (Unavailable, ContentMissing):  # who opens them asks again, and is told
            return

    async def _fetch_packed(self, places: Iterable[tuple[str, Place]]) -> None:
        for run in _runs(places):
            (_, first), (_, last) = run[0], run[-1]
            octets = await get_range(
                self._objects, first.pack, first.offset, last.offset + last.octets - first.offset
            )
            for digest, place in run:
                at = place.offset - first.offset
                self._hold(digest, Held(octets[at : at + place.octets], place.pack, place.offset))

    def _hold(self, digest: str, held: Held) -> None:
        self.take(digest)
        self._held[digest] = held
        self._octets += len(held.octets)
        while self._octets > HELD_OCTETS_MAX:
            self.take(next(iter(self._held)))


def _runs(places: Iterable[tuple[str, Place]]) -> Iterator[list[tuple[str, Place]]]:
    """Neighbours in one pack, each run to be read at once."""
    run: list[tuple[str, Place]] = []
    for digest, place in sorted(places, key=lambda found: (found[1].pack, found[1].offset)):
        if run:
            first, last = run[0][1], run[-1][1]
            is_near = (
                place.pack == first.pack
                and place.offset - (last.offset + last.octets) <= GAP_OCTETS_MAX
                and place.offset + place.octets - first.offset <= RUN_OCTETS_MAX
            )
            if not is_near:
                yield run
                run = []
        run.append((digest, place))
    if run:
        yield run
