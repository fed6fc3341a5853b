"""Forwarding rules and what an agency allows of them, as the API shows and changes them."""

from gateway.mail.address import Address, parse_address
from gateway.processes.registry.agencies import Agencies
from gateway.processes.registry.forwarding import Forwarding
from gateway.processes.web import bodies
from gateway.processes.web.office import Asked, address_in
from gateway.processes.web.problems import against_the_rules
from projections.directory.forwarding import policy_of, rules_of
from projections.directory.query import AccountRow


async def show_policy(asked: Asked) -> bodies.ForwardingPolicyOf:
    agency_id = asked.agency("see")
    policy = await asked.registry(Agencies).forwarding_policy(agency_id)
    return bodies.ForwardingPolicyOf(agency_id, policy)


async def set_policy(asked: Asked) -> bodies.ForwardingPolicyOf:
    agency_id, wanted = asked.agency("change"), asked.body
    await asked.registry(Agencies).set_forwarding_policy(agency_id, wanted.policy)
    return bodies.ForwardingPolicyOf(agency_id, wanted.policy)


async def show(asked: Asked) -> bodies.Forwarding:
    return await _shown(asked, await asked.account("see", _address(asked)))


async def put(asked: Asked) -> bodies.ForwardingChanged:
    address = _address(asked)
    return await _set(asked, await asked.account("change", address), address)


async def remove(asked: Asked) -> bodies.ForwardingChanged:
    address = _address(asked)
    return await _remove(asked, await asked.account("change", address), address)


async def show_mine(asked: Asked) -> bodies.Forwarding:
    return await _shown(asked, asked.own_account())


async def put_mine(asked: Asked) -> bodies.ForwardingChanged:
    account = asked.own_account()
    if account.status != "active":
        raise against_the_rules("the account is suspended: ask your administrator")
    return await _set(asked, account, parse_address(account.address))


async def remove_mine(asked: Asked) -> bodies.ForwardingChanged:
    account = asked.own_account()
    return await _remove(asked, account, parse_address(account.address))


async def _set(asked: Asked, account: AccountRow, address: Address) -> bodies.ForwardingChanged:
    wanted: bodies.ForwardingRule = asked.body
    targets = [address_in(target) for target in wanted.to]
    await asked.registry(Forwarding).set(address, targets, keeps_copy=wanted.keep_copy)
    return bodies.ForwardingChanged(
        account.account_id, account.address, list(map(str, targets)), wanted.keep_copy
    )


async def _remove(asked: Asked, account: AccountRow, address: Address) -> bodies.ForwardingChanged:
    await asked.registry(Forwarding).remove(address)
    return bodies.ForwardingChanged(account.account_id, account.address, [], True)


async def _shown(asked: Asked, account: AccountRow) -> bodies.Forwarding:
    async with asked.office.pool.rows() as rows:
        rule = (await rules_of(rows, [account.account_id])).get(account.account_id)
        policy = await policy_of(rows, account.agency_id)
    targets = [bodies.ForwardingTarget(t.address, t.refusal) for t in rule.targets] if rule else []
    return bodies.Forwarding(
        account_id=account.account_id,
        address=account.address,
        policy=policy,
        targets=targets,
        keep_copy=rule.keeps_copy if rule else True,
        set_at=rule.set_at if rule else None,
        set_by=rule.set_by if rule else None,
    )


def _address(asked: Asked) -> Address:
    return address_in(asked.path["address"])
