"""`saraban queue`: what waits to be passed on, and what a postmaster does about it."""

import asyncio
import functools
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, get_args

import click

from gateway.cli.agencies import HostAndPort
from gateway.cli.checking import prove_queue
from gateway.cli.desk import ADDRESS, Where, administering, at_desk, confirm, reason_option
from gateway.cli.desk_queue import DeskQueue
from gateway.cli.instants import length
from gateway.cli.output import as_json, nothing, print_json, print_rows, say
from gateway.cli.remote import Remote
from gateway.cli.remote_queue import RemoteQueue
from gateway.domain.agency import NextHop
from gateway.domain.books import BOOKED, Books, End
from gateway.domain.steering import Cancel, Deed, Hold, Release, Reroute, Retry
from gateway.mail.address import Address, normalise_domain, shown_domain
from gateway.mail.ids import AgencyId, MailId
from gateway.wiring.desk import Desk
from projections.queue import leases, listing
from projections.queue.listing import EVERYTHING, Choice, HostTried
from projections.queue.project import Recipient

DESTINATIONS_SHOWN: Final = 50
RECIPIENTS_SHOWN: Final = 100
DRAIN_POLL_S: Final = 0.5


class DomainType(click.ParamType[str]):
    """A domain in A-labels or U-labels."""

    name = "domain"

    def convert(self, value: object, parameter: click.Parameter | None, context: click.Context | None) -> str:
        try:
            return normalise_domain(str(value))
        except ValueError as error:
            self.fail(f"{value!r} is no domain: {error}", parameter, context)


