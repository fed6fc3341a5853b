"""`saraban account forward`: to whom an account's mail goes on."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

import click

from gateway.cli.desk import ADDRESS, Where, administering, confirm
from gateway.cli.output import cell, say
from gateway.cli.registering import forwarding_at
from gateway.cli.remote import Remote, RemoteForwarding
from gateway.domain.registration import Unknown
from gateway.mail.address import Address
from projections.directory import query as directory
from projections.directory.forwarding import policy_of, rules_of

REFUSALS: Final = {"policy": "not allowed by its agency", "suspended": "rests while it is suspended"}


class AddressOrCommand(click.Group):
    """`forward ADDRESS --to X` is `forward set ADDRESS --to X`: no command has an @ in its name."""

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(context, ["set", *args] if args and "@" in args[0] else args)


@click.group(cls=AddressOrCommand)
def forward() -> None:
    """To whom an account's mail goes on, as far as its agency allows (`agency forwarding`).

    Example: saraban account forward set somchai@opm.go.th --to malee@opdc.go.th
    """


@forward.command("set")
@click.argument("address", type=ADDRESS)
@click.option("--to", "targets", type=ADDRESS, multiple=True, required=True, help="To whom; up to five.")
@click.option(
    "--keep-copy/--no-copy", default=True, show_default=True, help="Whether it comes into the mailbox too."
)
@administering
async def set_(desk: Where, address: Address, targets: Sequence[Address], keep_copy: bool) -> None:
    """Forward an account's mail from now on, whatever its rule was before. `set` may be left out.

    Example: saraban account forward set somchai@opm.go.th --to malee@opdc.go.th --no-copy
    """
    account_id = await forwarding_at(desk).set(address, targets, keeps_copy=keep_copy)
    to = list(map(str, targets))
    say(
        f"mail to {address} goes to {', '.join(to)}{' and into its mailbox' if keep_copy else ''}",
        account_id=account_id, address=str(address), to=to, keep_copy=keep_copy,
    )  # fmt: skip


@forward.command("remove")
@click.argument("address", type=ADDRESS)
@click.option("--yes", is_flag=True, help="Do not ask.")
@administering
async def remove(desk: Where, address: Address, yes: bool) -> None:
    """Forward an account's mail no more: it comes into its mailbox.

    Example: saraban account forward remove somchai@opm.go.th --yes
    """
    confirm(f"Forward the mail of {address} no more?", yes=yes)
    account_id = await forwarding_at(desk).remove(address)
    say(f"mail to {address} comes into its mailbox", account_id=account_id, address=str(address))


@forward.command("show")
@click.argument("address", type=ADDRESS)
@administering
async def show(desk: Where, address: Address) -> None:
    """Where an account's mail goes; one's own too.

    Example: saraban account forward show somchai@opm.go.th --json
    """
    rule = await rule_of(desk, address)
    say("\n".join(told(rule)), **rule)


async def rule_of(desk: Where, address: Address) -> dict[str, Any]:
    """As the API tells it."""
    at = forwarding_at(desk)
    if isinstance(at, RemoteForwarding):
        return await at.show(address)
    assert not isinstance(desk, Remote), desk
    async with desk.pool.rows() as rows:
        account = await directory.account_of(rows, address)
        if account is None:
            raise Unknown(f"{address} is no account here")
        rule = (await rules_of(rows, [account.account_id])).get(account.account_id)
        policy = await policy_of(rows, account.agency_id)
    return {
        "account_id": account.account_id,
        "address": account.address,
        "policy": policy,
        "targets": [asdict(target) for target in rule.targets] if rule else [],
        "keep_copy": rule.keeps_copy if rule else True,
        "set_at": rule.set_at if rule else None,
        "set_by": rule.set_by if rule else None,
    }


def told(rule: Mapping[str, Any]) -> list[str]:
    """A rule in lines, for people."""
    if not rule["targets"]:
        return [f"{'forwarding':<14}none (the agency's policy: {rule['policy']})"]
    lines = []
    for target in rule["targets"]:
        refusal = f": {REFUSALS[target['refusal']]}" if target["refusal"] else ""
        lines.append(f"{'forwarding':<14}{cell(target['address'])}{refusal}")
    copy = "kept" if rule["keep_copy"] else "not kept, unless nothing of the rule works"
    by = f"set {rule['set_at']} by {cell(rule['set_by'])}"
    return [*lines, f"{'copy':<14}{copy}; {by} (the agency's policy: {rule['policy']})"]
