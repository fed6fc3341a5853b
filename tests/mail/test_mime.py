"""The scanner finds the parts a reader would, whatever the split, and survives what no one meant."""

import email
import email.policy
from collections.abc import Iterator
from email.message import Message

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mail.mime import (
    BOUNDARY_OCTETS_MAX,
    DEPTH_MAX,
    HEADER_OCTETS_MAX,
    PARTS_MAX,
    Part,
    StructureScanner,
)
from tests.mail.messages import broken, samples, scan


def shape(part: Part) -> object:
    kind = f"{part.type}/{part.subtype}"
    return (kind, [shape(child) for child in part.children]) if part.children else kind


def body(message: bytes, part: Part) -> bytes:
    return message[part.body.start : part.body.end]


def walk(part: Part) -> list[Part]:
    return [part, *(below for child in part.children for below in walk(child))]


def walk_email(message: Message) -> Iterator[Message]:
    """As `Message.walk`, but looking only into messages in message/rfc822, as RFC 9051 does."""
    yield message
    if message.is_multipart() and (
        message.get_content_maintype() == "multipart" or message.get_content_type() == "message/rfc822"
    ):
        for part in message.get_payload():
            assert isinstance(part, Message)
            yield from walk_email(part)


LONGEST = b"b" * BOUNDARY_OCTETS_MAX

MESSAGES = [
    # Nothing at all; only a body; only a header (RFC 5322 §3.5: the body is optional).
    (b"", "text/plain", [b""]),
    (b"\r\nhello\r\n", "text/plain", [b"hello\r\n"]),
    (b"Subject: x\r\n", "text/plain", [b""]),
    # RFC 2046 §5.1.1: the line break before a delimiter belongs to it; preamble and epilogue to no part.
    (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\npre\r\n--b\r\n\r\none\r\n\r\n--b  \r\n"
        b"Content-Type: text/html\r\n\r\ntwo\r\n--b--\r\nepilogue\r\n--b\r\n\r\nno part\r\n",
        ("multipart/mixed", ["text/plain", "text/html"]),
        [b"one\r\n", b"two"],
    ),
    # A boundary that begins like another one (RFC 2046 §5.1.2), the outer one ends the inner multipart.
    (
        b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\n'
        b"Content-Type: multipart/alternative; boundary=bb\r\n\r\n"
        b"--bb\r\n\r\n1\r\n--bbb\r\n--bb\r\n\r\n2\r\n--b--",
        ("multipart/mixed", [("multipart/alternative", ["text/plain", "text/plain"])]),
        [b"1\r\n--bbb", b"2"],
    ),
    # A line that closes the inner multipart and could begin a part of the outer one closes the inner.
    (
        b'Content-Type: multipart/mixed; boundary="a--"\r\n\r\n--a--\r\n'
        b"Content-Type: multipart/alternative; boundary=a\r\n\r\n"
        b"--a\r\n\r\n1\r\n--a--\r\nepilogue\r\n--a----\r\n",
        ("multipart/mixed", [("multipart/alternative", ["text/plain"])]),
        [b"1"],
    ),
    # The longest delimiter line there is.
    (
        b"Content-Type: multipart/mixed; boundary=%s\r\n\r\n--%s\r\n\r\n1\r\n--%s--%s\r\n"
        % (LONGEST, LONGEST, LONGEST, b" " * 40),
        ("multipart/mixed", ["text/plain"]),
        [b"1"],
    ),
    # RFC 2046 §5.1.5: parts of a digest are messages by default; a missing close delimiter ends nothing.
    (
        b"Content-Type: multipart/digest; boundary=d\r\n\r\n--d\r\n\r\nSubject: in\r\n\r\ntext\r\n",
        ("multipart/digest", [("message/rfc822", ["text/plain"])]),
        [b"text\r\n"],
    ),
    # A part without a blank line is all header; an encoded message is not looked into (RFC 2046 §5.2.1).
    (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n--b\r\n"
        b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\neDogeQ==\r\n--b--\r\n",
        ("multipart/mixed", ["text/html", "message/rfc822"]),
        [b"", b"eDogeQ=="],
    ),
    # Without a boundary a multipart is a leaf.
    (b"Content-Type: multipart/mixed\r\n\r\n--b\r\n\r\nx", "multipart/mixed", [b"--b\r\n\r\nx"]),
    # A line of a delimiter and more is text; lines may end in LF alone.
    (
        b"Content-Type: multipart/mixed; boundary=b\n\n--b\n\n--b is text\n--b--x\n--b--\n",
        ("multipart/mixed", ["text/plain"]),
        [b"--b is text\n--b--x"],
    ),
]


