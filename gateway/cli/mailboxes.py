"""`saraban mailbox`: what is in an account's mailboxes. Reading is an event before the first octet leaves."""

import email
import email.policy
import re
import sys
import unicodedata
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from email.message import MIMEPart
from pathlib import Path
from typing import BinaryIO, cast

import click

from gateway.cli import restoring
from gateway.cli.acl import acl
from gateway.cli.desk import ADDRESS, at_desk, operator, reason_option, stamp
from gateway.cli.instants import Instant
from gateway.cli.output import as_json, cell, fail, nothing, print_json, print_rows, say
from gateway.domain.events import Fact
from gateway.domain.histories import box_history
from gateway.domain.open_tree import INBOX
from gateway.mail.address import Address
from gateway.mail.ids import AccountId, MailboxId
from gateway.mail.uids import Ranges, contains, parse_uids, ranges_of
from gateway.processes.presenting import open_message
from gateway.processes.reading import Reader, Reading
from gateway.wiring.desk import Desk
from projections.directory import query as directory
from projections.mailbox import query as mailboxes
from projections.mailbox.query import Head, MailboxRow, MessageRow

PAGE = 1_000
# RFC 4155 and the mboxrd convention: a line of any number of > and "From " gets one > more.
_FROM_LINE = re.compile(rb"^(>*From )", re.MULTILINE)


MAILBOX = click.option("--mailbox", "name", default=INBOX, show_default=True, help="In which mailbox.")


@dataclass(frozen=True, slots=True)
class Place:
    """A mailbox and its whole name."""

    path: str
    row: MailboxRow

    @property
    def mailbox_id(self) -> MailboxId:
        return self.row.mailbox_id

    def is_named(self, name: str) -> bool:
        """By its whole name, INBOX in any case (RFC 9051 §5.1), or by its id."""
        path = INBOX if name.upper() == INBOX else unicodedata.normalize("NFC", name)
        return path == self.path or name == self.mailbox_id


@click.group()
def mailbox() -> None:
    """An account's mailboxes: list, folders, show, export, restore, acl.

    Example: saraban mailbox list malee@opdc.go.th
    """


mailbox.add_command(acl)


@mailbox.command("list")
@click.argument("address", type=ADDRESS)
@click.option("--mailbox", "name", help="Of one mailbox, e.g. INBOX or Projects/2569; without it of all.")
@at_desk
async def list_(desk: Desk, address: Address, name: str | None) -> None:
    """Every message of an account, without opening any.

    Example: saraban mailbox list malee@opdc.go.th --json
    """
    account_id = await _account(desk, address)
    places = [await _place(desk, account_id, name)] if name else await _places(desk, account_id)
    rows = [
        {"mailbox": place.path, **_shown(head)}
        for place in places
        async for head in _heads(desk, account_id, place.mailbox_id)
    ]
    print_rows(rows, ("mailbox", "uid", "date", "from", "subject", "octets", "flags", "mail_id"))


@mailbox.command()
@click.argument("address", type=ADDRESS)
@at_desk
async def folders(desk: Desk, address: Address) -> None:
    """The mailboxes of an account, and what is in them.

    Example: saraban mailbox folders malee@opdc.go.th
    """
    rows = [
        {
            "mailbox": place.path,
            "use": place.row.role,
            "messages": place.row.messages,
            "unseen": place.row.unseen,
            "octets": place.row.octets,
            "is_subscribed": place.row.is_subscribed,
            "mailbox_id": place.mailbox_id,
            "uidvalidity": place.row.uidvalidity,
            "uidnext": place.row.uidnext,
        }
        for place in await _places(desk, await _account(desk, address))
    ]
    print_rows(rows, ("mailbox", "use", "messages", "unseen", "octets", "mailbox_id"))


