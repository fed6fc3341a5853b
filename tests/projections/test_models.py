"""What each model shows of a mail's life."""

from datetime import timedelta

from gateway.domain.events import MailBounced, MailDeferred, MailRelayed
from gateway.domain.sealing import unwrap
from gateway.mail.ids import AgencyId
from projections.mailbox.query import find_mail, list_mailboxes, list_messages, read_messages, usage_of
from projections.queue import leases
from projections.queue.listing import Choice, list_waiting
from projections.queue.query import held_until, unchanged, waiting
from projections.trace.query import Wanted, find_mails, find_refusals, story_of
from tests.projections.gateway import Gateway
from tests.projections.rows import due


async def test_a_delivered_mail_is_in_inbox_with_all_a_reader_needs(gateway: Gateway) -> None:
    world, ann = gateway.world, gateway.ann
    mail = world.accept(gateway.opm, "boss@example.org", ["ann@opm.go.th"], "ประชุม 9 โมง")
    world.deliver(mail, ann, [0])
    await gateway.catch_up()
    async with gateway.pool.rows() as rows:
        (inbox,) = await list_mailboxes(rows, ann.account_id)
        (head,) = await list_messages(rows, ann.account_id, inbox.mailbox_id)
        (row,) = await read_messages(rows, ann.account_id, inbox.mailbox_id, [(1, 2)])
        assert await find_mail(rows, ann.account_id, mail.mail_id) == [row]
        usage = await usage_of(rows, ann.account_id)
        assert (await usage_of(rows, gateway.bee.account_id)).messages == 0
    assert (inbox.role, inbox.uidnext, inbox.messages, inbox.highestmodseq) == (
        "inbox", 2, 1, world.log[-1].position,
    )  # fmt: skip
    assert (head.uid, head.subject, head.from_, head.modseq) == (
        1, "ประชุม 9 โมง", "boss@example.org", world.log[-1].position,
    )  # fmt: skip
    assert head.message_id == f"<{mail.mail_id}@opm.go.th>"
    assert row.message == mail.message
    assert row.front == b"Return-Path: <boss@example.org>\r\n"
    (wrap,) = row.keys
    assert unwrap(wrap.wrapped, world.keys.key(wrap.key)) == mail.data_key
    assert (usage.messages, usage.octets) == (1, mail.message.presented_octets)


async def test_a_second_delivery_of_a_mail_to_an_account_counts_nowhere(gateway: Gateway) -> None:
    world, ann = gateway.world, gateway.ann
    first, second = (world.accept(gateway.opm, None, ["ann@opm.go.th"]) for _ in range(2))
    for mail in (first, first, second, first):
        world.deliver(mail, ann, [0])
    await gateway.catch_up()
    async with gateway.pool.rows() as rows:
        heads = await list_messages(rows, ann.account_id, ann.inbox_id)
        assert (await usage_of(rows, ann.account_id)).messages == 2
        (inbox,) = await list_mailboxes(rows, ann.account_id)
    assert [(head.uid, head.mail_id) for head in heads] == [(1, first.mail_id), (2, second.mail_id)]
    assert inbox.highestmodseq == heads[-1].modseq < world.log[-1].position


async def test_mail_for_a_mailbox_that_is_gone_goes_to_inbox(gateway: Gateway) -> None:
    world, ann = gateway.world, gateway.ann
    mail = world.accept(gateway.opm, None, ["ann@opm.go.th"])
    world.deliver(mail, ann, [0], mailbox_id="mbx_gone")
    await gateway.catch_up()
    async with gateway.pool.rows() as rows:
        heads = await list_messages(rows, ann.account_id, ann.inbox_id)
    assert [head.mail_id for head in heads] == [mail.mail_id]


async def test_text_with_a_nul_is_folded(gateway: Gateway) -> None:
    world, ann = gateway.world, gateway.ann
    world.deliver(world.accept(gateway.opm, None, ["ann@opm.go.th"], "a\0b"), ann, [0])
    await gateway.catch_up()
    async with gateway.pool.rows() as rows:
        (head,) = await list_messages(rows, ann.account_id, ann.inbox_id)
    assert head.subject == "a\ufffdb"


async def test_what_a_destroyed_key_sealed_leaves_blank_columns(gateway: Gateway) -> None:
    world, ann = gateway.world, gateway.ann
    world.deliver(world.accept(gateway.opm, None, ["ann@opm.go.th"]), ann, [0])
    await world.keys.forget(f"account.{ann.account_id}")
    await gateway.catch_up()
    async with gateway.pool.rows() as rows:
        (row,) = await read_messages(rows, ann.account_id, ann.inbox_id, [(1, 1)])
    assert (row.head.subject, row.head.from_, row.front, row.summary) == ("", "", b"", b"")
    assert row.head.uid == 1


