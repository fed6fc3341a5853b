"""Both SMTP cores against somebody else's implementation, over loopback sockets.

The server core is met by smtplib; the client core by a server of a few lines that knows nothing of ours.
"""

import asyncio
import smtplib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gateway.mail.address import parse_address
from gateway.mail.envelope import Body, Envelope
from gateway.protocols.smtp.client import ClientConfig, TlsUse
from gateway.protocols.smtp.config import SessionConfig
from tests.dialogs.smtp_shell import Shell
from tests.protocols.smtp.test_client import Relay

ANN, BOB = "ann@opm.go.th", "bob@example.org"
MESSAGE = "Subject: สวัสดี\r\n\r\n.a line with a dot\r\n..\r\n\r\nlast".encode()


@asynccontextmanager
async def gateway(shells: list[Shell]) -> AsyncIterator[int]:
    """Our server core on a loopback port; each connection leaves its shell."""

    async def session(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        shell = Shell(SessionConfig("mx.example", message_octets_max=100_000, recipients_max=2))
        shells.append(shell)
        written = 0
        octets = b"-"
        while octets:
            writer.write(shell.sent[written:])
            written = len(shell.sent)
            if shell.close is not None:
                break
            octets = await reader.read(65536)
            shell.feed(octets)
        writer.close()

    server = await asyncio.start_server(session, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


def smtplib_session(port: int) -> dict[str, tuple[int, bytes]]:
    with smtplib.SMTP("127.0.0.1", port, local_hostname="client.example") as smtp:
        options = ["SMTPUTF8", "BODY=8BITMIME"]
        assert smtp.ehlo()[0] == 250
        assert smtp.has_extn("pipelining")
        assert smtp.esmtp_features["size"] == "100000"
        refused = smtp.sendmail(ANN, [BOB, "nobody@example.org"], MESSAGE, mail_options=options)
        smtp.sendmail("", ["สมหญิง@example.org"], b"Subject: two\r\n\r\n", mail_options=["SMTPUTF8"])
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            smtp.sendmail(ANN, ["eve@elsewhere.example"], MESSAGE)
        with pytest.raises(smtplib.SMTPSenderRefused) as too_large:
            smtp.sendmail(ANN, [BOB], b"x" * 100_001)
        assert too_large.value.smtp_code == 552
        smtp.mail(ANN)
        smtp.rcpt(BOB)
        assert smtp.data(b"x\r\n" * 40_000)[0] == 552
        assert smtp.verify(BOB)[0] == 252
        assert smtp.noop()[0] == 250
    return refused


async def test_smtplib_sends_to_our_server() -> None:
    shells: list[Shell] = []
    async with gateway(shells) as port:
        refused = await asyncio.to_thread(smtplib_session, port)
    assert refused == {"nobody@example.org": (550, b"5.1.1 No such mailbox")}
    (shell,) = shells
    assert shell.close is not None
    assert shell.close.reason is None
    (first, _, message), (second, protocol, _) = shell.kept
    assert (str(first.mail_from), [str(address) for address in first.rcpt_to]) == (ANN, [BOB])
    assert message == MESSAGE + b"\r\n"
    assert second.mail_from is None
    assert protocol == "UTF8SMTP"


class NaiveHost:
    """A server of the simplest kind: line by line, no extension but those it names, keeps what it gets."""

    def __init__(self, *extensions: str) -> None:
        self._extensions = extensions
        self.heard: list[str] = []
        self.messages: list[bytes] = []

    async def session(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 dld.go.th\r\n")
        while line := (await reader.readline()).decode():
            self.heard.append(line.rstrip("\r\n"))
            verb = line[:4].upper()
            if verb == "EHLO":
                lines = ["dld.go.th", *self._extensions]
                answer = "".join(f"250-{text}\r\n" for text in lines[:-1]) + f"250 {lines[-1]}"
            elif verb == "DATA":
                writer.write(b"354 go\r\n")
                message = b""
                while (content := await reader.readline()) != b".\r\n":
                    message += content.removeprefix(b".")
                self.messages.append(message)
                answer = "250 2.0.0 kept"
            elif verb == "QUIT":
                answer = "221 bye"
            elif "<nobody@" in line:
                answer = "550 5.1.1 nobody"
            else:
                answer = "250 ok"
            writer.write(answer.encode() + b"\r\n")
            if verb == "QUIT":
                break
        writer.close()


@pytest.mark.parametrize("extensions", [(), ("PIPELINING", "SIZE 1000", "8BITMIME")])
async def test_our_client_sends_to_a_naive_host(extensions: tuple[str, ...]) -> None:
    host = NaiveHost(*extensions)
    recipients = tuple(map(parse_address, ("somchai@dld.go.th", "nobody@dld.go.th")))
    message = b"Subject: hello\r\n\r\n.a line with a dot\r\n..\r\n\r\nlast"
    mail = Envelope(parse_address(ANN), recipients, octets=len(message))
    to_nobody = Envelope(None, recipients[1:], Body.SEVEN_BIT)
    relay = Relay([mail, to_nobody, mail], ClientConfig("relay.example", TlsUse.NEVER), message)
    server = await asyncio.start_server(host.session, "127.0.0.1", 0)
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        written = 0
        while octets := await reader.read(65536):
            relay.feed(octets)
            writer.write(relay.sent[written:])
            written = len(relay.sent)
        writer.close()
        await writer.wait_closed()
    one = ["CONCLUSION 250 2.0.0", "RCPT 550 5.1.1"]
    assert relay.replies == [*one, "RCPT 550 5.1.1", *one]
    kept = [octets for octets in host.messages if octets]
    assert kept == [message + b"\r\n"] * 2
    assert host.heard[-1] == "QUIT"
