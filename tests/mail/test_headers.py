"""Header fields keep their octets and read well, whoever wrote them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mail import headers
from gateway.mail.addresslist import HeaderAddress, parse_list
from tests.mail.messages import broken, samples


def test_fields_have_their_places_and_octets() -> None:
    header = b"Subject: one\r\n two\r\nno field\r\nX-Empty:\r\nTo : a\nbody-ish\r\n\r\nSubject: body\r\n"
    found = list(headers.fields(header, start=10))
    assert [field.name for field in found] == ["Subject", "", "X-Empty", "To", ""]
    assert [field.value for field in found] == [b"one two", b"no field", b"", b"a", b"body-ish"]
    assert all(header[field.start - 10 : field.end - 10] == field.raw for field in found)


@given(broken)
def test_fields_cover_the_header_up_to_its_blank_line(octets: bytes) -> None:
    covered = b"".join(field.raw for field in headers.fields(octets))
    assert octets.startswith(covered)
    rest = octets[len(covered) :]
    assert rest == b"" or rest.startswith((b"\n", b"\r\n"))


@given(st.binary(max_size=300) | broken)
def test_any_octets_decode_to_text_that_can_be_stored_and_encoded(octets: bytes) -> None:
    for text in (headers.to_text(octets), headers.decode_words(headers.to_text(octets))):
        assert "\0" not in text
        assert "\n" not in text
        text.encode()  # no lone surrogate


TEXTS = [
    (b"plain", "plain"),
    (b"=?UTF-8?B?4Lir4LiZ4Lix4LiH4Liq4Li34Lit?=", "หนังสือ"),
    (b"=?TIS-620?Q?=CB=B9=D1=A7=CA=D7=CD?= no. 1", "หนังสือ no. 1"),
    (b"=?windows-874?B?y7nRp8rXzQ==?=", "หนังสือ"),
    # RFC 2047 §6.2: white space between encoded words is not shown; other white space is.
    (b"=?utf-8?q?a?= =?utf-8?q?b?= c =?iso-8859-1?q?=E9_d?=", "ab c é d"),
    (b"=?utf-8?q?a?= =?iso-8859-1?q?=E9?=", "aé"),
    # A character split between two words, as several Thai clients do.
    (b"=?utf-8?B?4Lir4A==?= =?utf-8?B?uJk=?=", "หน"),
    # RFC 2231 §5: a language after the charset.
    (b"=?us-ascii*en?q?keith?=", "keith"),
    # Raw octets: UTF-8 (RFC 6532), else windows-874.
    ("หนังสือ".encode(), "หนังสือ"),
    ("หนังสือ".encode("cp874"), "หนังสือ"),
    # What cannot be decoded stays readable.
    (b"=?nonesuch?q?abc?=", "abc"),
    (b"=?zlib?b?eJw=?=", "x\ufffd"),
    (b"=?utf-8?b?a?=", "=?utf-8?b?a?="),
    (b"=?utf-8?q?line=0D=0Abreak=00?=", "line  break\ufffd"),
    (b"=?broken", "=?broken"),
    (b"=?utf-7?q?+2AA-?=", "?"),  # a lone surrogate
]


@pytest.mark.parametrize(("value", "text"), TEXTS)
def test_reads_encoded_words_and_raw_octets(value: bytes, text: str) -> None:
    (field,) = headers.fields(b"Subject: " + value + b"\r\n")
    assert field.text == text


PARAMETERS = [
    (b"Text/Plain; Charset=UTF-8", "text/plain", {"charset": "UTF-8"}),
    (b'a/b (comment (nested)); x="1;2" (c); y = z ;', "a/b", {"x": "1;2", "y": "z"}),
    (b"a/b; x=1; x=2", "a/b", {"x": "1"}),
    (b'a/b; x="never closed', "a/b", {"x": "never closed"}),
    (b"a/b; title*=us-ascii'en'This%20is; title=not", "a/b", {"title": "This is"}),
    (b"a/b; u*0=ftp; u*1=\"://x\"; u*2*=%2F", "a/b", {"u": "ftp://x/"}),
    (b"", "", {}),
]  # fmt: skip


@pytest.mark.parametrize(("value", "token", "parameters"), PARAMETERS)
def test_reads_parameters(value: bytes, token: str, parameters: dict[str, str]) -> None:
    found, raw = headers.parse_parameters(value)
    assert (found, dict(headers.join_parameters(raw))) == (token, parameters)


A = HeaderAddress
LISTS = [
    (b"ann@example.org", [A(None, "ann", "example.org")]),
    (b"Ann <ann@x.example>, bob@y.example", [A("Ann", "ann", "x.example"), A(None, "bob", "y.example")]),
    (b'"Doe, John" <j@example.org>', [A("Doe, John", "j", "example.org")]),
    (b"ann@example.org (Ann (the first))", [A("Ann (the first)", "ann", "example.org")]),
    (b'"a \\"b\\""@example.org', [A(None, 'a "b"', "example.org")]),
    # A group (RFC 9051 §7.5.2), empty and not.
    (b"undisclosed recipients:;", [A(None, "undisclosed recipients", None), A()]),
    (b"g: a@x.example, b@x.example; c@x.example",
     [A(None, "g"), A(None, "a", "x.example"), A(None, "b", "x.example"), A(), A(None, "c", "x.example")]),
    (b"<@a.example,@b.example:u@x.example>", [A(None, "u", "x.example")]),
    (b"u@[IPv6:2001:db8::1]", [A(None, "u", "[IPv6:2001:db8::1]")]),
    (b"=?utf-8?B?4Liq4Lij4Lij4Lia4Lij4Lij?= <saraban@opm.go.th>", [A("สรรบรร", "saraban", "opm.go.th")]),
    ("สมชาย <สมชาย@opm.go.th>".encode(), [A("สมชาย", "สมชาย", "opm.go.th")]),
    (b'"=?utf-8?q?quoted?=" <q@x.example>', [A("quoted", "q", "x.example")]),
    # Broken, and read as well as can be.
    (b"<a@x.example, b@x.example", [A(None, "a", "x.example"), A(None, "b", "x.example")]),
    (b"just a name", [A(None, "just a name", "")]),
    (b"<>, ,", []),
    (b"((((", [A("(((", "", "")]),
]  # fmt: skip


@pytest.mark.parametrize(("value", "addresses"), LISTS)
def test_reads_address_lists(value: bytes, addresses: list[HeaderAddress]) -> None:
    assert list(parse_list(value)) == addresses


@given(st.binary(max_size=200) | st.text('"<>()[],;:@\\ ab', max_size=60).map(str.encode))
def test_any_octets_give_some_list(value: bytes) -> None:
    for one in parse_list(value):
        assert (one.mailbox is None) <= (one.name is None and one.host is None)


def test_the_samples_of_cpython_have_readable_senders() -> None:
    for name, message in samples().items():
        field = headers.first(message, "from")
        if field is not None and b"@" in field.value:
            assert any(one.host for one in parse_list(field.value)), name
