"""The API somebody has logged in to: where it is, and the token, in a file only its owner reads."""

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

import click

from gateway.cli.output import fail
from gateway.processes.up.credentials import write_secret


@dataclass(frozen=True, slots=True)
class Session:
    """ca: PEM of the authority that signed the server's certificate; "": those the system trusts."""

    url: str  # without a path
    user: str
    token: str = field(repr=False)
    expires_at: str  # ISO 8601
    ca: str = ""


def session_file() -> Path:
    return Path.home() / ".config" / "saraban" / "token.json"


def keep(session: Session) -> None:
    file = session_file()
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_secret(file, json.dumps(asdict(session), ensure_ascii=False).encode())


def kept() -> Session | None:
    """None: nobody is logged in."""
    try:
        return Session(**json.loads(session_file().read_bytes()))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        fail(f"{session_file()} cannot be used ({error}): saraban logout removes it")


def session_of(context: click.Context) -> Session | None:
    """Whom to ask: the API with `--api`, or when logged in and no data folder is named; None: the folder."""
    meta = context.find_root().meta
    names_folder = meta.get("saraban.data") or "SARABAN_DATA" in os.environ
    if not meta.get("saraban.api"):
        return None if names_folder else kept()
    if meta.get("saraban.data"):
        raise click.UsageError("--api and --data exclude each other", context)
    return kept() or fail("nobody is logged in: saraban login URL")
