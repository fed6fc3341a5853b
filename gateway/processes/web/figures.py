"""How the gateway is: lag of every consumer, what waits, room on disk."""

import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gateway.domain.events import RouterDecided
from gateway.domain.histories import route_history
from gateway.mail.ids import share_of
from gateway.ports import EventLog, Position, WriteAhead
from projections.checkpoint import position_of
from projections.queue import leases
from projections.queue import query as queue
from projections.readmodel import Pool, ReadModel, Rows
from projections.trace import query as trace
from projections.trace.query import Wanted

# A consumer this far behind is worth a look; below it is the ordinary life of batches.
LAG_MAX = 100_000


@dataclass(frozen=True, slots=True)
class Figures:
    """One look at the gateway. Lags are in events; a router's counts what it has not decided."""

    position: Position
    lags: dict[str, int]  # by consumer
    waiting: int  # recipients in the queue
    possible_doubles: int  # leases that ran out without an outcome
    write_ahead: int  # contents in CT: no pack holds them yet, or they are kept a while longer
    disk_free_octets: int
    disk_octets: int

    @property
    def lag(self) -> int:
        return max(self.lags.values(), default=0)

    @property
    def is_well(self) -> bool:
        return self.lag < LAG_MAX and self.disk_free_octets > 0

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "lag": self.lag, "is_well": self.is_well}

    def metrics(self) -> str:
        """Prometheus' text format, version 0.0.4."""
        single = {
            "saraban_log_position": self.position,
            "saraban_queue_waiting_recipients": self.waiting,
            "saraban_relay_possible_doubles_total": self.possible_doubles,
            "saraban_write_ahead_messages": self.write_ahead,
            "saraban_disk_free_octets": self.disk_free_octets,
            "saraban_disk_octets": self.disk_octets,
        }
        lines = [f"# TYPE {name} {_kind(name)}\n{name} {value}" for name, value in single.items()]
        lines.append("# TYPE saraban_consumer_lag_events gauge")
        lines += [f'saraban_consumer_lag_events{{consumer="{n}"}} {lag}' for n, lag in self.lags.items()]
        return "\n".join(lines) + "\n"


def _kind(name: str) -> str:
    return "counter" if name.endswith("_total") or name == "saraban_log_position" else "gauge"


class Gauge:
    """Takes figures. models: whose checkpoints are looked at; shares: how many routers there are."""

    def __init__(
        self,
        *,
        log: EventLog,
        pool: Pool,
        write_ahead: WriteAhead,
        models: Sequence[type[ReadModel]],
        shares: int,
        data: Path,
    ) -> None:
        self._log, self._pool, self._write_ahead = log, pool, write_ahead
        self._models, self._shares, self._data = models, shares, data

    async def read(self) -> Figures:
        """Raises Unavailable, naming the server that does not answer."""
        last = await self._log.last()
        async with self._pool.rows() as rows:
            lags = {model.name: max(last - await position_of(rows, model), 0) for model in self._models}
            waiting = await queue.waiting(rows)
            doubles = await leases.ran_out(rows)
            for share in range(self._shares):
                lags[f"router-{share}"] = await self._undecided(rows, share)
        unpacked = await self._write_ahead.waiting()
        disk = shutil.disk_usage(self._data)
        return Figures(last, lags, waiting, doubles, unpacked, disk.free, disk.total)

    async def _undecided(self, rows: Rows, share: int) -> int:
        """How many mails of this share its router has not decided, as far as the trace knows."""
        decided = await self._log.latest(route_history(share))
        event = decided.event if decided else None
        assert event is None or isinstance(event, RouterDecided), event
        later = await trace.find_mails(rows, Wanted(), after=event.up_to if event else 0, limit=LAG_MAX)
        return sum(share_of(mail.mail_id, self._shares) == share for mail in later)
