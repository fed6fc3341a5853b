"""The queue through the API: what waits for other hosts, and what a postmaster does about it.

An agency's people see and steer what waits for its next hop and what was accepted for it, as what its people
send is; operators everything. A deed answers in time with what it has done so far, and where to go on.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, Final

from msgspec import UNSET, Meta, Struct, UnsetType

from gateway.domain.agency import NextHop
from gateway.domain.events import Stamp
from gateway.domain.standing import Toward, What
from gateway.domain.steering import REASON_CHARACTERS_MAX, Cancel, Deed, Hold, Release, Reroute, Retry
from gateway.mail.address import normalise_domain
from gateway.mail.ids import AgencyId, MailId, is_id
from gateway.mail.networks import may_be_this_machine
from gateway.processes.steering import Steering
from gateway.processes.web.bodies import PAGE, PAGE_MAX, Id, MailAddress, Text
from gateway.processes.web.office import Asked, Operation, address_in
from gateway.processes.web.problems import forbidden, malformed, not_here
from gateway.processes.web.rights import Right
from gateway.settings import split_address
from projections.queue import listing
from projections.queue.listing import EVERYTHING, Choice
from projections.queue.project import Recipient

# A request has 30 s: no page is begun after so long, and a relay that is asked to give back what it has not
# begun does so within 15 s.
PAGES_S: Final = 5.0
PATIENCE_S: Final = 18.0

Place = Annotated[str, Meta(min_length=3, max_length=60, description="`next` of the page before")]
Why = Annotated[str, Meta(min_length=1, max_length=REASON_CHARACTERS_MAX)]


class Chosen(Struct, forbid_unknown_fields=True, kw_only=True):
    """Which recipients that wait; every field narrows it. agency: whose next hop they wait for."""

    mail_id: Id | UnsetType = UNSET
    sender: MailAddress | UnsetType = UNSET
    recipient: MailAddress | UnsetType = UNSET
    domain: Text | UnsetType = UNSET
    agency: Id | UnsetType = UNSET


class DestinationsWanted(Chosen, forbid_unknown_fields=True, kw_only=True):
    held: bool | UnsetType = UNSET
    limit: Annotated[int, Meta(ge=1, le=PAGE_MAX)] = PAGE


class RecipientsWanted(DestinationsWanted, forbid_unknown_fields=True, kw_only=True):
    after: Place | UnsetType = UNSET


class DeedWanted(Chosen, forbid_unknown_fields=True, kw_only=True):
    """after: `next` of the answer before; it goes on with those it did not come to."""

    reason: Why
    after: Place | UnsetType = UNSET


class HoldWanted(DeedWanted, forbid_unknown_fields=True, kw_only=True):
    """standing: what comes for the domain or the agency as well, until that is released."""

    standing: bool = False


class RerouteWanted(DeedWanted, forbid_unknown_fields=True, kw_only=True):
    """via: host:port to take; null: the agency's own next hop again."""

    via: Text | None


class CancelWanted(DeedWanted, forbid_unknown_fields=True, kw_only=True):
    """silently: senders get no report."""

    silently: bool = False


class DestinationShown(Struct):
    """What waits for one domain. next_attempt_at: null: all are held. code, status: said most often.

    way: main or backup, and since when; null: its agency has one server, or it is no agency's.
    suspended_at: since when relays only probe it; null: it is not suspended. connections: of all relays, now.
    connections_max, mails_a_minute: its agency's limits; null: the gateway's.
    held_since: since when what comes is held as well; null: it is not.
    """

    domain: str
    agency_id: AgencyId | None
    recipients: int
    mails: int
    held: int
    oldest_at: datetime
    next_attempt_at: datetime | None
    expires_at: datetime
    code: int
    status: str
    way: str | None
    suspended_at: datetime | None
    probe_at: datetime | None
    why: str
    connections: int
    connections_max: int | None
    mails_a_minute: int | None
    held_since: datetime | None


class DestinationList(Struct):
    """waiting: recipients that are chosen, shown or not."""

    waiting: int
    destinations: list[DestinationShown]


class RecipientShown(Struct):
    """One recipient that was queued. agency_id: whose next hop; accepted_by: the agency it was accepted for.

    attempt: attempts made. hop_host: what a person said; "": its agency's. destination: for whom connections
    are counted: that host, the agency or the domain.
    """

    mail_id: MailId
    recipient: int
    agency_id: AgencyId | None
    address: str
    domain: str
    sender: str
    outcome: str
    attempt: int
    next_attempt_at: datetime
    accepted_at: datetime
    expires_at: datetime
    code: int
    status: str
    tried_at: datetime | None
    priority: int
    is_held: bool
    hop_host: str
    hop_port: int
    accepted_by: AgencyId
    destination: str


class RecipientList(Struct):
    """next: `after` of the page that follows; null: this is the last."""

    waiting: int
    recipients: list[RecipientShown]
    next: str | None


