"""Commands started as a shell does it, interpreter and all: they say what those forked by the harness say."""

import subprocess
from pathlib import Path

import pytest

from tests.e2e.commands import run_command
from tests.e2e.gateway import SARABAN, Gateway

COMMANDS = [
    ("--json agency list", b"", 0),
    ("events tail -n 0", b"", 2),
    ("alias list --of nobody@opdc.go.th", b"", 3),
    ("account password nobody@opdc.go.th --password-file -", b"a long enough password\n", 3),
]


@pytest.mark.parametrize(("command", "stdin", "code"), COMMANDS, ids=[command for command, _, _ in COMMANDS])
def test_a_command_says_the_same_however_it_is_started(
    gateway: Gateway, tmp_path: Path, command: str, stdin: bytes, code: int
) -> None:
    typed = ("--data", str(gateway.data), *command.split())
    whole = subprocess.run(
        [*SARABAN, *typed],
        env=gateway.environment(),
        cwd=tmp_path,
        input=stdin,
        capture_output=True,
        timeout=120,
        check=False,
    )
    forked = run_command(typed, gateway.environment(), stdin, folder=tmp_path)
    assert (whole.returncode, whole.stdout, whole.stderr) == (code, forked.stdout, forked.stderr)
    assert forked.returncode == code
    assert whole.stdout or whole.stderr
