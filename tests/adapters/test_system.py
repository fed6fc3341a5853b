"""The machine's own limits."""

import subprocess
import sys

ASK = "from gateway.adapters.system import allow_open_files; print(allow_open_files())"


def test_as_many_files_may_be_open_as_the_machine_lets_us() -> None:
    limited = f"ulimit -Sn 64; exec {sys.executable} -c '{ASK}'"
    hard = subprocess.run(["bash", "-c", "ulimit -Hn"], capture_output=True, text=True, check=True).stdout
    done = subprocess.run(["bash", "-c", limited], capture_output=True, text=True, check=True)
    assert done.stdout == hard if hard.strip() != "unlimited" else done.stdout.strip() == "64"
