"""Forwarding in a made-up history: rules set, changed and removed, and what agencies allow."""

from gateway.domain.account import Account
from gateway.domain.agencies import set_forwarding_policy
from gateway.domain.agency import Agency, ForwardingPolicy
from gateway.domain.forwarding import remove_forwarding, set_forwarding
from gateway.mail.address import parse_address
from gateway.mail.ids import AgencyId
from tests.projections.world import Owner, World


def forward_some(world: World) -> None:
    """Whoever is not closed forwards; every third changes the rule, every fourth removes it."""
    open_ones = [o for o in world.accounts if world.aggregate(Account, o.account_id)[0].status != "closed"]
    for number, owner in enumerate(open_ones):
        forward(world, owner, "somebody@example.org")
        if number % 3 == 0:
            forward(world, owner, "vet@dld.go.th", "ผู้รับ@example.org", keeps_copy=False)
        if number % 4 == 1:
            forward_no_more(world, owner)
    let_forward(world, open_ones[0].agency_id, "anywhere")


def forward(world: World, owner: Owner, *targets: str, keeps_copy: bool = True) -> None:
    account, position = world.aggregate(Account, owner.account_id)
    made = set_forwarding(
        account,
        position,
        [parse_address(target) for target in targets],
        world.stamp(),
        keeps_copy=keeps_copy,
        account_key=world.keys.key(f"account.{owner.account_id}"),
        nonce=world.chance.randbytes(12),
    )
    world.add(*made.facts)


def forward_no_more(world: World, owner: Owner) -> None:
    account, position = world.aggregate(Account, owner.account_id)
    world.add(*remove_forwarding(account, position, world.stamp()).facts)


def let_forward(world: World, agency_id: AgencyId, policy: ForwardingPolicy) -> None:
    agency, position = world.aggregate(Agency, agency_id)
    world.add(*set_forwarding_policy(agency, position, policy, world.stamp()).facts)
