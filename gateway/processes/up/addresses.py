"""Loopback ports for the embedded servers: free ones, and whether one is taken."""

import itertools
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
    """Ports nobody listens on now, all different, and ours until this process ends.

    Not of those the kernel gives to connections that go out (ip(7), ip_local_port_range): between now and the
    server's start, or while it is down, any program's connection could take its port from it.
    """
    candidates = random.SystemRandom().sample(range(FIRST_PORT, _first_outgoing()), CANDIDATES)
    free = list(itertools.islice(filter(reserve, candidates), count))
    if len(free) < count:
        text = f"of {CANDIDATES} ports from {FIRST_PORT} on, fewer than {count} are free on {LOOPBACK}"
        raise StartFailed(text)
    return free


def reserve(port: int) -> bool:
    """Have a port for a server that is to be started; False: somebody has it.

    Two gateways that start at once both find a port free. A name in the kernel's table (unix(7), abstract) is
    had by one, and gone with its process.
    """
    name = socket.socket(socket.AF_UNIX)
    try:
        name.bind(f"\0saraban port {port}")
    except OSError:
        name.close()
        return False
    name.detach()  # never closed: it is ours until this process ends
    return not is_taken(LOOPBACK, port)


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
