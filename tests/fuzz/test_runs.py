"""The fuzzers run: nothing else imports them, so nothing else would say when they do not."""

import subprocess
import sys

import pytest

pytest.importorskip("atheris")


def test_the_fuzzer_of_smtp_runs() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.smtp", "-runs=100"], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
