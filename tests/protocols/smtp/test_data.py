"""The message on the wire, both ways: "any octets in any split decode or raise PeerError"."""

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.mail.reply import PeerError, Reply
from gateway.protocols.smtp.data import BinaryDecoder, ChunkDecoder, DataDecoder, DotStuffer

LINE_OCTETS_MAX = 1024 * 1024


def decode(chunks: list[bytes], line_octets_max: int = LINE_OCTETS_MAX) -> tuple[bytes, bytes]:
    """The message, and what came after it."""
    decoder, message = DataDecoder(line_octets_max), b""
    rest = b""
    for chunk in chunks:
        if decoder.is_complete:
            rest += chunk
        else:
            message += decoder.feed(chunk)
    assert decoder.is_complete
    return message, decoder.rest + rest


def outcome(chunks: list[bytes], line_octets_max: int) -> tuple[bytes, bytes] | str | None:
    """What became of the octets: message and rest, the reply to a broken one, None while it goes on."""
    try:
        return decode(chunks, line_octets_max)
    except PeerError as error:
        return str(error.reply)
    except AssertionError:
        return None


def splits(octets: bytes, places: list[int]) -> list[bytes]:
    cuts = [0, *sorted(place % (len(octets) + 1) for place in places), len(octets)]
    return [octets[a:b] for a, b in pairwise(cuts)]


MESSAGES = [
    # The smallest message there is: nothing at all.
    (b".\r\n", b""),
    # RFC 5321 §4.5.2: one leading dot is removed.
    (b"..\r\n.\r\n", b".\r\n"),
    (b".a\r\n.\r\n", b"a\r\n"),
    (b"...\r\n..\r\n.\r\n", b"..\r\n.\r\n"),
    # A dot elsewhere is only a dot.
    (b"a.\r\n .\r\n.\r\n", b"a.\r\n .\r\n"),
    # Empty lines, also at the end.
    (b"\r\n.\r\n", b"\r\n"),
    (b"a\r\n\r\n\r\n.\r\n", b"a\r\n\r\n\r\n"),
    # Any octet but NUL, CR and LF stands for itself.
    (bytes(set(range(1, 256)) - {10, 13}) + b"\r\n.\r\n", bytes(set(range(1, 256)) - {10, 13}) + b"\r\n"),
]


@pytest.mark.parametrize(("sent", "meant"), MESSAGES)
def test_decodes_the_message_the_client_meant(sent: bytes, meant: bytes) -> None:
    octets = [sent[i : i + 1] for i in range(len(sent))]
    assert decode([sent]) == (meant, b"")  # whole
    assert decode(octets) == (meant, b"")  # octet by octet
    assert decode([sent + b"QUIT\r\n"]) == (meant, b"QUIT\r\n")  # pipelined


BROKEN = [
    b"\n",
    b"\r\r\n",
    b"a\nb\r\n",
    b"a\rb\r\n",
    b"\r\n.\n",
    b"\n.\r\n",
    b"\r\n.\r.",
    b".\r\r\n",
    b".\n",
    b"\n\r\n",
    b"\r.\r\n",
    b"a\0b\r\n",
    b"\0.\r\n",
    b".\0\r\n",
]


@pytest.mark.parametrize("sent", BROKEN)
def test_a_bare_cr_or_lf_or_a_nul_is_refused(sent: bytes) -> None:
    octets = [sent[i : i + 1] for i in range(len(sent))]
    for chunks in ([sent + b"x"], [*octets, b"x"]):
        with pytest.raises(PeerError) as caught:
            decode(chunks)
        assert caught.value.reply.code == 550


@given(
    st.lists(
        st.sampled_from([b"\r\n", b"\r", b"\n", b".", b"a", b"\r\n.\r\n", b"\x00", b"bc"]), max_size=25
    ).map(b"".join),
    st.lists(st.integers(0, 200), max_size=8),
    st.sampled_from([1, 3, 5, 1000]),
)
@example(b"aaaa\r\n.\r\n", [4], 4)
def test_any_split_of_the_same_octets_has_the_same_outcome(
    octets: bytes, places: list[int], line_octets_max: int
) -> None:
    whole = outcome([octets], line_octets_max)
    assert outcome([octets[i : i + 1] for i in range(len(octets))], line_octets_max) == whole
    assert outcome(splits(octets, places), line_octets_max) == whole


