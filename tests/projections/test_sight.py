"""An agency sees the mails it accepted, and of those with a recipient of its own what befell that one."""

from gateway.domain.events import MailBounced, MailRelayed
from gateway.mail.ids import AgencyId
from projections.readmodel import Rows
from projections.trace.query import Step, Wanted, find_mails, find_refusals, story_of
from projections.trace.sight import sight_of
from tests.projections.gateway import Gateway
from tests.projections.world import Mail

EVERYTHING = Wanted(remote_ip="192.0.2.7")


async def found(rows: Rows, agency_id: AgencyId) -> list[str]:
    return [mail.mail_id for mail in await find_mails(rows, EVERYTHING, agencies=[agency_id])]


async def seen(rows: Rows, mail: Mail, agency_id: AgencyId) -> list[Step]:
    sight = await sight_of(rows, [mail.mail_id], [agency_id])
    return sight.see(await story_of(rows, [mail.mail_id]))


async def test_a_mail_is_of_who_accepted_it_and_of_each_agency_with_a_recipient(gateway: Gateway) -> None:
    world = gateway.world
    sent = world.accept(gateway.opm, "ann@opm.go.th", ["boss@example.org"])
    both = world.accept(gateway.opm, "boss@example.org", ["ann@opm.go.th", "Bee@OPDC.go.th"])
    relayed = world.accept(gateway.opm, "ann@opm.go.th", ["v@dld.go.th"])
    world.queue(relayed, gateway.dld, [0])
    erased = world.accept(gateway.opm, "boss@example.org", ["gone@former.go.th"])
    world.deliver(erased, gateway.bee, [0])  # whatever its address was: the account is
    await gateway.catch_up()
    async with gateway.pool.rows() as rows:
        assert await found(rows, gateway.opm) == [each.mail_id for each in (sent, both, relayed, erased)]
        assert await found(rows, gateway.opdc) == [both.mail_id, erased.mail_id]
        assert await found(rows, gateway.dld) == [relayed.mail_id]
        assert await found(rows, AgencyId("ag_other")) == []
        for to, agency_id, mails in (
            ("ann@opm.go.th", gateway.opm, [both]),
            ("bee@opdc.go.th", gateway.opm, [both]),  # accepted by it: it sees all of its recipients
            ("bee@opdc.go.th", gateway.opdc, [both]),
            ("ann@opm.go.th", gateway.opdc, []),  # who else got it is not told
        ):
            rows_of = await find_mails(rows, Wanted(to=to), agencies=[agency_id])
            assert [row.mail_id for row in rows_of] == [each.mail_id for each in mails], to
        assert await find_mails(rows, EVERYTHING, agencies=[]) == []
        assert len(await find_mails(rows, EVERYTHING)) == 4


async def test_a_refused_recipient_is_of_its_agency(gateway: Gateway) -> None:
    first = gateway.world.refuse(gateway.opm, "boss@example.org", "ann@opm.go.th")
    gateway.world.refuse(gateway.opdc, "boss@example.org", "bee@opdc.go.th")
    await gateway.catch_up()
    async with gateway.pool.rows() as rows:
        refused = await find_refusals(rows, Wanted(remote_ip="192.0.2.9"), agencies=[gateway.opm])
        assert [row.position for row in refused] == [first]
        assert await find_refusals(rows, Wanted(), agencies=[]) == []


async def test_who_accepted_a_mail_sees_it_whole_but_not_the_accounts_of_others(gateway: Gateway) -> None:
    world = gateway.world
    mail = world.accept(gateway.opm, "ann@opm.go.th", ["bee@opdc.go.th", "v@dld.go.th", "ann@opm.go.th"])
    world.deliver(mail, gateway.bee, [0])
    world.queue(mail, gateway.dld, [1])
    world.attempt(MailRelayed, mail, [1])
    world.deliver(mail, gateway.ann, [2])
    await gateway.catch_up()
    async with gateway.pool.rows() as rows:
        steps = await seen(rows, mail, gateway.opm)
    assert [(step.topic, step.addresses, step.agency_id, step.account_id) for step in steps] == [
        ("mail.accepted/1", mail.envelope.rcpt_to, gateway.opm, None),
        ("mail.delivered/1", ("bee@opdc.go.th",), None, None),
        ("mail.queued/1", ("v@dld.go.th",), None, None),
        ("mail.relayed/1", ("v@dld.go.th",), None, None),
        ("mail.delivered/1", ("ann@opm.go.th",), None, gateway.ann.account_id),
    ]
    assert steps[3].reply_text == "250 said so"


async def test_of_another_agencys_mail_only_ones_own_recipients_are_seen(gateway: Gateway) -> None:
    world = gateway.world
    mail = world.accept(gateway.opm, "ann@opm.go.th", ["ann@opm.go.th", "bee@opdc.go.th", "no@opdc.go.th"])
    world.deliver(mail, gateway.ann, [0])
    world.deliver(mail, gateway.bee, [1])
    world.attempt(MailBounced, mail, [2])
    await gateway.catch_up()
    async with gateway.pool.rows() as rows:
        steps = await seen(rows, mail, gateway.opdc)
        assert await seen(rows, mail, gateway.dld) == []
    assert [(step.topic, step.recipients, step.addresses, step.account_id) for step in steps] == [
        ("mail.accepted/1", (1, 2), ("bee@opdc.go.th", "no@opdc.go.th"), None),
        ("mail.delivered/1", (1,), ("bee@opdc.go.th",), gateway.bee.account_id),
        ("mail.bounced/1", (2,), ("no@opdc.go.th",), None),
    ]
    assert steps[0].agency_id is None
