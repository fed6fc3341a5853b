"""`saraban list`: addresses whose mail goes to many."""

from pathlib import Path
from typing import get_args

import click

from gateway.cli.desk import ADDRESS, Where, administering, confirm, reason_option
from gateway.cli.output import fail, nothing, print_rows, say
from gateway.cli.registering import mail_lists, registry
from gateway.cli.remote import Remote
from gateway.cli.remote_lists import RemoteLists
from gateway.domain.maillist import Posting
from gateway.mail.address import Address, parse_address
from gateway.processes.registry.lists import MailLists


@click.group("list")
def list_() -> None:
    """Mailing lists: addresses whose mail goes to their members.

    Example: saraban list add all@opm.go.th --name 'ทุกคน'
    """


@list_.command("add")
@click.argument("address", type=ADDRESS)
@click.option("--name", "display_name", default="", help="The name of the list.")
@click.option(
    "--posting",
    type=click.Choice(get_args(Posting)),
    default="members",
    show_default=True,
    help="Who may write to it.",
)
@click.option("--poster", "posters", type=ADDRESS, multiple=True, help="Who may, where --posting is named.")
@administering
async def add(
    where: Where, address: Address, display_name: str, posting: Posting, posters: tuple[Address, ...]
) -> None:
    """Make a list without members. Reports about its mails go to its own mailbox, at NAME-bounces@.

    Example: saraban list add all@opm.go.th --posting named --poster saraban@opm.go.th
    """
    account_id = await _lists(where).add_list(
        address, display_name=display_name, posting=posting, posters=posters
    )
    say(f"list {account_id}", account_id=account_id, address=str(address), posting=posting)


@list_.command("members")
@click.argument("address", type=ADDRESS)
@administering
async def members(where: Where, address: Address) -> None:
    """Who is on a list, in the order they came.

    Example: saraban list members all@opm.go.th --json
    """
    if isinstance(where, Remote):
        found = await RemoteLists(where).members(address)
    else:
        known = await mail_lists(where).find(address)
        found = [str(member) for member in known.mail_list.members(known.key).values()]
    shown = [{"member": member} for member in found]
    if not shown:
        nothing(f"{address} has no members")
    print_rows(shown, ("member",))


@list_.command("add-member")
@click.argument("address", type=ADDRESS)
@click.argument("who", type=ADDRESS, nargs=-1)
@click.option(
    "--file", type=click.Path(dir_okay=False, path_type=Path), help="More of them, one address a line."
)
@administering
async def add_member(where: Where, address: Address, who: tuple[Address, ...], file: Path | None) -> None:
    """Put addresses on a list, here or elsewhere. Who is on it already stays.

    Example: saraban list add-member all@opm.go.th somchai@opm.go.th malee@opdc.go.th
    """
    wanted = [*who, *(_read(file) if file else ())]
    if not wanted:
        raise click.UsageError("say who, or where they are with --file FILE")
    added = await _lists(where).add_members(address, wanted)
    say(f"{added} more on {address}", address=str(address), added=added)


@list_.command("remove-member")
@click.argument("address", type=ADDRESS)
@click.argument("who", type=ADDRESS)
@click.option("--yes", is_flag=True, help="Do not ask.")
@administering
async def remove_member(where: Where, address: Address, who: Address, yes: bool) -> None:
    """Take an address off a list.

    Example: saraban list remove-member all@opm.go.th somchai@opm.go.th --yes
    """
    confirm(f"Take {who} off {address}?", yes=yes)
    await _lists(where).remove_member(address, who)
    say(f"{who} is off {address}", address=str(address), removed=str(who))


@list_.command("posting")
@click.argument("address", type=ADDRESS)
@click.argument("posting", type=click.Choice(get_args(Posting)))
@click.option("--poster", "posters", type=ADDRESS, multiple=True, help="Who may, where it is named.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@administering
async def set_posting(
    where: Where, address: Address, posting: Posting, posters: tuple[Address, ...], yes: bool
) -> None:
    """Say who may write to a list from here on.

    Example: saraban list posting all@opm.go.th named --poster saraban@opm.go.th
    """
    if posting != "anyone":
        confirm(f"Let nobody else write to {address} any more?", yes=yes)
    await _lists(where).set_posting(address, posting, posters)
    say(
        f"{address} takes mail of: {posting}",
        address=str(address),
        posting=posting,
        posters=list(map(str, posters)),
    )


@list_.command("remove")
@click.argument("address", type=ADDRESS)
@click.option("--yes", is_flag=True, help="Do not ask.")
@reason_option("Why is it removed")
@administering
async def remove(where: Where, address: Address, yes: bool, reason: str) -> None:
    """Refuse mail to a list from here on; its addresses rest for 180 days. What it has stays.

    Example: saraban list remove all@opm.go.th --reason 'ยุบกลุ่ม' --yes
    """
    confirm(f"Refuse all mail to {address}?", yes=yes)
    if isinstance(where, Remote):
        await RemoteLists(where).remove(address, reason)
    else:
        await mail_lists(where).find(address)
        await registry(where).close_account(address, reason)
    say(f"removed {address}", address=str(address))


def _lists(where: Where) -> MailLists | RemoteLists:
    return RemoteLists(where) if isinstance(where, Remote) else mail_lists(where)


def _read(file: Path) -> list[Address]:
    try:
        lines = file.read_text("utf-8-sig").splitlines()
    except OSError as error:
        fail(f"{file} cannot be read: {error.strerror}")
    except UnicodeDecodeError:
        fail(f"{file} is not UTF-8")
    found = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                found.append(parse_address(line.strip()))
            except ValueError as error:
                fail(f"{file}, line {number}: {line.strip()!r} is no mail address: {error}")
    return found
