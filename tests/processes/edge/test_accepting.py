"""What is answered with 250 is in the log and in the stores, octet for octet."""

import asyncio
import base64
import smtplib
from email.message import EmailMessage

import pytest

from gateway.domain.events import ContentStored, EnvelopeSecret
from gateway.domain.sealing import unseal
from gateway.mail.ids import is_id
from gateway.ports import Position
from tests.processes.edge.world import MESSAGE, EdgeWorld, stuffed

SESSION = (
    b"EHLO client.example\r\nMAIL FROM:<ann@example.org>\r\nRCPT TO:<suda@opm.go.th>\r\nDATA\r\n"
    + stuffed(MESSAGE)
    + b"QUIT\r\n"
)


async def test_a_mail_that_got_250_is_in_log_and_content(world: EdgeWorld) -> None:
    said = await world.send(MESSAGE)
    assert said.startswith(b"250 2.0.0 mail_")
    mail_id = said.split()[2].decode()
    assert is_id("mail", mail_id)

    (event,) = await world.accepted()
    assert event.mail_id == mail_id
    assert (event.actor.kind, event.agency_id, event.at) == ("remote", "ag_opm", world.clock.now())
    front = (await world.open(event)).secret.front
    assert await world.presented(event) == front + MESSAGE
    assert event.message.presented_octets == len(front + MESSAGE)
    assert front.startswith(b"Return-Path: <ann@example.org>\r\nReceived: from client.example")
    assert b"with ESMTP" in front
    assert mail_id.encode() in front
    envelope = await world.envelope(event)
    assert (envelope.mail_from, envelope.rcpt_to) == ("ann@example.org", ("suda@opm.go.th",))
    assert (envelope.helo, envelope.remote_ip) == ("client.example", "127.0.0.1")
    assert world.has_forgotten_spools


async def test_the_traffic_copy_opens_with_the_months_key_alone(world: EdgeWorld) -> None:
    await world.send()
    (event,) = await world.accepted()
    assert event.traffic_key == "traffic.ag_opm.202611"
    key = await world.keys.get(event.traffic_key)
    traffic = unseal(EnvelopeSecret, event.traffic, key, label=f"traffic:{event.mail_id}")
    assert traffic == await world.envelope(event)


async def test_what_the_sender_asks_to_be_told_is_kept_and_its_addresses_are_sealed(
    world: EdgeWorld,
) -> None:
    lines = (
        b"EHLO client.example",
        b"MAIL FROM:<ann@example.org> RET=HDRS ENVID=QQ314159",
        b"RCPT TO:<suda@opm.go.th> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;boss@example.org",
        b"RCPT TO:<somchai@opm.go.th>",
        b"DATA",
    )
    async with await world.client() as client:
        for line in lines:
            assert (await client.say(line + b"\r\n"))[:1] in b"23"
        await client.message(MESSAGE)
    (event,) = await world.accepted()
    assert event.ret == "HDRS"
    assert [recipient.notify for recipient in event.recipients] == ["SUCCESS,FAILURE", ""]
    envelope = await world.envelope(event)
    assert (envelope.envid, envelope.orcpt) == ("QQ314159", ("rfc822;boss@example.org", ""))
    states = [(await world.log.read(Position(at))).state for at in range(1, await world.log.last() + 1)]
    assert not any(marker in state for state in states for marker in (b"QQ314159", b"boss"))


async def test_nothing_a_person_wrote_stands_in_the_clear(world: EdgeWorld) -> None:
    await world.send(b"Subject: MARKER\r\n\r\nMARKER\r\n")
    states = b"".join([(await world.log.read(Position(at))).state for at in (1, 2)])
    stored = b"".join(content.octets for content in world.write_ahead.contents.values())
    for marker in (b"MARKER", b"ann@", b"suda", b"client.example", b"127.0.0.1"):
        assert marker not in states + stored


@pytest.mark.parametrize("octets", [1, 2, 7, len(SESSION)])
async def test_any_split_of_the_octets_is_the_same_mail(world: EdgeWorld, octets: int) -> None:
    """Whole, everything is pipelined, the QUIT behind the final dot included (RFC 2920 §3.1)."""
    async with await world.connect() as client:
        for at in range(0, len(SESSION), octets):
            client.writer.write(SESSION[at : at + octets])
            await client.writer.drain()
        said = await client.rest()
    codes = [line[:3] for line in said.splitlines() if line[3:4] == b" "]
    assert codes == [b"220", b"250", b"250", b"250", b"354", b"250", b"221"]
    (event,) = await world.accepted()
    assert await world.presented(event) == (await world.open(event)).secret.front + MESSAGE


