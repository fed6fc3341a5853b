"""What waits in the queue through the API: whose to see, whose to steer, and deeds longer than a request.

Three mails wait: one that OPM's people sent to a third agency, one from outside for OPM's next hop, and one
that OPDC's people sent to the third agency. Each is asked for with real tokens of both agencies' people.
"""

from dataclasses import dataclass
from typing import Any

import pytest

from gateway.domain.steering import MailCancelled
from gateway.mail.ids import AgencyId, MailId
from gateway.processes.web import queue as web_queue
from projections.queue import listing
from tests.processes.web.test_rights import GIVING_UP, STEERING, WHY
from tests.processes.web.waiting import defer, queue
from tests.processes.web.world import PEOPLE, World

DLD = AgencyId("ag_" + "7" * 26)
CLERK, MALEE = PEOPLE["clerk"][0], PEOPLE["malee"][0]
DONE = {"changed": 0, "unchanged": 0, "busy": 0, "next": None, "stands": False}
OF_OPM = ("admin", "helpdesk", "auditor")


@dataclass
class Waiting:
    world: World
    sent: MailId  # by OPM, to dld.go.th
    coming: MailId  # for OPM's next hop
    foreign: MailId  # by OPDC, to dld.go.th

    async def seen_by(self, who: str, more: str = "") -> list[tuple[str, str]]:
        told = await self.world.ask(who, "GET", f"/queue/recipients?limit=10{more}")
        assert told.status == 200, told
        assert told.body["waiting"] == len(told.body["recipients"])
        return [(row["mail_id"], row["address"]) for row in told.body["recipients"]]

    async def do(self, who: str, deed: str, **body: Any) -> Any:
        return await self.world.ask(who, "POST", f"/queue/{deed}", {**WHY, **body})


@pytest.fixture
async def waiting(world: World) -> Waiting:
    opm, opdc = world.agencies["opm.go.th"], world.agencies["opdc.go.th"]
    sent = await queue(world, opm, DLD, CLERK, ["farm@dld.go.th", "vet@dld.go.th"])
    coming = await queue(world, opm, opm, "ann@example.org", ["old@opm.go.th"])
    foreign = await queue(world, opdc, DLD, MALEE, ["vet@dld.go.th"])
    return Waiting(world, sent, coming, foreign)


@pytest.mark.parametrize("who", OF_OPM)
async def test_an_agency_sees_what_it_sent_and_what_is_for_it(waiting: Waiting, who: str) -> None:
    sent = [(waiting.sent, "farm@dld.go.th"), (waiting.sent, "vet@dld.go.th")]
    assert await waiting.seen_by(who) == [*sent, (waiting.coming, "old@opm.go.th")]
    assert await waiting.seen_by(who, "&recipient=VET@dld.go.th") == sent[1:]
    assert await waiting.seen_by(who, f"&mail_id={waiting.foreign}") == []
    destinations = (await waiting.world.ask(who, "GET", "/queue/destinations")).body
    assert destinations["waiting"] == 3
    assert [(row["domain"], row["recipients"]) for row in destinations["destinations"]] == [
        ("dld.go.th", 2),
        ("opm.go.th", 1),
    ]
    mail = await waiting.world.ask(who, "GET", f"/queue/mails/{waiting.sent}")
    assert [row["outcome"] for row in mail.body["recipients"]] == ["waiting", "waiting"]


async def test_whom_the_relays_asked_is_seen_of_ones_own_recipients(waiting: Waiting) -> None:
    hosts = ("mx1.dld.go.th[192.0.2.1]:25", "mx2.dld.go.th[192.0.2.2]:25", "mx1.dld.go.th[192.0.2.1]:25")
    await defer(waiting.world, waiting.sent, [1], *hosts)
    mail = await waiting.world.ask("admin", "GET", f"/queue/mails/{waiting.sent}")
    tried = [(each["recipient"], each["host"]) for each in mail.body["tried"]]
    assert tried == [(1, hosts[0]), (1, hosts[1])]


async def test_operators_see_everything_and_strangers_their_own(waiting: Waiting) -> None:
    for who in ("operator", "root"):
        assert len(await waiting.seen_by(who)) == 4
    assert await waiting.seen_by("stranger") == [(waiting.foreign, "vet@dld.go.th")]


