"""The embedded PostgreSQL: the rows, and the S3 server's metadata.

PostgreSQL refuses to run as root. There it runs in a user namespace of its own, which needs no system user
and changes the mode of no folder; where namespaces are off (containers), as the user `postgres` or `nobody`.

Source: facts-embedded.md (the wheels).
"""

import asyncio
import functools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from gateway.processes.up.addresses import LOOPBACK
from gateway.processes.up.children import Child, Launch, NotReady, StartFailed
from gateway.processes.up.credentials import Credentials
from gateway.processes.up.programs import INFRA, postgres_program

OWNER = "saraban"  # superuser of the embedded server, owner of the database of the same name


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """Where it keeps its files, where it listens, who may speak to it."""

    folder: Path
    logs: Path
    credentials: Credentials
    port: int

    def dsn(self, database: str = OWNER) -> str:
        return f"postgresql://{OWNER}:{self.credentials.postgres}@{LOOPBACK}:{self.port}/{database}"

    @property
    def launch(self) -> Launch:
        conf = INFRA / "postgres"
        return Launch(
            name="postgres",
            runs=(
                *_without_root(),
                postgres_program("postgres"),
                "-D", str(self.folder),
                "-c", f"config_file={conf / 'postgresql.conf'}",
                "-c", f"hba_file={conf / 'pg_hba.conf'}",
                "-c", f"port={self.port}",
            ),
            log=self.logs / "postgres.log",
            env={"LC_ALL": "C.UTF-8"},
            stop_signal=signal.SIGINT,  # fast shutdown: roll back, write all, end
        )  # fmt: skip

    async def start(self) -> Child:
        """Start it (the first time after making its files), wait until it answers. Raises StartFailed."""
        if not (self.folder / "PG_VERSION").exists():
            await asyncio.to_thread(self._initialise)
        child = Child(self.launch)
        try:
            await child.ready(self.probe)
            await asyncio.to_thread(self._make_databases)
        except BaseException:
            child.kill()
            raise
        return child

    async def probe(self) -> None:
        argv = [postgres_program("pg_isready"), "-q", "-h", LOOPBACK, "-p", str(self.port), "-U", OWNER]
        if await asyncio.to_thread(subprocess.call, argv):
            raise NotReady("pg_isready says no")

    def run_sql(self, statement: str, database: str = "postgres") -> str:
        """Run one statement as the owner. Gives the rows, unaligned. Raises StartFailed."""
        argv = [
            postgres_program("psql"),
            "-XAtq",
            "-v",
            "ON_ERROR_STOP=1",
            "-c",
            statement,
            self.dsn(database),
        ]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode:
            raise StartFailed(f"PostgreSQL refused a statement: {done.stderr.strip()}")
        return done.stdout.strip()

    def _initialise(self) -> None:
        """Make the cluster beside its place and move it there whole: cut short, it leaves none."""
        self.folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = self.folder.with_name(self.folder.name + ".new")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        as_user = _without_root()
        with tempfile.NamedTemporaryFile("w") as password:
            password.write(self.credentials.postgres)
            password.flush()
            if as_user and as_user[0] == "setpriv":
                _give_to(_system_user(), fresh, Path(password.name))
            done = subprocess.run(
                [
                    *as_user, postgres_program("initdb"), "-D", str(fresh), "--username", OWNER,
                    "--auth=scram-sha-256", f"--pwfile={password.name}", "--encoding=UTF8",
                    "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-instructions",
                ],
                capture_output=True, text=True, timeout=120, check=False,
            )  # fmt: skip
        if done.returncode:
            raise StartFailed(
                f"PostgreSQL could not make its files: {' / '.join(done.stderr.split(chr(10))[-3:])}"
            )
        fresh.rename(self.folder)

    def _make_databases(self) -> None:
        have = self.run_sql("SELECT datname FROM pg_database").split()
        if OWNER not in have:
            self.run_sql(f"CREATE DATABASE {OWNER}")
        if "s3" not in have:
            if not self.run_sql("SELECT 1 FROM pg_roles WHERE rolname = 's3'"):
                self.run_sql(f"CREATE ROLE s3 LOGIN PASSWORD '{self.credentials.s3_metadata}'")
            self.run_sql("CREATE DATABASE s3 OWNER s3")


@functools.cache
def _without_root() -> tuple[str, ...]:
    """What goes in front of PostgreSQL's programs so that they do not run as root."""
    if os.geteuid() != 0:
        return ()
    namespace = ("unshare", "--user", "--map-user=1000", "--map-group=1000")
    if _works(namespace):
        return namespace
    # As a system user who may look below folders of mode 700, as root could; access(2) looks at the
    # securebit. The change of user drops the signal of the supervisor's death, which is asked for again.
    user = _system_user()
    other = (
        "setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups",
        "--inh-caps=-all,+dac_override", "--ambient-caps=-all,+dac_override",
        "--securebits=+no_setuid_fixup", "--pdeathsig=INT",
    )  # fmt: skip
    if _works(other):
        return other
    raise StartFailed(
        "PostgreSQL does not run as root, and this machine allows neither user namespaces nor to run it as "
        f"{user.pw_name}: run saraban as an ordinary user"
    )


def _works(prefix: tuple[str, ...]) -> bool:
    if shutil.which(prefix[0]) is None:
        return False
    tried = subprocess.run(
        [*prefix, postgres_program("postgres"), "--version"], capture_output=True, check=False
    )
    return tried.returncode == 0


def _system_user() -> pwd.struct_passwd:
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise StartFailed("PostgreSQL does not run as root: run saraban as an ordinary user")


def _give_to(user: pwd.struct_passwd, *paths: Path) -> None:
    for path in paths:
        os.chown(path, user.pw_uid, user.pw_gid)
