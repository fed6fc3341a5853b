"""Ports for the embedded servers."""

import socket
import subprocess
import sys

import pytest

from gateway.processes.up import addresses
from gateway.processes.up.addresses import LOOPBACK, OUTGOING, free_ports, is_taken, reserve
from gateway.processes.up.children import StartFailed


def test_free_ports_are_different_and_none_an_outgoing_connection_may_get() -> None:
    first_outgoing = int(OUTGOING.read_text().split()[0])
    ports = free_ports(20)
    assert len(set(ports)) == 20
    assert all(port < first_outgoing for port in ports)


@pytest.fixture
def only(monkeypatch: pytest.MonkeyPatch) -> int:
    """The one port there is to be had, and nobody has it."""
    with socket.create_server((LOOPBACK, 0)) as listening:
        port: int = listening.getsockname()[1]
    monkeypatch.setattr(addresses, "FIRST_PORT", port)
    monkeypatch.setattr(addresses, "_first_outgoing", lambda: port + 1)
    monkeypatch.setattr(addresses, "CANDIDATES", 1)
    return port


def test_a_taken_port_is_not_given_out(only: int) -> None:
    with socket.create_server((LOOPBACK, only)):
        assert is_taken(LOOPBACK, only)
        with pytest.raises(StartFailed, match="fewer than 1 are free"):
            free_ports(1)


def test_a_port_another_process_will_listen_on_is_not_given_out_until_that_has_ended(only: int) -> None:
    holds = f"""
import sys
from gateway.processes.up.addresses import reserve
print(reserve({only}), flush=True)
sys.stdin.read()
"""
    command = [sys.executable, "-c", holds]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "True\n"
        with pytest.raises(StartFailed):
            free_ports(1)
        other.kill()
    assert free_ports(1) == [only]
    assert not reserve(only), "it is given out once"
