"""Rights, metadata, notifications and URLs: RFC 4314, RFC 5464, RFC 5465, RFC 5092."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mail.rights import ALL, right_for_flag
from gateway.protocols.imap import attributes as att
from gateway.protocols.imap import commands as c
from gateway.protocols.imap import responses
from gateway.protocols.imap.commands import State
from gateway.protocols.imap.errors import BadCommand, CannotObey
from gateway.protocols.imap.message_url import MessageUrl, parse_url
from gateway.protocols.imap.rights import read_rights, write_rights
from tests.protocols.imap.test_parsing import parsed

MESSAGES = frozenset({"MESSAGENEW", "MESSAGEEXPUNGE"})

COMMANDS: list[tuple[bytes, c.Command]] = [
    # RFC 4314 §3, the examples.
    (b"SETACL INBOX/Drafts John lrQswicda".replace(b"Q", b""),
     c.SetAcl("INBOX/Drafts", "John", "replace", frozenset("lrswikxtea"))),
    (b"SETACL x -Fred +r", c.SetAcl("x", "-Fred", "add", frozenset("r"))),
    (b"SETACL x Fred -te", c.SetAcl("x", "Fred", "remove", frozenset("te"))),
    (b'SETACL x Fred ""', c.SetAcl("x", "Fred", "replace", frozenset())),
    (b"DELETEACL x Fred", c.DeleteAcl("x", "Fred")),
    (b"GETACL x", c.GetAcl("x")),
    (b"LISTRIGHTS x smith", c.ListRights("x", "smith")),
    (b"MYRIGHTS x", c.MyRights("x")),
    # RFC 5464 §4.2.
    (b'GETMETADATA "" /shared/Comment', c.GetMetadata("", ("/shared/comment",))),
    (b"GETMETADATA x (/shared/comment \"/private/comment\")",
     c.GetMetadata("x", ("/shared/comment", "/private/comment"))),
    (b"GETMETADATA (DEPTH 1) x /private/filters/values", c.GetMetadata("x", ("/private/filters/values",),
    depth=1)),
    (b"GETMETADATA x (MAXSIZE 1024 DEPTH infinity) (/shared/comment)",
     c.GetMetadata("x", ("/shared/comment",), 1024, None)),
    # RFC 5464 §4.3.
    (b'SETMETADATA x (/private/comment "My" /shared/comment NIL)',
     c.SetMetadata("x", (("/private/comment", b"My"), ("/shared/comment", None)))),
    (b"SETMETADATA x (/private/comment ~{2+}\r\n\0a)", c.SetMetadata("x", (("/private/comment", b"\0a"),))),
    # RFC 5465 §3.
    (b"NOTIFY NONE", c.Notify()),
    (b"NOTIFY SET (SELECTED (MessageNew (UID FLAGS) MessageExpunge FlagChange))",
     c.Notify((c.NotifyGroup("SELECTED", (), MESSAGES | {"FLAGCHANGE"}, (att.Uid(), att.Flags())),))),
    (b"notify set status (personal (MessageNew MessageExpunge MailboxName)) (subtree Lists NONE)"
     b" (mailboxes (a inbox) (SubscriptionChange))",
     c.Notify(
         (
             c.NotifyGroup("PERSONAL", (), MESSAGES | {"MAILBOXNAME"}),
             c.NotifyGroup("SUBTREE", ("Lists",), frozenset()),
             c.NotifyGroup("MAILBOXES", ("a", "INBOX"), frozenset({"SUBSCRIPTIONCHANGE"})),
         ),
         wants_status=True,
     )),
]  # fmt: skip


@pytest.mark.parametrize(("sent", "command"), COMMANDS)
def test_a_command_is_a_value(sent: bytes, command: c.Command) -> None:
    assert parsed(sent) == command
    assert command.states == {State.SIGNED_IN, State.SELECTED}


WRONG = [
    b"SETACL x", b"SETACL x Fred", b"SETACL x Fred lQ", b"SETACL x Fred +-l", b'SETACL x "" l',
    b"DELETEACL x",
    b"LISTRIGHTS x", b"GETMETADATA x", b"GETMETADATA x comment", b"GETMETADATA x /other/comment",
    b'GETMETADATA x "/shared/a*"', b"GETMETADATA x /shared/", b"GETMETADATA x /shared//a",
    b"GETMETADATA x /shared",
    b"GETMETADATA (DEPTH 2) x /shared/a", b"GETMETADATA (FOO 1) x /shared/a",
    b"GETMETADATA x (/shared/a DEPTH 1)",
    b"GETMETADATA x ()", b"GETMETADATA x (MAXSIZE 1)", b"SETMETADATA x ()", b"SETMETADATA x (/shared/a)",
    b"SETMETADATA x (/shared/a x)", b"NOTIFY", b"NOTIFY FOO", b"NOTIFY SET", b"NOTIFY SET STATUS",
    b"NOTIFY SET (FOO NONE)", b"NOTIFY SET (SELECTED ())",
    # RFC 5465 §5.
    b"NOTIFY SET (SELECTED (MessageNew))", b"NOTIFY SET (SELECTED (FlagChange))",
    b"NOTIFY SET (SELECTED (MailboxName))", b"NOTIFY SET (INBOXES (MessageNew (UID) MessageExpunge))",
    b"NOTIFY SET (SELECTED NONE) (SELECTED-DELAYED (MessageNew MessageExpunge))",
]  # fmt: skip


@pytest.mark.parametrize("sent", WRONG)
def test_what_is_no_command_is_told_so(sent: bytes) -> None:
    with pytest.raises(BadCommand):
        parsed(sent)


def test_an_event_that_is_none_of_ours_is_told_with_those_that_are() -> None:
    """RFC 5465 §5 (BADEVENT)."""
    with pytest.raises(CannotObey) as caught:
        parsed(b"NOTIFY SET (SELECTED (AnnotationChange))")
    assert caught.value.response.startswith(b"a1 NO [BADEVENT (MessageNew MessageExpunge FlagChange ")


def test_old_rights_are_read_and_shown() -> None:
    """RFC 4314 §2.1.1."""
    assert read_rights("lrcd") == frozenset("lrkxte")
    assert write_rights("rl") == "lr"
    assert write_rights("kt") == "ktcd"
    assert write_rights(ALL) == f"{ALL}cd"
    assert write_rights("") == ""


@given(st.sets(st.sampled_from(ALL)))
def test_rights_that_were_shown_are_read_again(rights: set[str]) -> None:
    assert read_rights("".join(letter for letter in write_rights(rights) if letter not in "cd")) == rights


@pytest.mark.parametrize(
    ("flag", "right"), [("\\Seen", "s"), ("\\Deleted", "t"), ("\\Draft", "w"), ("$x", "w")]
)
def test_which_right_a_flag_needs(flag: str, right: str) -> None:
    """RFC 4314 §4."""
    assert right_for_flag(flag) == right


LINES = [
    (responses.acl("x", {"ann": "lr", "-bob": "k"}, is_utf8=True), b'* ACL "x" "ann" "lr" "-bob" "kc"'),
    (
        responses.list_rights("x", "ann", "rl", is_utf8=True),
        b'* LISTRIGHTS "x" "ann" "lr" "s" "w" "i" "p" "k" "x" "t" "e" "a"',
    ),
    (responses.my_rights("x", "rw", is_utf8=True), b'* MYRIGHTS "x" "rw"'),
    (
        responses.metadata("x", {"/shared/a": b"1\r\n2", "/shared/b": None}, is_utf8=True),
        b'* METADATA "x" ("/shared/a" {4}\r\n1\r\n2 "/shared/b" NIL)',
    ),
    (responses.metadata_changed("x", ["/shared/a"], is_utf8=True), b'* METADATA "x" "/shared/a"'),
    (
        responses.ok("Wait", responses.in_progress("a1", 3, 10)),
        b'* OK [INPROGRESS ("a1" 3 10)] Wait',
    ),
    (responses.ok("Wait", responses.in_progress("a1")), b'* OK [INPROGRESS ("a1" NIL NIL)] Wait'),
]


@pytest.mark.parametrize(("octets", "line"), LINES)
def test_a_response_is_a_line(octets: bytes, line: bytes) -> None:
    assert octets == line + b"\r\n"


WHOLE = att.BodySection(is_peek=True)
URLS = [
    # RFC 4469 §3 and RFC 5092 §11.
    ("/Drafts;UIDVALIDITY=385759045/;UID=20/;section=HEADER",
     MessageUrl("Drafts", 385759045, 20, att.BodySection(kind="HEADER", is_peek=True))),
    ("/inbox/;uid=20", MessageUrl("INBOX", None, 20, WHOLE)),
    ("/a/b%20%E0%B8%81/;UID=20;SECTION=1.2",
     MessageUrl("a/b ก", None, 20, att.BodySection((1, 2), is_peek=True))),
    ("/x/;UID=20/;SECTION=1.MIME/;PARTIAL=10.20",
     MessageUrl("x", None, 20, att.BodySection((1,), "MIME", partial=(10, 20), is_peek=True))),
    ("/x/;UID=20/;SECTION=HEADER.FIELDS%20(To)/;PARTIAL=3",
     MessageUrl("x", None, 20, att.BodySection(
         kind="HEADER.FIELDS", fields=("To",), partial=(3, 2**62), is_peek=True))),
]  # fmt: skip


@pytest.mark.parametrize(("written", "url"), URLS)
def test_a_url_names_a_part_of_a_message(written: str, url: MessageUrl) -> None:
    assert parse_url(written) == url


NO_URLS = [
    "", "/", "imap://host/x/;UID=20", "//host/x/;UID=20", "/x", "/x/;UID=0", "/x/;UID=a",
    "/x;UIDVALIDITY=0/;UID=1",
    "/x/;UID=1/;SECTION=FOO", "/x/;UID=1/;SECTION=1]<0.1>", "/x/;UID=1/;SECTION=%00", "/%FF/;UID=1",
    "/x/;UID=1/;PARTIAL=0.0", "/x/;UID=1;URLAUTH=anonymous", "/x/;UID=1?q",
]  # fmt: skip


@pytest.mark.parametrize("written", NO_URLS)
def test_anything_else_is_no_url_of_a_message_here(written: str) -> None:
    with pytest.raises(ValueError):
        parse_url(written)


URL_PIECES = ["/", "x", ";UID=", "1", ";SECTION=", "%", "%20", "[", "]", "<", "\n"]


@given(st.text() | st.lists(st.sampled_from(URL_PIECES)).map("".join))
def test_any_text_is_a_url_or_none(text: str) -> None:
    with suppress(ValueError):
        assert parse_url(text).uid > 0
