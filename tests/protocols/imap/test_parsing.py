"""Commands as clients write them: "any octets in any split parse or raise the protocol's error"."""

import re
from datetime import UTC, date, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.protocols.imap import attributes as att
from gateway.protocols.imap import commands as c
from gateway.protocols.imap import search_keys as k
from gateway.protocols.imap.commands import State
from gateway.protocols.imap.errors import BadCommand, CannotObey, ImapError
from gateway.protocols.imap.framer import Lines, Literal, Spooled
from gateway.protocols.imap.parsing import parse_command
from gateway.protocols.imap.sequence_set import SAVED, SequenceSet
from tests.protocols.imap.splits import frame, lines

ONE = SequenceSet(((1, 1),))
SEEN = k.HasFlag("\\Seen")

COMMANDS: list[tuple[bytes, c.Command]] = [
    (b"CAPABILITY", c.Capability()),
    (b"noop", c.Noop()),
    (b"Logout", c.Logout()),
    # RFC 2971 §3.1.
    (b"ID NIL", c.Id()),
    (b'ID ("Name" "Thunderbird" "os" NIL)', c.Id((("name", "Thunderbird"), ("os", None)))),
    (b"STARTTLS", c.Starttls()),
    # RFC 9051 §6.2.2, RFC 4959 §3.
    (b"AUTHENTICATE plain", c.Authenticate("PLAIN", None)),
    (b"AUTHENTICATE PLAIN =", c.Authenticate("PLAIN", b"=")),
    (b"AUTHENTICATE PLAIN AGE=", c.Authenticate("PLAIN", b"AGE=")),
    (b'LOGIN ann "a \\"b\\\\"', c.Login("ann", 'a "b\\')),
    (b"LOGIN {3+}\r\nann {2+}\r\npw", c.Login("ann", "pw")),
    (b"ENABLE condstore UTF8=ACCEPT condstore", c.Enable(("CONDSTORE", "UTF8=ACCEPT"))),
    # Mailboxes. RFC 9051 §5.1: INBOX in any case; RFC 3501 §5.1.3.
    (b"SELECT inbox", c.Select("INBOX")),
    (b'EXAMINE "&DgEOAg-"', c.Select("กข", is_examine=True)),
    (b"SELECT x (CONDSTORE)", c.Select("x", is_condstore=True)),
    # RFC 7162 §3.2.5: the examples.
    (b"SELECT x (QRESYNC (7 9))", c.Select("x", qresync=c.Qresync(7, 9))),
    (
        b"SELECT x (QRESYNC (7 9 41,43:211))",
        c.Select("x", qresync=c.Qresync(7, 9, SequenceSet(((41, 41), (43, 211))))),
    ),
    (
        b"SELECT x (QRESYNC (7 9 41 (1:2 5:6)) CONDSTORE)",
        c.Select(
            "x",
            is_condstore=True,
            qresync=c.Qresync(
                7, 9, SequenceSet(((41, 41),)), (SequenceSet(((1, 2),)), SequenceSet(((5, 6),)))
            ),
        ),
    ),
    (
        b"SELECT x (QRESYNC (7 9 (1 5)))",
        c.Select("x", qresync=c.Qresync(7, 9, None, (ONE, SequenceSet(((5, 5),))))),
    ),
    (b"CREATE a/b/", c.Create("a/b/")),
    # RFC 6154 §3.
    (b"CREATE MySent (USE (\\sent))", c.Create("MySent", "sent")),
    (b"DELETE x", c.Delete("x")),
    (b"RENAME x y", c.Rename("x", "y")),
    (b"SUBSCRIBE x", c.Subscribe("x")),
    (b"UNSUBSCRIBE x", c.Unsubscribe("x")),
    (b'LIST "" *', c.List("", ("*",))),
    (b'LIST "" "%/x"', c.List("", ("%/x",))),
    (b'LSUB "" %', c.Lsub("", "%")),
    # RFC 9051 §6.3.9, RFC 5819 §2.
    (
        b'LIST (SUBSCRIBED RECURSIVEMATCH) "" (a% b) RETURN (CHILDREN STATUS (MESSAGES UNSEEN))',
        c.List(
            "",
            ("a%", "b"),
            frozenset({"SUBSCRIBED", "RECURSIVEMATCH"}),
            frozenset({"CHILDREN"}),
            ("MESSAGES", "UNSEEN"),
            is_extended=True,
        ),
    ),
    (b'LIST () "" x RETURN ()', c.List("", ("x",), is_extended=True)),
    (
        b'LIST "" x RETURN (SPECIAL-USE METADATA ("/shared/Comment"))',
        c.List(
            "", ("x",), returns=frozenset({"SPECIAL-USE"}), entries=("/shared/comment",), is_extended=True
        ),
    ),
    (b"NAMESPACE", c.Namespace()),
    (b"STATUS x (uidnext MESSAGES uidnext)", c.Status("x", ("UIDNEXT", "MESSAGES"))),
    (b"IDLE", c.Idle()),
    (b"COMPRESS deflate", c.Compress("DEFLATE")),
    (b'GETQUOTA ""', c.GetQuota("")),
    (b"GETQUOTAROOT INBOX", c.GetQuotaRoot("INBOX")),
    (b'SETQUOTA "" (STORAGE 512)', c.SetQuota("", (("STORAGE", 512),))),
    # Messages.
    (b"APPEND x {2+}\r\nhi", c.Append("x", (c.AppendMessage(Literal(b"hi")),))),
    (
        b'APPEND x (\\seen $Label \\Recent) " 7-Feb-1994 21:52:25 -0800" ~{2+}\r\nh\0',
        c.Append(
            "x",
            (
                c.AppendMessage(
                    Literal(b"h\0", is_binary=True),
                    ("$Label", "\\Seen"),
                    datetime(1994, 2, 8, 5, 52, 25, tzinfo=UTC),
                ),
            ),
        ),
    ),
    # RFC 3502 §6.3.11.
    (
        b"APPEND x () {1+}\r\na (\\Draft) {1+}\r\nb",
        c.Append("x", (c.AppendMessage(Literal(b"a")), c.AppendMessage(Literal(b"b"), ("\\Draft",)))),
    ),
    # RFC 4469 §3.
    (
        b'APPEND x CATENATE (URL "/INBOX/;uid=1" TEXT {1+}\r\na)',
        c.Append("x", (c.AppendMessage(c.Catenated((c.Url("/INBOX/;uid=1"), Literal(b"a")))),)),
    ),
    # RFC 6855 §4.
    (b"APPEND x UTF8 (~{1+}\r\na)", c.Append("x", (c.AppendMessage(Literal(b"a", is_binary=True)),))),
    # RFC 8508 §3.4.
    (
        b"UID REPLACE 4 x (\\Seen) {1+}\r\na",
        c.Replace(SequenceSet(((4, 4),)), "x", c.AppendMessage(Literal(b"a"), ("\\Seen",)), by_uid=True),
    ),
    (b"CHECK", c.Check()),
    (b"CLOSE", c.Close()),
    (b"UNSELECT", c.Unselect()),
    (b"EXPUNGE", c.Expunge()),
    (b"UID EXPUNGE 3:4", c.Expunge(SequenceSet(((3, 4),)))),
    (b"COPY 1 x", c.Copy(ONE, "x")),
    (b"UID COPY $ x", c.Copy(SAVED, "x", by_uid=True)),
    (b"UID MOVE 1 x", c.Move(ONE, "x", by_uid=True)),
    (b"STORE 1 +FLAGS (\\DELETED)", c.Store(ONE, "add", ("\\Deleted",))),
    (b"STORE 1 flags.silent ()", c.Store(ONE, "replace", (), is_silent=True)),
    (
        b"UID STORE 1 (UNCHANGEDSINCE 12) -FLAGS.SILENT \\Seen a",
        c.Store(ONE, "remove", ("\\Seen", "a"), is_silent=True, unchanged_since=12, by_uid=True),
    ),
    (b"FETCH 1 FAST", c.Fetch(ONE, (att.Flags(), att.InternalDate(), att.Size()))),
    (
        b"FETCH 1 full",
        c.Fetch(
            ONE, (att.Flags(), att.InternalDate(), att.Size(), att.EnvelopeItem(), att.BodyStructure(False))
        ),
    ),
    (
        b"UID FETCH 1:* (UID FLAGS uid) (CHANGEDSINCE 5 VANISHED)",
        c.Fetch(
            SequenceSet(((1, 0),)),
            (att.Uid(), att.Flags()),
            by_uid=True,
            changed_since=5,
            is_vanished=True,
        ),
    ),
    (b"UID FETCH 1 UID (PARTIAL -1:-3)", c.Fetch(ONE, (att.Uid(),), by_uid=True, partial=(-1, -3))),
    (b"SEARCH ALL", c.Search(k.All())),
    (b"SEARCH RETURN () CHARSET utf-8 UNSEEN", c.Search(k.Not(SEEN), c.Returns(frozenset({"ALL"})))),
    (
        b"UID SEARCH RETURN (MIN PARTIAL 9:3) SEEN",
        c.Search(SEEN, c.Returns(frozenset({"MIN"}), (3, 9)), by_uid=True),
    ),
    (
        b"SORT (REVERSE DATE SUBJECT) UTF-8 SEEN",
        c.Sort((c.SortCriterion("DATE", is_reverse=True), c.SortCriterion("SUBJECT")), SEEN),
    ),
    (b"UID THREAD references US-ASCII SEEN", c.Thread("REFERENCES", SEEN, by_uid=True)),
]


