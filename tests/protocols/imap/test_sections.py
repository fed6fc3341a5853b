"""Which octets a section is: RFC 9051 §6.4.5.1."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mail.mime import Range
from gateway.mail.presented import presented, presented_octets
from gateway.mail.summary import PartSummary, Summary, summarise
from gateway.protocols.imap.attributes import Path, SectionKind
from gateway.protocols.imap.sections import Layout, filter_fields, locate, partial
from tests.mail.messages import reader, samples, scan

FRONT = b"Return-Path: <ann@example.org>\r\n"


def nested(boundary: str, *parts: str) -> str:
    return "".join(f"--{boundary}\r\n{part}\r\n" for part in parts) + f"--{boundary}--\r\n"


def part(kind: str, body: str) -> str:
    return f"Content-Type: {kind}\r\n\r\n{body}"


# The example of RFC 9051 §6.4.5.1.
ALTERNATIVE = part('multipart/alternative; boundary="alt"', nested("alt", part("text/plain", "4.2.2.1"),
    part("text/richtext", "4.2.2.2")))  # fmt: skip
INNER_4 = 'Subject: 4.2\r\nContent-Type: multipart/mixed; boundary="in4"\r\n\r\n' + nested(
    "in4", part("text/plain", "4.2.1"), ALTERNATIVE
)
INNER_3 = 'Subject: 3\r\nContent-Type: multipart/mixed; boundary="in3"\r\n\r\n' + nested(
    "in3", part("text/plain", "3.1"), part("application/octet-stream", "3.2")
)
MESSAGE = (
    'Subject: all\r\nX-Forged: yes\r\nContent-Type: multipart/mixed; boundary="out"\r\n\r\npreamble\r\n'
    + nested(
        "out",
        part("text/plain", "1"),
        part("application/octet-stream", "2"),
        part("message/rfc822", INNER_3),
        part('multipart/mixed; boundary="four"', nested("four", part("image/gif", "4.1"),
            part("message/rfc822", INNER_4))),
    )
).encode()  # fmt: skip
HIDDEN = ((MESSAGE.index(b"X-Forged"), MESSAGE.index(b"Content-Type")),)


def body_of(message: bytes) -> PartSummary:
    return msgspec.json.decode(summarise(scan(message)), type=Summary).body


def section(
    message: bytes,
    path: Path,
    kind: SectionKind,
    front: bytes = FRONT,
    hidden: tuple[tuple[int, int], ...] = (),
) -> bytes | None:
    found = locate(body_of(message), path, kind, Layout(len(front), hidden, len(message)))
    if found is None:
        return None
    return b"".join(presented(front, hidden, len(message), reader(message), found.start, found.end))


PARTS: list[tuple[Path, SectionKind, str]] = [
    ((1,), "", "1"),
    ((2,), "", "2"),
    ((3,), "", INNER_3),
    ((3,), "HEADER", INNER_3.partition("\r\n\r\n")[0] + "\r\n\r\n"),
    ((3,), "HEADER.FIELDS", INNER_3.partition("\r\n\r\n")[0] + "\r\n\r\n"),
    ((3,), "TEXT", INNER_3.partition("\r\n\r\n")[2]),
    ((3, 1), "", "3.1"),
    ((3, 2), "", "3.2"),
    ((3, 2), "MIME", "Content-Type: application/octet-stream\r\n\r\n"),
    ((4, 1), "", "4.1"),
    ((4, 1), "MIME", "Content-Type: image/gif\r\n\r\n"),
    ((4, 2), "HEADER", INNER_4.partition("\r\n\r\n")[0] + "\r\n\r\n"),
    ((4, 2, 1), "", "4.2.1"),
    ((4, 2, 2), "MIME", 'Content-Type: multipart/alternative; boundary="alt"\r\n\r\n'),
    ((4, 2, 2, 1), "", "4.2.2.1"),
    ((4, 2, 2, 2), "", "4.2.2.2"),
]


@pytest.mark.parametrize(("path", "kind", "text"), PARTS)
def test_a_part_number_names_its_octets(path: Path, kind: SectionKind, text: str) -> None:
    # A message in a message ends before the line break of the delimiter behind it.
    assert (section(MESSAGE, path, kind, hidden=HIDDEN) or b"").rstrip(b"\r\n") == text.encode().rstrip(
        b"\r\n"
    )


NO_PARTS: list[tuple[Path, SectionKind]] = [
    ((5,), ""), ((1, 1), ""), ((1,), "HEADER"), ((1,), "TEXT"), ((4, 3), ""), ((3, 3), ""), ((4,), "TEXT"),
    ((4, 2, 2, 3), ""), ((9, 9, 9), ""),
]  # fmt: skip


@pytest.mark.parametrize(("path", "kind"), NO_PARTS)
def test_what_is_no_part_has_no_octets(path: Path, kind: SectionKind) -> None:
    assert section(MESSAGE, path, kind) is None


def test_the_message_itself_begins_with_what_we_put_before_it() -> None:
    header = FRONT + MESSAGE[: HIDDEN[0][0]] + MESSAGE[HIDDEN[0][1] : MESSAGE.index(b"preamble")]
    text = MESSAGE[MESSAGE.index(b"preamble") :]
    assert section(MESSAGE, (), "", hidden=HIDDEN) == header + text
    assert section(MESSAGE, (), "HEADER", hidden=HIDDEN) == header
    assert section(MESSAGE, (), "HEADER.FIELDS.NOT", hidden=HIDDEN) == header
    assert section(MESSAGE, (), "TEXT", hidden=HIDDEN) == text


def test_what_is_no_multipart_has_one_part() -> None:
    """RFC 9051 §6.4.5.1: "every message has at least one part number"."""
    message = b"Subject: x\r\n\r\nhello\r\n"
    assert section(message, (1,), "") == section(message, (), "TEXT") == b"hello\r\n"
    assert section(message, (1,), "MIME") == FRONT + b"Subject: x\r\n\r\n"
    assert section(message, (2,), "") is None
    assert section(b"", (1,), "") == section(b"", (), "TEXT") == b""
    inside = part("message/rfc822", "Subject: in\r\n\r\nthere").encode()
    assert section(inside, (1,), "HEADER") == b"Subject: in\r\n\r\n"
    assert section(inside, (1, 1), "") == section(inside, (1,), "TEXT") == b"there"


@pytest.mark.parametrize("name", sorted(samples()))
def test_header_and_text_are_the_whole_message(name: str) -> None:
    message = samples()[name]
    header, text = section(message, (), "HEADER"), section(message, (), "TEXT")
    assert header is not None
    assert text is not None
    assert header + text == section(message, (), "") == FRONT + message


@given(st.lists(st.integers(0, 60), max_size=6), st.integers(0, 60), st.integers(60, 80))
def test_a_place_is_where_the_octets_before_it_end(cuts: list[int], place: int, stored: int) -> None:
    ordered = sorted(set(cuts))
    hidden = tuple(zip(ordered[::2], ordered[1::2], strict=False))
    layout = Layout(10, hidden, stored)
    assert layout.place(place) == presented_octets(
        10, [(a, min(b, place)) for a, b in hidden if a < place], place
    )
    assert layout.octets == presented_octets(10, hidden, stored)


PARTIALS = [
    (None, (10, 20)),
    ((0, 5), (10, 15)),
    ((8, 5), (18, 20)),
    # RFC 9051 §6.4.5: what begins beyond the end is an empty string.
    ((10, 1), (20, 20)),
    ((2**62, 2**62), (20, 20)),
]


@pytest.mark.parametrize(("asked", "range_"), PARTIALS)
def test_a_partial_is_cut_at_the_end(asked: tuple[int, int] | None, range_: tuple[int, int]) -> None:
    assert partial(Range(10, 20), asked) == range_


def test_fields_are_chosen_by_name() -> None:
    """RFC 9051 §6.4.5.1: any case, as they are, with the blank line."""
    header = b"To: a\r\nSubject: b\r\n c\r\nto: d\r\nno field\r\n\r\n"
    assert filter_fields(header, ["TO", "X"], is_not=False) == b"To: a\r\nto: d\r\n\r\n"
    assert filter_fields(header, ["to"], is_not=True) == b"Subject: b\r\n c\r\nno field\r\n\r\n"
    assert filter_fields(header, ["x"], is_not=False) == b"\r\n"
