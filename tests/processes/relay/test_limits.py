"""More recipients than a next hop takes at once (RFC 9422): the others go in the next mail of the session."""

import pytest

from gateway.domain.events import MailRelayed
from tests.processes.relay.host import Host
from tests.processes.relay.setting import Setting

NAMES = [f"u{number}@dld.go.th" for number in range(5)]


@pytest.fixture
async def setting() -> Setting:
    return Setting()


async def test_recipients_above_a_hosts_limit_go_next_and_no_minute_later(setting: Setting) -> None:
    await setting.queued(*NAMES)
    async with Host(extensions=("LIMITS RCPTMAX=2",)).listening() as host, setting.relay(host):
        outcomes = await setting.outcomes(3)
    assert [outcome.recipients for outcome in outcomes] == [(0, 1), (2, 3), (4,)]
    assert all(isinstance(outcome, MailRelayed) and outcome.attempt == 1 for outcome in outcomes)
    assert [len(taken.commands) - 1 for taken in host.taken] == [2, 2, 1]
