"""Mail to and from Postfix, Exim and OpenSMTPD as Debian packs them: issue 4, acceptance 5.

Each is the server of an agency, our next hop, and sends to us. What it cannot do its EHLO does not offer
(OpenSMTPD knows no SMTPUTF8, Exim no DSN unless told to), and the gateway acts by that.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Any, Final

import pytest

from tests.e2e.gateway import Gateway
from tests.peers import exim, opensmtpd, postfix
from tests.peers.letters import HOSTED, RECIPIENTS, SUBJECT, THAI, UNKNOWN, Sent, letters_from, letters_to
from tests.peers.peer import Peer, Surroundings
from tests.peers.unpacking import unpacked
from tests.processes.relay.authority import Authority

STARTERS: Final = (postfix.running_postfix, exim.running_exim, opensmtpd.running_opensmtpd)
DOMAINS: Final = (postfix.DOMAIN, exim.DOMAIN, opensmtpd.DOMAIN)
# Debian 12's OpenSMTPD offers STARTTLS and cannot sign with its key: 6.8 knows no OpenSSL 3.
WITH_TLS: Final = (postfix.DOMAIN, exim.DOMAIN)
WITH_SMTPUTF8: Final = (postfix.DOMAIN, exim.DOMAIN)
WHOLE: Final = ("plain", "8-bit", "told", "large")  # come as one message, everywhere
REPORTED_TO: Final = ("told", "refused", "bounced later")  # of mail to each domain
REFUSED: Final = ("unknown", "too large")  # by us
RECIPIENT: Final = re.compile(rb"\br[0-9]+@[a-z.]+")


@dataclass
class Exchange:
    """All that went to and fro, by domain and name; what peers keep, what came here, what the trace tells."""

    gateway: Gateway
    folder: Path
    authority: Authority  # of the peers
    peers: dict[str, Peer] = field(default_factory=dict)
    to: dict[tuple[str, str], Sent] = field(default_factory=dict)
    back: dict[tuple[str, str], Sent] = field(default_factory=dict)
    without_dsn: Sent | None = None
    kept: dict[str, list[bytes]] = field(default_factory=dict)
    came: list[bytes] = field(default_factory=list)
    told: list[dict[str, Any]] = field(default_factory=list)

    def happen(self, peers: Sequence[Peer]) -> None:
        self.peers = {peer.domain: peer for peer in peers}
        self.prepare()
        port = int(self.gateway.address("smtp").rpartition(":")[2])
        for domain, peer in self.peers.items():
            self.to |= {(domain, name): letter.send(port) for name, letter in letters_to(domain).items()}
            for name, letter in letters_from(domain).items():
                if name != "thai" or domain in WITH_SMTPUTF8:
                    self.back[domain, name] = letter.send(peer.port)
        self.without_dsn = letters_to(exim.DOMAIN_WITHOUT_DSN)["told"].send(port)
        self.gateway.wait(self.is_over, "all mails have arrived, and all reports of them")
        self.kept = {domain: peer.kept() for domain, peer in self.peers.items()}
        self.came = list(self.gateway.export_all(HOSTED, self.folder / "came").values())
        self.told = self.gateway.trace("--subject", SUBJECT)

    def prepare(self) -> None:
        self.gateway.cli("account", "add", HOSTED, "--name", "Interop", "--password", "for-tests-alone")
        self.gateway.cli("alias", "add", THAI, "--of", HOSTED)
        authorities = self.folder / "peers.pem"
        authorities.write_text(self.authority.pem)
        for domain, peer in self.peers.items():
            agency_id = self.add_agency(domain, peer.port)
            if domain in WITH_TLS:
                pinned = ("pinned", "--ca", str(authorities), "--reason", "interop", "--yes")
                self.gateway.cli("agency", "tls", agency_id, *pinned)
        self.add_agency(exim.DOMAIN_WITHOUT_DSN, self.peers[exim.DOMAIN].port_without_dsn)
        self.gateway.wait_idle()

    def add_agency(self, domain: str, port: int) -> str:
        next_hop = ("--domain", domain, "--relay-to", f"localhost:{port}")
        return str(self.gateway.cli("agency", "add", domain, *next_hop)["agency_id"])

    def is_over(self) -> bool:
        """The peers keep all that is for them, the gateway is idle, and its mailboxes have all."""
        for domain, peer in self.peers.items():
            kept = peer.kept()
            names = [*WHOLE, *(["thai"] if domain in WITH_SMTPUTF8 else [])]
            if not all(copies_of(self.to[domain, name], kept) for name in names):
                return False
            if not all(reports_of(self.back[domain, name], kept) for name in ("told", *REFUSED)):
                return False
            if len(recipients_of(self.to[domain, "many"], kept)) < RECIPIENTS:
                return False
        return self.gateway.is_idle() and self.has_come() and self.gateway.is_idle()

    def has_come(self) -> bool:
        """All letters and reports for HOSTED are in its mailbox."""
        ids = [row["message_id"] for row in self.gateway.mailbox(HOSTED)]
        letters = {sent.message_id for (_, name), sent in self.back.items() if name not in REFUSED}
        reports = len(DOMAINS) * len(REPORTED_TO) + len({"without DSN", "without SMTPUTF8"})
        return letters <= set(ids) and len(set(ids) - letters) >= reports

    def steps(self, sent: Sent, topic: str) -> list[dict[str, Any]]:
        """What the trace tells of such events of a mail."""
        mails = [mail for mail in self.told if mail["message_id"] == sent.message_id]
        return [step for mail in mails for step in mail["steps"] if step["topic"] == topic]


def copies_of(sent: Sent, messages: Sequence[bytes]) -> list[bytes]:
    """Those that are what was sent, octet for octet, after what servers on the way have put in front."""
    return [message for message in messages if message.endswith(b"\r\n" + sent.message)]


def reports_of(sent: Sent, messages: Sequence[bytes]) -> list[bytes]:
    """Those that have its Message-ID inside, and are not it."""
    wanted = sent.message_id.encode()
    return [octets for octets in messages if wanted in octets and not octets.endswith(sent.message)]


def recipients_of(sent: Sent, messages: Sequence[bytes]) -> set[bytes]:
    """For whom its copies are kept, by the Delivered-To or Envelope-to of each."""
    fronts = [copy.removesuffix(sent.message) for copy in copies_of(sent, messages)]
    return {found for front in fronts for found in RECIPIENT.findall(front.partition(b"\r\nReceived:")[0])}


def outcome_of(report: bytes) -> dict[str, str]:
    """All fields of a message/delivery-status with one recipient, in one; values without spaces."""
    status = list(message_from_bytes(report, policy=default).iter_parts())[1]
    assert status.get_content_type() == "message/delivery-status"
    fields = [item for block in status.get_payload() for item in block.items()]
    return {name.lower(): re.sub(r"\s", "", value) for name, value in fields}


@pytest.fixture(scope="module")
def exchange(gateway: Gateway, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    folder = tmp_path_factory.mktemp("interop")
    authority = Authority()
    surroundings = Surroundings(
        unpacked=unpacked(),
        gateway_port=int(gateway.address("smtp").rpartition(":")[2]),
        authorities=Path(gateway.ready["ca_file"]).read_text(),
        certificate=authority.sign("localhost", is_rsa=True),
        unknown=UNKNOWN,
    )
    exchange = Exchange(gateway, folder, authority)
    with ExitStack() as peers:
        exchange.happen(
            [peers.enter_context(start(folder / start.__name__, surroundings)) for start in STARTERS]
        )
        yield exchange


# --- the peer as next hop -----------------------------------------------------------------------


@pytest.mark.parametrize("domain", DOMAINS)
@pytest.mark.parametrize("name", WHOLE)
def test_a_peer_gets_what_was_sent_once(exchange: Exchange, domain: str, name: str) -> None:
    (copy,) = copies_of(exchange.to[domain, name], exchange.kept[domain])
    assert copy.lower().startswith(f"return-path: <{HOSTED}>\r\n".encode())


@pytest.mark.parametrize("domain", DOMAINS)
def test_a_peer_gets_a_mail_for_every_one_of_many_recipients(exchange: Exchange, domain: str) -> None:
    found = recipients_of(exchange.to[domain, "many"], exchange.kept[domain])
    assert found == {f"r{n}@{domain}".encode() for n in range(RECIPIENTS)}


@pytest.mark.parametrize("domain", WITH_SMTPUTF8)
def test_a_peer_gets_mail_from_and_to_thai_addresses(exchange: Exchange, domain: str) -> None:
    (copy,) = copies_of(exchange.to[domain, "thai"], exchange.kept[domain])
    assert copy.lower().startswith(f"return-path: <{THAI}>\r\n".encode())
    assert f": สมชาย@{domain}\r\n".encode() in copy.partition(b"\r\nReceived:")[0] + b"\r\n"


def test_mail_for_a_thai_address_goes_back_where_the_peer_offers_no_smtputf8(exchange: Exchange) -> None:
    sent = exchange.to[opensmtpd.DOMAIN, "thai"]
    (bounced,) = exchange.steps(sent, "mail.bounced/1")
    assert (bounced["status"], bounced["reply_text"]) == (
        "5.6.7",
        "The host takes no internationalised addresses",
    )
    (report,) = reports_of(sent, exchange.came)
    assert f"Final-Recipient: utf-8; สมชาย@{opensmtpd.DOMAIN}\r\n".encode() in report


@pytest.mark.parametrize("domain", WITH_TLS)
def test_mail_goes_inside_tls_with_the_authority_that_is_pinned(exchange: Exchange, domain: str) -> None:
    (relayed,) = exchange.steps(exchange.to[domain, "plain"], "mail.relayed/1")
    assert relayed["tls"].startswith("TLSv1.3 ")
    assert (relayed["verified"], relayed["tls_failure"]) == ("pinned", "")


def test_mail_goes_in_the_clear_where_tls_is_offered_fails_and_nobody_demands_it(exchange: Exchange) -> None:
    (relayed,) = exchange.steps(exchange.to[opensmtpd.DOMAIN, "plain"], "mail.relayed/1")
    assert (relayed["tls"], relayed["tls_failure"]) == ("", "validation-failure")


# What each passes on of ENVID and ORCPT: Exim does not decode them, OpenSMTPD keeps them to itself.
REPORTED: Final = {
    postfix.DOMAIN: ("QQ314159", f"rfc822;first+ann@{postfix.DOMAIN}"),
    exim.DOMAIN: ("QQ+20314159", f"rfc822;first+2Bann@{exim.DOMAIN}"),
    opensmtpd.DOMAIN: (None, None),
}


@pytest.mark.parametrize("domain", DOMAINS)
def test_a_peer_with_dsn_reports_what_it_delivered(exchange: Exchange, domain: str) -> None:
    (report,) = reports_of(exchange.to[domain, "told"], exchange.came)
    assert report.startswith(b"Return-Path: <>\r\n")
    outcome = outcome_of(report)
    assert outcome["reporting-mta"] == f"dns;mx.{domain}"
    assert (outcome["action"], outcome["final-recipient"]) == ("delivered", f"rfc822;ann@{domain}")
    assert (outcome.get("original-envelope-id"), outcome.get("original-recipient")) == REPORTED[domain]


def test_what_a_peer_without_dsn_took_we_report_as_relayed(exchange: Exchange) -> None:
    assert exchange.without_dsn is not None
    (report,) = reports_of(exchange.without_dsn, exchange.came)
    outcome = outcome_of(report)
    assert (outcome["action"], outcome["original-envelope-id"]) == ("relayed", "QQ314159")
    assert outcome["original-recipient"] == f"rfc822;first+ann@{exim.DOMAIN_WITHOUT_DSN}"


@pytest.mark.parametrize("domain", DOMAINS)
def test_a_recipient_that_a_peer_refuses_brings_our_report(exchange: Exchange, domain: str) -> None:
    (report,) = reports_of(exchange.to[domain, "refused"], exchange.came)
    outcome = outcome_of(report)
    assert (outcome["action"], outcome["final-recipient"]) == ("failed", f"rfc822;nobody@{domain}")
    assert outcome["diagnostic-code"].startswith("smtp;550")


@pytest.mark.parametrize("domain", DOMAINS)
def test_a_bounce_of_a_peer_comes_in_from_the_null_reverse_path(exchange: Exchange, domain: str) -> None:
    (report,) = reports_of(exchange.to[domain, "bounced later"], exchange.came)
    assert report.startswith(b"Return-Path: <>\r\n")
    outcome = outcome_of(report)
    assert (outcome["reporting-mta"], outcome["action"]) == (f"dns;mx.{domain}", "failed")


# --- the peer as sender -------------------------------------------------------------------------


@pytest.mark.parametrize("domain", DOMAINS)
@pytest.mark.parametrize("name", WHOLE)
def test_a_peers_mail_comes_in_once_as_it_was_and_inside_tls(
    exchange: Exchange, domain: str, name: str
) -> None:
    (copy,) = copies_of(exchange.back[domain, name], exchange.came)
    assert copy.startswith(f"Return-Path: <ann@{domain}>\r\n".encode())
    assert b"with ESMTPS id" in copy[:500]


@pytest.mark.parametrize("domain", WITH_SMTPUTF8)
def test_a_peers_mail_from_and_to_thai_addresses_comes_in(exchange: Exchange, domain: str) -> None:
    (copy,) = copies_of(exchange.back[domain, "thai"], exchange.came)
    assert copy.startswith(f"Return-Path: <สมชาย@{domain}>\r\n".encode())
    assert b"with UTF8SMTPS id" in copy[:500]


@pytest.mark.parametrize("domain", DOMAINS)
def test_a_peers_mail_for_many_comes_in_for_each(exchange: Exchange, domain: str) -> None:
    accepted = exchange.steps(exchange.back[domain, "many"], "mail.accepted/1")
    addresses = sorted(address for step in accepted for address in step["addresses"])
    name, _, hosted = HOSTED.partition("@")
    assert addresses == sorted(f"{name}+{n}@{hosted}" for n in range(RECIPIENTS))


@pytest.mark.parametrize("domain", DOMAINS)
def test_a_delivery_here_is_reported_to_the_sender_at_a_peer(exchange: Exchange, domain: str) -> None:
    (report,) = reports_of(exchange.back[domain, "told"], exchange.kept[domain])
    outcome = outcome_of(report)
    assert (outcome["action"], outcome["final-recipient"]) == ("delivered", f"rfc822;{HOSTED}")
    assert outcome["original-envelope-id"] == "QQ314159"
    assert outcome["original-recipient"] == f"rfc822;first+{HOSTED}"


# How each says it: Postfix does not even try what is larger than our EHLO says.
TOO_LARGE: Final = re.compile(rb"exceeds\s+size\s+limit|5\.3\.4 Message is larger than the limit")


@pytest.mark.parametrize("domain", DOMAINS)
def test_what_we_refuse_a_peer_returns_to_its_sender(exchange: Exchange, domain: str) -> None:
    (unknown,) = reports_of(exchange.back[domain, "unknown"], exchange.kept[domain])
    assert outcome_of(unknown)["action"] == "failed"
    assert re.search(rb"550 5\.1\.1 No such\s+mailbox here", unknown)
    (too_large,) = reports_of(exchange.back[domain, "too large"], exchange.kept[domain])
    assert outcome_of(too_large)["action"] == "failed"
    assert TOO_LARGE.search(too_large)
