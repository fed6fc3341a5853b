"""The embedded NATS server: the log, the content's write-ahead, the keys.

Source: facts-nats.md §0 (server file), §5 (users), §13 (what is checked at start).
"""

import asyncio
import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.processes.up.addresses import LOOPBACK
from gateway.processes.up.children import Child, Launch, NotReady, StartFailed
from gateway.processes.up.credentials import Credentials
from gateway.processes.up.programs import INFRA, program

VERSION_MIN = (2, 15, 0)  # architecture.md §4: group commit with sync_interval: always


@dataclass(frozen=True, slots=True)
class NatsServer:
    """Where it keeps its files, where it listens, who may speak to it."""

    folder: Path
    logs: Path
    credentials: Credentials
    port: int
    monitor_port: int

    def url(self, user: str) -> str:
        """nats://user:password@127.0.0.1:port. Inboxes of every user but admin begin with _INBOX_<user>."""
        return f"nats://{user}:{self.credentials.nats[user]}@{LOOPBACK}:{self.port}"

    @property
    def monitor_url(self) -> str:
        return f"http://{LOOPBACK}:{self.monitor_port}"

    @property
    def launch(self) -> Launch:
        passwords = {f"NATS_PASSWORD_{user.upper()}": p for user, p in self.credentials.nats.items()}
        return Launch(
            name="nats",
            runs=(program("nats-server"), "--config", str(INFRA / "nats" / "nats-server.conf")),
            log=self.logs / "nats.log",
            env=passwords
            | {
                "GOMEMLIMIT": "512MiB",
                "NATS_SERVER_NAME": "onsite-1",
                "NATS_LISTEN": f'"{LOOPBACK}:{self.port}"',
                "NATS_MONITOR": f'"{LOOPBACK}:{self.monitor_port}"',
                "NATS_STORE_DIR": json.dumps(str(self.folder), ensure_ascii=False),
            },
        )

    async def start(self) -> Child:
        """Start it and wait until JetStream answers. Raises StartFailed."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        child = Child(self.launch)
        try:
            await child.ready(self.probe)
        except BaseException:
            child.kill()
            raise
        return child

    async def probe(self) -> None:
        """NotReady until JetStream is healthy; StartFailed when this server may not carry a log."""
        try:
            await asyncio.to_thread(_fetch, f"{self.monitor_url}/healthz")
        except OSError as error:
            raise NotReady(str(error)) from error
        check_fit_for_a_log(await asyncio.to_thread(_fetch, f"{self.monitor_url}/varz"))

    async def write_error(self) -> str:
        """What JetStream could not write, "" when it can.

        A stream that failed to write once takes nothing more until the server is started again, and only
        the full /healthz says so (measured, 2.15.1). A server that does not answer is no write error: it
        may only be slow, and starting it again would help nobody.
        """
        try:
            await asyncio.to_thread(_fetch, f"{self.monitor_url}/healthz")
        except urllib.error.HTTPError as refused:
            with refused:
                said = await asyncio.to_thread(refused.read)
            return said.decode("utf-8", "replace") if b"write error" in said else ""
        except (OSError, ValueError):
            return ""
        return ""


def check_fit_for_a_log(varz: dict[str, Any]) -> None:
    """Raises StartFailed unless it acknowledges after fsync and is new enough (architecture.md §4)."""
    version = str(varz["version"])
    if tuple(int(part) for part in version.split("-")[0].split(".")) < VERSION_MIN:
        raise StartFailed(f"nats-server is {version}, expected 2.15.0 or later")
    if not varz.get("jetstream", {}).get("config", {}).get("sync_always", False):
        raise StartFailed("nats-server acknowledges before fsync: set `sync_interval: always` in its file")


def _fetch(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=5) as answer:
        return json.load(answer)
