"""What agencies demand of TLS with their own servers, at real ones: right outcome, status and record."""

import ssl
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from gateway.domain.agency import NextHop
from gateway.domain.agency_tls import AgencyTls, client_key_name
from gateway.domain.events import Attempted, AttemptSecret, MailBounced, MailDeferred, MailRelayed
from gateway.processes.relay.connection import Timeouts
from gateway.processes.trusting import verifying_context
from tests.misbehaving import BadTls, Server, Silent, listening
from tests.processes.relay.authority import Authority, Signed, shown
from tests.processes.relay.host import Host
from tests.processes.relay.setting import Setting
from tests.processes.world import DLD

OURS = Authority("OPM")  # signs what we show
DLDS, OTHERS, MACHINES = Authority("DLD"), Authority("another"), Authority("the machine trusts it")
CLIENT = OURS.sign("mail.opm.go.th")
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)  # that is never started
REQUIRED = AgencyTls("required")
PINNED = AgencyTls("pinned", authorities=DLDS.pem)
MUTUAL = AgencyTls("mutual", authorities=DLDS.pem, certificate=CLIENT.chain)


@pytest.fixture
async def setting(tmp_path: Path) -> Setting:
    """A machine that trusts one authority, and a gateway with the key of its certificate."""
    setting = Setting()
    file = tmp_path / "trusted.pem"
    file.write_text(MACHINES.pem)
    setting.means = replace(setting.means, trusting=partial(verifying_context, file))
    await setting.world.keys.put(client_key_name(CLIENT.chain), CLIENT.key.encode())
    return setting


async def attempt(
    setting: Setting, host: Host, policy: AgencyTls, *, requiretls: bool = False
) -> tuple[Attempted, AttemptSecret]:
    """What becomes of one mail for dld.go.th, whose server is this host."""
    setting.queue.policies[DLD] = policy
    await setting.queued(requiretls=requiretls)
    async with host.listening():
        host.hop = NextHop("localhost", host.hop.port)
        async with setting.relay(host):
            (outcome,) = await setting.outcomes(1)
    return outcome, await setting.said(outcome)


@dataclass(frozen=True)
class Case:
    """shows: what the host shows; None: it offers no TLS. failure: "": the mail is relayed."""

    policy: AgencyTls
    shows: Callable[[], Signed] | None
    verified: str = ""
    failure: str = ""
    clients: str = ""
    status: str = "4.7.5"


