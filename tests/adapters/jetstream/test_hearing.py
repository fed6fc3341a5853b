"""Hints over NATS keep the contract of hints; after the line was lost everybody looks."""

from collections.abc import AsyncIterator

import pytest

from gateway.adapters.jetstream import Link, connect
from gateway.adapters.jetstream.hearing import JetStreamHearing
from gateway.adapters.jetstream.notifier import JetStreamNotifier
from tests.conftest import RunningNats
from tests.contracts.hearing import SUDA, HearingContract


@pytest.fixture
async def notifier(nats_server: RunningNats) -> AsyncIterator[JetStreamNotifier]:
    async with connect(nats_server.url("projector"), name="projector") as link:
        yield JetStreamNotifier(link)


@pytest.fixture
async def listening(nats_server: RunningNats) -> AsyncIterator[Link]:
    async with connect(nats_server.url("imap"), name="imap") as link:
        yield link


@pytest.fixture
def hearing(listening: Link) -> JetStreamHearing:
    return JetStreamHearing(listening)


class TestJetStreamHearing(HearingContract):
    pass


async def test_after_the_line_was_lost_everybody_looks(listening: Link) -> None:
    async with JetStreamHearing(listening).of(SUDA) as hint:
        await listening.client._attempt_reconnect()
        await hint.wait()
