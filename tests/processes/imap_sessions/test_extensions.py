"""Extensions that clients of large mailboxes and small devices ask for, on real rows."""

from tests.imap_client import Answer, Token
from tests.processes.imap_sessions.home import Home, Visit

MESSAGE = b"Subject: m\r\n\r\nbody\r\n"


async def filled(home: Home, messages: int) -> Visit:
    suda = await home.visit()
    await suda.ok("APPEND INBOX " + " ".join(["{}"] * messages), *[MESSAGE] * messages)
    await suda.ok("SELECT INBOX")
    return suda


def uids(answer: Answer) -> list[str]:
    return [str(each.items["UID"]) for each in answer.of("FETCH")]


def uidfetched(answer: Answer) -> dict[int | None, Token]:
    return {each.number: each.tokens[0] for each in answer.of("UIDFETCH")}


async def test_a_part_of_many_messages_is_fetched(home: Home) -> None:
    """RFC 9394 §3.3."""
    suda = await filled(home, 7)
    await suda.ok("UID STORE 2 +FLAGS.SILENT (\\Deleted)")
    await suda.ok("EXPUNGE")
    assert uids(await suda.ok("UID FETCH 1:* (FLAGS) (PARTIAL 1:3)")) == ["1", "3", "4"]
    assert uids(await suda.ok("UID FETCH 1:* (FLAGS) (PARTIAL -1:-2)")) == ["6", "7"]
    assert uids(await suda.ok("UID FETCH 1:* (FLAGS) (PARTIAL 7:9)")) == []


async def test_a_part_of_many_results_is_told_and_saved(home: Home) -> None:
    """RFC 9394 §3.1 and §3.2."""
    suda = await filled(home, 7)
    (told,) = (await suda.ok("UID SEARCH RETURN (PARTIAL -1:-3) ALL")).of("ESEARCH")
    assert told.tokens[-2:] == ["PARTIAL", ["-1:-3", "5:7"]]
    await suda.ok("SEARCH RETURN (SAVE MIN PARTIAL 3:4) ALL")
    assert uids(await suda.ok("UID FETCH $ FLAGS")) == ["1", "3", "4"]


async def test_a_client_with_uidonly_hears_no_numbers(home: Home) -> None:
    """RFC 9586 §3."""
    suda, other = await filled(home, 4), await home.visit()
    assert [each.tokens for each in (await suda.ok("ENABLE UIDONLY")).of("ENABLED")] == [["UIDONLY"]]
    assert uidfetched(await suda.ok("UID FETCH 3:4 (UID FLAGS)")) == {3: ["FLAGS", []], 4: ["FLAGS", []]}
    assert uidfetched(await suda.ok("UID STORE 3 +FLAGS (\\Seen)")) == {3: ["FLAGS", ["\\Seen"]]}
    await other.ok("SELECT INBOX")
    await other.ok("UID STORE 1 +FLAGS.SILENT (\\Deleted)")
    await other.ok("EXPUNGE")
    news = await suda.ok("NOOP")
    assert [each.tokens for each in news.of("VANISHED")] == [["1"]]
    assert news.of("EXPUNGE") == news.of("FETCH") == []


async def test_a_client_with_uidonly_names_none_either(home: Home) -> None:
    suda = await filled(home, 2)
    await suda.ok("ENABLE UIDONLY")
    for command in ("FETCH 1 FLAGS", "STORE 1 FLAGS ()", "COPY 1 INBOX", "SEARCH ALL", "UID SEARCH 1:2"):
        answer = await suda.command(command)
        assert (answer.status, answer.code) == ("BAD", "UIDREQUIRED"), command
    await suda.ok("UID SEARCH UID 1:2")