CASES = {
    "nobody demands anything: anybody's": Case(AgencyTls(), OTHERS.sign, "opportunistic"),
    "nobody demands anything: no TLS": Case(AgencyTls(), None),
    "required: of whom the machine trusts": Case(REQUIRED, MACHINES.sign, "ca"),
    "required: of another": Case(REQUIRED, DLDS.sign, failure="certificate-not-trusted"),
    "required: no TLS": Case(REQUIRED, None, failure="starttls-not-supported", status="4.7.4"),
    "pinned: the right one": Case(PINNED, DLDS.sign, "pinned"),
    "pinned: one that the machine trusts": Case(PINNED, MACHINES.sign, failure="certificate-not-trusted"),
    "pinned: expired": Case(PINNED, lambda: DLDS.sign(days=-1), failure="certificate-expired"),
    "pinned: another name": Case(
        PINNED, lambda: DLDS.sign("mx.example"), failure="certificate-host-mismatch"
    ),
    "pinned: no TLS": Case(PINNED, None, failure="starttls-not-supported", status="4.7.4"),
    "mutual: ours is wanted": Case(MUTUAL, DLDS.sign, "pinned", clients=OURS.pem),
    "mutual: ours is not asked for": Case(MUTUAL, DLDS.sign, "pinned"),
    "mutual: the host is another": Case(
        MUTUAL, OTHERS.sign, failure="certificate-not-trusted", clients=OURS.pem
    ),
    "mutual: another's is wanted": Case(MUTUAL, DLDS.sign, failure="validation-failure", clients=OTHERS.pem),
    "mutual: of whom the machine trusts": Case(
        AgencyTls("mutual", certificate=CLIENT.chain), MACHINES.sign, "ca", clients=OURS.pem
    ),
    "pinned, where a certificate of ours is wanted": Case(
        PINNED, DLDS.sign, failure="validation-failure", clients=OURS.pem
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_an_agencys_word_is_kept(setting: Setting, tmp_path: Path, case: Case) -> None:
    tls = shown(case.shows(), tmp_path, clients=case.clients) if case.shows else None
    host = Host(tls=tls)
    outcome, said = await attempt(setting, host, case.policy)
    assert (said.verified, said.tls_failure) == (case.verified, case.failure)
    assert said.tls.startswith("TLSv1." if case.verified else "")
    assert bool(said.tls) == bool(case.verified)
    assert [taken.was_tls for taken in host.taken] == ([] if case.failure else [bool(case.verified)])
    if case.failure:
        assert isinstance(outcome, MailDeferred)
        assert (outcome.code, outcome.status) == (0, case.status)
        assert "TLS policy of its agency" in said.reply_text
    else:
        assert isinstance(outcome, MailRelayed)


@pytest.mark.parametrize("policy", [REQUIRED, PINNED, MUTUAL], ids=lambda policy: policy.use)
async def test_an_exception_lets_mail_go_to_anybody_until_it_ends(
    setting: Setting, tmp_path: Path, policy: AgencyTls
) -> None:
    now = setting.clock.now()
    excepted = AgencyTls(policy.use, policy.authorities, policy.certificate, now + timedelta(hours=1))
    relayed, said = await attempt(setting, Host(tls=shown(OTHERS.sign(), tmp_path)), excepted)
    assert isinstance(relayed, MailRelayed)
    assert said.verified == "opportunistic"
    setting.clock.move(3_601)
    setting.queue.policies[DLD] = excepted
    await setting.queued()
    async with Host().listening() as host:
        host.hop = NextHop("localhost", host.hop.port)
        async with setting.relay(host):
            _, deferred = await setting.outcomes(2)
    assert isinstance(deferred, MailDeferred)
    assert (deferred.status, host.taken) == ("4.7.4", [])


async def test_no_exception_is_for_a_sender_that_demands_tls(setting: Setting, tmp_path: Path) -> None:
    until = setting.clock.now() + timedelta(hours=1)
    host = Host(tls=shown(OTHERS.sign(), tmp_path), extensions=("REQUIRETLS",))
    policy = AgencyTls("pinned", authorities=DLDS.pem, exception_until=until)
    bounced, said = await attempt(setting, host, policy, requiretls=True)
    assert isinstance(bounced, MailBounced)
    assert (bounced.status, said.tls_failure, host.taken) == ("5.7.30", "certificate-not-trusted", [])


async def test_a_sender_that_demands_tls_gets_the_agencys_proof(setting: Setting, tmp_path: Path) -> None:
    host = Host(tls=shown(DLDS.sign(), tmp_path), extensions=("REQUIRETLS",))
    relayed, said = await attempt(setting, host, PINNED, requiretls=True)
    assert isinstance(relayed, MailRelayed)
    assert said.verified == "pinned"
    assert host.taken[0].commands[0].endswith("REQUIRETLS")


async def test_a_certificate_of_ours_without_its_key_has_the_mail_wait(
    setting: Setting, tmp_path: Path
) -> None:
    lost = AgencyTls("mutual", authorities=DLDS.pem, certificate=OURS.sign().chain)
    host = Host(tls=shown(DLDS.sign(), tmp_path))
    deferred, said = await attempt(setting, host, lost)
    assert isinstance(deferred, MailDeferred)
    assert (deferred.status, said.tls_failure, host.connections) == ("4.7.5", "own-certificate-invalid", 0)


async def test_tls_that_breaks_is_told_although_the_mail_goes_in_the_clear(
    setting: Setting, tmp_path: Path
) -> None:
    tls = shown(DLDS.sign(), tmp_path, clients=OURS.pem)  # it wants a certificate, and we have none for it
    host = Host(tls=tls)
    relayed, said = await attempt(setting, host, AgencyTls())
    assert isinstance(relayed, MailRelayed)
    assert (said.tls, said.verified, said.tls_failure) == ("", "", "validation-failure")
    assert [taken.was_tls for taken in host.taken] == [False]


@pytest.mark.parametrize(
    "server",
    [BadTls(), BadTls(yes="220 go on\r\nthis is no TLS"), BadTls(yes=""), Silent(at="STARTTLS", tls=NO_TLS)],
    ids=["speaks no TLS", "speaks ahead of TLS", "hangs up", "is silent"],
)
async def test_whatever_breaks_at_starttls_is_tls_that_failed(setting: Setting, server: Server) -> None:
    """So it goes in the clear where nobody demands more; since relays came, some of it had the mail wait."""
    setting.means = replace(setting.means, timeouts=Timeouts(reply=0.3))
    await setting.queued()
    async with listening(server):
        setting.queue.hops[DLD] = server.hop
        async with setting.relay():
            (relayed,) = await setting.outcomes(1)
    assert isinstance(relayed, MailRelayed)
    assert (await setting.said(relayed)).tls_failure == "validation-failure"
    assert [mail.was_tls for mail in server.mails] == [False]


async def test_a_mail_whose_time_is_over_goes_back_with_what_failed_last(setting: Setting) -> None:
    await setting.queued()
    setting.queue.policies[DLD] = REQUIRED
    setting.clock.move(timedelta(days=6).total_seconds())
    async with Host().listening() as host:
        host.hop = NextHop("localhost", host.hop.port)
        async with setting.relay(host):
            (bounced,) = await setting.outcomes(1)
    assert isinstance(bounced, MailBounced)
    assert (bounced.status, bounced.reason, host.taken) == ("5.4.7", "expired", [])
    assert "the host does not offer TLS" in (await setting.said(bounced)).reply_text
