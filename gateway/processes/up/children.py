"""A program the supervisor started: how it is launched, watched and ended.

A child gets its stop signal when the supervisor is gone, however it went.
"""

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from gateway.processes.readiness import VARIABLE
from gateway.processes.up.forking import Forked, end_with_parent


class StartFailed(Exception):
    """A program did not come up. The text is one sentence for the operator."""


class NotReady(Exception):
    """The program runs and does not answer yet."""


@dataclass(frozen=True, slots=True)
class Launch:
    """All that is needed to start one program the same way again."""

    name: str
    runs: tuple[str, ...] | Callable[[], None]  # a program and its arguments, or a function of ours: forked
    log: Path  # standard output and error go here, appended
    env: Mapping[str, str] = field(default_factory=dict, repr=False)  # beside PATH, HOME, LANG
    cwd: Path | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    stop_patience_s: float = 30.0  # how long stop() waits before it kills
    orphan_signal: signal.Signals | None = None  # when the supervisor is gone; None: stop_signal
    ready_fd: int | None = None  # where it says that it serves (readiness.py)
    leaves: tuple[Path, ...] = ()  # files outside the data folder that it leaves behind when it is killed

    def clear(self) -> None:
        """Remove what it leaves. Not while it runs."""
        for file in self.leaves:
            with suppress(OSError):  # nobody depends on it
                file.unlink(missing_ok=True)


class Spawned(subprocess.Popen[bytes]):
    """A process that runs a program."""

    def __init__(self, argv: tuple[str, ...], launch: Launch) -> None:
        supervisor_pid = os.getpid()

        def die_with_supervisor() -> None:
            end_with_parent(launch.orphan_signal or launch.stop_signal)
            if os.getppid() != supervisor_pid:
                os._exit(1)

        ready = {} if launch.ready_fd is None else {VARIABLE: str(launch.ready_fd)}
        with launch.log.open("ab") as log:
            super().__init__(
                argv,
                cwd=launch.cwd,
                env=_basic_environment() | dict(launch.env) | ready,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=die_with_supervisor,
                pass_fds=() if launch.ready_fd is None else (launch.ready_fd,),
            )

    def watch(self) -> int:
        """A descriptor that becomes readable when it ends; whoever asked closes it."""
        return os.pidfd_open(self.pid)


class Child:
    """One running program in a session of its own, so that Ctrl-C reaches only the supervisor."""

    def __init__(self, launch: Launch) -> None:
        self.launch = launch
        launch.clear()
        launch.log.parent.mkdir(parents=True, exist_ok=True)
        self._process = _start(launch)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative: ended by that signal."""
        return self._process.poll()

    def signal(self, number: signal.Signals) -> None:
        if self.exit_code is None:
            self._process.send_signal(number)

    def kill(self) -> None:
        """End it at once, as a crash would, and wait until it is gone."""
        self.signal(signal.SIGKILL)
        self._process.wait()
        self.launch.clear()

    async def stop(self) -> None:
        """Ask it to end in its own way; when its patience is over it is killed."""
        self.signal(self.launch.stop_signal)
        until = time.monotonic() + self.launch.stop_patience_s
        while self.exit_code is None:
            if time.monotonic() > until:
                self.kill()
            await asyncio.sleep(0.02)
        self.launch.clear()

    async def ended(self) -> int:
        """Wait until it is gone; its exit code."""
        descriptor = self._process.watch()
        gone = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_reader(descriptor, gone.set)
        try:
            await gone.wait()
        finally:
            loop.remove_reader(descriptor)
            os.close(descriptor)
        return self._process.wait()

    async def ready(self, probe: Callable[[], Awaitable[None]], patience_s: float = 60.0) -> None:
        """Wait until probe no longer raises NotReady.

        Raises StartFailed with the end of the log when the program ends or patience_s is over.
        """
        until = time.monotonic() + patience_s
        while True:
            if self.exit_code is not None:
                raise StartFailed(f"{self.launch.name} ended with code {self.exit_code}: {self.last_words()}")
            try:
                return await probe()
            except NotReady as reason:
                if time.monotonic() > until:
                    waited = f"{self.launch.name} is not ready after {patience_s:.0f} s ({reason})"
                    raise StartFailed(f"{waited}: {self.last_words()}") from reason
            await asyncio.sleep(0.05)

    def last_words(self, lines: int = 3) -> str:
        """The end of the program's log, on one line."""
        with self.launch.log.open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - 4096))
            tail = log.read().decode("utf-8", "replace").strip().splitlines()[-lines:]
        return " / ".join(tail) or "it said nothing"


def _start(launch: Launch) -> Spawned | Forked:
    if isinstance(launch.runs, tuple):
        return Spawned(launch.runs, launch)
    env = _basic_environment() | dict(launch.env)
    return Forked(launch.name, launch.runs, env, launch.log, launch.stop_signal, launch.ready_fd)


def _basic_environment() -> dict[str, str]:
    return {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR", "TZ") if name in os.environ}
