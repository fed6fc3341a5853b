"""The SMTP client core: what it says to hosts good and bad, and what it makes of their replies."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.mail.address import parse_address
from gateway.mail.dsn_options import NOTHING_ASKED, DsnOptions
from gateway.mail.envelope import Body, Envelope
from gateway.protocols.smtp.client import (
    Client,
    ClientConfig,
    ClientEffect,
    Concluded,
    HostRefused,
    Ready,
    SendContent,
    TlsUse,
)
from gateway.protocols.smtp.config import SessionConfig
from gateway.protocols.smtp.effects import Close, Send, StartTls
from gateway.protocols.smtp.reply_reader import REPLY_LINE_OCTETS_MAX, REPLY_LINES_MAX
from gateway.protocols.smtp.transaction import Answer, Stage
from tests.dialogs.smtp_shell import Shell

MESSAGE = b"Subject: hello\r\n\r\n.dots\r\n"


def envelope(
    *rcpt_to: str,
    mail_from: str = "ann@opm.go.th",
    body: Body = Body.SEVEN_BIT,
    is_smtputf8: bool = False,
    dsn: DsnOptions = NOTHING_ASKED,
    **asked: Any,
) -> Envelope:
    recipients = tuple(map(parse_address, rcpt_to or ("bob@dld.go.th",)))
    sender = parse_address(mail_from) if mail_from else None
    return Envelope(sender, recipients, body, is_smtputf8, len(MESSAGE), dsn, **asked)


class Relay:
    """A shell around the client core, in memory: gives it mails to send and keeps what comes of them."""

    def __init__(
        self, mails: Sequence[Envelope], config: ClientConfig | None = None, message: bytes = MESSAGE
    ) -> None:
        self.client = Client(config or ClientConfig("relay.example"))
        self.sent = b""
        self.concluded: list[tuple[Answer, ...]] = []
        self.refused: HostRefused | None = None
        self.close: Close | None = None
        self.is_tls_wanted = False
        self.mails = list(mails)
        self._message = message

    def feed(self, octets: bytes, width: int = 0) -> None:
        for start in range(0, len(octets), width or len(octets) or 1):
            self.do(self.client.feed(octets[start : start + (width or len(octets))]))

    def do(self, effects: list[ClientEffect]) -> None:
        for effect in effects:
            assert self.close is None, "nothing comes after Close"
            match effect:
                case Send(octets):
                    self.sent += octets
                case Ready():
                    self.do(self.client.start(self.mails.pop(0)) if self.mails else self.client.quit())
                case SendContent():
                    middle = len(self._message) // 2
                    self.do(self.client.content(self._message[:middle]))
                    self.do(self.client.content(self._message[middle:]))
                    self.do(self.client.content_ended())
                case Concluded(answers):
                    self.concluded.append(answers)
                case HostRefused():
                    self.refused = effect
                case StartTls():
                    self.is_tls_wanted = True
                case Close():
                    self.close = effect

    @property
    def replies(self) -> list[str]:
        """The replies of the mails so far, each with its stage; an asterisk marks those of our own."""
        return [
            f"{answer.stage.name} {answer.reply.code} {answer.reply.status}{'*' * answer.is_ours}"
            for answers in self.concluded
            for answer in answers
        ]


def run(relay: Relay, script: str, width: int = 0) -> None:
    """Play a host. S: it says; C: it must have heard exactly this since; tls: the handshake is over."""
    heard = 0
    wanted = b""
    for line in (line.strip() for line in script.strip().splitlines()):
        who, _, text = line.partition(":")
        text = text.removeprefix(" ")
        if who == "C":
            wanted += text.encode() + b"\r\n"
            continue
        assert relay.sent[heard:] == wanted
        heard, wanted = len(relay.sent), b""
        match who:
            case "S":
                relay.feed(text.encode().replace(b" / ", b"\r\n") + b"\r\n", width)
            case "tls":
                assert relay.is_tls_wanted
                relay.do(relay.client.tls_started())
            case "lost":
                relay.do(relay.client.lost("end of stream"))
            case _:
                raise AssertionError(line)
    assert relay.sent[heard:] == wanted


PLAIN = "S: 220 mx.example\nC: EHLO relay.example\nS: 250 mx.example\n"
PIPED = "S: 220 mx.example\nC: EHLO relay.example\nS: 250-mx.example / 250-PIPELINING / 250 SIZE 1000\n"
ENVELOPE = (
    "C: MAIL FROM:<ann@opm.go.th> SIZE=25\nC: RCPT TO:<bob@dld.go.th>\nC: RCPT TO:<eve@dld.go.th>\nC: DATA\n"
)
CONTENT = "C: Subject: hello\nC: \nC: ..dots\nC: .\n"
GO = "S: 250 ok / 250 ok / 250 ok / 354 go\n"
KEPT = "S: 250 2.0.0 kept\n"
BYE = "C: QUIT\nS: 221 bye"
TWO = envelope("bob@dld.go.th", "eve@dld.go.th")
ASKED = envelope(
    "bob@dld.go.th",
    "eve@dld.go.th",
    dsn=DsnOptions("HDRS", "a=b c", ("SUCCESS,FAILURE", ""), ("rfc822;b+b@opm.go.th", "")),
)
BINARY = "S: 220 a\nC: EHLO relay.example\nS: 250-a / 250-PIPELINING / 250-chunking / 250 binarymime\n"
WITH_DSN = "S: 220 mx.example\nC: EHLO relay.example\nS: 250-mx.example / 250-SMTPUTF8 / 250 dsn\n"

SCRIPTS: dict[str, tuple[Envelope, str, list[str]]] = {
    "what the sender asks to be told goes on to a host with DSN (RFC 3461 §5.2.1)": (
        ASKED,
        WITH_DSN + "C: MAIL FROM:<ann@opm.go.th> RET=HDRS ENVID=a+3Db+20c\nS: 250 ok\n"
        "C: RCPT TO:<bob@dld.go.th> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;b+2Bb@opm.go.th\nS: 250 ok\n"
        "C: RCPT TO:<eve@dld.go.th>\nS: 250 ok\nC: DATA\nS: 354 go\n" + CONTENT + KEPT + BYE,
        ["CONCLUSION 250 2.0.0"] * 2,
    ),
    "a host without DSN is told nothing of it (RFC 3461 §5.2.2)": (
        ASKED,
        PIPED + ENVELOPE + GO + CONTENT + KEPT + BYE,
        ["CONCLUSION 250 2.0.0"] * 2,
    ),
    "what was not asked is not added (RFC 3461 §5.2.1)": (
        TWO,
        WITH_DSN + "C: MAIL FROM:<ann@opm.go.th>\nS: 250 ok\nC: RCPT TO:<bob@dld.go.th>\nS: 250 ok\n"
        "C: RCPT TO:<eve@dld.go.th>\nS: 250 ok\nC: DATA\nS: 354 go\n" + CONTENT + KEPT + BYE,
        ["CONCLUSION 250 2.0.0"] * 2,
    ),
    "an original recipient in UTF-8 is written in ASCII without SMTPUTF8 (RFC 6533 §3)": (
        envelope("bob@dld.go.th", dsn=DsnOptions(orcpt=("utf-8;ก+1@opm.go.th",))),
        WITH_DSN + "C: MAIL FROM:<ann@opm.go.th>\nS: 250 ok\n"
        "C: RCPT TO:<bob@dld.go.th> ORCPT=utf-8;\\x{E01}\\x{2B}1@opm.go.th\nS: 250 ok\n"
        "C: DATA\nS: 354 go\n" + CONTENT + KEPT + BYE,
        ["CONCLUSION 250 2.0.0"],
    ),
    "and in UTF-8 with it (RFC 6533 §3)": (
        envelope("bob@dld.go.th", is_smtputf8=True, dsn=DsnOptions(orcpt=("utf-8;ก+1@opm.go.th",))),
        WITH_DSN + "C: MAIL FROM:<ann@opm.go.th> SMTPUTF8\nS: 250 ok\n"
        "C: RCPT TO:<bob@dld.go.th> ORCPT=utf-8;ก\\x{2B}1@opm.go.th\nS: 250 ok\n"
        "C: DATA\nS: 354 go\n" + CONTENT + KEPT + BYE,
        ["CONCLUSION 250 2.0.0"],
    ),
    "since when a recipient must be the same is asked of a host with RRVS (RFC 7293 §3.1)": (
        envelope("bob@dld.go.th", "eve@dld.go.th", rrvs=("2020-03-01T09:00:00Z", "")),
        "S: 220 a\nC: EHLO relay.example\nS: 250-a / 250 RRVS\nC: MAIL FROM:<ann@opm.go.th>\nS: 250 ok\n"
        "C: RCPT TO:<bob@dld.go.th> RRVS=2020-03-01T09:00:00Z\nS: 550 5.7.17 no\n"
        "C: RCPT TO:<eve@dld.go.th>\nS: 550 5.1.1 no\nC: RSET\nS: 250 ok\n" + BYE,
        ["RCPT 550 5.7.17", "RCPT 550 5.1.1"],
    ),
    "a recipient that must be asked is not sent to a host without RRVS (RFC 7293 §6)": (
        envelope("bob@dld.go.th", rrvs=("2020-03-01T09:00:00Z",)), PIPED + BYE, ["RCPT 550 5.7.19*"],
    ),
    "a binary message goes in one chunk (RFC 3030 §3)": (
        envelope("bob@dld.go.th", "eve@dld.go.th", body=Body.BINARY),
        BINARY + "C: MAIL FROM:<ann@opm.go.th> BODY=BINARYMIME\nC: RCPT TO:<bob@dld.go.th>\n"
        "C: RCPT TO:<eve@dld.go.th>\nS: 250 ok / 550 5.1.1 no / 250 ok\n"
        "C: BDAT 25 LAST\nC: Subject: hello\nC: \nC: .dots\n" + KEPT + BYE,
        ["RCPT 550 5.1.1", "CONCLUSION 250 2.0.0"],
    ),
    "a binary message whose recipients are refused is not sent": (
        envelope(body=Body.BINARY),
        BINARY + "C: MAIL FROM:<ann@opm.go.th> BODY=BINARYMIME\nC: RCPT TO:<bob@dld.go.th>\n"
        "S: 250 ok / 550 5.1.1 no\nC: RSET\nS: 250 ok\n" + BYE,
        ["RCPT 550 5.1.1"],
    ),
    "a binary message to a host that takes none is not sent (RFC 3030 §3)": (
        envelope(body=Body.BINARY),
        "S: 220 a\nC: EHLO relay.example\nS: 250-a / 250-8BITMIME / 250 CHUNKING\n" + BYE,
        ["MAIL 554 5.6.3*"],
    ),
    "nor to one that takes no chunks": (
        envelope(body=Body.BINARY),
        "S: 220 a\nC: EHLO relay.example\nS: 250-a / 250-8BITMIME / 250 BINARYMIME\n" + BYE,
        ["MAIL 554 5.6.3*"],
    ),
    "recipients above a host's limit wait for another time (RFC 9422 §4)": (
        envelope("bob@dld.go.th", "eve@dld.go.th", "joe@dld.go.th"),
        "S: 220 a\nC: EHLO relay.example\nS: 250-a / 250 limits rcptmax=2\n"
        "C: MAIL FROM:<ann@opm.go.th>\nS: 250 ok\nC: RCPT TO:<bob@dld.go.th>\nS: 250 ok\n"
        "C: RCPT TO:<eve@dld.go.th>\nS: 250 ok\nC: DATA\nS: 354 go\n" + CONTENT + KEPT + BYE,
        ["CONCLUSION 250 2.0.0", "CONCLUSION 250 2.0.0", "RCPT 452 4.5.3*"],
    ),
    "domains above a host's limit wait too (RFC 9422 §4)": (
        envelope("bob@dld.go.th", "eve@opm.go.th", "joe@dld.go.th"),
        "S: 220 a\nC: EHLO relay.example\nS: 250-a / 250 LIMITS RCPTDOMAINMAX=1 FOO RCPTMAX=0\n"
        "C: MAIL FROM:<ann@opm.go.th>\nS: 250 ok\nC: RCPT TO:<bob@dld.go.th>\nS: 250 ok\n"
        "C: RCPT TO:<joe@dld.go.th>\nS: 250 ok\nC: DATA\nS: 354 go\n" + CONTENT + KEPT + BYE,
        ["CONCLUSION 250 2.0.0", "RCPT 452 4.5.3*", "CONCLUSION 250 2.0.0"],
    ),
    "a mail goes through, a line at a time": (
        TWO,
        PLAIN + "C: MAIL FROM:<ann@opm.go.th>\nS: 250 ok\nC: RCPT TO:<bob@dld.go.th>\nS: 250 ok\n"
        "C: RCPT TO:<eve@dld.go.th>\nS: 251 ok\nC: DATA\nS: 354 go\n" + CONTENT + KEPT + BYE,
        ["CONCLUSION 250 2.0.0"] * 2,
    ),
    "a mail goes through, pipelined (RFC 2920)": (
        TWO,
        PIPED + ENVELOPE + "S: 250 ok\nS: 250 ok\nS: 250 ok\nS: 354 go\n" + CONTENT + KEPT + BYE,
        ["CONCLUSION 250 2.0.0"] * 2,
    ),
    "pipelined replies in one piece": (
        TWO,
        PIPED + ENVELOPE + GO + CONTENT + KEPT + BYE,
        ["CONCLUSION 250 2.0.0"] * 2,
    ),
    "each recipient has its own reply": (
        TWO,
        PIPED + ENVELOPE + "S: 250 ok / 550 5.1.1 unknown / 250 ok / 354 go\n" + CONTENT
        + "S: 451 4.3.0 later\n" + BYE,
        ["RCPT 550 5.1.1", "CONCLUSION 451 4.3.0"],
    ),
    "a refused sender is everybody's reply, and needs no RSET": (
        TWO,
        PLAIN + "C: MAIL FROM:<ann@opm.go.th>\nS: 550 5.7.1 no\n" + BYE,
        ["MAIL 550 5.7.1"] * 2,
    ),
    "a refused sender, pipelined": (
        TWO,
        PIPED + ENVELOPE + "S: 452 4.3.1 full / 503 5.5.1 no / 503 5.5.1 no / 503 5.5.1 no\n" + BYE,
        ["MAIL 452 4.3.1"] * 2,
    ),
    "without recipients there is no DATA": (
        TWO,
        PLAIN + "C: MAIL FROM:<ann@opm.go.th>\nS: 250 ok\nC: RCPT TO:<bob@dld.go.th>\nS: 550 5.1.1 no\n"
        "C: RCPT TO:<eve@dld.go.th>\nS: 450 4.2.0 later\nC: RSET\nS: 250 ok\n" + BYE,
        ["RCPT 550 5.1.1", "RCPT 450 4.2.0"],
    ),
    "without recipients, but pipelined, an empty message ends it (RFC 2920 §3.1)": (
        TWO,
        PIPED + ENVELOPE + "S: 250 ok / 550 5.1.1 no / 550 5.1.1 no / 354 go\n"
        "C: .\nS: 554 5.5.1 none\n" + BYE,
        ["RCPT 550 5.1.1"] * 2,
    ),
    "a refused DATA is the reply of the accepted": (
        TWO,
        PIPED + ENVELOPE + "S: 250 ok / 550 5.1.1 no / 250 ok / 451 4.3.0 later\nC: RSET\nS: 250 ok\n" + BYE,
        ["RCPT 550 5.1.1", "DATA 451 4.3.0"],
    ),
    "a 421 in the envelope is everybody's reply, and the end": (
        TWO,
        PIPED + ENVELOPE + "S: 250 ok / 550 5.1.1 no / 421 4.3.2 down",
        ["RCPT 550 5.1.1", "RCPT 421 4.3.2"],
    ),
    "a 421 after the message is its reply, and the end": (
        TWO,
        PIPED + ENVELOPE + GO + CONTENT + "S: 421 4.3.2 down",
        ["CONCLUSION 421 4.3.2"] * 2,
    ),
    "a connection lost in the envelope": (
        TWO,
        PIPED + ENVELOPE + "S: 250 ok / 550 5.1.1 no\nlost",
        ["RCPT 550 5.1.1", "RCPT 451 4.4.2*"],
    ),
    "a connection lost after the final dot leaves doubt": (
        TWO,
        PIPED + ENVELOPE + GO + CONTENT + "lost",
        ["CONCLUSION 451 4.4.2*"] * 2,
    ),
    "a host without ESMTP gets HELO and no parameters (RFC 5321 §3.2)": (
        envelope(),
        "S: 220 old\nC: EHLO relay.example\nS: 500 what\nC: HELO relay.example\nS: 250 old\n"
        "C: MAIL FROM:<ann@opm.go.th>\nS: 250 ok\nC: RCPT TO:<bob@dld.go.th>\nS: 250 ok\nC: DATA\nS: 354 go\n"
        + CONTENT + "S: 250 ok\n" + BYE,
        ["CONCLUSION 250 None"],
    ),
    "a bounce has the null sender": (
        envelope(mail_from=""),
        PIPED + "C: MAIL FROM:<> SIZE=25\nC: RCPT TO:<bob@dld.go.th>\nC: DATA\n"
        "S: 550 5.7.1 no / 503 no / 503 no\n" + BYE,
        ["MAIL 550 5.7.1"],
    ),
    "8-bit content to a host without 8BITMIME is not sent (RFC 6152 §3)": (
        envelope(body=Body.EIGHT_BIT), PIPED + BYE, ["MAIL 554 5.6.3*"],
    ),
    "a message that needs SMTPUTF8 is not sent to a host without (RFC 6531 §3.2)": (
        envelope(is_smtputf8=True), PIPED + BYE, ["MAIL 550 5.6.7*"],
    ),
    "a sender that needs SMTPUTF8": (envelope(mail_from="สมชาย@opm.go.th"), PIPED + BYE, ["MAIL 550 5.6.7*"]),
    "only the recipient that needs SMTPUTF8 is refused, a domain alone goes as A-label": (
        envelope("สมหญิง@dld.go.th", "bob@ไทย.example"),
        PIPED + "C: MAIL FROM:<ann@opm.go.th> SIZE=25\nC: RCPT TO:<bob@xn--o3cw4h.example>\nC: DATA\n"
        "S: 250 ok / 250 ok / 354 go\n" + CONTENT + "S: 250 ok\n" + BYE,
        ["RCPT 550 5.6.7*", "CONCLUSION 250 None"],
    ),
    "a host that offers them gets BODY and SMTPUTF8": (
        envelope("สมหญิง@dld.go.th", body=Body.EIGHT_BIT),
        "S: 220 a\nC: EHLO relay.example\nS: 250-a / 250-8bitmime / 250 SMTPUTF8\n"
        "C: MAIL FROM:<ann@opm.go.th> BODY=8BITMIME SMTPUTF8\nS: 250 ok\n"
        "C: RCPT TO:<สมหญิง@dld.go.th>\nS: 550 5.1.1 no\nC: RSET\nS: 250 ok\n" + BYE,
        ["RCPT 550 5.1.1"],
    ),
    "a message larger than the host takes is not sent (RFC 1870 §6.1)": (
        envelope(),
        "S: 220 a\nC: EHLO relay.example\nS: 250-a / 250 SIZE 24\n" + BYE,
        ["MAIL 552 5.3.4*"],
    ),
    "SIZE 0 is no limit (RFC 1870 §3)": (
        envelope(),
        "S: 220 a\nC: EHLO relay.example\nS: 250-a / 250 SIZE 0\n"
        "C: MAIL FROM:<ann@opm.go.th> SIZE=25\nS: 550 no\n" + BYE,
        ["MAIL 550 None"],
    ),
    "a host that answers MAIL with 354 has broken the protocol": (
        envelope(), PLAIN + "C: MAIL FROM:<ann@opm.go.th>\nS: 354 go", ["MAIL 451 4.5.0*"],
    ),
    "a host that answers DATA with 250 has broken the protocol": (
        TWO, PIPED + ENVELOPE + "S: 250 ok / 250 ok / 250 ok / 250 ok", ["DATA 451 4.5.0*"] * 2,
    ),
    "a host that refused MAIL and wants the message has broken the protocol": (
        TWO, PIPED + ENVELOPE + "S: 550 no / 250 ok / 250 ok / 354 go", ["MAIL 550 None"] * 2,
    ),
    "a host that speaks nonsense has broken the protocol": (
        envelope(), PLAIN + "C: MAIL FROM:<ann@opm.go.th>\nS: hello there", ["MAIL 451 4.5.0*"],
    ),
    "a host that refuses RSET is left": (
        envelope(),
        PLAIN + "C: MAIL FROM:<ann@opm.go.th>\nS: 250 ok\nC: RCPT TO:<bob@dld.go.th>\n"
        "S: 550 5.1.1 no\nC: RSET\nS: 500 no",
        ["RCPT 550 5.1.1"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("width", [0, 1])
@pytest.mark.parametrize(("mail", "script", "replies"), SCRIPTS.values(), ids=SCRIPTS)
def test_says_what_it_should_and_hears_what_was_said(
    mail: Envelope, script: str, replies: list[str], width: int
) -> None:
    relay = Relay([mail], ClientConfig("relay.example", TlsUse.NEVER))
    run(relay, script, width)
    assert relay.replies == replies
    assert relay.close is not None
    assert relay.client.is_closed
    uncertain = [answer.is_uncertain for answers in relay.concluded for answer in answers]
    assert all(uncertain) == script.endswith(CONTENT + "lost")


TLS_OFFERED = "S: 220 a\nC: EHLO relay.example\nS: 250-a / 250-8BITMIME / 250 STARTTLS\n"


def test_tls_begins_where_offered_and_ehlo_is_said_again() -> None:
    relay = Relay([envelope(body=Body.EIGHT_BIT)])
    run(relay, TLS_OFFERED + "C: STARTTLS\nS: 220 go\ntls\nC: EHLO relay.example\nS: 250 a\n" + BYE)
    assert relay.replies == ["MAIL 554 5.6.3*"], "what was offered in the clear does not count inside TLS"


def test_helo_inside_tls_leaves_nothing_of_what_was_offered_in_the_clear() -> None:
    relay = Relay([envelope(body=Body.EIGHT_BIT)])
    inside = "C: EHLO relay.example\nS: 500 what\nC: HELO relay.example\nS: 250 a\n"
    run(relay, TLS_OFFERED + "C: STARTTLS\nS: 220 go\ntls\n" + inside + BYE)
    assert relay.replies == ["MAIL 554 5.6.3*"]


def test_a_host_that_cannot_start_tls_after_all_gets_the_mail_in_the_clear_unless_forbidden() -> None:
    script = TLS_OFFERED + "C: STARTTLS\nS: 454 4.7.0 not now\n"
    relay = Relay([])
    run(relay, script + BYE)
    assert relay.refused is None
    relay = Relay([], ClientConfig("relay.example", TlsUse.ALWAYS))
    run(relay, script + BYE)
    assert relay.refused is not None
    assert str(relay.refused.reply.status) == "4.7.5"
    assert relay.refused.is_ours


def test_without_an_offer_of_tls_nothing_is_sent_where_tls_must_be() -> None:
    relay = Relay([envelope()], ClientConfig("relay.example", TlsUse.ALWAYS))
    run(relay, PLAIN + BYE)
    assert relay.refused is not None
    assert relay.refused.stage is Stage.STARTTLS
    assert relay.concluded == []


@pytest.mark.parametrize("chunks", [["220 go\r\n250 injected\r\n"], ["220 go\r\n", "250 injected\r\n"]])
def test_what_a_host_says_ahead_of_tls_ends_the_session(chunks: list[str]) -> None:
    relay = Relay([envelope()])
    run(relay, TLS_OFFERED + "C: STARTTLS")
    for chunk in chunks:
        relay.feed(chunk.encode())
    assert relay.close is not None
    assert relay.refused is not None
    assert relay.refused.reply.is_transient


REFUSALS = [
    ("S: 554 5.3.2 closed\n" + BYE, Stage.GREETING, "554 5.3.2 closed", False),
    ("S: 421 4.3.2 down", Stage.GREETING, "421 4.3.2 down", False),
    ("S: 220 a\nC: EHLO relay.example\nS: 450 4.7.1 later\n" + BYE, Stage.EHLO, "450 4.7.1 later", False),
    ("S: 220 a\nC: EHLO relay.example\nS: 502 no\nC: HELO relay.example\nS: 550 no\n" + BYE,
     Stage.HELO, "550 no", False),
    ("S: 354 what", Stage.GREETING, "451 4.5.0 The host broke the SMTP protocol", True),
    ("S: SSH-2.0-OpenSSH", Stage.GREETING, "451 4.5.0 The host broke the SMTP protocol", True),
    ("lost", Stage.GREETING, "451 4.4.2 The connection was lost", True),
]  # fmt: skip


@pytest.mark.parametrize(("script", "stage", "text", "is_ours"), REFUSALS)
def test_a_host_that_takes_no_mail_is_told_from_one_that_does(
    script: str, stage: Stage, text: str, is_ours: bool
) -> None:
    relay = Relay([envelope()])
    run(relay, script)
    assert relay.refused is not None
    assert (relay.refused.stage, str(relay.refused.reply), relay.refused.is_ours) == (stage, text, is_ours)
    assert relay.close is not None
    assert relay.concluded == []


def test_several_mails_go_over_one_connection() -> None:
    relay = Relay([TWO, envelope(mail_from="")])
    first = GO + CONTENT + "S: 250 2.0.0 one\n"
    second = (
        "C: MAIL FROM:<> SIZE=25\nC: RCPT TO:<bob@dld.go.th>\nC: DATA\nS: 250 ok / 250 ok / 354 go\n"
        + CONTENT
    )
    run(relay, PIPED + ENVELOPE + first + second + "S: 250 2.0.0 two\n" + BYE)
    assert [answers[0].reply.text for answers in relay.concluded] == [("one",), ("two",)]
    assert relay.close == Close(None)


def test_a_connection_carries_as_many_mails_as_its_host_takes() -> None:
    """RFC 9422 §4."""
    relay = Relay([envelope(), envelope()])
    script = (
        "S: 220 a\nC: EHLO relay.example\nS: 250-a / 250 LIMITS MAILMAX=1\n"
        "C: MAIL FROM:<ann@opm.go.th>\nS: 250 ok\n"
        "C: RCPT TO:<bob@dld.go.th>\nS: 250 ok\nC: DATA\nS: 354 go\n"
    )
    run(relay, script + CONTENT + KEPT + BYE)
    assert (len(relay.concluded), len(relay.mails)) == (1, 1)


def test_a_mail_started_on_a_connection_just_closed_is_concluded_too() -> None:
    client = Client(ClientConfig("relay.example"))
    client.feed(b"220 a\r\n")
    client.feed(b"250 a\r\n")
    client.feed(b"421 idle\r\n")
    (concluded,) = client.start(TWO)
    assert isinstance(concluded, Concluded)
    assert {str(answer.reply.status) for answer in concluded.answers} == {"4.4.2"}
    assert client.content(b"x") == []
    assert client.content_ended() == []
    assert client.quit() == []
    assert client.lost("again") == []


@pytest.mark.parametrize(
    ("said", "replies"),
    [
        # What comes after a refusal in the middle would be taken for commands: the session ends.
        (b"552 5.3.4 enough\r\n", ["CONTENT 552 5.3.4"]),
        (b"250 2.0.0 kept\r\n", ["CONTENT 451 4.5.0*"]),
        (b"", ["CONTENT 451 4.4.2*"]),
    ],
)
def test_a_host_that_does_not_wait_for_the_end_of_the_message_is_left(
    said: bytes, replies: list[str]
) -> None:
    relay = Relay([])
    client = Client(ClientConfig("relay.example"))
    for octets in (b"220 a\r\n", b"250 a\r\n"):
        (*_, last) = client.feed(octets)
    assert isinstance(last, Ready)
    client.start(envelope())
    for octets in (b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n"):
        (*_, last) = client.feed(octets)
    assert isinstance(last, SendContent)
    assert client.content(b"half a li") == [Send(b"half a li")]
    relay.do(client.feed(said) if said else client.lost("end of stream"))
    assert relay.replies == replies
    assert relay.close is not None
    assert client.content(b"ne") == []
    assert client.content_ended() == []


def test_a_message_with_bare_newlines_is_never_ended() -> None:
    relay = Relay([TWO], message=b"a\r\n.\nb\r\n")
    run(relay, PIPED + ENVELOPE + "S: 250 ok / 250 ok / 250 ok\n")
    relay.feed(b"354 go\r\n")
    assert relay.replies == ["CONTENT 554 5.6.0*"] * 2
    assert relay.close is not None
    assert not relay.sent.endswith(b".\r\n")


def test_a_binary_message_is_sent_as_it_is_and_a_wrong_size_ends_the_session() -> None:
    octets = b"A: b\r\n\r\n\r.\n.\r\n.\r\n12345678"
    said = [b"220 a\r\n", b"250-a\r\n250-PIPELINING\r\n250-CHUNKING\r\n250 BINARYMIME\r\n"]
    for message in (octets, octets + b"9", b""):
        relay = Relay([envelope(body=Body.BINARY)], message=message)
        for answer in (*said, b"250 ok\r\n250 ok\r\n"):
            relay.feed(answer)
        is_right = message == octets
        assert relay.replies == ([] if is_right else ["CONTENT 451 4.3.0*"])
        assert (relay.close is None) == is_right
        assert relay.sent.endswith(b"BDAT 25 LAST\r\n" + octets) == is_right


@pytest.mark.parametrize(
    "octets",
    [b"2" * (REPLY_LINE_OCTETS_MAX + 1), b"250-x\r\n" * REPLY_LINES_MAX,
     b"220 " + b"x" * REPLY_LINE_OCTETS_MAX + b"\r\n"],
)  # fmt: skip
@pytest.mark.parametrize("width", [0, 1])
def test_an_endless_reply_ends_the_session(octets: bytes, width: int) -> None:
    relay = Relay([envelope()])
    relay.feed(octets, width)
    assert relay.close is not None


@pytest.mark.parametrize("width", [0, 1])
def test_the_longest_reply_is_read(width: int) -> None:
    relay = Relay([])
    relay.feed(
        b"220-x\r\n" * (REPLY_LINES_MAX - 1) + b"220 " + b"x" * (REPLY_LINE_OCTETS_MAX - 4) + b"\r\n", width
    )
    assert relay.sent == b"EHLO relay.example\r\n"


@settings(max_examples=300)
@given(
    st.lists(
        st.sampled_from(
            [b"220 a\r\n", b"250 a\r\n", b"250-a\r\n250-PIPELINING\r\n250 SIZE 9999\r\n", b"354 go\r\n",
             b"421 x\r\n", b"450 4.2.0 x\r\n", b"550 5.1.1 x\r\n", b"250-x\r\n",
             b"\r\n", b"\xff", b"250 2.0.0 ok\r\n"]
        )
        | st.binary(max_size=5)
    ),
    st.sampled_from([0, 1, 2, 7]),
    st.booleans(),
)  # fmt: skip
def test_any_octets_in_any_split_conclude_every_mail_once(
    chunks: list[bytes], width: int, is_greeted: bool
) -> None:
    octets = b"220 a\r\n250-a\r\n250 PIPELINING\r\n" * is_greeted + b"".join(chunks)
    mails = [TWO, envelope()]
    relay = Relay(mails)
    relay.feed(octets, width)
    relay.do(relay.client.lost("end of stream"))
    assert relay.client.is_closed
    assert relay.close is not None
    started = mails[: len(mails) - len(relay.mails)]
    assert [len(answers) for answers in relay.concluded] == [len(mail.rcpt_to) for mail in started]
    assert not (relay.refused and relay.concluded)


@pytest.mark.parametrize("width", [1, 3, 1000])
def test_client_and_server_understand_each_other(width: int) -> None:
    mails = [
        envelope("bob@example.org", "nobody@example.org", "later@example.org"),
        envelope("สมหญิง@example.org", mail_from="", body=Body.EIGHT_BIT),
        envelope("eve@elsewhere.example"),
    ]
    shell, relay = Shell(SessionConfig("mx.example", message_octets_max=1000)), Relay(mails)
    heard = said = 0
    while relay.close is None:
        assert heard < len(shell.sent) or said < len(relay.sent), "both sides wait for the other"
        relay.feed(shell.sent[heard : heard + width])
        heard = min(heard + width, len(shell.sent))
        shell.feed(relay.sent[said : said + width])
        said = min(said + width, len(relay.sent))
    assert relay.replies == [
        "CONCLUSION 250 2.0.0", "RCPT 550 5.1.1", "RCPT 451 4.3.0", "CONCLUSION 250 2.0.0", "RCPT 550 5.7.1"
    ]  # fmt: skip
    assert [(str(kept.mail_from), [str(a) for a in kept.rcpt_to]) for kept, _, _ in shell.kept] == [
        ("ann@opm.go.th", ["bob@example.org"]),
        ("None", ["สมหญิง@example.org"]),
    ]
    assert [message for _, _, message in shell.kept] == [MESSAGE, MESSAGE]
    assert (shell.kept[1][0].body, shell.kept[1][0].is_smtputf8) == (Body.EIGHT_BIT, True)
