"""How the gateway is, through the API: for operators alone."""

from datetime import datetime
from typing import Final

from msgspec import Struct

from gateway.mail.ids import AgencyId
from gateway.processes.web.office import Asked, Operation


class SuspendedShown(Struct):
    """A destination nobody connects to until it is probed. probes: those that came to nothing."""

    destination: str
    suspended_at: datetime
    probe_at: datetime
    probes: int
    why: str


class StatusShown(Struct):
    """lags: by consumer, in events. waiting: recipients in the queue. write_ahead: messages not purged yet.

    possible_doubles: relays that died between a next hop's answer and our record. stuck: consumers that are
    behind and do not move. steps: events about mails by topic, since the process that answers began. bounced:
    recipients that were queued, by reason; waiting_at, bounced_at: of the destinations with most of them.
    on_backup: agencies whose mail goes by their backup now. index_lag: events that the index of texts lacks.
    suspended: the longest suspended destinations. held: domains and agencies for which what comes is held,
    the longest first.
    """

    position: int
    lags: dict[str, int]
    lag: int
    waiting: int
    possible_doubles: int
    write_ahead: int
    disk_free_octets: int
    disk_octets: int
    index_lag: int
    stuck: list[str]
    steps: dict[str, int]
    bounced: dict[str, int]
    waiting_at: dict[str, int]
    bounced_at: dict[str, dict[str, int]]
    on_backup: list[AgencyId]
    suspended_destinations: int
    suspended: list[SuspendedShown]
    standing_holds: int
    held: list[str]
    is_well: bool


async def show_status(asked: Asked) -> StatusShown:
    figures = (await asked.office.figures()).as_dict()
    lists: dict[str, list[object]] = {name: list(figures[name]) for name in ("stuck", "on_backup", "held")}
    lists["suspended"] = [SuspendedShown(**each) for each in figures["suspended"]]
    return StatusShown(**{**figures, **lists})


OPERATIONS: Final = (
    Operation(
        "GET",
        "/status",
        "How far every consumer is behind the log, what waits, room on disk.",
        show_status,
        StatusShown,
        right="govern",
    ),
)
