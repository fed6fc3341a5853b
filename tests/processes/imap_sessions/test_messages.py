"""APPEND, FETCH, STORE, COPY, MOVE, EXPUNGE of sessions on real rows."""

import asyncio

from gateway.domain.changes import MessageExpunged, MessageFlagged
from gateway.domain.events import MessageRead
from tests.processes.imap_sessions.home import BASE, Home, Visit

THAI = "Subject: =?utf-8?b?4Liq4Lin4Lix4Liq4LiU4Li1?=\r\nFrom: ann@example.org\r\n\r\nสวัสดี\r\n".encode()


async def test_an_appended_message_is_fetched_as_it_came(home: Home) -> None:
    suda = await home.visit()
    answer = await suda.ok('APPEND INBOX (\\Flagged $Work) " 1-Feb-2026 10:00:00 +0700" {}', THAI)
    assert answer.code == f"APPENDUID {BASE + 1} 1"
    await suda.ok("SELECT INBOX")
    (fetched,) = (await suda.ok("FETCH 1 (UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[])")).of("FETCH")
    assert fetched.items["BODY[]"] == THAI
    assert fetched.items["UID"] == "1"
    assert fetched.items["RFC822.SIZE"] == str(len(THAI))
    assert fetched.items["INTERNALDATE"] == b" 1-Feb-2026 10:00:00 +0700"
    assert fetched.flags == {"\\Flagged", "$Work"}


async def filled(home: Home, messages: int = 3) -> tuple[Visit, Visit]:
    """Two sessions with INBOX open, in which there are some messages."""
    one, other = await home.visit(), await home.visit()
    for number in range(1, messages + 1):
        await one.ok("APPEND INBOX {}", b"Subject: m%d\r\n\r\nbody %d\r\n" % (number, number))
    await one.ok("SELECT INBOX")
    await other.ok("SELECT INBOX")
    return one, other


async def test_store_answers_with_the_flags_as_they_are_now(home: Home) -> None:
    one, other = await filled(home)
    told = (await one.ok("STORE 1:2 +FLAGS (\\Seen)")).of("FETCH")
    assert [(each.number, each.flags) for each in told] == [(1, {"\\Seen"}), (2, {"\\Seen"})]
    again = (await one.ok("STORE 1 +FLAGS (\\seen)")).of("FETCH")  # nothing changes, and it is told
    assert [(each.number, each.flags) for each in again] == [(1, {"\\Seen"})]
    heard = (await other.ok("NOOP")).of("FETCH")
    assert [(each.number, each.flags) for each in heard] == [(1, {"\\Seen"}), (2, {"\\Seen"})]


async def test_a_silent_store_is_silent_to_its_session_alone(home: Home) -> None:
    one, other = await filled(home)
    assert (await one.ok("STORE 2 FLAGS.SILENT (\\Answered)")).untagged == []
    assert (await one.ok("NOOP")).untagged == []
    assert [each.number for each in (await other.ok("NOOP")).of("FETCH")] == [2]


async def test_uid_store_answers_with_uids(home: Home) -> None:
    one, _ = await filled(home)
    (told,) = (await one.ok("UID STORE 3 +FLAGS ($Work)")).of("FETCH")
    assert told.items["UID"] == "3"


async def test_a_store_on_what_has_changed_meanwhile_is_refused_for_those(home: Home) -> None:
    one, other = await filled(home)
    modseq = await modseq_of(one, 2)
    await other.ok("STORE 2 +FLAGS (\\Flagged)")
    answer = await one.ok(f"STORE 1:2 (UNCHANGEDSINCE {modseq}) +FLAGS (\\Seen)")
    assert answer.code == "MODIFIED 2"
    told = {each.number: each.flags for each in answer.of("FETCH")}
    assert told == {1: {"\\Seen"}, 2: {"\\Flagged"}}


async def modseq_of(visit: Visit, number: int) -> int:
    (fetched,) = (await visit.ok(f"FETCH {number} (MODSEQ)")).of("FETCH")
    (modseq,) = fetched.items["MODSEQ"]  # type: ignore[misc]
    return int(modseq)  # type: ignore[arg-type]


