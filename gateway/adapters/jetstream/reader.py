"""Reading the whole log in order, for ever: raw pull with two requests under way.

Every event's position must be the previous one's plus one, and the event at the checkpoint must still be
the one that was read: anything else is a damaged log (JetStream itself skips damaged messages without a
word, facts-nats §1). A lost line, a restarted server and a lost consumer are the same thing here: look at
the checkpoint again, make a new consumer, go on.
"""

import asyncio
import json
import uuid
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final

import nats.errors
from nats.aio.msg import Msg

from gateway.adapters.jetstream import streams, wire
from gateway.adapters.jetstream.link import SERVICE, Link
from gateway.adapters.jetstream.wire import Outgoing, ServerRefused
from gateway.ports import Checkpoint, LogCorrupt, Position, Recorded, Unavailable

BATCH_MAX: Final = 1000
PULL_MESSAGES: Final = 1000
PULL_OCTETS: Final = 4 * 1024 * 1024
# Another pull is asked for below this; with two under way at most 4,000 events or 16 MB wait here.
BUFFERED_MESSAGES: Final = 2000
BUFFERED_OCTETS: Final = 8 * 1024 * 1024
PULL: Final = json.dumps(
    {
        "batch": PULL_MESSAGES,
        "max_bytes": PULL_OCTETS,
        "expires": 30_000_000_000,
        "idle_heartbeat": 500_000_000,
    }
).encode()
SILENCE_MAX_S: Final = 2.0
START_AGAIN_AFTER_S: Final = 0.2


async def follow(link: Link, stream: str, after: Checkpoint) -> AsyncIterator[Sequence[Recorded]]:
    """As EventLog.follow. Waits while the log cannot answer."""
    at: Checkpoint | Recorded = after
    gap_after = -1
    while True:
        try:
            await _check(link, stream, at.position, at.digest)
            async with _pulling(link, stream, at.position) as pulling:
                while batch := await pulling.next_batch():
                    at = batch[-1]
                    yield batch
        except Unavailable:
            await asyncio.sleep(START_AGAIN_AFTER_S)
            continue
        if pulling.has_gap:
            if at.position == gap_after:  # and yet the check finds the next event
                raise LogCorrupt(at.position + 1, "it is passed over when the log is read in order")
            gap_after = at.position


async def _check(link: Link, stream: str, position: Position, digest: bytes) -> None:
    """Is this the log that was read up to here? Raises LogCorrupt, Unavailable."""
    last = await streams.end_of_log(link, stream)
    if last < position:
        raise LogCorrupt(position, f"it has been read before, and now the log ends at {last}")
    if position > 0:
        found = await link.get(stream, seq=position)
        if found is None:
            raise LogCorrupt(position, "it has been read before, and now it is not there")
        if found.recorded().digest != digest:
            raise LogCorrupt(position, "it is another event than the one that was read before")
    if last > position and await link.get(stream, seq=position + 1) is None:
        raise LogCorrupt(position + 1, "there is no event, although the log is longer")


@asynccontextmanager
async def _pulling(link: Link, stream: str, position: Position) -> AsyncIterator["Pulling"]:
    """A consumer of everything after a position. The server forgets it when nobody pulls any more."""
    name = f"reader_{uuid.uuid4().hex}"
    pulling = Pulling(link, f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{name}", position)
    inbox = await link.client.subscribe(
        pulling.inbox, cb=pulling.arrived, pending_msgs_limit=-1, pending_bytes_limit=-1
    )
    try:
        configuration = {
            "name": name,
            "deliver_policy": "by_start_sequence",
            "opt_start_seq": position + 1,
            "ack_policy": "none",
            "replay_policy": "instant",
            "max_waiting": 8,
            "mem_storage": True,
            "num_replicas": 1,
            "inactive_threshold": 30_000_000_000,
        }
        try:
            await link.api(
                f"CONSUMER.CREATE.{stream}.{name}", {"stream_name": stream, "config": configuration}
            )
        except ServerRefused as refused:
            raise refused.as_port_error(SERVICE) from refused
        with link.when_regained(pulling.stop):
            await pulling.ask()
            yield pulling
    finally:
        with suppress(nats.errors.Error):
            await inbox.unsubscribe()


class Pulling:
    """What one consumer has sent and nobody has taken yet. Ends itself when the server goes silent."""

    def __init__(self, link: Link, next_subject: str, position: Position) -> None:
        self._link, self._next_subject = link, next_subject
        self.inbox = link.client.new_inbox()
        self.has_gap = False
        self._received = position
        self._buffer: deque[Recorded] = deque()
        self._octets = 0
        self._to_come = 0  # messages that the pulls under way may still bring
        self._stopped = False
        self._news = asyncio.Event()

    async def next_batch(self) -> Sequence[Recorded]:
        """What has arrived, at most 1,000; waits for the first. Empty when this consumer has ended.

        Raises Unavailable when the line is lost.
        """
        while not self._buffer and not self._stopped:
            self._news.clear()
            try:
                async with asyncio.timeout(SILENCE_MAX_S):
                    await self._news.wait()
            except TimeoutError:
                self._stopped = True
                break
            await self.ask()
        batch = [self._buffer.popleft() for _ in range(min(BATCH_MAX, len(self._buffer)))]
        self._octets -= sum(len(event.state) for event in batch)
        if not self._stopped:
            await self.ask()
        return batch

    async def ask(self) -> None:
        """Keep two pulls under way while there is room. Raises Unavailable."""
        while (
            self._to_come <= PULL_MESSAGES
            and len(self._buffer) < BUFFERED_MESSAGES
            and self._octets < BUFFERED_OCTETS
        ):
            self._to_come += PULL_MESSAGES
            await self._link.send(Outgoing(self._next_subject, PULL, {}), self.inbox)

    def stop(self) -> None:
        self._stopped = True
        self._news.set()

    async def arrived(self, message: Msg) -> None:
        self._news.set()
        headers = message.headers or {}
        if self._stopped:
            return
        if not message.reply:
            self._told(headers)
            return
        sequence = _sequence_in(message.reply)
        if sequence != self._received + 1:
            self.has_gap = self._stopped = True
            return
        self._received = Position(sequence)
        self._to_come -= 1
        self._octets += len(message.data)
        self._buffer.append(wire.recorded(sequence, message.subject, headers, message.data))

    def _told(self, headers: Mapping[str, str]) -> None:
        """A message of the server's own: still here, or a pull has ended, or the consumer has."""
        if headers.get("Status") == "100":
            return
        if (rest := headers.get("Nats-Pending-Messages")) is None:
            self._stopped = True
        else:
            self._to_come -= int(rest)


def _sequence_in(ack_subject: str) -> int:
    """The stream sequence in `$JS.ACK.<stream>.<consumer>.<delivered>.<stream sequence>...`, where a domain
    and an account hash may stand before the stream."""
    tokens = ack_subject.split(".")
    return int(tokens[5] if len(tokens) == 9 else tokens[7])