async def test_anothers_mail_is_refused_as_one_that_was_never_queued(waiting: Waiting) -> None:
    absent = "mail_" + "0" * 26
    for who in (*OF_OPM, "member"):
        for mail_id in (waiting.foreign, absent, "x"):
            refused = await waiting.world.ask(who, "GET", f"/queue/mails/{mail_id}")
            if who == "member":
                assert refused.status == 403
            else:
                told = f"no recipient of {mail_id} was ever queued"
                assert (refused.status, refused.detail) == (404, told)


@pytest.mark.parametrize("deed", ["hold", "release", "retry", "reroute", "cancel"])
async def test_who_may_not_is_refused_and_nobody_reaches_what_is_anothers(
    waiting: Waiting, deed: str
) -> None:
    more = {"via": "backup.example:25"} if deed == "reroute" else {}
    refused = GIVING_UP if deed in ("reroute", "cancel") else STEERING
    everybody = ("admin", "helpdesk", "auditor", "member")
    for who in everybody:
        await waiting.world.token(who)
    before = await waiting.world.topics()
    for who in everybody:
        foreign = await waiting.do(who, deed, mail_id=waiting.foreign, **more)
        if who in refused:
            assert foreign.status == refused[who]
        else:
            assert foreign.body == DONE
    assert await waiting.world.topics() == before
    if deed == "release":
        await waiting.do("admin", "hold", domain="dld.go.th")
    done = await waiting.do("admin", deed, domain="dld.go.th", **more)
    assert done.body == {**DONE, "changed": 2}, "not OPDC's"
    event = await waiting.world.last_event()
    assert (event.mail_id, event.actor.kind) == (waiting.sent, "account")


async def test_helpdesk_holds_and_releases(waiting: Waiting) -> None:
    assert (await waiting.do("helpdesk", "hold", sender=CLERK)).body["changed"] == 2
    assert len(await waiting.seen_by("helpdesk", "&held=true")) == 2
    assert (await waiting.do("helpdesk", "hold", sender=CLERK)).body["unchanged"] == 2
    assert (await waiting.do("helpdesk", "release", sender=CLERK)).body["changed"] == 2


async def test_what_comes_for_an_agency_is_its_peoples_to_hold(waiting: Waiting) -> None:
    opm = waiting.world.agencies["opm.go.th"]
    done = await waiting.do("helpdesk", "hold", agency=opm, standing=True)
    assert done.body == {**DONE, "changed": 1, "stands": True}
    assert (await waiting.do("helpdesk", "hold", agency=opm, standing=True)).body == {**DONE, "unchanged": 1}
    (hold,) = (await waiting.world.ask("auditor", "GET", "/queue/holds")).body["holds"]
    assert (hold["what"], hold["name"], hold["why"]) == ("agency", opm, WHY["reason"])
    assert hold["held_by"].startswith("account acc_")
    assert (await waiting.world.ask("stranger", "GET", "/queue/holds")).body == {"holds": []}
    (row,) = (await waiting.world.ask("admin", "GET", "/queue/destinations?domain=opm.go.th")).body[
        "destinations"
    ]
    assert row["held_since"] == hold["since"]
    # Somebody else's hand: the mail is not theirs, and neither is the hold.
    assert (await waiting.do("stranger", "release", agency=opm)).body == DONE
    released = await waiting.do("admin", "release", agency=opm)
    assert released.body == {**DONE, "changed": 1, "stands": True}
    assert (await waiting.world.ask("auditor", "GET", "/queue/holds")).body == {"holds": []}


async def test_what_comes_for_a_domain_is_for_operators_to_hold(waiting: Waiting) -> None:
    refused = await waiting.do("admin", "hold", domain="dld.go.th", standing=True)
    assert (refused.status, "for operators to hold" in refused.detail) == (403, True)
    await waiting.world.token("operator")
    done = await waiting.do("operator", "hold", domain="DLD.go.th", standing=True)
    assert done.body == {**DONE, "changed": 3, "stands": True}
    assert (await waiting.do("admin", "release", domain="dld.go.th")).body == DONE, "it stands"
    assert (await waiting.do("admin", "release", mail_id=waiting.sent)).body["changed"] == 2, "said closely"
    (hold,) = (await waiting.world.ask("root", "GET", "/queue/holds")).body["holds"]
    assert (hold["what"], hold["name"]) == ("domain", "dld.go.th")
    assert (await waiting.do("operator", "release", domain="dld.go.th")).body["stands"]