@mailbox.command()
@click.argument("address", type=ADDRESS)
@click.option("--uid", required=True, type=click.IntRange(min=1), help="Which message.")
@MAILBOX
@reason_option("Why is this message opened")
@at_desk
async def show(desk: Desk, address: Address, uid: int, name: str, reason: str) -> None:
    """One message as a person reads it: fields, text, names of attachments.

    Example: saraban mailbox show malee@opdc.go.th --uid 1 --reason 'case 17'
    """
    account_id = await _account(desk, address)
    place = await _place(desk, account_id, name)
    (row,) = await _messages(desk, account_id, place.mailbox_id, [uid])
    octets = b"".join([piece async for piece in _read(desk, account_id, [row], reason, how="show")])
    message = email.message_from_bytes(octets, policy=email.policy.default)
    text = message.get_body(("plain", "html"))
    shown = {
        "uid": uid,
        "mail_id": row.head.mail_id,
        "octets": len(octets),
        **{
            name.lower(): cell(message[name])
            for name in ("From", "To", "Cc", "Date", "Subject")
            if message[name]
        },
        "text": _text(text),
        "attachments": [cell(part.get_filename() or "") for part in message.iter_attachments()],
    }
    if as_json():
        print_json(shown)
        return
    for name, value in shown.items():
        if name != "text":
            click.echo(f"{name + ':':<13}{cell(value)}")
    click.echo("\n" + "\n".join(cell(line) for line in str(shown["text"]).splitlines()))


@mailbox.command()
@click.argument("address", type=ADDRESS)
@click.option("--uid", type=click.IntRange(min=1), help="One message; without it all of them.")
@MAILBOX
@click.option("--format", "form", type=click.Choice(["eml", "mboxrd"]), default="eml", show_default=True)
@click.option(
    "--output", type=click.Path(path_type=Path), help="A file (mboxrd, one EML) or a folder (EMLs)."
)
@reason_option("Why are these messages exported")
@at_desk
async def export(
    desk: Desk, address: Address, uid: int | None, name: str, form: str, output: Path | None, reason: str
) -> None:
    """Messages, octet for octet as a reader gets them: one EML to standard output or a file, all EMLs to
    a folder, or one mboxrd.

    Example: saraban mailbox export malee@opdc.go.th --uid 1 --reason 'case 17' > one.eml
    """
    account_id = await _account(desk, address)
    if form == "eml" and uid is None and output is None:
        fail("all of a mailbox as EML files needs --output FOLDER (or choose --format mboxrd)")
    mailbox_id = (await _place(desk, account_id, name)).mailbox_id
    if uid is None:
        uids = [head.uid async for head in _heads(desk, account_id, mailbox_id)]
        if not uids:
            nothing(f"the mailbox of {address} is empty")
    else:
        uids = [uid]
    for start in range(0, len(uids), PAGE):
        rows = await _messages(desk, account_id, mailbox_id, uids[start : start + PAGE])
        into = Into(form, output, is_single=uid is not None, goes_on=start > 0)
        await _export(desk, account_id, rows, reason, into)
    if output is not None:
        say(f"{len(uids)} messages in {output}", messages=len(uids), output=str(output))