def parsed(sent: bytes, *, is_utf8: bool = False) -> c.Command:
    tagged = parse_command(lines(b"a1 " + sent + b"\r\n"), is_utf8=is_utf8)
    assert tagged.tag == "a1"
    return tagged.command


@pytest.mark.parametrize(("sent", "command"), COMMANDS)
def test_a_command_is_a_value(sent: bytes, command: c.Command) -> None:
    assert parsed(sent) == command
    assert parsed(sent).by_uid == sent.upper().startswith(b"UID ")


ATTRIBUTES: list[tuple[bytes, att.Attribute, str]] = [
    # RFC 9051 §6.4.5 and its answers, §7.5.2.
    (b"BODY[]", att.BodySection(), "BODY[]"),
    (b"body.peek[header]", att.BodySection(kind="HEADER", is_peek=True), "BODY[HEADER]"),
    (b"BODY[1.2.MIME]", att.BodySection((1, 2), "MIME"), "BODY[1.2.MIME]"),
    (b"BODY[3]<10.20>", att.BodySection((3,), partial=(10, 20)), "BODY[3]<10>"),
    (
        b'BODY.PEEK[HEADER.FIELDS (Date "X Y")]'.replace(b" Y", b"\\\\Y"),
        att.BodySection(kind="HEADER.FIELDS", fields=("Date", "X\\Y"), is_peek=True),
        'BODY[HEADER.FIELDS (Date "X\\\\Y")]',
    ),
    (
        b"BODY[2.HEADER.FIELDS.NOT (To {4+}\r\nX-Ab)]",
        att.BodySection((2,), "HEADER.FIELDS.NOT", ("To", "X-Ab")),
        "BODY[2.HEADER.FIELDS.NOT (To X-Ab)]",
    ),
    (b"RFC822", att.BodySection(name="RFC822"), "RFC822"),
    (
        b"RFC822.HEADER",
        att.BodySection(kind="HEADER", is_peek=True, name="RFC822.HEADER"),
        "RFC822.HEADER",
    ),
    (b"RFC822.TEXT", att.BodySection(kind="TEXT", name="RFC822.TEXT"), "RFC822.TEXT"),
    (b"BINARY[1]<0.5>", att.Binary((1,), (0, 5)), "BINARY[1]<0>"),
    (b"BINARY.PEEK[]", att.Binary((), is_peek=True), "BINARY[]"),
    (b"BINARY.SIZE[1.2]", att.BinarySize((1, 2)), "BINARY.SIZE[1.2]"),
]


