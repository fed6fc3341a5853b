"""What every Leases does."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from gateway.ports import Deposed, Leases

Lose = Callable[[str], Awaitable[None]]


class LeasesContract:
    """Fixtures: `leases`, `others` (the same leases as another process sees them), `lose`."""

    async def test_one_holds_it_and_the_next_gets_it_afterwards(self, leases: Leases, others: Leases) -> None:
        holders: list[str] = []
        first_holds, first_may_go = asyncio.Event(), asyncio.Event()

        async def first() -> None:
            async with leases.hold("packer"):
                holders.append("first")
                first_holds.set()
                await first_may_go.wait()
                holders.append("first goes")

        async def second() -> None:
            await first_holds.wait()
            async with others.hold("packer"):
                holders.append("second")

        async with asyncio.TaskGroup() as group:
            group.create_task(first())
            waiting = group.create_task(second())
            await first_holds.wait()
            done, _ = await asyncio.wait([waiting], timeout=0.6)
            assert not done
            first_may_go.set()
        assert holders == ["first", "first goes", "second"]

    async def test_leases_of_other_names_do_not_wait(self, leases: Leases, others: Leases) -> None:
        async with leases.hold("packer"), others.hold("steward"):
            pass

    async def test_the_body_is_cancelled_when_the_lease_is_lost(self, leases: Leases, lose: Lose) -> None:
        cancelled = asyncio.Event()

        async def work() -> None:
            async with leases.hold("packer"):
                await lose("packer")
                try:
                    await asyncio.Event().wait()
                finally:
                    cancelled.set()

        with pytest.raises(Deposed):
            await work()
        assert cancelled.is_set()
        await asyncio.sleep(0)  # and the task itself is not cancelled

    async def test_an_error_in_the_body_comes_out_and_frees_the_lease(
        self, leases: Leases, others: Leases
    ) -> None:
        with pytest.raises(LookupError):
            async with leases.hold("packer"):
                raise LookupError
        async with others.hold("packer"):
            pass
