"""Binary messages (RFC 3030 §3), at the next hop."""

import pytest

from gateway.domain.events import MailBounced, MailRelayed
from tests.processes.relay.host import Host
from tests.processes.relay.setting import Setting

MESSAGE = b"Subject: hello\r\n\r\n\r\n.\r\n\r\x00\n." + bytes(range(256)) * 1000


@pytest.fixture
async def setting() -> Setting:
    return Setting()


async def test_a_binary_message_goes_as_it_came_to_a_host_that_takes_it(setting: Setting) -> None:
    await setting.queued(message=MESSAGE, binary=True, eight_bit=True)
    extensions = ("PIPELINING", "8BITMIME", "CHUNKING", "BINARYMIME")
    async with Host(extensions=extensions).listening() as host, setting.relay(host):
        (relayed,) = await setting.outcomes(1)
    (taken,) = host.taken
    assert isinstance(relayed, MailRelayed)
    assert taken.message == MESSAGE
    assert taken.commands[0].endswith(" BODY=BINARYMIME")


async def test_a_binary_message_bounces_where_it_cannot_go(setting: Setting) -> None:
    await setting.queued(message=MESSAGE, binary=True, eight_bit=True)
    async with Host().listening() as host, setting.relay(host):
        (bounced,) = await setting.outcomes(1)
    assert isinstance(bounced, MailBounced)
    assert (bounced.status, host.taken) == ("5.6.3", [])