# --- queue ----------------------------------------------------------------------------------------------


async def test_a_queued_mail_is_due_until_every_recipient_has_an_outcome(gateway: Gateway) -> None:
    world = gateway.world
    mail = world.accept(gateway.opm, "ann@opm.go.th", ["ann@opm.go.th", "v0@dld.go.th", "v1@dld.go.th"])
    queued = world.queue(mail, gateway.dld, [1, 2])
    await gateway.catch_up()
    async with gateway.pool.rows() as rows:
        (one,) = await due(rows, world.now, limit=10)
        assert (one.mail_id, one.agency_id, one.recipients, one.attempts) == (
            mail.mail_id, gateway.dld, (1, 2), (0, 0),
        )  # fmt: skip
        assert one.queued == queued
        assert await due(rows, queued.at - timedelta(seconds=1), limit=10) == []
        assert [row.address for row in await list_waiting(rows)] == ["v0@dld.go.th", "v1@dld.go.th"]
        assert await list_waiting(rows, Choice(agency_id=AgencyId("ag_other"))) == []

    world.attempt(MailRelayed, mail, [1])
    world.attempt(MailDeferred, mail, [2], 1)
    await gateway.catch_up()
    later = world.now + timedelta(minutes=1)
    async with gateway.pool.rows() as rows:
        assert await due(rows, world.now, limit=10) == []
        (again,) = await due(rows, later, limit=10)
        assert (again.recipients, again.attempts, again.tried_at) == ((2,), (1,), (world.now,))
        assert await unchanged(rows, [one]) == set()
        assert await unchanged(rows, [again]) == {(again.position, 2)}

    world.attempt(MailBounced, mail, [2], 2)
    world.attempt(MailDeferred, mail, [2], 3)  # too late: an end is an end
    world.queue(mail, gateway.dld, [1, 2])  # and told again
    await gateway.catch_up()
    async with gateway.pool.rows() as rows:
        assert await waiting(rows) == 0
        assert await rows.fetchval("SELECT count(*) FROM queue_v7.queued") == 0
        ended = await rows.fetch("SELECT outcome, attempt, code FROM queue_v7.recipient ORDER BY recipient")
    assert [tuple(row) for row in ended] == [("relayed", 1, 250), ("bounced", 2, 550)]


async def test_a_limit_counts_recipients_and_takes_the_longest_waiting(gateway: Gateway) -> None:
    world = gateway.world
    mails = []
    for _ in range(3):
        mail = world.accept(gateway.opm, None, ["v0@dld.go.th", "v1@dld.go.th"])
        world.queue(mail, gateway.dld, [0, 1])
        mails.append(mail.mail_id)
    await gateway.catch_up()
    async with gateway.pool.rows() as rows:
        found = await due(rows, world.now, limit=3)
    assert [(one.mail_id, one.recipients) for one in found] == [(mails[0], (0, 1)), (mails[1], (0,))]


async def test_what_is_urgent_is_taken_first_then_what_waits_longest(gateway: Gateway) -> None:
    """RFC 6710 §5.1 (expedited transfer)."""
    world = gateway.world
    mails = []
    for priority in (0, -4, 6, 0, 6):
        mail = world.accept(gateway.opm, None, ["v0@dld.go.th"])
        world.queue(mail, gateway.dld, [0], priority)
        mails.append(mail)
    world.attempt(MailDeferred, mails[4], [0], 1)
    await gateway.catch_up()
    order = [mails[place].mail_id for place in (2, 0, 3, 1)]
    async with gateway.pool.rows() as rows:
        assert [one.mail_id for one in await due(rows, world.now, limit=10)] == order
        assert [one.mail_id for one in await due(rows, world.now, limit=2)] == order[:2]
        later = await due(rows, world.now + timedelta(minutes=2), limit=10)
        assert [one.mail_id for one in later[:2]] == [mails[2].mail_id, mails[4].mail_id]