@pytest.mark.parametrize(("sent", "attribute", "label"), ATTRIBUTES)
def test_a_section_has_a_value_and_a_label(sent: bytes, attribute: att.BodySection, label: str) -> None:
    fetch = parsed(b"FETCH 1 (UID " + sent + b")")
    assert isinstance(fetch, c.Fetch)
    assert fetch.attributes == (att.Uid(), attribute)
    assert attribute.label == label
    assert parsed(b"FETCH 1 " + sent) == c.Fetch(ONE, (attribute,))


def test_other_attributes() -> None:
    fetch = parsed(b"FETCH 1 (EMAILID THREADID SAVEDATE PREVIEW PREVIEW (LAZY) MODSEQ BODYSTRUCTURE BODY)")
    assert fetch == c.Fetch(
        ONE,
        (
            att.EmailId(), att.ThreadId(), att.SaveDate(), att.Preview(), att.Preview(is_lazy=True),
            att.ModSeq(),
            att.BodyStructure(True), att.BodyStructure(False),
        ),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("sent", "is_seen"),
    [(b"BODY[]", True), (b"BODY.PEEK[]", False), (b"RFC822", True), (b"RFC822.TEXT", True),
     (b"RFC822.HEADER", False), (b"BINARY[1]", True), (b"BODYSTRUCTURE", False), (b"BINARY.SIZE[1]", False)],
)  # fmt: skip
def test_which_fetches_set_seen(sent: bytes, is_seen: bool) -> None:
    fetch = parsed(b"FETCH 1 (UID " + sent + b")")
    assert isinstance(fetch, c.Fetch)
    assert att.sets_seen(fetch.attributes) == is_seen


