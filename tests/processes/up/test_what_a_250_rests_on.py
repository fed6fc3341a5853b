"""Each embedded server has synced what it was given before it answers. Seen from outside, by strace.

One tracer writes the system calls of the traced servers in the order they happen. Between two answers to the
same client there must be a sync of the file that carries what the second one acknowledges (ADR 0001).
"""

import io
import json
import re
import shutil
import signal
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import nats

from tests.conftest import RunningNats, RunningPostgres, RunningS3
from tests.needs import lacks

ROUNDS = 5
SYNC = re.compile(r"(?:fsync|fdatasync)\(\d+<(?P<path>[^>]*)>")
# A call that another thread interrupted ends on a line of its own: what counts is when it has returned.
UNFINISHED = re.compile(r"^(?P<pid>\d+) .*?(?:fsync|fdatasync)\(\d+<(?P<path>[^>]*)> <unfinished")
RESUMED = re.compile(r"^(?P<pid>\d+) .*?<\.\.\. (?:fsync|fdatasync) resumed>.*= 0")


@contextmanager
def traced(pids: Sequence[int], file: Path) -> Iterator[None]:
    """Write the syncs and the answers of these processes and their children to a file."""
    each = [argument for pid in family(pids) for argument in ("-p", str(pid))]
    calls = "trace=fsync,fdatasync,write,writev,sendto,sendmsg"
    argv = ["strace", "-f", "-yy", "-s", "400", "-e", calls, "-e", "signal=none", "-o", str(file), *each]
    if shutil.which("strace") is None:
        lacks("strace: apt-get install strace")
    with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True) as tracer:
        assert tracer.stderr is not None
        seen = 0
        while seen < len(each) // 2:
            line = tracer.stderr.readline()
            if "Operation not permitted" in line or not line:
                tracer.kill()
                lacks(f"strace may not attach here: {line.strip()}")
            seen += "attached" in line
        try:
            yield
        finally:
            tracer.send_signal(signal.SIGINT)
            tracer.stderr.read()


def family(pids: Iterable[int]) -> list[int]:
    """These processes and all that descend from them."""
    found: list[int] = []
    for pid in pids:
        children = [file.read_text().split() for file in Path(f"/proc/{pid}/task").glob("*/children")]
        found += [pid, *family(int(child) for each in children for child in each)]
    return found


def syncs_before(file: Path, answer: str) -> list[set[str]]:
    """For each answer in the trace, the files synced since the answer before it."""
    found: list[set[str]] = []
    synced: set[str] = set()
    pending: dict[str, str] = {}
    for line in file.read_text("utf-8", "replace").splitlines():
        if begun := UNFINISHED.match(line):
            pending[begun["pid"]] = begun["path"]
        elif (ended := RESUMED.match(line)) and ended["pid"] in pending:
            synced.add(pending.pop(ended["pid"]))
        elif (whole := SYNC.search(line)) and line.endswith("= 0"):
            synced.add(whole["path"])
        elif answer in line and "TCP:[" in line:
            found.append(synced)
            synced = set()
    return found


async def test_nats_syncs_the_stream_before_it_acknowledges(
    own_nats_server: RunningNats, tmp_path: Path
) -> None:
    connection = await nats.connect(own_nats_server.url("admin"))
    stream = connection.jetstream()
    config = {"name": "T", "subjects": ["t.>"], "storage": "file", "allow_atomic": True, "num_replicas": 1}
    await connection.request("$JS.API.STREAM.CREATE.T", json.dumps(config).encode())
    with traced([own_nats_server.pid], tmp_path / "trace"):
        for number in range(ROUNDS):
            await stream.publish("t.single", b"single %d" % number)
        for number in range(ROUNDS):
            batch = {"Nats-Batch-Id": f"batch{number}"}
            for place in ("1", "2"):
                await connection.publish("t.batch", b"batch", headers={**batch, "Nats-Batch-Sequence": place})
            commit = {**batch, "Nats-Batch-Sequence": "3", "Nats-Batch-Commit": "1"}
            ack = await connection.request("t.batch", b"batch", headers=commit, timeout=10)
            assert b'"count":3' in ack.data
    await connection.close()
    before = syncs_before(tmp_path / "trace", r"\"stream\":\"T\"")
    assert len(before) == 2 * ROUNDS
    for synced in before:
        assert any(path.endswith(".blk") and "/streams/T/" in path for path in synced), synced


async def test_postgres_syncs_its_log_before_it_says_commit(
    postgres_server: RunningPostgres, postgres_dsn: str, tmp_path: Path
) -> None:
    with traced([postgres_server.pid], tmp_path / "trace"):
        rows = await asyncpg.connect(postgres_dsn)
        await rows.execute("CREATE TABLE t (n int)")
        for number in range(ROUNDS):
            await rows.execute(f"INSERT INTO t VALUES ({number})")
        await rows.close()
    before = syncs_before(tmp_path / "trace", "INSERT 0 1")
    assert len(before) == ROUNDS
    for synced in before:
        assert any("/pg_wal/" in path for path in synced), synced


def test_s3_syncs_data_and_metadata_before_it_says_200(
    s3_server: RunningS3, postgres_server: RunningPostgres, tmp_path: Path
) -> None:
    with s3_server.client() as client:
        client.make_bucket("synced")
        client.put_object("synced", "first", io.BytesIO(b"x"), 1)  # makes the bucket's volumes
        with traced([s3_server.pid, postgres_server.pid], tmp_path / "trace"):
            for number in range(ROUNDS):
                client.put_object("synced", f"packs/{number}", io.BytesIO(b"y" * 100_000), 100_000)
    port = s3_server.endpoint.rsplit(":", 1)[1]
    answered = f"TCP:[127.0.0.1:{port}->"
    before = [s for s in syncs_before(tmp_path / "trace", answered) if s]
    assert len(before) == ROUNDS
    for synced in before:
        assert any(path.startswith(str(s3_server.folder)) and path.endswith(".dat") for path in synced), (
            synced
        )
        assert any("/pg_wal/" in path for path in synced), synced
