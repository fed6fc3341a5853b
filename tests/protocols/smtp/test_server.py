"""The SMTP server core: any octets in any split give the same conversation and never an exception."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.mail.envelope import Envelope
from gateway.mail.reply import reply
from gateway.protocols.smtp import replies
from gateway.protocols.smtp.config import AHEAD_OCTETS_MAX, SessionConfig
from gateway.protocols.smtp.effects import CheckRecipient, CheckSender, Close, MessageOctets, Send
from gateway.protocols.smtp.server import Session
from tests.dialogs.smtp_shell import Shell

CONFIG = SessionConfig(
    "mx.example", message_octets_max=60, recipients_max=3, line_octets_max=40, offers_starttls=True
)
SUBMISSION = replace(
    CONFIG, is_tls=True, offers_starttls=False, mechanisms=("PLAIN", "LOGIN"), needs_sign_in=True
)
PIECES = [
    b"EHLO client.example\r\n", b"HELO client.example\r\n", b"STARTTLS\r\n", b"NOOP\r\n", b"RSET\r\n",
    b"QUIT\r\n", b"MAIL FROM:<ann@example.net>\r\n", b"MAIL FROM:<> SIZE=10\r\n", b"DATA\r\n",
    b"POST / HTTP/1.1\r\n", b"RCPT TO:<bob@example.org>\r\n",
    b"RCPT TO:<nobody@example.org>\r\n", b"RCPT TO:<closing@example.org>\r\n",
    b".\r\n", b"..\r\n", b"hello\r\n", b"\r\n", b"\n", b"\r", b"\x00", b"\xff", b"x" * 41,
    b"MAIL FROM:<ann@example.net>\r\nRCPT TO:<bob@example.org>\r\nDATA\r\n",
    b"MAIL FROM:<ann@example.net>\r\nRCPT TO:<bob@example.org>\r\nBDAT 7\r\n", b"BDAT 7 LAST\r\n",
    b"BDAT 0 LAST\r\n", b"BDAT 61\r\n", b"BDAT x\r\n",
    b"AUTH PLAIN AHN1ZGFAZXhhbXBsZS5vcmcAcmlnaHQ=\r\n", b"AUTH PLAIN AHgAeA==\r\n", b"AUTH LOGIN\r\n",
    b"c3VkYUBleGFtcGxlLm9yZw==\r\n", b"cmlnaHQ=\r\n", b"*\r\n", b"=\r\n",
]  # fmt: skip


def conversation(
    chunks: list[bytes], config: SessionConfig = CONFIG
) -> tuple[bytes, list[tuple[Envelope, str, bytes]], Close | None]:
    shell = Shell(config)
    for chunk in chunks:
        shell.feed(chunk)
    return shell.sent, shell.kept, shell.close


@settings(max_examples=300)
@given(
    st.lists(st.sampled_from(PIECES), max_size=20).map(b"".join),
    st.booleans(),
    st.lists(st.integers(0, 2000), max_size=10),
    st.sampled_from([CONFIG, SUBMISSION]),
)
def test_any_split_of_the_same_octets_is_the_same_conversation(
    octets: bytes, is_greeted: bool, places: list[int], config: SessionConfig
) -> None:
    octets = b"EHLO client.example\r\n" * is_greeted + octets
    whole = conversation([octets], config)
    assert conversation([octets[i : i + 1] for i in range(len(octets))], config) == whole
    cuts = [0, *sorted(place % (len(octets) + 1) for place in places), len(octets)]
    assert conversation([octets[a:b] for a, b in pairwise(cuts)], config) == whole


@given(st.lists(st.binary(max_size=60)), st.sampled_from([CONFIG, SUBMISSION]))
def test_any_octets_are_answered_or_waited_for(chunks: list[bytes], config: SessionConfig) -> None:
    sent, kept, _ = conversation(chunks, config)
    assert sent.startswith(b"220 ")
    assert not kept, "no random octets make a mail"


def greeted() -> Session:
    session = Session(CONFIG)
    session.connected()
    session.feed(b"EHLO client.example\r\n")
    return session


def test_commands_wait_in_order_while_an_answer_is_awaited() -> None:
    session = greeted()
    assert session.feed(b"MAIL FROM:<>\r\nRCPT TO:<a@example.org>\r\n") == [CheckSender(None, None)]
    assert not session.wants_octets
    assert session.feed(b"RCPT TO:<b@example.org>\r\nNOOP\r\nQUIT\r\n") == []
    (said, asked) = session.sender_checked(replies.SENDER_OK)
    assert said == Send(replies.SENDER_OK.render())
    assert isinstance(asked, CheckRecipient)
    assert str(asked.rcpt_to) == "a@example.org"
    (said, asked) = session.recipient_checked(replies.RECIPIENT_OK)
    assert isinstance(asked, CheckRecipient)
    assert str(asked.rcpt_to) == "b@example.org"
    refused = reply(550, "5.1.1", "No such mailbox")
    assert session.recipient_checked(refused) == [
        Send(refused.render() + replies.DONE.render() + replies.GOODBYE.render()),
        Close(None),
    ]
    assert session.is_closed


def test_what_is_sent_ahead_of_an_answer_is_bounded() -> None:
    session = greeted()
    session.feed(b"MAIL FROM:<>\r\n")
    assert session.feed(b"x" * AHEAD_OCTETS_MAX) == []
    said, closed = session.feed(b"x")
    assert said == Send(replies.TOO_FAR_AHEAD.render())
    assert isinstance(closed, Close)
    assert session.sender_checked(replies.SENDER_OK) == [], "an answer that comes too late changes nothing"


def test_an_answer_after_an_interruption_changes_nothing() -> None:
    session = greeted()
    session.feed(b"MAIL FROM:<>\r\n")
    stopping = reply(421, "4.3.2", "Going down")
    assert session.interrupt(stopping) == [Send(stopping.render()), Close(str(stopping))]
    assert session.interrupt(stopping) == []
    assert session.sender_checked(replies.SENDER_OK) == []
    assert session.feed(b"NOOP\r\n") == []


def test_an_answer_nobody_asked_for_is_our_mistake() -> None:
    with pytest.raises(AssertionError):
        greeted().recipient_checked(replies.RECIPIENT_OK)


def test_a_message_is_streamed_and_not_kept_by_the_core() -> None:
    session = Session(SessionConfig("mx.example", message_octets_max=10_000_000))
    session.connected()
    session.feed(b"EHLO client.example\r\nMAIL FROM:<>\r\n")
    session.sender_checked(replies.SENDER_OK)
    session.feed(b"RCPT TO:<a@example.org>\r\n")
    session.recipient_checked(replies.RECIPIENT_OK)
    session.feed(b"DATA\r\n")
    chunk = (b"x" * 78 + b"\r\n") * 100
    for _ in range(100):
        (octets,) = session.feed(chunk)
        assert isinstance(octets, MessageOctets)
        assert abs(len(octets.octets) - len(chunk)) <= 4
