"""The four streams of a site, exactly as they must be configured, and the server beneath them.

`EV_1` is the log: no limits, nothing is ever deleted. `CT` is the content's write-ahead: deletable, of
bounded size, refuses when full. `KEYS` holds one value per name. `LEASE` holds who is active, by TTL.
Source: architecture §4, §5, §7; the server is told with raw JSON, so no field is lost on the way.
"""

import asyncio
import json
import re
import urllib.request
from collections.abc import Mapping
from typing import Any, Final

from gateway.adapters.jetstream import wire
from gateway.adapters.jetstream.link import SERVICE, Link
from gateway.adapters.jetstream.wire import ServerRefused
from gateway.ports import LogCorrupt, Position, Unavailable

LOG: Final = "EV_1"
CONTENT: Final = "CT"
KEYS: Final = "KEYS"
LEASES: Final = "LEASE"

SERVER_VERSION_MIN: Final = (2, 15, 0)  # the first whose atomic batch is one fsync

_NO_LIMITS: Final = {"max_age": 0, "max_msgs": -1, "max_msgs_per_subject": -1}
_DURABLE: Final = {
    "storage": "file",
    "retention": "limits",
    "discard": "new",
    "num_replicas": 1,
    "compression": "none",  # with it one flipped bit can stop a whole stream
    "allow_direct": True,
}

Configuration = Mapping[str, Any]


class Misconfigured(Exception):
    """A server or a stream is not as it must be. Says which setting is what, and what it has to be."""


def log_configuration(epoch: int = 1, stream: str = LOG) -> Configuration:
    return {
        "name": stream,
        "subjects": [f"in.e{epoch}.>"],
        "subject_transform": {"src": f"in.e{epoch}.>", "dest": "ev.>"},
        "max_bytes": -1,
        "deny_delete": True,
        "deny_purge": True,
        "allow_rollup_hdrs": False,
        "allow_msg_ttl": False,  # messages with a TTL would vanish in spite of deny_delete
        "allow_atomic": True,
        **_NO_LIMITS,
        **_DURABLE,
    }


def content_configuration(octets_max: int) -> Configuration:
    return {
        "name": CONTENT,
        "subjects": ["ct.>"],
        "max_bytes": octets_max,
        "deny_delete": False,
        "deny_purge": False,
        "allow_atomic": True,
        **_NO_LIMITS,
        **_DURABLE,
    }


def keys_configuration() -> Configuration:
    return {
        "name": KEYS,
        "subjects": ["key.>"],
        "max_bytes": -1,
        "deny_delete": False,
        "deny_purge": False,
        "allow_rollup_hdrs": True,
        "allow_atomic": True,
        **_NO_LIMITS,
        **_DURABLE,
        "max_msgs_per_subject": 1,
        "discard": "old",  # the older value of a name, never another name
    }


def lease_configuration() -> Configuration:
    return {
        "name": LEASES,
        "subjects": ["lease.>"],
        "max_bytes": -1,
        "allow_msg_ttl": True,
        "subject_delete_marker_ttl": 30_000_000_000,
        "allow_rollup_hdrs": True,
        **_NO_LIMITS,
        **_DURABLE,
        "max_msgs_per_subject": 1,
        "discard": "old",
    }


def configurations(content_octets_max: int) -> list[Configuration]:
    return [
        log_configuration(),
        content_configuration(content_octets_max),
        keys_configuration(),
        lease_configuration(),
    ]


async def prepare(link: Link, content_octets_max: int) -> None:
    """Make the streams that are not there, and check all. Needs the `admin` user.

    The size of CT follows its setting. Raises Misconfigured, Unavailable.
    """
    for wanted in configurations(content_octets_max):
        found = await _configuration(link, wanted["name"])
        if found is None:
            await change(link, "CREATE", wanted)
        elif wanted["name"] == CONTENT and found["max_bytes"] != wanted["max_bytes"]:
            await change(link, "UPDATE", {**found, "max_bytes": wanted["max_bytes"]})
        elif wanted["name"] == KEYS and not found.get("allow_atomic"):  # made before keys came in sets
            await change(link, "UPDATE", {**found, "allow_atomic": True})
        await check(link, wanted)


