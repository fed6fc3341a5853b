"""`saraban up` with roles that do nothing, as a process: python -m tests.processes.up.dummy_gateway.

A role writes its environment to DATA/<role>.json and serves until SIGTERM; it fails at its first start when
DATA/../<role>.fails exists. What needs adapters is left out: this is about starting, keeping and stopping.
"""

import asyncio
import json
import os
import signal
import sys

from gateway.processes.readiness import ready, until_told
from gateway.processes.up.children import StartFailed
from gateway.processes.up.folder import claim, sentence
from gateway.processes.up.ports import Ports
from gateway.processes.up.supervisor import Accounts, Supervisor, Work
from gateway.settings import Settings, load

ROLES = ("router", "edge")


def main() -> None:
    settings = load(os.environ)
    work = Work(prepare, demo, serve, (__name__,), ROLES)
    try:
        with claim(settings.data) as folder, Ports(folder.run / "ports.json") as ports:
            supervisor = Supervisor(folder, settings, ports, work, say)
            ready_file = settings.data / "ready.json"
            ready_file.unlink(missing_ok=True)
            asyncio.run(until_told(supervisor.run(ephemeral=True, ready_file=ready_file)))
    except StartFailed as error:
        sys.exit(f"saraban: {error}")
    except OSError as error:
        sys.exit(f"saraban: {sentence(error, settings.data)}")


async def prepare(settings: Settings) -> None:
    (settings.data / "prepared.json").write_text(json.dumps(settings.environment))


async def demo(settings: Settings) -> Accounts:
    return [
        {"address": "somchai@opm.go.th", "password": "x"},
        {"address": "malee@opdc.go.th", "password": "y"},
    ]


def say(line: str) -> None:
    print(line, flush=True)


def serve(role: str) -> None:
    settings = load(os.environ)
    fails = settings.data.parent / f"{role}.fails"
    if fails.exists():
        fails.unlink()
        sys.exit(f"{role} fails as it was told")
    name = role if settings.instance == 0 else f"{role}-{settings.instance + 1}"
    (settings.data / f"{name}.json").write_text(json.dumps(settings.environment))
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    ready(os.environ)
    signal.sigwait({signal.SIGTERM})


if __name__ == "__main__":
    main()
