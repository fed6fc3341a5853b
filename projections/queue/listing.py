"""The queue as people look at it: how much waits for which destination, and every recipient that waits."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from gateway.domain import codec
from gateway.domain.events import MailQueued
from gateway.domain.standing import Toward
from gateway.mail.address import Address
from gateway.mail.ids import AgencyId, MailId
from projections.directory.routes import relay_limits, routes
from projections.queue.project import Key, QueueModel, Recipient
from projections.queue.query import UNLEASED
from projections.queue.standing import StandingHold, all_standing
from projections.readmodel import Rows, schema_of
from projections.trace.project import TraceModel

_SCHEMA, _TRACE = schema_of(QueueModel), schema_of(TraceModel)
_WITHIN: Final = "(r.agency_id = ANY({0}::text[]) OR r.accepted_by = ANY({0}::text[]))"
_STANDS: Final = f"""EXISTS (SELECT FROM {_SCHEMA}.standing_hold AS h
    WHERE (h.what, h.name) IN (('domain', r.domain), ('agency', r.agency_id)))"""
PAGE: Final = 1_000
START: Final[Key] = ("", -1)  # before the first recipient


@dataclass(frozen=True, slots=True)
class Choice:
    """Which recipients that wait; None: any. Every field narrows it."""

    mail_id: MailId | None = None
    sender: Address | None = None
    recipient: Address | None = None
    domain: str | None = None  # destination, in A-labels and lower case
    agency_id: AgencyId | None = None  # whose next hop they wait for
    is_held: bool | None = None
    within: frozenset[AgencyId] | None = None  # whose next hop they wait for, or whose people sent them
    stands: bool | None = None  # whether what comes for their destination is held

    def where(self, first: int) -> tuple[str, list[object]]:
        """A condition on `recipient AS r`, and its arguments from $first on."""
        terms = [
            ("r.mail_id = {}", self.mail_id),
            ("lower(r.sender) = lower({})", None if self.sender is None else str(self.sender)),
            ("lower(r.address) = lower({})", None if self.recipient is None else str(self.recipient)),
            ("r.domain = {}", self.domain),
            ("r.agency_id = {}", self.agency_id),
            ("r.is_held = {}", self.is_held),
            (_WITHIN, None if self.within is None else sorted(self.within)),
            (f"{_STANDS} = {{}}", self.stands),
        ]
        wanted = [(term, value) for term, value in terms if value is not None]
        conditions = [term.format(f"${number}") for number, (term, _) in enumerate(wanted, first)]
        return " AND ".join(["r.outcome = 'waiting'", *conditions]), [value for _, value in wanted]

    @property
    def toward(self) -> Toward | None:
        """What a standing hold of it would be of; None: it is narrower than a domain or an agency."""
        whole = replace(self, within=None)
        if self.domain is not None and whole == Choice(domain=self.domain):
            return Toward("domain", self.domain)
        if self.agency_id is not None and whole == Choice(agency_id=self.agency_id):
            return Toward("agency", self.agency_id)
        return None


EVERYTHING: Final = Choice()


@dataclass(frozen=True, slots=True)
class Destination:
    """What waits for one domain. code, status: what was said most often; 0 and "": nothing yet.

    suspended_at: since when nobody connects to it but for probes; None: it is not suspended. connections: of
    all relays, those that are open or being made.
    held_since: since when what comes is held as well; None: it is not.
    """

    domain: str
    agency_id: AgencyId | None
    recipients: int
    mails: int
    held: int
    oldest_at: datetime  # when the longest waiting was accepted
    next_attempt_at: datetime | None  # None: all are held
    expires_at: datetime  # of the first to be given up
    code: int
    status: str
    suspended_at: datetime | None
    probe_at: datetime | None
    why: str  # it was suspended: what its host said
    connections: int
    way: str | None = None  # that mail for its agency goes, and since when; None: it has one server, or none
    held_since: datetime | None = None
    connections_max: int | None = None  # its agency's limit; None: the gateway's
    mails_a_minute: int | None = None  # likewise


async def destinations(rows: Rows, choice: Choice, *, limit: int) -> list[Destination]:
    """The domains for which most recipients wait, first.

    Those that are alike are counted first, and mails apart from them: half the time of one aggregate with a
    mode and distinct mails, which sorts every recipient.
    """
    where, values = choice.where(2)
    found = await rows.fetch(
        f"""WITH alike AS (
            SELECT r.domain, r.agency_id, r.attempt > 0 AS is_tried, r.code, r.status, count(*) AS recipients,
                count(*) FILTER (WHERE r.is_held) AS held, min(r.accepted_at) AS oldest_at,
                min(r.next_attempt_at) FILTER (WHERE NOT r.is_held) AS next_attempt_at,
                min(r.expires_at) AS expires_at
            FROM {_SCHEMA}.recipient AS r WHERE {where} GROUP BY 1, 2, 3, 4, 5
        ), mail AS (
            SELECT domain, agency_id, count(*) AS mails FROM (
                SELECT DISTINCT r.domain, r.agency_id, r.mail_id FROM {_SCHEMA}.recipient AS r WHERE {where}
            ) AS one GROUP BY 1, 2
        )
        SELECT a.domain, a.agency_id, sum(a.recipients)::bigint AS recipients, m.mails,
            sum(a.held)::bigint AS held, min(a.oldest_at) AS oldest_at,
            min(a.next_attempt_at) AS next_attempt_at, min(a.expires_at) AS expires_at,
            coalesce((array_agg(a.code ORDER BY a.recipients DESC, a.code, a.status)
                FILTER (WHERE a.is_tried))[1], 0) AS code,
            coalesce((array_agg(a.status ORDER BY a.recipients DESC, a.code, a.status)
                FILTER (WHERE a.is_tried))[1], '') AS status,
            d.suspended_at, d.probe_at, coalesce(d.why, '') AS why,
            (SELECT count(*) FROM leases.connection AS c WHERE c.destination = coalesce(a.agency_id, a.domain)
                AND c.until > statement_timestamp()) AS connections
        FROM alike AS a
        JOIN mail AS m ON m.domain = a.domain AND m.agency_id IS NOT DISTINCT FROM a.agency_id
        LEFT JOIN leases.destination AS d ON d.name = coalesce(a.agency_id, a.domain)
            AND d.suspended_at IS NOT NULL
        GROUP BY a.domain, a.agency_id, m.mails, d.name ORDER BY sum(a.recipients) DESC, a.domain LIMIT $1""",
        limit,
        *values,
    )
    return [Destination(*row.values()) for row in found]


async def with_agencies(rows: Rows, found: Sequence[Destination]) -> list[Destination]:
    """The same with the ways that their mail goes, and the limits of their agencies, as the directory has
    them."""
    agencies = [each.agency_id for each in found if each.agency_id is not None]
    known, limits = await routes(rows, agencies), await relay_limits(rows, agencies)

    def told(each: Destination) -> Destination:
        if each.agency_id in known and len(known[each.agency_id].route.hops) > 1:
            each = replace(each, way=str(known[each.agency_id]))
        if each.agency_id in limits:
            limit = limits[each.agency_id]
            each = replace(each, connections_max=limit.connections_max, mails_a_minute=limit.mails_a_minute)
        return each

    return list(map(told, found))


async def with_holds(rows: Rows, found: Sequence[Destination]) -> list[Destination]:
    """The same with the standing holds that they are under."""
    since = {hold.toward: hold.since for hold in await all_standing(rows, schema=_SCHEMA)}

    def held_since(each: Destination) -> datetime | None:
        both = Toward("domain", each.domain), Toward("agency", each.agency_id or "")
        return min((since[toward] for toward in both if toward in since), default=None)

    return [replace(each, held_since=held_since(each)) for each in found]


async def standing_holds(rows: Rows, within: frozenset[AgencyId] | None = None) -> list[StandingHold]:
    """The longest first. within: those of agencies' next hops alone; None: all there are."""
    return await all_standing(rows, schema=_SCHEMA, agencies=within)


