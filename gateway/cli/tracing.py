"""`saraban trace`: what happened to a mail."""

import asyncio
from dataclasses import asdict
from datetime import datetime
from typing import Any

import click

from gateway.cli.desk import Where, administering
from gateway.cli.exporting import export
from gateway.cli.instants import Instant
from gateway.cli.output import as_json, cell, nothing, print_json, print_line
from gateway.cli.traces import traces_at
from gateway.domain.refusals import RecipientRefused
from projections.trace.query import RefusalRow, Step, Wanted
from projections.trace.stories import Story

FOLLOW_EVERY_S = 1.0
MAILS_DEFAULT = 100


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


@administering
async def stories(
    where: Where,
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
    traces, is_first = traces_at(where), True
    seen = refused = 0  # the last step and refusal told: each is read at a moment of its own
    while True:
        mails = await traces.stories(wanted, after=seen, limit=limit)
        refusals = await traces.refusals(wanted, after=refused, limit=limit)
        steps = sorted((step for mail in mails for step in mail.steps), key=lambda step: step.position)
        if is_first and not mails and not refusals and not follow:
            nothing("no mail matches")
        if as_json() and not follow:
            print_json([*map(asdict, mails), *map(_refusal, refusals)])
        elif as_json():
            for line in [*map(asdict, steps), *map(_refusal, refusals)]:
                print_line(line)
        else:
            _tell(mails, steps, seen)
            _tell_refused(refusals)
        if is_first and len(mails) == limit:
            click.echo(f"(the last {limit} mails that match; --limit for more)", err=True)
        if not follow:
            return
        seen = max([seen, *(step.position for step in steps)])
        refused = max([refused, *(each.position for each in refusals)])
        is_first = False
        await asyncio.sleep(FOLLOW_EVERY_S)


def _refusal(refused: RefusalRow) -> dict[str, Any]:
    return {"topic": RecipientRefused.TOPIC, **asdict(refused)}


def _tell(mails: list[Story], steps: list[Step], seen: int) -> None:
    """Mails that were not told of yet, then steps of all of them."""
    by_id = {mail.mail_id: mail for mail in mails}
    for mail in mails:
        if mail.position > seen:
            sender = cell(_both(mail, mail.mail_from)) or "<>"
            click.echo(f"{mail.mail_id}  {sender}  {cell(mail.subject)}  {mail.octets} octets")
    for step in steps:
        mail = by_id[step.mail_id]
        agency = mail.agencies.get(step.agency_id, "") if step.agency_id else ""
        told = (
            str(step.code or ""),
            step.status or "",
            step.reason or "",
            step.reply_text,
            _tls(step),
            agency,
        )
        said = " ".join(filter(None, told))
        who = cell([_both(mail, address) for address in step.addresses] or step.account_id)
        click.echo(
            f"{step.position:>10}  {step.at:%Y-%m-%d %H:%M:%S.%f}  {step.topic:<18}  {who}  {cell(said)}"
        )


def _tls(step: Step) -> str:
    """What was had of TLS with a next hop, and what was not; "": in the clear."""
    had = f"{step.tls}, {step.verified}" if step.tls else ""
    told = "; ".join(filter(None, (had, step.tls_failure)))
    return f"[{told}]" if told else ""


def _both(mail: Story, address: str) -> str:
    """An address as it was written, and as it is called now."""
    now = mail.called_now.get(address)
    return f"{address} (now {now})" if now else address


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
