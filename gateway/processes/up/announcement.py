"""What the supervisor tells about a running gateway: to people, to a ready file, to the other commands."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from gateway.processes.up.children import StartFailed
from gateway.processes.up.credentials import write_secret
from gateway.processes.up.folder import gateway_file
from gateway.settings import Settings, load


@dataclass(frozen=True, slots=True)
class Announcement:
    """The addresses, accounts and processes of a running gateway. An address is host:port, None if closed."""

    pid: int
    smtp: str | None
    submission: str | None
    submissions: str | None
    imap: str | None
    imaps: str | None
    http: str | None
    nats: str = field(repr=False)  # as the user `cli`
    postgres: str = field(repr=False)
    s3: Mapping[str, Any] = field(repr=False)  # endpoint, access_key, secret_key, secure
    ca_file: str
    data: str
    demo_accounts: Sequence[Mapping[str, str]] = field(repr=False)  # address, password
    processes: Sequence[Mapping[str, Any]]  # role, pid
    # An older build's announcement has none of these.
    https: str | None = None
    pop3: str | None = None
    pop3s: str | None = None

    def write_ready_file(self, file: Path) -> None:
        """Write the ready file, whole or not at all. It names passwords: only its owner reads it."""
        write_secret(file, json.dumps(asdict(self), ensure_ascii=False, indent=1).encode())


@dataclass(frozen=True, slots=True)
class Gateway:
    """A running gateway as the other commands find it: what was announced, and how each role connects."""

    announcement: Announcement
    settings: Settings  # the supervisor's own, `admin` of NATS
    nats_urls: Mapping[str, str] = field(repr=False)  # by role, with `admin`, `cli` and `auditor`
    ready: bool = False  # every role has said that it serves
    down: Sequence[str] = ()  # roles and servers that are being started again

    def write(self, data: Path) -> None:
        written = {
            "announcement": asdict(self.announcement),
            "settings": self.settings.environment,
            "nats_urls": dict(self.nats_urls),
            "ready": self.ready,
            "down": list(self.down),
        }
        write_secret(gateway_file(data), json.dumps(written, ensure_ascii=False, indent=1).encode())

    def settings_for(self, role: str) -> Settings:
        """The settings a role of this gateway runs with; `cli` for commands."""
        return replace(self.settings, nats_url=self.nats_urls.get(role, self.settings.nats_url))


def read_gateway(data: Path) -> Gateway:
    """The gateway that runs, or ran last, on this data folder. Raises StartFailed when none ever did."""
    try:
        written = json.loads(gateway_file(data).read_bytes())
    except FileNotFoundError:
        raise StartFailed(f"no gateway runs on the data folder {data}: start one with `saraban up`") from None
    except PermissionError:
        raise StartFailed(f"the gateway on the data folder {data} belongs to another user") from None
    return Gateway(
        announcement=Announcement(**written["announcement"]),
        settings=load(written["settings"]),
        nats_urls=written["nats_urls"],
        ready=written["ready"],
        down=written.get("down", ()),
    )


def as_text(announcement: Announcement, took_s: float, maildir: Path | None) -> list[str]:
    """What a person sees when all is ready: endpoints, demo accounts, how to send a first mail."""
    told = [f"ready in {took_s:.1f} s", ""]
    for name in ("smtp", "submission", "submissions", "imap", "imaps", "pop3", "pop3s", "http", "https"):
        if address := getattr(announcement, name):
            told.append(f"  {name:<12} {f'{name}://' if name.startswith('http') else ''}{address}")
    told += [f"  {'data':<12} {announcement.data}", f"  {'authority':<12} {announcement.ca_file}"]
    if announcement.demo_accounts:
        told += ["", "demo accounts (address, password):"]
        told += [
            f"  {account['address']:<28} {account['password']}" for account in announcement.demo_accounts
        ]
    if announcement.https:
        told += ["", f"people look after their accounts at https://{announcement.https}/account"]
    if maildir is not None:
        told += ["", f"mail for dld.go.th goes to its own server, which writes {maildir}"]
    sender, receiver = ["somchai@opm.go.th", "malee@opdc.go.th"]
    if len(announcement.demo_accounts) >= 2:
        sender, receiver = (
            announcement.demo_accounts[0]["address"],
            announcement.demo_accounts[-1]["address"],
        )
    if announcement.demo_accounts:
        told += [
            "",
            "a first mail:",
            f"  saraban --data {announcement.data} send --from {sender} --to {receiver} "
            "--subject 'ขอเชิญประชุม' --text 'วันจันทร์ ๙ นาฬิกา'",
            f"  saraban --data {announcement.data} mailbox list {receiver}",
        ]
    else:
        told += ["", f"next: saraban --data {announcement.data} init"]
    return [*told, "", "Ctrl-C stops everything in order"]