@mailbox.command()
@click.argument("address", type=ADDRESS)
@click.option("--mailbox", "name", help="What was expunged from this mailbox, also one that is gone.")
@click.option("--uid", "uids", help="These UIDs of --mailbox, e.g. 4 or 1:4,7.")
@click.option("--since", type=Instant(), help="What was expunged from then on, e.g. 2026-11-23T09:00+07:00.")
@click.option("--all", "everything", is_flag=True, help="All that can come back.")
@click.option("--to", help="Into this mailbox; without it each to its own, or INBOX where that is gone.")
@click.option("--list", "only_list", is_flag=True, help="Only show what can come back.")
@at_desk
async def restore(
    desk: Desk,
    address: Address,
    name: str | None,
    uids: str | None,
    since: datetime | None,
    everything: bool,
    to: str | None,
    only_list: bool,
) -> None:
    """Bring expunged messages back, under new UIDs and without \\Deleted.

    Example: saraban mailbox restore malee@opdc.go.th --mailbox INBOX --since 2026-11-23T09:00+07:00
    """
    if uids and not name:
        raise click.UsageError("UIDs are of one mailbox: say which with --mailbox NAME")
    if not (only_list or name or since or everything):
        raise click.UsageError(
            "say which with --mailbox, --uid, --since or --all; --list shows what there is"
        )
    ranges = _parsed(uids) if uids else None
    account_id = await _account(desk, address)
    places = await _places(desk, account_id, gone_too=True)
    named = {place.mailbox_id for place in places if name is None or place.is_named(name)}
    chosen = [
        one
        async for one in restoring.lost_messages(desk, account_id, since)
        if one.mailbox_id in named and (ranges is None or contains(ranges, one.head.uid))
    ]
    paths = {place.mailbox_id: place.path for place in places}
    if only_list:
        rows = [
            {"mailbox": paths[one.mailbox_id], "expunged": one.expunged_at, **_shown(one.head)}
            for one in chosen
        ]
        print_rows(rows, ("mailbox", "uid", "expunged", "date", "from", "subject", "octets", "mail_id"))
    elif not chosen:
        nothing("there is nothing of that to bring back; `saraban mailbox restore --list` shows what is")
    else:
        targets = await _targets(desk, account_id, places, to)
        arrived = await restoring.restore(desk, account_id, chosen, targets)
        _say_arrived({paths[mailbox_id]: count for mailbox_id, count in arrived.items()})


def _say_arrived(arrived: dict[str, int]) -> None:
    told = ", ".join(f"{count} in {path}" for path, count in arrived.items())
    total = sum(arrived.values())
    sentence = f"{total} messages are back: {told}" if total else "they were brought back already"
    say(sentence, messages=total, mailboxes=arrived)


async def _targets(
    desk: Desk, account_id: AccountId, places: Sequence[Place], to: str | None
) -> dict[MailboxId, MailboxId]:
    """Where what comes back goes, by where it was; a mailbox that is gone may have a namesake."""
    if to is not None:
        target = (await _place(desk, account_id, to)).mailbox_id
        return {place.mailbox_id: target for place in places}
    there = {place.path: place.mailbox_id for place in places if place.row.closed_at is None}
    return {
        place.mailbox_id: there.get(place.path, place.mailbox_id) if place.row.closed_at else place.mailbox_id
        for place in places
    }


def _parsed(uids: str) -> Ranges:
    try:
        return parse_uids(uids)
    except ValueError:
        raise click.UsageError(f"--uid {uids!r}: UIDs are such as 4 or 1:4,7, in ascending order") from None


@dataclass(frozen=True, slots=True)
class Into:
    """Where exported messages go. output: None is standard output; goes_on: it has some of them already."""

    form: str  # "eml" or "mboxrd"
    output: Path | None
    is_single: bool
    goes_on: bool

    @contextmanager
    def file(self, head: Head, *, is_first: bool) -> Iterator[BinaryIO]:
        """What one message is written to. Raises OSError."""
        if self.output is None:
            yield sys.stdout.buffer
            return
        path, mode = self.output, "wb"
        if self.form == "mboxrd":
            mode = "wb" if is_first and not self.goes_on else "ab"
        elif not self.is_single:
            path.mkdir(parents=True, exist_ok=True)
            path /= f"{head.uid:08d}-{head.mail_id}.eml"
        with path.open(mode) as file:
            yield cast(BinaryIO, file)


async def _export(
    desk: Desk, account_id: AccountId, rows: Sequence[MessageRow], reason: str, into: Into
) -> None:
    await _note_read(desk, account_id, rows, reason, "export")
    for row in rows:
        try:
            with into.file(row.head, is_first=row is rows[0]) as file:
                await _write(file, _presented(desk, row), row.head, into.form)
        except OSError as error:
            fail(f"cannot write {into.output or 'to standard output'}: {error.strerror}")


