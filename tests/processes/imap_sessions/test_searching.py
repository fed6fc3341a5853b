"""SEARCH, SORT and THREAD of sessions on real rows, with Thai texts."""

from tests.imap_client import Answer
from tests.processes.imap_sessions.home import Home, Visit


def mail(subject: str, body: str, *more: str) -> bytes:
    fields = [f"Subject: {subject}", "From: Ann <ann@example.org>", "Content-Type: text/plain; charset=utf-8"]
    return "\r\n".join([*fields, *more, "", body, ""]).encode()


async def filled(home: Home) -> Visit:
    suda = await home.visit()
    messages = [
        mail(
            "งบประมาณ 2569",
            "ขอเชิญประชุมเรื่องน้ำท่วม",
            "Message-ID: <1@x>",
            "Date: Mon, 2 Feb 2026 09:00:00 +0700",
        ),
        mail("Re: งบประมาณ 2569", "ตอบรับ", "Message-ID: <2@x>", "References: <1@x>"),
        mail("hello", "flood report", "Message-ID: <3@x>", "X-Class: secret"),
    ]
    await suda.ok("APPEND INBOX (\\Seen) {} () {} ($Work) {}", *messages)
    await suda.ok("SELECT INBOX")
    return suda


def found(answer: Answer) -> list[int]:
    (told,) = answer.of("SEARCH")
    return [int(str(token)) for token in told.tokens]


SEARCHES = [
    ("ALL", [1, 2, 3]),
    ("UNSEEN", [2, 3]),
    ("KEYWORD $Work", [3]),
    ("NOT SEEN SUBJECT hello", [3]),
    ("OR SEEN KEYWORD $Work", [1, 3]),
    ("2:*", [2, 3]),
    ("UID 1,3", [1, 3]),
    ("FROM ann", [1, 2, 3]),
    ("HEADER X-Class secret", [3]),
    ("HEADER References 1@x", [2]),
    ("SENTON 2-Feb-2026", [1]),
    ("BODY report", [3]),
    ("TEXT secret", [3]),
    ("BODY nothing-of-that", []),
    ("LARGER 100000", []),
    ("YOUNGER 3600", [1, 2, 3]),
]


async def test_a_search_finds_what_it_is_for(home: Home) -> None:
    suda = await filled(home)
    for keys, numbers in SEARCHES:
        assert found(await suda.ok(f"SEARCH {keys}")) == numbers, keys


async def test_thai_is_found_in_subjects_and_bodies(home: Home) -> None:
    suda = await filled(home)
    for keys, numbers in (("SUBJECT {}", [1, 2]), ("TEXT {}", [1, 2])):
        assert found(await suda.ok(f"SEARCH CHARSET UTF-8 {keys}", "งบประมาณ".encode())) == numbers
    assert found(await suda.ok("SEARCH CHARSET UTF-8 BODY {}", "ประชุม".encode())) == [1]
    assert found(await suda.ok("SEARCH CHARSET TIS-620 BODY {}", "น้ำท่วม".encode("tis-620"))) == [1]


async def test_an_extended_search_tells_what_it_is_asked_for(home: Home) -> None:
    suda = await filled(home)
    (told,) = (await suda.ok("UID SEARCH RETURN (MIN MAX COUNT ALL) UNSEEN")).of("ESEARCH")
    assert told.tokens[1:] == ["UID", "MIN", "2", "MAX", "3", "ALL", "2:3", "COUNT", "2"]


async def test_what_a_search_saves_is_named_by_a_dollar(home: Home) -> None:
    suda = await filled(home)
    assert (await suda.ok("SEARCH RETURN (SAVE) UNSEEN")).untagged == []
    assert [each.number for each in (await suda.ok("FETCH $ (FLAGS)")).of("FETCH")] == [2, 3]


async def test_a_sort_is_in_order(home: Home) -> None:
    suda = await filled(home)
    (told,) = (await suda.ok("SORT (REVERSE SIZE) UTF-8 ALL")).of("SORT")
    assert [int(str(token)) for token in told.tokens] == [1, 2, 3]
    (told,) = (await suda.ok("SORT (SUBJECT) UTF-8 ALL")).of("SORT")
    assert [int(str(token)) for token in told.tokens] == [3, 1, 2]


async def test_an_answer_is_in_the_thread_of_what_it_answers(home: Home) -> None:
    suda = await filled(home)
    (told,) = (await suda.ok("THREAD REFERENCES UTF-8 ALL")).of("THREAD")
    assert sorted(map(str, told.tokens)) == ["['1', '2']", "['3']"]
