"""`saraban mailbox acl`: who may do what with somebody else's mailbox."""

import unicodedata
from typing import Final

import click

from gateway.cli.desk import ADDRESS, at_desk, operator
from gateway.cli.output import fail, nothing, print_rows, say
from gateway.domain.open_tree import INBOX, MailboxRefused
from gateway.domain.sharing import ALL_RIGHTS
from gateway.mail.address import Address
from gateway.mail.ids import AccountId
from gateway.mail.rights import ALL, rights_text
from gateway.processes.folders import Folders
from gateway.processes.holders import NoHolder, acl_of, holder_of
from gateway.wiring.desk import Desk
from projections.checkpoint import reached
from projections.directory import query as directory
from projections.mailbox.project import MailboxModel
from projections.mailbox.query import MailboxRow, list_mailboxes, paths_of

# What people ask for, in words (RFC 4314 §2.1).
SETS: Final = {"read": "lrs", "work": "lrswite", "all": ALL}
ROWS_TIMEOUT_S: Final = 60.0
MAILBOX = click.option("--mailbox", "name", default=INBOX, show_default=True, help="Which mailbox.")
WHO = click.argument("who")


class RightsType(click.ParamType[frozenset[str]]):
    """Rights as letters, or one of SETS."""

    name = "rights"

    def convert(
        self, value: object, parameter: click.Parameter | None, context: click.Context | None
    ) -> frozenset[str]:
        letters = frozenset(SETS.get(str(value), str(value)))
        if not letters or letters - ALL_RIGHTS:
            self.fail(f"{value!r}: rights are read, work, all, or letters of {ALL}", parameter, context)
        return letters


@click.group()
def acl() -> None:
    """Rights to a mailbox of one person for others of the agency: show, grant, revoke.

    Example: saraban mailbox acl show registry@opm.go.th
    """


@acl.command()
@click.argument("address", type=ADDRESS)
@MAILBOX
@at_desk
async def show(desk: Desk, address: Address, name: str) -> None:
    """Who has which rights, the owner first.

    Example: saraban mailbox acl show registry@opm.go.th --mailbox INBOX
    """
    row = await _mailbox(desk, await _account(desk, address), name)
    async with desk.pool.rows() as rows:
        held = await acl_of(rows, row.account_id, row.mailbox_id)
    print_rows([{"who": who, "rights": rights} for who, rights in held.items()], ("who", "rights"))


@acl.command()
@click.argument("address", type=ADDRESS)
@WHO
@click.argument("rights", type=RightsType())
@MAILBOX
@at_desk
async def grant(desk: Desk, address: Address, who: str, rights: frozenset[str], name: str) -> None:
    """Give WHO these rights instead of those they had. WHO is an address of the same agency, or anyone.

    RIGHTS: read (lrs: look and keep a read state of one's own), work (lrswite: also mark, file and delete),
    all, or letters of RFC 4314.

    Example: saraban mailbox acl grant registry@opm.go.th malee@opm.go.th work
    """
    await _give(desk, address, who, rights, name)
    say(f"{who} has rights to {name} of {address}", who=who, mailbox=name, rights=rights_text(rights))


@acl.command()
@click.argument("address", type=ADDRESS)
@WHO
@MAILBOX
@at_desk
async def revoke(desk: Desk, address: Address, who: str, name: str) -> None:
    """Take all rights from WHO. A program that has the mailbox open is told good-bye.

    Example: saraban mailbox acl revoke registry@opm.go.th malee@opm.go.th
    """
    await _give(desk, address, who, frozenset(), name)
    say(f"{who} has no rights to {name} of {address}", who=who, mailbox=name, rights="")


async def _give(desk: Desk, address: Address, who: str, rights: frozenset[str], name: str) -> None:
    """Instead of what they had."""
    row = await _mailbox(desk, await _account(desk, address), name)
    async with desk.pool.rows() as rows:
        try:
            holder = await holder_of(rows, row.account_id, who)
        except NoHolder as error:
            fail(str(error))
    if holder == row.account_id:
        fail(f"{who} owns the mailbox, and has all rights")
    folders = Folders(
        aggregates=desk.aggregates, keys=desk.keys, clock=desk.clock, entropy=desk.entropy, by=desk.by
    )
    try:
        _, position = await folders.decide(
            row.account_id, operator(), lambda tree: tree.share(row.mailbox_id, holder, "replace", rights)
        )
    except MailboxRefused as error:
        fail(str(error))
    if not await reached(desk.pool, MailboxModel, position, ROWS_TIMEOUT_S):
        fail("it is said, and holds once the rows have followed: see `saraban status`")


async def _account(desk: Desk, address: Address) -> AccountId:
    async with desk.pool.rows() as rows:
        found = await directory.account_of(rows, address)
    if found is None:
        nothing(f"{address} is no mailbox here")
    return found.account_id


async def _mailbox(desk: Desk, account_id: AccountId, name: str) -> MailboxRow:
    async with desk.pool.rows() as rows:
        found = await list_mailboxes(rows, account_id)
    paths = paths_of(found)
    path = INBOX if name.upper() == INBOX else unicodedata.normalize("NFC", name)
    row = next((row for row in found if path == paths[row.mailbox_id] or name == row.mailbox_id), None)
    if row is None:
        nothing(f"there is no mailbox {name}; `saraban mailbox folders` shows which there are")
    return row
