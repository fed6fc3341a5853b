"""The `eventsourcing` library's own test cases, which ship in its wheel, over a log on JetStream."""

import asyncio
import itertools
import os
from collections.abc import Iterator
from typing import Any

import eventsourcing.tests.application as of_applications
import eventsourcing.tests.persistence as of_persistence
import eventsourcing.tests.projection as of_projections
import pytest
from eventsourcing.persistence import (
    AggregateRecorder,
    ApplicationRecorder,
    InfrastructureFactory,
    ProcessRecorder,
    TrackingRecorder,
)
from eventsourcing.popo import POPOTrackingRecorder
from eventsourcing.utils import Environment

from gateway.adapters.jetstream import connect, streams
from gateway.adapters.jetstream.persistence import (
    JetStreamAggregateRecorder,
    JetStreamApplicationRecorder,
    JetStreamFactory,
    JetStreamProcessRecorder,
    JetStreamTrackingRecorder,
)
from tests.conftest import RunningNats

# The suite shows the library's own deprecations.
pytestmark = pytest.mark.filterwarnings("default::DeprecationWarning")

_epochs = itertools.count(100_000)
_url: list[str] = []


@pytest.fixture(autouse=True, scope="module")
def server(nats_server: RunningNats) -> None:
    _url[:] = [nats_server.url()]


@pytest.fixture(autouse=True)
def environment() -> Iterator[None]:
    """Applications read the process's environment: leave it as it was, and no stream behind."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)
    asyncio.run(_drop_streams())


async def _drop_streams() -> None:
    async with connect(_url[0], name="suite") as link:
        for name in (await link.api("STREAM.NAMES"))["streams"] or []:
            if name.startswith("SUITE_"):
                await link.api(f"STREAM.DELETE.{name}")


def fresh_stream() -> str:
    """A log of one test's own."""
    epoch = next(_epochs)

    async def make() -> None:
        async with connect(_url[0], name="suite") as link:
            await streams.change(link, "CREATE", streams.log_configuration(epoch, f"SUITE_{epoch}"))

    asyncio.run(make())
    return f"SUITE_{epoch}"


def fresh_environment() -> dict[str, str]:
    return {
        "PERSISTENCE_MODULE": "gateway.adapters.jetstream",
        "NATS_URL": _url[0],
        "NATS_STREAM": fresh_stream(),
    }


class WithFactory:
    """A factory for each test."""

    def setUp(self) -> None:
        self.factory = JetStreamFactory(Environment("test", fresh_environment()))

    def tearDown(self) -> None:
        self.factory.close()


class WithEnvironment:
    """Applications find the log by the process's environment."""

    def setUp(self) -> None:
        os.environ.update(fresh_environment())
        super().setUp()  # type: ignore[misc]


class TestAggregateRecorder(WithFactory, of_persistence.AggregateRecorderTestCase):
    def create_recorder(self) -> AggregateRecorder:
        return self.factory.aggregate_recorder()


class TestSnapshotRecorder(WithFactory, of_persistence.AggregateRecorderTestCase):
    def create_recorder(self) -> AggregateRecorder:
        return self.factory.aggregate_recorder(purpose="snapshots")


class TestApplicationRecorder(WithFactory, of_persistence.ApplicationRecorderTestCase[Any]):
    def create_recorder(self) -> ApplicationRecorder:
        return self.factory.application_recorder()

    def test_insert_subscribe(self) -> None:
        self.optional_test_insert_subscribe()


class TestNonInterleaving(WithFactory, of_persistence.NonInterleavingNotificationIDsBaseCase):
    def create_recorder(self) -> ApplicationRecorder:
        return self.factory.application_recorder()


class TestTrackingRecorder(WithFactory, of_persistence.TrackingRecorderTestCase):
    def create_recorder(self) -> TrackingRecorder:
        return self.factory.tracking_recorder()


class TestProcessRecorder(WithFactory, of_persistence.ProcessRecorderTestCase):
    def create_recorder(self) -> ProcessRecorder:
        return self.factory.process_recorder()


class OtherTrackingRecorder(JetStreamTrackingRecorder):
    """A subclass named by topic or argument."""


class TestFactory(of_persistence.InfrastructureFactoryTestCase[Any]):
    def setUp(self) -> None:
        self.env = Environment("TestCase", fresh_environment())
        super().setUp()

    def expected_factory_class(self) -> type[InfrastructureFactory[Any]]:
        return JetStreamFactory

    def expected_aggregate_recorder_class(self) -> type[AggregateRecorder]:
        return JetStreamAggregateRecorder

    def expected_application_recorder_class(self) -> type[ApplicationRecorder]:
        return JetStreamApplicationRecorder

    def expected_tracking_recorder_class(self) -> type[TrackingRecorder]:
        return JetStreamTrackingRecorder

    def tracking_recorder_subclass(self) -> type[TrackingRecorder]:
        return OtherTrackingRecorder

    def expected_process_recorder_class(self) -> type[ProcessRecorder]:
        return JetStreamProcessRecorder


class TestExampleApplication(WithEnvironment, of_applications.ExampleApplicationTestCase):
    expected_factory_topic = "gateway.adapters.jetstream.persistence:JetStreamFactory"


class TestApplication(WithEnvironment, of_applications.ApplicationTestCase):
    pass


class CountersView(POPOTrackingRecorder, of_projections.EventCountersView):
    """A view in memory; the upstream application is on JetStream."""

    def __init__(self) -> None:
        super().__init__()
        self._created = self._subsequent = 0

    def get_created_event_counter(self) -> int:
        return self._created

    def get_subsequent_event_counter(self) -> int:
        return self._subsequent

    def incr_created_event_counter(self, tracking: Any) -> None:
        with self._database_lock:
            self._assert_tracking_uniqueness(tracking)
            self._insert_tracking(tracking)
            self._created += 1

    def incr_subsequent_event_counter(self, tracking: Any) -> None:
        with self._database_lock:
            self._assert_tracking_uniqueness(tracking)
            self._insert_tracking(tracking)
            self._subsequent += 1


class TestProjection(of_projections.AggregateEventCountersProjectionTestCase):
    view_class = CountersView

    def setUp(self) -> None:
        name = of_projections.AggregateEventCountersProjection.name.upper()
        type(self).env = fresh_environment() | {f"{name}_PERSISTENCE_MODULE": "eventsourcing.popo"}


class TestEventSourcedProjection(of_projections.EventSourcedProjectionTestCase):
    """Upstream and downstream both on JetStream, tracking in the atomic batch."""

    def setUp(self) -> None:
        os.environ.update(fresh_environment())
        del os.environ["NATS_STREAM"]
        os.environ["COUNTERS_NATS_STREAM"] = fresh_stream()
        os.environ["APPLICATION_NATS_STREAM"] = fresh_stream()
        super().setUp()
