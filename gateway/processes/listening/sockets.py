"""Listening sockets: several processes on one port (SO_REUSEPORT), and a port held before they come.

The supervisor holds each port from its start, so nobody takes it while a role is being restarted. A port held
is bound and does not listen: the kernel gives it no connections (socket(7), SO_REUSEPORT).
"""

import socket

from gateway.settings import split_address


def listen(address: str, backlog: int = 1024) -> socket.socket:
    """A listening, non-blocking socket for `host:port`, shared with our other processes. Raises OSError."""
    listening = hold(address)
    listening.listen(backlog)
    listening.setblocking(False)
    return listening


def hold(address: str) -> socket.socket:
    """A socket bound to `host:port` that does not listen. Raises OSError when the port is taken."""
    host, port = split_address(address)
    family, kind, protocol, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    held = socket.socket(family, kind, protocol)
    try:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind(where)
    except OSError:
        held.close()
        raise
    return held
