"""The fuzzers run: nothing else imports them, so nothing else would say when they do not."""

import importlib.util
import subprocess
import sys

from tests.needs import lacks


def test_the_fuzzer_of_smtp_runs() -> None:
    if importlib.util.find_spec("atheris") is None:
        lacks("atheris has no wheel for this machine")
    ran = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.smtp", "-runs=100"], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