async def test_a_cancellation_is_silent_where_it_is_said(waiting: Waiting) -> None:
    assert (await waiting.do("admin", "cancel", recipient="farm@dld.go.th")).body["changed"] == 1
    loud = await waiting.world.last_event()
    done = await waiting.do("admin", "cancel", recipient="old@opm.go.th", silently=True)
    assert done.body["changed"] == 1
    silent = await waiting.world.last_event()
    assert isinstance(loud, MailCancelled)
    assert isinstance(silent, MailCancelled)
    assert (loud.report_failure, silent.report_failure) == ((0,), ())
    mail = await waiting.world.ask("admin", "GET", f"/queue/mails/{waiting.sent}")
    assert [row["outcome"] for row in mail.body["recipients"]] == ["cancelled", "waiting"]


@pytest.mark.parametrize(
    ("deed", "body", "said"),
    [
        ("hold", {}, "say what"),
        ("hold", {"domain": "a..b"}, "is no domain"),
        ("hold", {"sender": "nobody"}, "is no mail address"),
        ("hold", {"domain": "dld.go.th", "sender": CLERK, "standing": True}, "of nothing narrower"),
        ("retry", {"domain": "dld.go.th", "after": "mail_1.x"}, "after is not"),
        ("reroute", {"domain": "dld.go.th", "via": "backup"}, "no host:port"),
        ("reroute", {"domain": "dld.go.th"}, "via"),
        ("cancel", {"domain": "dld.go.th", "reason": ""}, "reason"),
    ],
)
async def test_what_cannot_be_meant_is_said(waiting: Waiting, deed: str, body: Any, said: str) -> None:
    refused = await waiting.do("admin", deed, **body)
    assert refused.status == 400
    assert said in refused.detail


async def test_a_next_hop_on_this_machine_is_for_operators_to_say(waiting: Waiting) -> None:
    here = {"domain": "dld.go.th", "via": "127.0.0.1:2599"}
    refused = await waiting.do("admin", "reroute", **here)
    assert (refused.status, "for operators" in refused.detail) == (403, True)
    assert (await waiting.do("operator", "reroute", **here)).body["changed"] == 3


async def test_lists_and_deeds_go_on_where_the_part_before_ended(
    waiting: Waiting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "PAGE", 1)
    monkeypatch.setattr(listing.list_waiting, "__kwdefaults__", {"after": listing.START, "limit": 1})
    monkeypatch.setattr(web_queue, "PAGES_S", 0.0)
    changed, after = [], None
    while True:
        more = {"after": after} if after else {}
        done = (await waiting.do("root", "hold", domain="dld.go.th", **more)).body
        changed.append(done["changed"])
        if (after := done["next"]) is None:
            break
    assert changed == [1, 1, 1, 0]
    first = (await waiting.world.ask("root", "GET", "/queue/recipients?limit=3")).body
    rest = (await waiting.world.ask("root", "GET", f"/queue/recipients?limit=3&after={first['next']}")).body
    assert (first["waiting"], len(first["recipients"]), len(rest["recipients"]), rest["next"]) == (
        4,
        3,
        1,
        None,
    )


async def test_who_is_being_tried_is_counted_as_busy_within_the_time_of_a_request(
    waiting: Waiting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_queue, "PATIENCE_S", 0.0)
    office = waiting.world.office
    async with office.pool.rows() as rows:
        await rows.execute(
            """INSERT INTO leases.relay_lease (mail_id, recipient, holder, until)
            VALUES ($1, 1, 'relay', 'infinity')""",
            waiting.sent,
        )
    done = await waiting.do("admin", "cancel", mail_id=waiting.sent)
    assert done.body == {**DONE, "changed": 1, "busy": 1}
