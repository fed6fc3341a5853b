"""Ports for the embedded servers."""

import socket

import pytest

from gateway.processes.up import addresses
from gateway.processes.up.addresses import LOOPBACK, OUTGOING, free_ports, is_taken
from gateway.processes.up.children import StartFailed


def test_free_ports_are_different_and_none_an_outgoing_connection_may_get() -> None:
    first_outgoing = int(OUTGOING.read_text().split()[0])
    ports = free_ports(20)
    assert len(set(ports)) == 20
    assert all(port < first_outgoing for port in ports)


def test_a_taken_port_is_not_given_out(monkeypatch: pytest.MonkeyPatch) -> None:
    (only,) = free_ports(1)
    monkeypatch.setattr(addresses, "FIRST_PORT", only)
    monkeypatch.setattr(addresses, "_first_outgoing", lambda: only + 1)
    monkeypatch.setattr(addresses, "CANDIDATES", 1)
    assert free_ports(1) == [only]
    with socket.create_server((LOOPBACK, only)):
        assert is_taken(LOOPBACK, only)
        with pytest.raises(StartFailed, match="fewer than 1 are free"):
            free_ports(1)