@given(st.binary(), st.lists(st.integers(0, 200), max_size=5))
def test_any_octets_in_any_split_decode_or_raise_peer_error(octets: bytes, places: list[int]) -> None:
    decoder = DataDecoder(10)
    for chunk in splits(octets, places):
        if decoder.is_complete:
            break
        try:
            decoder.feed(chunk)
        except PeerError:
            break


@given(
    st.lists(st.sampled_from([b"\r\n", b"\r", b"\n", b".", b"a", b"\r\n.\r\n", b"\x00", b"bc"]), max_size=25),
    st.lists(st.integers(0, 200), max_size=8),
    st.sampled_from([1, 3, 5, 1000]),
)
def test_chunks_give_what_was_sent_or_a_fault_in_any_split(
    pieces: list[bytes], places: list[int], line_octets_max: int
) -> None:
    octets = b"".join(pieces)

    def outcome(chunks: list[bytes]) -> bytes | Reply:
        decoder = ChunkDecoder(line_octets_max)
        try:
            message = b"".join(map(decoder.feed, chunks))
            decoder.finish()
        except PeerError as error:
            return error.reply
        return message

    whole = outcome([octets])
    assert outcome([octets[i : i + 1] for i in range(len(octets))]) == whole
    assert outcome(splits(octets, places)) == whole
    lines = octets.split(b"\r\n")
    is_sound = not any(set(line) & set(b"\0\r\n") for line in lines)
    assert (whole == octets) == (is_sound and max(map(len, lines)) <= line_octets_max)


LINES = st.lists(
    st.binary(max_size=30).map(lambda line: line.translate(bytes.maketrans(b"\0\r\n", b"..."))), max_size=20
)


@given(LINES, st.lists(st.integers(0, 600), max_size=8), st.lists(st.integers(0, 600), max_size=8))
def test_what_is_stuffed_decodes_to_the_same(lines: list[bytes], out: list[int], back: list[int]) -> None:
    message = b"".join(line + b"\r\n" for line in lines)
    stuffer = DotStuffer()
    sent = b"".join(stuffer.feed(chunk) for chunk in splits(message, out)) + stuffer.finish()
    assert decode(splits(sent + b"NOOP\r\n", back)) == (message, b"NOOP\r\n")


def test_a_last_line_without_newline_gets_one() -> None:
    stuffer = DotStuffer()
    assert stuffer.feed(b".a") + stuffer.finish() == b"..a\r\n.\r\n"
    assert DotStuffer().finish() == b".\r\n"


@pytest.mark.parametrize("message", [b"a\nb", b"a\rb", b"a\r", b"\r\n.\n", b"a\n", b"\r\r\n"])
def test_a_message_with_bare_newlines_is_not_sent(message: bytes) -> None:
    def stuffed(chunks: list[bytes]) -> bytes:
        stuffer = DotStuffer()
        return b"".join(map(stuffer.feed, chunks)) + stuffer.finish()

    for chunks in ([message], [message[i : i + 1] for i in range(len(message))]):
        with pytest.raises(ValueError, match="bare CR or LF"):
            stuffed(chunks)


def test_a_line_at_the_limit_passes_and_one_octet_more_does_not() -> None:
    for width in (1, 7, 100, 1000):
        sent = b"a" * 100 + b"\r\n" + b"b" * 100 + b"\r\n.\r\n"
        assert decode([sent[i : i + width] for i in range(0, len(sent), width)], 100)[0] == sent[:-3]
        sent = b"a\r\n" + b"a" * 101 + b"\r\n.\r\n"
        with pytest.raises(PeerError) as caught:
            decode([sent[i : i + width] for i in range(0, len(sent), width)], 100)
        assert str(caught.value.reply.status) == "5.5.2"


@example(b"\r\n\n", [1])
@example(b"A: b\r\n\r\n\r", [7, 8])
@given(
    st.lists(st.sampled_from([b"A: b", b"\r\n", b"\r", b"\n", b".", b"\x00"]), max_size=12).map(b"".join),
    st.lists(st.integers(0, 100), max_size=6),
)
def test_a_binary_message_in_any_split_is_the_same_and_only_its_header_has_lines(
    octets: bytes, places: list[int]
) -> None:
    """RFC 3030 §3."""
    decoder = BinaryDecoder(LINE_OCTETS_MAX)
    header = (b"\r\n" + octets).partition(b"\r\n\r\n")[0]
    is_sound = len(header) - len(header.translate(None, b"\0\r\n")) == 2 * header.count(b"\r\n")
    try:
        message = b"".join(decoder.feed(piece) for piece in splits(octets, places))
        decoder.finish()
    except PeerError:
        assert not is_sound
    else:
        assert is_sound
        assert message == octets