DAY = date(1994, 2, 1)
KEYS: list[tuple[bytes, k.Key]] = [
    # RFC 9051 §6.4.4: the examples.
    (
        b'FLAGGED SINCE 1-Feb-1994 NOT FROM "Smith"',
        k.And((k.HasFlag("\\Flagged"), k.Arrived("SINCE", DAY), k.Not(k.InEnvelope("from", "Smith")))),
    ),
    (b'TEXT "string not in mailbox"', k.InText("string not in mailbox")),
    ("CHARSET UTF-8 TEXT \"มา\"".encode(), k.InText("มา")),
    (b"CHARSET TIS-620 SUBJECT {2+}\r\n" + "มา".encode("tis-620"), k.InEnvelope("subject", "มา")),
    # RFC 3501 §6.4.4: NEW is RECENT UNSEEN.
    (b"NEW", k.And((k.Recent(), k.Not(SEEN)))),
    (b"OLD", k.Not(k.Recent())),
    (b"OR (SEEN DRAFT) UID 3", k.Or(k.And((SEEN, k.HasFlag("\\Draft"))),
                                    k.Messages(SequenceSet(((3, 3),)), by_uid=True))),
    (b"(SEEN)", SEEN),
    (b"1 $", k.And((k.Messages(ONE, by_uid=False), k.Messages(SAVED, by_uid=False)))),
    (b"2:* SEEN", k.And((k.Messages(SequenceSet(((2, 0),)), by_uid=False), SEEN))),
    (b'HEADER X-Y ""', k.InHeader("x-y", "")),
    (b"KEYWORD $Junk", k.HasFlag("$Junk")),
    (b"UNKEYWORD a", k.Not(k.HasFlag("a"))),
    (b"LARGER 10", k.Sized(True, 10)),
    (b"SMALLER 10", k.Sized(False, 10)),
    (b'SENTON "1-feb-1994"', k.Sent("ON", DAY)),
    (b"SAVEDBEFORE 01-Feb-1994", k.Saved("BEFORE", DAY)),
    # RFC 5032 §3, RFC 7162 §3.1.5, RFC 8474 §6.
    (b"YOUNGER 60", k.Within(True, 60)),
    (b"OLDER 60", k.Within(False, 60)),
    (b"MODSEQ 7", k.ModifiedSince(7)),
    (b'MODSEQ "/flags/\\\\draft" all 7', k.ModifiedSince(7)),
    (b"EMAILID E7", k.HasEmailId("E7")),
    (b"THREADID T7", k.HasThreadId("T7")),
    (b"BODY x", k.InBody("x")),
]  # fmt: skip


@pytest.mark.parametrize(("sent", "key"), KEYS)
def test_a_search_is_a_tree_of_keys(sent: bytes, key: k.Key) -> None:
    command = parsed(b"SEARCH " + sent)
    assert isinstance(command, c.Search)
    assert (command.key, command.returns) == (key, None)


def test_names_are_utf8_when_it_is_enabled() -> None:
    assert parsed('SELECT "กข"'.encode(), is_utf8=True) == c.Select("กข")
    assert parsed(b"SELECT Q&A", is_utf8=True) == c.Select("Q&A")


