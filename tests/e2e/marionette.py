"""A Thunderbird without a window, driven through Marionette, its remote protocol, in privileged JavaScript.

Source: Firefox source docs, "Marionette Protocol" (length:JSON over TCP); WebDriver commands it has.
"""

import json
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.e2e.gateway import wait_until
from tests.needs import lacks

SCRIPT_PATIENCE_S = 90.0  # only bounds a test that has already failed


class ScriptFailed(Exception):
    """What the script threw."""


class Thunderbird:
    """A running one."""

    def __init__(self, line: socket.socket) -> None:
        self._line, self._buffer, self._number = line, b"", 0
        self._read()  # it says who it is
        self._ask("WebDriver:NewSession", {"capabilities": {"alwaysMatch": {"acceptInsecureCerts": False}}})
        self._ask("Marionette:SetContext", {"value": "chrome"})
        self._ask("WebDriver:SetTimeouts", {"script": int(SCRIPT_PATIENCE_S * 1000)})

    def run(self, script: str, *arguments: object) -> Any:
        """Run the body of an async function with `arguments`; what it returns. Raises ScriptFailed."""
        body = f"""
            const [args, done] = [Array.from(arguments).slice(0, -1), arguments[arguments.length - 1]];
            (async (...arguments) => {{ {script} }})(...args).then(
                value => done({{value: value === undefined ? null : value}}),
                error => done({{error: `${{error}} ${{error.stack || ""}}`}}));
        """
        told = self._ask("WebDriver:ExecuteAsyncScript", {"script": body, "args": list(arguments)})["value"]
        if "error" in told:
            raise ScriptFailed(told["error"])
        return told["value"]

    def _ask(self, command: str, parameters: Mapping[str, object]) -> Any:
        self._number += 1
        sent = json.dumps([0, self._number, command, parameters]).encode()
        self._line.sendall(b"%d:%s" % (len(sent), sent))
        _, number, error, value = self._read()
        assert number == self._number
        if error:
            raise ScriptFailed(f"{command}: {error}")
        return value

    def _read(self) -> Any:
        while b":" not in self._buffer:
            self._receive()
        length, _, rest = self._buffer.partition(b":")
        while len(rest) < int(length):
            self._receive()
            _, _, rest = self._buffer.partition(b":")
        self._buffer = rest[int(length) :]
        return json.loads(rest[: int(length)])

    def _receive(self) -> None:
        octets = self._line.recv(65_536)
        assert octets, "Thunderbird went away"
        self._buffer += octets


@contextmanager
def thunderbird(profile: Path, preferences: Mapping[str, object]) -> Iterator[Thunderbird]:
    """One with a profile of its own and these preferences. It is gone when the block ends."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    wanted = {"marionette.port": port, **preferences}
    profile.mkdir()
    lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});" for name, value in wanted.items()]
    (profile / "user.js").write_text("\n".join(lines) + "\n")
    command = [
        "thunderbird",
        "--headless",
        "--marionette",
        "--remote-allow-system-access",
        "--no-remote",
        "--profile",
        str(profile),
    ]
    log = (profile / "log").open("wb")
    try:
        running = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    except FileNotFoundError:
        lacks("thunderbird")
    try:

        def listens() -> bool:
            assert running.poll() is None, (profile / "log").read_text("utf-8", "replace")[-2000:]
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0

        wait_until(listens, "Thunderbird listens to Marionette", SCRIPT_PATIENCE_S)
        with socket.create_connection(("127.0.0.1", port), timeout=2 * SCRIPT_PATIENCE_S) as line:
            yield Thunderbird(line)
    finally:
        running.kill()
        running.wait()
        log.close()
