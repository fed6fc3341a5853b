"""Mailbox names as clients write them: RFC 3501 §5.1.3 and RFC 9051 §5.1."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mail.mailbox_name import decode_utf7, encode_utf7, normal_name, read_name, write_name

NAMES = [
    # RFC 3501 §5.1.3: the example.
    ("~peter/mail/台北/日本語", "~peter/mail/&U,BTFw-/&ZeVnLIqe-"),
    ("Q&A", "Q&-A"),
    ("กขค", "&DgEOAg4E-"),
    # Outside the BMP: a surrogate pair.
    ("😀", "&2D3eAA-"),
    ("a\tb", "a&AAk-b"),
    ("INBOX", "INBOX"),
    ("", ""),
]


@pytest.mark.parametrize(("name", "written"), NAMES)
def test_modified_utf7_goes_both_ways(name: str, written: str) -> None:
    assert encode_utf7(name) == written
    assert decode_utf7(written) == name


@given(st.text())
def test_every_name_survives_being_written(text: str) -> None:
    name = unicodedata.normalize("NFC", text)
    assert decode_utf7(encode_utf7(name)) == name
    assert encode_utf7(name).isascii()
    assert read_name(write_name(name, is_utf8=False).encode(), is_utf8=False) == normal_name(text)
    assert read_name(write_name(name, is_utf8=True).encode(), is_utf8=True) == normal_name(text)


WRONG = [
    b"Q&A",  # the shift has no end
    b"&AGE-",  # "a" stands for itself
    b"&U,BTF2-",  # bits that are not zero behind the last character
    b"&U,BTFw-&ZeVnLIqe-",  # two shifts where one is enough
    b"&2D0-",  # half of a pair
    b"&A-",
    b"&U/BTFw-",  # base64 of MIME has another character there
    "ก".encode(),  # UTF-8 before it is enabled
]


@pytest.mark.parametrize("octets", WRONG)
def test_what_is_not_modified_utf7_is_refused(octets: bytes) -> None:
    with pytest.raises(ValueError, match="modified UTF-7"):
        read_name(octets, is_utf8=False)


def test_utf8_must_be_sound() -> None:
    with pytest.raises(ValueError, match="UTF-8"):
        read_name(b"\xe0\xb8", is_utf8=True)


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("inbox", "INBOX"),
        ("Inbox/Archive", "INBOX/Archive"),
        ("inboxes", "inboxes"),
        ("a/inbox", "a/inbox"),
        ("e\u0301", "\u00e9"),
        ("\u0131nbox", "\u0131nbox"),  # a dotless i is no I
    ],
)
def test_inbox_has_one_form_and_names_are_composed(written: str, name: str) -> None:
    assert normal_name(written) == name