async def test_smtplib_sends_thai_and_a_large_attachment(world: EdgeWorld) -> None:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "ann@example.org", "suda@opm.go.th", "ขอเชิญประชุม"
    message.set_content("เรียนทุกท่าน\n")
    message.add_attachment(
        bytes(range(256)) * 800, maintype="application", subtype="pdf", filename="หนังสือ.pdf"
    )
    sent = message.as_bytes(policy=message.policy.clone(linesep="\r\n"))

    def send() -> None:
        with smtplib.SMTP("127.0.0.1", world.port, local_hostname="client.example") as smtp:
            smtp.send_message(message)

    await asyncio.to_thread(send)
    (event,) = await world.accepted()
    assert await world.presented(event) == (await world.open(event)).secret.front + sent
    (name,) = event.message.content.attachments
    stored = [(await world.log.read(Position(at))).event for at in range(1, await world.log.last() + 1)]
    assert [fact.name for fact in stored if isinstance(fact, ContentStored)] == [name]
    assert name in world.objects.objects


async def test_a_message_in_chunks_is_the_same_message(world: EdgeWorld) -> None:
    """RFC 3030: chunks of any size, the next sent before the one before is answered."""
    large = MESSAGE + b"".join(b"%d%s\r\n" % (line, b"x" * 70) for line in range(5_000))
    chunks = [large[:100], large[100:101], large[101:-3], b"", large[-3:]]
    async with await world.client() as client:
        await client.say(b"EHLO client.example\r\n")
        await client.recipients("suda@opm.go.th")
        sent = [b"BDAT %d%s\r\n%s" % (len(c), b" LAST" * (c is chunks[-1]), c) for c in chunks]
        client.writer.write(b"".join(sent))
        said = [await client.reply() for _ in chunks]
    assert [line[:9] for line in said] == [b"250 2.0.0"] * len(chunks)
    (event,) = await world.accepted()
    assert said[-1].split()[2].decode() == event.mail_id
    assert await world.presented(event) == (await world.open(event)).secret.front + large


async def test_a_message_given_up_between_chunks_leaves_nothing(world: EdgeWorld) -> None:
    async with await world.client() as client:
        await client.say(b"EHLO client.example\r\n")
        await client.recipients("suda@opm.go.th")
        assert (await client.say(b"BDAT 6\r\nHello.")).startswith(b"250 2.0.0")
        assert (await client.say(b"RSET\r\n")).startswith(b"250 2.0.0")
        assert world.has_forgotten_spools
        await client.recipients("suda@opm.go.th")
        assert (await client.say(b"BDAT 3 LAST\r\nYes")).startswith(b"250 2.0.0 mail_")
    (event,) = await world.accepted()
    assert (await world.presented(event)).endswith(b"\r\nYes")


async def test_two_mails_on_one_connection(world: EdgeWorld) -> None:
    async with await world.client() as client:
        await client.envelope("suda@opm.go.th")
        first = await client.message(b"Subject: one\r\n\r\n1\r\n")
        await client.transaction("malee@opdc.go.th")
        second = await client.message(b"Subject: two\r\n\r\n2\r\n")
        assert (await client.say(b"QUIT\r\n")).startswith(b"221 2.0.0 ")
    one, two = await world.accepted()
    assert [said.split()[2].decode() for said in (first, second)] == [one.mail_id, two.mail_id]
    assert (one.agency_id, two.agency_id) == ("ag_opm", "ag_opdc")
    assert (await world.envelope(two)).rcpt_to == ("malee@opdc.go.th",)
    assert (await world.presented(two)).endswith(b"Subject: two\r\n\r\n2\r\n")


async def test_a_null_sender_stays_one(world: EdgeWorld) -> None:
    async with await world.client() as client:
        await client.envelope("suda@opm.go.th", mail="MAIL FROM:<>")
        assert (await client.message(MESSAGE)).startswith(b"250 2.0.0 ")
    (event,) = await world.accepted()
    assert (await world.envelope(event)).mail_from is None
    assert (await world.open(event)).secret.front.startswith(b"Return-Path: <>\r\n")


async def test_thai_addresses_come_in_with_smtputf8(world: EdgeWorld) -> None:
    async with await world.client() as client:
        mail = "MAIL FROM:<สมชาย@กรม.example> SMTPUTF8 BODY=8BITMIME"
        await client.envelope("สมหญิง@opm.go.th", mail=mail)
        assert (await client.message("Subject: สวัสดี\r\n\r\nครับ\r\n".encode())).startswith(b"250 2.0.0 ")
    (event,) = await world.accepted()
    assert (event.smtputf8, event.eight_bit) == (True, True)
    envelope = await world.envelope(event)
    assert (envelope.mail_from, envelope.rcpt_to) == ("สมชาย@กรม.example", ("สมหญิง@opm.go.th",))
    front = (await world.open(event)).secret.front
    assert front.decode().startswith("Return-Path: <สมชาย@กรม.example>\r\n")
    assert b"with UTF8SMTP" in front


