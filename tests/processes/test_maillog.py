"""Log lines: one JSON object each, and none is worth a mail."""

import io
from collections.abc import Iterator

import orjson
import pytest
import structlog

from gateway.processes import maillog


class Disk(io.BytesIO):
    """Where lines go, as long as there is room."""

    is_full = False

    def flush(self) -> None:
        if self.is_full:
            raise OSError(28, "No space left on device")
        super().flush()


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    disk = Disk()
    writer = io.TextIOWrapper(disk)  # closes `disk` when nobody holds it any more
    monkeypatch.setattr(maillog, "_log", structlog.get_logger())
    with monkeypatch.context() as patch:
        patch.setattr("sys.stdout", writer)
        maillog.configure("edge", "info")
        yield disk
        disk.is_full = False
    structlog.contextvars.clear_contextvars()
    structlog.reset_defaults()


def test_a_line_is_one_json_object_with_role_and_time(disk: Disk) -> None:
    maillog.mail_refused(code=550, status="5.1.1", reason="No such mailbox\n here")
    (line,) = disk.getvalue().splitlines()
    said = orjson.loads(line)
    assert said.pop("timestamp").endswith("Z")
    assert said == {
        "event": "mail_refused",
        "level": "info",
        "role": "edge",
        "code": 550,
        "status": "5.1.1",
        "reason": "No such mailbox\n here",
    }


def test_a_full_disk_costs_lines_and_raises_nothing(disk: Disk) -> None:
    disk.is_full = True
    maillog.role_stopped()
    maillog.session_failed(ValueError("planted"))
    disk.is_full = False
    maillog.service_unavailable(service="nats", reason="away", doing="accept")
    assert orjson.loads(disk.getvalue().splitlines()[-1])["level"] == "warning"


def test_a_mistake_is_told_with_its_traceback_and_without_variables(disk: Disk) -> None:
    def fail(address: str) -> None:
        raise ValueError("planted")

    address = "ann@" + "example.org"
    try:
        fail(address)
    except ValueError as error:
        maillog.session_failed(error)
    said = orjson.loads(disk.getvalue())
    assert "ValueError: planted" in said["exception"]
    assert address not in said["exception"]
