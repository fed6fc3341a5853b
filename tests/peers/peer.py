"""Another mail server while a test runs: in a root folder of its own, with its users and settings.

Its mounts and processes are in namespaces of their own (unshare(1)): with their first process all is gone,
and that goes with the test. The network is the machine's: it listens on loopback ports. All mail for its
domain goes into one Maildir, all other to the gateway, inside TLS with a certificate of its authority.
"""

import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.e2e.gateway import wait_until
from tests.peers.unpacking import MERGED
from tests.processes.relay.authority import Signed

MESSAGE_OCTETS_MAX: Final = 64 * 1024 * 1024  # more than the gateway takes
STOP_PATIENCE_S: Final = 20.0
KEPT: Final = "/var/mail/kept"  # as the peer sees it
CHAIN, KEY, AUTHORITIES = "/etc/tls/chain.pem", "/etc/tls/key.pem", "/etc/ssl/certs/ca-certificates.crt"
VMAIL: Final = 900  # user and group that own what is kept
# Names and numbers as Debian's packages want them; no user of the machine.
USERS: Final = {
    "root": 0,
    "nobody": 65534,
    "vmail": VMAIL,
    "postfix": 901,
    "postdrop": 902,
    "Debian-exim": 903,
    "opensmtpd": 904,
    "opensmtpq": 905,
}
# $1: the unpacked servers, $2: the root folder; then what is started. The shell stays the first process: a
# server that changes its user is no longer ended with its parent (prctl(2), PR_SET_PDEATHSIG).
ENTER: Final = """set -e
mount --bind "$1/usr" "$2/usr"
mount --rbind /dev "$2/dev"
root=$2
shift 2
chroot "$root" "$@"
exit
"""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a peer is told: where the gateway listens, who vouches for it, and its own certificate."""

    unpacked: Path
    gateway_port: int
    authorities: str  # PEM, of the gateway
    certificate: Signed  # for "localhost"
    unknown: str  # an address that the gateway refuses


@dataclass(frozen=True, slots=True)
class Peer:
    """A server that runs.

    At its domain `nobody` is refused, and `later` is taken and passed on to an address the gateway refuses.
    """

    domain: str
    root: Path
    port: int
    port_without_dsn: int = 0
    _read: dict[str, bytes] = field(default_factory=dict)  # by file name: a Maildir's files never change

    def kept(self) -> list[bytes]:
        """Every message it keeps, with what it has put in front; lines end with CRLF, as they came."""
        for file in (self.root / KEPT[1:] / "new").iterdir():
            if file.name not in self._read:
                self._read[file.name] = file.read_bytes().replace(b"\n", b"\r\n")
        return list(self._read.values())

    def log(self) -> str:
        """All that it has logged."""
        files = sorted(file for file in (self.root / "var/log").rglob("*") if file.is_file())
        return "\n".join(file.read_text("utf-8", "replace") for file in files)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def furnish(root: Path, surroundings: Surroundings, files: Mapping[str, str]) -> None:
    """Make the root folder: links into `usr`, users, hosts, certificates, and `files` by their paths."""
    for folder in ("usr", "dev", "tmp", "run", "var/log", "var/lib", "var/spool", "var/mail"):
        (root / folder).mkdir(parents=True)
    (root / "tmp").chmod(0o1777)
    (root / "var/run").symlink_to("/run")
    for name in MERGED:
        (root / name).symlink_to(f"usr/{name}")
    certificate = surroundings.certificate
    ours = {
        "/etc/passwd": "".join(f"{name}:x:{number}:{number}::/:/bin/sh\n" for name, number in USERS.items()),
        "/etc/group": "".join(f"{name}:x:{number}:\n" for name, number in USERS.items()),
        "/etc/hosts": "127.0.0.1 localhost\n",
        "/etc/resolv.conf": "nameserver 127.0.0.1\n",
        "/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\nservices: files\n",
        "/etc/services": "smtp 25/tcp\n",
        CHAIN: certificate.chain,
        KEY: certificate.key,
        AUTHORITIES: surroundings.authorities,
    }
    for path, text in (ours | dict(files)).items():
        file = root / path[1:]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
        file.chmod(0o644)
    maildir = root / KEPT[1:]
    for folder in ("", "new", "cur", "tmp"):
        make_owned(maildir / folder, VMAIL)


def make_owned(folder: Path, user: int, mode: int = 0o755, group: int | None = None) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    shutil.chown(folder, user, user if group is None else group)
    folder.chmod(mode)


@contextmanager
def running(peer: Peer, surroundings: Surroundings, command: Sequence[str]) -> Iterator[Peer]:
    """Start a furnished peer, wait for its greeting, and end it with all its processes."""
    mortal = ("setpriv", "--pdeathsig", "KILL")
    alone = ("unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child")
    entering = ("sh", "-c", ENTER, "sh", str(surroundings.unpacked), str(peer.root), *command)
    with (peer.root / "var/log/stderr").open("wb") as log:
        process = subprocess.Popen(
            [*mortal, *alone, *entering],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_until(lambda: _greets(peer, process), f"{peer.domain} greets")
        yield peer
    finally:
        process.kill()
        process.wait(STOP_PATIENCE_S)


def _greets(peer: Peer, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None, f"{peer.domain} ended with {process.returncode}:\n{peer.log()}"
    with suppress(OSError), closing(socket.create_connection(("127.0.0.1", peer.port), 10)) as line:
        return line.recv(4) == b"220 "
    return False
