"""The embedded S3 server (SeaweedFS): packs and attachments.

Data is fsynced by the rule in infra/s3/filer.conf, metadata by our PostgreSQL; nothing is reported to its
makers, and only what S3 needs is opened.

Source: facts-embedded.md (SeaweedFS), ADR 0001.
"""

import asyncio
import http.client
import signal
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from gateway.processes.up.addresses import LOOPBACK
from gateway.processes.up.children import Child, Launch, NotReady
from gateway.processes.up.credentials import Credentials
from gateway.processes.up.programs import INFRA, program

RULES_PATIENCE_S = 3.0
INNER_PORTS = 7  # master, volume, filer: HTTP and gRPC each, and the gRPC of S3


@dataclass(frozen=True, slots=True)
class S3Server:
    """Where it keeps its files, where it listens, who may speak to it."""

    folder: Path
    logs: Path
    credentials: Credentials
    postgres_port: int
    port: int
    inner_ports: tuple[int, ...]  # INNER_PORTS of them; an implementation's need, nobody else connects there

    @property
    def endpoint(self) -> str:
        """host:port, as the minio client wants it."""
        return f"{LOOPBACK}:{self.port}"

    @property
    def launch(self) -> Launch:
        master, master_grpc, volume, volume_grpc, filer, filer_grpc, s3_grpc = self.inner_ports
        options = {
            "dir": self.folder, "ip": LOOPBACK, "ip.bind": LOOPBACK, "disableHttp": "false",
            "master.port": master, "master.port.grpc": master_grpc, "master.telemetry": "false",
            "master.volumeSizeLimitMB": 4096, "volume.max": 1000, "volume.port": volume,
            # Its own guard would make all volumes read-only below 1 % of the disk, however much that is, and
            # look again once a minute; a write that finds no room is refused either way (ADR 0008).
            "volume.minFreeSpace": 0,
            "volume.port.grpc": volume_grpc, "volume.preStopSeconds": 0, "master.electionTimeout": "1s",
            "master.heartbeatInterval": "200ms",
            "filer": "true", "filer.port": filer, "filer.port.grpc": filer_grpc,
            "filer.localSocket": self._socket("filer"), "filer.ui.deleteDir": "false",
            "s3": "true", "s3.port": self.port, "s3.port.grpc": s3_grpc, "s3.port.iceberg": 0,
            "s3.port.lance": 0, "s3.iam": "false", "s3.localSocket": self._socket("s3"),
            "s3.autoCreateBucket": "false",
        }  # fmt: skip
        return Launch(
            name="s3",
            runs=(program("weed"), "-logtostderr=true", "server", *(f"-{k}={v}" for k, v in options.items())),
            log=self.logs / "s3.log",
            cwd=INFRA / "s3",  # filer.toml is read from here
            # Asked to end while PostgreSQL, its metadata, ends as well, it may wait for that for ever.
            orphan_signal=signal.SIGKILL,
            env={
                "GOMEMLIMIT": "256MiB",
                "AWS_ACCESS_KEY_ID": self.credentials.s3_access_key,
                "AWS_SECRET_ACCESS_KEY": self.credentials.s3_secret_key,
                "WEED_POSTGRES2_PORT": str(self.postgres_port),
                "WEED_POSTGRES2_PASSWORD": self.credentials.s3_metadata,
            },
            # Its filer waits 15 s for a subscription to itself to end. All it answered is on disk (ADR 0001).
            stop_patience_s=2.0,
            leaves=(self._socket("filer"), self._socket("s3"), *map(_grpc_socket, self._grpc_ports)),
        )

    async def start(self) -> Child:
        """Start it, see to it that it syncs data, and wait until S3 answers. Raises StartFailed."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        child = Child(self.launch)
        try:
            await child.ready(self.probe)
        except BaseException:
            child.kill()
            raise
        return child

    async def probe(self) -> None:
        """NotReady until the rule that data is fsynced is in force and S3 answers."""
        try:
            await asyncio.to_thread(self._check_rules)
            await asyncio.to_thread(_ask, f"http://{self.endpoint}/healthz")
        except (OSError, http.client.HTTPException) as error:
            raise NotReady(str(error)) from error

    def _check_rules(self) -> None:
        """NotReady unless the rules are in force; stores them then, which the filer notices within a second.

        It also reads them when it starts, but goes on without them when its volumes are not up by then.
        """
        if self._are_rules_in_force():
            return
        _ask(f"{self._filer}/etc/seaweedfs/filer.conf", put=(INFRA / "s3" / "filer.conf").read_bytes())
        until = time.monotonic() + RULES_PATIENCE_S
        while not self._are_rules_in_force():
            if time.monotonic() > until:
                raise NotReady("the rule that it syncs is not in force")
            time.sleep(0.1)

    def _are_rules_in_force(self) -> bool:
        """One of the rules makes a folder read-only: whether the filer refuses to write there."""
        try:
            _ask(f"{self._filer}/rules-in-force/no", put=b"no")
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == http.HTTPStatus.INSUFFICIENT_STORAGE:
                return True
            raise
        return False

    @property
    def _filer(self) -> str:
        return f"http://{LOOPBACK}:{self.inner_ports[4]}"

    @property
    def _grpc_ports(self) -> tuple[tuple[str, int], ...]:
        _, master, _, volume, _, filer, s3 = self.inner_ports
        return ("master", master), ("volume", volume), ("filer", filer), ("s3", s3)

    def _socket(self, name: str) -> Path:
        """A socket path that fits in 107 octets however deep the data folder is."""
        return Path(tempfile.gettempdir()) / f"saraban-{self.port}-{name}.sock"


def _grpc_socket(server: tuple[str, int]) -> Path:
    """It makes one beside each gRPC port, always there."""
    return Path("/tmp") / "seaweedfs-{}-grpc-{}.sock".format(*server)


def _ask(url: str, put: bytes | None = None) -> bytes:
    request = urllib.request.Request(url, data=put, method="GET" if put is None else "PUT")
    with urllib.request.urlopen(request, timeout=1) as answer:
        octets: bytes = answer.read()
    return octets
