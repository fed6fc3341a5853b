"""The library's own tools read what the gateway wrote."""

import asyncio
import os
from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.adapters.aggregates import LoggedAggregates
from gateway.adapters.jetstream import JetStreamLog, open_lane
from gateway.adapters.jetstream.audit import AuditLog
from gateway.adapters.system import SystemClock
from gateway.domain.agency import Agency, NextHop
from gateway.domain.events import Stamp
from gateway.mail.ids import AgencyId
from tests.conftest import RunningNats
from tests.contracts.facts import ACTOR, BY, fact

STAMP = Stamp(datetime(2026, 11, 23, tzinfo=UTC), ACTOR, BY)


async def test_an_auditor_reads_aggregates_and_facts_of_the_live_log(
    log: JetStreamLog, nats_server: RunningNats, monkeypatch: pytest.MonkeyPatch
) -> None:
    agency = Agency.create(AgencyId("ag_1"), STAMP, name="กรมปศุสัตว์", relay_to=NextHop("mail.dld.go.th", 25))
    await LoggedAggregates(log).save(agency)
    async with open_lane(log, "edge-h-0", clock=SystemClock(), actor=ACTOR, by=BY) as lane:
        await lane.append([fact(1, "mail.07"), fact(2, "mail.07")])
    monkeypatch.setitem(os.environ, "NATS_URL", nats_server.url())
    monkeypatch.setitem(os.environ, "NATS_STREAM", log.stream)
    await asyncio.to_thread(_audit)


def _audit() -> None:
    with AuditLog() as audit:
        agency: Agency = audit.repository.get("ag_1")
        assert isinstance(agency, Agency)
        assert agency.name == "กรมปศุสัตว์"
        facts: list[Any] = list(audit.events.get("mail.07"))
        assert facts == [fact(1).event, fact(2).event]
        found = audit.notification_log.select(1, 10)
        assert [notification.id for notification in found] == [1, 2, 3, 4]
        assert found[0].topic == "agency.created/1"
        assert (found[0].originator_id, found[0].originator_version) == ("ag_1", 1)
        assert found[2].originator_id == "mail.07"
        with audit.recorder.subscribe(gt=2, topics=["router.decided/1"]) as subscription:
            assert [next(subscription).id for _ in range(2)] == [3, 4]
        with pytest.raises(PermissionError):
            audit.save(agency)
        audit.close()
