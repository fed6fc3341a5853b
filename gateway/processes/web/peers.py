"""Whether what a client says to us, and we to it, is read by nobody else."""

import ipaddress

from starlette.requests import Request


def is_private(request: Request) -> bool:
    """It came over TLS, or from this machine. No header is believed in this."""
    return request.scope["scheme"] == "https" or is_loopback(request)


def is_loopback(request: Request) -> bool:
    try:
        return request.client is not None and ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:
        return False
