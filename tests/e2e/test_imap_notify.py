"""A client that asked is told between its commands, on real sockets (RFC 5465)."""

import ssl

from tests.e2e.gateway import Gateway
from tests.imap_client import ImapClient

MESSAGE = b"Subject: m\r\n\r\nbody\r\n"


async def signed_in(gateway: Gateway) -> ImapClient:
    account = gateway.ready["demo_accounts"][3]
    host, port = gateway.address("imaps").rsplit(":", 1)
    tls = ssl.create_default_context(cafile=gateway.ready["ca_file"])
    client = await ImapClient.connect(host, int(port), tls)
    await client.login(account["address"], account["password"])
    return client


async def test_news_come_between_commands_and_amid_one(gateway: Gateway) -> None:
    client, other = await signed_in(gateway), await signed_in(gateway)
    await other.ok("CREATE Notified")
    await client.ok("NOTIFY SET (MAILBOXES Notified (MessageNew MessageExpunge MailboxName))")
    await other.ok("APPEND Notified {}", MESSAGE)
    assert (await client.read_untagged()).octets.startswith(b'* STATUS "Notified" (MESSAGES 1 UIDNEXT 2 ')
    client.write(b"x1 STATUS Notified")  # a command that is not whole yet
    await other.ok("APPEND Notified {}", MESSAGE)
    assert (await client.read_untagged()).octets.startswith(b'* STATUS "Notified" (MESSAGES 2 UIDNEXT 3 ')
    client.write(b" (MESSAGES)\r\n")
    answer = await client.answer("x1")
    assert [one.octets for one in answer.untagged] == [b'* STATUS "Notified" (MESSAGES 2)\r\n']
    await client.ok("NOTIFY NONE")
    await other.ok("DELETE Notified")
    assert (await client.ok("NOOP")).untagged == []
    for each in (client, other):
        await each.logout()
