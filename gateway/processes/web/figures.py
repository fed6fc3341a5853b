"""How the gateway is: lag of every consumer, what waits, room on disk."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from gateway.domain.events import RouterDecided
from gateway.domain.histories import route_history
from gateway.mail.ids import AgencyId, share_of
from gateway.ports import Clock, EventLog, Position, WriteAhead
from projections import texts
from projections.checkpoint import position_of
from projections.directory import routes
from projections.queue import leases, listing, pacing
from projections.queue import query as queue
from projections.queue.pacing import Shown
from projections.readmodel import Pool, ReadModel, Rows
from projections.trace import query as trace
from projections.trace.project import TraceModel
from projections.trace.query import Wanted

# A consumer this far behind is worth a look; below it is the ordinary life of batches.
LAG_MAX = 100_000
# Destinations that are named: a series for every domain that was ever written to would be too many.
DESTINATIONS_MAX = 20
# One that is behind and has not moved for so long does not run.
STUCK_AFTER_S = 30.0


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
    index_lag: int = 0  # in events: what searches do not find in rows, and have to read
    stuck: tuple[str, ...] = ()  # consumers that are behind and do not move
    steps: Mapping[str, int] = field(default_factory=dict)  # mail events by topic since this process began
    bounced: Mapping[str, int] = field(default_factory=dict)  # recipients that were queued, by reason
    # Of the destinations for which most wait, or where most bounced.
    waiting_at: Mapping[str, int] = field(default_factory=dict)
    bounced_at: Mapping[str, Mapping[str, int]] = field(default_factory=dict)  # by destination and reason
    on_backup: tuple[AgencyId, ...] = ()  # whose mail goes by their backup now
    suspended_destinations: int = 0  # nobody connects to them but for probes
    suspended: Sequence[Shown] = ()  # of these the longest suspended
    standing_holds: int = 0  # destinations for which what comes is held
    held: Sequence[str] = ()  # of these the longest held: domains, and ids of agencies

    @property
    def lag(self) -> int:
        return max(self.lags.values(), default=0)

    @property
    def is_well(self) -> bool:
        return self.lag < LAG_MAX and self.disk_free_octets > 0 and not self.stuck

    def as_dict(self, *, names_destinations: bool = True) -> dict[str, Any]:
        """names_destinations: False for who is not known: with whom one writes is not everybody's to know."""
        shown = {**asdict(self), "lag": self.lag, "is_well": self.is_well}
        if not names_destinations:
            del shown["waiting_at"], shown["bounced_at"], shown["on_backup"], shown["suspended"]
            del shown["held"]
        return shown

    def metrics(self, *, names_destinations: bool = True) -> str:
        """Prometheus' text format, version 0.0.4. names_destinations: as for as_dict."""
        single = {
            "saraban_log_position": self.position,
            "saraban_queue_waiting_recipients": self.waiting,
            "saraban_relay_possible_doubles_total": self.possible_doubles,
            "saraban_relay_suspended_destinations": self.suspended_destinations,
            "saraban_queue_standing_holds": self.standing_holds,
            "saraban_write_ahead_messages": self.write_ahead,
            "saraban_search_index_lag_events": self.index_lag,
            "saraban_agencies_on_backup": len(self.on_backup),
            "saraban_disk_free_octets": self.disk_free_octets,
            "saraban_disk_octets": self.disk_octets,
        }
        lines = [f"# TYPE {name} {_kind(name)}\n{name} {value}" for name, value in single.items()]
        lines.append("# TYPE saraban_consumer_lag_events gauge")
        lines += [f'saraban_consumer_lag_events{{consumer="{n}"}} {lag}' for n, lag in self.lags.items()]
        lines.append("# TYPE saraban_consumer_stuck gauge")
        lines += [f'saraban_consumer_stuck{{consumer="{n}"}} {int(n in self.stuck)}' for n in self.lags]
        lines.append("# TYPE saraban_mail_events_total counter")
        lines += [f'saraban_mail_events_total{{topic="{t}"}} {n}' for t, n in sorted(self.steps.items())]
        lines.append("# TYPE saraban_relay_bounced_recipients_total counter")
        lines += [
            f'saraban_relay_bounced_recipients_total{{reason="{r}"}} {n}' for r, n in self.bounced.items()
        ]
        if names_destinations:
            lines += self._by_destination()
        return "\n".join(lines) + "\n"

    def _by_destination(self) -> Iterator[str]:
        name = "saraban_queue_destination_waiting_recipients"
        yield f"# TYPE {name} gauge"
        for domain, number in self.waiting_at.items():
            yield f'{name}{{destination="{_label(domain)}"}} {number}'
        name = "saraban_relay_destination_bounced_recipients_total"
        yield f"# TYPE {name} counter"
        for domain, reasons in self.bounced_at.items():
            for reason, number in reasons.items():
                yield f'{name}{{destination="{_label(domain)}",reason="{reason}"}} {number}'
        yield "# TYPE saraban_agency_on_backup gauge"
        for agency_id in self.on_backup:
            yield f'saraban_agency_on_backup{{agency="{agency_id}"}} 1'
        for name, at in (("suspended_since", "suspended_at"), ("probe", "probe_at")):
            yield f"# TYPE saraban_relay_destination_{name}_seconds gauge"
            for each in self.suspended:
                label = f'{{destination="{_label(each.destination)}"}}'
                yield f"saraban_relay_destination_{name}_seconds{label} {getattr(each, at).timestamp():.0f}"


