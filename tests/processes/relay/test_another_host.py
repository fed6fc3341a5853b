"""Mail that a host does not take now: one other host of its destination is asked in the same attempt.

Source: RFC 5321 §5.1; ADR 0022.
"""

from collections import Counter
from collections.abc import AsyncIterator

import pytest

from gateway.domain.events import MailBounced, MailDeferred, MailRelayed
from gateway.domain.route import Servers, WeightedHop
from tests import misbehaving
from tests.dns_server import DnsServer, dns_server
from tests.misbehaving import listening
from tests.processes.relay.host import Host
from tests.processes.relay.setting import Setting
from tests.processes.relay.test_mx import FIRST, SECOND, THIRD, ZONE, by_dns, outcome
from tests.processes.world import DLD

THREE = f"""
example.org.     60 IN MX 30 mx3.example.org.
mx3.example.org. 60 IN A {THIRD}
"""
LATER = "450 4.7.1 come again"


@pytest.fixture
async def names() -> AsyncIterator[DnsServer]:
    async with dns_server(ZONE + THREE) as server:
        yield server


@pytest.fixture
async def setting(names: DnsServer) -> Setting:
    return Setting()


NOT_NOW = {
    "4yz to MAIL": {"MAIL": "451 4.3.0 later"},
    "4yz to RCPT": {"RCPT": LATER},
    "4yz to DATA": {"DATA": "451 4.3.0 later"},
    "4yz to the dot": {".": "451 4.3.0 later"},
    "421 to MAIL": {"MAIL": "421 4.3.2 closing"},
    "421 to RCPT": {"RCPT": "421 4.3.2 closing"},
    "hangs up on MAIL": {"MAIL": ""},
    "hangs up on RCPT": {"RCPT": ""},
    "hangs up on DATA": {"DATA": ""},
}


@pytest.mark.parametrize("says", NOT_NOW.values(), ids=NOT_NOW)
@pytest.mark.parametrize("offers", [("PIPELINING", "8BITMIME"), ()], ids=["pipelined", "one by one"])
async def test_the_second_host_has_what_the_first_does_not_take_now(
    setting: Setting, names: DnsServer, says: dict[str, str], offers: tuple[str, ...]
) -> None:
    first = Host(says=says, dot=[says["."]] if "." in says else [], extensions=offers)
    second = Host()
    relayed = await outcome(setting, names, "example.org", first, second)
    assert isinstance(relayed, MailRelayed)
    assert (relayed.attempt, first.connections, len(second.taken)) == (1, 1, 1)
    assert (await setting.said(relayed)).remote_host.startswith(f"mx2.example.org[{SECOND}]")


async def test_who_may_have_it_is_the_last_to_be_asked(setting: Setting, names: DnsServer) -> None:
    """RFC 5321 §4.5.4.1: behind the dot it may be there already, and would be there twice."""
    first, second = Host(dot=[""]), Host()
    deferred = await outcome(setting, names, "example.org", first, second)
    assert (type(deferred), second.connections) == (MailDeferred, 0)


async def test_never_is_the_domains_word(setting: Setting, names: DnsServer) -> None:
    first, second = Host(says={"RCPT": "550 5.1.1 nobody"}), Host()
    bounced = await outcome(setting, names, "example.org", first, second)
    assert (type(bounced), second.connections) == (MailBounced, 0)


async def test_no_more_than_two_hosts_are_asked_to_take_a_mail(setting: Setting, names: DnsServer) -> None:
    first, second = Host(says={"RCPT": LATER}), Host(says={"RCPT": "451 4.3.2 busy"})
    third = Host()
    deferred = await outcome(setting, names, "example.org", first, second, third)
    assert (type(deferred), deferred.status, deferred.attempt) == (MailDeferred, "4.3.2", 1)
    assert third.connections == 0
    assert (await setting.said(deferred)).remote_host.startswith("mx2.example.org")


async def test_hosts_that_are_away_are_passed_by(setting: Setting, names: DnsServer) -> None:
    first, second, third = Host(says={"RCPT": LATER}), Host(greeting="421 4.3.2 no"), Host()
    relayed = await outcome(setting, names, "example.org", first, second, third)
    assert (type(relayed), second.connections, len(third.taken)) == (MailRelayed, 1, 1)


async def test_where_no_other_is_there_the_first_hosts_word_is_told(
    setting: Setting, names: DnsServer
) -> None:
    first = Host(says={"RCPT": LATER})
    deferred = await outcome(setting, names, "example.org", first)
    assert (type(deferred), deferred.code, deferred.status) == (MailDeferred, 450, "4.7.1")
    assert first.connections == 1
    assert (await setting.said(deferred)).remote_host.startswith(f"mx1.example.org[{FIRST}]")


