"""What a relay leaves behind when it is killed: which mails hosts may have."""

import signal
import subprocess
import sys
from pathlib import Path

from gateway.adapters.at_dot import kept_at_dot
from gateway.adapters.system import entropy

RELAY = """
import sys
from pathlib import Path
from gateway.adapters.at_dot import kept_at_dot
from gateway.adapters.system import entropy
with kept_at_dot(Path(sys.argv[1]), entropy) as at_dot:
    for position in (5, 7, 9):
        at_dot.begin(position)
    at_dot.end(7)
    print(at_dot.token, flush=True)
    sys.stdin.read()
"""


def killed_relay(file: Path) -> str:
    """It has mails 5 and 9 at the dot, and is killed: its token."""
    with subprocess.Popen(
        [sys.executable, "-c", RELAY, file], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as relay:
        assert relay.stdout is not None
        token = relay.stdout.readline().strip()
        relay.send_signal(signal.SIGKILL)
    assert len(token) == 24
    return token


def test_who_comes_after_a_killed_relay_knows_what_it_had_at_the_dot(tmp_path: Path) -> None:
    file = tmp_path / "run" / "relay-0.dots"
    token = killed_relay(file)
    for _ in range(2):  # nothing is forgotten before it is seen to
        with kept_at_dot(file, entropy) as at_dot:
            assert (at_dot.token, at_dot.left) == (token, {5, 9})
    with kept_at_dot(file, entropy) as at_dot:
        at_dot.inherited()
        at_dot.begin(11)
    with kept_at_dot(file, entropy) as at_dot:
        assert at_dot.left == {11}


def test_after_a_boot_nobody_can_tell(tmp_path: Path) -> None:
    """What was written last may not have reached the disk."""
    file = tmp_path / "relay-0.dots"
    token = killed_relay(file)
    another = b"01234567-89ab-4cde-8f01-23456789abcd\n"
    with kept_at_dot(file, entropy, read_boot=lambda: another) as at_dot:
        assert (at_dot.token, at_dot.left) == (token, None)
        at_dot.inherited()
    with kept_at_dot(file, entropy, read_boot=lambda: another) as at_dot:
        assert at_dot.left == set()


def test_nothing_is_inherited_from_a_process_that_lives(tmp_path: Path) -> None:
    file = tmp_path / "relay-0.dots"
    with kept_at_dot(file, entropy) as living:
        living.begin(5)
        with kept_at_dot(file, entropy) as twin:
            assert twin.token != living.token
            assert twin.left == set()
            twin.begin(6)
    with kept_at_dot(file, entropy) as after:
        assert (after.token, after.left) == (living.token, {5})


def test_a_damaged_file_is_made_anew(tmp_path: Path) -> None:
    file = tmp_path / "relay-0.dots"
    file.write_bytes(b"short")
    with kept_at_dot(file, entropy) as at_dot:
        assert at_dot.left == set()
        at_dot.begin(1)
    assert file.stat().st_size > len(b"short")
