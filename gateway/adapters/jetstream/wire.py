"""What goes over the line to JetStream and what comes back: messages, refusals, silence.

Source: ADR-50 (atomic batches) and ADR-31 (direct get) of NATS; error codes of nats-server 2.15.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from gateway.domain.group import HEADER_OCTETS
from gateway.ports import Full, Position, Recorded, Unavailable

TOPIC: Final = "Es-Topic"
VERSION: Final = "Es-Version"
MARK: Final = "Es-Mark"  # which write this was, so that one whose ack was lost can be found again
EXPECTED: Final = "Nats-Expected-Last-Subject-Sequence"
EXPECTED_SUBJECT: Final = "Nats-Expected-Last-Subject-Sequence-Subject"
BATCH_ID: Final = "Nats-Batch-Id"
BATCH_SEQUENCE: Final = "Nats-Batch-Sequence"
BATCH_COMMIT: Final = "Nats-Batch-Commit"

NOT_FOUND: Final = 10037
STREAM_NOT_FOUND: Final = 10059
WRONG_SEQUENCE: Final = 10071  # the guarded history has moved on
WRITE_IN_FLIGHT: Final = 10164  # R3: another guarded write is on its way; refused, not stored
BATCH_INCOMPLETE: Final = 10176
TOO_MANY_BATCHES: Final = 10210
STORE_FAILED: Final = 10077  # a limit of the stream, or the disk
OUT_OF_SPACE: Final = {10023, 10047}


class ServerRefused(Exception):
    """The server answered no: nothing of what was sent is stored."""

    def __init__(self, error: Mapping[str, Any]) -> None:
        self.code: int = error.get("err_code", error.get("code", 0))
        self.reason: str = error.get("description", "no reason given")
        super().__init__(f"{self.code} {self.reason}")

    @property
    def is_conflict(self) -> bool:
        return self.code == WRONG_SEQUENCE

    @property
    def is_passing(self) -> bool:
        """True when the same thing may be sent again at once."""
        return self.code in (WRITE_IN_FLIGHT, BATCH_INCOMPLETE, TOO_MANY_BATCHES)

    @property
    def is_unsettled(self) -> bool:
        """True when the server failed while storing (the disk): only looking tells what is there."""
        return self.code == STORE_FAILED and "maximum" not in self.reason

    def as_port_error(self, service: str) -> Unavailable:
        """Full or Unavailable: what a process is told."""
        full = self.code in OUT_OF_SPACE or (self.code == STORE_FAILED and "maximum" in self.reason)
        return (Full if full else Unavailable)(service, str(self))


class Unanswered(Exception):
    """No answer came: what was sent may be stored, may yet be stored, or may never be."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to publish. octets: its share of a batch's size limit."""

    subject: str
    payload: bytes
    headers: Mapping[str, str]

    @property
    def octets(self) -> int:
        return len(self.payload) + len(self.subject) + HEADER_OCTETS

    def with_headers(self, more: Mapping[str, str]) -> "Outgoing":
        return Outgoing(self.subject, self.payload, {**self.headers, **more})


@dataclass(frozen=True, slots=True)
class Stored:
    """A message of a stream."""

    sequence: int
    subject: str
    headers: Mapping[str, str]
    payload: bytes

    @classmethod
    def from_api(cls, answer: Mapping[str, Any]) -> "Stored":
        """From the `message` of a STREAM.MSG.GET answer, where header and payload are base64."""
        lines = base64.b64decode(answer.get("hdrs", "")).decode().split("\r\n")[1:]
        headers = dict(line.split(": ", 1) for line in lines if ": " in line)
        return cls(answer["seq"], answer["subject"], headers, base64.b64decode(answer.get("data", "")))

    def recorded(self) -> Recorded:
        return recorded(self.sequence, self.subject, self.headers, self.payload)


def recorded(sequence: int, subject: str, headers: Mapping[str, str], payload: bytes) -> Recorded:
    """A message of the log as the ports know it. One without a topic has the topic ""."""
    version = int(headers.get(VERSION, 0))
    return Recorded(Position(sequence), subject, headers.get(TOPIC, ""), payload, version)


def sequence_of(answer: bytes) -> int:
    """The sequence a publish ack names: of a batch, that of its last message. Raises ServerRefused."""
    ack = json.loads(answer)
    if error := ack.get("error"):
        raise ServerRefused(error)
    sequence: int = ack["seq"]
    return sequence


def token_of(name: str) -> str:
    """A name as one subject token: dots, blanks and wildcards percent-encoded."""
    return quote(name, safe="@").replace(".", "%2E")
