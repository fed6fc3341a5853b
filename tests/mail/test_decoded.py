"""Decoded octets are counted as a decoder would have them, whatever the split."""

import binascii
import quopri

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mail.decoded import Counter, counter_of
from tests.mail.messages import scan


def count(counter: Counter | None, octets: bytes, split: int) -> int:
    assert counter is not None
    for start in range(0, len(octets), split):
        counter.feed(octets[start : start + split])
    return counter.finish()


@given(st.binary(max_size=400), st.integers(1, 90))
def test_base64_is_as_long_as_what_it_encodes(content: bytes, split: int) -> None:
    encoded = binascii.b2a_base64(content).replace(b"\n", b"\r\n")
    assert count(counter_of("base64"), encoded, split) == len(content)


@given(st.binary(max_size=400), st.integers(1, 90))
def test_quoted_printable_is_as_long_as_what_it_encodes(content: bytes, split: int) -> None:
    encoded = quopri.encodestring(content.replace(b"\r", b"").replace(b"\n", b"\r\n"))
    assert count(counter_of("quoted-printable"), encoded, split) == len(quopri.decodestring(encoded))


@pytest.mark.parametrize("split", [1, 7, 65_536, 1_000_000])
def test_an_endless_line_is_counted_in_pieces(split: int) -> None:
    assert count(counter_of("quoted-printable"), b"=41b" * 50_000, split) == 100_000


MESSAGES = [
    # Text to be read is no attachment, a named one is.
    (b"Content-Type: text/plain\r\n\r\n12345", 0),
    (b"Content-Type: text/plain; name=a.txt\r\n\r\n12345", 5),
    (b"Content-Type: text/plain\r\nContent-Disposition: attachment\r\n\r\n12345", 5),
    # What is not text is one without being called so, and is measured decoded.
    (b"Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\nYWJj\r\nZA==\r\n", 4),
    (b"Content-Type: image/png\r\nContent-Transfer-Encoding: BASE64\r\n\r\nYWJj\r\nZA", 4),
    (b"Content-Type: a/b\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=41b=\r\nc\r\n", 5),
    # A message in a message: what it holds.
    (
        b"Content-Type: message/rfc822\r\nContent-Disposition: attachment\r\n\r\nSubject: x\r\n"
        b"Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\nYWJj",
        3,
    ),
    # The largest of several; epilogue and preamble are nobody's.
    (
        b"Content-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        b"AAAA\r\n--b\r\n"
        b"Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\nYWJj\r\n--b\r\n"
        b"Content-Type: image/png\r\n\r\n12345\r\n--b--\r\nAAAAAAAAAAAA",
        5,
    ),
]


@pytest.mark.parametrize(("message", "octets"), MESSAGES)
def test_the_largest_attachment_is_measured_decoded(message: bytes, octets: int) -> None:
    for split in (None, 1, 3):
        assert scan(message, split=split).largest_attachment_octets == octets
