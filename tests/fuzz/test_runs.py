"""The fuzzers run: a second, or in `./just soak` the ten minutes that acceptance 3 of issue 2/9 asks for."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

from tests.needs import lacks
from tests.sizes import size

FUZZ_S = size(1, 600)
RAN = re.compile(r"^stat::number_of_executed_units: *(\d+)", re.MULTILINE)


def test_the_fuzzer_of_smtp_finds_nothing(tmp_path: Path) -> None:
    fuzz("smtp", tmp_path)


def test_the_fuzzer_of_imap_finds_nothing(tmp_path: Path) -> None:
    fuzz("imap", tmp_path)


def fuzz(target: str, tmp_path: Path) -> None:
    dictionary = Path(__file__).with_name(f"{target}.dict")
    if importlib.util.find_spec("atheris") is None:
        lacks("atheris has no wheel for this machine")
    options = [f"-max_total_time={FUZZ_S}", "-max_len=2000", f"-dict={dictionary}", "-print_final_stats=1"]
    command = [
        sys.executable,
        "-m",
        f"tests.fuzz.{target}",
        *options,
        f"-artifact_prefix={tmp_path}/",
        str(tmp_path),
    ]
    ran = subprocess.run(command, capture_output=True, check=False)
    said = ran.stderr.decode("utf-8", "replace")  # it shows octets as they are
    assert ran.returncode == 0, said[-10_000:]
    told = RAN.search(said)
    assert told is not None, said[-10_000:]
    assert int(told[1]) > 100
    print(f"{int(told[1]):,} inputs in {FUZZ_S} s, each in two splits: nothing but answers")