WRONG = [
    b"", b"FOO", b"UID", b"UID NOOP", b"NOOP ", b"NOOP x", b"LOGIN", b"LOGIN a", b"LOGIN a b c",
    b'LOGIN "a" "b',
    b"SELECT", b"SELECT x ()", b"SELECT x (FOO)", b"SELECT Q&A", "SELECT ก".encode(),
    b"SELECT x (QRESYNC (7))",
    b"SELECT x (QRESYNC (7 9 1:*))", b"SELECT x (QRESYNC (7 9 (1:2 5)))",
    b"CREATE x (FOO)", b"RENAME x", b'LIST ""', b'LIST (FOO) "" x',
    b'LIST (RECURSIVEMATCH) "" x', b'LIST "" x RETURN (FOO)', b"STATUS x ()", b"STATUS x (FOO)",
    b"STATUS x",
    b"APPEND x", b"APPEND x hi", b"APPEND x (\\Foo) {1+}\r\na",
    b'APPEND x "1-Foo-2026 00:00:00 +0000" {1+}\r\na',
    b'APPEND x "31-Feb-2026 00:00:00 +0000" {1+}\r\na', b'APPEND x "01-Jan-0001 00:00:00 +1300" {1+}\r\na',
    b'APPEND x "31-Dec-9999 23:59:59 +0000" {1+}\r\na',
    b"APPEND x CATENATE ()", b"APPEND x CATENATE (FOO x)", b"FETCH 0 UID", b"FETCH 1", b"FETCH 1 ()",
    b"FETCH 1 FOO", b"FETCH 1 (FAST)", b"FETCH 1 BODY[", b"FETCH 1 BODY[MIME]", b"FETCH 1 BODY[0]",
    b"FETCH 1 BODY[1.]", b"FETCH 1 BODY[]<0.0>", b"FETCH 1 BODY[]<1>", b"FETCH 1 BODY[HEADER.FIELDS ()]",
    b'FETCH 1 BODY[HEADER.FIELDS ("a b")]', b"FETCH 1 BINARY[HEADER]", b"FETCH 1 (VANISHED)",
    b"FETCH 1 BODY.PEEK", b"FETCH 1 FLAGS[]",
    b"UID FETCH 1 UID (VANISHED)", b"FETCH 1 UID (PARTIAL 1:2)", b"UID FETCH 1 UID (PARTIAL -1:2)",
    b"STORE 1 FLAGS", b"STORE 1 FOO (a)", b"STORE 1 +FLAGS (\\Foo)", b"STORE 1 +FLAGS (\\*)",
    b"STORE 1 (FOO 1) FLAGS ()", b"COPY 1", b"UID EXPUNGE", b"EXPUNGE 1", b"SEARCH", b"SEARCH FOO",
    b"SEARCH NOT",
    b"SEARCH (SEEN", b"SEARCH ()", b"SEARCH SEEN ", b"SEARCH SINCE 31-Feb-2026", b"SEARCH OLDER 0",
    b"SEARCH RETURN (FOO) ALL", b"SEARCH RETURN (ALL PARTIAL 1:2) ALL", b"SEARCH KEYWORD \\Foo",
    b"SEARCH SUBJECT {1+}\r\n\xff", b"SEARCH " + b"NOT " * 60 + b"SEEN", b"SEARCH" + b" SEEN" * 1001,
    b"SORT () UTF-8 ALL", b"SORT (FOO) UTF-8 ALL", b"SORT (REVERSE) UTF-8 ALL", b"THREAD FOO UTF-8 ALL",
    b"REPLACE 1:2 x {1+}\r\na", b"REPLACE 1,2 x {1+}\r\na", b"ID x", b"ID (a)", b"ENABLE",
    b"AUTHENTICATE PLAIN *",
    b"LOGIN ~{1+}\r\na b", b"SETQUOTA x", b"COMPRESS",
]  # fmt: skip


@pytest.mark.parametrize("sent", WRONG)
def test_what_is_no_command_is_told_so(sent: bytes) -> None:
    with pytest.raises(BadCommand) as caught:
        parsed(sent)
    assert re.fullmatch(rb"a1 BAD [A-Z][^\r\n]+\r\n", caught.value.response)


def test_a_line_without_a_tag_is_told_so_without_one() -> None:
    for sent in (b"\r\n", b"* NOOP\r\n", b"+ NOOP\r\n", b"(\r\n"):
        with pytest.raises(BadCommand) as caught:
            parse_command(lines(sent))
        assert caught.value.response.startswith(b"* BAD ")


