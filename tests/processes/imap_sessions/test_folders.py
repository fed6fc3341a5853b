"""Mailboxes of sessions on real rows: LIST, STATUS, SELECT and what makes and deletes them."""

from tests.imap_client import Answer
from tests.processes.imap_sessions.home import BASE, QUOTA_OCTETS, Home, Visit

MESSAGE = b"Subject: m\r\n\r\nbody\r\n"


def names(answer: Answer) -> list[str]:
    return [str(each.tokens[2], "utf-8") for each in answer.of("LIST")]  # type: ignore[arg-type]


async def status(visit: Visit, mailbox: str, items: str) -> dict[str, object]:
    (told,) = (await visit.ok(f'STATUS "{mailbox}" ({items})')).of("STATUS")
    listed = told.tokens[1]
    assert isinstance(listed, list)
    return dict(zip(map(str, listed[::2]), listed[1::2], strict=True))


async def test_a_new_account_has_the_mailboxes_that_clients_look_for(home: Home) -> None:
    suda = await home.visit()
    listed = await suda.ok('LIST "" "*" RETURN (SPECIAL-USE)')
    assert names(listed) == ["INBOX", "Drafts", "Sent", "Junk", "Trash", "Archive"]
    assert "\\Sent" in str(listed.of("LIST")[2].tokens[0])


async def test_thai_names_go_both_ways(home: Home) -> None:
    suda = await home.visit()
    await suda.ok("CREATE &DgcOMg4Z-/2569")  # งาน
    assert names(await suda.ok('LIST "" "&DgcOMg4Z-/%"')) == ["&DgcOMg4Z-/2569"]
    await suda.ok("ENABLE IMAP4rev2")
    assert names(await suda.ok('LIST "" "งาน/*"'.encode())) == ["งาน/2569"]
    assert (await suda.ok('SELECT "งาน"'.encode())).code == "READ-WRITE"


async def test_a_tree_is_renamed_with_all_below_it(home: Home) -> None:
    suda = await home.visit()
    await suda.ok("CREATE a/b/c")
    await suda.ok("APPEND a/b/c {}", MESSAGE)
    await suda.ok("RENAME a x")
    assert names(await suda.ok('LIST "" "x*"')) == ["x", "x/b", "x/b/c"]
    assert (await status(suda, "x/b/c", "MESSAGES"))["MESSAGES"] == "1"


async def test_inbox_is_renamed_by_moving_what_is_in_it(home: Home) -> None:
    suda = await home.visit()
    await suda.ok("APPEND INBOX {}", MESSAGE)
    await suda.ok("RENAME INBOX Old")
    assert (await status(suda, "INBOX", "MESSAGES UIDNEXT")) == {"MESSAGES": "0", "UIDNEXT": "2"}
    assert (await status(suda, "Old", "MESSAGES"))["MESSAGES"] == "1"


async def test_a_mailbox_of_a_name_that_was_used_before_has_another_uidvalidity(home: Home) -> None:
    suda = await home.visit()
    await suda.ok("CREATE a")
    before = await status(suda, "a", "UIDVALIDITY")
    await suda.ok("DELETE a")
    await suda.ok("CREATE a")
    assert int(str((await status(suda, "a", "UIDVALIDITY"))["UIDVALIDITY"])) > int(str(before["UIDVALIDITY"]))


async def test_refusals_have_their_codes(home: Home) -> None:
    suda = await home.visit()
    await suda.ok("CREATE a/b")
    for command, code in (
        ("CREATE a", "ALREADYEXISTS"),
        ("DELETE a", "HASCHILDREN"),
        ("DELETE INBOX", "CANNOT"),
        ("DELETE nowhere", "NONEXISTENT"),
        ("RENAME a/b a", "ALREADYEXISTS"),
        ("SELECT nowhere", "NONEXISTENT"),
        ("STATUS nowhere (MESSAGES)", "NONEXISTENT"),
        ("CREATE more (USE (\\Sent))", "USEATTR"),
    ):
        answer = await suda.command(command)
        assert (answer.status, answer.code) == ("NO", code), command


