"""`saraban trace`: what happened to a mail."""

import asyncio
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

import click

from gateway.cli.desk import at_desk
from gateway.cli.exporting import export
from gateway.cli.instants import Instant
from gateway.cli.names import Names, known_names, other_names
from gateway.cli.output import as_json, cell, nothing, print_json, print_line
from gateway.domain.refusals import RecipientRefused
from gateway.mail.ids import MailId
from gateway.wiring.desk import Desk
from projections.readmodel import Rows
from projections.trace import query as trace_rows
from projections.trace.query import RefusalRow, Step, Wanted

FOLLOW_EVERY_S = 1.0
MAILS_DEFAULT = 100
STEPS_PAGE = 10_000


@click.group(invoke_without_command=True)
@click.option("--mail-id", help="The id that the gateway gave with 250.")
@click.option("--message-id", help="The Message-ID of its header, with or without <>.")
@click.option("--from", "from_", help="Sender, of envelope or header.")
@click.option("--to", help="A recipient of the envelope.")
@click.option("--ip", help="The address of the host that sent it.")
@click.option("--subject", help="A part of the subject.")
@click.option("--since", type=Instant(), help="Not before, e.g. 2026-11-23T09:00+07:00.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=MAILS_DEFAULT, show_default=True)
@click.option("-f", "--follow", is_flag=True, help="Go on with what happens to these mails.")
@click.pass_context
def trace(context: click.Context, /, **wanted: Any) -> None:
    """The whole story of the mails that match, then recipients that were refused before there was a mail.

    Example: saraban trace --subject ประชุม --since 2026-11-23
    """
    if context.invoked_subcommand is None:
        stories(**wanted)


trace.add_command(export)


@at_desk
async def stories(
    desk: Desk,
    mail_id: str | None,
    message_id: str | None,
    from_: str | None,
    to: str | None,
    ip: str | None,
    subject: str | None,
    since: datetime | None,
    limit: int,
    follow: bool,
) -> None:
    """Print them, and go on with `follow`."""
    wanted = Wanted(mail_id, message_id, from_, to, ip, subject, since)
    if wanted == Wanted():
        raise click.UsageError(
            "say which mail: --mail-id, --message-id, --from, --to, --ip, --subject or --since"
        )
    async with desk.pool.rows() as rows:
        names = await known_names(rows)
        wanted = replace(wanted, from_too=await other_names(rows, from_), to_too=await other_names(rows, to))
    seen, is_first = 0, True
    while True:
        async with desk.pool.snapshot() as rows:
            mails = await trace_rows.find_mails(rows, wanted, limit=limit, newest=True)
            steps = await _story(rows, [mail.mail_id for mail in mails], seen)
            refusals = await trace_rows.find_refusals(rows, wanted, after=seen, limit=limit)
        if is_first and not mails and not refusals and not follow:
            nothing("no mail matches")
        if as_json() and not follow:
            told = [_mail(mail, steps, names) for mail in mails]
            print_json([*told, *map(_refusal, refusals)])
        elif as_json():
            for line in [*map(asdict, steps), *map(_refusal, refusals)]:
                print_line(line)
        else:
            _tell([mail for mail in mails if mail.position > seen], steps, names)
            _tell_refused(refusals)
        if is_first and len(mails) == limit:
            click.echo(f"(the last {limit} mails that match; --limit for more)", err=True)
        if not follow:
            return
        seen = max([seen, *(step.position for step in steps), *(each.position for each in refusals)])
        is_first = False
        await asyncio.sleep(FOLLOW_EVERY_S)


async def _story(rows: Rows, mails: list[MailId], after: int) -> list[Step]:
    found: list[Step] = []
    while page := await trace_rows.story_of(rows, mails, after=after, limit=STEPS_PAGE):
        found += page
        after = page[-1].position
    return found


def _mail(mail: trace_rows.MailRow, steps: list[Step], names: Names) -> dict[str, Any]:
    """A mail and its story. called_now: its addresses that have another name by now."""
    own = [step for step in steps if step.mail_id == mail.mail_id]
    addresses = {mail.mail_from, *(address for step in own for address in step.addresses)}
    agencies = {step.agency_id: names.agency(step.agency_id) for step in own if step.agency_id}
    return {
        **asdict(mail),
        "called_now": names.changed(sorted(addresses)),
        "agencies": {agency_id: name for agency_id, name in agencies.items() if name},
        "steps": _steps(steps, mail.mail_id),
    }


def _steps(steps: list[Step], mail_id: MailId) -> list[dict[str, Any]]:
    return [asdict(step) for step in steps if step.mail_id == mail_id]


def _refusal(refused: RefusalRow) -> dict[str, Any]:
    return {"topic": RecipientRefused.TOPIC, **asdict(refused)}


def _tell(mails: list[trace_rows.MailRow], steps: list[Step], names: Names) -> None:
    for mail in mails:
        sender = cell(names.both(mail.mail_from)) or "<>"
        click.echo(f"{mail.mail_id}  {sender}  {cell(mail.subject)}  {mail.octets} octets")
    for step in steps:
        said = " ".join(
            filter(
                None,
                [
                    str(step.code or ""),
                    step.status or "",
                    step.reason or "",
                    step.reply_text,
                    names.agency(step.agency_id),
                ],
            )
        )
        who = cell([names.both(address) for address in step.addresses] or step.account_id)
        click.echo(
            f"{step.position:>10}  {step.at:%Y-%m-%d %H:%M:%S.%f}  {step.topic:<18}  {who}  {cell(said)}"
        )


def _tell_refused(refusals: list[RefusalRow]) -> None:
    for refused in refusals:
        click.echo(
            f"{refused.position:>10}  {refused.at:%Y-%m-%d %H:%M:%S.%f}  {RecipientRefused.TOPIC:<18}"
            f"  {cell(refused.rcpt_to)}  {refused.code} {refused.status} {refused.reason}:"
            f" {cell(refused.mail_from) or '<>'} means who had it on {refused.valid_since:%Y-%m-%d %H:%M:%S},"
            f" {_owner(refused)}"
        )


def _owner(refused: RefusalRow) -> str:
    if refused.owner_since is None:
        return "it is nobody's own"
    since = f"{refused.owner_since:%Y-%m-%d %H:%M:%S}"
    if refused.reason == "owner-unknown":
        return f"the owner has it since {since}, and nobody is on record before"
    return f"the owner has it since {since}"