CANNOT = [
    # RFC 9051 §6.4.4.
    (b"SEARCH CHARSET KOI8-R ALL", "BADCHARSET"),
    (b"SORT (DATE) KOI8-R ALL", "BADCHARSET"),
    # RFC 6154 §3.
    (b"CREATE x (USE (\\All))", "USEATTR"),
    (b"CREATE x (USE (\\Sent \\Trash))", "USEATTR"),
]


@pytest.mark.parametrize(("sent", "code"), CANNOT)
def test_what_this_server_never_does_is_told_so(sent: bytes, code: str) -> None:
    with pytest.raises(CannotObey) as caught:
        parsed(sent)
    assert caught.value.response.startswith(f"a1 NO [{code}".encode())


ALWAYS = {State.NOT_SIGNED_IN, State.SIGNED_IN, State.SELECTED}
STATES: list[tuple[type[c.Command], set[State]]] = [
    (c.Noop, ALWAYS), (c.Capability, ALWAYS), (c.Logout, ALWAYS), (c.Id, ALWAYS),
    (c.Login, {State.NOT_SIGNED_IN}), (c.Authenticate, {State.NOT_SIGNED_IN}), (c.Starttls,
    {State.NOT_SIGNED_IN}),
    (c.Select, {State.SIGNED_IN, State.SELECTED}), (c.Append, {State.SIGNED_IN, State.SELECTED}),
    (c.Idle, {State.SIGNED_IN, State.SELECTED}), (c.Enable, {State.SIGNED_IN, State.SELECTED}),
    (c.Fetch, {State.SELECTED}), (c.Close, {State.SELECTED}), (c.Search, {State.SELECTED}),
    (c.Replace, {State.SELECTED}), (c.Check, {State.SELECTED}),
]  # fmt: skip


@pytest.mark.parametrize(("command", "states"), STATES)
def test_a_command_comes_in_its_states(command: type[c.Command], states: set[State]) -> None:
    """RFC 9051 §3."""
    assert command.states == states


WORDS = [
    b" ", b" ", b" ", b" ", b"(", b")", b"[", b"]", b"<0.1>", b"\\Seen", b'"x"', b"{2+}\r\nhi",
    b"~{1+}\r\n\0", b"1:*",
    b"1", b"$", b"NIL", b"x", b"BODY", b"HEADER.FIELDS", b"BINARY", b"RETURN", b"PARTIAL", b"CHARSET",
    b"UTF-8", b"OR",
    b"NOT", b"SEEN", b"MODSEQ", b"UID", b"ALL", b"FLAGS", b"+", b"-", b"*", b"%", b"1-Feb-1994",
    b"CATENATE", b"URL",
    b"TEXT", b"QRESYNC", b"STATUS", b"USE", b"\x00", b"\xff", b"{70000+}\r\n" + b"m" * 70_000,
]  # fmt: skip
NAMES = sorted(
    {command.split(b" ")[0] for command, _ in COMMANDS} | {b"UID FETCH", b"UID SEARCH", b"UID STORE"}
)


def told(got: Lines, *, is_utf8: bool) -> bool:
    """True of a command, and of an error that is a line."""
    try:
        return bool(parse_command(got, is_utf8=is_utf8).command.states)
    except ImapError as error:
        return re.fullmatch(rb"[^ \r\n]+ (BAD|NO) [^\r\n]+\r\n", error.response) is not None


@settings(max_examples=500)
@given(
    st.sampled_from(NAMES),
    st.lists(st.sampled_from(WORDS), max_size=14).map(b"".join) | st.binary(),
    st.booleans(),
)
def test_any_octets_parse_or_raise_the_error_of_the_protocol(name: bytes, rest: bytes, is_utf8: bool) -> None:
    for got in frame([b"a " + name + b" " + rest + b"\r\n"]):
        if isinstance(got, Lines):
            assert told(got, is_utf8=is_utf8)


def test_a_spooled_message_is_named_by_its_place() -> None:
    got = frame([b"a APPEND x {70000+}\r\n" + b"m" * 70_000 + b"\r\n"])[-1]
    assert isinstance(got, Lines)
    assert parse_command(got).command == c.Append("x", (c.AppendMessage(Spooled(0, 70_000)),))


def test_a_large_literal_is_no_mailbox_name() -> None:
    got = frame([b"a APPEND {70000+}\r\n" + b"m" * 70_000 + b" {1+}\r\nx\r\n"])[-1]
    assert isinstance(got, Lines)
    with pytest.raises(BadCommand):
        parse_command(got)