async def test_an_expunge_is_told_to_others_when_numbers_may_change(home: Home) -> None:
    one, other = await filled(home)
    await one.ok("STORE 1,3 +FLAGS.SILENT (\\Deleted)")
    gone = (await one.ok("EXPUNGE")).of("EXPUNGE")
    assert [each.number for each in gone] == [3, 1]
    held_back = await other.ok("FETCH 1:3 (UID BODY.PEEK[TEXT])")  # RFC 9051 §7.5.1
    assert held_back.of("EXPUNGE") == []
    assert [each.items["BODY[TEXT]"] for each in held_back.of("FETCH") if "BODY[TEXT]" in each.items] == [
        b"body 1\r\n",
        b"body 2\r\n",
        b"body 3\r\n",
    ]
    assert [each.number for each in (await other.ok("NOOP")).of("EXPUNGE")] == [3, 1]
    (left,) = (await other.ok("FETCH 1:* (UID)")).of("FETCH")
    assert left.items["UID"] == "2"


async def test_uid_expunge_takes_those_that_are_named_alone(home: Home) -> None:
    one, _ = await filled(home)
    await one.ok("STORE 1:3 +FLAGS.SILENT (\\Deleted)")
    assert [each.number for each in (await one.ok("UID EXPUNGE 2:9")).of("EXPUNGE")] == [3, 2]


async def test_a_copy_keeps_flags_date_and_identity(home: Home) -> None:
    one, _ = await filled(home)
    await one.ok("CREATE Work")
    await one.ok("STORE 2 +FLAGS.SILENT (\\Flagged)")
    answer = await one.ok("COPY 2:3 Work")
    uidvalidity = answer.code.split()[1]
    assert answer.code == f"COPYUID {uidvalidity} 2:3 1:2"
    items = "(INTERNALDATE EMAILID FLAGS)"
    (before,) = (await one.ok(f"FETCH 2 {items}")).of("FETCH")
    selected = await one.ok("SELECT Work")
    assert [each.number for each in selected.of("EXISTS")] == [2]
    (after,) = (await one.ok(f"FETCH 1 {items}")).of("FETCH")
    assert after.items == before.items


async def test_of_two_who_move_the_same_message_one_has_it_and_the_other_is_told(home: Home) -> None:
    one, other = await filled(home)
    await one.ok("CREATE A")
    await one.ok("CREATE B")
    answers = await asyncio.gather(one.command("MOVE 2 A"), other.command("MOVE 2 B"))
    assert sorted(answer.status for answer in answers) == ["NO", "OK"]
    for visit in (one, other):
        await visit.ok("NOOP")
        assert [each.items["UID"] for each in (await visit.ok("FETCH 1:* (UID)")).of("FETCH")] == ["1", "3"]
    found = [(await one.ok(f"STATUS {name} (MESSAGES)")).of("STATUS")[0].tokens[1] for name in "AB"]
    assert sorted(found) == [["MESSAGES", "0"], ["MESSAGES", "1"]]


async def test_a_move_tells_where_to_before_the_messages_go(home: Home) -> None:
    one, _ = await filled(home)
    await one.ok("CREATE Away")
    answer = await one.ok("UID MOVE 1,3 Away")
    assert [each.kind for each in answer.untagged] == ["OK", "EXPUNGE", "EXPUNGE"]
    assert answer.untagged[0].code.endswith(" 1,3 1:2")


async def test_reading_sets_seen_and_is_in_the_log(home: Home) -> None:
    one, other = await filled(home)
    answer = await one.ok("FETCH 1:2 (BODY[])")
    assert len([each for each in answer.of("FETCH") if "BODY[]" in each.items]) == 2
    (read,) = home.events(MessageRead)
    assert (read.uids, read.how, read.peek) == ("1:2", "fetch", False)
    assert {each.number for each in (await other.ok("NOOP")).of("FETCH") if "\\Seen" in each.flags} == {1, 2}


async def test_peeking_is_in_the_log_and_sets_nothing(home: Home) -> None:
    one, _ = await filled(home)
    (fetched,) = (await one.ok("FETCH 3 (FLAGS BODY.PEEK[HEADER.FIELDS (Subject)])")).of("FETCH")
    assert fetched.items["BODY[HEADER.FIELDS (SUBJECT)]"] == b"Subject: m3\r\n\r\n"
    assert fetched.flags == set()
    (read,) = home.events(MessageRead)
    assert read.peek


