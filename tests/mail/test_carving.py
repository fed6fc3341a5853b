"""rebuild(carve(x)) == x, octet for octet, whatever x is; a range of it is the slice."""

import base64
import hashlib
from collections.abc import Iterator

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.mail import carving
from gateway.mail.carving import CARVE_OCTETS_MIN, CarvingError, FillEncoder, FromHole, Hole, Skeleton
from tests.mail.messages import broken, reader, samples, scan

CONTENT = hashlib.shake_256(b"content").digest(120_001)
MORE = hashlib.shake_256(b"more").digest(200_000)


def wrapped(content: bytes, line: int, line_break: bytes) -> bytes:
    text = base64.b64encode(content)
    return line_break.join(text[at : at + line] for at in range(0, len(text), line))


def with_part(encoded: bytes, encoding: bytes = b"base64") -> bytes:
    return (
        b"Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nhello\r\n--b\r\n"
        b"Content-Type: application/pdf\r\nContent-Transfer-Encoding: " + encoding + b"\r\n\r\n"
        + encoded + b"\r\n--b--\r\n"
    )  # fmt: skip


def carve(message: bytes) -> Skeleton:
    return carving.carve(scan(message), reader(message))


def rebuilt(
    message: bytes, skeleton: Skeleton, start: int = 0, end: int | None = None, split: int = 10_007
) -> bytes:
    """The message, or a range, from the rest and the contents alone."""
    rest = b"".join(carving.rest(skeleton, reader(message)))
    assert len(rest) == skeleton.rest_octets
    contents = {
        hole: b"".join(carving.decoded(reader(message, split=split), hole)) for hole in skeleton.holes
    }

    def open_hole(hole: Hole, first: int, last: int) -> Iterator[bytes]:
        return reader(contents[hole], split=split)(first, last)

    return b"".join(carving.rebuild(skeleton, reader(rest, split=split), open_hole, start, end))


BASE64 = [
    (wrapped(CONTENT, 76, b"\r\n"), 76),
    (wrapped(CONTENT, 76, b"\r\n") + b"\r\n", 76),  # with the line break most composers leave
    (wrapped(CONTENT, 72, b"\n"), 72),
    (wrapped(CONTENT, 60, b"\r\n") + b"\r\n\r\n \t", 60),
    (wrapped(CONTENT, 1000, b"\r\n"), 1000),
    (wrapped(CONTENT, 73, b"\r\n"), 73),  # lines that end inside a group of four
    (wrapped(CONTENT, 1, b"\n"), 1),
    (wrapped(CONTENT[:-1], 76, b"\r\n"), 76),  # one and no padding
    (wrapped(CONTENT[:-2], 76, b"\r\n"), 76),
    (wrapped(CONTENT[:57_000], 76, b"\r\n"), 76),  # the last line is whole
    (base64.b64encode(CONTENT), 0),  # all in one line
    (base64.b64encode(CONTENT) + b"\r\n", 0),
]


@pytest.mark.parametrize(("encoded", "line_octets"), BASE64)
def test_a_regular_base64_part_is_kept_decoded(encoded: bytes, line_octets: int) -> None:
    message = with_part(encoded)
    skeleton = carve(message)
    (hole,) = skeleton.holes
    content = base64.b64decode(encoded)
    assert (hole.encoding, hole.line_octets) == ("base64", line_octets)
    assert (hole.start, hole.encoded_octets) == (message.index(encoded), len(encoded))
    assert (hole.decoded_octets, hole.decoded_sha256) == (len(content), hashlib.sha256(content).digest())
    assert hole.encoded_sha256 == hashlib.sha256(encoded).digest()
    assert b"".join(carving.decoded(reader(message), hole)) == content
    assert b"".join(carving.encoded(hole, [content[:1], content[1:5], content[5:]])) == encoded
    assert rebuilt(message, skeleton) == message


text = wrapped(CONTENT, 76, b"\r\n")
IRREGULAR = [
    text[:7600] + b"\r\n" + text[7600:],  # lines of uneven length
    text[:780] + text[782:],
    text.replace(b"\r\n", b"\n", 5).replace(b"\n", b"\r\n", 4),
    text[:-1],  # a group that is not whole
    text + b"\r\nA mailing list's footer\r\n",
    text + b"=",
    wrapped(CONTENT[:57_000] + b"x", 76, b"\r\n") + b"\r\n" + text,  # padding in the middle
    wrapped(MORE[: 4 * 57 * 630 - 1], 76, b"\r\n") + b"\r\n" + text,  # and there at the end of a block
    b"\r\n" + text,
    text[:-4] + b"QR==",  # bits after the content that a decoder drops
    text + b" " * 2000,
    b"\0" * CARVE_OCTETS_MIN,
    b"\n" * CARVE_OCTETS_MIN,
    b"=" * CARVE_OCTETS_MIN,
]


@pytest.mark.parametrize("encoded", IRREGULAR)
def test_what_would_not_come_back_the_same_is_kept_verbatim(encoded: bytes) -> None:
    message = with_part(encoded)
    (hole,) = carve(message).holes
    assert hole.encoding == "verbatim"
    assert hole.decoded_sha256 == hole.encoded_sha256 == hashlib.sha256(encoded).digest()
    assert rebuilt(message, carve(message)) == message


