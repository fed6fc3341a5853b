"""Rebuilding the rows of mailboxes while clients stay connected changes nothing they can see.

Issue 4/9, acceptance 7.
"""

import asyncio
import ssl

from tests.e2e.gateway import Gateway
from tests.imap_client import ImapClient, Response
from tests.sizes import size

MESSAGES = size(50, 2_000)
AT_ONCE = 50
SHOWN = "(UID FLAGS MODSEQ INTERNALDATE RFC822.SIZE EMAILID ENVELOPE)"
MAILBOX = "Rebuilt"


async def signed_in(gateway: Gateway) -> ImapClient:
    account = gateway.ready["demo_accounts"][3]
    host, port = gateway.address("imaps").rsplit(":", 1)
    tls = ssl.create_default_context(cafile=gateway.ready["ca_file"])
    client = await ImapClient.connect(host, int(port), tls)
    await client.login(account["address"], account["password"])
    return client


async def picture(client: ImapClient) -> tuple[list[bytes], list[Response]]:
    """All that a client may ask about the mailbox, and what it is told without asking."""
    answer = await client.ok(f"FETCH 1:* {SHOWN}")
    status = await client.ok("STATUS INBOX (UIDNEXT UIDVALIDITY HIGHESTMODSEQ)")
    asked = [response.octets for response in [*answer.of("FETCH"), *status.of("STATUS")]]
    return asked, [one for one in answer.untagged if one.kind != "FETCH"]


async def test_clients_see_nothing_of_a_rebuild(gateway: Gateway) -> None:
    client, idler = await signed_in(gateway), await signed_in(gateway)
    await client.command(f"CREATE {MAILBOX}")
    for start in range(0, MESSAGES, AT_ONCE):
        messages = [f"Subject: m{start + n}\r\n\r\nbody\r\n".encode() for n in range(AT_ONCE)]
        await client.ok(f"APPEND {MAILBOX} " + " ".join(["(\\Seen) {}"] * AT_ONCE), *messages)
    await client.ok(f"SELECT {MAILBOX}")
    await client.ok("STORE 1:9 +FLAGS.SILENT (\\Flagged)")
    await client.ok("STORE 3,5 +FLAGS.SILENT (\\Deleted)")
    await client.ok("EXPUNGE")
    before, _ = await picture(client)

    await idler.ok(f"SELECT {MAILBOX}")
    tag = await idler.idle()
    told = await asyncio.to_thread(gateway.cli, "projection", "rebuild", "mailbox")
    assert told
    after, untold = await picture(client)
    assert after == before
    assert untold == []
    assert (await idler.done(tag)).untagged == []
    assert [one.octets for one in (await idler.ok(f"FETCH 1:* {SHOWN}")).of("FETCH")] == [
        octets for octets in before if b"FETCH" in octets
    ]
    for each in (client, idler):
        await each.logout()
