"""What every Notifier and its Hearing do."""

import asyncio

from gateway.mail.ids import AccountId
from gateway.ports import Hearing, Notifier

SUDA, MALEE = AccountId("acc_01suda"), AccountId("acc_01malee")


class HearingContract:
    """Fixtures: `notifier`, `hearing`."""

    async def test_every_session_of_the_account_hears(self, notifier: Notifier, hearing: Hearing) -> None:
        async with hearing.of(SUDA) as first, hearing.of(SUDA) as second:
            assert not first.is_set()
            await notifier.changed([MALEE, SUDA])
            await first.wait()
            await second.wait()

    async def test_nobody_hears_of_another_account(self, notifier: Notifier, hearing: Hearing) -> None:
        async with hearing.of(SUDA) as suda, hearing.of(MALEE) as malee:
            await notifier.changed([MALEE])
            await malee.wait()
            assert not suda.is_set()

    async def test_who_stays_hears_on_when_another_goes(self, notifier: Notifier, hearing: Hearing) -> None:
        async with hearing.of(SUDA) as stays:
            async with hearing.of(SUDA):
                pass
            await notifier.changed([SUDA])
            await stays.wait()

    async def test_who_comes_back_hears_again(self, notifier: Notifier, hearing: Hearing) -> None:
        for _ in range(3):
            async with hearing.of(SUDA) as hint:
                await notifier.changed([SUDA])
                await hint.wait()

    async def test_many_that_come_and_go_at_once_all_hear(self, notifier: Notifier, hearing: Hearing) -> None:
        async def session() -> None:
            async with hearing.of(SUDA) as hint:
                await notifier.changed([SUDA])
                await hint.wait()

        async with asyncio.TaskGroup() as group:
            for _ in range(50):
                group.create_task(session())
