"""Roles are forked from one process that has loaded the program: what takes seconds is done once for all.

A role so started is there in a fraction of the time, and all share the memory of what was loaded. The process
they come from has no threads and no connections; it ends when the supervisor does, and its roles with it.
Source: multiprocessing's forkserver; prctl(2) PR_SET_PDEATHSIG.
"""

import ctypes
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from pathlib import Path

import setproctitle

from gateway.processes.readiness import VARIABLE

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)
_forking = multiprocessing.get_context("forkserver")


def load(modules: tuple[str, ...]) -> None:
    """Begin to load the modules that forked roles need; does not wait. Before the first fork only."""
    _forking.set_forkserver_preload(list(modules))
    forkserver.ensure_running()


def end_with_parent(stop_signal: signal.Signals) -> None:
    """From now on this process gets stop_signal when its parent is gone."""
    _libc.prctl(PR_SET_PDEATHSIG, stop_signal)


class Forked:
    """A process that runs one function. What subprocess.Popen has, as far as `Child` asks for it."""

    def __init__(
        self,
        name: str,
        work: Callable[[], None],
        env: Mapping[str, str],
        log: Path,
        stop_signal: signal.Signals,
        ready_fd: int | None = None,
    ) -> None:
        becoming = _Becoming(name, work, env, log, stop_signal)
        # A Connection is how multiprocessing hands a descriptor over; it has another number there.
        line = None if ready_fd is None else Connection(os.dup(ready_fd), readable=False)
        self._process = _forking.Process(target=becoming, args=(line,), name=name, daemon=True)
        try:
            self._process.start()
        finally:
            if line is not None:
                line.close()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None  # it was started
        return self._process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self) -> int:
        self._process.join()
        assert self._process.exitcode is not None
        return self._process.exitcode

    def send_signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def watch(self) -> int:
        """A descriptor that becomes readable when it ends; whoever asked closes it."""
        return os.dup(self._process.sentinel)


@dataclass(frozen=True, slots=True)
class _Becoming:
    """What a forked process makes of itself before its work."""

    name: str
    work: Callable[[], None]
    env: Mapping[str, str]
    log: Path
    stop_signal: signal.Signals

    def __call__(self, line: Connection | None) -> None:
        # The process we come from ends when nobody holds this pipe any more: only the supervisor may, so that
        # roles end with it. multiprocessing leaves it open here, for processes that fork further ones.
        os.close(getattr(forkserver, "_forkserver")._forkserver_alive_fd)  # noqa: B009
        end_with_parent(self.stop_signal)
        supervisor = multiprocessing.parent_process()
        if supervisor is None or not supervisor.is_alive():
            os._exit(1)
        os.setsid()
        setproctitle.setproctitle(f"saraban: {self.name}")  # `ps` would name the process it comes from
        with self.log.open("ab") as log:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
        os.environ.clear()
        os.environ.update(self.env)
        if line is not None:
            os.environ[VARIABLE] = str(os.dup(line.fileno()))
            line.close()
        sys.argv = ["saraban", self.name]
        self.work()
