"""Events to octets and back: one wire format for facts, aggregates and auditors.

JSON by msgspec; the topic travels beside it (header `Es-Topic`), so a reader of any language sees the
version without opening the payload. A topic of an older version is upcast step by step.
"""

from functools import cache
from typing import Any, Final

import msgspec

from gateway.domain import (
    account,
    addresses,
    agency,
    agency_tls,
    app_passwords,
    bans,
    catching,
    changes,
    claims,
    credentials,
    forwarding,
    importing,
    mailboxtree,
    maillist,
    refusals,
    route,
    sessions,
    signin,
    standing,
    steering,
    tls_report,
    traffic,
    trial,
)
from gateway.domain.events import EVENT_TYPES, Event

# The rooms that declare events beside events.py: to know this module is to know every topic.
EVENT_ROOMS: Final = (
    account,
    addresses,
    agency,
    agency_tls,
    app_passwords,
    bans,
    catching,
    changes,
    claims,
    credentials,
    forwarding,
    importing,
    mailboxtree,
    maillist,
    refusals,
    route,
    sessions,
    signin,
    standing,
    steering,
    tls_report,
    traffic,
    trial,
)

# Events are small (architecture §4): content never goes into the log. The largest is a mail.accepted whose
# envelope is at its limits (128 KiB, sealed twice; 1,000 recipients): 455 KB.
EVENT_OCTETS_MAX: Final = 512 * 1024

_encoder = msgspec.json.Encoder()


class UnknownTopic(Exception):
    """The log holds a topic this build does not know: the consumer stops, a newer build is wanted."""


class MalformedEvent(Exception):
    """The octets do not have the shape their topic promises."""


def encode(event: Event) -> bytes:
    return _encoder.encode(event)


def decode(topic: str, state: bytes) -> Event:
    """Raises UnknownTopic or MalformedEvent; both mean: stop, and say at which position."""
    kind = EVENT_TYPES.get(topic)
    if kind is None:
        raise UnknownTopic(topic)
    try:
        event: Event = _decoder(kind).decode(state)
    except msgspec.MsgspecError as error:
        raise MalformedEvent(f"{topic}: {error}") from error
    return event


@cache
def _decoder(kind: type[Event]) -> Any:
    return msgspec.json.Decoder(kind)


def schemas() -> dict[str, dict[str, Any]]:
    """The JSON Schema of every topic version, as committed in schemas/events/<topic>/<version>.json."""
    return {
        topic: {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": topic}
        | msgspec.json.schema(kind)
        for topic, kind in sorted(EVENT_TYPES.items())
    }
