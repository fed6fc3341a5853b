"""Recipients that must have been the same since a date (RFC 7293), at the next hop."""

import pytest

from gateway.domain.events import MailBounced, MailRelayed
from tests.processes.relay.host import Host
from tests.processes.relay.setting import Setting

STRICT, LENIENT = "2020-03-01T09:00:00Z", "2020-03-01T09:00:00Z;C"


@pytest.fixture
async def setting() -> Setting:
    return Setting()


async def test_a_host_with_rrvs_is_asked(setting: Setting) -> None:
    await setting.queued("bob@dld.go.th", "eve@dld.go.th", "ann@dld.go.th", rrvs=(STRICT, LENIENT, ""))
    async with Host(extensions=("RRVS",)).listening() as host, setting.relay(host):
        await setting.outcomes(1)
    (taken,) = host.taken
    assert taken.commands[1:] == [
        f"RCPT TO:<bob@dld.go.th> RRVS={STRICT}",
        f"RCPT TO:<eve@dld.go.th> RRVS={LENIENT}",
        "RCPT TO:<ann@dld.go.th>",
    ]


async def test_a_host_without_rrvs_gets_only_what_may_go_on_without(setting: Setting) -> None:
    await setting.queued("bob@dld.go.th", "eve@dld.go.th", "ann@dld.go.th", rrvs=(STRICT, LENIENT, ""))
    async with Host().listening() as host, setting.relay(host):
        outcomes = await setting.outcomes(2)
    (taken,) = host.taken
    assert taken.commands[1:] == ["RCPT TO:<eve@dld.go.th>", "RCPT TO:<ann@dld.go.th>"]
    by_kind = {type(outcome): outcome for outcome in outcomes}
    assert by_kind[MailRelayed].recipients == (1, 2)
    assert (by_kind[MailBounced].recipients, by_kind[MailBounced].status) == ((0,), "5.7.19")


async def test_what_a_host_says_to_it_bounces(setting: Setting) -> None:
    await setting.queued("bob@dld.go.th", rrvs=(STRICT,))
    says = {f"RCPT TO:<bob@dld.go.th> RRVS={STRICT}": "550 5.7.17 another owner"}
    async with Host(says=says, extensions=("RRVS",)).listening() as host, setting.relay(host):
        (bounced,) = await setting.outcomes(1)
    assert isinstance(bounced, MailBounced)
    assert (bounced.status, host.taken) == ("5.7.17", [])