class HostTried(Struct):
    """A host that was asked to take the mail for a recipient. at: when it was last."""

    recipient: int
    host: str
    at: datetime


class RecipientsOfMail(Struct):
    """tried: of each recipient the first host first."""

    recipients: list[RecipientShown]
    tried: list[HostTried]


class Done(Struct):
    """Recipients so far. unchanged: it was so already; busy: being tried all the time, ask for them again.

    next: `after` of the request that goes on; null: it is done. stands: a standing hold was begun or ended.
    """

    changed: int
    unchanged: int
    busy: int
    next: str | None
    stands: bool = False


class StandingShown(Struct):
    """A destination for which what comes is held. name: a domain, or the id of an agency with a next hop.

    held_by: kind and id of who did it.
    """

    what: What
    name: str
    since: datetime
    held_by: str
    why: str


class StandingList(Struct):
    holds: list[StandingShown]


async def list_destinations(asked: Asked) -> DestinationList:
    choice, limit = _choice(asked, "see"), asked.query.limit
    async with asked.office.pool.rows() as rows:
        found = await listing.with_agencies(rows, await listing.destinations(rows, choice, limit=limit))
        found = await listing.with_holds(rows, found)
        whole = sum(each.recipients for each in found)
        waiting = whole if len(found) < limit else await listing.count(rows, choice)
    return DestinationList(waiting, [_shown(DestinationShown, each) for each in found])


async def list_recipients(asked: Asked) -> RecipientList:
    choice, limit = _choice(asked, "see"), asked.query.limit
    async with asked.office.pool.rows() as rows:
        waiting = await listing.count(rows, choice)
        found = await listing.list_waiting(rows, choice, after=_place(asked.query.after), limit=limit)
    last = _text((found[-1].mail_id, found[-1].recipient)) if len(found) == limit else None
    return RecipientList(waiting, [_shown(RecipientShown, row) for row in found], last)


async def list_holds(asked: Asked) -> StandingList:
    async with asked.office.pool.rows() as rows:
        found = await listing.standing_holds(rows, asked.caller.having("see"))
    return StandingList([_shown(StandingShown, hold) for hold in found])


async def show_mail(asked: Asked) -> RecipientsOfMail:
    mail_id = asked.path["mail_id"]
    found, tried = list[Recipient](), list[listing.HostTried]()
    if is_id("mail", mail_id):
        async with asked.office.pool.rows() as rows:
            found = await listing.of_mail(rows, MailId(mail_id), within=asked.caller.having("see"))
            tried = await listing.hosts_tried(rows, MailId(mail_id))
    if not found:
        raise not_here(f"no recipient of {mail_id} was ever queued")
    seen = {row.recipient for row in found}
    return RecipientsOfMail(
        [_shown(RecipientShown, row) for row in found],
        [_shown(HostTried, each) for each in tried if each.recipient in seen],
    )


async def hold(asked: Asked) -> Done:
    stands = False
    if asked.body.standing:
        toward = _asked_for(asked.body).toward
        if toward is None:
            raise malformed("a standing hold is of a domain or of an agency, and of nothing narrower")
        if not _may_stand(asked, toward):
            raise forbidden("what comes for a domain is for operators to hold; for an agency, for its people")
        stands = await _stand(asked, toward, Hold())
    return await _steer(asked, "attend", Hold(), stands=stands)


async def release(asked: Asked) -> Done:
    """What another standing hold is of stays, unless it is named more closely."""
    toward, stands = _asked_for(asked.body).toward, False
    if toward is None:
        return await _steer(asked, "attend", Release())
    if _may_stand(asked, toward):
        stands = await _stand(asked, toward, Release())
    return await _steer(asked, "attend", Release(), stands=stands, of_standing=False)


def _may_stand(asked: Asked, toward: Toward) -> bool:
    """A domain may have the mail of any agency; what comes for an agency's next hop is its own."""
    agencies = asked.caller.having("attend")
    return agencies is None or (toward.what == "agency" and toward.name in agencies)


async def _stand(asked: Asked, toward: Toward, deed: Hold | Release) -> bool:
    """True when it was not so before; a request that goes on has done it."""
    if asked.body.after is not UNSET:
        return False
    return await _steering(asked).stand(toward, deed, _stamp(asked), why=asked.body.reason)


async def reroute(asked: Asked) -> Done:
    hop = None
    if asked.body.via is not None:
        try:
            hop = NextHop(*split_address(asked.body.via))
        except ValueError as error:
            raise malformed(f"{asked.body.via!r} is no host:port such as mx.example.org:25") from error
        if may_be_this_machine(hop.host) and not asked.caller.is_operator:
            raise forbidden("what listens on this machine itself is a next hop for operators to say")
    return await _steer(asked, "change", Reroute(hop))


async def cancel(asked: Asked) -> Done:
    return await _steer(asked, "change", Cancel(is_reported=not asked.body.silently))


