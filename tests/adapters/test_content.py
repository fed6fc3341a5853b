"""The content store on real servers keeps the contract, in bounded memory, also while S3 is away."""

import asyncio
import hashlib
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.adapters.jetstream import Link
from gateway.ports import Unavailable
from tests.conftest import RunningNats, RunningS3
from tests.contracts.content_servers import object_store, real_world
from tests.contracts.content_store import ContentStoreContract
from tests.contracts.content_world import MARKER, ContentWorld, mail, noise, opened
from tests.sizes import size


@pytest.fixture
async def world(
    site: Link, s3_server: RunningS3, postgres_dsn: str, tmp_path: Path
) -> AsyncIterator[ContentWorld]:
    async with real_world(site, s3_server, postgres_dsn, tmp_path) as world:
        yield world


class TestRealContents(ContentStoreContract):
    pass


async def test_a_file_of_20_mb_is_one_object_with_its_digest(world: ContentWorld) -> None:
    file = noise(20_000_000, 12)
    first, stored = await world.put(mail(file, text="ถึง สำนักนายกรัฐมนตรี".encode(), subject="เรื่องด่วน"))
    again, stored_again = await world.put(mail(file, subject="อีกครั้ง"))
    assert (len(stored.objects), len(stored_again.objects)) == (1, 0)
    assert first.content.attachments == again.content.attachments
    assert await opened(world, [first, again])
    whole = await world.objects.get(first.content.attachments[0])
    assert hashlib.sha256(whole).hexdigest() == stored.objects[0].digest
    assert len(whole) == stored.objects[0].octets


async def test_no_file_of_nats_or_s3_holds_a_marker(
    world: ContentWorld, nats_server: RunningNats, s3_server: RunningS3
) -> None:
    kept, _ = await world.put(mail(MARKER * 20_000, text=MARKER, subject=MARKER.decode()))
    await world.pack()
    assert await opened(world, [kept])
    searched = 0
    for folder in (nats_server.folder, s3_server.folder):
        for file in filter(Path.is_file, folder.rglob("*")):
            octets = file.read_bytes()
            searched += len(octets)
            assert MARKER not in octets, file
    assert searched > 100_000


async def test_small_mail_is_stored_and_read_while_s3_is_away(
    world: ContentWorld, s3_server: RunningS3
) -> None:
    before, _ = await world.put(mail(text=b"before"))
    await world.pack()
    s3_server.kill()
    try:
        kept = [before, *[(await world.put(mail(noise(3000, seed))))[0] for seed in range(20)]]
        assert await opened(world, kept)
        with pytest.raises(Unavailable):
            await world.put(mail(noise(100_000, 333)))
        await world.packer.step()
        world.clock.move(10)
        for _ in range(2):
            with pytest.raises(Unavailable):
                await world.packer.step()
        assert await opened(world, kept)
    finally:
        await asyncio.to_thread(s3_server.restart)
    await world.pack()
    await world.purge()
    digests = {one.content.digest for one in kept}
    assert (await world.places.places(digests)).keys() == digests
    assert await opened(world, kept)


async def test_many_large_messages_at_once_take_bounded_memory(
    site: Link, nats_server: RunningNats, s3_server: RunningS3, tmp_path: Path
) -> None:
    """Acceptance 8: 30 messages of 36 MiB at once, at most 300 MB in all."""
    async with object_store(s3_server):
        where = {
            "nats_url": nats_server.url(),
            "endpoint": s3_server.endpoint,
            "access": s3_server.access_key,
            "secret": s3_server.secret_key,
            "bucket": s3_server.bucket,
            "folder": str(tmp_path),
            "messages": size(10, 30),
            "octets": 36 * 1024 * 1024,
        }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.adapters.content_load", json.dumps(where), stdout=asyncio.subprocess.PIPE
    )
    said, _ = await process.communicate()
    assert process.returncode == 0
    print(f"grown by {int(said) / 1e6:.0f} MB")
    assert int(said) < 300_000_000