def _label(text: str) -> str:
    """A label's value, as the text format escapes it."""
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _kind(name: str) -> str:
    return "counter" if name.endswith("_total") or name == "saraban_log_position" else "gauge"


class Gauge:
    """Takes figures, and remembers the last ones to see who moves.

    models: whose checkpoints are looked at; shares: how many routers there are.
    """

    def __init__(
        self,
        *,
        log: EventLog,
        pool: Pool,
        write_ahead: WriteAhead,
        models: Sequence[type[ReadModel]],
        shares: int,
        data: Path,
        clock: Clock,
    ) -> None:
        self._log, self._pool, self._write_ahead = log, pool, write_ahead
        self._models, self._shares, self._data, self._clock = models, shares, data, clock
        self._moved: dict[str, tuple[int, float]] = {}  # by consumer: its place, and since when
        self._counted_up_to: Position | None = None
        self._steps: dict[str, int] = {}

    async def read(self) -> Figures:
        """Raises Unavailable, naming the server that does not answer."""
        last = await self._log.last()
        async with self._pool.rows() as rows:
            places = {model.name: await position_of(rows, model) for model in self._models}
            lags = {name: max(last - place, 0) for name, place in places.items()}
            waiting = await queue.waiting(rows)
            doubles = await leases.ran_out(rows)
            bounced = await queue.bounced_by_reason(rows)
            waiting_at = await queue.waiting_by_destination(rows, limit=DESTINATIONS_MAX)
            suspended = await pacing.suspended(rows, limit=DESTINATIONS_MAX)
            suspended_destinations = await pacing.suspended_count(rows)
            bounced_at = await queue.bounced_by_destination(rows, limit=DESTINATIONS_MAX)
            on_backup = await routes.on_backup(rows)
            holds = await listing.standing_holds(rows)
            for share in range(self._shares):
                name = f"router-{share}"
                places[name] = await self._decided(share)
                lags[name] = await self._undecided(rows, share, places[name])
            index_lag = max(last - await texts.reached(rows), 0)
            await self._count_steps(rows)
        unpacked = await self._write_ahead.waiting()
        disk = shutil.disk_usage(self._data)
        return Figures(
            position=last,
            lags=lags,
            waiting=waiting,
            possible_doubles=doubles,
            write_ahead=unpacked,
            disk_free_octets=disk.free,
            disk_octets=disk.total,
            index_lag=index_lag,
            stuck=self._stuck(places, lags),
            steps=dict(self._steps),
            bounced=bounced,
            waiting_at=waiting_at,
            bounced_at=bounced_at,
            on_backup=tuple(on_backup),
            suspended_destinations=suspended_destinations,
            suspended=suspended,
            standing_holds=len(holds),
            held=[hold.name for hold in holds[:DESTINATIONS_MAX]],
        )

    def _stuck(self, places: Mapping[str, int], lags: Mapping[str, int]) -> tuple[str, ...]:
        """Who is behind, and where it was a while ago."""
        now_s = self._clock.monotonic()
        for name, place in places.items():
            before = self._moved.get(name)
            if lags[name] == 0 or before is None or place > before[0]:
                self._moved[name] = place, now_s
        return tuple(name for name in lags if now_s - self._moved[name][1] > STUCK_AFTER_S)

    async def _count_steps(self, rows: Rows) -> None:
        """What has come into the trace since the last look."""
        reached = await position_of(rows, TraceModel)
        if self._counted_up_to is not None:
            for topic, count in (await trace.count_steps(rows, self._counted_up_to, reached)).items():
                self._steps[topic] = self._steps.get(topic, 0) + count
        self._counted_up_to = reached

    async def _decided(self, share: int) -> Position:
        """Up to where a router has decided all mails of its share."""
        decided = await self._log.latest(route_history(share))
        event = decided.event if decided else None
        assert event is None or isinstance(event, RouterDecided), event
        return Position(event.up_to if event else 0)

    async def _undecided(self, rows: Rows, share: int, after: Position) -> int:
        """How many mails of this share its router has not decided, as far as the trace knows."""
        later = await trace.find_mails(rows, Wanted(), after=after, limit=LAG_MAX)
        return sum(share_of(mail.mail_id, self._shares) == share for mail in later)