async def test_the_same_host_at_its_other_address_is_not_asked(setting: Setting, names: DnsServer) -> None:
    first, second = Host(says={"RCPT": LATER}), Host(says={"RCPT": LATER})
    deferred = await outcome(setting, names, "twice.example", first, second)
    assert (type(deferred), first.connections + second.connections) == (MailDeferred, 1)


async def test_a_second_host_that_never_takes_it_does_not_overrule_the_first(
    setting: Setting, names: DnsServer
) -> None:
    """Backups that relay for nobody are common; the first is nearer to the mail's end."""
    first, second = Host(says={"RCPT": LATER}), Host(says={"RCPT": "554 5.7.1 relay access denied"})
    deferred = await outcome(setting, names, "example.org", first, second)
    assert (type(deferred), deferred.status, second.connections) == (MailDeferred, "4.7.1", 1)
    assert (await setting.said(deferred)).remote_host.startswith("mx1.example.org")


async def test_each_recipient_goes_as_far_as_it_has_to(setting: Setting, names: DnsServer) -> None:
    people = [f"{name}@example.org" for name in ("taken", "later", "never", "refused", "busy")]
    await setting.queued(*people)
    says = {f"RCPT TO:<{person}>": LATER for person in (people[1], people[3], people[4])}
    first = Host(says={**says, f"RCPT TO:<{people[2]}>": "550 5.1.1 nobody"})
    busy, refused = f"RCPT TO:<{people[4]}>", f"RCPT TO:<{people[3]}>"
    second = Host(says={refused: "554 5.7.1 no relay", busy: "452 4.3.1 no room"})
    async with by_dns(setting, names, first, second):
        outcomes = await setting.outcomes(5)
    said = {o.recipients: (type(o), o.status, (await setting.said(o)).remote_host[:3]) for o in outcomes}
    assert said == {
        (0,): (MailRelayed, "2.0.0", "mx1"),
        (1,): (MailRelayed, "2.0.0", "mx2"),
        (2,): (MailBounced, "5.1.1", "mx1"),
        (3,): (MailDeferred, "4.7.1", "mx1"),
        (4,): (MailDeferred, "4.3.1", "mx2"),
    }
    assert [taken.rcpt_to for taken in first.taken + second.taken] == [[people[0]], [people[1]]]


async def test_many_mails_go_on_to_the_second_host_in_their_first_attempt(
    setting: Setting, names: DnsServer
) -> None:
    await setting.queued("bob@example.org", mails=30)
    first, second = Host(says={"RCPT": LATER}), Host()
    async with by_dns(setting, names, first, second):
        outcomes = await setting.outcomes(30)
    assert Counter((type(o), o.attempt) for o in outcomes) == {(MailRelayed, 1): 30}
    assert (len(first.taken), len(second.taken)) == (0, 30)


SERVERS = {
    "greylists": misbehaving.Greylists(delay_s=3600),
    "has had enough": misbehaving.Tires(mails_max=0),
}


@pytest.mark.parametrize("first", SERVERS.values(), ids=SERVERS)
async def test_another_server_of_an_agency_has_what_the_first_does_not_take_now(
    setting: Setting, first: misbehaving.Server
) -> None:
    await setting.queued(mails=5)
    async with listening(first), listening(misbehaving.Server()) as second:
        # So heavy that it is the first nearly always; wherever a mail goes first, it gets there at once.
        setting.queue.hops[DLD] = Servers((WeightedHop(first.hop, 100), WeightedHop(second.hop)))
        async with setting.relay():
            outcomes = await setting.outcomes(5)
    assert Counter(type(o) for o in outcomes) == {MailRelayed: 5}
    assert (sum(second.times_taken.values()), first.mails) == (5, [])


async def test_a_server_that_takes_a_mail_and_hangs_up_has_it_alone(setting: Setting) -> None:
    await setting.queued()
    first, second = misbehaving.DropsAfterData(), misbehaving.DropsAfterData()
    async with listening(first), listening(second):
        setting.queue.hops[DLD] = Servers((WeightedHop(first.hop), WeightedHop(second.hop)))
        async with setting.relay():
            (deferred,) = await setting.outcomes(1)
    assert isinstance(deferred, MailDeferred)
    assert len(first.mails) + len(second.mails) == 1
