"""A spool gives back what was written, from memory or from a file that nobody can find."""

import errno
from pathlib import Path

import pytest

from gateway.adapters.spool import DiskSpool
from gateway.ports import Full


@pytest.mark.parametrize("octets", [0, 10, 100, 101, 5000])
@pytest.mark.parametrize("split", [1, 33, 10_000])
def test_any_range_is_read_as_it_was_written(tmp_path: Path, octets: int, split: int) -> None:
    message = bytes(number % 251 for number in range(octets))
    spool = DiskSpool(tmp_path, memory_octets_max=100)
    for at in range(0, octets, split):
        spool.write(message[at : at + split])
    assert spool.octets == octets
    for start, end in [(0, octets), (0, 1), (octets // 2, octets), (7, 120), (octets, octets + 5)]:
        assert b"".join(spool.read(start, end)) == message[start:end]
    spool.close()


def test_pieces_are_bounded(tmp_path: Path) -> None:
    spool = DiskSpool(tmp_path)
    spool.write(bytes(1_000_000))
    assert max(len(piece) for piece in spool.read(0, 1_000_000)) == 256 * 1024
    spool.close()


def test_a_large_message_is_in_no_named_file(tmp_path: Path) -> None:
    spool = DiskSpool(tmp_path, memory_octets_max=10)
    spool.write(b"MARKER" * 100)
    assert list(tmp_path.iterdir()) == []
    spool.close()


def test_a_full_disk_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = DiskSpool(tmp_path, memory_octets_max=10)

    def refuse(octets: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(spool, "_write_all", refuse)
    with pytest.raises(Full, match="No space left"):
        spool.write(bytes(100))
    spool.close()


@pytest.mark.parametrize("memory_octets_max", [10, 1_000_000])
def test_a_closed_spool_gives_nothing_more(tmp_path: Path, memory_octets_max: int) -> None:
    """A thread whose caller has gone away must not take the rest of a message for empty."""
    spool = DiskSpool(tmp_path, memory_octets_max)
    spool.write(bytes(600_000))
    reading = spool.read(0, 600_000)
    assert len(next(reading)) == 256 * 1024
    spool.close()
    with pytest.raises(ValueError, match="closed"):
        next(reading)