def _doing(deed: Deed) -> Callable[[Asked], Awaitable[Done]]:
    async def do(asked: Asked) -> Done:
        return await _steer(asked, "attend", deed)

    return do


async def _steer(
    asked: Asked, right: Right, deed: Deed, *, stands: bool = False, of_standing: bool | None = None
) -> Done:
    """The deed on all that is chosen and where the caller has the right. Raises Problem, Unavailable."""
    wanted: DeedWanted = asked.body
    choice = replace(_choice(asked, right), stands=of_standing)
    if _asked_for(wanted) == EVERYTHING:
        raise malformed("say what: mail_id, sender, recipient, domain or agency")
    done = await _steering(asked).steer(
        choice,
        deed,
        _stamp(asked),
        why=wanted.reason,
        patience_s=PATIENCE_S,
        after=_place(wanted.after),
        pages_s=PAGES_S,
    )
    return Done(done.changed, done.unchanged, done.busy, _text(done.next) if done.next else None, stands)


def _steering(asked: Asked) -> Steering:
    office = asked.office
    return Steering(office.pool, office.log, office.lane, office.keys, office.clock, office.entropy)


def _stamp(asked: Asked) -> Stamp:
    return Stamp(at=asked.office.clock.now(), actor=asked.caller.actor, by=asked.office.by)


def _choice(asked: Asked, right: Right) -> Choice:
    """What is asked for, of what is the caller's to see or steer. Others' looks as if nothing waited."""
    wanted = asked.query if asked.body is None else asked.body
    return _asked_for(wanted, asked.caller.having(right))


def _asked_for(wanted: Chosen, within: frozenset[AgencyId] | None = None) -> Choice:
    """Raises Problem, 400."""
    domain = wanted.domain or None
    if domain is not None:
        try:
            domain = normalise_domain(domain)
        except ValueError as error:
            raise malformed(f"{domain!r} is no domain: {error}") from error
    held = getattr(wanted, "held", UNSET)
    return Choice(
        MailId(wanted.mail_id) if wanted.mail_id else None,
        address_in(wanted.sender) if wanted.sender else None,
        address_in(wanted.recipient) if wanted.recipient else None,
        domain,
        AgencyId(wanted.agency) if wanted.agency else None,
        None if held is UNSET else held,
        within,
    )


def _place(after: str | UnsetType) -> tuple[str, int]:
    """Where a page ended. Raises Problem, 400."""
    if after is UNSET:
        return listing.START
    mail_id, _, number = after.partition(".")
    if not is_id("mail", mail_id) or not number.isdecimal() or len(number) > 6:
        raise malformed("after is not the `next` of an answer")
    return mail_id, int(number)


def _text(place: tuple[str, int]) -> str:
    return f"{place[0]}.{place[1]}"


def _shown(kind: type[Any], found: Any) -> Any:
    """As the API shows it: the fields that have the same names."""
    return kind(*(getattr(found, name) for name in kind.__struct_fields__))


_QUEUE: Final = "/queue"

OPERATIONS: Final = (
    Operation(
        "GET",
        f"{_QUEUE}/destinations",
        "What waits for each destination, of what one may see; most recipients first.",
        list_destinations,
        DestinationList,
        query=DestinationsWanted,
    ),
    Operation(
        "GET",
        f"{_QUEUE}/recipients",
        "Each recipient that waits, of what one may see; the longest waiting first.",
        list_recipients,
        RecipientList,
        query=RecipientsWanted,
    ),
    Operation(
        "GET",
        f"{_QUEUE}/holds",
        "Destinations for which what comes is held, of what one may see; the longest held first.",
        list_holds,
        StandingList,
    ),
    Operation(
        "GET",
        f"{_QUEUE}/mails/{{mail_id}}",
        "Each recipient of a mail that was queued, of what one may see, and what became of it.",
        show_mail,
        RecipientsOfMail,
    ),
    Operation(
        "POST",
        f"{_QUEUE}/hold",
        "Try no more, until released.",
        hold,
        Done,
        HoldWanted,
        right="attend",
    ),
    Operation(
        "POST",
        f"{_QUEUE}/release",
        "Try again what was held, at once.",
        release,
        Done,
        DeedWanted,
        right="attend",
    ),
    Operation(
        "POST",
        f"{_QUEUE}/retry",
        "Try now, not when its next attempt would be.",
        _doing(Retry()),
        Done,
        DeedWanted,
        right="attend",
    ),
    Operation(
        "POST",
        f"{_QUEUE}/reroute",
        "Take another next hop for what waits now.",
        reroute,
        Done,
        RerouteWanted,
        right="change",
    ),
    Operation(
        "POST",
        f"{_QUEUE}/cancel",
        "Give up what waits, for good.",
        cancel,
        Done,
        CancelWanted,
        right="change",
    ),
)
