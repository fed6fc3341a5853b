"""Loopback ports for the embedded servers: free ones, and whether one is taken."""

import contextlib
import random
import socket
from pathlib import Path
from typing import Final

from gateway.processes.up.children import StartFailed

LOOPBACK = "127.0.0.1"
OUTGOING: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")
FIRST_PORT: Final = 10_240
CANDIDATES: Final = 200


def free_ports(count: int) -> list[int]:
    """Ports nobody listens on now, all different, all with room for no other use of ours.

    Not of those the kernel gives to connections that go out (ip(7), ip_local_port_range): between now and the
    server's start, or while it is down, any program's connection could take its port from it.
    """
    candidates = random.SystemRandom().sample(range(FIRST_PORT, _first_outgoing()), CANDIDATES)
    with contextlib.ExitStack() as held:
        free: list[int] = []
        for port in candidates:
            each = held.enter_context(socket.socket())
            with contextlib.suppress(OSError):
                each.bind((LOOPBACK, port))
                free.append(port)
            if len(free) == count:
                return free
    raise StartFailed(
        f"of {CANDIDATES} ports from {FIRST_PORT} on, fewer than {count} are free on {LOOPBACK}"
    )


def _first_outgoing() -> int:
    """Where the kernel's ports for outgoing connections begin; where that leaves no room, where all end."""
    first = int(OUTGOING.read_text().split()[0])
    return first if first > FIRST_PORT + 2 * CANDIDATES else 65_536


def is_taken(host: str, port: int) -> bool:
    """True when somebody listens there already (or we may not listen there)."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return True
        return False
