"""Hosts and domains that take no mail, ever (RFC 7504, RFC 7505)."""

import pytest

from gateway.domain.events import MailBounced, MailDeferred
from tests.processes.relay.host import Host
from tests.processes.relay.setting import Setting


@pytest.fixture
async def setting() -> Setting:
    return Setting()


NEVER = [
    ({"greeting": "521 this host takes no mail"}, "5.3.2"),
    ({"greeting": "521 5.3.2 this host takes no mail"}, "5.3.2"),
    ({"says": {"RCPT": "556 that domain takes no mail"}}, "5.1.10"),
    ({"says": {"RCPT": "556 5.1.10 that domain takes no mail"}}, "5.1.10"),
]


@pytest.mark.parametrize(("host", "status"), NEVER)
async def test_who_takes_no_mail_is_not_asked_again(
    setting: Setting, host: dict[str, str], status: str
) -> None:
    await setting.queued()
    async with Host(**host).listening() as listening, setting.relay(listening):  # type: ignore[arg-type]
        (bounced,) = await setting.outcomes(1)
    assert isinstance(bounced, MailBounced)
    assert bounced.status == status


async def test_who_takes_none_today_is(setting: Setting) -> None:
    await setting.queued()
    async with Host(greeting="554 5.3.2 closed").listening() as host, setting.relay(host):
        (deferred,) = await setting.outcomes(1)
    assert isinstance(deferred, MailDeferred)