async def test_status_counts_what_is_there(home: Home) -> None:
    suda = await home.visit()
    for flags in ("()", "(\\Seen)", "(\\Seen \\Deleted)"):
        await suda.ok(f"APPEND INBOX {flags} {{}}", MESSAGE)
    counted = await status(suda, "INBOX", "MESSAGES UIDNEXT UIDVALIDITY UNSEEN DELETED SIZE")
    assert counted == {
        "MESSAGES": "3",
        "UIDNEXT": "4",
        "UIDVALIDITY": str(BASE + 1),
        "UNSEEN": "1",
        "DELETED": "1",
        "SIZE": str(3 * len(MESSAGE)),
    }


async def test_select_tells_what_a_client_needs(home: Home) -> None:
    suda = await home.visit()
    await suda.ok("APPEND INBOX {}", MESSAGE)
    answer = await suda.ok("SELECT INBOX")
    codes = {each.code.split()[0] for each in answer.of("OK")}
    assert {"UIDVALIDITY", "UIDNEXT", "PERMANENTFLAGS", "HIGHESTMODSEQ"} <= codes
    assert [each.number for each in answer.of("EXISTS")] == [1]
    assert (await suda.ok("SELECT Sent")).untagged[0].code == "CLOSED"


async def test_a_failed_select_leaves_no_mailbox_selected(home: Home) -> None:
    suda = await home.visit()
    await suda.ok("SELECT INBOX")
    assert (await suda.command("SELECT nowhere")).status == "NO"
    assert (await suda.command("FETCH 1 (FLAGS)")).status == "BAD"


async def test_a_mailbox_deleted_by_another_session_becomes_empty(home: Home) -> None:
    one, other = await home.visit(), await home.visit()
    await one.ok("CREATE a")
    await one.ok("APPEND a {}", MESSAGE)
    await one.ok("SELECT a")
    await other.ok("DELETE a")
    assert [each.number for each in (await one.ok("NOOP")).of("EXPUNGE")] == [1]
    assert (await one.command("APPEND a {}", MESSAGE)).code == "TRYCREATE"


async def test_subscriptions_are_listed(home: Home) -> None:
    suda = await home.visit()
    await suda.ok("UNSUBSCRIBE Junk")
    assert "Junk" not in names(await suda.ok('LIST (SUBSCRIBED) "" "*"'))
    await suda.ok("SUBSCRIBE Junk")
    assert "Junk" in names(await suda.ok('LIST (SUBSCRIBED) "" "*"'))


async def test_list_with_status_answers_both(home: Home) -> None:
    suda = await home.visit()
    answer = await suda.ok('LIST "" "%" RETURN (STATUS (MESSAGES))')
    assert len(answer.of("LIST")) == len(answer.of("STATUS")) == 6


async def test_the_quota_is_told_and_kept(home: Home) -> None:
    suda = await home.visit()
    answer = await suda.ok("GETQUOTAROOT INBOX")
    assert answer.of("QUOTAROOT")
    assert [each.tokens for each in answer.of("QUOTA")] == [
        [b"", ["STORAGE", "0", str(QUOTA_OCTETS // 1024)]]
    ]
    assert (await suda.command('SETQUOTA "" (STORAGE 1)')).code == "NOPERM"


async def test_a_full_account_is_warned_and_takes_no_more_until_there_is_room(home: Home) -> None:
    suda = await home.visit()
    large = b"Subject: large\r\n\r\n" + b"0123456789abcde\r\n" * 55_000
    for _ in range(2):
        await suda.ok("APPEND INBOX {}", large)
    assert (await suda.command("APPEND INBOX {}", large)).code == "OVERQUOTA"
    warned = await suda.ok("SELECT INBOX")
    assert [each.code for each in warned.of("OK") if each.code == "ALERT"] == ["ALERT"]
    assert (await suda.command("COPY 1 Archive")).code == "OVERQUOTA"
    again = await suda.ok("SELECT INBOX")
    assert not [each for each in again.of("OK") if each.code == "ALERT"]  # once is enough
    await suda.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    await suda.ok("EXPUNGE")
    await suda.ok("APPEND INBOX {}", large)
