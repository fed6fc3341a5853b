"""Bans in a made-up history: by an edge, by an operator, lifted, of accounts."""

from datetime import timedelta

from gateway.domain.bans import BanImposed, BanLifted, BanSecret, LiftSecret, ban_label, lift_label
from gateway.domain.signin import access_history
from gateway.ports import Fact
from tests.projections.world import Owner, World

KEY = "traffic.none.202611"


def ban_some(world: World, bans: int) -> None:
    """Every third is lifted, every fourth is of an account."""
    for number in range(bans):
        ban_id = ban(world, f"192.0.2.{number}/32", world.chance.choice(world.accounts), number % 4 == 3)
        if number % 3 == 0:
            lift(world, ban_id)


def ban(world: World, network: str, owner: Owner, is_of_account: bool) -> str:
    stamp, ban_id = world.stamp(), world._id("ban")
    secret = BanSecret("" if is_of_account else network, "เดารหัสผ่าน")
    event = BanImposed(
        **stamp.fields(),
        ban_id=ban_id,
        what="account" if is_of_account else "network",
        until=stamp.at + timedelta(hours=1),
        reason="operator" if is_of_account else "sign-ins",
        account_id=owner.account_id if is_of_account else None,
        sealed=world._seal(secret, world.keys.key(KEY), ban_label(ban_id)),
        sealed_key=KEY,
    )
    world.add(Fact(access_history(owner.agency_id if is_of_account else None), event))
    return ban_id


def lift(world: World, ban_id: str) -> None:
    sealed = world._seal(LiftSecret("เข้าใจผิด"), world.keys.key(KEY), lift_label(ban_id))
    event = BanLifted(**world.stamp().fields(), ban_id=ban_id, sealed=sealed, sealed_key=KEY)
    world.add(Fact(access_history(None), event))
