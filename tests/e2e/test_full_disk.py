"""Acceptance 4: the data folder runs full and gets space again: nothing acknowledged is lost."""

import asyncio
import smtplib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.disks import BALLAST, fill, free_octets, small_disk
from tests.e2e.gateway import Gateway
from tests.e2e.load import host_and_port
from tests.e2e.storm import HOSTED, Storm, storm

DISK_OCTETS = 768 * 1024 * 1024
LEFT_OCTETS = 1024 * 1024  # what the load fills within seconds
RESERVE_OCTETS = 64 * 1024 * 1024
ANSWER_WAIT_S = 5.0  # then another connection asks
PUT_OFF = 20  # mails that were answered 4xx, or not at all, since the disk ran full


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", DISK_OCTETS) as folder:
        yield folder


async def test_a_disk_that_runs_full_loses_nothing(disk: Path, tmp_path: Path) -> None:
    """Without a reserve: who writes finds no room, nats-server sticks, and all comes back by itself."""
    gateway = Gateway(disk / "data", env={"SARABAN_DISK_RESERVE_OCTETS": "0"})
    await asyncio.to_thread(gateway.start)
    try:
        async with storm(gateway, tmp_path) as at:
            await at.harm(lambda: fill(disk, LEFT_OCTETS))
            await at.until(lambda: _is_put_off(gateway), "the disk has run full")
            await at.until(lambda: "is full: mail is refused" in gateway.said(), "it is said")
            assert free_octets(disk) < LEFT_OCTETS
            await asyncio.to_thread((disk / BALLAST).unlink)
            print(f"works again {await at.recovered():.1f} s after the disk began to run full")
            await at.settled()
        verdict = await asyncio.to_thread(gateway.cli, "check", "--all")
        assert verdict["verdict"] == "whole", verdict
    finally:
        await asyncio.to_thread(gateway.stop)


async def test_a_disk_at_its_reserve_refuses_mail_and_delivers_what_it_took(
    disk: Path, tmp_path: Path
) -> None:
    gateway = Gateway(disk / "data", env={"SARABAN_DISK_RESERVE_OCTETS": str(RESERVE_OCTETS)})
    gateway.start()
    try:
        async with storm(gateway, tmp_path) as at:
            await at.harm(lambda: fill(disk, RESERVE_OCTETS + LEFT_OCTETS))
            await at.until(lambda: _put_off(at) >= PUT_OFF, "the reserve is reached")
            told = {attempt.said[:9] for attempt in at.load.attempts if not attempt.is_acknowledged}
            assert told == {"452 4.3.1"}, gateway.log_tail(30)
            await asyncio.to_thread(gateway.wait_idle)
            assert free_octets(disk) < RESERVE_OCTETS, "all was delivered while mail was refused"
            await at.until(lambda: "is nearly full" in gateway.said(), "it is said")
            await asyncio.to_thread((disk / BALLAST).unlink)
            print(f"works again {await at.recovered():.1f} s after the disk began to run full")
            await at.settled()
    finally:
        gateway.stop()


def _is_put_off(gateway: Gateway) -> bool:
    """Whether a new mail is answered 4xx. The load cannot tell: each of its connections may be waiting for a
    write that nobody knows the outcome of before there is room."""
    try:
        with smtplib.SMTP(*host_and_port(gateway.address("smtp")), timeout=ANSWER_WAIT_S) as client:
            client.sendmail("witness@sender.example", [HOSTED[0]], "Subject: is there room?\r\n\r\n")
    except smtplib.SMTPResponseException as answer:
        return answer.smtp_code // 100 == 4
    except smtplib.SMTPRecipientsRefused as refused:  # PostgreSQL may be the first to end
        return all(code // 100 == 4 for code, _ in refused.recipients.values())
    except OSError:  # no answer yet: ask again
        return False
    return False


def _put_off(at: Storm) -> int:
    """Mails that did not get 250."""
    return len(at.load.attempts) - at.load.acknowledged
