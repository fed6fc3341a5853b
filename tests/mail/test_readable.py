"""The text of a body as a person reads it."""

import base64

import msgspec
import pytest

from gateway.mail.mime import StructureScanner
from gateway.mail.readable import readable, text_parts
from gateway.mail.summary import Summary, summarise

THAI = "ขอเชิญประชุม"


def read(message: bytes) -> str:
    scanner = StructureScanner()
    scanner.feed(message)
    summary = msgspec.json.decode(summarise(scanner.finish()), type=Summary)
    parts = text_parts(summary.body)
    return "|".join(readable(part, message[part.body_start : part.body_end]) for part in parts).strip()


def part(type_: str, body: bytes, encoding: str = "8bit") -> bytes:
    return f"Content-Type: {type_}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n".encode() + body


MESSAGES = [
    (part("text/plain; charset=utf-8", THAI.encode()), THAI),
    (part("text/plain; charset=tis-620", THAI.encode("tis-620")), THAI),
    (part("text/plain; charset=windows-874", THAI.encode("cp874")), THAI),
    (part("text/plain; charset=utf-8", base64.b64encode(THAI.encode()), "base64"), THAI),
    (part("text/plain; charset=utf-8", b"caf=C3=A9=\r\n x", "quoted-printable"), "café x"),
    (part("text/html", b"<p>a<b>b</b></p><p>c &amp; d</p><style>x{}</style><script>y</script>"), "ab c & d"),
    (part("text/html", b"<p>open <b"), "open <b"),  # half a tag is text
    # Lines, no padding, and a cut: what is there is read.
    (part("text/plain; charset=utf-8", base64.encodebytes(THAI.encode() * 9).strip(), "base64"), THAI * 9),
    (part("text/plain", b"YWJj\r\nZGVm\r\nZw", "base64"), "abcdefg"),
    (part("text/html", b"a<!-- b > --><!doctype x><?y?>c<br>d"), "ac d"),
    (part("text/html", b"<a title='x>y' alt=\">\">z</a>"), "z"),
    (part("text/html", b"<title>t</title>1 < 2 <![CDATA[x]]> 3"), "1 < 2 3"),
    (part("text/html", b"a<script>b<p>c"), "a"),  # as a browser shows it
    (part("image/png", b"nothing to read"), ""),
    (b"Subject: no type\r\n\r\nplain", "plain"),
]


@pytest.mark.parametrize(("message", "text"), MESSAGES)
def test_a_body_is_read(message: bytes, text: str) -> None:
    assert read(message) == text


def test_every_text_of_a_multipart_is_read_and_no_attachment() -> None:
    message = (
        b'Content-Type: multipart/mixed; boundary="x"\r\n\r\n'
        b"--x\r\n\r\none\r\n"
        b"--x\r\nContent-Disposition: attachment; filename=a.txt\r\n\r\nfile\r\n"
        b"--x\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\ntwo\r\n"
        b"--x--\r\n"
    )
    assert read(message) == "one|two"


def test_base64_that_was_cut_is_read_as_far_as_it_goes() -> None:
    body = base64.b64encode(b"0123456789")[:-1]
    assert read(part("text/plain", body, "base64")).startswith("012345678")


HOSTILE = ["<", "<!", "<![", "<a ", "<a '", '<a "', "<!--", "</", "<script", "<script>", "&", "&#"]


@pytest.mark.parametrize("piece", HOSTILE)
@pytest.mark.parametrize("end", ["", ">", "'", "-->"])
def test_hostile_markup_is_read_in_one_pass(piece: str, end: str) -> None:
    """What is looked for again and again, in a body of this size, would not come back."""
    markup = piece * 100_000 + end
    assert len(read(part("text/html", markup.encode()))) <= len(markup)