def test_the_same_file_is_the_same_content_in_any_lines() -> None:
    digests = {
        carve(with_part(wrapped(CONTENT, line, b"\r\n"))).holes[0].decoded_sha256 for line in (60, 76, 512)
    }
    assert digests == {hashlib.sha256(CONTENT).digest()}


def test_only_large_parts_are_carved() -> None:
    assert carve(with_part(text[: CARVE_OCTETS_MIN - 1])).holes == ()
    assert len(carve(with_part(text[:CARVE_OCTETS_MIN])).holes) == 1


@pytest.mark.parametrize("encoding", [b"quoted-printable", b"8bit", b"x-unknown"])
def test_large_parts_of_other_encodings_are_verbatim(encoding: bytes) -> None:
    message = with_part(text, encoding)
    assert [hole.encoding for hole in carve(message).holes] == ["verbatim"]
    assert rebuilt(message, carve(message)) == message


def test_holes_in_nested_messages_keep_their_order() -> None:
    inner = b"Content-Type: message/rfc822\r\n\r\n" + with_part(text).replace(b"=b\r\n", b"=i\r\n").replace(
        b"--b", b"--i"
    )
    message = with_part(text).replace(b"--b--\r\n", b"--b\r\n" + inner + b"--b--\r\n")
    skeleton = carve(message)
    assert [hole.encoding for hole in skeleton.holes] == ["base64", "base64"]
    assert skeleton.rest_octets < 1000
    assert rebuilt(message, skeleton) == message


shapes = st.tuples(
    st.integers(CARVE_OCTETS_MIN, 100_000), st.integers(0, 2000), st.sampled_from([b"\r\n", b"\n"]),
    st.sampled_from([b"", b"\r\n", b"\n\n", b" "]),
)  # fmt: skip


def shaped(octets: int, line: int, line_break: bytes, tail: bytes) -> bytes:
    content = CONTENT[:octets]
    return (wrapped(content, line, line_break) if line else base64.b64encode(content)) + tail


@settings(max_examples=60)
@given(shapes, st.data())
def test_any_range_is_the_slice(shape: tuple[int, int, bytes, bytes], data: st.DataObject) -> None:
    message = with_part(shaped(*shape))
    skeleton = carve(message)
    hole = skeleton.holes[0]
    near = st.sampled_from([0, hole.start, hole.end - len(hole.tail), hole.end, len(message)])
    places = st.builds(lambda place, by: min(max(place + by, 0), len(message)), near, st.integers(-300, 300))
    start, end = sorted((data.draw(places), data.draw(places | st.integers(0, len(message)))))
    assert (
        rebuilt(message, skeleton, start, end, split=data.draw(st.integers(100, 50_000)))
        == message[start:end]
    )


@settings(max_examples=30)
@given(broken, shapes, st.integers(0, 200_000), st.binary(max_size=20))
def test_any_octets_come_back(
    around: bytes, shape: tuple[int, int, bytes, bytes], place: int, odd: bytes
) -> None:
    encoded = shaped(*shape)
    message = around + with_part(encoded[:place] + odd + encoded[place:]) + around
    assert rebuilt(message, carve(message)) == message


@pytest.mark.parametrize(("name", "message"), samples().items(), ids=samples().keys())
def test_cpythons_samples_come_back(name: str, message: bytes) -> None:
    assert rebuilt(message, carve(message)) == message


def test_a_small_range_asks_for_a_small_part_of_the_content() -> None:
    message = with_part(text)
    skeleton = carve(message)
    middle = skeleton.holes[0].start + 50_000
    (piece,) = carving.plan(skeleton, middle, middle + 76)
    assert isinstance(piece, FromHole)
    assert piece.decoded_end - piece.decoded_start <= 60
    assert all(
        not isinstance(piece, FromHole) for piece in carving.plan(skeleton, 0, skeleton.holes[0].start)
    )


def test_a_content_that_is_not_the_one_is_noticed() -> None:
    (hole,) = carve(with_part(text)).holes
    with pytest.raises(CarvingError, match="too short"):
        list(carving.encoded(hole, [CONTENT[:-1]]))
    with pytest.raises(CarvingError, match="too long"):
        list(carving.encoded(hole, [CONTENT, b"x"]))
    with pytest.raises(CarvingError, match="not the one"):
        list(carving.decoded(reader(with_part(text.replace(b"\r\n", b" \n"))), hole))


def test_a_skeleton_travels_in_messagepack() -> None:
    skeleton = carve(with_part(text + b"\r\n"))
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(skeleton), type=Skeleton) == skeleton


def test_octet_by_octet_gives_the_same() -> None:
    (hole,) = carve(with_part(text)).holes
    (piece,) = carving.plan(Skeleton(hole.end, (hole,)), hole.start + 77, hole.start + 5000)
    assert isinstance(piece, FromHole)
    encoder = FillEncoder(piece)
    given_ = [encoder.feed(CONTENT[at : at + 1]) for at in range(piece.decoded_start, piece.decoded_end)]
    assert b"".join((*given_, encoder.finish())) == text[77:5000]
