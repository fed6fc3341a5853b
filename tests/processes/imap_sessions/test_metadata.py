"""What clients write down about mailboxes (RFC 5464, RFC 9590), on real rows."""

import pytest

from gateway.domain.mailboxtree import MailboxAnnotated
from gateway.domain.open_tree import ENTRIES_MAX, VALUE_OCTETS_MAX
from tests.imap_client import Answer, Token
from tests.processes.imap_sessions.home import Home

COLOUR = "/private/vendor/example/colour"


def told(answer: Answer) -> dict[Token, dict[Token, Token]]:
    """What METADATA responses said, by mailbox and entry."""
    found: dict[Token, dict[Token, Token]] = {}
    for each in answer.of("METADATA"):
        mailbox, listed = each.tokens
        assert isinstance(listed, list)
        found.setdefault(mailbox, {}).update(zip(listed[::2], listed[1::2], strict=True))  # type: ignore[arg-type]
    return found


async def test_what_is_set_is_got_by_every_session(home: Home) -> None:
    """RFC 5464 §4.2.1 and §4.3: an entry that is not there is NIL, and NIL takes one away."""
    suda, other = await home.visit(), await home.visit()
    await suda.ok('SETMETADATA INBOX (/private/Comment "My comment" /shared/comment {})', "งาน\r\n2".encode())
    got = told(await other.ok("GETMETADATA INBOX (/private/comment /shared/comment /shared/x)"))
    assert got == {
        b"INBOX": {
            b"/private/comment": b"My comment",
            b"/shared/comment": "งาน\r\n2".encode(),
            b"/shared/x": None,
        }
    }
    await other.ok("SETMETADATA INBOX (/private/comment NIL)")
    assert told(await suda.ok("GETMETADATA INBOX /private/comment")) == {
        b"INBOX": {b"/private/comment": None}
    }


async def test_a_value_has_any_octets(home: Home) -> None:
    """RFC 5464 §5: literal8."""
    suda = await home.visit()
    await suda.ok(b"SETMETADATA INBOX (/private/comment ~{3+}\r\n\0\xff\n)")
    answer = await suda.ok("GETMETADATA INBOX /private/comment")
    assert answer.of("METADATA")[0].octets.endswith(b" ~{3}\r\n\0\xff\n)\r\n")


async def test_the_account_has_entries_of_its_own(home: Home) -> None:
    """RFC 5464 §4.2: the empty name is the server's; what all share there its administrator sets."""
    suda = await home.visit()
    await suda.ok(f'SETMETADATA "" ({COLOUR} "red")')
    assert told(await suda.ok(f'GETMETADATA "" {COLOUR}')) == {b"": {COLOUR.encode(): b"red"}}
    assert told(await suda.ok(f"GETMETADATA INBOX {COLOUR}")) == {b"INBOX": {COLOUR.encode(): None}}
    refused = await suda.command('SETMETADATA "" (/shared/comment "x")')
    assert (refused.status, refused.code) == ("NO", "NOPERM")


async def test_entries_below_are_got_by_depth(home: Home) -> None:
    """RFC 5464 §4.2.2.2, its example."""
    suda = await home.visit()
    base = "/private/filters/values"
    await suda.ok(f'SETMETADATA INBOX ({base}/small "S" {base}/boss "B" {base}/boss/old "O" {base}x "X")')
    below = {f"{base}/boss".encode(): b"B", f"{base}/small".encode(): b"S"}
    assert told(await suda.ok(f"GETMETADATA (DEPTH 1) INBOX {base}")) == {b"INBOX": below}
    all_below = {**below, f"{base}/boss/old".encode(): b"O"}
    assert told(await suda.ok(f"GETMETADATA INBOX (DEPTH infinity) {base}")) == {b"INBOX": all_below}
    assert told(await suda.ok(f"GETMETADATA (DEPTH 1) INBOX {COLOUR}")) == {}


async def test_what_is_longer_than_asked_for_is_left_out(home: Home) -> None:
    """RFC 5464 §4.2.2.1 (LONGENTRIES)."""
    suda = await home.visit()
    await suda.ok('SETMETADATA INBOX (/shared/comment "short" /private/comment {})', b"x" * 2199)
    answer = await suda.ok("GETMETADATA (MAXSIZE 1024) INBOX (/shared/comment /private/comment)")
    assert told(answer) == {b"INBOX": {b"/shared/comment": b"short"}}
    assert answer.code == "METADATA LONGENTRIES 2199"


async def test_what_is_too_much_is_refused_whole(home: Home) -> None:
    """RFC 5464 §4.3 (MAXSIZE, TOOMANY): and nothing of the command is set."""
    suda = await home.visit()
    large = b"x" * (VALUE_OCTETS_MAX + 1)
    refused = await suda.command('SETMETADATA INBOX (/shared/comment "a" /private/comment {})', large)
    assert (refused.status, refused.code) == ("NO", f"METADATA MAXSIZE {VALUE_OCTETS_MAX}")
    many = " ".join(f'/private/x/{number} "v"' for number in range(ENTRIES_MAX + 1))
    refused = await suda.command(f"SETMETADATA INBOX ({many})")
    assert (refused.status, refused.code) == ("NO", "METADATA TOOMANY")
    assert home.events(MailboxAnnotated) == []


async def test_what_is_set_again_is_no_event(home: Home) -> None:
    suda = await home.visit()
    for _ in range(2):
        await suda.ok('SETMETADATA INBOX (/private/comment "same" /shared/comment NIL)')
    assert len(home.events(MailboxAnnotated)) == 1


async def test_it_goes_with_its_mailbox(home: Home) -> None:
    """RFC 5464 §3.1: along with a rename, away with a deletion."""
    suda = await home.visit()
    await suda.ok("CREATE a")
    await suda.ok('SETMETADATA a (/private/comment "of a")')
    await suda.ok("RENAME a b")
    assert told(await suda.ok("GETMETADATA b /private/comment")) == {b"b": {b"/private/comment": b"of a"}}
    await suda.ok("DELETE b")
    await suda.ok("CREATE b")
    assert told(await suda.ok("GETMETADATA b /private/comment")) == {b"b": {b"/private/comment": None}}


@pytest.mark.parametrize(
    "command", ["GETMETADATA nowhere /private/comment", "SETMETADATA nowhere (/private/comment x)"]
)
async def test_a_mailbox_that_is_not_there_has_none(home: Home, command: str) -> None:
    suda = await home.visit()
    answer = await suda.command(command.replace(" x)", ' "x")'))
    assert (answer.status, answer.code) == ("NO", "NONEXISTENT")


async def test_list_tells_them_along(home: Home) -> None:
    """RFC 9590 §3."""
    suda = await home.visit()
    await suda.ok("CREATE a")
    await suda.ok(f'SETMETADATA a ({COLOUR} "#b71c1c")')
    answer = await suda.ok(f'LIST "" (a INBOX) RETURN (METADATA ({COLOUR} /shared/comment))')
    assert told(answer) == {
        b"a": {COLOUR.encode(): b"#b71c1c", b"/shared/comment": None},
        b"INBOX": {COLOUR.encode(): None, b"/shared/comment": None},
    }
    assert [each.kind for each in answer.untagged] == ["LIST", "METADATA"] * 2
