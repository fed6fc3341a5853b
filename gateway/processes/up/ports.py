"""Which ports this gateway uses: those of the settings, or free ones, if possible the same at every start."""

import json
import socket
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Final

from gateway.processes.listening.sockets import hold
from gateway.processes.up.addresses import LOOPBACK, free_ports, reserve
from gateway.processes.up.children import StartFailed
from gateway.processes.up.credentials import write_secret
from gateway.processes.up.servers import PORTS
from gateway.settings import Settings, split_address

SERVED: Final = (
    "smtp",
    "submission",
    "submissions",
    "imap",
    "imaps",
    "pop3",
    "pop3s",
    "http",
    "https",
)  # what the roles of this build listen on; the others come with their issues


class Ports:
    """Ports of one data folder. Those peers connect to are held while the block runs, whatever crashes."""

    def __init__(self, file: Path) -> None:
        self._file = file
        try:
            self._kept: dict[str, list[int]] = json.loads(file.read_bytes())
        except (FileNotFoundError, ValueError):
            self._kept = {}
        self._held = ExitStack()

    def __enter__(self) -> "Ports":
        return self

    def __exit__(self, *error: object) -> None:
        self._held.close()

    def for_servers(self) -> list[int]:
        """Loopback ports for the embedded servers."""
        kept = self._kept.get("servers", [])
        if len(kept) != PORTS or not all(reserve(port) for port in kept):
            kept = free_ports(PORTS)
        self._keep("servers", kept)
        return kept

    def for_demo(self) -> str:
        """The address of the demo's next hop, which stays the same: it stands in an agency's route."""
        return self._ephemeral("demo")

    def for_peers(self, settings: Settings, *, ephemeral: bool) -> Settings:
        """The settings with every address that is served now, held. Raises StartFailed: port taken."""
        addresses = {}
        for name in SERVED:
            wanted = getattr(settings, f"listen_{name}")
            if wanted and ephemeral:
                wanted = self._ephemeral(name)
            elif wanted:
                self._hold(f"SARABAN_LISTEN_{name.upper()}", wanted)
            addresses[f"listen_{name}"] = wanted
        return replace(settings, **addresses)

    def _ephemeral(self, name: str) -> str:
        kept = self._kept.get(name, [0])[0]
        try:
            held = hold(f"{LOOPBACK}:{kept}")
        except OSError:
            held = hold(f"{LOOPBACK}:0")
        self._held.enter_context(held)
        port: int = held.getsockname()[1]
        self._keep(name, [port])
        return f"{LOOPBACK}:{port}"

    def _hold(self, name: str, address: str) -> None:
        _refuse_when_listened_to(name, address)
        try:
            self._held.enter_context(hold(address))
        except OSError as error:
            raise StartFailed(_taken(name, address, error)) from error

    def _keep(self, name: str, ports: list[int]) -> None:
        if self._kept.get(name) != ports:
            self._kept[name] = ports
            write_secret(self._file, json.dumps(self._kept).encode())


def _refuse_when_listened_to(name: str, address: str) -> None:
    """SO_REUSEPORT would let us in beside another gateway of the same user: look first without it."""
    host, port = split_address(address)
    family, kind, protocol, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(where)
        except OSError as error:
            raise StartFailed(_taken(name, address, error)) from error


def _taken(name: str, address: str, error: OSError) -> str:
    return f"cannot listen on {address} ({error.strerror}): end what listens there or set another {name}"
