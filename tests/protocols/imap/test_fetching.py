"""FETCH responses: RFC 9051 §7.5.2."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

import msgspec
import pytest

from gateway.mail.summary import EnvelopeAlone, PartSummary, Summary, summarise
from gateway.protocols.imap import attributes as att
from gateway.protocols.imap import structure
from gateway.protocols.imap.commands import Fetch
from gateway.protocols.imap.fetching import CLOSING, FetchRenderer, date_time, flag_lines, implied
from gateway.protocols.imap.selected import Flagged
from gateway.protocols.imap.sequence_set import SequenceSet
from tests.mail.messages import samples, scan
from tests.protocols.imap.said import said

AT = datetime(2026, 2, 1, 4, 5, 6, 7, tzinfo=UTC)


@dataclass(frozen=True)
class Line:
    uid: int
    flags: str = ""
    modseq: int = 917
    octets: int = 4_000
    internal_date: datetime = AT
    saved_at: datetime = AT + timedelta(days=9)
    origin: int = 77


ROWS = [Line(5, "\\Seen $Junk"), Line(9)]
ALL = (
    att.Uid(),
    att.Flags(),
    att.Size(),
    att.InternalDate(),
    att.SaveDate(),
    att.ModSeq(),
    att.EmailId(),
    att.ThreadId(),
)


def test_what_a_row_has_is_a_line() -> None:
    lines = FetchRenderer(ALL, is_utf8=False).lines([2, 3], ROWS)
    assert lines.decode().splitlines() == [
        '* 2 FETCH (UID 5 FLAGS (\\Seen $Junk) RFC822.SIZE 4000 INTERNALDATE " 1-Feb-2026 11:05:06 +0700"'
        ' SAVEDATE "10-Feb-2026 11:05:06 +0700" MODSEQ (917) EMAILID (E77) THREADID NIL)',
        '* 3 FETCH (UID 9 FLAGS () RFC822.SIZE 4000 INTERNALDATE " 1-Feb-2026 11:05:06 +0700"'
        ' SAVEDATE "10-Feb-2026 11:05:06 +0700" MODSEQ (917) EMAILID (E77) THREADID NIL)',
    ]


def test_with_uidonly_there_are_no_numbers() -> None:
    """RFC 9586 §3.3."""
    renderer = FetchRenderer((att.Uid(), att.Flags()), is_utf8=False, is_uidonly=True)
    assert (
        renderer.lines([2, 3], ROWS) == b"* 5 UIDFETCH (FLAGS (\\Seen $Junk))\r\n* 9 UIDFETCH (FLAGS ())\r\n"
    )


def test_the_octets_of_sections_come_between_opening_and_closing() -> None:
    renderer = FetchRenderer((att.Uid(), att.BodySection(), att.Preview()), is_utf8=False)
    assert renderer.openings([2], ROWS[:1]) == [b"* 2 FETCH (UID 5"]
    assert [one.label for one in renderer.contents] == [b" BODY[] ", b" PREVIEW "]
    assert CLOSING == b")\r\n"
    alone = FetchRenderer((att.BodySection(), att.Binary((1,))), is_utf8=False)
    assert alone.openings([2], ROWS[:1]) == [b"* 2 FETCH ("]
    assert [one.label for one in alone.contents] == [b"BODY[] ", b" BINARY[1] "]


def test_what_is_implied_is_fetched_too() -> None:
    """RFC 9051 §6.4.9, RFC 7162 §3.1.4.1."""
    one = SequenceSet(((1, 1),))
    assert implied(Fetch(one, (att.Flags(),))) == (att.Flags(),)
    assert implied(Fetch(one, (att.Flags(), att.Uid()), by_uid=True)) == (att.Uid(), att.Flags())
    assert implied(Fetch(one, (att.Flags(),), changed_since=1)) == (att.Flags(), att.ModSeq())


def test_changes_of_flags_are_told() -> None:
    changed = [Flagged(2, 5, "\\Seen", 11), Flagged(3, 9, None, 12)]
    assert flag_lines(changed, tells_uid=False, tells_modseq=False) == b"* 2 FETCH (FLAGS (\\Seen))\r\n"
    assert flag_lines(changed, tells_uid=True, tells_modseq=True) == (
        b"* 2 FETCH (UID 5 FLAGS (\\Seen) MODSEQ (11))\r\n* 3 FETCH (UID 9 MODSEQ (12))\r\n"
    )
    assert flag_lines(changed[:1], tells_uid=True, tells_modseq=False, is_uidonly=True) == (
        b"* 5 UIDFETCH (FLAGS (\\Seen))\r\n"
    )


def test_dates_are_told_in_the_time_people_live_in() -> None:
    assert date_time(AT.astimezone(timezone(timedelta(hours=-5)))) == " 1-Feb-2026 11:05:06 +0700"
    assert date_time(datetime(999, 12, 31, 23, 59, 59, tzinfo=UTC)) == " 1-Jan-1000 06:59:59 +0700"


# The message of RFC 9051 §7.5.2 and §8, a little shorter.
MESSAGE = (
    b'From: Terry Gray <gray@cac.example>\r\nSubject: IMAP4rev2 WG mtg "summary"\r\nTo: imap@cac.example\r\n'
    b"cc: minutes@cnri.example,\r\n KLENSIN@mit.example\r\nDate: Wed, 17 Jul 1996 02:23:25 -0700\r\n"
    b"Message-Id: <B27397-0100000@cac.example>\r\nMIME-Version: 1.0\r\n"
    b"Content-Type: TEXT/PLAIN; CHARSET=US-ASCII\r\n\r\nhello\r\nthere\r\n"
)
THAI = (
    "From: =?UTF-8?B?4Liq4Lih4LiK4Liy4Lii?= <somchai@opm.example>\r\nSubject: หนังสือ\r\n"
    "To: desk: ann@example.org;\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
    "Content-Type: text/plain; charset=utf-8\r\nContent-Language: th, en\r\n\r\nสวัสดี\r\n--b\r\n"
    "Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\nContent-ID: <p@x>\r\n"
    "Content-Disposition: attachment; filename*=utf-8''%E0%B8%81.pdf\r\nContent-Location: x/y\r\n\r\neA==\r\n"
    "--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\ntext\r\n--b--\r\n"
).encode()


def summary_of(message: bytes) -> Summary:
    return msgspec.json.decode(summarise(scan(message)), type=Summary)


def test_an_envelope_is_told() -> None:
    renderer = FetchRenderer((att.EnvelopeItem(),), is_utf8=False)
    assert renderer.needs_envelope
    assert not renderer.needs_structure
    alone = EnvelopeAlone(summary_of(MESSAGE).envelope)
    gray = '(("Terry Gray" NIL "gray" "cac.example"))'
    assert renderer.lines([2], ROWS[:1], [alone]).decode() == (
        '* 2 FETCH (ENVELOPE ("Wed, 17 Jul 1996 02:23:25 -0700" "IMAP4rev2 WG mtg \\"summary\\"" '
        f'{gray} {gray} {gray} ((NIL NIL "imap" "cac.example")) '
        '((NIL NIL "minutes" "cnri.example")(NIL NIL "KLENSIN" "mit.example")) NIL NIL '
        '"<B27397-0100000@cac.example>"))\r\n'
    )


def test_a_group_is_told_as_the_rfc_wants_it() -> None:
    envelope = structure.envelope(summary_of(THAI).envelope, is_utf8=True)
    assert '((NIL NIL "desk" NIL)(NIL NIL "ann" "example.org")(NIL NIL NIL NIL))' in envelope


def test_text_is_utf8_for_those_who_take_it_and_encoded_words_for_others() -> None:
    """RFC 6855 §3, RFC 2047."""
    envelope = summary_of(THAI).envelope
    assert '"หนังสือ" (("สมชาย" NIL "somchai" "opm.example"))' in structure.envelope(envelope, is_utf8=True)
    plain = structure.envelope(envelope, is_utf8=False)
    assert plain.isascii()
    assert '"=?utf-8?b?4Lir4LiZ4Lix4LiH4Liq4Li34Lit?="' in plain


def test_a_body_structure_is_told() -> None:
    body = summary_of(MESSAGE).body
    basic = '"text" "plain" ("charset" "US-ASCII") NIL NIL "7bit" 14 2'
    assert structure.body(body, is_extensible=False, is_utf8=False) == f"({basic})"
    assert structure.body(body, is_extensible=True, is_utf8=False) == f"({basic} NIL NIL NIL NIL)"


def test_a_body_structure_of_parts_is_told() -> None:
    thai = summary_of(THAI).body
    nobody = '(NIL "inner" NIL NIL NIL NIL NIL NIL NIL NIL)'
    assert structure.body(thai, is_extensible=True, is_utf8=False) == (
        '(("text" "plain" ("charset" "utf-8") NIL NIL "7bit" 18 0 NIL NIL ("th" "en") NIL)'
        '("application" "pdf" NIL "<p@x>" NIL "base64" 4 NIL'
        ' ("attachment" ("filename*" "utf-8\'\'%E0%B8%81.pdf")) NIL "x/y")'
        f'("message" "rfc822" NIL NIL NIL "7bit" 22 {nobody}'
        ' ("text" "plain" NIL NIL NIL "7bit" 4 0 NIL NIL NIL NIL) 2 NIL NIL NIL NIL)'
        ' "mixed" ("boundary" "b") NIL NIL NIL)'
    )
    assert '"filename" "ก.pdf"' in structure.body(thai, is_extensible=True, is_utf8=True)


def test_what_a_cut_summary_lacks_is_told_as_something_the_grammar_has() -> None:
    """RFC 9051 §9: no multipart without parts, no message/rfc822 without its envelope."""
    for type_, subtype, shown in (
        ("multipart", "mixed", '"text" "plain"'),
        ("message", "rfc822", '"application"'),
    ):
        part = PartSummary(type_, subtype, "7bit", 0, 0, 9)
        assert structure.body(part, is_extensible=False, is_utf8=False).startswith(f"({shown}")


@pytest.mark.parametrize("name", sorted(samples()))
@pytest.mark.parametrize("is_utf8", [True, False])
def test_every_sample_is_told_in_the_grammar(name: str, is_utf8: bool) -> None:
    attributes = (att.EnvelopeItem(), att.BodyStructure(True), att.BodyStructure(False))
    line = FetchRenderer(attributes, is_utf8=is_utf8).lines([2], ROWS[:1], [summary_of(samples()[name])])
    assert is_utf8 or line.isascii()
    items = said(line)[3]
    assert isinstance(items, list)
    assert items[0::2] == ["ENVELOPE", "BODYSTRUCTURE", "BODY"]
    assert len(items[1]) == 10
