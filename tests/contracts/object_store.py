"""What every ObjectStore does."""

import hashlib
import random
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from gateway.ports import ContentMissing, ObjectStore

LARGE = random.Random(5).randbytes(11 * 1024 * 1024 + 3)


def pieces() -> Iterator[bytes]:
    for at in range(0, len(LARGE), 700_001):
        yield LARGE[at : at + 700_001]


class ObjectStoreContract:
    async def test_an_object_comes_back_whole_and_in_ranges(self, objects: ObjectStore) -> None:
        stored = await objects.put("attachments/aa/one", lambda: [b"hello, ", b"world"])
        assert (stored.name, stored.octets) == ("attachments/aa/one", 12)
        assert stored.digest == hashlib.sha256(b"hello, world").hexdigest()
        assert await objects.get("attachments/aa/one") == b"hello, world"
        assert await objects.get("attachments/aa/one", 7, 3) == b"wor"
        assert await objects.get("attachments/aa/one", 7) == b"world"
        assert await objects.get("attachments/aa/one", 3, 0) == b""
        assert await objects.get("attachments/aa/one", 50, 3) == b""
        assert await objects.tail("attachments/aa/one", 5) == (b"world", 12)
        assert await objects.tail("attachments/aa/one", 500) == (b"hello, world", 12)

    async def test_a_large_object_of_unknown_size_comes_back(self, objects: ObjectStore) -> None:
        stored = await objects.put("large/bb/two", pieces)
        assert (stored.octets, stored.digest) == (len(LARGE), hashlib.sha256(LARGE).hexdigest())
        assert await objects.get("large/bb/two", 5_000_000, 1_000_000) == LARGE[5_000_000:6_000_000]
        assert await objects.tail("large/bb/two", 100) == (LARGE[-100:], len(LARGE))

    async def test_an_object_of_known_size_comes_back(self, objects: ObjectStore) -> None:
        await objects.put("packs/2026/11/23/pack_1", lambda: [LARGE], len(LARGE))
        assert await objects.get("packs/2026/11/23/pack_1") == LARGE

    async def test_the_last_put_under_a_name_counts(self, objects: ObjectStore) -> None:
        for octets in (b"first, longer", b"second"):
            await objects.put("attachments/cc/three", lambda octets=octets: [octets])  # type: ignore[misc]
        assert await objects.get("attachments/cc/three") == b"second"

    async def test_what_is_not_there_is_missing(self, objects: ObjectStore) -> None:
        assert not await objects.has("attachments/dd/none")
        with pytest.raises(ContentMissing):
            await objects.get("attachments/dd/none", 0, 10)
        with pytest.raises(ContentMissing):
            await objects.tail("attachments/dd/none", 10)
        with pytest.raises(ContentMissing):
            await objects.copy("attachments/dd/none", "trash/attachments/dd/none")

    async def test_objects_are_copied_and_removed(self, objects: ObjectStore) -> None:
        await objects.put("attachments/ee/five", lambda: [b"five"])
        await objects.copy("attachments/ee/five", "trash/attachments/ee/five")
        await objects.remove("attachments/ee/five")
        await objects.remove("attachments/ee/five")
        assert not await objects.has("attachments/ee/five")
        assert await objects.get("trash/attachments/ee/five") == b"five"

    async def test_all_objects_below_a_prefix_are_listed(self, objects: ObjectStore) -> None:
        before = datetime.now(UTC)
        names = [f"attachments/{number:02x}/listed-{number}" for number in range(30)]
        for name in names:
            await objects.put(name, lambda: [b"x"])
        await objects.put("large/00/listed", lambda: [b"x"])
        found = [listed async for batch in objects.list("attachments/") for listed in batch]
        assert sorted(listed.name for listed in found if "listed" in listed.name) == names
        ages = {(listed.modified_at - before).total_seconds() for listed in found if listed.name in names}
        assert all(-2 < age < 600 for age in ages), ages  # S3 tells whole seconds

    async def test_octets_that_fail_halfway_leave_no_object(self, objects: ObjectStore) -> None:
        def broken() -> Iterator[bytes]:
            yield LARGE[: 6 * 1024 * 1024]
            raise ValueError("the spool is gone")

        with pytest.raises(ValueError, match="the spool is gone"):
            await objects.put("large/ff/broken", broken)
        assert not await objects.has("large/ff/broken")
