"""Forwarding in a made-up history: rules set, changed and removed, and what agencies allow."""

from gateway.domain.account import Account
from gateway.domain.agencies import set_forwarding_policy
from gateway.domain.agency import Agency, ForwardingPolicy
from gateway.domain.forwarding import (
    ForwardedSecret,
    MailForwarded,
    forwarded_label,
    remove_forwarding,
)
from gateway.domain.histories import mail_history
from gateway.mail.ids import AgencyId
from gateway.ports import Fact
from tests.projections.world import Mail, Owner, World


def forward_some(world: World) -> None:
    """Whoever is not closed forwards; every third changes the rule, every fourth removes it."""
    open_ones = [o for o in world.accounts if world.aggregate(Account, o.account_id)[0].status != "closed"]
    for number, owner in enumerate(open_ones):
        world.forward(owner, "somebody@example.org")
        if number % 3 == 0:
            world.forward(owner, "vet@dld.go.th", "ผู้รับ@example.org", keeps_copy=False)
        if number % 4 == 1:
            forward_no_more(world, owner)
    let_forward(world, open_ones[0].agency_id, "anywhere")


def forward_no_more(world: World, owner: Owner) -> None:
    account, position = world.aggregate(Account, owner.account_id)
    world.add(*remove_forwarding(account, position, world.stamp()).facts)


def let_forward(world: World, agency_id: AgencyId, policy: ForwardingPolicy) -> None:
    agency, position = world.aggregate(Agency, agency_id)
    world.add(*set_forwarding_policy(agency, position, policy, world.stamp()).facts)


def forwarded(world: World, mail: Mail, owner: Owner, *targets: str, keeps_copy: bool = False) -> None:
    """What a router says when a mail to an account goes on."""
    told = ForwardedSecret(mail.envelope.mail_from, owner.address, targets)
    label = forwarded_label(mail.mail_id, owner.account_id)
    event = MailForwarded(
        mail_id=mail.mail_id,
        recipients=(0,),
        agency_id=owner.agency_id,
        account_id=owner.account_id,
        keeps_copy=keeps_copy,
        targets=len(targets),
        keys=(world._wrap(f"agency.{owner.agency_id}", mail.data_key),),
        sealed=world._seal(told, mail.data_key, label),
        **world.stamp().fields(),
    )
    world.add(Fact(mail_history(mail.mail_id), event))
