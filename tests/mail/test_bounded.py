"""A message of any size goes through in bounded memory: the octets held, counted by tracemalloc."""

import base64
import hashlib
import tracemalloc
from collections.abc import Iterator

from gateway.mail import carving
from gateway.mail.carving import FromHole, Hole, Skeleton
from gateway.mail.mime import StructureScanner

MESSAGE_OCTETS = 36 * 1024 * 1024
HELD_OCTETS_MAX = 4 * 1024 * 1024
HEAD = b"Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n"
LINE = 78
CHUNK = 64 * 1024


def content(start: int, end: int) -> Iterator[bytes]:
    """An attachment that is nowhere in memory: 57 octets a line, counted."""
    for at in range(start, end, CHUNK):
        last = min(at + CHUNK, end)
        block = b"".join(b"%057d" % line for line in range(at // 57, last // 57 + 1))
        yield block[at - at // 57 * 57 :][: last - at]


def message(start: int, end: int) -> Iterator[bytes]:
    """A range of the message that carries it, made while it is read."""
    if start < len(HEAD):
        yield HEAD[start:end]
    first, last = max(start - len(HEAD), 0), end - len(HEAD)
    for at in range(first // LINE, -(-last // LINE), 800):
        lines = range(at, min(at + 800, -(-last // LINE)))
        block = b"".join(base64.b64encode(b"%057d" % line) + b"\r\n" for line in lines)
        yield block[max(0, first - at * LINE) : max(0, last - at * LINE)]


def test_scanning_carving_and_rebuilding_hold_little() -> None:
    octets = len(HEAD) + (MESSAGE_OCTETS - len(HEAD)) // LINE * LINE
    digest, again = hashlib.sha256(), hashlib.sha256()
    tracemalloc.start()
    try:
        scanner = StructureScanner()
        for piece in message(0, octets):
            scanner.feed(piece)
            digest.update(piece)
        skeleton = carving.carve(scanner.finish(), message)
        (hole,) = skeleton.holes
        uploaded = hashlib.sha256()
        for piece in carving.decoded(message, hole):
            uploaded.update(piece)
        for piece in carving.rebuild(skeleton, message, lambda _, start, end: content(start, end)):
            again.update(piece)
        _, held = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert skeleton.octets == octets
    assert hole.encoding == "base64"
    assert uploaded.digest() == hole.decoded_sha256
    assert again.digest() == digest.digest()
    assert held <= HELD_OCTETS_MAX


def test_a_large_content_in_one_piece_is_encoded_in_blocks() -> None:
    hole = Hole(0, 78 * 100_000 - 2, 57 * 100_000, "base64", b"", b"", 76, b"\r\n")
    (piece,) = carving.plan(Skeleton(hole.end, (hole,)))
    assert isinstance(piece, FromHole)
    largest = max(len(octets) for octets in carving.encoded(hole, [bytes(57 * 100_000)]))
    assert largest <= 512 * 1024