async def test_body_8bitmime_is_noted_and_nothing_else(world: EdgeWorld) -> None:
    async with await world.client() as client:
        await client.envelope("suda@opm.go.th", mail="MAIL FROM:<ann@example.org> BODY=8BITMIME")
        await client.message("\r\nสวัสดี\r\n".encode())
    (event,) = await world.accepted()
    assert (event.smtputf8, event.eight_bit) == (False, True)
    assert (await world.presented(event)).endswith("\r\nสวัสดี\r\n".encode())


async def test_every_recipient_keeps_its_place_and_its_agency(world: EdgeWorld) -> None:
    """A recipient that was refused takes no place in the envelope."""
    async with await world.client() as client:
        await client.say(b"EHLO client.example\r\n")
        await client.say(b"MAIL FROM:<ann@example.org>\r\n")
        for address, code in (
            (b"vet@dld.go.th", b"250"),
            (b"nobody@opm.go.th", b"550"),
            (b"Suda@OPM.go.th", b"250"),
            (b"malee@opdc.go.th", b"250"),
        ):
            assert (await client.say(b"RCPT TO:<" + address + b">\r\n")).startswith(code)
        await client.say(b"DATA\r\n")
        assert (await client.message(MESSAGE)).startswith(b"250 2.0.0 ")
    (event,) = await world.accepted()
    assert [(r.id, r.agency_id) for r in event.recipients] == [(0, "ag_dld"), (1, "ag_opm"), (2, "ag_opdc")]
    assert (await world.envelope(event)).rcpt_to == ("vet@dld.go.th", "Suda@OPM.go.th", "malee@opdc.go.th")
    assert event.agency_id == "ag_dld"


async def test_a_transaction_that_was_reset_leaves_no_recipient(world: EdgeWorld) -> None:
    async with await world.client() as client:
        await client.say(b"EHLO client.example\r\n")
        await client.say(b"MAIL FROM:<ann@example.org>\r\n")
        await client.say(b"RCPT TO:<vet@dld.go.th>\r\n")
        assert (await client.say(b"RSET\r\n")).startswith(b"250 2.0.0 ")
        await client.transaction("suda@opm.go.th")
        await client.message(MESSAGE)
    (event,) = await world.accepted()
    assert [recipient.agency_id for recipient in event.recipients] == ["ag_opm"]


async def test_forged_fields_of_ours_are_stored_and_not_presented(world: EdgeWorld) -> None:
    forged = b"Authentication-Results: mail.saraban.example; spf=pass\r\n"
    await world.send(forged + MESSAGE)
    (event,) = await world.accepted()
    assert event.message.hidden == ((0, len(forged)),)
    assert event.message.content.octets == len(forged + MESSAGE)
    assert await world.presented(event) == (await world.open(event)).secret.front + MESSAGE


async def test_many_sessions_at_once_each_get_their_own_mail(world: EdgeWorld) -> None:
    messages = [b"Subject: %d\r\n\r\n%d\r\n" % (number, number) for number in range(20)]
    said = await asyncio.gather(*map(world.send, messages))
    by_id = {event.mail_id: event for event in await world.accepted()}
    assert len(by_id) == len(messages)
    for message, answer in zip(messages, said, strict=True):
        assert (await world.presented(by_id[answer.split()[2].decode()])).endswith(message)  # type: ignore[index]


async def test_a_mail_goes_on_when_its_client_has_vanished_after_the_dot(world: EdgeWorld) -> None:
    """It is there whole; the client, which heard nothing, may send it again."""
    world.gate.open.clear()
    client = await world.client()
    await client.envelope("suda@opm.go.th")
    client.writer.write(stuffed(MESSAGE) + b"MAIL FROM:<ann@example.org>\r\n")
    await world.gate.reached.wait()
    client.vanish()
    world.gate.open.set()
    await world.until_accepted()
    (event,) = await world.accepted()
    assert (await world.presented(event)).endswith(MESSAGE)


async def test_attachments_of_one_agency_are_stored_once(world: EdgeWorld) -> None:
    encoded = base64.encodebytes(bytes(200_000)).replace(b"\n", b"\r\n")
    message = (
        b"Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\nSubject: %d\r\n\r\n" + encoded
    )
    for number in range(2):
        assert (await world.send(message.replace(b"%d", b"%d" % number))).startswith(b"250 ")
    one, two = await world.accepted()
    assert one.message.content.attachments == two.message.content.attachments
    assert len(world.objects.objects) == 1
    assert (await world.presented(two)).endswith(encoded)


def test_a_client_stuffs_dots() -> None:
    assert stuffed(b".a\r\n..\r\n") == b"..a\r\n...\r\n.\r\n"
