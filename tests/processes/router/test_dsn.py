"""What senders asked to be told (RFC 3461), on its way through the router."""

import pytest

from gateway.domain.events import EnvelopeSecret, MailDelivered, MailQueued
from gateway.domain.routing import envelope_label
from gateway.domain.sealing import unseal, unwrap
from gateway.mail.dsn_options import DsnOptions
from gateway.mail.ids import MailId
from tests.processes.router.test_router import router, running
from tests.processes.world import World


@pytest.fixture
async def world() -> World:
    world = World()
    await world.know()
    return world


# --- passed on -------------------------------------------------------------------------------------------


async def test_each_destination_gets_the_options_of_its_own_recipients(world: World) -> None:
    notify = ("", "SUCCESS", "NEVER", "")
    orcpt = ("", "rfc822;a@opm.go.th", "", "")
    await world.accept(
        "suda@opm.go.th",
        "a@dld.go.th",
        "b@dld.go.th",
        "c@example.net",
        dsn=DsnOptions("HDRS", "QQ314159", notify, orcpt),
    )
    async with running(router(world)):
        at_dld, elsewhere = await world.until(MailQueued.TOPIC, 2)
    assert isinstance(at_dld, MailQueued)
    assert isinstance(elsewhere, MailQueued)
    assert (at_dld.ret, at_dld.notify) == ("HDRS", ("SUCCESS", "NEVER"))
    assert (elsewhere.ret, elsewhere.notify) == ("HDRS", ())
    envelope = await opened(world, at_dld)
    assert (envelope.envid, envelope.orcpt) == ("QQ314159", ("rfc822;a@opm.go.th", ""))
    assert (await opened(world, elsewhere)).orcpt == ()


async def opened(world: World, queued: MailQueued) -> EnvelopeSecret:
    (wrap,) = queued.keys
    data_key = unwrap(wrap.wrapped, await world.keys.get(wrap.key))
    return unseal(EnvelopeSecret, queued.sealed, data_key, label=envelope_label(queued.mail_id))


ASKING = [
    ("ann@example.org", None, (1,)),
    # RFC 3461 §6.1, RFC 5321 §4.5.5: there is nobody to tell, or it would be told of a report.
    (None, None, ()),
    ("ann@example.org", MailId("mail_earlier"), ()),
]


@pytest.mark.parametrize(("mail_from", "report_of", "marked"), ASKING)
async def test_a_delivery_names_those_whose_success_is_to_be_reported(
    world: World, mail_from: str | None, report_of: MailId | None, marked: tuple[int, ...]
) -> None:
    dsn = DsnOptions(notify=("FAILURE", "SUCCESS,FAILURE", ""))
    addresses = ("suda@opm.go.th", "SUDA@opm.go.th", "suda@OPM.go.th")
    await world.accept(*addresses, mail_from=mail_from, report_of=report_of, dsn=dsn)
    async with running(router(world)):
        (delivered,) = await world.until(MailDelivered.TOPIC, 1)
    assert isinstance(delivered, MailDelivered)
    assert (delivered.recipients, delivered.report_success) == ((0, 1, 2), marked)
