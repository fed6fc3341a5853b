"""To whom accounts forward by the rows, and which of it holds."""

import pytest

from gateway.domain.agency import NextHop
from projections.checkpoint import Projection, create
from projections.directory.forwarding import Rule, leaves_mailbox_alone, policy_of, rules_of
from projections.directory.project import DirectoryModel
from projections.keyring import Keyring
from projections.mailbox.project import MailboxModel
from projections.readmodel import Pool
from projections.trace.query import story_of
from tests.projections.forwarding import forward_no_more, forwarded, let_forward
from tests.projections.gateway import Gateway
from tests.projections.world import Owner, World


class Directory:
    """Two agencies here and one with a server of its own, and somebody who forwards."""

    def __init__(self, pool: Pool) -> None:
        self.pool, self.world = pool, World(72)
        self.dld = self.world.agency("DLD", "dld.go.th", NextHop("192.0.2.25", 25))
        self.opm = self.world.agency("OPM", "opm.go.th")
        self.opdc = self.world.agency("OPDC", "opdc.go.th")
        self.ann = self.world.account(self.opm, "Ann@opm.go.th")
        self.model = DirectoryModel(Keyring(self.world.keys))
        self.projection = Projection(self.model, pool)

    async def rule(self, owner: Owner | None = None) -> Rule | None:
        await self.projection.take(self.world.log)
        account_id = (owner or self.ann).account_id
        async with self.pool.rows() as rows:
            found = await rules_of(rows, [account_id])
            rule = found.get(account_id)
            is_alone = await leaves_mailbox_alone(rows, account_id)
        assert is_alone == (rule is not None and bool(rule.allowed) and not rule.keeps_copy)
        return rule


@pytest.fixture
async def directory(pool: Pool) -> Directory:
    directory = Directory(pool)
    await create(pool, [directory.model, MailboxModel(Keyring(directory.world.keys))])
    return directory


async def refusals(directory: Directory) -> list[tuple[str, str | None]]:
    rule = await directory.rule()
    assert rule is not None
    return [(target.address, target.refusal) for target in rule.targets]


async def test_a_rule_is_shown_with_who_set_it(directory: Directory) -> None:
    assert await directory.rule() is None
    directory.world.forward(directory.ann, "Vet@dld.go.th", '"a b"@opdc.go.th', keeps_copy=False)
    rule = await directory.rule()
    assert rule is not None
    assert (rule.address, rule.keeps_copy, rule.policy) == ("Ann@opm.go.th", False, "inside")
    assert rule.allowed == ("Vet@dld.go.th", '"a b"@opdc.go.th')
    assert rule.set_by == directory.world.stamp().actor.id
    forward_no_more(directory.world, directory.ann)
    assert await directory.rule() is None


async def test_a_policy_that_is_tightened_stops_what_goes_further(directory: Directory) -> None:
    world = directory.world
    let_forward(world, directory.opm, "anywhere")
    world.forward(directory.ann, "vet@dld.go.th", "ann@example.org")
    assert await refusals(directory) == [("vet@dld.go.th", None), ("ann@example.org", None)]
    let_forward(world, directory.opm, "inside")
    assert await refusals(directory) == [("vet@dld.go.th", None), ("ann@example.org", "policy")]
    let_forward(world, directory.opm, "none")
    assert await refusals(directory) == [("vet@dld.go.th", "policy"), ("ann@example.org", "policy")]
    async with directory.pool.rows() as rows:
        assert await policy_of(rows, directory.opm) == "none"
        assert await policy_of(rows, directory.opdc) == "inside"


async def test_the_rule_of_who_is_suspended_rests_and_of_who_is_closed_is_gone(directory: Directory) -> None:
    world, ann = directory.world, directory.ann
    world.forward(ann, "vet@dld.go.th")
    world.suspend_agency(directory.opm)
    assert await refusals(directory) == [("vet@dld.go.th", "suspended")]
    world.activate_agency(directory.opm)
    assert await refusals(directory) == [("vet@dld.go.th", None)]
    world.suspend(ann)
    assert await refusals(directory) == [("vet@dld.go.th", "suspended")]
    world.activate(ann)
    world.close(ann)
    assert await directory.rule() is None


async def test_of_who_is_erased_nobody_learns_to_whom(directory: Directory) -> None:
    directory.world.forward(directory.ann, "vet@dld.go.th")
    await directory.world.keys.forget(f"account.{directory.ann.account_id}")
    rule = await directory.rule()
    assert rule is not None
    assert rule.targets == ()


async def test_the_trace_tells_by_whose_rule_and_to_whom_a_mail_went_on(gateway: Gateway) -> None:
    world, ann = gateway.world, gateway.ann
    mail = world.accept(gateway.opm, "boss@example.org", ["ann@opm.go.th"])
    forwarded(world, mail, ann, "vet@dld.go.th", "b@opdc.go.th", keeps_copy=True)
    await gateway.catch_up()
    async with gateway.pool.rows() as rows:
        step = (await story_of(rows, [mail.mail_id]))[-1]
    assert (step.topic, step.addresses, step.account_id) == (
        "mail.forwarded/1", ("ann@opm.go.th",), ann.account_id,
    )  # fmt: skip
    said = f"by the rule of {ann.address} to vet@dld.go.th, b@opdc.go.th, a copy is kept"
    assert (step.reply_text, step.code) == (said, None)
