"""The three embedded servers together: one data folder, one set of ports, one order of starting."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from gateway.processes.up.addresses import free_ports
from gateway.processes.up.credentials import Credentials
from gateway.processes.up.nats_server import NatsServer
from gateway.processes.up.postgres_server import PostgresServer
from gateway.processes.up.s3_server import INNER_PORTS, S3Server

PORTS = 4 + INNER_PORTS


@dataclass(frozen=True, slots=True)
class Servers:
    """The servers of one data folder. Start: nats, postgres, then s3 (its metadata is in postgres)."""

    nats: NatsServer
    postgres: PostgresServer
    s3: S3Server

    @classmethod
    def in_folder(cls, data: Path, credentials: Credentials, ports: Sequence[int] = ()) -> Self:
        """Servers with their files below data, on these loopback ports (PORTS of them) or on free ones."""
        logs = data / "logs"
        nats_port, monitor_port, postgres_port, s3_port, *inner = ports or free_ports(PORTS)
        return cls(
            nats=NatsServer(data / "nats", logs, credentials, nats_port, monitor_port),
            postgres=PostgresServer(data / "postgres", logs, credentials, postgres_port),
            s3=S3Server(data / "s3", logs, credentials, postgres_port, s3_port, tuple(inner)),
        )