async def test_a_held_mail_falls_due_and_is_gone_when_it_is_released(gateway: Gateway) -> None:
    """RFC 4865."""
    world = gateway.world
    mail = world.accept(gateway.opm, None, ["v0@dld.go.th"])
    accepted = world.hold_back(mail, timedelta(hours=1))
    await gateway.catch_up()
    async with gateway.pool.rows() as rows:
        assert await held_until(rows, world.now, limit=10) == []
        later = world.now + timedelta(hours=1)
        assert await held_until(rows, later, limit=10) == [(accepted, mail.mail_id)]
        story = await story_of(rows, [mail.mail_id])
    assert [step.topic for step in story] == ["mail.accepted/1", "mail.held/1"]
    assert story[1].next_attempt_at is not None
    world.release(mail, accepted)
    await gateway.catch_up()
    async with gateway.pool.rows() as rows:
        assert await held_until(rows, later, limit=10) == []
        assert [step.topic for step in await story_of(rows, [mail.mail_id])][2:] == ["mail.released/1"]


# --- leases ---------------------------------------------------------------------------------------------


async def test_a_leased_recipient_is_nobody_elses(gateway: Gateway) -> None:
    world = gateway.world
    mail = world.accept(gateway.opm, None, ["v0@dld.go.th", "v1@dld.go.th"])
    world.queue(mail, gateway.dld, [0, 1])
    await gateway.catch_up()
    async with gateway.pool.rows() as rows:
        mine = await leases.take(rows, {mail.mail_id: [0]}, holder="relay-a", seconds=60, now_s=5.0)
        assert mine == [leases.Lease(mail.mail_id, (0,), "relay-a", 65.0)]
        theirs = await leases.take(rows, {mail.mail_id: [0, 1]}, holder="relay-b", seconds=60, now_s=9.0)
        assert [lease.recipients for lease in theirs] == [(1,)]
        assert await leases.take(rows, {mail.mail_id: [0]}, holder="relay-b", seconds=60, now_s=9.0) == []
        assert await due(rows, world.now, limit=10) == []
        (all_due,) = await due(rows, world.now, limit=10, leased_too=True)
        assert all_due.recipients == (0, 1)
        await leases.release(rows, theirs)
        (free,) = await due(rows, world.now, limit=10)
        assert free.recipients == (1,)
        (renewed,) = await leases.renew(rows, mine, seconds=60, now_s=30.0)
        assert renewed is not None
        assert renewed.ends_s == 90.0
        assert await leases.ran_out(rows) == 0


async def test_a_lease_that_ran_out_is_counted_and_its_holder_told(gateway: Gateway) -> None:
    world = gateway.world
    mail = world.accept(gateway.opm, None, ["v0@dld.go.th"])
    world.queue(mail, gateway.dld, [0])
    await gateway.catch_up()
    async with gateway.pool.rows() as rows:
        dead = await leases.take(rows, {mail.mail_id: [0]}, holder="relay-a", seconds=0, now_s=0.0)
        assert len(await leases.take(rows, {mail.mail_id: [0]}, holder="relay-b", seconds=60, now_s=1.0)) == 1
        assert await leases.ran_out(rows) == 1
        assert await leases.renew(rows, dead, seconds=60, now_s=2.0) == [None]
        await leases.release(rows, dead)  # another's by now: it stays
        assert await leases.take(rows, {mail.mail_id: [0]}, holder="relay-c", seconds=60, now_s=2.0) == []


async def test_a_dead_relays_lease_on_an_ended_recipient_is_swept(gateway: Gateway) -> None:
    world = gateway.world
    mail = world.accept(gateway.opm, None, ["v0@dld.go.th", "v1@dld.go.th"])
    world.queue(mail, gateway.dld, [0, 1])
    world.attempt(MailRelayed, mail, [0])
    await gateway.catch_up()
    async with gateway.pool.rows() as rows:
        await leases.take(rows, {mail.mail_id: [0, 1]}, holder="relay-a", seconds=0, now_s=0.0)
        assert await leases.sweep(rows, schema="queue_v7") == 1
        assert await rows.fetchval("SELECT recipient FROM leases.relay_lease") == 1
        assert await leases.ran_out(rows) == 0


# --- trace ----------------------------------------------------------------------------------------------


