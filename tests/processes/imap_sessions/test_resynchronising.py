"""CONDSTORE and QRESYNC: a client that was away learns in one answer what it missed (RFC 7162)."""

from gateway.mail.uids import each_uid, parse_uids
from tests.imap_client import Answer
from tests.processes.imap_sessions.home import Home, Visit
from tests.sizes import size

CHANGES = size(300, 10_000)
MESSAGE = b"Subject: m\r\n\r\nbody\r\n"


async def filled(home: Home, messages: int) -> Visit:
    suda = await home.visit()
    await suda.ok("APPEND INBOX " + " ".join(["(\\Seen) {}"] * messages), *[MESSAGE] * messages)
    return suda


def code_of(answer: Answer, name: str) -> int:
    return next(int(each.code.split()[1]) for each in answer.of("OK") if each.code.startswith(name))


def vanished(answer: Answer) -> list[int]:
    return [uid for each in answer.of("VANISHED") for uid in each_uid(parse_uids(str(each.tokens[-1])))]


async def test_a_client_that_was_away_learns_all_in_one_answer(home: Home) -> None:
    suda = await filled(home, 10)
    away = await suda.ok("SELECT INBOX")
    uidvalidity, modseq = code_of(away, "UIDVALIDITY"), code_of(away, "HIGHESTMODSEQ")
    await suda.ok("STORE 2,4 -FLAGS.SILENT (\\Seen)")
    await suda.ok("STORE 7:8 +FLAGS.SILENT (\\Deleted)")
    await suda.ok("EXPUNGE")
    await suda.ok("APPEND INBOX {}", MESSAGE)
    await suda.ok("UNSELECT")

    back = await home.visit()
    assert (await back.ok("ENABLE QRESYNC")).of("ENABLED")
    told = await back.ok(f"SELECT INBOX (QRESYNC ({uidvalidity} {modseq} 1:10))")
    assert vanished(told) == [7, 8]
    assert {each.items["UID"]: each.flags for each in told.of("FETCH")} == {"2": set(), "4": set()}
    whole = await back.ok(f"SELECT INBOX (QRESYNC ({uidvalidity} {modseq}))")
    assert [each.items["UID"] for each in whole.of("FETCH")] == ["2", "4", "11"]


async def test_another_uidvalidity_means_to_begin_anew(home: Home) -> None:
    suda = await filled(home, 2)
    await suda.ok("ENABLE QRESYNC")
    told = await suda.ok("SELECT INBOX (QRESYNC (4711 1))")
    assert told.of("FETCH") == told.of("VANISHED") == []


async def test_qresync_wants_to_be_enabled(home: Home) -> None:
    suda = await filled(home, 1)
    assert (await suda.command("SELECT INBOX (QRESYNC (1 1))")).status == "BAD"


async def test_who_enabled_qresync_hears_vanished_with_uids(home: Home) -> None:
    one = await filled(home, 5)
    other = await home.visit()
    await other.ok("ENABLE QRESYNC")
    await one.ok("SELECT INBOX")
    await other.ok("SELECT INBOX")
    await one.ok("STORE 2,4 +FLAGS.SILENT (\\Deleted)")
    await one.ok("EXPUNGE")
    told = await other.ok("NOOP")
    assert vanished(told) == [2, 4]
    assert told.of("EXPUNGE") == []


async def test_changed_since_shows_what_changed_and_what_vanished(home: Home) -> None:
    one = await filled(home, 5)
    await one.ok("ENABLE QRESYNC")
    modseq = code_of(await one.ok("SELECT INBOX"), "HIGHESTMODSEQ")
    await one.ok("STORE 1 +FLAGS.SILENT (\\Flagged)")
    await one.ok("STORE 5 +FLAGS.SILENT (\\Deleted)")
    await one.ok("EXPUNGE")
    told = await one.ok(f"UID FETCH 1:* (FLAGS) (CHANGEDSINCE {modseq} VANISHED)")
    assert vanished(told) == [5]
    (changed,) = told.of("FETCH")
    assert changed.items["UID"] == "1"
    assert "MODSEQ" in changed.items


async def test_a_silent_store_tells_the_new_modseq_to_who_knows_of_it(home: Home) -> None:
    one = await filled(home, 2)
    await one.ok("ENABLE CONDSTORE")
    await one.ok("SELECT INBOX")
    (told,) = (await one.ok("STORE 1 +FLAGS.SILENT (\\Flagged)")).of("FETCH")
    assert "FLAGS" not in told.items
    assert "MODSEQ" in told.items


async def test_ten_thousand_changes_are_learnt_in_one_round_trip(home: Home) -> None:
    """Issue 4/9, acceptance 4: a client that was away for so many changes asks once."""
    suda = await filled(home, 60)
    await suda.ok("CREATE Many")
    await suda.ok("SELECT INBOX")
    while await messages_in(suda, "Many") < CHANGES // 2:
        await suda.ok("COPY 1:* Many")
    away = await suda.ok("SELECT Many")
    uidvalidity, modseq = code_of(away, "UIDVALIDITY"), code_of(away, "HIGHESTMODSEQ")
    uids = await messages_in(suda, "Many")
    await suda.ok("UID STORE 1:* +FLAGS.SILENT (\\Flagged)")
    await suda.ok(
        "UID STORE 1:*".replace("1:*", ",".join(map(str, range(1, uids, 2)))) + " +FLAGS.SILENT (\\Deleted)"
    )
    await suda.ok("EXPUNGE")
    await suda.ok("UNSELECT")

    back = await home.visit()
    await back.ok("ENABLE QRESYNC")
    told = await back.ok(f"SELECT Many (QRESYNC ({uidvalidity} {modseq} 1:{uids}))")
    assert vanished(told) == list(range(1, uids, 2))
    assert [int(str(each.items["UID"])) for each in told.of("FETCH")] == list(range(2, uids + 1, 2))
    octets = sum(len(each.octets) for each in told.untagged)
    print(f"{uids} flags changed, {len(vanished(told))} of them gone: one round trip of {octets} octets")


async def messages_in(visit: Visit, mailbox: str) -> int:
    (told,) = (await visit.ok(f"STATUS {mailbox} (MESSAGES)")).of("STATUS")
    listed = told.tokens[1]
    assert isinstance(listed, list)
    return int(str(listed[1]))