async def count(rows: Rows, choice: Choice) -> int:
    """How many recipients wait."""
    where, values = choice.where(1)
    number: int = await rows.fetchval(f"SELECT count(*) FROM {_SCHEMA}.recipient AS r WHERE {where}", *values)
    return number


async def list_waiting(
    rows: Rows, choice: Choice = EVERYTHING, *, after: Key = START, limit: int = PAGE
) -> list[Recipient]:
    """Who waits, the longest first. after: the last (mail_id, recipient) of the page before."""
    where, values = choice.where(4)
    found = await rows.fetch(
        f"""SELECT r.* FROM {_SCHEMA}.recipient AS r
        WHERE {where} AND (r.mail_id, r.recipient) > ($1, $2) ORDER BY r.mail_id, r.recipient LIMIT $3""",
        *after,
        limit,
        *values,
    )
    return [Recipient(*row.values()) for row in found]


async def all_waiting(rows: Rows, choice: Choice = EVERYTHING) -> AsyncIterator[list[Recipient]]:
    """The same, page after page."""
    after = START
    while page := await list_waiting(rows, choice, after=after):
        yield page
        after = page[-1].mail_id, page[-1].recipient


async def of_mail(
    rows: Rows, mail_id: MailId, *, within: frozenset[AgencyId] | None = None
) -> list[Recipient]:
    """Every recipient of a mail that was ever queued, with what became of it. within: as in Choice."""
    agencies = None if within is None else sorted(within)
    found = await rows.fetch(
        f"""SELECT r.* FROM {_SCHEMA}.recipient AS r
        WHERE r.mail_id = $1 AND ($2::text[] IS NULL OR {_WITHIN.format("$2")}) ORDER BY r.recipient""",
        mail_id,
        agencies,
    )
    return [Recipient(*row.values()) for row in found]


