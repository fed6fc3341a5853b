"""Bodies without their transfer encoding, whatever the split."""

import base64
import quopri

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mail.decoded import counter_of
from gateway.mail.transfer import decode, decoder_of

BODIES = [
    ("base64", b"YWJj", b"abc"),
    ("base64", b"YW\r\nJj\r\n", b"abc"),
    ("base64", b"Y*W!J j", b"abc"),  # RFC 2045 §6.8
    ("base64", b"YWI=", b"ab"),
    ("base64", b"YWI", b"ab"),
    ("base64", b"YWJjY", b"abc"),  # cut
    ("base64", b"YQ==YQ==", b"a\x06\x10"),  # padding stands for nothing: the count is the same
    ("base64", b"", b""),
    ("quoted-printable", b"a=3Db=\r\nc=zz\r\n", b"a=bc=zz\r\n"),
    ("7bit", b"a=3D", b"a=3D"),
    ("", b"\0", b"\0"),
    ("x-uuencode", b"begin", b"begin"),
]


def pieces(encoding: str, octets: bytes, split: int) -> bytes:
    decoder = decoder_of(encoding)
    assert decoder is not None
    given_ = b"".join(decoder.feed(octets[at : at + split]) for at in range(0, len(octets), split))
    return given_ + decoder.finish()


@pytest.mark.parametrize(("encoding", "body", "content"), BODIES)
def test_a_body_is_decoded(encoding: str, body: bytes, content: bytes) -> None:
    assert decode(encoding, body) == content


def test_an_encoding_that_is_not_known_has_no_decoder() -> None:
    assert decoder_of("x-uuencode") is None


@given(st.sampled_from(["base64", "quoted-printable", "8bit"]), st.binary(max_size=300), st.integers(1, 40))
def test_any_octets_in_any_split_are_decoded_and_counted(encoding: str, body: bytes, split: int) -> None:
    content = decode(encoding, body)
    assert pieces(encoding, body, split) == content
    if (counter := counter_of(encoding)) is not None:
        counter.feed(body)
        assert counter.finish() == len(content)


@given(st.binary(max_size=300))
def test_what_was_encoded_is_there_again(content: bytes) -> None:
    assert decode("base64", base64.encodebytes(content)) == content
    assert decode("quoted-printable", quopri.encodestring(content)) == quopri.decodestring(
        quopri.encodestring(content)
    )
