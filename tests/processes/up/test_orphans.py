"""What a killed supervisor left running is ended; whoever has a pid again is left alone."""

import asyncio
import dataclasses
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.processes.up import orphans
from gateway.processes.up.orphans import Mark, remember, remembered


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"]) as running:
        yield running
        running.kill()


async def test_an_orphan_is_ended_by_its_own_signal(process: subprocess.Popen[bytes], tmp_path: Path) -> None:
    file = tmp_path / "children.json"
    remember(file, [Mark.of("edge", process.pid, signal.SIGTERM, 20.0)])
    assert await orphans.end(file) == ["edge"]
    assert process.wait() == -signal.SIGTERM
    assert remembered(file) == []


def test_one_that_does_not_listen_is_killed_when_its_patience_is_over(tmp_path: Path) -> None:
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); signal.pause()"
    with subprocess.Popen([sys.executable, "-c", deaf], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        remember(tmp_path / "children.json", [Mark.of("edge", process.pid, signal.SIGTERM, 0.0)])
        assert asyncio.run(orphans.end(tmp_path / "children.json")) == ["edge"]
        assert process.wait() == -signal.SIGKILL


async def test_another_process_with_the_same_pid_is_left_alone(
    process: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    file = tmp_path / "children.json"
    mark = Mark.of("edge", process.pid, signal.SIGTERM, 20.0)
    remember(file, [dataclasses.replace(mark, started=str(int(mark.started) - 1))])
    assert await orphans.end(file) == []
    assert process.poll() is None


async def test_nothing_written_down_means_nothing_to_end(tmp_path: Path) -> None:
    assert await orphans.end(tmp_path / "children.json") == []
    (tmp_path / "children.json").write_text("[{")
    assert await orphans.end(tmp_path / "children.json") == []
    (tmp_path / "children.json").write_text('[{"of": "another build"}]')
    assert await orphans.end(tmp_path / "children.json") == []
