"""A made-up history in which everything happens, more than once and out of turn."""

from datetime import timedelta

from gateway.domain.account import Account
from gateway.domain.addresses import ADDRESS_RESTS
from gateway.domain.agency import NextHop
from gateway.domain.agency_tls import AgencyTls
from gateway.domain.app_passwords import Use
from gateway.domain.events import MailBounced, MailDeferred, MailRelayed
from gateway.domain.route import WEIGHT_MAX, Route, WeightedHop
from gateway.domain.steering import Cancel, Hold, Release, Reroute, Retry
from gateway.mail.ids import AgencyId
from tests.projections.governing import demand_tls, rename, send_by, switch
from tests.projections.world import Mail, Owner, World


def busy_world(seed: int, mails: int, accounts: int = 12) -> World:
    """Three agencies and everything that can happen to mail among them, repeats and strays included."""
    world = World(seed)
    chance = world.chance
    opm = world.agency("สำนักนายกรัฐมนตรี", "opm.go.th")
    opdc = world.agency("OPDC", "opdc.go.th")
    dld = world.agency("DLD", "dld.go.th", NextHop("127.0.0.1", 2599))
    for number in range(accounts):
        home, domain = ((opm, "opm.go.th"), (opdc, "opdc.go.th"))[number % 2]
        world.account(home, f"Officer{number}@{domain}", f"เจ้าหน้าที่ {number}")
    world.app_password(world.accounts[0], Use("เครื่องพิมพ์"))
    world.set_password(world.accounts[0], "import")
    world.grant(world.accounts[0], "auditor", opm)
    world.forward(world.accounts[-1], "vet@dld.go.th", "officer1@opdc.go.th")
    before: list[tuple[Mail, Owner, list[int]]] = []
    for number in range(mails):
        owners = chance.sample(world.accounts, chance.randrange(0, 3))
        outside = [f"vet{n}@dld.go.th" for n in range(chance.randrange(0, 3))]
        sender = None if chance.random() < 0.1 else f"officer{number}@example.org"
        rcpt_to = [owner.address for owner in owners] + outside or ["nobody@opm.go.th"]
        mail = world.accept(opm, sender, rcpt_to, f"เรื่องที่ {number}")
        if chance.random() < 0.3:
            waits = world.hold_back(mail, timedelta(days=1))
            if chance.random() < 0.5:
                world.release(mail, waits)
        if not owners and not outside:
            world.attempt(MailBounced, mail, [0])
        for nth, owner in enumerate(owners):
            gone = "mbx_gone" if chance.random() < 0.05 else None
            world.deliver(mail, owner, [nth], gone)
            before.append((mail, owner, [nth]))
        if outside:
            _send_out(world, mail, dld, list(range(len(owners), len(rcpt_to))))
        if before and chance.random() < 0.1:  # a delivery told twice
            world.deliver(*chance.choice(before))
        if chance.random() < 0.2:
            world.noise()
        if chance.random() < 0.1:
            world.refuse(opdc, sender, f"officer{number}@opdc.go.th")
        if chance.random() < 0.02:
            late = world.account(opdc, f"late{number}@opdc.go.th")
            _change_hands(world, late, f"office{number}@opdc.go.th")
            world.suspend_agency(opdc)
            world.activate_agency(opdc)
            rename(world, opdc, f"OPDC {number}")
            until = world.now + timedelta(days=number % 300 + 1)  # within EXCEPTION_MAX
            for policy in (AgencyTls("required", exception_until=until), AgencyTls("required")):
                demand_tls(world, dld, policy)
            main = WeightedHop(NextHop("127.0.0.1", 2599), number % WEIGHT_MAX + 1)
            send_by(world, dld, Route((main,), (WeightedHop(NextHop("backup.example", 25)),)))
            for way in chance.sample(("backup", "main"), chance.randrange(3)):
                switch(world, dld, way)
            world.limit(opdc, accounts_max=1_000 + number, recipients_max=None)
            if world.aggregate(Account, late.account_id)[0].status != "closed":
                world.contact(late)
                world.grant(late, "helpdesk", opdc)
                world.grant(late, "operator", None)
                world.revoke(late, "helpdesk", opdc)
    return world


def _change_hands(world: World, owner: Owner, address: str) -> None:
    """An alias that comes, goes and comes back, and one that somebody else gets after its rest."""
    world.alias(owner, address)
    world.alias(owner, f"x{address}")
    world.unalias(owner, address)
    if world.chance.random() < 0.5:
        world.alias(owner, address)
    world.unalias(owner, f"x{address}")
    world.now += ADDRESS_RESTS
    world.alias(world.accounts[1], f"x{address}")
    for change in world.chance.sample((world.suspend, world.close), 2)[: world.chance.randrange(3)]:
        if world.aggregate(Account, owner.account_id)[0].status == "active":
            change(owner)
    phone = world.app_password(world.accounts[0], Use("โทรศัพท์", networks=("192.0.2.0/24", "2001:db8::/32")))
    if world.chance.random() < 0.7:
        world.revoke_app_password(world.accounts[0], phone)
    for _ in range(world.chance.randrange(3)):
        world.set_password(world.accounts[0])
    if world.chance.random() < 0.5:
        world.suspend(world.accounts[0])
        world.activate(world.accounts[0])


def _send_out(world: World, mail: Mail, agency_id: AgencyId, recipients: list[int]) -> None:
    chance = world.chance
    queued = world.queue(mail, agency_id, recipients)
    number = 1
    deeds = (Hold(), Release(), Retry(), Reroute(NextHop("backup.example", 25)), Reroute(None), Cancel(True))
    for deed in chance.sample(deeds, chance.choice((0, 0, 0, 2))):
        world.steer(deed, mail, queued, recipients[:1])
    while chance.random() < 0.3:
        world.attempt(MailDeferred, mail, recipients, number)
        number += 1
    for recipient in recipients:
        outcome = chance.random()
        if outcome < 0.6:
            world.attempt(MailRelayed, mail, [recipient], number)
        elif outcome < 0.8:
            world.attempt(MailBounced, mail, [recipient], number)
        if outcome < 0.05:  # told twice, and late
            world.attempt(MailDeferred, mail, recipients, number + 1)
            world.queue(mail, agency_id, recipients)
