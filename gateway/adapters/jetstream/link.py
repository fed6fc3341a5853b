"""One connection to NATS, and the conversations with JetStream that nats-py lacks.

Acks have an inbox and futures of our own with an end each; batches are atomic (ADR-50); many messages are
read by one batch direct get (ADR-31). Nothing is buffered while the line is down: what could not be sent
raises Unavailable at once, what was sent without an answer raises Unanswered as soon as the line is lost.
"""

import asyncio
import itertools
import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final
from urllib.parse import urlsplit

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from gateway.adapters.jetstream import wire
from gateway.adapters.jetstream.wire import Outgoing, ServerRefused, Stored, Unanswered
from gateway.ports import Unavailable

SERVICE: Final = "nats"
CONNECT_TIMEOUT_S: Final = 5.0  # for the first connection; a lost one is looked for without end
ACK_TIMEOUT_S: Final = 10.0  # an fsync on a busy disk takes its time; silence costs a lane.closed
API_TIMEOUT_S: Final = 5.0
ASK_AGAIN_AFTER_S: Final = 0.1
READ_OCTETS_MAX: Final = 4 * 1024 * 1024  # of one batch direct get
READ_MESSAGES_MAX: Final = 1000


@asynccontextmanager
async def connect(
    url: str, *, name: str, on_error: Callable[[Exception], None] = lambda error: None
) -> AsyncIterator["Link"]:
    """A line to the server, kept up until the block ends. Raises Unavailable when there is none at first.

    name: shown by the server's monitoring. on_error: told what the driver notices on the way.
    The inbox is `_INBOX_<user>` when the url names a user, as infra/nats permits.
    """
    link = Link()
    user = urlsplit(url).username

    told: list[Exception] = []

    async def report(error: Exception) -> None:
        told[:] = [error]
        on_error(error)

    client = Client()
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            await client.connect(
                url,
                name=name,
                inbox_prefix=f"_INBOX_{user}" if user else "_INBOX",
                pending_size=0,  # nothing is kept for later: no ghost publishes
                max_reconnect_attempts=-1,
                reconnect_time_wait=0.25,  # type: ignore[arg-type]  # seconds, only ever slept
                ping_interval=5,
                error_cb=report,
                disconnected_cb=link._lost,
                reconnected_cb=link._regained,
            )
            await link._start(client)
    except (OSError, nats.errors.Error, TimeoutError) as error:
        await client.close()
        address = urlsplit(url).netloc.rpartition("@")[2]
        why = told[-1] if told else error  # a wrong password is told, and then tried again
        raise Unavailable(SERVICE, f"no connection to {address}: {why!r}") from error
    try:
        yield link
    finally:
        await client.close()


