"""The stream behind COMPRESS: RFC 4978."""

import zlib
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.protocols.imap.compression import PIECE_OCTETS, BrokenStream, Compression


def client_deflates(*sent: bytes) -> list[bytes]:
    deflating = zlib.compressobj(9, zlib.DEFLATED, -15)
    return [deflating.compress(one) + deflating.flush(zlib.Z_SYNC_FLUSH) for one in sent]


@given(st.lists(st.binary(max_size=200)), st.integers(1, 50))
def test_what_a_client_sends_comes_out_in_any_split(sent: list[bytes], split: int) -> None:
    stream = b"".join(client_deflates(*sent))
    compression = Compression()
    pieces = [stream[at : at + split] for at in range(0, len(stream), split)]
    assert b"".join(one for piece in pieces for one in compression.inflate(piece)) == b"".join(sent)


@given(st.lists(st.binary(max_size=200)))
def test_a_client_reads_all_that_was_sent_to_it_at_once(sent: list[bytes]) -> None:
    compression, inflating = Compression(), zlib.decompressobj(-15)
    for one in sent:
        assert inflating.decompress(compression.deflate(one)) == one


def test_a_flood_in_a_small_packet_comes_in_pieces() -> None:
    (packet,) = client_deflates(bytes(50 * PIECE_OCTETS))
    assert len(packet) < PIECE_OCTETS / 10
    pieces = list(Compression().inflate(packet))
    assert max(map(len, pieces)) <= PIECE_OCTETS
    assert b"".join(pieces) == bytes(50 * PIECE_OCTETS)


def test_what_repeats_itself_becomes_small() -> None:
    lines = b"".join(b"* %d FETCH (UID %d FLAGS (\\Seen))\r\n" % (n, n) for n in range(1_000, 2_000))
    assert len(Compression().deflate(lines)) < len(lines) / 4


@pytest.mark.parametrize("sent", [b"a NOOP\r\n", zlib.compress(b"a NOOP\r\n")])
def test_what_is_not_deflated_is_an_error(sent: bytes) -> None:
    with pytest.raises(BrokenStream):
        list(Compression().inflate(sent))


def test_a_stream_that_has_ended_does_not_go_on() -> None:
    deflating = zlib.compressobj(9, zlib.DEFLATED, -15)
    ended = deflating.compress(b"a LOGOUT\r\n") + deflating.flush()
    compression = Compression()
    assert b"".join(compression.inflate(ended)) == b"a LOGOUT\r\n"
    with pytest.raises(BrokenStream):
        list(compression.inflate(b"x"))


@given(st.binary(max_size=100))
def test_any_octets_inflate_or_are_an_error(octets: bytes) -> None:
    with suppress(BrokenStream):
        assert max(map(len, Compression().inflate(octets)), default=0) <= PIECE_OCTETS


@given(st.integers(PIECE_OCTETS - 600, PIECE_OCTETS + 600))
def test_nothing_is_held_back_at_the_end_of_a_piece(octets: int) -> None:
    (packet,) = client_deflates(bytes(octets))
    assert b"".join(Compression().inflate(packet)) == bytes(octets)