@pytest.mark.parametrize(("message", "tree", "leaves"), MESSAGES)
def test_finds_the_parts_and_their_exact_bodies(message: bytes, tree: object, leaves: list[bytes]) -> None:
    root = scan(message)
    assert shape(root) == tree
    assert [body(message, leaf) for leaf in root.leaves()] == leaves
    assert scan(message, split=1) == root


@pytest.mark.parametrize(("name", "message"), samples().items(), ids=samples().keys())
def test_sees_cpythons_samples_as_its_email_package_does(name: str, message: bytes) -> None:
    root = scan(message)
    assert scan(message, split=7) == root
    expected = email.message_from_bytes(message, policy=email.policy.compat32)
    if expected.defects or any(part.defects for part in expected.walk()):
        return  # broken on purpose: the two may guess differently
    if name == "msg_37.txt":
        return  # empty parts (RFC 2046 §5.1.1 allows them), which the email package passes over
    theirs = list(walk_email(expected))
    assert [f"{part.type}/{part.subtype}" for part in walk(root)] == [
        part.get_content_type() for part in theirs
    ]
    for ours, their in zip(walk(root), theirs, strict=True):
        if not their.is_multipart():
            payload = their.get_payload()
            assert isinstance(payload, str)
            assert body(message, ours).decode("ascii", "surrogateescape") == payload


@given(broken, st.integers(1, 40), st.data())
def test_any_split_gives_the_same_tree(message: bytes, split: int, data: st.DataObject) -> None:
    root = scan(message)
    assert scan(message, split=split) == root
    cut = data.draw(st.integers(0, len(message)))
    scanner = StructureScanner()
    scanner.feed(message[:cut])
    scanner.feed(message[cut:])
    assert scanner.finish() == root


@given(broken)
def test_ranges_nest_and_follow_one_another(message: bytes) -> None:
    root = scan(message)
    assert root.header.start == 0
    assert root.body.end == len(message)
    for part in walk(root):
        assert part.header.start <= part.header.end == part.body.start <= part.body.end
        assert part.header_octets == message[part.header.start : part.header.end]
        assert part.lines == body(message, part).count(b"\n")
        at = part.body.start
        for child in part.children:
            assert at <= child.header.start
            at = child.body.end
        assert at <= part.body.end


def test_a_message_nested_too_deep_is_a_leaf_from_there_on() -> None:
    message = b"Content-Type: message/rfc822\r\n\r\n" * (DEPTH_MAX + 50) + b"\r\nend"
    parts = walk(scan(message, split=1000))
    assert len(parts) == DEPTH_MAX
    assert body(message, parts[-1]).endswith(b"end")


def test_too_many_parts_end_in_one_opaque_leaf() -> None:
    message = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"\r\n--b\r\n\r\nx" * 5000
    root = scan(message, split=1000)
    assert len(walk(root)) == PARTS_MAX + 1
    last = root.children[-1]
    assert (last.type, last.subtype) == ("application", "octet-stream")
    assert last.body.end == len(message)


def test_an_endless_header_is_marked_cut_and_not_held() -> None:
    root = scan(b"X: " + b"y" * (2 * HEADER_OCTETS_MAX) + b"\r\n\r\nbody", split=10_000)
    assert root.is_cut
    assert len(root.header_octets) == HEADER_OCTETS_MAX
    assert root.body.octets == 4


NAMES = [
    (b'attachment; filename="report.pdf"', "report.pdf"),
    # RFC 2231 §3 and §4: sections, percent, charset.
    (
        b"attachment; filename*0*=utf-8''%E0%B8%AB; filename*1*=%E0%B8%99%E0%B8%B1; filename*2=a.pdf",
        "หนัa.pdf",
    ),
    (b"attachment; filename*=tis-620''%CB%B9%D1%A7%CA%D7%CD.pdf", "หนังสือ.pdf"),
    # Not allowed, and what most senders do: encoded words in a parameter, and raw octets.
    (b'attachment; filename="=?UTF-8?B?4Lir4LiZ4Lix4LiHLnBkZg==?="', "หนัง.pdf"),
    ('attachment; filename="หนังสือ.pdf"'.encode(), "หนังสือ.pdf"),
    ('attachment; filename="หนังสือ.pdf"'.encode("cp874"), "หนังสือ.pdf"),
    (b'attachment; filename="a\\"b;c.pdf" ; size=3', 'a"b;c.pdf'),
    (b"attachment; filename=plain name.pdf", "plain name.pdf"),
    (b"attachment", ""),
]


@pytest.mark.parametrize(("disposition", "name"), NAMES)
def test_reads_the_file_name_however_it_was_written(disposition: bytes, name: str) -> None:
    part = scan(b"Content-Disposition: " + disposition + b"\r\n\r\n")
    assert part.disposition == "attachment"
    assert part.filename == name
