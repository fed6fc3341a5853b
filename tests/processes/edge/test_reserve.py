"""A disk down to its reserve: no mail is begun, and what was begun is concluded (RFC 5321 §4.2.3, 452)."""

from dataclasses import replace
from pathlib import Path

from gateway.adapters.system import has_space
from gateway.processes.edge.services import EdgeServices
from tests.processes.edge.world import MESSAGE, EdgeWorld


class ShortWorld(EdgeWorld):
    """An edge on a disk whose reserve is reached when a test says so."""

    is_short = False

    def _services(self) -> EdgeServices:
        return replace(super()._services(), has_space=lambda: not self.is_short)


async def test_a_disk_at_its_reserve_refuses_mail_from_and_takes_it_again_later(tmp_path: Path) -> None:
    world = ShortWorld(tmp_path)
    async with world.running(), await world.client() as client:
        await client.envelope("suda@opm.go.th")
        world.is_short = True
        assert (await client.message(MESSAGE)).startswith(b"250 2.0.0 "), "it was begun with room"
        assert (await client.say(b"MAIL FROM:<ann@example.org>\r\n")).startswith(b"452 4.3.1 ")
        assert (await client.say(b"RCPT TO:<suda@opm.go.th>\r\n")).startswith(b"503 ")
        world.is_short = False
        await client.transaction("suda@opm.go.th")
        assert (await client.message(MESSAGE)).startswith(b"250 2.0.0 ")
        assert len(await world.accepted()) == 2


def test_space_is_what_is_free_beyond_the_reserve(tmp_path: Path) -> None:
    assert has_space(tmp_path, 0)
    assert not has_space(tmp_path, 1 << 60)
