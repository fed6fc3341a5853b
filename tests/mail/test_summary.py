"""The summary says what ENVELOPE and BODYSTRUCTURE say, and never outgrows its place in an event."""

import msgspec
import pytest
from hypothesis import given

from gateway.mail.addresslist import HeaderAddress
from gateway.mail.summary import SUMMARY_OCTETS_MAX, PartSummary, Summary, encode, summarise
from tests.mail.messages import broken, samples, scan

THAI = (
    "From: =?UTF-8?B?4Liq4Lih4LiK4Liy4Lii?= <somchai@opm.go.th>\r\n"
    "To: Ann <ann@opdc.go.th>,\r\n bob@dld.go.th\r\n"
    "Date: Mon, 23 Nov 2026 10:00:00 +0700\r\n"
    "Subject: =?UTF-8?B?4Lir4LiZ4Lix4LiH4Liq4Li34Lit?=\r\n =?UTF-8?B?4Lij4Liy4LiK4LiB4Liy4Lij?=\r\n"
    "Message-ID: <1@opm.go.th>\r\nIn-Reply-To: <0@opm.go.th>\r\n"
    "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
    "Content-Type: text/plain; charset=utf-8\r\nContent-Language: th, en\r\n\r\nสวัสดี\r\nครับ\r\n--b\r\n"
    "Content-Type: application/pdf\r\nContent-Transfer-Encoding: BASE64\r\nContent-ID: <p@x>\r\n"
    "Content-Description: =?utf-8?q?scan?=\r\n"
    "Content-Disposition: attachment; filename*=utf-8''%E0%B8%81.pdf\r\n"
    "\r\neA==\r\n--b\r\n"
    "Content-Type: message/rfc822\r\n\r\nSubject: inner\r\nFrom: c@x.example\r\n\r\ntext\r\n--b--\r\n"
).encode()


def read(octets: bytes) -> Summary:
    return msgspec.json.decode(octets, type=Summary)


def test_tells_the_envelope_and_every_part() -> None:
    summary = read(summarise(scan(THAI)))
    envelope = summary.envelope
    somchai = HeaderAddress("สมชาย", "somchai", "opm.go.th")
    assert envelope.subject == "หนังสือราชการ"
    assert envelope.from_ == envelope.sender == envelope.reply_to == (somchai,)
    assert envelope.to == (HeaderAddress("Ann", "ann", "opdc.go.th"), HeaderAddress(None, "bob", "dld.go.th"))
    assert (envelope.message_id, envelope.in_reply_to) == ("<1@opm.go.th>", "<0@opm.go.th>")
    assert envelope.date == "Mon, 23 Nov 2026 10:00:00 +0700"
    assert not summary.cut

    text, pdf, inner = summary.body.parts
    assert (text.type, text.subtype, text.parameters) == ("text", "plain", (("charset", "utf-8"),))
    assert (text.lines, text.language) == (1, ("th", "en"))
    assert THAI[text.body_start : text.body_end].decode() == "สวัสดี\r\nครับ"
    assert (pdf.encoding, pdf.octets, pdf.id, pdf.description) == ("base64", 4, "<p@x>", "scan")
    assert (pdf.disposition, pdf.disposition_parameters) == ("attachment", (("filename", "ก.pdf"),))
    assert inner.envelope is not None
    assert inner.envelope.subject == "inner"
    assert [part.type for part in inner.parts] == ["text"]


@pytest.mark.parametrize("content_type", [b"multipart/mixed; boundary=nowhere", b"multipart/mixed"])
def test_a_multipart_without_parts_is_shown_as_text(content_type: bytes) -> None:
    body = read(summarise(scan(b"Content-Type: " + content_type + b"\r\n\r\nhello"))).body
    assert (body.type, body.subtype, body.octets) == ("text", "plain", 5)


def test_a_message_that_was_not_looked_into_is_shown_as_octets() -> None:
    head = b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    body = read(summarise(scan(head + b"eA=="))).body
    assert (body.type, body.subtype, body.envelope) == ("application", "octet-stream", None)


def count(part: PartSummary) -> int:
    return 1 + sum(map(count, part.parts))


LARGE = [
    b"To: " + b", ".join(b"user%d@example.org" % number for number in range(900)) + b"\r\n",
    b"Subject: " + "ก".encode() * 20_000 + b"\r\n",
    b"Subject: " + '😀"\\'.encode() * 5_000 + b"\r\n",
    b"".join(b'%s: "%s" <%s@%s>\r\n' % (name, b"\\\\" * 500, b"l" * 500, b"d" * 500)
             for name in (b"From", b"Sender", b"Reply-To", b"To", b"Cc", b"Bcc")),
    b"Message-ID: <" + b"m" * 9000 + b">\r\nIn-Reply-To: <" + b"i" * 399 + b">\r\n",
    b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    + b"--b\r\nContent-Type: text/html\r\n\r\nx\r\n" * 900,
    (b"Subject: " + b"s" * 300 + b"\r\nContent-Type: message/rfc822\r\n\r\n") * 45,
    b"Content-Type: a/b" + b"".join(b"; p%d=%s" % (number, b"v" * 100) for number in range(100)) + b"\r\n",
    b"Content-Type: %s/%s\r\n" % (b"t" * 5000, b"s" * 5000),
    b"Content-Language: " + b"th, " * 5000 + b"\r\n",
    b"".join(name + b": " + b"x" * 9000 + b"\r\n" for name in (b"Date", b"Content-Location", b"Content-ID")),
]  # fmt: skip


@pytest.mark.parametrize("header", [*LARGE, b"".join(LARGE[:5]) + LARGE[5]])
def test_a_large_summary_is_shortened_and_says_so(header: bytes) -> None:
    octets = summarise(scan(header + b"\r\nbody"))
    assert len(octets) <= SUMMARY_OCTETS_MAX
    summary = read(octets)
    assert summary.cut
    assert count(summary.body) <= 1000


def test_shortening_keeps_as_much_as_fits() -> None:
    summary = read(summarise(scan(LARGE[0] + b"Subject: kept\r\n\r\n")))
    assert summary.envelope.subject == "kept"
    assert 50 <= len(summary.envelope.to) < 900


def test_a_cut_header_makes_a_cut_summary() -> None:
    assert read(summarise(scan(b"Subject: x\r\n" + b"X: y\r\n" * 40_000 + b"\r\n"))).cut


@given(broken)
def test_any_message_has_a_summary_that_reads_back(message: bytes) -> None:
    octets = summarise(scan(message))
    assert len(octets) <= SUMMARY_OCTETS_MAX
    summary = read(octets)
    assert encode(summary) == octets


@pytest.mark.parametrize(("name", "message"), samples().items(), ids=samples().keys())
def test_cpythons_samples_have_summaries(name: str, message: bytes) -> None:
    summary = read(summarise(scan(message)))
    assert summary.body.body_end == len(message)
