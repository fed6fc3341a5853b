"""`saraban` commands as processes of their own, forked from one that has imported the program already.

To import it takes a second of a core, more than most commands take: here that second is spent once per run.
All else is as typed: arguments, environment, standard input and outputs, exit code. Started whole, as a shell
does it, are `saraban up` with all its roles, and the commands of test_started_whole.py.
"""

import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from gateway.cli import FAMILIES, main

_forking = multiprocessing.get_context("forkserver")
_forking.set_forkserver_preload(sorted({f"gateway.cli.{module}" for module in FAMILIES.values()}))


def run_command(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    stdin: bytes = b"",
    *,
    folder: Path | None = None,
    patience_s: float = 300,
) -> subprocess.CompletedProcess[bytes]:
    """`saraban` with these arguments, to its end. folder: where it is typed, else here."""
    with tempfile.TemporaryDirectory() as kept:
        files = [Path(kept) / name for name in ("stdin", "stdout", "stderr")]
        files[0].write_bytes(stdin)
        typed = (list(arguments), dict(environment), folder or Path.cwd(), files)
        process = _forking.Process(target=_become, args=typed)
        process.start()
        process.join(patience_s)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(["saraban", *arguments], patience_s)
        code = process.exitcode
        process.close()
        return subprocess.CompletedProcess(arguments, code, files[1].read_bytes(), files[2].read_bytes())


def _become(arguments: list[str], environment: dict[str, str], folder: Path, files: list[Path]) -> None:
    """In the forked process: be what the shell would have started."""
    for number, file in enumerate(files):
        os.dup2(os.open(file, os.O_RDWR | os.O_CREAT, 0o600), number)
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w", errors="backslashreplace")  # noqa: SIM115
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["saraban", *arguments]
    main(prog_name="saraban")
