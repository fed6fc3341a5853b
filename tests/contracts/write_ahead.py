"""What every WriteAhead does."""

import hashlib

from gateway.ports import Unpacked, WriteAhead


def digest(number: int) -> str:
    return hashlib.sha256(b"%d" % number).hexdigest()


async def everything(write_ahead: WriteAhead) -> list[Unpacked]:
    found, at = list[Unpacked](), 0
    while (unread := await write_ahead.read(at)).up_to > at:
        found, at = found + list(unread.contents), unread.up_to
    return found


class WriteAheadContract:
    async def test_contents_are_read_in_order_as_they_came(self, write_ahead: WriteAhead) -> None:
        sequences = [await write_ahead.append(digest(number), b"%d" % number) for number in range(20)]
        assert sequences == sorted(set(sequences))
        found = await everything(write_ahead)
        assert found == [Unpacked(s, digest(n), b"%d" % n) for n, s in enumerate(sequences)]
        for content in found:
            assert await write_ahead.get(content.sequence) == content

    async def test_large_contents_are_read_in_several_turns(self, write_ahead: WriteAhead) -> None:
        for number in range(60):
            await write_ahead.append(digest(number), bytes([number]) * 128 * 1024)
        assert [c.octets[0] for c in await everything(write_ahead)] == list(range(60))

    async def test_nothing_new_reads_up_to_where_it_began(self, write_ahead: WriteAhead) -> None:
        at = await write_ahead.append(digest(1), b"one")
        unread = await write_ahead.read(at)
        assert (list(unread.contents), unread.up_to) == ([], at)

    async def test_what_was_purged_is_gone_and_the_rest_is_not(self, write_ahead: WriteAhead) -> None:
        sequences = [await write_ahead.append(digest(number), b"%d" % number) for number in range(5)]
        await write_ahead.purge(sequences[2])
        await write_ahead.purge(sequences[1])
        assert [content.sequence for content in await everything(write_ahead)] == sequences[3:]
        assert await write_ahead.get(sequences[2]) is None
        assert await write_ahead.waiting() == 2
        again = await write_ahead.append(digest(9), b"nine")
        assert again > sequences[4]

    async def test_a_sequence_that_never_was_holds_nothing(self, write_ahead: WriteAhead) -> None:
        at = await write_ahead.append(digest(1), b"one")
        assert await write_ahead.get(at + 1000) is None

    async def test_a_set_is_what_is_still_there_of_it(self, write_ahead: WriteAhead) -> None:
        sequences = [
            await write_ahead.append(digest(number), bytes([number]) * 60_000) for number in range(90)
        ]
        await write_ahead.purge(sequences[9])
        for wanted in (sequences, sequences[::-1], sequences[5:15], sequences[::20], sequences[:10], []):
            found = await write_ahead.get_all(wanted)
            assert {one.sequence for one in found} == {one for one in wanted if one > sequences[9]}
            assert [await write_ahead.get(one.sequence) for one in found] == found