async def test_flags_and_envelopes_are_no_reading(home: Home) -> None:
    one, _ = await filled(home)
    await one.ok("FETCH 1:* ALL")
    await one.ok("FETCH 1:* (BODYSTRUCTURE)")
    assert home.events(MessageRead) == []


async def test_after_examine_nothing_is_changed(home: Home) -> None:
    one, _ = await filled(home)
    assert (await one.ok("EXAMINE INBOX")).code == "READ-ONLY"
    for command in ("STORE 1 +FLAGS (\\Seen)", "EXPUNGE", "MOVE 1 INBOX"):
        assert (await one.command(command)).code == "READ-ONLY"
    await one.ok("FETCH 1 (BODY[])")
    await one.ok("CLOSE")
    assert home.events(MessageFlagged) == []
    assert home.events(MessageExpunged) == []


async def test_close_expunges_without_a_word(home: Home) -> None:
    one, other = await filled(home)
    await one.ok("STORE 2 +FLAGS.SILENT (\\Deleted)")
    assert (await one.ok("CLOSE")).untagged == []
    assert [each.number for each in (await other.ok("NOOP")).of("EXPUNGE")] == [2]


async def test_an_append_into_the_selected_mailbox_is_told_at_once(home: Home) -> None:
    one, _ = await filled(home, 1)
    answer = await one.ok("APPEND INBOX {}", THAI)
    assert [each.number for each in answer.of("EXISTS")] == [2]


async def test_several_messages_are_appended_together(home: Home) -> None:
    one = await home.visit()
    answer = await one.ok("APPEND INBOX (\\Seen) {} (\\Flagged) {}", THAI, THAI)
    assert answer.code == f"APPENDUID {BASE + 1} 1:2"


async def test_a_large_message_comes_back_octet_for_octet(home: Home) -> None:
    one = await home.visit()
    large = b"Subject: large\r\n\r\n" + b"0123456789abcdef\r\n" * 40_000
    await one.ok("APPEND INBOX {}", large)
    await one.ok("SELECT INBOX")
    (fetched,) = (await one.ok("FETCH 1 (BODY.PEEK[])")).of("FETCH")
    assert fetched.items["BODY[]"] == large
    (part,) = (await one.ok("FETCH 1 (BODY.PEEK[]<17.300000>)")).of("FETCH")
    assert part.items["BODY[]<17>"] == large[17:300_017]


async def test_a_message_with_nul_octets_is_refused(home: Home) -> None:
    one = await home.visit()
    assert (await one.command("APPEND INBOX {}", b"a\0b")).status in ("NO", "BAD")


async def test_what_is_not_there_is_said_so(home: Home) -> None:
    one, _ = await filled(home)
    assert (await one.command("APPEND Nowhere {}", THAI)).code == "TRYCREATE"
    assert (await one.command("COPY 1 Nowhere")).code == "TRYCREATE"
    assert (await one.command("FETCH 4 (FLAGS)")).status == "BAD"
    assert (await one.ok("UID FETCH 44 (FLAGS)")).untagged == []
    assert (await one.ok("UID STORE 44 +FLAGS (\\Seen)")).untagged == []


async def test_replace_puts_the_new_one_there_and_takes_the_old_one_away(home: Home) -> None:
    one, _ = await filled(home)
    answer = await one.ok("REPLACE 2 INBOX {}", THAI)
    assert answer.untagged[0].code == f"APPENDUID {BASE + 1} 4"
    uids = [each.items["UID"] for each in (await one.ok("FETCH 1:* (UID)")).of("FETCH")]
    assert uids == ["1", "3", "4"]


async def test_a_silent_store_does_not_hide_what_another_session_did_before_it(home: Home) -> None:
    one, other = await filled(home)
    await other.ok("STORE 2 +FLAGS.SILENT ($Later)")
    (told,) = (await one.ok("STORE 2 +FLAGS.SILENT (\\Flagged)")).of("FETCH")
    assert told.flags == {"\\Flagged", "$Later"}


async def test_a_content_that_is_lost_keeps_no_other_from_being_read(home: Home) -> None:
    one, _ = await filled(home)
    lost = next(digest for digest, octets in home.contents.messages.items() if b"body 2" in octets)
    del home.contents.messages[lost]
    answer = await one.command("FETCH 1:3 (BODY.PEEK[])")
    assert (answer.status, answer.code) == ("NO", "SERVERBUG")
    assert [each.number for each in answer.of("FETCH")] == [1, 3]
