"""Responses as octets: RFC 9051 §7, and strings in them."""

from email.header import decode_header, make_header

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.protocols.imap import responses
from gateway.protocols.imap.capabilities import after_sign_in, before_sign_in
from gateway.protocols.imap.rendering import literal, nstring, parameter, quoted, words

STRINGS = [
    ("", '""'),
    ("a b", '"a b"'),
    ('a"b\\c', '"a\\"b\\\\c"'),
    ("สวัสดี", '"สวัสดี"'),
    ("a\r\nb\0\x7f\ud800", '"a??b???"'),
]


@pytest.mark.parametrize(("text", "string"), STRINGS)
def test_a_text_is_a_quoted_string(text: str, string: str) -> None:
    assert quoted(text) == nstring(text) == string


def test_no_text_is_nil() -> None:
    assert nstring(None) == "NIL"


def test_a_literal_tells_its_octets() -> None:
    assert literal(b"a\r\n") == b"{3}\r\na\r\n"
    assert literal(b"a\0", is_binary=True) == b"~{2}\r\na\0"
    assert literal(b"ab", is_binary=True) == b"{2}\r\nab"


@given(st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp", "Zs"]), min_size=1))
def test_text_survives_as_encoded_words(text: str) -> None:
    """RFC 2047 §2: ASCII, words of at most 75 characters."""
    written = words(text)
    assert written.isascii()
    assert written == text or all(len(word) <= 75 for word in written.split(" "))
    if "=?" not in text:
        assert str(make_header(decode_header(written))) == text


def test_a_parameter_is_extended_when_it_must_be_ascii() -> None:
    """RFC 2231 §4."""
    assert parameter("filename", "a.pdf", is_utf8=False) == '"filename" "a.pdf"'
    assert parameter("filename", "ก.pdf", is_utf8=False) == '"filename*" "utf-8\'\'%E0%B8%81.pdf"'
    assert parameter("filename", "ก.pdf", is_utf8=True) == '"filename" "ก.pdf"'


LINES = [
    (responses.status("a1", "OK", "Done"), "a1 OK Done"),
    (responses.status("*", "BYE", "Gone", "UNAVAILABLE"), "* BYE [UNAVAILABLE] Gone"),
    (responses.ok("UIDs", "UIDVALIDITY 7"), "* OK [UIDVALIDITY 7] UIDs"),
    # RFC 4315 §3, RFC 7162 §3.1.3.
    (responses.status("a", "OK", "x", responses.append_uid(7, [(3, 4)])), "a OK [APPENDUID 7 3:4] x"),
    (responses.ok("x", responses.copy_uid(7, [(1, 2)], [(8, 9)])), "* OK [COPYUID 7 1:2 8:9] x"),
    (responses.ok("x", responses.modified([(1, 2), (7, 7)])), "* OK [MODIFIED 1:2,7] x"),
    (
        responses.ok("x", responses.permanent_flags(["\\Seen", "\\*"])),
        "* OK [PERMANENTFLAGS (\\Seen \\*)] x",
    ),
    (responses.capability(["IMAP4rev2", "IDLE"]), "* CAPABILITY IMAP4rev2 IDLE"),
    (responses.enabled([]), "* ENABLED"),
    (responses.enabled(["CONDSTORE"]), "* ENABLED CONDSTORE"),
    (responses.id_({"name": "Saraban"}), '* ID ("name" "Saraban")'),
    (responses.id_({}), "* ID NIL"),
    (responses.exists(3), "* 3 EXISTS"),
    (responses.recent(0), "* 0 RECENT"),
    (responses.expunged([4, 2]), "* 4 EXPUNGE\r\n* 2 EXPUNGE"),
    (responses.vanished([(1, 3), (5, 5)]), "* VANISHED 1:3,5"),
    (responses.vanished([(1, 1)], is_earlier=True), "* VANISHED (EARLIER) 1"),
    (responses.flags(["\\Seen", "$Junk"]), "* FLAGS (\\Seen $Junk)"),
    (responses.mailbox("INBOX", ["\\HasNoChildren"], is_utf8=False), '* LIST (\\HasNoChildren) "/" "INBOX"'),
    (responses.mailbox("กข/x", [], is_utf8=False), '* LIST () "/" "&DgEOAg-/x"'),
    (responses.mailbox("กข/x", [], is_utf8=True, is_lsub=True), '* LSUB () "/" "กข/x"'),
    # RFC 9051 §6.3.9.6 and §6.3.9.7.
    (
        responses.mailbox("x", [], is_utf8=True, child_info=["SUBSCRIBED"], old_name="y"),
        '* LIST () "/" "x" ("CHILDINFO" ("SUBSCRIBED") "OLDNAME" ("y"))',
    ),
    (responses.separator(), '* LIST (\\Noselect) "/" ""'),
    (
        responses.mailbox_status("x", {"MESSAGES": 3, "MAILBOXID": "(mbx_1)"}, is_utf8=True),
        '* STATUS "x" (MESSAGES 3 MAILBOXID (mbx_1))',
    ),
    (responses.namespace([("", "/")], is_utf8=True), '* NAMESPACE (("" "/")) NIL NIL'),
    (responses.search([]), "* SEARCH"),
    (responses.search([2, 5], 917), "* SEARCH 2 5 (MODSEQ 917)"),
    (responses.sort([5, 2]), "* SORT 5 2"),
    (
        responses.esearch("a2", {"MIN": 2, "ALL": "2,10:11"}, by_uid=True),
        '* ESEARCH (TAG "a2") UID MIN 2 ALL 2,10:11',
    ),
    (responses.quota("", {"STORAGE": (10, 512)}), '* QUOTA "" (STORAGE 10 512)'),
    (responses.quota_root("INBOX", [""], is_utf8=True), '* QUOTAROOT "INBOX" ""'),
]


@pytest.mark.parametrize(("octets", "line"), LINES)
def test_a_response_is_a_line(octets: bytes, line: str) -> None:
    assert octets == f"{line}\r\n".encode()


def test_a_password_is_taken_inside_tls_alone() -> None:
    """RFC 9051 §6.2.3 and §11.2."""
    clear = before_sign_in([], offers_starttls=True, takes_passwords=False)
    assert {"STARTTLS", "LOGINDISABLED"} < set(clear)
    secret = before_sign_in(["PLAIN"], offers_starttls=False, takes_passwords=True)
    assert "AUTH=PLAIN" in secret
    assert not {"STARTTLS", "LOGINDISABLED"} & set(secret)


def test_only_one_kind_of_literal_is_announced() -> None:
    """RFC 7888 §5."""
    before = before_sign_in([], offers_starttls=False, takes_passwords=True)
    for names in (before, after_sign_in(1_000)):
        assert len({"LITERAL+", "LITERAL-"} & set(names)) == 1
        assert len(set(names)) == len(names)


def test_how_large_a_message_may_be_is_announced() -> None:
    """RFC 7889 §3."""
    assert "APPENDLIMIT=1000" in after_sign_in(1_000)
