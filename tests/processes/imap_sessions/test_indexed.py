"""SEARCH answered from rows: the same as by reading, without reading, and by reading what rows lack."""

import base64
import random

import pytest

from gateway.domain.account import account_key_name
from gateway.domain.events import Content
from gateway.ports import Unavailable
from gateway.processes.steward import indexing
from gateway.processes.steward.indexing import Indexer
from projections import texts
from tests.processes.imap_sessions.home import SUDA, Home, Visit
from tests.processes.imap_sessions.test_searching import SEARCHES, filled, found, mail

BODIES = [
    "ขอเชิญประชุมเรื่องน้ำท่วม ที่ทำการ",
    "นํ้าท่วม typed as it is printed",  # nikhahit, then the tone mark, then SARA AA
    "100% of [a-z]* costs \\ 5_000 ^$ (.+) {2} |",
    "Straße İstanbul ﬁve",
    "first line\r\nsecond line with\x01marks",
    "Z",
    "",
]
TEXTS = [
    "น้ำ", "นํ้า", "น", "้", "ำ", "\u0e4d", "ท่", "z", "Z", "", " ", "%", "_", "\\", "[a-z]*", "(.+)", "^$",
    "STRASSE", "i̇", "five", "line\r\nsecond", "e s", "\x01", "e-1", "Subject: e", "x-class", "X-CLASS: s",
    "5_000", "yard",
    "{2}",
]  # fmt: skip
FIELDS = ["x-class", "from", "subject", "content-type", "received", "x.class", "x-none"]


async def index(home: Home) -> Indexer:
    """Everything that has come is in the rows."""
    indexer = Indexer(home.log, home.pool, home.contents, home.keys)
    while await indexer.step():
        pass
    return indexer


async def searched(suda: Visit, key: str, text: str) -> list[int]:
    return found(await suda.ok(f"SEARCH CHARSET UTF-8 {key} {{}}", text.encode()))


async def test_rows_answer_as_reading_does(home: Home) -> None:
    suda = await home.visit()
    chance = random.Random(5)
    signs = "กานที่้ำ\u0e4dx Z.%_\\-é"
    bodies = [*BODIES, *("".join(chance.choices(signs, k=30)) for _ in range(20))]
    for number, body in enumerate(bodies):
        more = [f"X-Class: s{number}", "X.Class: dot", "Received: by e-1", "Received: by e-2"]
        await suda.ok("APPEND INBOX {}", mail(f"e{number} {body[:4].strip()}", body, *more))
    encoded = base64.b64encode(b"the\x00yard").decode()
    await suda.ok("APPEND INBOX {}", mail("coded", encoded, "Content-Transfer-Encoding: base64"))
    await suda.ok("SELECT INBOX")
    asked = [(key, text) for text in [*TEXTS, *(body[3:5] for body in bodies)] for key in ("BODY", "TEXT")]
    asked += [(f"HEADER {field}", text) for field in FIELDS for text in TEXTS]
    asked += [("NOT BODY", "น"), ("OR BODY Z TEXT", "น้ำ"), ("2:5 TEXT Z NOT BODY", "ท่วม")]
    read = [await searched(suda, key, text) for key, text in asked]
    assert [1, 2] in read, "both ways to type it are one"
    await index(home)
    for (key, text), numbers in zip(asked, read, strict=True):
        assert await searched(suda, key, text) == numbers, (key, text)


async def test_nothing_is_read_for_what_rows_say(home: Home) -> None:
    suda = await filled(home)
    await index(home)
    home.contents.messages.clear()
    for keys, numbers in SEARCHES:
        assert found(await suda.ok(f"SEARCH {keys}")) == numbers, keys


async def test_what_rows_lack_is_read(home: Home) -> None:
    suda = await filled(home)
    await index(home)
    await suda.ok("APPEND INBOX {}", mail("later", "flood again"))
    assert found(await suda.ok("SEARCH BODY flood")) == [3, 4]


