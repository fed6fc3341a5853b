"""Mailboxes of one person that others use: rights, \\Seen of one's own, copies and moves between accounts."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from gateway.domain.changes import MessageMovedIn, MessageMovedOut
from gateway.domain.events import MessageRead
from gateway.processes.imap import folder_commands, session, transferring
from gateway.processes.imap.places import Place, others_places
from gateway.processes.listening.wire import Over
from projections.directory.query import Person
from projections.readmodel import Rows
from tests.imap_client import Answer
from tests.processes.imap_sessions.home import MALEE, SUDA, Home, Visit
from tests.processes.imap_sessions.test_folders import names, status

MESSAGE = b"Subject: m\r\n\r\nbody\r\n"
DESK = "Other Users/suda@opm.go.th"


async def shared(home: Home, rights: str, who: str = "malee@opm.go.th") -> tuple[Visit, Visit]:
    """Suda with two messages in a mailbox that Malee has rights to, and Malee."""
    suda, malee = await home.visit(), await home.visit(home.malee)
    await suda.ok("CREATE desk")
    await suda.ok("APPEND desk {} {}", MESSAGE, MESSAGE)
    await suda.ok(f"SETACL desk {who} {rights}")
    return suda, malee


def said(token: object) -> str:
    return token.decode() if isinstance(token, bytes) else str(token)


def flags(answer: Answer) -> list[str]:
    return [" ".join(one.flags) for one in answer.of("FETCH") if "FLAGS" in one.items]


async def test_who_has_no_lookup_right_is_told_what_nobody_there_is_told(home: Home) -> None:
    _, malee = await shared(home, "r")
    missing = await malee.command('SELECT "Other Users/suda@opm.go.th/nowhere"')
    hidden = await malee.command(f'SELECT "{DESK}/desk"')
    assert (hidden.status, hidden.code, hidden.text) == (missing.status, missing.code, missing.text)
    assert not [name for name in names(await malee.ok('LIST "" "*"')) if name.startswith("Other")]


async def test_what_is_shared_is_listed_below_its_owner(home: Home) -> None:
    suda, malee = await shared(home, "lr")
    await suda.ok("CREATE desk/2569")  # who works above works below
    assert names(await malee.ok('LIST "" "Other*"')) == [
        "Other Users", DESK, f"{DESK}/desk", f"{DESK}/desk/2569",
    ]  # fmt: skip
    listed = (await malee.ok('LIST "" "%" RETURN (CHILDREN)')).of("LIST")
    assert any("Other Users" in str(one.tokens) and "NonExistent" in str(one.tokens) for one in listed)
    told = await malee.ok(f'LIST "" "{DESK}/%" RETURN (MYRIGHTS)')
    assert [said(one.tokens[1]) for one in told.of("MYRIGHTS")] == ["lr"]
    (namespace,) = (await malee.ok("NAMESPACE")).of("NAMESPACE")
    assert "Other Users/" in str(namespace.tokens[1])


async def test_rights_are_given_added_taken_and_told(home: Home) -> None:
    suda, malee = await shared(home, "lr")
    await suda.ok("SETACL desk malee@opm.go.th +sw")
    await suda.ok("SETACL desk anyone l")
    (told,) = (await suda.ok("GETACL desk")).of("ACL")
    assert [said(one) for one in told.tokens[1:]] == [
        "suda@opm.go.th", "lrswipkxteacd", "malee@opm.go.th", "lrsw", "anyone", "l",
    ]  # fmt: skip
    await suda.ok("SETACL desk malee@opm.go.th -w")
    (mine,) = (await malee.ok(f'MYRIGHTS "{DESK}/desk"')).of("MYRIGHTS")
    assert said(mine.tokens[1]) == "lrs"
    await suda.ok("DELETEACL desk malee@opm.go.th")
    (mine,) = (await malee.ok(f'MYRIGHTS "{DESK}/desk"')).of("MYRIGHTS")
    assert said(mine.tokens[1]) == "l"
    (own,) = (await suda.ok("LISTRIGHTS desk suda@opm.go.th")).of("LISTRIGHTS")
    assert said(own.tokens[2]) == "lrswipkxtea"


@pytest.mark.parametrize("who", ["somchai@dld.go.th", "nobody@opm.go.th", "-malee@opm.go.th", "team"])
async def test_rights_stay_within_the_agency(home: Home, who: str) -> None:
    suda = await home.visit()
    assert (await suda.command(f"SETACL INBOX {who} lr")).status == "NO"
    await suda.ok("SETACL INBOX anyone lr")
    somchai = await home.visit(home.somchai)
    assert not [name for name in names(await somchai.ok('LIST "" "*"')) if name.startswith("Other")]


@pytest.mark.parametrize(
    ("rights", "allowed", "refused"),
    [
        ("l", [], ["SELECT {}", "STATUS {} (MESSAGES)", "APPEND {} {{}}", "GETACL {}", "DELETE {}"]),
        ("lr", ["SELECT {}"], ["STORE 1 +FLAGS (\\Flagged)", "STORE 1 +FLAGS (\\Seen)", "EXPUNGE"]),
        ("lrs", ["SELECT {}", "STORE 1 +FLAGS (\\Seen \\Flagged)"], ["STORE 1 FLAGS (\\Seen)", "EXPUNGE"]),
        ("lrsw", ["SELECT {}", "STORE 1 +FLAGS ($Work)"], ["STORE 1 +FLAGS (\\Deleted)"]),
        ("lrte", ["SELECT {}", "STORE 1 +FLAGS (\\Deleted)", "EXPUNGE", "MOVE 1 INBOX"], ["CREATE {}/new"]),
        ("li", ["APPEND {} {{}}"], ["SELECT {}"]),
        ("lk", ["CREATE {}/new"], ["DELETE {}", "RENAME {} INBOX2"]),
        ("la", ["GETACL {}", "SETACL {} anyone l", "LISTRIGHTS {} anyone"], ["SELECT {}"]),
    ],
)  # fmt: skip
async def test_each_command_needs_its_right(
    home: Home, rights: str, allowed: list[str], refused: list[str]
) -> None:
    _, malee = await shared(home, rights)
    name = f'"{DESK}/desk"'
    for command in allowed:
        text = command.format(name, name).replace('"/new', '/new"')
        assert (await malee.command(text, *([MESSAGE] if "{}" in text else []))).status == "OK", text
    for command in refused:
        text = command.format(name, name).replace('"/new', '/new"')
        answer = await malee.command(text, *([MESSAGE] if "{}" in text else []))
        assert (answer.status, answer.code) == ("NO", "NOPERM") or "READ-ONLY" in str(answer.code), text


async def test_seen_is_everybodys_own(home: Home) -> None:
    suda, malee = await shared(home, "lrsw")
    await malee.ok(f'SELECT "{DESK}/desk"')
    await malee.ok("FETCH 1 (BODY[])")
    await malee.ok("STORE 1 +FLAGS (\\Flagged)")
    (read,) = [one for one in home.events(MessageRead) if not one.peek]
    assert (read.account_id, read.actor.id) == (SUDA, MALEE)

    assert (await status(malee, f"{DESK}/desk", "UNSEEN"))["UNSEEN"] == "1"
    assert (await status(suda, "desk", "UNSEEN"))["UNSEEN"] == "2"
    await suda.ok("SELECT desk")
    assert ["\\Seen" in one for one in flags(await suda.ok("FETCH 1:* FLAGS"))] == [False, False]
    assert ["\\Flagged" in one for one in flags(await suda.ok("FETCH 1:* FLAGS"))] == [True, False]
    (found,) = (await malee.ok("SEARCH UNSEEN")).of("SEARCH")
    assert [said(one) for one in found.tokens] == ["2"]
    (found,) = (await suda.ok("SEARCH UNSEEN")).of("SEARCH")
    assert [said(one) for one in found.tokens] == ["1", "2"]

    await suda.ok("STORE 2 +FLAGS (\\Seen)")
    await malee.ok("NOOP")
    assert ["\\Seen" in one for one in flags(await malee.ok("FETCH 1:* FLAGS"))] == [True, False]
    await malee.ok("STORE 1 -FLAGS (\\Seen)")
    assert (await status(malee, f"{DESK}/desk", "UNSEEN"))["UNSEEN"] == "2"


async def test_modseqs_are_right_for_each_viewer(home: Home) -> None:
    suda, malee = await shared(home, "lrs")
    selected = await malee.ok(f'SELECT "{DESK}/desk" (CONDSTORE)')
    (told,) = [one for one in selected.untagged if "HIGHESTMODSEQ" in str(one)]
    before = int(str(told.code).split()[1])
    stored = await malee.ok(f"STORE 1 (UNCHANGEDSINCE {before}) +FLAGS (\\Seen)")
    assert not str(stored.code).startswith("MODIFIED")
    assert len((await malee.ok(f"FETCH 1:* (FLAGS) (CHANGEDSINCE {before})")).of("FETCH")) == 1
    refused = await malee.command(f"STORE 1 (UNCHANGEDSINCE {before}) -FLAGS (\\Seen)")
    assert str(refused.code).startswith("MODIFIED")
    await suda.ok("SELECT desk (CONDSTORE)")
    assert not (await suda.ok(f"FETCH 1:* (FLAGS) (CHANGEDSINCE {before})")).of("FETCH")
    await suda.ok(f"STORE 1 (UNCHANGEDSINCE {before}) +FLAGS (\\Seen)")


async def test_other_sessions_of_the_viewer_hear_of_it(home: Home) -> None:
    _, malee = await shared(home, "lrs")
    phone = await home.visit(home.malee)
    for visit in (malee, phone):
        await visit.ok(f'SELECT "{DESK}/desk"')
    await malee.ok("STORE 2 +FLAGS (\\Seen)")
    assert ["\\Seen" in one for one in flags(await phone.ok("NOOP"))] == [True]


async def test_who_loses_the_right_while_the_mailbox_is_selected_is_told_good_bye(home: Home) -> None:
    suda, malee = await shared(home, "lr")
    await malee.ok(f'SELECT "{DESK}/desk"')
    await suda.ok("DELETEACL desk malee@opm.go.th")
    with pytest.raises(Over):
        await malee.command("FETCH 1 FLAGS")
    assert malee.paper.said.endswith(b"* BYE [NOPERM] The mailbox is not shared with you any more\r\n")


async def test_who_is_suspended_has_no_rights(home: Home) -> None:
    _, malee = await shared(home, "lr", "anyone")
    await malee.ok(f'SELECT "{DESK}/desk"')
    await home.suspend(home.malee)
    with pytest.raises(Over):
        await malee.command("NOOP")
    again = await home.visit(home.malee)
    assert (await again.command(f'SELECT "{DESK}/desk"')).code == "NONEXISTENT"


async def test_a_message_is_copied_between_accounts_and_can_be_read_there(home: Home) -> None:
    suda, malee = await shared(home, "lri")
    await malee.ok("APPEND INBOX (\\Flagged) {}", b"Subject: mine\r\n\r\nof Malee\r\n")
    await malee.ok("SELECT INBOX")
    copied = await malee.ok(f'COPY 1 "{DESK}/desk"')
    assert str(copied.code).split()[0] == "COPYUID"
    assert str(copied.code).split()[2:] == ["1", "3"]
    await suda.ok("SELECT desk")
    assert b"of Malee" in b"".join(
        one.octets for one in (await suda.ok("FETCH 3 (FLAGS BODY[])")).of("FETCH")
    )


async def test_a_message_is_moved_between_accounts(home: Home) -> None:
    suda, malee = await shared(home, "lrswte")
    await malee.ok(f'SELECT "{DESK}/desk"')
    await malee.ok("STORE 2 +FLAGS (\\Seen \\Flagged)")
    moved = await malee.ok("MOVE 1:2 INBOX")
    assert any("COPYUID" in str(one) for one in moved.untagged)
    assert (await status(suda, "desk", "MESSAGES SIZE")) == {"MESSAGES": "0", "SIZE": "0"}
    await malee.ok("SELECT INBOX")
    assert ["\\Seen" in one and "\\Flagged" in one for one in flags(await malee.ok("FETCH 1:* FLAGS"))] == [
        False, True,
    ]  # fmt: skip
    assert (await malee.ok("FETCH 1:2 BODY[]")).status == "OK"


async def test_of_two_who_move_the_same_message_one_has_it(home: Home) -> None:
    suda, malee = await shared(home, "lrswte")
    await malee.ok(f'SELECT "{DESK}/desk"')
    await suda.ok("SELECT desk")
    first, second = await asyncio.gather(suda.command("MOVE 1:2 Archive"), malee.command("MOVE 1:2 INBOX"))
    got = [
        int(str((await status(suda, "Archive", "MESSAGES"))["MESSAGES"])),
        int(str((await status(malee, "INBOX", "MESSAGES"))["MESSAGES"])),
    ]
    assert sorted(got) == [0, 2]
    assert {first.status, second.status} == {"OK", "NO"}


async def test_a_move_whose_process_was_killed_in_between_is_finished_once(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, malee = await shared(home, "lrswte")
    await malee.ok(f'SELECT "{DESK}/desk"')

    async def killed(*_: object) -> list[object]:
        raise Over("failed", "killed")

    monkeypatch.setattr("gateway.processes.imap.transferring._move_in", killed)
    with pytest.raises(Over):
        await malee.command("MOVE 1:2 INBOX")
    assert not home.events(MessageMovedIn)
    assert await home.transfers.finish() == 0  # who moves it may still be at it
    monkeypatch.setattr("gateway.processes.transfers.LEFT_BEHIND_AFTER", timedelta(seconds=-1))
    again = await home.visit(home.malee)
    for _ in range(2):  # and who does it twice doubles nothing
        await home.transfers.finish()
    (out,) = home.events(MessageMovedOut)
    position = await home.log.last()
    await again.session.reach(position)
    assert (await status(again, "INBOX", "MESSAGES"))["MESSAGES"] == "2"
    assert {one.mail_id for one in home.events(MessageMovedIn)} == set(out.mail_ids)
    await again.ok("SELECT INBOX")
    assert (await again.ok("FETCH 1:2 BODY[]")).status == "OK"


async def test_a_move_is_finished_also_when_that_could_not_be_done_for_long(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, malee = await shared(home, "lrswte")
    assert await home.transfers.finish() == 0  # all that ever left was looked at
    await malee.ok(f'SELECT "{DESK}/desk"')

    async def killed(*_: object) -> list[object]:
        raise Over("failed", "killed")

    monkeypatch.setattr(transferring, "_move_in", killed)
    with pytest.raises(Over):
        await malee.command("MOVE 1:2 INBOX")
    monkeypatch.setattr("gateway.processes.transfers.LEFT_BEHIND_AFTER", timedelta(seconds=-1))
    monkeypatch.setattr("gateway.processes.transfers.LATELY", timedelta(0))  # it left longer ago than that
    assert await home.transfers.finish() == 2


async def test_the_quota_of_who_holds_it_counts(home: Home) -> None:
    suda, malee = await shared(home, "lri")
    large = b"Subject: large\r\n\r\n" + b"x" * 990_000
    await suda.ok("APPEND INBOX {} {}", large, large)
    await malee.ok("APPEND INBOX {}", b"Subject: m\r\n\r\n" + b"y" * 50_000)
    await malee.ok("SELECT INBOX")
    assert (await malee.command(f'COPY 1 "{DESK}/desk"')).code == "OVERQUOTA"
    assert (
        await malee.command(f'APPEND "{DESK}/desk" {{}}', b"Subject: m\r\n\r\n" + b"y" * 50_000)
    ).code == "OVERQUOTA"
    (root,) = (await malee.ok(f'GETQUOTAROOT "{DESK}/desk"')).of("QUOTAROOT")
    assert said(root.tokens[1]) == DESK
    (quota,) = (await malee.ok(f'GETQUOTA "{DESK}"')).of("QUOTA")
    (own,) = (await malee.ok('GETQUOTA ""')).of("QUOTA")
    assert said(quota.tokens[1]) != said(own.tokens[1])


async def test_mailboxes_are_made_renamed_and_deleted_where_one_may(home: Home) -> None:
    suda, malee = await shared(home, "lrkx")
    await malee.ok(f'CREATE "{DESK}/desk/2569/&DgcOMg4Z-"')  # งาน
    await malee.ok(f'RENAME "{DESK}/desk/2569" "{DESK}/desk/2570"')
    assert "desk/2570/&DgcOMg4Z-" in names(await suda.ok('LIST "" "*"'))
    assert (await malee.command(f'RENAME "{DESK}/desk/2570" mine')).code == "CANNOT"
    assert (await malee.command(f'CREATE "{DESK}/top"')).code == "NOPERM"
    assert (await malee.command(f'RENAME "{DESK}/desk" "{DESK}/top"')).code == "NOPERM"
    await malee.ok(f'DELETE "{DESK}/desk/2570/&DgcOMg4Z-"')
    assert (await malee.command('CREATE "Other Users/x"')).code == "NOPERM"
    assert (await malee.command('CREATE "Other Users"')).code == "CANNOT"


async def test_nothing_is_made_below_a_mailbox_that_one_may_not_see(home: Home) -> None:
    suda, malee = await shared(home, "lrkx")
    await malee.ok(f'CREATE "{DESK}/desk/mine"')
    await suda.ok("CREATE desk/&AOk-")
    await suda.ok("DELETEACL desk/&AOk- malee@opm.go.th")
    for hidden in ("&AOk-", "e&AwE-"):  # composed and not: the same name
        assert (await malee.command(f'CREATE "{DESK}/desk/{hidden}/new"')).code == "NOPERM"
        assert (await malee.command(f'RENAME "{DESK}/desk/mine" "{DESK}/desk/{hidden}/new"')).code == "NOPERM"
    assert not [name for name in names(await suda.ok('LIST "" "*"')) if name.endswith("new")]


async def test_a_right_is_to_a_mailbox_and_not_to_what_has_its_name_now(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The owner names another mailbox so, between the look at the rights and the decision."""
    suda, malee = await shared(home, "lrwkx")
    async with home.pool.rows() as rows:
        before = await others_places(rows, home.malee)

    async def as_before(rows: Rows, person: Person) -> dict[str, Place]:
        return before

    await suda.ok("RENAME desk cellar")
    await suda.ok("CREATE desk")
    for module in (session, folder_commands):
        monkeypatch.setattr(module, "others_places", as_before)
    desk = f'"{DESK}/desk"'
    for command in (
        f"DELETE {desk}",
        f'RENAME {desk} "{DESK}/desk/x"',
        f'SETMETADATA {desk} (/shared/comment "x")',
    ):
        assert (await malee.command(command)).code == "NONEXISTENT", command
    assert {"desk", "cellar"} <= set(names(await suda.ok('LIST "" "*"')))


