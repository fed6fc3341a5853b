"""NATS JetStream: the event log, lanes into it, the content's write-ahead, leases.

async with jetstream.connect(url, name="edge") as link:
    log = await jetstream.open_log(link)
    async with jetstream.open_lane(log, "edge-host-0", clock=clock, actor=actor, by=by) as lane:
        ...
"""

from gateway.adapters.jetstream.committer import Committer
from gateway.adapters.jetstream.lane import JetStreamLane, open_content_lane, open_lane
from gateway.adapters.jetstream.leases import JetStreamLeases
from gateway.adapters.jetstream.link import Link, connect
from gateway.adapters.jetstream.log import JetStreamLog, open_log
from gateway.adapters.jetstream.persistence import JetStreamFactory
from gateway.adapters.jetstream.streams import Misconfigured, check_server, prepare

__all__ = [
    "Committer",
    "JetStreamFactory",
    "JetStreamLane",
    "JetStreamLeases",
    "JetStreamLog",
    "Link",
    "Misconfigured",
    "check_server",
    "connect",
    "open_content_lane",
    "open_lane",
    "open_log",
    "prepare",
]
