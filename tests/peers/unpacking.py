"""Postfix, Exim and OpenSMTPD as Debian packs them, side by side: installed, each drives the others out.

apt fetches each with all it depends on, as for a machine with nothing on it, and dpkg-deb unpacks that into
one folder of the user's cache. Nothing is installed. Newer servers are a new folder.
"""

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from tests.needs import lacks

SERVERS: Final = ("postfix", "exim4-daemon-light", "opensmtpd")
SHELL: Final = "dash"  # OpenSMTPD has its deliveries started by /bin/sh
PROGRAMS: Final = ("apt-get", "dpkg-deb", "chroot", "setpriv", "unshare")
MERGED: Final = ("bin", "lib", "lib64", "sbin")  # under /usr, and links to there in /
NOT_INSTALLED: Final = "Dir::State::status=/dev/null"
ENGLISH: Final = os.environ | {"LC_ALL": "C"}


def unpacked() -> Path:
    """The folder whose `usr` has all three servers; made when it is not there, which takes about a minute."""
    if os.geteuid() != 0 or not all(map(shutil.which, PROGRAMS)):
        lacks("the other mail servers run as root on Debian, unpacked by apt-get and dpkg-deb")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "saraban" / "peers"
    folder = cache / "_".join(_candidates())
    if not folder.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache, prefix="unpacking-") as workplace:
            made = Path(workplace) / "made"
            _unpack(_fetched(Path(workplace)), made)
            if not folder.exists():  # nobody else was faster
                made.rename(folder)
    return folder


def _candidates() -> list[str]:
    """The version of each server that apt would install."""
    asked = ("apt-cache", "policy", *SERVERS)
    told = subprocess.run(asked, capture_output=True, text=True, check=True, env=ENGLISH).stdout
    found = re.findall(r"^  Candidate: ([0-9]\S*)$", told, re.MULTILINE)
    if len(found) != len(SERVERS):
        lacks(f"apt does not know all of {', '.join(SERVERS)}; run `apt-get update`")
    return found


def _fetched(workplace: Path) -> list[Path]:
    archives = workplace / "archives"
    (archives / "partial").mkdir(parents=True)
    for server in SERVERS:
        asked = _apt_get(
            "--download-only", "-o", f"Dir::Cache::archives={archives}", "install", server, SHELL
        )
        if asked.returncode:
            lacks(f"apt-get could not fetch {server}: {asked.stderr.strip()}")
    return sorted(archives.glob("*.deb"))


def _apt_get(*arguments: str) -> subprocess.CompletedProcess[str]:
    options = ("-qq", "-y", "--no-install-recommends", "-o", NOT_INSTALLED, "-o", "Debug::NoLocking=1")
    command = ["apt-get", *options, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=ENGLISH)


def _unpack(archives: list[Path], folder: Path) -> None:
    for name in MERGED:
        (folder / "usr" / name).mkdir(parents=True)
        (folder / name).symlink_to(f"usr/{name}")
    for archive in archives:
        files = subprocess.run(["dpkg-deb", "--fsys-tarfile", archive], capture_output=True, check=True)
        command = ["tar", "-x", "--keep-directory-symlink", "--exclude=./usr/share", "-C", folder]
        subprocess.run(command, input=files.stdout, check=True)