async def test_what_a_mailbox_is_for_its_owner_says(home: Home) -> None:
    suda, malee = await shared(home, "lrk")
    await suda.ok("DELETE Junk")
    assert (await malee.command(f'CREATE "{DESK}/desk/junk" (USE (\\Junk))')).code == "USEATTR"


async def test_notes_of_others_mailboxes_are_those_they_share(home: Home) -> None:
    suda, malee = await shared(home, "lrw")
    await suda.ok('SETMETADATA desk (/private/comment "mine" /shared/comment "ours")')
    answer = await malee.ok(f'GETMETADATA "{DESK}/desk" (/private/comment /shared/comment)')
    assert b"ours" in answer.of("METADATA")[0].octets
    assert b"mine" not in answer.of("METADATA")[0].octets
    await malee.ok(f'SETMETADATA "{DESK}/desk" (/shared/comment "theirs")')
    refused = await malee.command(f'SETMETADATA "{DESK}/desk" (/private/comment "x")')
    assert (refused.status, refused.code) == ("NO", "METADATA NOPRIVATE")
    assert b"theirs" in (await suda.ok("GETMETADATA desk /shared/comment")).of("METADATA")[0].octets


async def test_a_move_that_somebody_else_has_finished_is_told_as_done(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, malee = await shared(home, "lrswte")
    await malee.ok(f'SELECT "{DESK}/desk"')
    monkeypatch.setattr("gateway.processes.transfers.LEFT_BEHIND_AFTER", timedelta(seconds=-1))
    own_half = transferring._move_in

    async def slowly(*arguments: Any) -> Any:
        await home.transfers.finish()
        return await own_half(*arguments)

    monkeypatch.setattr(transferring, "_move_in", slowly)
    moved = await malee.ok("MOVE 1:2 INBOX")
    assert not any("COPYUID" in str(one) for one in moved.untagged)
    assert (await status(malee, "INBOX", "MESSAGES"))["MESSAGES"] == "2"


async def test_who_gives_themselves_no_more_than_the_owner_lets_them(home: Home) -> None:
    suda, malee = await shared(home, "lra")
    await malee.ok(f'SETACL "{DESK}/desk" anyone lr')
    assert (await malee.command(f'SETACL "{DESK}/desk" suda@opm.go.th lr')).status == "NO"
    await suda.ok("SETACL desk malee@opm.go.th -a")
    assert (await malee.command(f'SETACL "{DESK}/desk" anyone +w')).code == "NOPERM"


async def test_everybody_subscribes_for_themselves(home: Home) -> None:
    suda, malee = await shared(home, "lr")
    name = f"{DESK}/desk"
    assert name in names(await malee.ok('LIST (SUBSCRIBED) "" "*"'))
    await malee.ok(f'UNSUBSCRIBE "{name}"')
    assert name not in names(await malee.ok('LIST (SUBSCRIBED) "" "*"'))
    assert name in names(await malee.ok('LIST "" "*"'))
    assert "desk" in names(await suda.ok('LIST (SUBSCRIBED) "" "*"'))
    await malee.ok(f'SUBSCRIBE "{name}"')
    assert name in names(await malee.ok('LIST (SUBSCRIBED) "" "*"'))
