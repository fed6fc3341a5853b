"""Ways to look for a text in what messages say, as rows of PostgreSQL: `python -m tests.bench.search_index`.

Each way holds the same folded texts of about 4 KB, Thai and English; each is asked for the messages of one
account that contain a text. What wins is said in docs/adr/0026-search-index.md.
"""

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import asyncpg

from gateway.mail.collation import folded
from gateway.processes.up.credentials import Credentials
from gateway.processes.up.servers import Servers

SYLLABLES: Final = [
    "กา",
    "นี้",
    "ที่",
    "ผู้",
    "งาน",
    "บ้าน",
    "เมือง",
    "ราช",
    "การ",
    "หนัง",
    "สือ",
    "ประ",
    "ชุม",
    "งบ",
    "มาณ",
    "น้ำ",
    "ท่วม",
    "ไทย",
    "ใหม่",
    "เก่า",
    "แผน",
    "ดิน",
    "ทาง",
    "รถ",
]
LETTERS: Final = "etaoinshrdlucmfwypvbgk"
NEEDLE: Final = "เข็มในมหาสมุทร"
SOUGHT: Final = {
    "rare, Thai (1 in 1,000)": NEEDLE,
    "nowhere": "ไม่มีคำนี้เลยสักที่",
    "common, 2 syllables": "ราชการ",
    "2 characters": "น้",
    "1 character": "z",
}
WAYS: Final = {
    "texts, compressed": ("SELECT 1", "strpos(text, $2) > 0"),
    "texts, compressed, LIKE": (None, "text LIKE '%' || $2 || '%'"),
    "texts, as they are": (
        "ALTER TABLE t ALTER text SET STORAGE EXTERNAL",
        "strpos(text, $2) > 0",
    ),
    "trigrams (GIN)": (
        "CREATE INDEX ON t USING gin (account_id, text gin_trgm_ops)",
        "text LIKE '%' || $2 || '%'",
    ),
}


def texts(count: int) -> Iterator[str]:
    """Of 20,000 words, few of them common."""
    chance = random.Random(2569)
    words = ["".join(chance.choices(SYLLABLES, k=chance.randint(1, 4))) for _ in range(10_000)]
    words += ["".join(chance.choices(LETTERS, k=chance.randint(2, 10))) for _ in range(10_000)]
    chance.shuffle(words)
    for number in range(count):
        said = [words[int(20_000 * chance.random() ** 3)] for _ in range(250)]
        if number % 1000 == 7:
            said.append(NEEDLE)
        yield folded("".join(word if word[0] > "z" else f" {word} " for word in said))


async def measure(rows: asyncpg.Connection, messages: int) -> None:
    filled = list(texts(messages))
    octets = sum(len(text.encode()) for text in filled)
    print(f"\n{messages:,} messages, {octets / messages / 1024:.1f} KiB of folded text each\n")
    print(f"| way | filled in s | MiB on disk | {' | '.join(SOUGHT)} |")
    print("|---|---|---|" + "---|" * len(SOUGHT))
    for way, (making, condition) in WAYS.items():
        took = 0.0
        if making is not None:
            await rows.execute("DROP TABLE IF EXISTS t")
            await rows.execute(
                "CREATE TABLE t (account_id text, position bigint, text text NOT NULL, "
                "PRIMARY KEY (account_id, position))"
            )
            await rows.execute(making)
            began = time.monotonic()
            for start in range(0, messages, 250):
                await rows.copy_records_to_table(
                    "t",
                    records=[
                        ("acc_1", start + at, text) for at, text in enumerate(filled[start : start + 250])
                    ],
                )
            took = time.monotonic() - began
            await rows.execute("VACUUM ANALYZE t")
        size = await rows.fetchval("SELECT pg_total_relation_size('t')")
        answers = []
        for sought in SOUGHT.values():
            asked = []
            for _ in range(3):
                began = time.monotonic()
                await rows.fetch(
                    f"SELECT position FROM t WHERE account_id = $1 AND {condition}", "acc_1", folded(sought)
                )
                asked.append(1000 * (time.monotonic() - began))
            answers.append(f"{sorted(asked)[1]:.1f}")
        print(f"| {way} | {took:.1f} | {size / 2**20:.0f} | {' | '.join(answers)} |", flush=True)


async def run(sizes: list[int]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server = Servers.in_folder(folder, Credentials.random()).postgres
        child = await server.start()
        try:
            rows = await asyncpg.connect(server.dsn())
            await rows.execute("CREATE EXTENSION pg_trgm; CREATE EXTENSION btree_gin")
            for messages in sizes:
                await measure(rows, messages)
            await rows.close()
        finally:
            await child.stop()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--messages", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    sys.exit(asyncio.run(run(parser.parse_args().messages)))