@dataclass(frozen=True, slots=True)
class HostTried:
    """A host that was asked to take a mail for a recipient. at: when it was last."""

    recipient: int
    host: str  # as in AttemptSecret
    at: datetime


async def hosts_tried(rows: Rows, mail_id: MailId) -> list[HostTried]:
    """Whom relays asked, of each recipient the first host first; by the trace, which has every attempt."""
    found = await rows.fetch(
        f"""SELECT recipient, remote_host, max(at) AS at
        FROM {_TRACE}.step CROSS JOIN LATERAL unnest(recipients) AS recipient
        WHERE mail_id = $1 AND attempt IS NOT NULL AND remote_host <> ''
        GROUP BY recipient, remote_host ORDER BY recipient, min(position)""",
        mail_id,
    )
    return [HostTried(*row.values()) for row in found]


async def late(rows: Rows, since: datetime) -> AsyncIterator[Recipient]:
    """Who was due before `since` and is not being tried, the longest first. Within a transaction.

    Who waits for their turn while others of the destination are brought there is not late, nor who waits
    because it takes so many mails a minute.
    """
    found = rows.cursor(
        f"""SELECT r.* FROM {_SCHEMA}.recipient AS r
        WHERE r.outcome = 'waiting' AND r.next_attempt_at < $1 {UNLEASED} AND NOT EXISTS (
            SELECT FROM leases.connection AS c
            WHERE c.destination = r.destination AND c.until > statement_timestamp()) AND NOT EXISTS (
            SELECT FROM leases.destination AS d
            WHERE d.name = r.destination AND d.next_mail_at > statement_timestamp() - interval '1 minute')
        ORDER BY r.next_attempt_at""",
        since,
        prefetch=PAGE,
    )
    async for row in found:
        yield Recipient(*row.values())


async def rows_of(rows: Rows, seen: Sequence[Key]) -> list[Recipient]:
    """The same recipients as they are now."""
    found = await rows.fetch(
        f"""SELECT r.* FROM {_SCHEMA}.recipient AS r
        JOIN unnest($1::text[], $2::int[]) AS seen (mail_id, recipient) USING (mail_id, recipient)""",
        [mail_id for mail_id, _ in seen],
        [recipient for _, recipient in seen],
    )
    return [Recipient(*row.values()) for row in found]


async def still_waiting(rows: Rows, choice: Choice, seen: Sequence[Key]) -> list[Recipient]:
    """Those of the recipients that wait still and are chosen, as they are now."""
    where, values = choice.where(3)
    found = await rows.fetch(
        f"""SELECT r.* FROM {_SCHEMA}.recipient AS r
        JOIN unnest($1::text[], $2::int[]) AS seen (mail_id, recipient) USING (mail_id, recipient)
        WHERE {where} ORDER BY mail_id, recipient""",
        [mail_id for mail_id, _ in seen],
        [recipient for _, recipient in seen],
        *values,
    )
    return [Recipient(*row.values()) for row in found]


async def queued_at(rows: Rows, positions: list[int]) -> dict[int, MailQueued]:
    """The mail.queued at those positions, of which somebody still waits."""
    found = await rows.fetch(
        f"SELECT position, state FROM {_SCHEMA}.queued WHERE position = ANY($1::bigint[])", positions
    )
    return {row["position"]: _queued(row["state"]) for row in found}


def _queued(state: bytes) -> MailQueued:
    event = codec.decode(MailQueued.TOPIC, state)
    assert isinstance(event, MailQueued), event
    return event
