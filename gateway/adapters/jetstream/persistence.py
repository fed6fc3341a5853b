"""The log as a persistence module of the `eventsourcing` library.

PERSISTENCE_MODULE=gateway.adapters.jetstream, for auditors, tools and tests. These are not asyncio: recorders
wait for an event loop in a thread of their own. Environment: NATS_URL; NATS_STREAM, the log's stream when it
is not EV_1. It must be there; snapshots, which the gateway does not use, go to a stream made on demand.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from typing import Any, TypeVar
from uuid import UUID

from eventsourcing.persistence import (
    AggregateRecorder,
    ApplicationRecorder,
    InfrastructureFactory,
    Notification,
    OperationalError,
    ProcessRecorder,
    ProgrammingError,
    Queue,
    ShutDown,
    StoredEvent,
    Subscription,
    Tracking,
    TrackingRecorder,
)
from eventsourcing.utils import Environment, resolve_topic

from gateway.adapters.jetstream import streams
from gateway.adapters.jetstream.link import Link, connect
from gateway.adapters.jetstream.recorder import Recorder
from gateway.ports import Unavailable

T = TypeVar("T")
TR = TypeVar("TR", bound=TrackingRecorder)

QUEUED_LISTS = 10  # of notifications between the loop's thread and a subscription's reader


class LoopThread:
    """An event loop in a thread of its own, for callers that are not asyncio."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="nats-recorder", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Wait for work done on the loop."""
        if threading.current_thread() is self._thread:
            work.close()
            raise ProgrammingError("a recorder was called on its own event loop")
        return asyncio.run_coroutine_threadsafe(work, self.loop).result()

    @property
    def is_running(self) -> bool:
        return self._thread.is_alive()

    def close(self) -> None:
        self.run(_end_other_tasks())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


async def _end_other_tasks() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


class JetStreamAggregateRecorder(AggregateRecorder):
    def __init__(self, thread: LoopThread, recorder: Recorder) -> None:
        self.thread, self.recorder = thread, recorder

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int] | None:
        self.thread.run(self.recorder.append(stored_events))
        return None

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        return self.thread.run(self.recorder.select(originator_id, gt=gt, lte=lte, desc=desc, limit=limit))


class JetStreamApplicationRecorder(JetStreamAggregateRecorder, ApplicationRecorder):
    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int] | None:
        return self.thread.run(self.recorder.append(stored_events))

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> Sequence[Notification]:
        return self.thread.run(
            self.recorder.notifications(start, limit, stop, topics, inclusive_of_start=inclusive_of_start)
        )

    def max_notification_id(self) -> int | None:
        return self.thread.run(self.recorder.max_notification_id())

    def subscribe(
        self, gt: int | None = None, topics: Sequence[str] = ()
    ) -> Subscription[ApplicationRecorder]:
        return JetStreamSubscription(self, gt=gt, topics=topics)


class JetStreamSubscription(Subscription[ApplicationRecorder]):
    """Follows the log on the loop's thread and hands lists over through a bounded queue."""

    def __init__(
        self, recorder: JetStreamApplicationRecorder, gt: int | None = None, topics: Sequence[str] = ()
    ) -> None:
        super().__init__(recorder=recorder, gt=gt, topics=topics)
        self._queue: Queue[list[Notification]] = Queue(maxsize=QUEUED_LISTS)
        self._current: Iterator[Notification] = iter(())
        self._error: BaseException | None = None
        self._following = asyncio.run_coroutine_threadsafe(
            self._follow(recorder.recorder.tail(gt, topics)), recorder.thread.loop
        )

    async def _follow(self, tail: AsyncIterator[list[Notification]]) -> None:
        try:
            async for notifications in tail:
                await asyncio.to_thread(self._queue.put, notifications)
        except ShutDown:
            pass
        except Exception as error:  # raised where the subscription is read
            self._error = error
            self._queue.shutdown(immediate=True)

    def __next__(self) -> Notification:
        while not self._has_been_stopped:
            for notification in self._current:
                return notification
            try:
                self._current = iter(self._queue.get())
            except ShutDown:
                break
        if self._error is not None:
            raise self._error
        raise StopIteration

    def stop(self) -> None:
        super().stop()
        self._queue.shutdown(immediate=True)
        self._following.cancel()


class JetStreamTrackingRecorder(TrackingRecorder):
    def __init__(self, thread: LoopThread, recorder: Recorder) -> None:
        self.thread, self.recorder = thread, recorder

    def insert_tracking(self, tracking: Tracking) -> None:
        self.thread.run(self.recorder.append((), tracking))

    def max_tracking_id(self, application_name: str) -> int | None:
        return self.thread.run(self.recorder.max_tracking_id(application_name))


class JetStreamProcessRecorder(JetStreamTrackingRecorder, JetStreamApplicationRecorder, ProcessRecorder):
    """Events and the position that caused them in one write. For streams of the process's own."""

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int] | None:
        return self.thread.run(self.recorder.append(stored_events, kwargs.get("tracking")))


class JetStreamFactory(InfrastructureFactory[TrackingRecorder]):
    """What the library finds in the persistence module."""

    aggregate_recorder_class = JetStreamAggregateRecorder
    application_recorder_class = JetStreamApplicationRecorder
    tracking_recorder_class = JetStreamTrackingRecorder
    process_recorder_class = JetStreamProcessRecorder

    def __init__(self, env: Environment) -> None:
        super().__init__(env)
        self._stream = self.env.get("NATS_STREAM") or streams.LOG
        self._thread = LoopThread()
        url = self.env.get("NATS_URL") or "nats://127.0.0.1:4222"
        self._line: AbstractAsyncContextManager[Link] = connect(url, name=f"eventsourcing {self.env.name}")
        try:
            self._link = self._thread.run(self._line.__aenter__())
            self._into = f"in.e{self._thread.run(streams.epoch_of(self._link, self._stream))}."
        except Unavailable as unavailable:
            self._thread.close()
            raise OperationalError(str(unavailable)) from unavailable

    def aggregate_recorder(self, purpose: str = "events") -> AggregateRecorder:
        if purpose == "events":
            return self.aggregate_recorder_class(self._thread, self._recorder())
        stream, prefix = f"{self._stream}_{purpose.upper()}", f"{purpose}.{self._stream}."
        self._thread.run(_make(self._link, stream, prefix))
        recorder = Recorder(self._link, stream, prefix, prefix, sparse=True)
        return self.aggregate_recorder_class(self._thread, recorder)

    def application_recorder(self) -> ApplicationRecorder:
        return self.application_recorder_class(self._thread, self._recorder())

    def process_recorder(self) -> ProcessRecorder:
        return self.process_recorder_class(self._thread, self._recorder())

    def tracking_recorder(self, tracking_recorder_class: type[TR] | None = None) -> TR:
        topic = self.env.get(self.TRACKING_RECORDER_TOPIC)
        chosen: Any = tracking_recorder_class or (
            resolve_topic(topic) if topic else self.tracking_recorder_class
        )
        recorder: TR = chosen(self._thread, self._recorder())
        return recorder

    def close(self) -> None:
        if self._thread.is_running:  # applications are closed by __exit__ and again by __del__
            with suppress(Exception):
                self._thread.run(self._line.__aexit__(None, None, None))
            self._thread.close()

    def _recorder(self) -> Recorder:
        return Recorder(self._link, self._stream, self._into, "ev.")


async def _make(link: Link, stream: str, prefix: str) -> None:
    configuration = {**streams.log_configuration(0, stream), "subjects": [f"{prefix}>"]}
    del configuration["subject_transform"]
    await streams.change(link, "CREATE", configuration)
