"""What a client hears without asking (RFC 5465), on real rows."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.domain.events import MessageRead
from gateway.processes.imap.notifying import tell_until
from tests.imap_client import Response, Token, parse_response
from tests.processes.imap_sessions.home import Home, Visit

MESSAGE = b"Subject: m\r\n\r\nbody\r\n"
SELECTED = "(SELECTED (MessageNew MessageExpunge FlagChange))"
DELAYED = "(SELECTED-DELAYED (MessageNew MessageExpunge FlagChange))"
MESSAGES = "(MessageNew MessageExpunge)"


@asynccontextmanager
async def silent(visit: Visit) -> AsyncIterator[None]:
    """Its client says nothing meanwhile, and is told what it asked for."""

    reading = asyncio.create_task(asyncio.Event().wait())
    telling = asyncio.create_task(tell_until(visit.session, reading, may_expunge=False))
    try:
        yield
    finally:
        telling.cancel()
        reading.cancel()
        await asyncio.wait([telling, reading])


def counts(response: Response) -> dict[Token, Token]:
    listed = response.tokens[1]
    assert isinstance(listed, list)
    return dict(zip(listed[::2], listed[1::2], strict=True))  # type: ignore[arg-type]


async def until(visit: Visit, octets: bytes) -> list[Response]:
    """What it was told, up to this at least."""
    async with asyncio.timeout(60):
        await visit.paper.hears(octets)
    return [parse_response(one) for one in visit.paper.responses()]


async def test_the_state_of_other_mailboxes_is_told_and_what_changes_in_them(home: Home) -> None:
    """RFC 5465 §3.1, §5.2, §5.3."""
    suda, other = await home.visit(), await home.visit()
    await suda.ok("CREATE work")
    await suda.ok("APPEND work {}", MESSAGE)
    await suda.ok("SELECT INBOX")
    begun = await suda.ok(f"NOTIFY SET STATUS (MAILBOXES (INBOX work) {MESSAGES})")
    (said,) = begun.of("STATUS")  # the selected one is told of otherwise
    assert said.tokens[0] == b"work"
    assert (counts(said)["MESSAGES"], counts(said)["UIDNEXT"]) == ("1", "2")
    async with silent(suda):
        await other.ok("APPEND Drafts {}", MESSAGE)  # of which it did not ask
        await other.ok("APPEND work {}", MESSAGE)
        (said,) = await until(suda, b"STATUS")
        assert (said.tokens[0], counts(said)["MESSAGES"], counts(said)["UNSEEN"]) == (b"work", "2", "2")
        await other.ok("SELECT work")
        await other.ok("UID STORE 1 +FLAGS.SILENT (\\Deleted)")  # nor of this
        await other.ok("UID EXPUNGE 1")
        (said,) = await until(suda, b"STATUS")
        assert (counts(said)["MESSAGES"], counts(said)["UIDNEXT"]) == ("1", "3")


async def test_flags_of_other_mailboxes_are_told_who_asks(home: Home) -> None:
    """RFC 5465 §5.1."""
    suda, other = await home.visit(), await home.visit()
    await other.ok("APPEND INBOX {}", MESSAGE)
    await suda.ok("ENABLE CONDSTORE")
    await suda.ok("NOTIFY SET (INBOXES (MessageNew MessageExpunge FlagChange))")
    async with silent(suda):
        await other.ok("SELECT INBOX")
        await other.ok("STORE 1 +FLAGS (\\Seen)")
        (said,) = await until(suda, b"STATUS")
    assert counts(said)["UNSEEN"] == "0"
    assert "HIGHESTMODSEQ" in counts(said)


async def test_what_arrives_in_the_selected_mailbox_is_fetched(home: Home) -> None:
    """RFC 5465 §5.2, and reading it is an event before its octets leave."""
    suda, other = await home.visit(), await home.visit()
    await suda.ok("SELECT INBOX")
    wanted = "(UID FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])"
    await suda.ok(f"NOTIFY SET (SELECTED (MessageNew {wanted} MessageExpunge))")
    async with silent(suda):
        await other.ok("APPEND INBOX (\\Flagged) {}", MESSAGE)
        exists, fetched = await until(suda, b"Subject: m")
    assert (exists.kind, exists.number) == ("EXISTS", 1)
    assert (fetched.number, fetched.items["UID"], fetched.flags) == (1, "1", {"\\Flagged"})
    (read,) = home.events(MessageRead)
    assert (read.uids, read.peek) == ("1", True)


async def test_selected_hears_of_expunges_at_once(home: Home) -> None:
    """RFC 5465 §6.1."""
    suda, other = await home.visit(), await home.visit()
    await other.ok("APPEND INBOX {} {}", MESSAGE, MESSAGE)
    await suda.ok("SELECT INBOX")
    await suda.ok(f"NOTIFY SET {SELECTED}")
    async with silent(suda):
        await other.ok("SELECT INBOX")
        await other.ok("STORE 1 +FLAGS (\\Deleted)")
        (flagged,) = await until(suda, b"FETCH")
        assert (flagged.number, flagged.items["UID"], flagged.flags) == (1, "1", {"\\Deleted"})
        await other.ok("EXPUNGE")
        (expunged,) = await until(suda, b"EXPUNGE")
        assert expunged.number == 1


async def test_selected_delayed_hears_of_expunges_when_its_commands_allow(home: Home) -> None:
    """RFC 5465 §6.2: new messages at once, a number stays until then."""
    suda, other = await home.visit(), await home.visit()
    await other.ok("APPEND INBOX {} {}", MESSAGE, MESSAGE)
    await suda.ok("SELECT INBOX")
    await suda.ok(f"NOTIFY SET {DELAYED}")
    async with silent(suda):
        await other.ok("SELECT INBOX")
        await other.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
        await other.ok("EXPUNGE")
        await other.ok("APPEND INBOX {}", MESSAGE)
        assert [one.kind for one in await until(suda, b"EXISTS")][-1] == "EXISTS"
    assert (await suda.ok("FETCH 2 (UID)")).of("FETCH")[0].items["UID"] == "2"
    assert [one.number for one in (await suda.ok("NOOP")).of("EXPUNGE")] == [1]


async def test_who_does_not_ask_for_the_selected_mailbox_is_told_its_own_changes(home: Home) -> None:
    """RFC 5465 §3.1: NOTIFY NONE is less than what clients hear that never said it."""
    suda, other = await home.visit(), await home.visit()
    await other.ok("APPEND INBOX {}", MESSAGE)
    await suda.ok("SELECT INBOX")
    await suda.ok("NOTIFY NONE")
    await other.ok("APPEND INBOX {}", MESSAGE)
    assert (await suda.ok("FETCH 1 (UID)")).of("EXISTS") == []
    assert (await suda.ok("STORE 1 +FLAGS (\\Seen)")).of("FETCH")[-1].flags == {"\\Seen"}
    await other.ok("APPEND INBOX {}", MESSAGE)
    assert [one.number for one in (await suda.ok("NOOP")).of("EXISTS")] == [3]


async def test_names_and_subscriptions_are_told(home: Home) -> None:
    """RFC 5465 §5.4 and §5.5: created, renamed, subscribed to or not, deleted."""
    suda, other = await home.visit(), await home.visit()
    await other.ok("ENABLE IMAP4rev2")
    await suda.ok("NOTIFY SET (PERSONAL (MailboxName SubscriptionChange))")
    async with silent(suda):
        await other.ok('CREATE "งาน"')
        (made,) = await until(suda, b"LIST")
        assert made.tokens == [["\\HasNoChildren", "\\Subscribed"], b"/", b"&DgcOMg4Z-"]
        await other.ok('RENAME "งาน" b')
        (renamed,) = await until(suda, b"LIST")
        assert renamed.tokens[2:] == [b"b", [b"OLDNAME", [b"&DgcOMg4Z-"]]]
        await other.ok("UNSUBSCRIBE b")
        (left,) = await until(suda, b"LIST")
        assert left.tokens == [["\\HasNoChildren"], b"/", b"b"]
        await other.ok("DELETE b")
        (gone,) = await until(suda, b"LIST")
        assert gone.tokens == [["\\NonExistent"], b"/", b"b"]


async def test_metadata_that_changes_is_named(home: Home) -> None:
    """RFC 5465 §5.6 and §5.7: without its value; also when it is taken away."""
    suda, other = await home.visit(), await home.visit()
    await suda.ok('SETMETADATA INBOX (/private/comment "before")')
    await suda.ok("NOTIFY SET (MAILBOXES INBOX (MailboxMetadataChange)) (PERSONAL (ServerMetadataChange))")
    async with silent(suda):
        await other.ok('SETMETADATA Drafts (/private/comment "x")')
        await other.ok('SETMETADATA "" (/private/comment "x")')
        (said,) = await until(suda, b"METADATA")
        assert said.tokens == [b"", b"/private/comment"]
        await other.ok("SETMETADATA INBOX (/private/comment NIL)")
        (said,) = await until(suda, b"METADATA")
        assert said.tokens == [b"INBOX", b"/private/comment"]


async def test_it_is_told_within_idle_as_well(home: Home) -> None:
    """RFC 5465 §4."""
    suda, other = await home.visit(), await home.visit()
    done = asyncio.Event()

    async def next_line() -> bytes:
        await done.wait()
        return b"DONE"

    suda.session.next_line = next_line
    await suda.ok(f"NOTIFY SET (INBOXES {MESSAGES})")
    idling = asyncio.create_task(suda.command("IDLE"))
    await suda.paper.hears(b"+ idling")
    await other.ok("APPEND INBOX {}", MESSAGE)
    async with asyncio.timeout(60):
        await suda.paper.hears(b"STATUS")
    done.set()
    answer = await idling
    assert answer.status == "OK"
