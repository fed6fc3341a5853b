"""CT, the content's write-ahead: contents on their way into packs, durable like the log and deletable.

A content is one message on `ct.<lane>` with its digest in a header; the lanes' markers lie between them and
are told by their topic. Source: architecture §5, ADR 0005.
"""

from bisect import bisect_right
from collections.abc import Collection
from typing import Final

from gateway.adapters.jetstream import wire
from gateway.adapters.jetstream.committer import Committer
from gateway.adapters.jetstream.link import SERVICE, Link
from gateway.adapters.jetstream.streams import CONTENT
from gateway.adapters.jetstream.wire import Outgoing, ServerRefused, Stored
from gateway.ports import Unpacked, Unread

DIGEST: Final = "Ct-Digest"
READ_MAX: Final = 1000
GAP_MAX: Final = 8  # messages that are cheaper to read over than to ask twice


class JetStreamWriteAhead:
    """The port WriteAhead. lane, name: of `open_content_lane`; who only reads needs none."""

    def __init__(self, link: Link, lane: Committer | None = None, name: str = "") -> None:
        self._link, self._lane, self._subject = link, lane, f"ct.{name}"

    async def append(self, digest: str, octets: bytes) -> int:
        assert self._lane is not None, "only a lane's owner appends"
        return await self._lane.append([Outgoing(self._subject, octets, {DIGEST: digest})])

    async def get(self, sequence: int) -> Unpacked | None:
        # A direct get is cheap; that it found nothing counts only when the leader says so too.
        near = await self._link.read(CONTENT, "ct.>", sequence, 1)
        if near and near[0].sequence == sequence:
            return _unpacked(near[0])
        found = await self._link.get(CONTENT, seq=sequence)
        return _unpacked(found) if found else None

    async def get_all(self, sequences: Collection[int]) -> list[Unpacked]:
        asked = set(sequences)
        wanted, found, at = sorted(asked), list[Unpacked](), 0
        while at < len(wanted):
            end = at + 1
            while end < len(wanted) and wanted[end] - wanted[end - 1] <= GAP_MAX:
                end += 1
            stored = await self._link.read(CONTENT, "ct.>", wanted[at], wanted[end - 1] - wanted[at] + 1)
            if not stored:
                break
            found += [one for each in stored if each.sequence in asked and (one := _unpacked(each))]
            # A long run comes in several answers; where messages are gone, one reaches into the next run.
            at = bisect_right(wanted, stored[-1].sequence)
        return found

    async def read(self, after: int) -> Unread:
        found = await self._link.read(CONTENT, "ct.>", after + 1, READ_MAX)
        contents = [content for stored in found if (content := _unpacked(stored)) is not None]
        return Unread(contents, found[-1].sequence if found else after)

    async def purge(self, up_to: int) -> None:
        # Lanes whose marker goes too open again; that costs them two round trips.
        try:
            await self._link.api(f"STREAM.PURGE.{CONTENT}", {"seq": up_to + 1})
        except ServerRefused as refused:
            raise refused.as_port_error(SERVICE) from refused

    async def waiting(self) -> int:
        try:
            found = await self._link.api(f"STREAM.INFO.{CONTENT}")
        except ServerRefused as refused:
            raise refused.as_port_error(SERVICE) from refused
        messages: int = found["state"]["messages"]
        return messages


def _unpacked(stored: Stored) -> Unpacked | None:
    """The content; None for a lane's marker."""
    digest = stored.headers.get(DIGEST)
    return (
        None
        if digest is None or wire.TOPIC in stored.headers
        else Unpacked(stored.sequence, digest, stored.payload)
    )