class Link:
    """Made by `connect`."""

    client: Client

    def __init__(self) -> None:
        self._tokens = itertools.count(1)
        self._waiting: dict[str, Callable[[Msg], None]] = {}
        self._unanswered: set[asyncio.Future[Any]] = set()
        self._regained_listeners: set[Callable[[], None]] = set()

    async def _start(self, client: Client) -> None:
        self.client = client
        self._inbox = client.new_inbox()
        # What arrives here is bounded by what was asked for, never by dropping.
        await client.subscribe(
            f"{self._inbox}.*", cb=self._arrived, pending_msgs_limit=-1, pending_bytes_limit=-1
        )

    # --- writing -----------------------------------------------------------------------------------

    async def publish(self, message: Outgoing) -> int:
        """Store one message; its sequence, on disk.

        Raises ServerRefused, Unanswered, Unavailable (not sent).
        """
        with self._expecting() as (reply, answer):
            await self.send(message, reply)
            return wire.sequence_of(await self._answer(answer, ACK_TIMEOUT_S))

    async def publish_batch(self, messages: Sequence[Outgoing], batch_id: str = "") -> int:
        """Store messages side by side, all or none; the sequence of the last. Errors as `publish`.

        batch_id: stored with each message; unique, at most 64 characters.
        """
        batch_id, last = batch_id or uuid.uuid4().hex, len(messages)
        with self._expecting() as (reply, answer):
            for number, message in enumerate(messages, 1):
                headers = {wire.BATCH_ID: batch_id, wire.BATCH_SEQUENCE: str(number)}
                if number == last:
                    headers[wire.BATCH_COMMIT] = "1"
                try:
                    await self.send(message.with_headers(headers), reply if number == last else "")
                except Unavailable as error:
                    if number == 1:
                        raise
                    raise Unanswered("the line was lost within a batch") from error
            return wire.sequence_of(await self._answer(answer, ACK_TIMEOUT_S))

    async def announce(self, subject: str, payload: bytes = b"") -> None:
        """Tell whoever listens now; not stored. Raises Unavailable."""
        await self.send(Outgoing(subject, payload, {}), "")

    # --- reading -----------------------------------------------------------------------------------

    async def api(self, subject: str, request: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Ask `$JS.API.<subject>`. Raises ServerRefused, Unavailable."""
        payload = json.dumps(request).encode() if request is not None else b""
        try:
            with self._expecting() as (reply, answer):
                await self.send(Outgoing(f"$JS.API.{subject}", payload, {}), reply)
                found: dict[str, Any] = json.loads(await self._answer(answer, API_TIMEOUT_S))
        except Unanswered as error:
            raise Unavailable(SERVICE, f"{subject}: {error}") from error
        if refusal := found.get("error"):
            raise ServerRefused(refusal)
        return found

    async def get(self, stream: str, **which: Any) -> Stored | None:
        """One message from the stream's leader, so every acknowledged write is seen; None: there is none.

        which: `seq=7`, or `seq=7, next_by_subj="ev.mail.00"` for the next one there, or `last_by_subj=...`.
        Raises Unavailable.
        """
        try:
            answer = await self.api(f"STREAM.MSG.GET.{stream}", which)
        except ServerRefused as refused:
            if refused.code == wire.NOT_FOUND:
                return None
            raise refused.as_port_error(SERVICE) from refused
        return Stored.from_api(answer["message"])

    async def get_patiently(self, stream: str, **which: Any) -> Stored | None:
        """As `get`; waits while there is no answer, for who cannot go on without one."""
        while True:
            try:
                return await self.get(stream, **which)
            except Unavailable:
                await asyncio.sleep(ASK_AGAIN_AFTER_S)

    async def last(self, stream: str, subject: str = ">") -> Stored | None:
        """The last message of a subject (or of the whole stream), from the leader. Raises Unavailable."""
        return await self.get(stream, last_by_subj=subject)

    async def read(self, stream: str, subject: str, start: int, limit: int) -> list[Stored]:
        """Up to `limit` messages of a subject filter from sequence `start` on. Raises Unavailable.

        Fewer than there are when they exceed 4 MiB or 1,000: empty only when nothing is left.
        """
        found: list[Stored] = []
        done: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        def take(message: Msg) -> None:
            headers = message.headers or {}
            status = headers.get("Status")
            if status is None:
                sequence, stored_as = int(headers["Nats-Sequence"]), headers["Nats-Subject"]
                found.append(Stored(sequence, stored_as, headers, message.data))
            elif done.done():
                pass
            elif status in ("204", "404"):  # the end of the answer; nothing there
                done.set_result(b"")
            else:
                reason = f"read of {subject}: {status} {headers.get('Description')}"
                done.set_exception(Unavailable(SERVICE, reason))

        limit = min(limit, READ_MESSAGES_MAX)
        request = {"seq": start, "batch": limit, "next_by_subj": subject, "max_bytes": READ_OCTETS_MAX}
        with self._hearing(take, done) as reply:
            await self.send(Outgoing(f"$JS.API.DIRECT.GET.{stream}", json.dumps(request).encode(), {}), reply)
            try:
                await self._answer(done, API_TIMEOUT_S)
            except Unanswered as error:
                raise Unavailable(SERVICE, f"read of {subject}: {error}") from error
        return found

    @contextmanager
    def when_regained(self, listener: Callable[[], None]) -> Iterator[None]:
        """Call the listener whenever the line is back after having been lost."""
        self._regained_listeners.add(listener)
        try:
            yield
        finally:
            self._regained_listeners.discard(listener)

    # --- the line ----------------------------------------------------------------------------------

    async def send(self, message: Outgoing, reply: str) -> None:
        """Hand a message to the line. Raises Unavailable when it was not sent."""
        try:
            headers = dict(message.headers) or None
            await self.client.publish(message.subject, message.payload, reply, headers)
        except nats.errors.MaxPayloadError as error:
            raise ValueError(f"{len(message.payload)} octets are too large for one message") from error
        except nats.errors.Error as error:
            raise Unavailable(SERVICE, f"not connected: {error!r}") from error

    async def _answer(self, answer: asyncio.Future[bytes], timeout_s: float) -> bytes:
        try:
            async with asyncio.timeout(timeout_s):
                return await answer
        except TimeoutError as error:
            raise Unanswered(f"no answer within {timeout_s:g} s") from error

    @contextmanager
    def _expecting(self) -> Iterator[tuple[str, asyncio.Future[bytes]]]:
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        def take(message: Msg) -> None:
            if answer.done():
                return
            if (message.headers or {}).get("Status") == "503":
                answer.set_exception(Unanswered("no stream listens there now"))
            else:
                answer.set_result(message.data)

        with self._hearing(take, answer) as reply:
            yield reply, answer

    @contextmanager
    def _hearing(self, take: Callable[[Msg], None], answer: asyncio.Future[bytes]) -> Iterator[str]:
        token = str(next(self._tokens))
        self._waiting[token] = take
        self._unanswered.add(answer)
        try:
            yield f"{self._inbox}.{token}"
        finally:
            del self._waiting[token]
            self._unanswered.discard(answer)
            answer.cancel()

    async def _arrived(self, message: Msg) -> None:
        take = self._waiting.get(message.subject.rpartition(".")[2])
        if take is not None:
            take(message)

    async def _lost(self) -> None:
        for answer in self._unanswered:
            if not answer.done():
                answer.set_exception(Unanswered("the line was lost"))

    async def _regained(self) -> None:
        for listener in tuple(self._regained_listeners):
            listener()


async def settle(awaitable: Awaitable[int]) -> int | ServerRefused | Unanswered | Unavailable:
    """The outcome of a write as a value, so that several side by side can be looked at together."""
    try:
        return await awaitable
    except (ServerRefused, Unanswered, Unavailable) as outcome:
        return outcome