async def check(link: Link, wanted: Configuration) -> Configuration:
    """The stream's configuration, which has every setting of `wanted`. Raises Misconfigured, Unavailable."""
    found = await _configuration(link, wanted["name"])
    if found is None:
        raise Misconfigured(f"the stream {wanted['name']} does not exist")
    if differences := _differences(wanted, found):
        raise Misconfigured(f"the stream {wanted['name']} is not as it must be: {'; '.join(differences)}")
    return found


async def epoch_of(link: Link, stream: str) -> int:
    """Check a log's stream; the epoch its writers publish under. Raises Misconfigured, Unavailable."""
    found = await _configuration(link, stream)
    if found is None:
        raise Misconfigured(f"the stream {stream} does not exist")
    subjects = found.get("subjects") or []
    epoch = re.fullmatch(r"in\.e([0-9]+)\.>", subjects[0]) if len(subjects) == 1 else None
    if epoch is None:
        raise Misconfigured(f"the stream {stream} takes no writers: its subjects are {subjects}")
    await check(link, log_configuration(int(epoch[1]), stream))
    return int(epoch[1])


async def end_of_log(link: Link, stream: str) -> Position:
    """Its last position, from the leader; 0 when it is empty. Raises LogCorrupt, Unavailable.

    Nothing is ever deleted from a log: a message less than there are positions is damage, which the server
    itself does not mention.
    """
    try:
        answer = await link.api(f"STREAM.INFO.{stream}")
    except ServerRefused as refused:
        if refused.code == wire.STREAM_NOT_FOUND:
            raise LogCorrupt(0, f"the stream {stream} does not exist") from refused
        raise refused.as_port_error(SERVICE) from refused
    state, first = answer["state"], answer["config"].get("first_seq") or 1
    last: int = state["last_seq"]
    if state["messages"] != max(0, last - first + 1):
        raise LogCorrupt(
            await _first_missing(link, stream, first), "there is no event, although the log is longer"
        )
    return Position(last)


async def _first_missing(link: Link, stream: str, first: int) -> int:
    state = (await link.api(f"STREAM.INFO.{stream}", {"deleted_details": True}))["state"]
    if state["first_seq"] > first:
        return first
    missing: list[int] = state.get("deleted") or [first]
    return min(missing)


async def check_server(monitor_url: str) -> None:
    """A writer needs a server ≥ 2.15 that syncs before it acknowledges. Raises Misconfigured, Unavailable."""
    try:
        varz = await asyncio.to_thread(_varz, monitor_url)
    except (OSError, ValueError) as error:
        raise Unavailable(SERVICE, f"{monitor_url}/varz: {error}") from error
    version = tuple(int(part) for part in re.findall(r"[0-9]+", varz["version"])[:3])
    if version < SERVER_VERSION_MIN:
        wanted = ".".join(map(str, SERVER_VERSION_MIN))
        raise Misconfigured(f"nats-server is {varz['version']}, {wanted} is the oldest that will do")
    if not varz.get("jetstream", {}).get("config", {}).get("sync_always"):
        raise Misconfigured("nats-server acknowledges before fsync: set jetstream.sync_interval to always")


def _varz(monitor_url: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"{monitor_url}/varz", timeout=5) as answer:
        varz: dict[str, Any] = json.load(answer)
    return varz


async def _configuration(link: Link, stream: str) -> dict[str, Any] | None:
    try:
        answer = await link.api(f"STREAM.INFO.{stream}")
    except ServerRefused as refused:
        if refused.code == wire.STREAM_NOT_FOUND:
            return None
        raise refused.as_port_error(SERVICE) from refused
    configuration: dict[str, Any] = answer["config"]
    return configuration


async def change(link: Link, verb: str, configuration: Configuration) -> None:
    """CREATE or UPDATE a stream. Raises Misconfigured, Unavailable."""
    try:
        await link.api(f"STREAM.{verb}.{configuration['name']}", configuration)
    except ServerRefused as refused:
        raise Misconfigured(f"the stream {configuration['name']} was refused: {refused}") from refused


def _differences(wanted: Configuration, found: Configuration) -> list[str]:
    # The server leaves out what is false; what is never ours must be absent on every stream.
    never = {"sealed": False, "mirror": None, "sources": None, "persist_mode": None, "no_ack": False}
    return [
        f"{name} is {found.get(name)!r}, expected {value!r}"
        for name, value in {**never, **wanted}.items()
        if found.get(name) != value and not (not value and not found.get(name))
    ]