async def test_the_story_of_a_mail_is_told_in_log_order(gateway: Gateway) -> None:
    world = gateway.world
    mail = world.accept(gateway.opm, "boss@example.org", ["ann@opm.go.th", "v@dld.go.th"])
    world.deliver(mail, gateway.ann, [0])
    world.queue(mail, gateway.dld, [1])
    world.attempt(MailDeferred, mail, [1], 1)
    world.attempt(MailRelayed, mail, [1], 2)
    world.accept(gateway.opm, None, ["bee@opdc.go.th"])
    await gateway.catch_up()
    async with gateway.pool.rows() as rows:
        story = await story_of(rows, [mail.mail_id])
    assert [(step.topic, step.addresses, step.code, step.reply_text) for step in story] == [
        ("mail.accepted/1", ("ann@opm.go.th", "v@dld.go.th"), None, ""),
        ("mail.delivered/1", ("ann@opm.go.th",), None, ""),
        ("mail.queued/1", ("v@dld.go.th",), None, ""),
        ("mail.deferred/1", ("v@dld.go.th",), 450, "450 said so"),
        ("mail.relayed/1", ("v@dld.go.th",), 250, "250 said so"),
    ]
    assert [step.position for step in story] == sorted(step.position for step in story)
    assert story[1].account_id == gateway.ann.account_id
    assert story[3].next_attempt_at is not None


async def test_a_mail_is_found_by_whatever_is_remembered_of_it(gateway: Gateway) -> None:
    world = gateway.world
    mail = world.accept(gateway.opm, "Boss@Example.org", ["Ann@opm.go.th"], "งบประมาณ 100% ปี 2570")
    other = world.accept(gateway.opm, None, ["bee@opdc.go.th"], "งบประมาณ 100 บาท")
    await gateway.catch_up()
    remembered = [
        (Wanted(mail_id=mail.mail_id), [mail]),
        (Wanted(message_id=f"{mail.mail_id}@opm.go.th"), [mail]),
        (Wanted(message_id=f"<{mail.mail_id}@opm.go.th>"), [mail]),
        (Wanted(from_="boss@example.ORG"), [mail]),
        (Wanted(to="ann@OPM.go.th"), [mail]),
        (Wanted(to="ann@new.go.th", to_too=("ann@OPM.go.th",)), [mail]),
        (Wanted(from_="boss@new.example.org", from_too=("boss@example.ORG",)), [mail]),
        (Wanted(remote_ip="192.0.2.7"), [mail, other]),
        (Wanted(subject="งบประมาณ"), [mail, other]),
        (Wanted(subject="100%"), [mail]),
        (Wanted(since=other.accepted.at), [other]),
        (Wanted(to="ann@opm.go.th", subject="บาท"), []),
        (Wanted(remote_ip="192.0.2.8"), []),
    ]
    async with gateway.pool.rows() as rows:
        for wanted, mails in remembered:
            found = await find_mails(rows, wanted)
            assert [row.mail_id for row in found] == [one.mail_id for one in mails], wanted
        assert len(await find_mails(rows, Wanted(), limit=1)) == 1


async def test_a_recipient_that_was_refused_is_found_though_there_was_no_mail(gateway: Gateway) -> None:
    world = gateway.world
    first = world.refuse(gateway.opm, "boss@example.org", "Ann@opm.go.th")
    second = world.refuse(gateway.opdc, None, "bee@opdc.go.th")
    await gateway.catch_up()
    remembered = [
        (Wanted(to="ann@OPM.go.th"), [first]),
        (Wanted(from_="Boss@example.org"), [first]),
        (Wanted(remote_ip="192.0.2.9"), [first, second]),
        (Wanted(since=world.now), [second]),
        (Wanted(to="ann@opm.go.th", subject="x"), []),
        (Wanted(mail_id="mail_x"), []),
    ]
    async with gateway.pool.rows() as rows:
        for wanted, positions in remembered:
            found = await find_refusals(rows, wanted)
            assert [row.position for row in found] == positions, wanted
        (refused,) = await find_refusals(rows, Wanted(to="ann@opm.go.th"))
        (fresh,) = await find_refusals(rows, Wanted(remote_ip="192.0.2.9"), after=first)
        assert fresh.position == second
    assert (refused.rcpt_to, refused.reason, refused.status) == ("Ann@opm.go.th", "owner-changed", "5.7.17")
    assert refused.valid_since < refused.owner_since


async def test_a_mail_whose_key_is_gone_is_traced_by_the_traffic_copy(gateway: Gateway) -> None:
    world = gateway.world
    mail = world.accept(gateway.opm, "boss@example.org", ["ann@opm.go.th"], "secret")
    await world.keys.forget(mail.accepted.keys[0].key)
    await gateway.catch_up()
    async with gateway.pool.rows() as rows:
        (row,) = await find_mails(rows, Wanted(from_="boss@example.org"))
    assert (row.mail_id, row.subject, row.remote_ip) == (mail.mail_id, "", "192.0.2.7")
