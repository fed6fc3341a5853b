"""The embedded servers' passwords: random, made at the first start, in one file only its owner reads."""

import json
import os
import secrets
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Self

# The users of infra/nats/nats-server.conf.
NATS_USERS = (
    "sys", "admin", "edge", "router", "relay", "packer", "projector", "steward", "web", "imap", "pop3",
    "cli", "auditor",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Credentials:
    """One password per user and server."""

    nats: dict[str, str] = field(repr=False)
    postgres: str = field(repr=False)  # user `saraban`, who owns the database `saraban`
    s3_metadata: str = field(repr=False)  # user `s3`, who owns the database `s3`
    s3_access_key: str
    s3_secret_key: str = field(repr=False)

    @classmethod
    def random(cls) -> Self:
        return cls(
            nats={user: _password() for user in NATS_USERS},
            postgres=_password(),
            s3_metadata=_password(),
            s3_access_key=f"saraban-{secrets.token_hex(6)}",
            s3_secret_key=_password(),
        )

    @classmethod
    def kept_in(cls, file: Path) -> Self:
        """The credentials in file; random new ones, written there, at the first start and for new users."""
        made = cls.random()
        if file.exists():
            kept = cls(**json.loads(file.read_text()))
            if kept.nats.keys() >= made.nats.keys():
                return kept
            made = replace(kept, nats=made.nats | kept.nats)
        write_secret(file, json.dumps(asdict(made), indent=1).encode())
        return made


def write_secret(file: Path, octets: bytes) -> None:
    """Write a file only its owner can read, whole or not at all, on disk when this returns."""
    fresh = file.with_name(file.name + ".new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        out.write(octets)
        out.flush()
        os.fsync(out.fileno())
    fresh.rename(file)
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _password() -> str:
    # A letter first: nats-server reads $NAME in its file as a value, and a lone number would not be a string.
    return "p" + secrets.token_hex(20)
