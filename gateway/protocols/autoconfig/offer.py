"""Where mail programs go, in the order we recommend.

Source: RFC 8314 §3 (TLS from the first octet before STARTTLS), §5 (what programs are told).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Protocol = Literal["imap", "pop3", "smtp"]


@dataclass(frozen=True, slots=True)
class Server:
    """is_implicit: TLS begins with the first octet; else it is started."""

    protocol: Protocol
    port: int
    is_implicit: bool


@dataclass(frozen=True, slots=True)
class Offer:
    """hostname: in our certificate. url: of our HTTPS, no slash at its end. servers: the best first."""

    hostname: str
    url: str
    servers: tuple[Server, ...]

    def of(self, *protocols: Protocol) -> Iterable[Server]:
        return (server for server in self.servers if server.protocol in protocols)

    def best(self, protocol: Protocol) -> Server | None:
        return next(iter(self.of(protocol)), None)