def choosing(work: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    """Options that say which recipients are meant, given on as one Choice."""

    @functools.wraps(work)
    async def command(
        where: Where,
        /,
        *args: Any,
        mail_id: str | None,
        sender: Address | None,
        recipient: Address | None,
        domain: str | None,
        agency_id: str | None,
        **kwargs: Any,
    ) -> None:
        choice = Choice(
            MailId(mail_id) if mail_id else None,
            sender,
            recipient,
            domain,
            AgencyId(agency_id) if agency_id else None,
        )
        await work(where, choice, *args, **kwargs)

    for option in reversed(
        (
            click.option("--mail-id", help="Of this mail."),
            click.option("--from", "sender", type=ADDRESS, help="Of this sender (of the envelope)."),
            click.option("--to", "recipient", type=ADDRESS, help="For this recipient."),
            click.option("--domain", type=DomainType(), help="For this destination."),
            click.option("--agency", "agency_id", help="For the next hop of this agency."),
        )
    ):
        command = option(command)
    return command


def queue_at(where: Where) -> DeskQueue | RemoteQueue:
    return RemoteQueue(where) if isinstance(where, Remote) else DeskQueue(where)


@click.group()
def queue() -> None:
    """What waits to be passed on to other hosts.

    Example: saraban queue list
    """


@queue.command("list")
@click.option("--count", is_flag=True, help="Only how many recipients wait.")
@click.option("--recipients", is_flag=True, help="Every recipient, the longest waiting first.")
@click.option("--held", is_flag=True, help="Only what a postmaster holds.")
@click.option(
    "--limit", type=click.IntRange(1, 1_000_000), help="Lines at most [default: 50; 100 recipients]."
)
@administering
@choosing
async def list_(
    where: Where, choice: Choice, count: bool, recipients: bool, held: bool, limit: int | None
) -> None:
    """What waits for each destination, or each recipient that waits.

    Example: saraban queue list --domain dld.go.th --recipients
    """
    choice, here = replace(choice, is_held=True if held else None), queue_at(where)
    if count:
        waiting = await here.count(choice)
        print_json({"count": waiting}) if as_json() else click.echo(str(waiting))
        return
    if recipients:
        waiting, found = await here.recipients(choice, limit or RECIPIENTS_SHOWN)
        _print_recipients(found)
        left = waiting - len(found)
    else:
        waiting, destinations = await here.destinations(choice, limit or DESTINATIONS_SHOWN)
        _print_destinations(destinations, datetime.now(UTC))
        left = waiting - sum(each.recipients for each in destinations)
    if not as_json():
        more = f", {left:,} of them not shown (--limit)" if left > 0 else ""
        click.echo(f"{waiting:,} recipients wait{more}", err=True)


@queue.command("show")
@click.argument("mail_id")
@administering
async def show(where: Where, mail_id: str) -> None:
    """Every recipient of a mail that was passed on or is to be, and which hosts were asked to take it.

    `saraban trace --mail-id` tells the story.

    Example: saraban queue show mail_01…
    """
    here = queue_at(where)
    found = await here.of_mail(MailId(mail_id))
    if not found:
        nothing(f"no recipient of {mail_id} was ever queued")
    _print_recipients(found, await here.hosts_tried(MailId(mail_id)))


@queue.command("hold")
@click.option("--standing", is_flag=True, help="What comes as well, for --domain or --agency alone.")
@reason_option("Why is it held")
@administering
@choosing
async def hold(where: Where, choice: Choice, standing: bool, reason: str) -> None:
    """Try no more, until released. What is held longer than it may wait goes back to its sender.

    Example: saraban queue hold --domain dld.go.th --standing --reason 'ย้ายเซิร์ฟเวอร์'
    """
    if standing and choice.toward is None:
        raise click.UsageError("a standing hold is of a domain or an agency: --domain or --agency, no more")
    await _do(where, choice, Hold(), reason, "held", is_standing=standing)


@queue.command("holds")
@administering
async def holds(where: Where) -> None:
    """Which destinations are held, also what comes for them; by whom, since when and why.

    Example: saraban queue holds
    """
    rows = [asdict(each) for each in await queue_at(where).standing_holds()]
    for row in rows:
        del row["position"]  # in the log: of no use to who reads this
        if not as_json() and row["what"] == "domain":
            row["name"] = shown_domain(row["name"])
    print_rows(rows, ("what", "name", "since", "held_by", "why"))


@queue.command("release")
@reason_option("Why is it released")
@administering
@choosing
async def release(where: Where, choice: Choice, reason: str) -> None:
    """Try again what was held, at once. By --domain or --agency alone it ends a standing hold too.

    Example: saraban queue release --domain dld.go.th --reason 'ย้ายเสร็จแล้ว'
    """
    await _do(where, choice, Release(), reason, "released")


@queue.command("retry")
@reason_option("Why now")
@administering
@choosing
async def retry(where: Where, choice: Choice, reason: str) -> None:
    """Try now, not when its next attempt would be. What is held stays so.

    Example: saraban queue retry --domain dld.go.th --reason 'เซิร์ฟเวอร์กลับมาแล้ว'
    """
    await _do(where, choice, Retry(), reason, "due now")


@queue.command("reroute")
@click.option("--via", type=HostAndPort(), help="The next hop to take, host:port.")
@click.option("--back", is_flag=True, help="The agency's own next hop again.")
@reason_option("Why this way")
@administering
@choosing
async def reroute(where: Where, choice: Choice, via: NextHop | None, back: bool, reason: str) -> None:
    """Take another next hop for what waits now; later mail goes the usual way.

    Example: saraban queue reroute --domain dld.go.th --via backup.dld.example:25 --reason 'เครื่องหลักเสีย'
    """
    if (via is None) != back:
        raise click.UsageError("say which way: --via HOST:PORT, or --back")
    way = f"rerouted to {via}" if via else "rerouted to the agency's own next hop"
    await _do(where, choice, Reroute(via), reason, way)


@queue.command("cancel")
@click.option("--silently", is_flag=True, help="Send no report to senders.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@reason_option("Why is it cancelled")
@administering
@choosing
async def cancel(where: Where, choice: Choice, silently: bool, yes: bool, reason: str) -> None:
    """Give up what waits, for good. Senders get a report, unless they want none.

    Example: saraban queue cancel --mail-id mail_01… --reason 'ส่งผิด' --yes
    """
    _check_chosen(choice)
    waiting = await queue_at(where).count(choice)
    if waiting:
        confirm(f"Give up {waiting} recipients, for good?", yes=yes)
    await _do(where, choice, Cancel(is_reported=not silently), reason, "cancelled")


@queue.command("drain")
@reason_option("Why now")
@administering
@choosing
async def drain(where: Where, choice: Choice, reason: str) -> None:
    """Try everything once more, and wait until each has been: before a change, or a shutdown.

    Example: saraban queue drain --agency ag_01… --reason 'ก่อนปิดปรับปรุง'
    """
    here = queue_at(where)
    untried = {(row.mail_id, row.recipient): row.attempt async for row in here.all(choice) if not row.is_held}
    await _steer(here, choice, Retry(), reason)
    ended = Counter[str]()
    while untried:
        for row in await here.look(choice, list(untried)):
            key = row.mail_id, row.recipient
            if row.outcome == "waiting" and not row.is_held and row.attempt == untried[key]:
                continue
            del untried[key]
            ended["deferred" if row.outcome == "waiting" else row.outcome] += 1
        if untried:
            await asyncio.sleep(DRAIN_POLL_S)
    told = ", ".join(f"{number} {outcome}" for outcome, number in sorted(ended.items()))
    say(told or "nothing waits", **ended)


@queue.command("check")
@at_desk
async def check(desk: Desk) -> None:
    """Has every recipient of every mail one end, or an attempt to come? Exit code 1 when not.

    Example: saraban queue check --json
    """
    books = Books()
    waiting = await prove_queue(desk.log, desk.pool, desk.clock, books, BOOKED)
    async with desk.pool.rows() as rows:
        doubles = await leases.ran_out(rows)
    undecided = sum(len(mail.recipients) for mail in books.undecided.values())
    ends = {end: books.ended[end] for end in get_args(End)}
    found = {"events": books.events, "mails": books.mails, "recipients": books.recipients, **ends}
    found |= {"waiting": waiting, "undecided": undecided, "possible_doubles": doubles}
    if as_json():
        print_json(found | {"faults": books.faults})
    else:
        for name, number in found.items():
            click.echo(f"{name.replace('_', ' ') + ':':<18}{number:>12,}")
        for fault in books.faults:
            click.echo(f"fault: {fault}")
        click.echo("every recipient has one end or an attempt to come" if not books.faults else "not whole")
    if books.faults:
        raise SystemExit(1)


async def _do(
    where: Where, choice: Choice, deed: Deed, reason: str, done: str, *, is_standing: bool = False
) -> None:
    """Steer, and say what was done."""
    _check_chosen(choice)
    await _steer(queue_at(where), choice, deed, reason, done, is_standing=is_standing)


async def _steer(
    here: DeskQueue | RemoteQueue,
    choice: Choice,
    deed: Deed,
    reason: str,
    done: str = "",
    *,
    is_standing: bool = False,
) -> None:
    steered = await here.steer(choice, deed, reason, is_standing=is_standing)
    is_of_something = steered.changed or steered.unchanged or steered.busy or steered.stands or is_standing
    if done and not is_of_something:
        nothing("nothing that waits matches")
    parts = [f"{steered.changed} recipients are {done}"]
    if is_standing:
        parts.append("so is what comes" if steered.stands else "so was what comes")
    elif steered.stands:
        parts.append("and nothing that comes is held any more")
    if steered.unchanged:
        parts.append(f"for {steered.unchanged} there was nothing to change")
    if steered.busy:
        parts.append(f"{steered.busy} were being tried all the time: run it again")
    if done:
        numbers = {"changed": steered.changed, "unchanged": steered.unchanged, "busy": steered.busy}
        numbers |= {"stands": steered.stands} if steered.stands or is_standing else {}
        say("; ".join(parts), **numbers)
    if steered.busy:
        raise SystemExit(1)


def _check_chosen(choice: Choice) -> None:
    if choice == EVERYTHING:
        raise click.UsageError("say what: --mail-id, --from, --to, --domain or --agency")


def _print_destinations(found: list[listing.Destination], now: datetime) -> None:
    rows = [asdict(each) for each in found]
    if not as_json():
        for row, each in zip(rows, found, strict=True):
            row["waits_for"] = length(now - each.oldest_at)
            row["next_in"] = _next(each, now)
            row["last_reply"] = f"{each.code or ''} {each.status}".strip()
            row["gives_up_in"] = length(max(each.expires_at - now, timedelta()))
            row["destination"] = shown_domain(each.domain)
            row["suspended"] = _suspended(each, now)
            row["what_comes"] = f"held for {length(now - each.held_since)}" if each.held_since else ""
            row["limits"] = _limits(each)
            row |= {name: f"{row[name]:>10,}" for name in ("recipients", "mails", "held")}
    columns = ("destination", "recipients", "mails", "held", "waits_for", "next_in", "gives_up_in")
    ways = ("way",) if any(each.way for each in found) else ()
    suspensions = ("suspended",) if any(each.suspended_at for each in found) else ()
    standing = ("what_comes",) if any(each.held_since for each in found) else ()
    limits = ("limits",) if any(each.connections_max or each.mails_a_minute for each in found) else ()
    print_rows(rows, (*columns, "last_reply", *ways, *limits, *suspensions, *standing))


def _next(each: listing.Destination, now: datetime) -> str:
    if each.next_attempt_at is None:
        return "held"
    return "now" if each.next_attempt_at <= now else length(each.next_attempt_at - now)


def _suspended(each: listing.Destination, now: datetime) -> str:
    """Since when, when it is probed, and why; "": it is not suspended."""
    if each.suspended_at is None or each.probe_at is None:
        return ""
    probe = "probed now" if each.probe_at <= now else f"probed in {length(each.probe_at - now)}"
    return f"for {length(now - each.suspended_at)}, {probe}: {each.why}"


def _limits(each: listing.Destination) -> str:
    """What its agency's limits are, and how many connections there are; "": it has none of its own."""
    connections = f"{each.connections} of {each.connections_max} connections" if each.connections_max else ""
    mails = f"{each.mails_a_minute} mails a minute" if each.mails_a_minute else ""
    return ", ".join(filter(None, (connections, mails)))


def _print_recipients(found: list[Recipient], tried: list[HostTried] | None = None) -> None:
    """tried: where they were, if that is to be shown."""
    rows = [asdict(row) for row in found]
    for row, recipient in zip(rows, found, strict=True):
        del row["position"], row["changed_at"]  # in the log: of no use to who reads this
        row["via"] = str(NextHop(recipient.hop_host, recipient.hop_port)) if recipient.hop_host else None
        if not as_json():
            state = "held" if recipient.is_held and recipient.outcome == "waiting" else recipient.outcome
            row |= {"from": recipient.sender or "<>", "to": recipient.address, "state": state}
            row["last_reply"] = f"{recipient.code or ''} {recipient.status}".strip()
        if tried is not None:
            hosts = [each.host for each in tried if each.recipient == recipient.recipient]
            row["hosts"] = hosts if as_json() else ", ".join(hosts)
    columns = ("mail_id", "from", "to", "state", "attempt", "next_attempt_at", "last_reply", "via")
    print_rows(rows, columns if tried is None else (*columns, "hosts"))