async def _write(file: BinaryIO, pieces: AsyncIterator[bytes], head: Head, form: str) -> None:
    if form == "eml":
        async for piece in pieces:
            file.write(piece)
    else:  # mbox lines end in LF, and quoting wants whole lines
        octets = b"".join([piece async for piece in pieces]).replace(b"\r\n", b"\n")
        file.write(f"From MAILER-DAEMON {head.internal_date:%a %b %d %H:%M:%S %Y}\n".encode())
        file.write(_FROM_LINE.sub(rb">\1", octets))
        file.write(b"\n" if octets.endswith(b"\n") else b"\n\n")
    file.flush()


# --- reading ----------------------------------------------------------------------------------------


async def _read(
    desk: Desk, account_id: AccountId, rows: Sequence[MessageRow], reason: str, *, how: str
) -> AsyncIterator[bytes]:
    await _note_read(desk, account_id, rows, reason, how)
    for row in rows:
        async for piece in _presented(desk, row):
            yield piece


async def _presented(desk: Desk, row: MessageRow) -> AsyncIterator[bytes]:
    opened = await open_message(desk.keys, row.head.mail_id, row.message, row.keys)
    async for piece in opened.octets(desk.content):
        yield piece


async def _note_read(
    desk: Desk, account_id: AccountId, rows: Sequence[MessageRow], reason: str, how: str
) -> None:
    """message.read/1 is on disk when this returns."""
    reader = Reader("export" if how == "export" else "show", f"saraban, {operator().id}", reason=reason)
    uids = ranges_of(sorted(row.uid for row in rows))
    event = await Reading(desk.keys, desk.entropy).event(
        account_id, rows[0].head.mailbox_id, uids, reader, stamp(desk)
    )
    async with desk.lane() as lane:
        await lane.append([Fact(box_history(account_id), event)])


async def _account(desk: Desk, address: Address) -> AccountId:
    async with desk.pool.rows() as rows:
        found = await directory.account_of(rows, address)
    if found is None:
        nothing(f"{address} is no mailbox here")
    return found.account_id


async def _places(desk: Desk, account_id: AccountId, *, gone_too: bool = False) -> list[Place]:
    async with desk.pool.rows() as rows:
        found = await mailboxes.list_mailboxes(rows, account_id, gone_too=gone_too)
    if not found:
        nothing(f"{account_id} has no mailbox yet: its creation has not been folded, see `saraban status`")
    paths = mailboxes.paths_of(found)
    return [Place(paths[row.mailbox_id], row) for row in found]


async def _place(desk: Desk, account_id: AccountId, name: str) -> Place:
    found = next((place for place in await _places(desk, account_id) if place.is_named(name)), None)
    if found is None:
        nothing(f"there is no mailbox {name}; `saraban mailbox folders` shows which there are")
    return found


async def _heads(desk: Desk, account_id: AccountId, mailbox_id: MailboxId) -> AsyncIterator[Head]:
    after = 0
    while True:
        async with desk.pool.rows() as rows:
            page = await mailboxes.list_messages(rows, account_id, mailbox_id, after_uid=after, limit=PAGE)
        for head in page:
            yield head
        if len(page) < PAGE:
            return
        after = page[-1].uid


async def _messages(
    desk: Desk, account_id: AccountId, mailbox_id: MailboxId, uids: Sequence[int]
) -> list[MessageRow]:
    async with desk.pool.rows() as rows:
        read = await mailboxes.read_messages(rows, account_id, mailbox_id, ranges_of(uids))
    found = [row for row in read if not row.head.is_expunged]
    if not found:
        nothing(f"there is no message with UID {uids[0]}")
    return found


def _shown(head: Head) -> dict[str, object]:
    return {
        "uid": head.uid,
        "date": head.internal_date,
        "from": head.from_,
        "subject": head.subject,
        "octets": head.octets,
        "flags": head.flags,
        "modseq": head.modseq,
        "mail_id": head.mail_id,
        "message_id": head.message_id,
        "mailbox_id": head.mailbox_id,
    }


def _text(part: MIMEPart | None) -> str:
    try:
        return str(part.get_content()) if part is not None else ""
    except (LookupError, ValueError):  # a charset nobody knows
        return "(this text cannot be decoded; export the message)"
