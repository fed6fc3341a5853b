"""What every ContentStore does, with the stores behind it."""

import random
import re

import pytest

from gateway.adapters.spool import DiskSpool
from gateway.domain.pieces import PIECE_OCTETS
from gateway.mail.carving import CarvingError, carve
from gateway.ports import ContentCorrupt, ContentMissing
from tests.contracts.content_world import MARKER, ContentWorld, Kept, mail, noise, opened
from tests.mail.messages import reader, scan

SMALL = b"Subject: \xe0\xb8\xaa\xe0\xb8\xa7\xe0\xb8\xb1\xe0\xb8\xaa\xe0\xb8\x94\xe0\xb8\xb5\r\n\r\nHello.\r\n"


class ContentStoreContract:
    @pytest.mark.parametrize(
        "message",
        [
            b"",
            SMALL,
            mail(noise(200), text=b"short"),
            mail(noise(70_000)),
            mail(noise(70_000, 2), noise(PIECE_OCTETS + 10, 3), noise(70_000, 2)),
            mail(text=b"line\r\n" * 30_000),
            mail(*(noise(40_000, seed) for seed in range(60))),
        ],
        ids=["empty", "small", "small-file", "file", "files", "long-text", "many-small-files"],
    )
    async def test_a_message_comes_back_octet_for_octet(self, world: ContentWorld, message: bytes) -> None:
        kept, stored = await world.put(message)
        assert stored.content.octets == len(message)
        assert await world.get(kept) == message
        await world.pack()
        assert await world.get(kept) == message
        await world.purge()
        assert await world.get(kept) == message
        chance = random.Random(len(message))
        for _ in range(8):
            start, end = sorted(chance.choices(range(len(message) + 1), k=2))
            assert await world.get(kept, start, end) == message[start:end]

    async def test_no_piece_is_larger_than_a_mebibyte(self, world: ContentWorld) -> None:
        kept, _ = await world.put(mail(noise(3 * PIECE_OCTETS)))
        assert max([len(octets) async for octets in world.open(kept)]) <= PIECE_OCTETS

    async def test_a_file_sent_twice_is_one_object_of_an_agency(self, world: ContentWorld) -> None:
        file = noise(100_000, 77)
        first, stored = await world.put(mail(file, subject="first"))
        again, stored_again = await world.put(mail(file, text=b"Other text.", subject="again"))
        elsewhere, stored_elsewhere = await world.put(mail(file), "ag_opdc")
        assert len(stored.objects) == len(stored_elsewhere.objects) == 1
        assert stored_again.objects == ()
        assert again.content.attachments == first.content.attachments
        assert elsewhere.content.attachments != first.content.attachments
        assert stored.objects[0].name == first.content.attachments[0]
        assert await opened(world, [first, again, elsewhere])

    async def test_a_file_that_changes_while_it_is_stored_leaves_no_object(self, world: ContentWorld) -> None:
        """Its name would promise others a file that is not there."""
        message = mail(noise(500_000, 21))
        other = message[:400_000] + message[300_000:400_000] + message[500_000:]
        skeleton = carve(scan(message), reader(message))
        spool = DiskSpool(world.folder)
        spool.write(other)
        assert spool.octets == len(message)
        with pytest.raises(CarvingError):
            await world.contents.put(
                spool, skeleton=skeleton, data_key=bytes(32), salt=b"", agency_id="ag_none"
            )
        spool.close()
        kept, stored = await world.put(message, "ag_none")
        assert len(stored.objects) == 1
        assert await opened(world, [kept])

    async def test_what_was_read_ahead_opens_from_wherever_it_lies(self, world: ContentWorld) -> None:
        kept = [(await world.put(mail(noise(3000, seed))))[0] for seed in range(20)]
        kept.append((await world.put(mail(noise(100_000, 5))))[0])
        contents = [one.content for one in kept]
        await world.contents.read_ahead(contents)
        await world.pack()
        await world.contents.read_ahead(contents)
        assert await opened(world, kept)
        await world.purge()
        await world.contents.read_ahead([*contents[::2], type(contents[0])("0" * 64, 5, hint=10**6)])
        assert await opened(world, kept)
        assert await opened(world, kept), "opening does not depend on it"

    async def test_what_was_read_ahead_damaged_is_named(self, world: ContentWorld) -> None:
        kept, _ = await world.put(SMALL)
        await world.pack()
        await world.purge()
        digest = kept.content.digest
        place = (await world.places.places([digest]))[digest]
        await world.damage(place.pack, place.offset + place.octets // 2)
        await world.contents.read_ahead([kept.content])
        with pytest.raises(ContentCorrupt, match=place.pack):
            await world.get(kept)

    async def test_what_is_large_after_carving_is_an_object_of_its_own(self, world: ContentWorld) -> None:
        message = mail(*(noise(40_000, seed) for seed in range(60)))
        kept, stored = await world.put(message)
        assert kept.content.hint == 0
        assert [found.name for found in stored.objects] == [kept.content.large]
        assert kept.content.large.startswith("large/")

    async def test_a_content_nobody_has_is_missing(self, world: ContentWorld) -> None:
        kept, _ = await world.put(SMALL)
        strange = Kept(SMALL, type(kept.content)("0" * 64, 5, hint=kept.content.hint), bytes(32), b"")
        with pytest.raises(ContentMissing):
            await world.get(strange)

    async def test_what_is_not_the_content_is_never_given_whole(self, world: ContentWorld) -> None:
        """The octets open, and are not those the event named: the last piece stays with us."""
        kept, _ = await world.put(mail(noise(2 * PIECE_OCTETS, 4)))
        wrong = Kept(kept.message, kept.content, kept.data_key, b"another salt")
        given = bytearray()
        with pytest.raises(ContentCorrupt, match=kept.content.digest):
            await world.gather(wrong, given)
        assert len(given) < len(kept.message)

    async def test_a_flipped_bit_in_a_pack_is_named_and_hurts_nothing_else(self, world: ContentWorld) -> None:
        kept = [(await world.put(mail(noise(3000, seed))))[0] for seed in range(10)]
        await world.pack()
        await world.purge()
        digest = kept[4].content.digest
        place = (await world.places.places([digest]))[digest]
        await world.damage(place.pack, place.offset + 100)
        with pytest.raises(ContentCorrupt) as found:
            await world.get(kept[4])
        told = str(found.value)
        assert place.pack in told
        assert f"octet {place.offset}" in told
        assert kept[4].content.digest in told
        assert await opened(world, [one for one in kept if one is not kept[4]])

    async def test_damage_in_a_file_leaves_its_other_pieces_readable(self, world: ContentWorld) -> None:
        file = noise(4 * PIECE_OCTETS, 8)
        kept, _ = await world.put(mail(file))
        (name,) = kept.content.attachments
        await world.damage(name, 2 * PIECE_OCTETS + 5000)
        assert await world.get(kept, 0, PIECE_OCTETS) == kept.message[:PIECE_OCTETS]
        assert await world.get(kept, len(kept.message) - 100_000) == kept.message[-100_000:]
        with pytest.raises(ContentCorrupt, match=name) as found:
            await world.get(kept)
        told = re.search(r"damaged at octet (\d+): piece 2 ", str(found.value))
        assert told is not None
        assert 2 * PIECE_OCTETS <= int(told[1]) <= 2 * PIECE_OCTETS + 5000

    async def test_only_the_pieces_of_a_range_are_fetched(self, world: ContentWorld) -> None:
        kept, _ = await world.put(mail(noise(6 * PIECE_OCTETS, 9)))
        (name,) = kept.content.attachments
        whole = await world.objects.get(name)
        await world.objects.put(
            name, lambda: [whole[:100], bytes(3 * PIECE_OCTETS), whole[3 * PIECE_OCTETS + 100 :]]
        )
        assert await world.get(kept, len(kept.message) - PIECE_OCTETS) == kept.message[-PIECE_OCTETS:]

    async def test_nothing_is_in_a_store_in_the_clear(self, world: ContentWorld) -> None:
        file = MARKER * 10_000
        kept, _ = await world.put(mail(file, text=MARKER, subject=MARKER.decode()))
        small, _ = await world.put(mail(text=MARKER))
        large, _ = await world.put(mail(*(MARKER + noise(40_000, seed) for seed in range(60))))
        unread = await world.write_ahead.read(0)
        await world.pack()
        stored = [content.octets for content in unread.contents]
        for prefix in ("attachments/", "large/", "packs/"):
            stored += [await world.objects.get(name) for name in await world.names(prefix)]
        assert len(stored) >= 5
        assert not any(MARKER in octets for octets in stored)
        assert await opened(world, [kept, small, large])
