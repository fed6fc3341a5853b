"""How urgent a mail is (RFC 6710), at the next hop."""

import pytest

from tests.processes.relay.host import Host
from tests.processes.relay.setting import Setting


@pytest.fixture
async def setting() -> Setting:
    return Setting()


@pytest.mark.parametrize(("extensions", "is_told"), [(("MT-PRIORITY",), True), ((), False)])
async def test_a_host_that_offers_it_is_told(
    setting: Setting, extensions: tuple[str, ...], *, is_told: bool
) -> None:
    await setting.queued(priority=4)
    async with Host(extensions=extensions).listening() as host, setting.relay(host):
        await setting.outcomes(1)
    assert host.taken[0].commands[0].endswith(" MT-PRIORITY=4") == is_told