async def test_copies_are_found_by_what_their_message_says(home: Home) -> None:
    suda = await filled(home)
    await suda.ok("CREATE Other")
    await suda.ok("COPY 3 Other")
    await index(home)
    home.contents.messages.clear()
    await suda.ok("SELECT Other")
    assert found(await suda.ok("SEARCH BODY report")) == [1]


async def test_texts_of_an_erased_account_go(home: Home) -> None:
    await filled(home)
    indexer = await index(home)
    await indexer.forget_erased()
    async with home.pool.rows() as rows:
        assert await texts.accounts(rows) == [SUDA]
    await home.keys.forget(account_key_name(SUDA))
    await indexer.forget_erased()
    async with home.pool.rows() as rows:
        assert await texts.accounts(rows) == []
        assert await rows.fetchval("SELECT count(*) FROM texts.said") == 0
    await texts.begin_again(home.pool)
    await index(home)
    async with home.pool.rows() as rows:
        assert await texts.accounts(rows) == [], "nothing of it comes back"


async def test_a_lost_content_is_passed_over_and_the_next_are_there(home: Home) -> None:
    suda = await filled(home)
    first = next(iter(home.contents.messages))
    lost = home.contents.messages.pop(first)
    await index(home)
    assert (await suda.command("SEARCH BODY report")).code == "SERVERBUG", "it is read, and told"
    home.contents.messages = {first: lost}
    assert found(await suda.ok("SEARCH BODY report")) == [3]


async def test_a_store_that_is_away_is_waited_for(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    await filled(home)
    indexer = Indexer(home.log, home.pool, home.contents, home.keys)

    async def away(contents: list[Content]) -> None:
        raise Unavailable("s3", "no answer")

    with monkeypatch.context() as patched:
        patched.setattr(home.contents, "read_ahead", away)
        with pytest.raises(Unavailable):
            await indexer.step()
    async with home.pool.rows() as rows:
        assert await texts.reached(rows) == 0
    await index(home)
    async with home.pool.rows() as rows:
        assert await rows.fetchval("SELECT count(*) FROM texts.said") == 3


async def test_few_large_texts_are_added_in_parts(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    await filled(home)
    monkeypatch.setattr(indexing, "CHARACTERS_MAX", 1)
    indexer = Indexer(home.log, home.pool, home.contents, home.keys)
    counts = []
    while await indexer.step():
        async with home.pool.rows() as rows:
            counts.append(await rows.fetchval("SELECT count(*) FROM texts.said"))
    assert counts[:3] == [1, 2, 3]


async def test_who_was_overtaken_adds_nothing(home: Home) -> None:
    await filled(home)
    await index(home)
    async with home.pool.rows() as rows:
        at = await texts.checkpoint(rows)
    await texts.begin_again(home.pool)
    said = [texts.Said(SUDA, at.position, texts.MARK, "an old text")]
    assert not await texts.add(home.pool, said, after=at.position, up_to=at)
    async with home.pool.rows() as rows:
        assert await texts.reached(rows) == 0
        assert await rows.fetchval("SELECT count(*) FROM texts.said") == 0


@pytest.mark.parametrize("digest", [b"of another event", None])
async def test_texts_of_another_log_are_forgotten(home: Home, digest: bytes | None) -> None:
    suda = await filled(home)
    indexer = await index(home)
    await indexer.compare()
    async with home.pool.rows() as rows:
        assert await rows.fetchval("SELECT count(*) FROM texts.said") == 3
        if digest is None:
            await rows.execute("UPDATE texts.reached SET position = position + 1000")
        else:
            await rows.execute("UPDATE texts.reached SET digest = $1", digest)
        await rows.execute("UPDATE texts.said SET body = 'of a message that is gone'")
    await indexer.compare()
    async with home.pool.rows() as rows:
        assert await texts.reached(rows) == 0
    assert found(await suda.ok("SEARCH BODY report")) == [3]
